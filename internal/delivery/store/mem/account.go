package mem

import (
	"bytes"
	"context"
	"slices"

	"codeberg.org/huis/huis/internal/delivery/store"
	"codeberg.org/huis/huis/internal/proto"
)

func (s *Store) checkAttached(a *store.Attached) (to []store.Inbox, err error) {
	used := map[proto.Hash]bool{}
	for i, d := range a.Deliveries {
		t, ok := s.tickets[d.Ticket]
		if !ok || t.expires < a.Today || used[d.Ticket] {
			return nil, &proto.Error{Code: proto.BadTicket, Index: uint32(i)}
		}
		used[d.Ticket] = true
		to = append(to, t.inbox)
	}
	coming := map[store.Inbox]int{}
	for i, inbox := range to {
		if s.count(inbox)+coming[inbox] >= a.MaxInbox {
			return nil, &proto.Error{Code: proto.InboxFull, Index: uint32(i)}
		}
		coming[inbox]++
	}
	return to, s.checkPins(a.Pins, false)
}

func (s *Store) checkPins(ids []proto.BlobID, account bool) error {
	for _, id := range ids {
		if b := s.blobs[id]; b == nil || !b.Done || (b.Owner == nil) != account {
			return proto.Refuse(proto.NoBlob)
		}
	}
	return nil
}

func (s *Store) count(inbox store.Inbox) (n int) {
	for _, i := range s.items {
		if i.inbox == inbox {
			n++
		}
	}
	return n
}

func (s *Store) attach(id proto.ConversationID, a *store.Attached, to []store.Inbox) {
	for i, d := range a.Deliveries {
		delete(s.tickets, d.Ticket)
		s.items[d.ID] = item{to[i], a.Today, bytes.Clone(d.Sealed)}
	}
	for _, b := range a.Pins {
		s.pins[pinKey{proto.Hash(id), b}] = a.PinUntil
	}
}

// Publish implements store.Packages.
func (s *Store) Publish(_ context.Context, device store.Inbox, pool []store.KeyPackage, lastResort *store.KeyPackage) error {
	defer s.lock()()
	if s.accounts[device.Account] == nil {
		return proto.Refuse(proto.NoAccount)
	}
	s.packages[device] = slices.Clone(pool)
	if lastResort != nil {
		s.lastResort[device] = *lastResort
	}
	return nil
}

// PackageCount implements store.Packages.
func (s *Store) PackageCount(_ context.Context, device store.Inbox) (int, bool, error) {
	defer s.lock()()
	_, last := s.lastResort[device]
	return len(s.packages[device]), last, nil
}

// Claim implements store.Packages.
func (s *Store) Claim(_ context.Context, id proto.AccountID, device proto.DeviceID, today, ticketUntil store.Day) ([]proto.Claimed, error) {
	defer s.lock()()
	if s.accounts[id] == nil {
		return nil, proto.Refuse(proto.UnknownAccount)
	}
	devices := map[store.Inbox]bool{}
	for i := range s.packages {
		devices[i] = true
	}
	for i := range s.lastResort {
		devices[i] = true
	}
	var all []proto.Claimed
	for i := range devices {
		if i.Account != id || device != (proto.DeviceID{}) && i.Device != device {
			continue
		}
		if c, ok := s.take(i, today); ok {
			s.tickets[c.Ticket.Hash()] = ticket{i, ticketUntil}
			all = append(all, c)
		}
	}
	if len(all) == 0 {
		return nil, proto.Refuse(proto.NoneLeft)
	}
	return all, nil
}

func (s *Store) take(i store.Inbox, today store.Day) (proto.Claimed, bool) {
	c := proto.Claimed{Device: i.Device, Ticket: proto.New[proto.Ticket]()}
	for n, p := range s.packages[i] {
		if p.Expires >= today {
			s.packages[i] = slices.Delete(slices.Clone(s.packages[i]), n, n+1)
			c.KeyPackage = p.Bytes
			return c, true
		}
	}
	p, ok := s.lastResort[i]
	c.KeyPackage, c.LastResort = p.Bytes, true
	return c, ok && p.Expires >= today
}

// Post implements store.Inboxes.
func (s *Store) Post(_ context.Context, to store.Inbox, id proto.InboxItemID, sealed []byte, today store.Day, max int) error {
	defer s.lock()()
	if s.accounts[to.Account] == nil {
		return proto.Refuse(proto.UnknownAccount)
	}
	if s.count(to) >= max {
		return proto.Refuse(proto.InboxFull)
	}
	s.items[id] = item{to, today, bytes.Clone(sealed)}
	return nil
}

func reads(device store.Inbox, i item) bool {
	return i.inbox == device || i.inbox == store.Inbox{Account: device.Account}
}

// Fetch implements store.Inboxes.
func (s *Store) Fetch(_ context.Context, device store.Inbox, after proto.InboxItemID, max int) (items []proto.InboxItem, more bool, err error) {
	defer s.lock()()
	for id, i := range s.items {
		if reads(device, i) && bytes.Compare(id[:], after[:]) > 0 {
			items = append(items, proto.InboxItem{ID: id, Sealed: i.sealed})
		}
	}
	slices.SortFunc(items, func(a, b proto.InboxItem) int { return bytes.Compare(a.ID[:], b.ID[:]) })
	if len(items) > max {
		return items[:max], true, nil
	}
	return items, false, nil
}

// Ack implements store.Inboxes.
func (s *Store) Ack(_ context.Context, device store.Inbox, ids []proto.InboxItemID) error {
	defer s.lock()()
	for _, id := range ids {
		if i, ok := s.items[id]; ok && reads(device, i) {
			delete(s.items, id)
		}
	}
	return nil
}

// BeginBlob implements store.Blobs.
func (s *Store) BeginBlob(_ context.Context, b store.Blob, today store.Day, maxBytes uint64) error {
	defer s.lock()()
	if old := s.blobs[b.ID]; old != nil {
		if old.Size != b.Size || old.Hash != b.Hash || !sameOwner(old.Owner, b.Owner) {
			return proto.Refuse(proto.Exists)
		}
		return nil
	}
	sum := b.Size
	for _, o := range s.blobs {
		if b.Owner != nil && sameOwner(o.Owner, b.Owner) {
			sum += o.Size
		}
	}
	if b.Owner != nil && sum > maxBytes {
		return proto.Refuse(proto.Quota)
	}
	b.Done = false
	s.blobs[b.ID] = &blob{b, today}
	return nil
}

func sameOwner(a, b *proto.ConversationID) bool {
	return (a == nil) == (b == nil) && (a == nil || *a == *b)
}

// Blob implements store.Blobs.
func (s *Store) Blob(_ context.Context, id proto.BlobID) (store.Blob, error) {
	defer s.lock()()
	if b := s.blobs[id]; b != nil {
		return b.Blob, nil
	}
	return store.Blob{}, proto.Refuse(proto.NoBlob)
}

// FinishBlob implements store.Blobs.
func (s *Store) FinishBlob(_ context.Context, id proto.BlobID) error {
	defer s.lock()()
	b := s.blobs[id]
	if b == nil {
		return proto.Refuse(proto.NoBlob)
	}
	b.Done = true
	return nil
}

// DropBlob implements store.Blobs.
func (s *Store) DropBlob(_ context.Context, id proto.BlobID) error {
	defer s.lock()()
	if b := s.blobs[id]; b != nil && !b.Done {
		delete(s.blobs, id)
	}
	return nil
}

func ownerKey(o store.Owner) proto.Hash {
	if o.Account != nil {
		return proto.Hash(*o.Account)
	}
	return proto.Hash(*o.Conversation)
}

// Pin implements store.Blobs.
func (s *Store) Pin(_ context.Context, by store.Owner, ids []proto.BlobID, until store.Day) error {
	defer s.lock()()
	if err := s.checkPins(ids, by.Account != nil); err != nil {
		return err
	}
	for _, id := range ids {
		s.pins[pinKey{ownerKey(by), id}] = until
	}
	return nil
}

// Unpin implements store.Blobs.
func (s *Store) Unpin(_ context.Context, by store.Owner, ids []proto.BlobID, today store.Day) error {
	defer s.lock()()
	for _, id := range ids {
		k := pinKey{ownerKey(by), id}
		if _, ok := s.pins[k]; !ok {
			continue
		}
		delete(s.pins, k)
		if b := s.blobs[id]; b != nil {
			b.day = today
		}
	}
	return nil
}

// BlobIDs implements store.Server.
func (s *Store) BlobIDs(context.Context) (map[proto.BlobID]bool, error) {
	defer s.lock()()
	all := map[proto.BlobID]bool{}
	for id := range s.blobs {
		all[id] = true
	}
	return all, nil
}

// CreateAccount implements store.Accounts.
func (s *Store) CreateAccount(_ context.Context, invite proto.Hash, now store.Minute, a store.Account, links [][]byte, values []store.LogValue) (store.Account, error) {
	defer s.lock()()
	old := s.accounts[a.ID]
	if old != nil && old.Lookup == a.Lookup && len(old.links) >= len(links) && slices.EqualFunc(old.links[:len(links)], links, bytes.Equal) {
		return old.Account, nil
	}
	i, err := s.invite(invite, now)
	if err != nil {
		return a, err
	}
	if _, left := s.left[a.Lookup]; left || s.taken(a.Lookup) {
		return a, proto.Refuse(proto.NameTaken)
	}
	if old != nil {
		return a, proto.Refuse(proto.Exists)
	}
	i.Uses--
	s.invites[invite] = i
	a.Admin, a.Links = len(s.accounts) == 0, uint32(len(links))
	s.accounts[a.ID] = &account{Account: a, links: slices.Clone(links)}
	s.addValues(values)
	return a, nil
}

// Account implements store.Accounts.
func (s *Store) Account(_ context.Context, id proto.AccountID) (store.Account, error) {
	defer s.lock()()
	if a := s.accounts[id]; a != nil {
		return a.Account, nil
	}
	return store.Account{}, proto.Refuse(proto.NoAccount)
}

// AccountByLookup implements store.Accounts.
func (s *Store) AccountByLookup(_ context.Context, lookup proto.Hash) (store.Account, error) {
	defer s.lock()()
	for _, a := range s.accounts {
		if a.Lookup == lookup {
			return a.Account, nil
		}
	}
	return store.Account{}, proto.Refuse(proto.NoAccount)
}

// Links implements store.Accounts.
func (s *Store) Links(_ context.Context, id proto.AccountID, from uint32, most int) ([][]byte, error) {
	defer s.lock()()
	a := s.accounts[id]
	if a == nil {
		return nil, proto.Refuse(proto.NoAccount)
	}
	rest := a.links[min(int(from), len(a.links)):]
	return slices.Clone(rest[:min(most, len(rest))]), nil
}

// AppendLink implements store.Accounts.
func (s *Store) AppendLink(_ context.Context, id proto.AccountID, n uint32, link []byte, revoked []proto.DeviceID, value store.LogValue) error {
	defer s.lock()()
	a := s.accounts[id]
	if a == nil {
		return proto.Refuse(proto.NoAccount)
	}
	if int(n) < len(a.links) && bytes.Equal(a.links[n], link) {
		return nil
	}
	if int(n) != len(a.links) {
		return &proto.Error{Code: proto.Conflict, Seq: uint64(len(a.links))}
	}
	a.links = append(a.links, bytes.Clone(link))
	a.Links++
	s.addValues([]store.LogValue{value})
	for _, d := range revoked {
		s.forget(store.Inbox{Account: id, Device: d})
	}
	return nil
}

func (s *Store) forget(device store.Inbox) {
	delete(s.packages, device)
	delete(s.lastResort, device)
	for h, t := range s.tickets {
		if t.inbox == device {
			delete(s.tickets, h)
		}
	}
	for id, i := range s.items {
		if i.inbox == device {
			delete(s.items, id)
		}
	}
}

// HasAccounts implements store.Accounts.
func (s *Store) HasAccounts(context.Context) (bool, error) {
	defer s.lock()()
	return len(s.accounts) > 0, nil
}

// AddInvite implements store.Accounts.
func (s *Store) AddInvite(_ context.Context, i store.Invite) error {
	defer s.lock()()
	if _, ok := s.invites[i.Token]; ok {
		return proto.Refuse(proto.Exists)
	}
	s.invites[i.Token] = i
	return nil
}

// Invite implements store.Accounts.
func (s *Store) Invite(_ context.Context, token proto.Hash, now store.Minute) (store.Invite, error) {
	defer s.lock()()
	return s.invite(token, now)
}

func (s *Store) invite(token proto.Hash, now store.Minute) (store.Invite, error) {
	i, ok := s.invites[token]
	switch {
	case !ok:
		return i, proto.Refuse(proto.InviteUnknown)
	case i.Expires < now:
		return i, proto.Refuse(proto.InviteExpired)
	case i.Uses == 0:
		return i, proto.Refuse(proto.InviteUsed)
	}
	return i, nil
}

// StampKeys implements store.Server.
func (s *Store) StampKeys(context.Context) ([]store.StampKey, error) {
	defer s.lock()()
	return slices.Clone(s.stampKeys), nil
}

// AddStampKey implements store.Server.
func (s *Store) AddStampKey(_ context.Context, k store.StampKey) error {
	defer s.lock()()
	if slices.ContainsFunc(s.stampKeys, func(o store.StampKey) bool { return o.KID == k.KID }) {
		return proto.Refuse(proto.Exists)
	}
	s.stampKeys = append(s.stampKeys, k)
	return nil
}

// Setting implements store.Server.
func (s *Store) Setting(_ context.Context, name string) ([]byte, error) {
	defer s.lock()()
	return s.settings[name], nil
}

// PutSetting implements store.Server.
func (s *Store) PutSetting(_ context.Context, name string, value []byte) error {
	defer s.lock()()
	s.settings[name] = bytes.Clone(value)
	return nil
}
