package directory

import (
	"crypto/ed25519"
	"errors"
	"testing"
	"time"

	"codeberg.org/huis/huis/internal/delivery/session"
	"codeberg.org/huis/huis/internal/delivery/store"
	"codeberg.org/huis/huis/internal/delivery/store/mem"
	"codeberg.org/huis/huis/internal/proto"
	"codeberg.org/huis/huis/kt"
)

type clock struct{ t time.Time }

func (c *clock) Now() time.Time { return c.t }

// world is a directory with a store in memory.
type world struct {
	*Service
	t     *testing.T
	clock *clock
	store store.Store
}

func newWorld(t *testing.T) *world {
	t.Helper()
	c := &clock{time.Unix(1_800_000_000, 0)}
	s := mem.New()
	service, err := Open(t.Context(), Config{
		Store: s, Key: store.NewOperatorKey(), Clock: c, Sessions: session.New(c), Origin: "huis.example",
	})
	if err != nil {
		t.Fatal(err)
	}
	return &world{t: t, clock: c, store: s, Service: service}
}

// invitation stores an invitation directly.
func (w *world) invitation(uses uint16, life time.Duration) proto.Token {
	w.t.Helper()
	token := proto.New[proto.Token]()
	err := w.store.AddInvite(w.t.Context(), store.Invite{
		Token: token.Hash(), Uses: uses, Expires: store.MinuteOf(w.clock.t.Add(life)),
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return token
}

// device is one device's keys.
type device struct {
	id kt.DeviceID
	d  kt.ChainKey
	m  ed25519.PrivateKey
}

func newDevice() device {
	_, m, _ := ed25519.GenerateKey(nil)
	return device{kt.NewDeviceID(), kt.GenerateChainKey(), m}
}

func (d device) sign(b []byte) ([]byte, error) { return ed25519.Sign(d.m, b), nil }
func (d device) public() kt.MessagePublicKey {
	return kt.MessagePublicKey(d.m.Public().(ed25519.PublicKey))
}
func (d device) signer() kt.Signer { return kt.DeviceSigner(d.id, d.d) }

func (d device) enrolment(t *testing.T, account kt.AccountID) kt.Enrolment {
	t.Helper()
	e, err := kt.NewEnrolment(account, d.id, d.d, d.public(), d.sign)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// person is an account with its chain.
type person struct {
	device
	chain kt.Chain
	links [][]byte
}

func newPerson(t *testing.T, at time.Time) *person {
	t.Helper()
	p := &person{device: newDevice()}
	p.extend(kt.Genesis(at, p.signer(), p.enrolment(t, kt.AccountID{})))(t)
	return p
}

// extend takes what one of kt.Chain's methods returned and grows the chain by it.
func (p *person) extend(link []byte, err error) func(*testing.T) []byte {
	return func(t *testing.T) []byte {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		if p.chain, err = p.chain.Append(link); err != nil {
			t.Fatal(err)
		}
		p.links = append(p.links, link)
		return link
	}
}

func (p *person) account() proto.AccountID { return proto.AccountID(p.chain.Account()) }

func (w *world) register(p *person, token proto.Token, handle string) error {
	_, err := w.Register(w.t.Context(), &proto.RegisterRequest{Invite: token, Handle: handle, Links: p.links})
	return err
}

// join is a person who registered.
func (w *world) join(handle string) *person {
	w.t.Helper()
	p := newPerson(w.t, w.clock.t)
	if err := w.register(p, w.invitation(1, time.Hour), handle); err != nil {
		w.t.Fatal(err)
	}
	return p
}

// proof is an account_open request of device d for p's account.
func (w *world) proof(p *person, d device) *proto.AccountOpenRequest {
	nonce, _ := w.Sessions.Nonce()
	r := &proto.AccountOpenRequest{Account: p.account(), Device: proto.DeviceID(d.id), Nonce: nonce}
	copy(r.Sig[:], ed25519.Sign(d.m, proto.SessionProof(nonce, w.Origin, r.Account, r.Device)))
	return r
}

func (w *world) open(p *person, d device) (proto.SessionID, bool) {
	w.t.Helper()
	got, err := w.AccountOpen(w.t.Context(), w.proof(p, d))
	if err != nil {
		w.t.Fatal(err)
	}
	return got.Session, got.Admin
}

func (w *world) append(session proto.SessionID, link []byte) error {
	_, err := w.ChainAppend(w.t.Context(), &proto.ChainAppendRequest{Session: session, Link: link})
	return err
}

func wantCode(t *testing.T, what string, err error, code proto.Code) {
	t.Helper()
	if !errors.Is(err, code) {
		t.Errorf("%s: got %v, want %v", what, err, code)
	}
}

func TestTheFirstToJoinIsAdmin(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.join("alice"), w.join("bob")
	if _, admin := w.open(alice, alice.device); !admin {
		t.Error("the first who joined is no admin")
	}
	if _, admin := w.open(bob, bob.device); admin {
		t.Error("the second who joined is an admin")
	}
}

func TestARefusedJoinConsumesNothing(t *testing.T) {
	w := newWorld(t)
	w.join("alice")
	token, bob := w.invitation(1, time.Hour), newPerson(t, w.clock.t)
	wantCode(t, "a taken name", w.register(bob, token, "alice"), proto.NameTaken)
	for _, name := range []string{"", "b", "Bob", "bob smith", "böb", "bob_", "bob\x00", "0123456789012345678901234567890123"} {
		wantCode(t, "name "+name, w.register(bob, token, name), proto.BadName)
	}
	broken := *bob
	broken.links = [][]byte{append([]byte(nil), bob.links[0]...)}
	broken.links[0][len(broken.links[0])-1] ^= 1
	wantCode(t, "a forged chain", w.register(&broken, token, "bob"), proto.BadChain)
	broken.links = nil
	wantCode(t, "no chain", w.register(&broken, token, "bob"), proto.BadChain)
	if left, err := w.InviteCheck(t.Context(), &proto.InviteCheckRequest{Invite: token}); err != nil || left.Uses != 1 {
		t.Fatalf("%+v, %v", left, err)
	}
	if err := w.register(bob, token, "bob"); err != nil {
		t.Fatal(err)
	}
	if err := w.register(bob, token, "bob"); err != nil {
		t.Errorf("the same request again: %v", err)
	}
	wantCode(t, "a used invitation", w.register(newPerson(t, w.clock.t), token, "carol"), proto.InviteUsed)
	wantCode(t, "an unknown invitation", w.register(newPerson(t, w.clock.t), proto.New[proto.Token](), "carol"), proto.InviteUnknown)
	late := w.invitation(1, time.Hour)
	w.clock.t = w.clock.t.Add(2 * time.Hour)
	wantCode(t, "an old invitation", w.register(newPerson(t, w.clock.t), late, "carol"), proto.InviteExpired)
}

func TestOnlyAdminsInvite(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.join("alice"), w.join("bob")
	admin, _ := w.open(alice, alice.device)
	other, _ := w.open(bob, bob.device)
	token := proto.New[proto.Token]()
	invite := func(s proto.SessionID, uses uint16, life time.Duration) error {
		_, err := w.Invite(t.Context(), &proto.InviteRequest{
			Session: s, TokenHash: token.Hash(), Uses: uses, Expires: uint64(w.clock.t.Add(life).Unix()),
		})
		return err
	}
	wantCode(t, "by another", invite(other, 1, time.Hour), proto.Forbidden)
	wantCode(t, "by nobody", invite(proto.SessionID{}, 1, time.Hour), proto.BadSession)
	wantCode(t, "without uses", invite(admin, 0, time.Hour), proto.Malformed)
	wantCode(t, "too many uses", invite(admin, maxUses+1, time.Hour), proto.Malformed)
	wantCode(t, "for ever", invite(admin, 1, 2*maxInviteLife), proto.Malformed)
	wantCode(t, "expired", invite(admin, 1, -time.Hour), proto.InviteExpired)
	if err := invite(admin, 2, time.Hour); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"carol", "dave"} {
		if err := w.register(newPerson(t, w.clock.t), token, name); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	wantCode(t, "the third of two", w.register(newPerson(t, w.clock.t), token, "erin"), proto.InviteUsed)
}

func TestAnInvitationEndsToTheSecond(t *testing.T) {
	w := newWorld(t)
	alice := w.join("alice")
	admin, _ := w.open(alice, alice.device)
	token := proto.New[proto.Token]()
	_, err := w.Invite(t.Context(), &proto.InviteRequest{Session: admin, TokenHash: token.Hash(), Uses: 2, Expires: uint64(w.clock.t.Unix()) + 2})
	if err != nil {
		t.Fatal(err)
	}
	w.clock.t = w.clock.t.Add(time.Second)
	bob := newPerson(t, w.clock.t)
	if err := w.register(bob, token, "bob"); err != nil {
		t.Errorf("a second before its end: %v", err)
	}
	w.clock.t = w.clock.t.Add(time.Second)
	wantCode(t, "at its end", w.register(newPerson(t, w.clock.t), token, "carol"), proto.InviteExpired)
	_, err = w.InviteCheck(t.Context(), &proto.InviteCheckRequest{Invite: token})
	wantCode(t, "asked at its end", err, proto.InviteExpired)
	if err := w.register(bob, token, "bob"); err != nil {
		t.Errorf("a request that had its answer before: %v", err)
	}
}

func TestASessionNeedsALiveDevicesSignature(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.join("alice"), w.join("bob")
	open := func(r *proto.AccountOpenRequest) error {
		_, err := w.AccountOpen(t.Context(), r)
		return err
	}
	wantCode(t, "another's key", open(w.proof(alice, device{alice.id, alice.d, bob.m})), proto.Forbidden)
	wantCode(t, "another's device", open(w.proof(alice, bob.device)), proto.Forbidden)
	wantCode(t, "no account", open(w.proof(newPerson(t, w.clock.t), alice.device)), proto.NoAccount)
	old := w.proof(alice, alice.device)
	w.clock.t = w.clock.t.Add(61 * time.Second)
	wantCode(t, "an old nonce", open(old), proto.BadSession)
	fresh := w.proof(alice, alice.device)
	if err := open(fresh); err != nil {
		t.Fatal(err)
	}
	wantCode(t, "the nonce again", open(fresh), proto.BadSession)
	origin := w.proof(alice, alice.device)
	w.Origin = "evil.example"
	wantCode(t, "a proof for another server", open(origin), proto.Forbidden)
}

func TestARevokedDevicesSessionsEndAtOnce(t *testing.T) {
	w := newWorld(t)
	alice := w.join("alice")
	first, _ := w.open(alice, alice.device)
	second := newDevice()
	add := alice.extend(alice.chain.AddDevice(w.clock.t, alice.signer(), second.enrolment(t, alice.chain.Account())))(t)
	if err := w.append(first, add); err != nil {
		t.Fatal(err)
	}
	its, _ := w.open(alice, second)
	revoke := alice.extend(alice.chain.Revoke(w.clock.t, alice.signer(), second.id))(t)
	if err := w.append(first, revoke); err != nil {
		t.Fatal(err)
	}
	_, err := w.Sessions.Device(its)
	wantCode(t, "the revoked device's session", err, proto.BadSession)
	if _, err := w.Sessions.Device(first); err != nil {
		t.Errorf("the other's: %v", err)
	}
	_, err = w.AccountOpen(t.Context(), w.proof(alice, second))
	wantCode(t, "a new session of a revoked device", err, proto.Forbidden)
}

func TestASessionDoesNotOutliveItsMessageKey(t *testing.T) {
	w := newWorld(t)
	alice := w.join("alice")
	session, _ := w.open(alice, alice.device)
	next := device{alice.id, alice.d, newDevice().m}
	rotate := alice.extend(alice.chain.Rotate(w.clock.t, alice.signer(), next.public(), next.sign))(t)
	if err := w.append(session, rotate); err != nil {
		t.Fatal(err)
	}
	_, err := w.Sessions.Device(session)
	wantCode(t, "the old key's session", err, proto.BadSession)
	_, err = w.AccountOpen(t.Context(), w.proof(alice, alice.device))
	wantCode(t, "the old key", err, proto.Forbidden)
	w.open(alice, next)
}

func TestAChainGrowsOnlyByTrueLinks(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.join("alice"), w.join("bob")
	session, _ := w.open(alice, alice.device)
	before := alice.chain
	link := alice.extend(alice.chain.Refresh(w.clock.t, alice.signer()))(t)
	other, _ := before.Refresh(w.clock.t.Add(time.Hour), alice.signer())
	foreign, _ := bob.chain.Refresh(w.clock.t, bob.signer())
	forged := append([]byte(nil), link...)
	forged[len(forged)-1] ^= 1
	wantCode(t, "a forged link", w.append(session, forged), proto.BadChain)
	wantCode(t, "garbage", w.append(session, []byte("link")), proto.BadChain)
	wantCode(t, "another account's link", w.append(session, foreign), proto.BadChain)
	wantCode(t, "without session", w.append(proto.SessionID{}, link), proto.BadSession)
	for range 2 {
		if err := w.append(session, link); err != nil {
			t.Fatal(err)
		}
	}
	err := w.append(session, other)
	wantCode(t, "a second link at one place", err, proto.Conflict)
	got, err := w.ChainProof(t.Context(), &proto.ChainProofRequest{Session: session, Account: alice.account()})
	if err != nil || len(got.Links) != 2 || string(got.Links[1]) != string(link) {
		t.Errorf("%d links, %v", len(got.Links), err)
	}
}

func TestLookup(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.join("alice"), w.join("bob")
	session, _ := w.open(alice, alice.device)
	got, err := w.Lookup(t.Context(), &proto.LookupRequest{Session: session, Handle: "bob"})
	if err != nil || got.Account != bob.account() || len(got.Links) != 1 {
		t.Fatalf("%+v, %v", got, err)
	}
	for _, name := range []string{"carol", "B", ""} {
		_, err := w.Lookup(t.Context(), &proto.LookupRequest{Session: session, Handle: name})
		wantCode(t, "name "+name, err, proto.UnknownAccount)
	}
	_, err = w.Lookup(t.Context(), &proto.LookupRequest{Handle: "bob"})
	wantCode(t, "without session", err, proto.BadSession)
	_, err = w.ChainProof(t.Context(), &proto.ChainProofRequest{Session: session})
	wantCode(t, "no account", err, proto.UnknownAccount)
}

func TestStoredNamesAreSealed(t *testing.T) {
	w := newWorld(t)
	alice := w.join("alice")
	a, err := w.store.Account(t.Context(), alice.account())
	if err != nil {
		t.Fatal(err)
	}
	name, err := w.Key.Open("handle", a.ID[:], a.Handle)
	if err != nil || string(name) != "alice" || string(a.Handle) == "alice" {
		t.Errorf("%q, %v", name, err)
	}
}
