package directory

import (
	"bytes"
	"context"
	"slices"
	"sync"

	"codeberg.org/huis/huis/internal/delivery/store"
	"codeberg.org/huis/huis/internal/proto"
	"codeberg.org/huis/huis/kt"
)

// Whose a name is changes without a signature of the one who had it when an
// admin lets an account be made anew (a reset). Everybody sees it in the log, and
// it counts only after a while, in which a device of the old account may object.

func (s *Service) nameLock(handle string) *sync.Mutex {
	return &s.names[int(s.lookup(handle)[0])%len(s.names)]
}

// nameValues returns all of a handle's values, those that wait for an epoch too.
func (s *Service) nameValues(ctx context.Context, x kt.Index) ([][]byte, error) {
	rows, err := s.Store.Values(ctx, x, 0, 8*kt.MaxLinks)
	values := make([][]byte, len(rows))
	for i := range rows {
		values[i] = rows[i].Value
	}
	return values, err
}

// invited refuses who brings no invitation that holds, before anything is looked
// up by the name: the request made the account already, or create asks once more.
func (s *Service) invited(ctx context.Context, r *proto.RegisterRequest, id proto.AccountID) error {
	token := registrationToken(r)
	_, err := s.Store.Invite(ctx, token, s.expiry.minute(token, s.Clock.Now()))
	if err == nil {
		return nil
	}
	if _, made := s.Store.Account(ctx, id); made == nil { // by this request, answered before
		return nil
	}
	return err
}

// registrationToken is what a registration's invitation is stored under.
func registrationToken(r *proto.RegisterRequest) proto.Hash {
	if r.Reset {
		return r.Invite.ResetHash(r.Handle)
	}
	return r.Invite.Hash()
}

// create stores a registration: of a new name, or as a reset of one.
func (s *Service) create(ctx context.Context, r *proto.RegisterRequest, a store.Account) error {
	lock := s.nameLock(r.Handle)
	lock.Lock()
	defer lock.Unlock()
	x, _ := s.log.Index(kt.KindAccount, []byte(r.Handle))
	values, err := s.nameValues(ctx, x)
	if err != nil {
		return err
	}
	if s.lacks(x, len(values)) { // it was given to somebody the backup does not have
		return proto.Refuse(proto.NameTaken)
	}
	token := registrationToken(r)
	if !r.Reset {
		_, err = s.Store.CreateAccount(ctx, token, s.expiry.minute(token, s.Clock.Now()), a, r.Links, s.values(r.Handle, r.Links, 0))
		return err
	}
	old, err := s.Store.AccountByLookup(ctx, a.Lookup)
	if err != nil {
		return unknown(err)
	}
	if _, err := kt.VerifyName(x, append(values, r.Links...)); err != nil && old.ID != a.ID {
		return proto.Refuse(proto.BadChain)
	}
	_, err = s.Store.ResetAccount(ctx, token, s.expiry.minute(token, s.Clock.Now()), a, r.Links,
		s.values(r.Handle, r.Links, uint32(len(values))), old.ID, s.former(old.ID))
	return unknown(err)
}

// former is what an account is found by that lost its name.
func (s *Service) former(id proto.AccountID) proto.Hash { return s.Key.Lookup("former", id.Hex()) }

// append stores link n of the account that has the handle; forbidden if that is
// another one now.
func (s *Service) append(ctx context.Context, id proto.AccountID, handle string, n uint32, link []byte, revoked []proto.DeviceID) error {
	lock := s.nameLock(handle)
	lock.Lock()
	defer lock.Unlock()
	if a, err := s.Store.Account(ctx, id); err != nil {
		return err
	} else if a.Lookup != s.lookup(handle) {
		return proto.Refuse(proto.Forbidden)
	}
	x, _ := s.log.Index(kt.KindAccount, []byte(handle))
	values, err := s.nameValues(ctx, x)
	if err != nil {
		return err
	}
	if s.lacks(x, len(values)) {
		return proto.Refuse(proto.Restoring)
	}
	value := s.values(handle, [][]byte{link}, uint32(len(values)))[0]
	return s.Store.AppendLink(ctx, id, n, link, revoked, value)
}

// Veto refuses, as a device of the account that had the name, the account that
// took it, and gives the name back; the same veto again changes nothing.
// bad_chain if it is not a veto by a live device against the account that has
// the name; forbidden once that account counts (kt.CoolDown).
func (s *Service) Veto(ctx context.Context, r *proto.VetoRequest) (*proto.Empty, error) {
	c, err := s.Sessions.Device(r.Session)
	if err != nil {
		return nil, err
	}
	handle, err := s.handle(ctx, c.Account)
	if err != nil {
		return nil, err
	}
	if err := s.refuseReset(ctx, c.Account, handle, r.Statement); err != nil {
		return nil, err
	}
	return &proto.Empty{}, s.logged(ctx, handle, r.Statement)
}

func (s *Service) refuseReset(ctx context.Context, id proto.AccountID, handle string, statement []byte) error {
	v, err := kt.ParseStatement(statement)
	if err != nil || proto.AccountID(v.Account) != id {
		return proto.Refuse(proto.BadChain)
	}
	lock := s.nameLock(handle)
	lock.Lock()
	defer lock.Unlock()
	x, _ := s.log.Index(kt.KindAccount, []byte(handle))
	values, err := s.nameValues(ctx, x)
	if err != nil || slices.ContainsFunc(values, func(v []byte) bool { return bytes.Equal(v, statement) }) {
		return err
	}
	now, err := kt.VerifyName(x, values)
	if err != nil {
		return err
	}
	if _, err := kt.VerifyName(x, append(slices.Clone(values), statement)); err != nil {
		return proto.Refuse(proto.BadChain)
	}
	if h := s.log.Days().Holder(&now, x, kt.CoolDown, s.Clock.Now()); now.Holders[h.Owner].Account() == v.Against {
		return proto.Refuse(proto.Forbidden)
	}
	loser := proto.AccountID(v.Against)
	n := uint32(len(values))
	return s.Store.MoveName(ctx, loser, id, s.former(loser), s.logValue(kt.KindAccount, []byte(handle), x, n, statement))
}
