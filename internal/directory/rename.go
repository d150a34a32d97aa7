package directory

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"time"

	"codeberg.org/huis/huis/internal/delivery/store"
	"codeberg.org/huis/huis/internal/proto"
	"codeberg.org/huis/huis/kt"
)

// An account changes its name by a link of its own, RENAME, from one index of
// the map to another (protocol.md, 7). In one transaction the link becomes the
// last value of the name it leaves, and the whole chain the values of the new one.
// The name left is kept for it for ever: whoever asks for it finds the account.

// How often an account changes its name: a second time, to put a mistake right,
// and then not for a week.
const (
	maxRenames = 2
	renameDays = 7
)

// accountOf finds an account by the name it has or left.
func (s *Service) accountOf(ctx context.Context, handle string) (proto.AccountID, error) {
	a, err := s.Store.AccountByLookup(ctx, s.lookup(handle))
	if errors.Is(err, proto.NoAccount) {
		return s.Store.LeftName(ctx, s.lookup(handle))
	}
	return a.ID, err
}

// shownAs returns under which name an account is proved: one it left, if that is
// asked for. no_account if it never left that.
func (s *Service) shownAs(ctx context.Context, id proto.AccountID, left string) (string, error) {
	if left == "" {
		return s.handle(ctx, id)
	}
	if by, err := s.accountOf(ctx, left); err != nil || by != id {
		return "", errors.Join(err, proto.Refuse(proto.NoAccount))
	}
	return left, nil
}

// NamePlace proves where in the map a name is that the caller may take: bad_name;
// name_taken if it is somebody else's, or was.
func (s *Service) NamePlace(ctx context.Context, r *proto.NamePlaceRequest) (*proto.NamePlaceResponse, error) {
	c, err := s.Sessions.Device(r.Session)
	if err != nil {
		return nil, err
	}
	if !ValidHandle(r.Handle) {
		return nil, proto.Refuse(proto.BadName)
	}
	by, err := s.accountOf(ctx, r.Handle)
	switch {
	case err == nil && by != c.Account:
		return nil, proto.Refuse(proto.NameTaken)
	case err != nil && !errors.Is(err, proto.NoAccount):
		return nil, err
	}
	_, pi, err := s.place(ctx, kt.KindAccount, []byte(r.Handle))
	return &proto.NamePlaceResponse{VRF: pi}, err
}

// Rename gives the caller's account another name. The same link again changes
// nothing. In order: bad_name → bad_chain unless it is a RENAME from the present
// name to this one that continues the chain; conflict{seq: number of links} →
// too_soon → forbidden while the present name is being given to another account
// → name_taken.
func (s *Service) Rename(ctx context.Context, r *proto.RenameRequest) (*proto.Empty, error) {
	c, err := s.Sessions.Device(r.Session)
	if err != nil {
		return nil, err
	}
	if !ValidHandle(r.Handle) {
		return nil, proto.Refuse(proto.BadName)
	}
	link, err := kt.ParseLink(r.Link)
	if err != nil || link.Type != kt.TypeRename {
		return nil, proto.Refuse(proto.BadChain)
	}
	if err := s.rename(ctx, c.Account, r.Handle, link, r.Link); err != nil {
		return nil, err
	}
	return &proto.Empty{}, s.logged(ctx, r.Handle, r.Link)
}

func (s *Service) rename(ctx context.Context, id proto.AccountID, to string, link *kt.Link, encoded []byte) error {
	lock := s.chainLock(id)
	lock.Lock()
	defer lock.Unlock()
	links, err := s.links(ctx, id)
	if err != nil {
		return err
	}
	if n := int(link.Seq); n < len(links) {
		if bytes.Equal(links[n], encoded) {
			return nil
		}
		return &proto.Error{Code: proto.Conflict, Seq: uint64(len(links))}
	}
	from, err := s.handle(ctx, id)
	if err != nil {
		return err
	}
	links = append(links, encoded)
	chain, err := kt.Verify(links)
	if err != nil {
		return proto.Refuse(proto.BadChain)
	}
	x, _ := s.log.Index(kt.KindAccount, []byte(from))
	y, _ := s.log.Index(kt.KindAccount, []byte(to))
	all := chain.Renames()
	if last := all[len(all)-1]; last.From != x || last.To != y {
		return proto.Refuse(proto.BadChain)
	}
	if err := s.mayRename(ctx, id); err != nil {
		return err
	}
	defer s.lockNames(from, to)()
	return s.moveChain(ctx, id, from, to, links)
}

// mayRename refuses an account that changed its name too often of late.
func (s *Service) mayRename(ctx context.Context, id proto.AccountID) error {
	today := store.DayOf(s.Clock.Now())
	for back := range store.Day(renameDays) {
		n, err := s.Store.LeftSince(ctx, id, max(today, back)-back)
		if err != nil {
			return err
		}
		if n >= maxRenames {
			next := time.Unix(int64(today-back+renameDays)*86400, 0)
			return proto.RefuseWait(proto.TooSoon, next.Sub(s.Clock.Now()))
		}
	}
	return nil
}

// lockNames locks what adds values to two names, always in one order.
func (s *Service) lockNames(a, b string) (unlock func()) {
	x, y := s.nameLock(a), s.nameLock(b)
	if x == y {
		x.Lock()
		return x.Unlock
	}
	if s.lookup(a)[0]%byte(len(s.names)) > s.lookup(b)[0]%byte(len(s.names)) {
		x, y = y, x
	}
	x.Lock()
	y.Lock()
	return func() { y.Unlock(); x.Unlock() }
}

// moveChain stores a RENAME, the last of links.
func (s *Service) moveChain(ctx context.Context, id proto.AccountID, from, to string, links [][]byte) error {
	a, err := s.Store.Account(ctx, id)
	if err != nil {
		return err
	}
	if a.Lookup != s.lookup(from) {
		return proto.Refuse(proto.Forbidden)
	}
	left, err := s.goesOn(ctx, id, from, links)
	if err != nil {
		return err
	}
	got, err := s.goesOn(ctx, id, to, links)
	if err != nil {
		return err
	}
	a = store.Account{ID: id, Lookup: s.lookup(to), Handle: s.Key.Seal("handle", id[:], []byte(to))}
	n := len(links) - 1
	return s.Store.Rename(ctx, a, uint32(n), links[n], store.DayOf(s.Clock.Now()), append(left, got...))
}

// goesOn returns the values by which a name has all links of an account. forbidden
// while the name is being given to another account, name_taken if it is
// somebody else's.
func (s *Service) goesOn(ctx context.Context, id proto.AccountID, handle string, links [][]byte) ([]store.LogValue, error) {
	x, _ := s.log.Index(kt.KindAccount, []byte(handle))
	values, err := s.nameValues(ctx, x)
	if err != nil {
		return nil, err
	}
	if s.lacks(x, len(values)) {
		return nil, proto.Refuse(proto.Restoring)
	}
	have := 0
	if len(values) > 0 {
		n, err := kt.VerifyName(x, values)
		if err != nil {
			return nil, err
		}
		i, ok := n.Find(kt.AccountID(id))
		if !ok || n.Last() != &n.Holders[i] {
			return nil, proto.Refuse(proto.NameTaken)
		}
		if h := s.log.Days().Holder(&n, x, kt.CoolDown, s.Clock.Now()); h.Pending >= 0 || h.Owner != i {
			return nil, proto.Refuse(proto.Forbidden)
		}
		have = len(n.Holders[i].Links)
	}
	if _, err := kt.VerifyName(x, append(slices.Clone(values), links[have:]...)); err != nil {
		return nil, proto.Refuse(proto.BadChain)
	}
	return s.values(handle, links[have:], uint32(len(values))), nil
}
