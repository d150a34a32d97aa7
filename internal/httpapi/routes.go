package httpapi

import (
	"context"
	"time"

	"codeberg.org/huis/huis/internal/proto"
)

// Sizes of requests, in bytes.
const (
	small    = 4 << 10
	medium   = 128 << 10
	lists    = proto.MaxPins*32 + small
	aBackup  = proto.MaxBackupBlobs*32 + small
	onePart  = proto.MaxBlobPart + small
	aMailing = proto.MaxMailboxItem + small
	aCommit  = proto.MaxCommit + proto.MaxAdds*(proto.MaxJoinPackage+64) + lists
	aCreate  = proto.MaxJoinPackages*(proto.MaxJoinPackage+128) + lists
	aPublish = (proto.MaxKeyPackages+1)*(proto.MaxKeyPackage+8) + small
)

// allRoutes lists every method of package proto.
func (h *Handler) allRoutes() map[proto.Method]route {
	accounts, deliveries, l := h.Directory, h.Delivery, h.limits
	return map[proto.Method]route{
		proto.Info:         on(small, h.info).whileRestoring(),
		proto.GetNonce:     on(small, deliveries.Nonce).whileRestoring(),
		proto.InviteCheck:  on(small, accounts.InviteCheck).costing(l.join),
		proto.Register:     on(medium, accounts.Register).costing(l.join),
		proto.MailboxPost:  on(aMailing, h.mailboxPost).costing(l.mailbox),
		proto.MailboxFetch: on(small, h.mailboxFetch).costing(l.mailbox).waiting(),

		proto.LogHead:  on(small, accounts.LogHead).whileRestoring(),
		proto.LogEntry: on(small, accounts.LogEntry).costing(l.logEntry),
		proto.Recover:  on(2*small, accounts.Recover).costing(l.recover),

		proto.GiveLog:     on(proto.MaxGiveLog, accounts.GiveLog).costing(l.join).whileRestoring(),
		proto.GiveAccount: on(proto.MaxLinks*(proto.MaxLink+8)+small, accounts.GiveAccount).costing(l.logEntry).whileRestoring(),
		proto.GiveDone:    on(small, accounts.GiveDone).whileRestoring(),
		proto.GiveEntries: on(proto.MaxGiveEntries, deliveries.GiveEntries).costing(l.logEntry).whileRestoring(),

		proto.AccountOpen:  on(small, accounts.AccountOpen).whileRestoring(),
		proto.Invite:       on(small, within(h, l.directory, func(r *proto.InviteRequest) proto.SessionID { return r.Session }, accounts.Invite)),
		proto.ChainAppend:  on(2*small, within(h, l.directory, func(r *proto.ChainAppendRequest) proto.SessionID { return r.Session }, accounts.ChainAppend)),
		proto.Veto:         on(2*small, within(h, l.directory, func(r *proto.VetoRequest) proto.SessionID { return r.Session }, accounts.Veto)),
		proto.NamePlace:    on(small, within(h, l.names, func(r *proto.NamePlaceRequest) proto.SessionID { return r.Session }, accounts.NamePlace)),
		proto.Rename:       on(2*small, within(h, l.names, func(r *proto.RenameRequest) proto.SessionID { return r.Session }, accounts.Rename)),
		proto.Lookup:       on(small, within(h, l.directory, func(r *proto.LookupRequest) proto.SessionID { return r.Session }, accounts.Lookup)),
		proto.ChainProof:   on(small, within(h, l.directory, func(r *proto.ChainProofRequest) proto.SessionID { return r.Session }, accounts.ChainProof)),
		proto.LogEpochs:    on(small, within(h, l.directory, func(r *proto.LogEpochsRequest) proto.SessionID { return r.Session }, accounts.LogEpochs)),
		proto.PolicyPut:    on(proto.MaxPolicy+small, within(h, l.directory, func(r *proto.PolicyPutRequest) proto.SessionID { return r.Session }, accounts.PolicyPut)),
		proto.ReleasePut:   on(small, within(h, l.directory, func(r *proto.ReleasePutRequest) proto.SessionID { return r.Session }, accounts.ReleasePut)),
		proto.Publish:      on(aPublish, deliveries.Publish),
		proto.PackageCount: on(small, within(h, l.inbox, func(r *proto.PackageCountRequest) proto.SessionID { return r.Session }, deliveries.PackageCount)),
		proto.Claim:        on(small, deliveries.Claim),
		proto.InboxPost:    on(proto.MaxInboxItem+small, deliveries.InboxPost),
		proto.InboxFetch:   on(small, within(h, l.inbox, func(r *proto.InboxFetchRequest) proto.SessionID { return r.Session }, deliveries.InboxFetch)).waiting(),
		proto.InboxAck:     on(medium, within(h, l.inbox, func(r *proto.InboxAckRequest) proto.SessionID { return r.Session }, deliveries.InboxAck)),
		proto.CreateToken:  on(small, deliveries.CreateToken),
		proto.BackupGet:    on(small, within(h, l.directory, func(r *proto.BackupGetRequest) proto.SessionID { return r.Session }, accounts.BackupGet)),
		proto.BackupSet:    on(aBackup, within(h, l.directory, func(r *proto.BackupSetRequest) proto.SessionID { return r.Session }, accounts.BackupSet)),

		proto.Create:     on(aCreate, deliveries.Create),
		proto.Append:     on(medium, deliveries.Append),
		proto.Commit:     on(aCommit, deliveries.Commit),
		proto.Open:       on(small, deliveries.Open),
		proto.Read:       on(small, within(h, l.reads, func(r *proto.ReadRequest) proto.SessionID { return r.Session }, deliveries.Read)),
		proto.BlobBegin:  on(small, within(h, l.blobs, func(r *proto.BlobBeginRequest) proto.SessionID { return r.Session }, deliveries.BlobBegin)),
		proto.BlobPut:    on(onePart, within(h, l.blobs, func(r *proto.BlobPutRequest) proto.SessionID { return r.Session }, deliveries.BlobPut)),
		proto.BlobStat:   on(small, within(h, l.blobs, func(r *proto.BlobStatRequest) proto.SessionID { return r.Session }, deliveries.BlobStat)),
		proto.BlobFinish: on(small, within(h, l.blobs, func(r *proto.BlobFinishRequest) proto.SessionID { return r.Session }, deliveries.BlobFinish)),
		proto.BlobGet:    on(small, deliveries.BlobGet),
		proto.Pin:        on(lists, within(h, l.blobs, func(r *proto.PinRequest) proto.SessionID { return r.Session }, deliveries.Pin)),
		proto.Unpin:      on(lists, within(h, l.blobs, func(r *proto.UnpinRequest) proto.SessionID { return r.Session }, deliveries.Unpin)),
	}
}

// info is the delivery's and the log's together.
func (h *Handler) info(ctx context.Context, r *proto.InfoRequest) (*proto.InfoResponse, error) {
	i, err := h.Delivery.Info(ctx, r)
	if err == nil {
		log, vrf := h.Directory.LogKeys()
		i.LogKey, i.VRFKey = log.Key, vrf
	}
	return i, err
}

func (h *Handler) mailboxPost(_ context.Context, r *proto.MailboxPostRequest) (*proto.Empty, error) {
	return &proto.Empty{}, h.mail.post(r.ID, r.Side, r.Index, r.Sealed)
}

func (h *Handler) mailboxFetch(ctx context.Context, r *proto.MailboxFetchRequest) (*proto.MailboxFetchResponse, error) {
	wait := time.Duration(r.WaitMillis) * time.Millisecond
	items, err := h.mail.fetch(ctx, r.ID, r.Side, r.From, wait, proto.MaxReadBytes)
	return &proto.MailboxFetchResponse{Items: items}, err
}
