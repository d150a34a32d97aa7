package client

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"codeberg.org/huis/huis/internal/delivery"
	"codeberg.org/huis/huis/internal/delivery/session"
	serverstore "codeberg.org/huis/huis/internal/delivery/store"
	servermem "codeberg.org/huis/huis/internal/delivery/store/mem"
	"codeberg.org/huis/huis/internal/delivery/store/sqlite"
	"codeberg.org/huis/huis/internal/directory"
	"codeberg.org/huis/huis/internal/httpapi"
	"codeberg.org/huis/huis/internal/proto"
	"codeberg.org/huis/huis/kt"
)

// testHold is how long a restored server of a test waits.
const testHold = time.Hour

// loseDisk puts the server back from the worst backup there is: its keys and the
// first epochs of its log.
func (w *world) loseDisk(epochs int) {
	w.t.Helper()
	ctx := w.t.Context()
	s := servermem.New()
	must := func(err error) {
		w.t.Helper()
		if err != nil {
			w.t.Fatal(err)
		}
	}
	keys, err := w.store.StampKeys(ctx)
	must(err)
	for _, k := range keys {
		must(s.AddStampKey(ctx, k))
	}
	all, err := w.store.Epochs(ctx, 0, epochs)
	must(err)
	for _, e := range all {
		must(s.AddEpoch(ctx, e))
	}
	must(s.PutSetting(ctx, serverstore.SettingRestored, serverstore.Restored{Hold: testHold}.Encode()))
	w.store = s
	w.restartServer("test")
}

// onDisk is a world whose server can be put back to what it was.
type onDisk struct {
	*world
	path string
}

func newOnDisk(t *testing.T) *onDisk {
	t.Helper()
	path := filepath.Join(t.TempDir(), "huis.db")
	return &onDisk{newWorldOn(t, serverstore.NewOperatorKey(), openDisk(t, path)), path}
}

func openDisk(t *testing.T, path string) serverstore.Store {
	t.Helper()
	st, err := sqlite.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = st.Close() })
	return st
}

// backUp copies the server's store; restore puts it back in its place.
func (w *onDisk) backUp() (restore func()) {
	w.t.Helper()
	ctx := w.t.Context()
	if err := w.store.Truncate(ctx); err != nil {
		w.t.Fatal(err)
	}
	b, err := os.ReadFile(w.path)
	if err != nil {
		w.t.Fatal(err)
	}
	return func() {
		w.t.Helper()
		w.path = filepath.Join(w.t.TempDir(), "huis.db")
		if err := os.WriteFile(w.path, b, 0o600); err != nil {
			w.t.Fatal(err)
		}
		w.store = openDisk(w.t, w.path)
		if err := errors.Join(w.store.ForgetPromises(ctx), w.store.PutSetting(ctx, serverstore.SettingRestored, serverstore.Restored{Hold: testHold}.Encode())); err != nil {
			w.t.Fatal(err)
		}
		w.restartServer("test")
	}
}

// restartServer starts the server anew on what is stored, which may be what was
// put back from a backup.
func (w *world) restartServer(origin string) {
	w.t.Helper()
	ctx := w.t.Context()
	b, err := w.store.Setting(ctx, serverstore.SettingRestored)
	if err != nil {
		w.t.Fatal(err)
	}
	r, on := serverstore.ParseRestored(b)
	config := w.service.Config
	config.Store, config.Sessions, config.NewGeneration, config.Origin = w.store, session.New(w.clock), on && !r.Begun, origin
	if w.service, err = delivery.Open(ctx, config); err != nil {
		w.t.Fatal(err)
	}
	var restoration *directory.Restoration
	if on {
		restoration = &directory.Restoration{
			Hold:  r.Hold,
			Ended: func(context.Context) (bool, error) { return r.Ended, nil },
			Release: func(ctx context.Context) error {
				return errors.Join(w.logStampKeys(), w.store.PutSetting(ctx, serverstore.SettingRestored, nil))
			},
		}
	}
	w.accounts, err = directory.Open(ctx, directory.Config{Store: w.store, Key: w.key, Clock: w.clock, Sessions: config.Sessions, Origin: origin, LogName: strings.TrimPrefix(strings.TrimPrefix(origin, "test"), "/"), Restoration: restoration})
	if err != nil {
		w.t.Fatal(err)
	}
	if !w.accounts.Restoring(ctx) {
		if err := w.logStampKeys(); err != nil {
			w.t.Fatal(err)
		}
	}
	w.handler = httpapi.NewHandler(httpapi.Config{Directory: w.accounts, Delivery: w.service, Sessions: config.Sessions, Clock: w.clock, Log: config.Log})
}

// logStampKeys puts the server's stamp keys and generations into its log.
func (w *world) logStampKeys() error {
	info, err := w.service.Info(w.t.Context(), nil)
	if err != nil {
		return err
	}
	for _, k := range info.StampKeys {
		err := w.accounts.AddToLog(w.t.Context(), kt.KindStampKey, k.KID[:], k.Public[:])
		if err := errors.Join(err, w.accounts.AddToLog(w.t.Context(), kt.KindGeneration, k.Generation[:], k.KID[:])); err != nil {
			return err
		}
	}
	return nil
}

// goOn lets the restored server's wait pass.
func (w *world) goOn(all ...*device) {
	w.t.Helper()
	for _, d := range all {
		if err := d.Sync(w.t.Context()); err != nil && !errors.Is(err, proto.Restoring) {
			w.t.Fatalf("%s gives back: %v", d.name, err)
		}
	}
	w.clock.advance(testHold)
	if w.accounts.Restoring(w.t.Context()) {
		w.t.Fatal("the server still waits")
	}
}

// A long log goes back in pages, each of them checked; what is cut off goes on.
func TestALongLogIsGivenBackInPages(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.person("alice"), w.person("bob")
	alice.newChat("plan", "bob")
	bob.sync()
	for _, name := range []string{"carol", "dave", "erin"} {
		w.person(name)
	}
	for _, d := range []*device{alice, bob} {
		if err := d.lookAtLog(); err != nil {
			t.Fatal(err)
		}
	}
	before := alice.logStatus()
	w.loseDisk(2)
	given, lost := 0, 0
	alice.givePage, bob.givePage = 1, 1
	alice.net.set(func(n *wireTo) {
		n.after = func(m proto.Method) error {
			if m != proto.GiveLog {
				return nil
			}
			if given++; given == 3 {
				lost++
				return ErrUnreachable
			}
			return nil
		}
	})
	if err := alice.Sync(t.Context()); !errors.Is(err, ErrUnreachable) {
		t.Fatalf("an answer is lost: %v", err)
	}
	if err := alice.Sync(t.Context()); !errors.Is(err, proto.Restoring) {
		t.Fatal(err)
	}
	if uint64(given) < before.Size-3 || lost != 1 {
		t.Errorf("%d epochs went back in %d requests", before.Size-2, given)
	}
	got, err := w.accounts.LogHead(t.Context(), &proto.LogHeadRequest{})
	if err != nil {
		t.Fatal(err)
	}
	k, err := alice.logKeys(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if now, err := kt.VerifyCheckpoint(got.Checkpoint, k.Log, nil); err != nil || now.Size != before.Size || now.Root.Hex() != before.Root {
		t.Fatalf("the log is %d epochs long again, %v; it was %d", now.Size, err, before.Size)
	}
	w.goOn(alice, bob)
	alice.send("plan", "and on it goes")
	bob.expect("plan", "alice: and on it goes")
}
