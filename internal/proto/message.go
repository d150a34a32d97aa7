package proto

import "codeberg.org/huis/huis/internal/wire"

// Message is a request or an answer. Wire codes it in both directions.
type Message interface {
	Wire(*wire.Codec)
}

// Encode returns the encoding of m. The error is a field above its limit.
func Encode(m Message) ([]byte, error) { return wire.Encode(m.Wire) }

// Decode reads b into m; on error m is not to be used.
func Decode(b []byte, m Message) error { return wire.Decode(b, m.Wire) }

// Method names a request; it is sent as POST /v1/<method>.
type Method string

// Requests of the anonymous lane: no session.
const (
	Info         Method = "info"
	GetNonce     Method = "nonce"
	InviteCheck  Method = "invite_check"
	Register     Method = "register"
	MailboxPost  Method = "mailbox_post"
	MailboxFetch Method = "mailbox_fetch"
	LogHead      Method = "log_head"
	LogEntry     Method = "log_entry"
	Recover      Method = "recover"
	GiveLog      Method = "give_log"
	GiveAccount  Method = "give_account"
)

// Requests of the account lane: an account's session.
const (
	AccountOpen  Method = "account_open"
	Invite       Method = "invite"
	ChainAppend  Method = "chain_append"
	Veto         Method = "veto"
	NamePlace    Method = "name_place"
	Rename       Method = "rename"
	Lookup       Method = "lookup"
	ChainProof   Method = "chain_proof"
	LogEpochs    Method = "log_epochs"
	Publish      Method = "publish"
	PackageCount Method = "package_count"
	Claim        Method = "claim"
	InboxPost    Method = "inbox_post"
	InboxFetch   Method = "inbox_fetch"
	InboxAck     Method = "inbox_ack"
	CreateToken  Method = "create_token"
	PolicyPut    Method = "policy_put"
	ReleasePut   Method = "release_put"
	BackupGet    Method = "backup_get"
	BackupSet    Method = "backup_set"
	GiveDone     Method = "give_done"
)

// Requests of the conversation lane: a member key's signature or session. The
// blob requests also take an account's session, for its own backup.
const (
	Create      Method = "create"
	Append      Method = "append" // applications and notices
	Commit      Method = "commit"
	Open        Method = "open"
	Read        Method = "read"
	BlobBegin   Method = "blob_begin"
	BlobPut     Method = "blob_put"
	BlobStat    Method = "blob_stat"
	BlobFinish  Method = "blob_finish"
	BlobGet     Method = "blob_get"
	Pin         Method = "pin"
	Unpin       Method = "unpin"
	GiveEntries Method = "give_entries"
)

// Call is one method with its empty request and answer.
type Call struct {
	Method   Method
	Request  func() Message
	Response func() Message
}

func call[Req, Resp any, PReq interface {
	*Req
	Message
}, PResp interface {
	*Resp
	Message
}](m Method) Call {
	return Call{m, func() Message { return PReq(new(Req)) }, func() Message { return PResp(new(Resp)) }}
}

// Calls lists every method.
func Calls() []Call {
	return []Call{
		call[InfoRequest, InfoResponse](Info),
		call[NonceRequest, NonceResponse](GetNonce),
		call[InviteCheckRequest, InviteCheckResponse](InviteCheck),
		call[RegisterRequest, RegisterResponse](Register),
		call[MailboxPostRequest, Empty](MailboxPost),
		call[MailboxFetchRequest, MailboxFetchResponse](MailboxFetch),
		call[LogHeadRequest, LogHeadResponse](LogHead),
		call[LogEntryRequest, LogEntryResponse](LogEntry),
		call[RecoverRequest, RecoverResponse](Recover),
		call[GiveLogRequest, Empty](GiveLog),
		call[GiveAccountRequest, Empty](GiveAccount),

		call[AccountOpenRequest, AccountOpenResponse](AccountOpen),
		call[InviteRequest, Empty](Invite),
		call[ChainAppendRequest, Empty](ChainAppend),
		call[VetoRequest, Empty](Veto),
		call[NamePlaceRequest, NamePlaceResponse](NamePlace),
		call[RenameRequest, Empty](Rename),
		call[LookupRequest, LookupResponse](Lookup),
		call[ChainProofRequest, ChainProofResponse](ChainProof),
		call[LogEpochsRequest, LogEpochsResponse](LogEpochs),
		call[PublishRequest, Empty](Publish),
		call[PackageCountRequest, PackageCountResponse](PackageCount),
		call[ClaimRequest, ClaimResponse](Claim),
		call[InboxPostRequest, Empty](InboxPost),
		call[InboxFetchRequest, InboxFetchResponse](InboxFetch),
		call[InboxAckRequest, Empty](InboxAck),
		call[CreateTokenRequest, CreateTokenResponse](CreateToken),
		call[PolicyPutRequest, Empty](PolicyPut),
		call[ReleasePutRequest, Empty](ReleasePut),
		call[BackupGetRequest, BackupGetResponse](BackupGet),
		call[BackupSetRequest, Empty](BackupSet),
		call[GiveDoneRequest, GiveDoneResponse](GiveDone),

		call[CreateRequest, CreateResponse](Create),
		call[AppendRequest, AppendResponse](Append),
		call[CommitRequest, CommitResponse](Commit),
		call[OpenRequest, OpenResponse](Open),
		call[ReadRequest, ReadResponse](Read),
		call[BlobBeginRequest, Empty](BlobBegin),
		call[BlobPutRequest, Empty](BlobPut),
		call[BlobStatRequest, BlobStatResponse](BlobStat),
		call[BlobFinishRequest, Empty](BlobFinish),
		call[BlobGetRequest, BlobGetResponse](BlobGet),
		call[PinRequest, Empty](Pin),
		call[UnpinRequest, Empty](Unpin),
		call[GiveEntriesRequest, GiveEntriesResponse](GiveEntries),
	}
}

// Empty is a request or answer without fields.
type Empty struct{}

// Wire codes nothing.
func (*Empty) Wire(*wire.Codec) {}

// bytesItem codes one opaque<V> of at most max bytes inside a vector.
func bytesItem(max int) func(*[]byte, *wire.Codec) {
	return func(b *[]byte, c *wire.Codec) { wire.OpaqueMax(c, b, max) }
}
