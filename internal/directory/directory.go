// Package directory keeps the accounts: who may join, what devices an account
// has, and who speaks in a session.
//
// An account is made with an invitation and is known by its AccountID, the hash
// of its first link; its handle is only a name for it. What devices it has says
// its chain of signed links, which is verified here by the rules of package kt
// before it is stored, and again by every client. Start with Open; a Service's
// methods are the requests of the same names (protocol.md, 14).
//
// The package joins no account to a conversation and knows of none.
package directory

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"log/slog"
	"sync"
	"time"

	"codeberg.org/huis/huis/internal/delivery/session"
	"codeberg.org/huis/huis/internal/delivery/store"
	"codeberg.org/huis/huis/internal/directory/epochs"
	"codeberg.org/huis/huis/internal/proto"
	"codeberg.org/huis/huis/kt"
)

// Bounds of what one account may ask for.
const (
	maxFirstLinks = 16                   // of a registration: GENESIS, SET_RECOVERY and a few devices
	maxUses       = 1000                 // of one invitation
	maxInviteLife = 366 * 24 * time.Hour // of one invitation
)

// Clock is the server's time.
type Clock interface{ Now() time.Time }

// Store is what a Service keeps.
type Store interface {
	store.Accounts
	store.Names
	store.Recovery
	store.Epochs
	store.Restores
}

// Config is what a Service stands on.
type Config struct {
	Store    Store
	Key      store.OperatorKey // seals the handles
	Clock    Clock
	Sessions *session.Table
	Origin   string // what the proofs of a session are made for, and the log's
	LogName  string // of a log that was begun in place of the first one, in Origin; "": the first
	// Joined is called after each account made; nil does nothing.
	Joined func()
	// Witnesses cosign the log; LogDir gets its static files, "" for none.
	Witnesses []epochs.Witness
	LogDir    string
	Log       *slog.Logger // nil discards
	// Restoration, if the database was put back from a backup.
	Restoration *Restoration
	// Whole says that it never was: no account is missing, and none is taken
	// back.
	Whole bool
}

// Service answers the requests about accounts. Safe for concurrent use.
type Service struct {
	Config
	// chains orders, per account (by its first bytes), the opening of sessions
	// and the growth of the chain: no session opens on a chain that a
	// revocation has just left behind.
	chains [64]sync.RWMutex
	// names orders, per handle (by the first byte of its lookup), what adds
	// values to it in the log: their numbers follow each other.
	names  [64]sync.Mutex
	expiry expiry
	log    *epochs.Log
	// policies orders the growth of the chain of witness policies.
	policies    sync.Mutex
	asked       lastPolicies
	restoration restoration
}

// Open opens the log, checking all of it, and returns a service.
func Open(ctx context.Context, c Config) (*Service, error) {
	if c.Joined == nil {
		c.Joined = func() {}
	}
	c.Log = orDiscard(c.Log)
	s := &Service{Config: c}
	log, err := openLog(ctx, &c, &s.asked)
	if err != nil {
		return nil, err
	}
	s.log = log
	s.restoration.begin(c.Restoration)
	return s, s.loadPolicies(ctx)
}

func (s *Service) chainLock(id proto.AccountID) *sync.RWMutex {
	return &s.chains[int(id[0])%len(s.chains)]
}

// InviteCheck tells what is left of an invitation; it consumes nothing.
func (s *Service) InviteCheck(ctx context.Context, r *proto.InviteCheckRequest) (*proto.InviteCheckResponse, error) {
	i, err := s.Store.Invite(ctx, r.Invite.Hash(), s.expiry.minute(r.Invite.Hash(), s.Clock.Now()))
	if err != nil {
		return nil, err
	}
	return &proto.InviteCheckResponse{Expires: uint64(i.Expires) * 60, Uses: i.Uses}, nil
}

// Register makes an account with an invitation. A refusal consumes nothing of
// it; the same request again has the same answer. Who brings no invitation that
// holds learns of no name, neither from the answer nor from the time it takes.
func (s *Service) Register(ctx context.Context, r *proto.RegisterRequest) (*proto.RegisterResponse, error) {
	if !ValidHandle(r.Handle) {
		return nil, proto.Refuse(proto.BadName)
	}
	if len(r.Links) > maxFirstLinks {
		return nil, proto.Refuse(proto.BadChain)
	}
	chain, err := kt.Verify(r.Links)
	if err != nil || len(chain.Live()) == 0 {
		return nil, proto.Refuse(proto.BadChain)
	}
	id := proto.AccountID(chain.Account())
	if err := s.invited(ctx, r, id); err != nil {
		return nil, err
	}
	if err := s.recoveryFree(ctx, id, chain); err != nil {
		return nil, err
	}
	a := store.Account{ID: id, Lookup: s.lookup(r.Handle), Handle: s.Key.Seal("handle", id[:], []byte(r.Handle))}
	if err := s.create(ctx, r, a); err != nil {
		return nil, err
	}
	s.Joined()
	if err := s.keepRecovery(ctx, id, chain); err != nil {
		return nil, err
	}
	return &proto.RegisterResponse{Account: id}, s.logged(ctx, r.Handle, r.Links[len(r.Links)-1])
}

func (s *Service) lookup(handle string) proto.Hash { return s.Key.Lookup("handle", handle) }

// AccountOpen opens a session for a live device of the account that signed the
// nonce with its message key. no_account; forbidden for anything wrong with
// device or signature; bad_session for a nonce that is old or spent.
func (s *Service) AccountOpen(ctx context.Context, r *proto.AccountOpenRequest) (*proto.AccountOpenResponse, error) {
	lock := s.chainLock(r.Account)
	lock.RLock()
	defer lock.RUnlock()
	account, err := s.Store.Account(ctx, r.Account)
	if errors.Is(err, proto.NoAccount) && s.restoration.on.Load() {
		return nil, proto.Refuse(proto.Restoring) // it may be one of those to be given back
	}
	if err != nil {
		return nil, err
	}
	chain, err := s.chain(ctx, r.Account)
	if err != nil {
		return nil, err
	}
	device, ok := chain.Device(kt.DeviceID(r.Device))
	if !ok && s.restoration.on.Load() {
		return nil, proto.Refuse(proto.Restoring)
	}
	if !ok || device.Revoked {
		return nil, proto.Refuse(proto.Forbidden)
	}
	m := device.M()
	if !ed25519.Verify(m[:], proto.SessionProof(r.Nonce, s.Origin, r.Account, r.Device), r.Sig[:]) {
		return nil, proto.Refuse(proto.Forbidden)
	}
	if !s.Sessions.TakeNonce(r.Nonce) {
		return nil, proto.Refuse(proto.BadSession)
	}
	if err := s.keepRecovery(ctx, r.Account, chain); err != nil {
		return nil, err
	}
	id, err := s.Sessions.OpenDevice(session.Device{Account: r.Account, Device: r.Device, Admin: account.Admin})
	if err != nil {
		return nil, err
	}
	return &proto.AccountOpenResponse{Session: id, Admin: account.Admin}, nil
}

// Invite stores an admin's invitation.
func (s *Service) Invite(ctx context.Context, r *proto.InviteRequest) (*proto.Empty, error) {
	c, err := s.Sessions.Device(r.Session)
	if err != nil {
		return nil, err
	}
	now := s.Clock.Now()
	switch last := now.Add(maxInviteLife).Unix(); {
	case !c.Admin:
		return nil, proto.Refuse(proto.Forbidden)
	case r.Uses == 0 || r.Uses > maxUses || r.Expires > uint64(last):
		return nil, proto.Refuse(proto.Malformed)
	case r.Expires <= uint64(now.Unix()):
		return nil, proto.Refuse(proto.InviteExpired)
	}
	err = s.Store.AddInvite(ctx, store.Invite{
		Token: r.TokenHash, Uses: r.Uses, Expires: store.Minute(r.Expires / 60),
	})
	if err == nil {
		s.expiry.add(r.TokenHash, r.Expires, now)
	}
	return &proto.Empty{}, err
}

// Lookup returns the account behind a handle, or that left it, with its chain, at
// most proto.MaxLinks links of it; unknown_account.
func (s *Service) Lookup(ctx context.Context, r *proto.LookupRequest) (*proto.LookupResponse, error) {
	if _, err := s.Sessions.Device(r.Session); err != nil {
		return nil, err
	}
	if !ValidHandle(r.Handle) {
		return nil, proto.Refuse(proto.UnknownAccount)
	}
	id, err := s.accountOf(ctx, r.Handle)
	if err != nil {
		return nil, unknown(err)
	}
	links, err := s.Store.Links(ctx, id, 0, proto.MaxLinks)
	if err != nil {
		return nil, unknown(err)
	}
	return &proto.LookupResponse{Account: id, Links: links}, nil
}

// unknown is what a caller learns of an account that is not there.
func unknown(err error) error {
	if errors.Is(err, proto.NoAccount) {
		return proto.Refuse(proto.UnknownAccount)
	}
	return err
}

// ChainAppend adds a link to the caller's account. The sessions of a device it
// revokes, or whose message key it changes, end at once. The same link again
// changes nothing; conflict{seq: number of links} if another came first;
// bad_chain.
func (s *Service) ChainAppend(ctx context.Context, r *proto.ChainAppendRequest) (*proto.Empty, error) {
	c, err := s.Sessions.Device(r.Session)
	if err != nil {
		return nil, err
	}
	link, err := kt.ParseLink(r.Link)
	if err != nil || link.Type == kt.TypeRename {
		return nil, proto.Refuse(proto.BadChain)
	}
	handle, err := s.handle(ctx, c.Account)
	if err != nil {
		return nil, err
	}
	if err := s.extend(ctx, c.Account, handle, link, r.Link); err != nil {
		return nil, err
	}
	return &proto.Empty{}, s.logged(ctx, handle, r.Link)
}

// extend verifies and stores a link.
func (s *Service) extend(ctx context.Context, id proto.AccountID, handle string, link *kt.Link, encoded []byte) error {
	lock := s.chainLock(id)
	lock.Lock()
	defer lock.Unlock()
	if stored, err := s.Store.Links(ctx, id, link.Seq, 1); err != nil {
		return err
	} else if len(stored) == 1 && bytes.Equal(stored[0], encoded) {
		return s.storedRecovery(ctx, id, link)
	}
	before, err := s.chain(ctx, id)
	if err != nil {
		return err
	}
	if n := before.Len(); int64(link.Seq) < int64(n) {
		return &proto.Error{Code: proto.Conflict, Seq: uint64(n)}
	}
	after, err := before.Append(encoded)
	if err != nil {
		return proto.Refuse(proto.BadChain)
	}
	if err := s.recoveryFree(ctx, id, after); err != nil {
		return err
	}
	if err := s.append(ctx, id, handle, link.Seq, encoded, revoked(before, after)); err != nil {
		return err
	}
	for _, device := range changed(before, after) {
		s.Sessions.EndDevice(id, device)
	}
	return s.keepRecovery(ctx, id, after)
}

// links loads a whole chain.
func (s *Service) links(ctx context.Context, id proto.AccountID) (links [][]byte, err error) {
	for {
		more, err := s.Store.Links(ctx, id, uint32(len(links)), proto.MaxLinks)
		links = append(links, more...)
		if err != nil || len(more) < proto.MaxLinks {
			return links, err
		}
	}
}

// chain loads and verifies a whole chain. One that does not verify is damage.
func (s *Service) chain(ctx context.Context, id proto.AccountID) (kt.Chain, error) {
	links, err := s.links(ctx, id)
	if err != nil {
		return kt.Chain{}, err
	}
	chain, err := kt.Verify(links)
	if err != nil {
		return kt.Chain{}, errors.Join(store.ErrDamaged, err)
	}
	return chain, nil
}

// revoked lists the devices live before and not after.
func revoked(before, after kt.Chain) (ids []proto.DeviceID) {
	for _, d := range before.Live() {
		if now, _ := after.Device(d.ID); now.Revoked {
			ids = append(ids, proto.DeviceID(d.ID))
		}
	}
	return ids
}

// changed lists the devices whose sessions do not outlive the change: revoked
// ones and those with another message key.
func changed(before, after kt.Chain) (ids []proto.DeviceID) {
	for _, d := range before.Live() {
		if now, _ := after.Device(d.ID); now.Revoked || now.M() != d.M() {
			ids = append(ids, proto.DeviceID(d.ID))
		}
	}
	return ids
}
