package sqlite

import (
	"bufio"
	"context"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"codeberg.org/huis/huis/internal/delivery/store"
	"codeberg.org/huis/huis/internal/delivery/store/storetest"
	"codeberg.org/huis/huis/internal/proto"
)

// filled makes a database with a log in it and returns who may read it.
func filled(t *testing.T, path string) (*storetest.World, storetest.Conversation) {
	t.Helper()
	s, err := Open(context.Background(), path)
	if err != nil {
		t.Fatal(err)
	}
	w := storetest.NewWorld(t, s)
	c := w.NewConversation(1)
	for i := range 40 {
		_, err := w.Append(storetest.Application(c.ID, c.Keys[0], 1, make([]byte, 500*i)))
		w.Must(err)
	}
	w.Must(s.Close())
	return w, c
}

// readable opens a database that may be damaged and reads the log. Damage is an
// error, and it is ErrDamaged; it never panics, and wrong bytes never come out.
func readable(t *testing.T, path string, w *storetest.World, c storetest.Conversation) error {
	t.Helper()
	s, err := Open(context.Background(), path)
	if err != nil {
		return err
	}
	defer s.Close()
	seen := 0
	for after := uint64(0); ; {
		r, err := s.Read(w.Ctx, c.ID, c.Keys[0].MK(), after, 1000, 1<<20)
		if err != nil {
			return err
		}
		storetest.CheckChain(t, r.Entries, w.Stamp.Public())
		if seen += len(r.Entries); len(r.Entries) == 0 {
			break
		}
		if after = r.Entries[len(r.Entries)-1].Receipt.Seq; after == r.Head {
			break
		}
	}
	if seen != 41 {
		return fmt.Errorf("silent loss: %d of 41 entries", seen)
	}
	return nil
}

func TestDamageIsToldOrHarmless(t *testing.T) {
	path := filepath.Join(t.TempDir(), "huis.db")
	w, c := filled(t, path)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := readable(t, path, w, c); err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewSource(7))
	told := 0
	for i := range 60 {
		bad := append([]byte{}, whole...)
		name := ""
		switch {
		case i%3 == 0:
			n := r.Intn(len(bad))
			bad, name = bad[:n], fmt.Sprintf("truncated at %d of %d", n, len(whole))
		case i%3 == 1:
			at := r.Intn(len(bad))
			bad[at] ^= 1 << r.Intn(8)
			name = fmt.Sprintf("a bit of byte %d flipped", at)
		default:
			at := r.Intn(len(bad)/4096) * 4096
			clear(bad[at : at+4096])
			name = fmt.Sprintf("page at %d zeroed", at)
		}
		damagedPath := filepath.Join(t.TempDir(), "huis.db")
		if err := os.WriteFile(damagedPath, bad, 0o600); err != nil {
			t.Fatal(err)
		}
		err := readable(t, damagedPath, w, c)
		if err == nil {
			continue
		}
		told++
		if strings.Contains(err.Error(), "silent loss") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if told < 30 {
		t.Errorf("only %d of 60 damages were told", told)
	}
}

func TestDamageSaysWhatToDo(t *testing.T) {
	path := filepath.Join(t.TempDir(), "huis.db")
	filled(t, path)
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for name, bad := range map[string][]byte{"another file": []byte(strings.Repeat("not a database. ", 500)), "truncated": b[:len(b)/2/4096*4096]} {
		if err := os.WriteFile(path, bad, 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := Open(context.Background(), path)
		if err == nil {
			s.Close()
		}
		if !errors.Is(err, store.ErrDamaged) || !strings.Contains(err.Error(), "restore the newest backup") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := Open(context.Background(), filepath.Join(path, "not-a-folder", "huis.db")); err == nil {
		t.Error("opened below a file")
	}
}

// A flipped bit that SQLite does not see is not stamped upon and not handed out.
func TestFlippedFieldsAreDamage(t *testing.T) {
	for _, change := range []string{
		"UPDATE conversation SET chain = zeroblob(32)", "UPDATE conversation SET epoch = 9", "UPDATE entry SET stamp = zeroblob(64)",
		"UPDATE entry SET minute = minute + 1", "UPDATE entry SET bytes = zeroblob(10)",
	} {
		path := filepath.Join(t.TempDir(), "huis.db")
		s := openTest(t, path)
		w := storetest.NewWorld(t, s)
		c := w.NewConversation(1)
		e := storetest.Application(c.ID, c.Keys[0], 1, nil)
		_, err := w.Append(e)
		w.Must(err)
		w.Must(s.writer.submit(w.Ctx, 1, func(t *tx) error { return t.run(change) }))
		_, appended := w.Append(storetest.Application(c.ID, c.Keys[0], 1, nil))
		_, read := s.Read(w.Ctx, c.ID, c.Keys[0].MK(), 0, 10, 1<<20)
		if !errors.Is(appended, store.ErrDamaged) && !errors.Is(read, store.ErrDamaged) {
			t.Errorf("%s: appending says %v, reading %v", change, appended, read)
		}
		if _, _, err := s.Known(w.Ctx, c.ID, e.Hash()); strings.Contains(change, "stamp") && !errors.Is(err, store.ErrDamaged) {
			t.Errorf("%s: the receipt is given out: %v", change, err)
		}
	}
}

const childEnv = "HUIS_TEST_CHILD_DB"

// TestMain lets this binary be the child that is killed.
func TestMain(m *testing.M) {
	if path := os.Getenv(childEnv); path != "" {
		childWrites(path)
		return
	}
	flag.Parse()
	// Runs of the property tests and steps of each, unless told otherwise.
	for name, value := range map[string]string{"rapid.checks": "25", "rapid.steps": "120"} {
		if f := flag.Lookup(name); f.Value.String() == f.DefValue {
			f.Value.Set(value)
		}
	}
	os.Exit(m.Run())
}

// childWrites appends in many goroutines until it is killed, and prints what it
// was told, each line in one write: conversation, member key, seq, hash.
func childWrites(path string) {
	s, err := Open(context.Background(), path)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	w := storetest.NewWorld(panicking{}, s)
	for range 8 {
		c := w.NewConversation(1)
		go func() {
			for {
				e := storetest.Application(c.ID, c.Keys[0], 1, make([]byte, 700))
				a, err := w.Append(e)
				if err != nil {
					panic(err)
				}
				mk, hash := c.Keys[0].MK(), e.Hash()
				fmt.Printf("%s %s %d %s\n", c.ID.Hex(), mk.Hex(), a.Receipt.Seq, hash.Hex())
			}
		}()
	}
	select {}
}

// panicking is the testing.TB of a process that is no test.
type panicking struct{ testing.TB }

func (panicking) Helper()                   {}
func (panicking) Fatal(v ...any)            { panic(fmt.Sprint(v...)) }
func (panicking) Fatalf(f string, v ...any) { panic(fmt.Sprintf(f, v...)) }

type told struct {
	mk   proto.MemberKey
	seqs map[uint64]proto.Hash
}

// What a killed server has answered is there when it starts again.
func TestAnsweredSurvivesKill(t *testing.T) {
	path := filepath.Join(t.TempDir(), "huis.db")
	all := map[proto.ConversationID]*told{}
	total := 0
	for round := range 4 {
		total += killedChild(t, path, time.Duration(80+round*90)*time.Millisecond, all)
	}
	s := openTest(t, path)
	for id, want := range all {
		got := map[uint64]proto.Hash{}
		head := uint64(0)
		for after := uint64(0); ; after = head {
			r, err := s.Read(context.Background(), id, want.mk, after, 1000, 8<<20)
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range r.Entries {
				if e.Receipt.Seq != head+1 {
					t.Fatalf("seq %d follows %d", e.Receipt.Seq, head)
				}
				head = e.Receipt.Seq
				got[head] = e.Entry.Hash()
			}
			if head == r.Head {
				break
			}
		}
		for seq, hash := range want.seqs {
			if got[seq] != hash {
				t.Fatalf("answered entry %d is not there", seq)
			}
		}
	}
	if total < 50 {
		t.Errorf("only %d entries were answered before the kills", total)
	}
	if err := s.Check(context.Background()); err != nil {
		t.Error(err)
	}
}

// killedChild runs a child for a while after its first answer, kills it and
// notes what it had printed.
func killedChild(t *testing.T, path string, life time.Duration, all map[proto.ConversationID]*told) (n int) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"="+path)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	in := bufio.NewReader(out)
	for {
		line, err := in.ReadString('\n')
		if errors.Is(err, io.EOF) {
			break // a last line without its end was not told
		} else if err != nil {
			t.Fatal(err)
		}
		if n++; n == 1 {
			time.AfterFunc(life, func() { cmd.Process.Kill() })
		}
		note(t, all, line)
	}
	cmd.Wait()
	return n
}

func note(t *testing.T, all map[proto.ConversationID]*told, line string) {
	t.Helper()
	var id, mk, hash string
	var seq uint64
	if _, err := fmt.Sscan(line, &id, &mk, &seq, &hash); err != nil {
		t.Fatalf("%q: %v", line, err)
	}
	unhex := func(s string) [32]byte {
		b, err := hex.DecodeString(s)
		if err != nil || len(b) != 32 {
			t.Fatalf("%q: %v", s, err)
		}
		return [32]byte(b)
	}
	c := all[unhex(id)]
	if c == nil {
		c = &told{unhex(mk), map[uint64]proto.Hash{}}
		all[unhex(id)] = c
	}
	c.seqs[seq] = unhex(hash)
}
