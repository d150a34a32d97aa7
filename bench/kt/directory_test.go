package kt

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"codeberg.org/huis/huis/internal/delivery/session"
	"codeberg.org/huis/huis/internal/delivery/store"
	"codeberg.org/huis/huis/internal/delivery/store/sqlite"
	"codeberg.org/huis/huis/internal/directory"
	"codeberg.org/huis/huis/internal/proto"
	"codeberg.org/huis/huis/kt"
)

type wallClock struct{}

func (wallClock) Now() time.Time { return time.Now() }

// unplaced is a database from before labels' places were stored.
type unplaced struct{ *sqlite.Store }

func (unplaced) Place(context.Context, proto.Hash) ([]byte, error) { return nil, nil }

// registered is how many people the directory has: the map's share is measured
// by itself.
const registered = 200

// town is a directory on a database, and one who asks.
type town struct {
	key      store.OperatorKey
	db       *sqlite.Store
	sessions *session.Table
	people   []proto.AccountID
	asker    proto.SessionID
}

func (w *town) open(b testing.TB, s directory.Store) *directory.Service {
	b.Helper()
	d, err := directory.Open(b.Context(), directory.Config{Store: s, Key: w.key, Clock: wallClock{}, Sessions: w.sessions, Origin: "huis.example"})
	if err != nil {
		b.Fatal(err)
	}
	return d
}

func newTown(b testing.TB) *town {
	b.Helper()
	db, err := sqlite.Open(b.Context(), filepath.Join(b.TempDir(), "huis.db"))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = db.Close() }) // only read
	w := &town{key: store.NewOperatorKey(), db: db, sessions: session.New(wallClock{})}
	d := w.open(b, db)
	for i := range registered {
		w.join(b, d, fmt.Sprintf("person%d", i))
	}
	return w
}

func (w *town) join(b testing.TB, d *directory.Service, handle string) {
	b.Helper()
	id, chain := kt.NewDeviceID(), kt.GenerateChainKey()
	_, m, _ := ed25519.GenerateKey(nil)
	sign := func(p []byte) ([]byte, error) { return ed25519.Sign(m, p), nil }
	e, err := kt.NewEnrolment(kt.AccountID{}, id, chain, kt.MessagePublicKey(m.Public().(ed25519.PublicKey)), sign)
	if err != nil {
		b.Fatal(err)
	}
	link, err := kt.Genesis(time.Now(), kt.DeviceSigner(id, chain), e)
	if err != nil {
		b.Fatal(err)
	}
	c, err := kt.Verify([][]byte{link})
	if err != nil {
		b.Fatal(err)
	}
	token := proto.New[proto.Token]()
	if err := w.db.AddInvite(b.Context(), store.Invite{Token: token.Hash(), Uses: 1, Expires: store.MinuteOf(time.Now()) + 60}); err != nil {
		b.Fatal(err)
	}
	if _, err := d.Register(b.Context(), &proto.RegisterRequest{Invite: token, Handle: handle, Links: [][]byte{link}}); err != nil {
		b.Fatal(err)
	}
	account := proto.AccountID(c.Account())
	if w.people = append(w.people, account); len(w.people) > 1 {
		return
	}
	nonce, _ := w.sessions.Nonce()
	r := &proto.AccountOpenRequest{Account: account, Device: proto.DeviceID(id), Nonce: nonce}
	copy(r.Sig[:], ed25519.Sign(m, proto.SessionProof(nonce, "huis.example", account, r.Device)))
	got, err := d.AccountOpen(b.Context(), r)
	if err != nil {
		b.Fatal(err)
	}
	w.asker = got.Session
}

// BenchmarkLookup asks the directory for what the log says of people: session,
// account, name, place, map, values, out of the database.
func BenchmarkLookup(b *testing.B) {
	w := newTown(b)
	for _, c := range []struct {
		name string
		s    directory.Store
	}{{"stored", w.db}, {"computed", unplaced{w.db}}} {
		d := w.open(b, c.s)
		b.Run(c.name, func(b *testing.B) {
			began, i := cpuTime(), 0
			for b.Loop() {
				r := &proto.ChainProofRequest{Session: w.asker, Account: w.people[i%registered]}
				if got, err := d.ChainProof(b.Context(), r); err != nil || len(got.Links) != 1 {
					b.Fatal(err)
				}
				i++
			}
			b.ReportMetric(float64(i)/(cpuTime()-began).Seconds(), "proofs/cpu-s")
		})
	}
}
