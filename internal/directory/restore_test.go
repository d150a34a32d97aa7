package directory

import (
	"context"
	"errors"
	"testing"
	"time"

	"codeberg.org/huis/huis/internal/delivery/session"
	"codeberg.org/huis/huis/internal/delivery/store/mem"
	"codeberg.org/huis/huis/internal/directory/epochs"
	"codeberg.org/huis/huis/internal/proto"
	"codeberg.org/huis/huis/kt"
)

// restored is the directory on a store that has nothing of what came after its
// first n epochs and no account, and waits for it.
func (w *world) restored(n int) (again *world, released *int) {
	w.t.Helper()
	s := mem.New()
	all, err := w.store.Epochs(w.t.Context(), 0, n)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, e := range all {
		if err := s.AddEpoch(w.t.Context(), e); err != nil {
			w.t.Fatal(err)
		}
	}
	released = new(int)
	service, err := Open(w.t.Context(), Config{
		Store: s, Key: w.Key, Clock: w.clock, Sessions: session.New(w.clock), Origin: w.Origin,
		Restoration: &Restoration{
			Hold:    time.Hour,
			Ended:   func(context.Context) (bool, error) { return false, nil },
			Release: func(context.Context) error { *released++; return nil },
		},
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return &world{t: w.t, clock: w.clock, store: s, Service: service}, released
}

// kept is what a client has of the log.
func (w *world) kept() *proto.GiveLogRequest {
	w.t.Helper()
	head, err := w.log.Head(0)
	if err != nil {
		w.t.Fatal(err)
	}
	all, err := w.store.Epochs(w.t.Context(), 0, 1000)
	if err != nil {
		w.t.Fatal(err)
	}
	r := &proto.GiveLogRequest{Checkpoint: head.Checkpoint}
	for _, e := range all {
		r.Epochs = append(r.Epochs, proto.LogEpoch{Record: e.Record, Batch: e.Batch})
	}
	return r
}

func (w *world) giveLog(r *proto.GiveLogRequest) error {
	_, err := w.GiveLog(w.t.Context(), r)
	return err
}

func (w *world) giveAccount(handle string, links [][]byte) error {
	_, err := w.GiveAccount(w.t.Context(), &proto.GiveAccountRequest{Handle: handle, Links: links})
	return err
}

func (w *world) done(p *person) bool {
	w.t.Helper()
	session, _ := w.open(p, p.device)
	got, err := w.GiveDone(w.t.Context(), &proto.GiveDoneRequest{Session: session})
	if err != nil {
		w.t.Fatal(err)
	}
	return !got.Waiting
}

func TestARestoredServerTakesItsLogAndAccountsBack(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.join("alice"), w.join("bob")
	session, _ := w.open(bob, bob.device)
	if err := w.append(session, bob.extend(bob.chain.Refresh(w.clock.t, bob.signer()))(t)); err != nil {
		t.Fatal(err)
	}
	kept := w.kept()
	now, released := w.restored(1)
	if !now.Restoring(t.Context()) {
		t.Fatal("it does not wait")
	}
	wantCode(t, "before the log", now.giveAccount("bob", bob.links), proto.Forbidden)

	cut := *kept
	cut.Epochs = cut.Epochs[:len(cut.Epochs)-1]
	wantCode(t, "a log cut short", now.giveLog(&cut), proto.Forbidden)
	cut.Consistency = []proto.Hash{{1}}
	wantCode(t, "a page that its checkpoint does not continue", now.giveLog(&cut), proto.Forbidden)
	other := newWorld(t)
	other.join("mallory")
	wantCode(t, "another server's log", now.giveLog(other.kept()), proto.Forbidden)
	swapped := *kept
	swapped.Epochs = append([]proto.LogEpoch{}, kept.Epochs...)
	swapped.Epochs[1], swapped.Epochs[2] = swapped.Epochs[2], swapped.Epochs[1]
	wantCode(t, "a log in another order", now.giveLog(&swapped), proto.Forbidden)
	if size, _ := now.log.Head(0); size.Record.N != 0 {
		t.Fatal("something of what was refused was taken")
	}
	for range 2 {
		if err := now.giveLog(kept); err != nil {
			t.Fatal(err)
		}
	}
	if a, b := w.kept(), now.kept(); len(a.Epochs) != len(b.Epochs) || string(a.Checkpoint) != string(b.Checkpoint) {
		t.Error("another log than there was")
	}

	wantCode(t, "under another name", now.giveAccount("alice", bob.links), proto.Forbidden)
	wantCode(t, "under a name nobody has", now.giveAccount("nobody", bob.links), proto.Forbidden)
	stranger := newPerson(t, w.clock.t)
	wantCode(t, "a chain the log never had", now.giveAccount("bob", stranger.links), proto.Forbidden)
	wantCode(t, "a name the log has, while its account is missing", now.register(stranger, now.invitation(1, time.Hour), "bob"), proto.NameTaken)
	if err := now.giveAccount("bob", bob.links[:1]); err != nil { // by a device that knows less
		t.Fatal(err)
	}
	if now.done(bob) {
		t.Error("it does not wait for alice")
	}
	for range 2 {
		if err := now.giveAccount("bob", bob.links); err != nil {
			t.Fatal(err)
		}
	}
	if err := now.giveAccount("alice", alice.links); err != nil {
		t.Fatal(err)
	}
	if *released != 0 {
		t.Error("released too early")
	}
	if !now.done(alice) || now.Restoring(t.Context()) || *released != 1 {
		t.Error("everybody is done and it still waits")
	}
	for p, admin := range map[*person]bool{alice: true, bob: false} {
		if _, is := now.open(p, p.device); is != admin {
			t.Errorf("admin %v", is)
		}
	}
	mine, _ := now.open(bob, bob.device)
	now.checkLogged(alice, mine, "alice")
	now.checkLogged(bob, mine, "bob")
	if err := now.append(mine, bob.extend(bob.chain.Refresh(w.clock.t, bob.signer()))(t)); err != nil {
		t.Error("the chain does not go on:", err)
	}
	now.checkLogged(bob, mine, "bob")
	now.join("carol")
}

// ahead is a witness that stands at a size.
type ahead struct {
	size uint64
	away bool
}

func (a *ahead) Key() kt.NoteKey { return kt.NoteKey{Name: "w.example"} }
func (a *ahead) Cosign(_ context.Context, _ kt.NoteKey, old uint64, _ []kt.Hash, _ []byte) ([]byte, error) {
	if a.away {
		return nil, errors.New("away")
	}
	if old < a.size {
		return nil, &epochs.StandsAt{Size: a.size}
	}
	return []byte("— w.example AAAA\n"), nil
}

func TestARestoredServerForksNothingAWitnessSaw(t *testing.T) {
	w := newWorld(t)
	alice := w.join("alice")
	w.join("bob")
	kept := w.kept()
	now, released := w.restored(2)
	now.log.Witnesses = []epochs.Witness{&ahead{size: uint64(len(kept.Epochs))}}
	if err := now.giveAccount("alice", alice.links); err != nil {
		t.Fatal(err)
	}
	now.done(alice)
	w.clock.t = w.clock.t.Add(2 * time.Hour) // longer than it waits
	if !now.Restoring(t.Context()) || *released != 0 {
		t.Fatal("it goes on although a witness knows more of the log")
	}
	if err := now.giveLog(kept); err != nil {
		t.Fatal(err)
	}
	if now.Restoring(t.Context()) || *released != 1 {
		t.Error("it has the log, the time is over, and it still waits")
	}
}

// One witness that lies, or that is right and was alone with it, does not keep a
// restored server for ever; as many as clients ask for do, and those that are away
// may be among them.
func TestOneWitnessDoesNotHoldARestoredServerForEver(t *testing.T) {
	for name, x := range map[string]struct {
		witnesses []epochs.Witness
		waits     time.Duration // less than 0: for ever
	}{
		"one of three says so":        {[]epochs.Witness{&ahead{size: 1 << 40}, &ahead{}, &ahead{}}, 2 * time.Hour},
		"two of three say so":         {[]epochs.Witness{&ahead{size: 1 << 40}, &ahead{size: 9}, &ahead{}}, -1},
		"one says so, one is away":    {[]epochs.Witness{&ahead{size: 1 << 40}, &ahead{away: true}, &ahead{}}, -1},
		"one is away":                 {[]epochs.Witness{&ahead{away: true}, &ahead{}, &ahead{}}, 0},
		"all are away":                {[]epochs.Witness{&ahead{away: true}, &ahead{away: true}}, -1},
		"the only one there is knows": {[]epochs.Witness{&ahead{size: 9}}, -1},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			alice := w.join("alice")
			w.join("bob")
			now, _ := w.restored(2)
			now.log.Witnesses = x.witnesses
			if err := now.giveAccount("alice", alice.links); err != nil {
				t.Fatal(err)
			}
			now.done(alice)
			for waited := time.Duration(0); waited <= 40*time.Hour; waited += time.Hour {
				if over := !now.Restoring(t.Context()); over != (x.waits >= 0 && waited >= x.waits) {
					t.Fatalf("after %v it goes on: %v", waited, over)
				}
				w.clock.t = w.clock.t.Add(time.Hour)
			}
		})
	}
}

// An opening follows from key and value, so that a lost database loses none.
func TestOpeningsAreNotLost(t *testing.T) {
	w := newWorld(t)
	again := &world{t: t, clock: w.clock, store: w.store, Service: &Service{Config: Config{Key: w.Key}}}
	x := kt.Index{1}
	if w.opening(x, 1, []byte("a")) != again.opening(x, 1, []byte("a")) {
		t.Error("another opening")
	}
	seen := map[kt.Opening]bool{}
	for _, o := range []kt.Opening{w.opening(x, 1, []byte("a")), w.opening(x, 2, []byte("a")), w.opening(x, 1, []byte("b")), w.opening(kt.Index{2}, 1, []byte("a"))} {
		if seen[o] {
			t.Error("two values have one opening")
		}
		seen[o] = true
	}
}

// A policy that was put into the log after the backup comes back with the log.
func TestWitnessPoliciesAreGivenBack(t *testing.T) {
	w := newWorld(t)
	admin := w.join("admin")
	session, _ := w.open(admin, admin.device)
	log, vrf := w.LogKeys()
	key := kt.GeneratePolicyKey()
	first := kt.Policy{
		Origin: log.Name, LogKey: log.Key, VRFKey: vrf, Quorum: kt.QuorumNone,
		Signers: []kt.PolicySigner{{Account: kt.AccountID(admin.account()), Key: key.Public()}}, M: 1,
	}
	signed := (&kt.SignedPolicy{Policy: first, Signatures: []kt.PolicySignature{key.Sign(&first, 0)}}).Encode()
	if _, err := w.PolicyPut(t.Context(), &proto.PolicyPutRequest{Session: session, Policy: signed}); err != nil {
		t.Fatal(err)
	}
	kept := w.kept()
	now, _ := w.restored(1)
	forged := *kept
	forged.Policies = [][]byte{append([]byte{}, signed...)}
	forged.Policies[0][len(signed)-1] ^= 1
	wantCode(t, "a policy the log never had", now.giveLog(&forged), proto.Forbidden)
	request := &proto.LogEntryRequest{Kind: uint8(kt.KindPolicy), Label: []byte(kt.PolicyLabel)}
	if _, err := now.LogEntry(t.Context(), request); err == nil {
		t.Error("the log proves a policy that is not there")
	}
	kept.Policies = [][]byte{signed}
	for range 2 {
		if err := now.giveLog(kept); err != nil {
			t.Fatal(err)
		}
	}
	got, err := now.LogEntry(t.Context(), request)
	if err != nil || len(got.Values) != 1 || string(got.Values[0]) != string(signed) {
		t.Errorf("%d policies, %v", len(got.Values), err)
	}
}

// What a server itself has for the log waits for its end to be given back; what
// stood there already is not put there twice.
func TestOwnLabelsOfARestoredServer(t *testing.T) {
	w := newWorld(t)
	alice := w.join("alice")
	old, fresh := []byte("a release before"), []byte("a release after")
	if err := w.AddToLog(t.Context(), kt.KindRelease, old, []byte("sum")); err != nil {
		t.Fatal(err)
	}
	kept := w.kept()
	now, _ := w.restored(1)
	for _, label := range [][]byte{old, fresh} {
		if err := now.AddToLog(t.Context(), kt.KindRelease, label, []byte("sum")); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := now.LogHead(t.Context(), &proto.LogHeadRequest{From: uint64(len(kept.Epochs))}); !errors.Is(err, proto.Restoring) {
		t.Errorf("who knows more of the log is told %v", err)
	}
	if err := errors.Join(now.giveLog(kept), now.giveAccount("alice", alice.links)); err != nil {
		t.Fatal(err)
	}
	if !now.done(alice) {
		t.Fatal("it still waits")
	}
	for _, label := range [][]byte{old, fresh} {
		got, err := now.LogEntry(t.Context(), &proto.LogEntryRequest{Kind: uint8(kt.KindRelease), Label: label})
		if err != nil || len(got.Values) != 1 || string(got.Values[0]) != "sum" {
			t.Errorf("%s: %d values, %v", label, len(got.Values), err)
		}
	}
	now.join("bob") // the log goes on
}

// Names that changed on the lost day are given back, whatever comes first, also
// of an account that the backup has under the old name, and of the admin.
func TestRenamingsAreGivenBack(t *testing.T) {
	for what, backup := range map[string]int{"nothing of the account": 1, "the account under its old name": 2} {
		for _, leftFirst := range []bool{true, false} {
			w := newWorld(t)
			alice := w.join("alice")
			session, _ := w.open(alice, alice.device)
			w.renamed(alice, session, "alice", "alice.w")
			kept := w.kept()
			now, released := w.restored(backup)
			if err := now.giveLog(kept); err != nil {
				t.Fatal(err)
			}
			if backup == 2 {
				if err := now.giveAccount("alice", alice.links[:1]); err != nil {
					t.Fatal(err)
				}
			}
			wantCode(t, "a renaming that does not end there", now.giveAccount("alice", append(alice.links[:2:2], alice.links[1])), proto.BadChain)
			give := []func() error{
				func() error { return now.giveAccount("alice", alice.links) },
				func() error { return now.giveAccount("alice.w", alice.links) },
			}
			if !leftFirst {
				give[0], give[1] = give[1], give[0]
			}
			for range 2 {
				for _, g := range give {
					if err := g(); err != nil {
						t.Fatalf("%s, left first %v: %v", what, leftFirst, err)
					}
				}
			}
			if !now.done(alice) || *released != 1 {
				t.Errorf("%s, left first %v: everybody is done and it still waits", what, leftFirst)
			}
			session, admin := now.open(alice, alice.device)
			now.lookupIs(session, "alice.w", alice)
			now.lookupIs(session, "alice", alice)
			if a, err := now.store.Account(t.Context(), alice.account()); err != nil || a.Lookup != now.lookup("alice.w") {
				t.Errorf("%s, left first %v: found by another name, %v", what, leftFirst, err)
			}
			if n := now.nameLeft(alice, session, "alice"); !n.Last().Chain.Left(n.Index) || !admin {
				t.Errorf("%s, left first %v: the old name is not left, or the first is no admin", what, leftFirst)
			}
			now.renamed(alice, session, "alice.w", "alice")
			now.checkNames(t)
		}
	}
}
