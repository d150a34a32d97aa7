package witness

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"codeberg.org/huis/huis/kt"
	"golang.org/x/mod/sumdb/tlog"
)

func signer(t testing.TB, name string, seed byte) *kt.NoteSigner {
	t.Helper()
	s, err := kt.NewNoteSigner(name, bytes.Repeat([]byte{seed}, 32))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// fakeLog is a log of arbitrary leaves; two with another fork fork from there.
type fakeLog struct {
	signer *kt.NoteSigner
	hashes []tlog.Hash
	roots  []kt.Hash // by size
}

func (l *fakeLog) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	for i, x := range indexes {
		out[i] = l.hashes[x]
	}
	return out, nil
}

func newLog(t testing.TB, origin string, n, fork int) *fakeLog {
	l := &fakeLog{signer: signer(t, origin, 1), roots: []kt.Hash{kt.Frontier{}.Root()}}
	for i := range n {
		leaf := fmt.Sprint(i)
		if i >= fork {
			leaf = fmt.Sprint("other ", i)
		}
		h, err := tlog.StoredHashes(int64(i), []byte(leaf), l)
		if err != nil {
			t.Fatal(err)
		}
		l.hashes = append(l.hashes, h...)
		root, err := tlog.TreeHash(int64(i+1), l)
		if err != nil {
			t.Fatal(err)
		}
		l.roots = append(l.roots, kt.Hash(root))
	}
	return l
}

// request is what the log asks to go from one size to another.
func (l *fakeLog) request(t testing.TB, old, size int) (uint64, []kt.Hash, []byte) {
	t.Helper()
	var proof []kt.Hash
	if old > 0 && old < size {
		p, err := tlog.ProveTree(int64(size), int64(old), l)
		if err != nil {
			t.Fatal(err)
		}
		for _, h := range p {
			proof = append(proof, kt.Hash(h))
		}
	}
	return uint64(old), proof, l.signer.SignCheckpoint(uint64(size), l.roots[size])
}

func open(t testing.TB, dir string, logs ...kt.NoteKey) *Witness {
	t.Helper()
	w, err := New(Config{Dir: dir, Signer: signer(t, "witness.example", 9), Now: func() time.Time { return time.Unix(1700000000, 0) }, Logs: logs})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// served asks over HTTP, as a server does.
func served(t testing.TB, w *Witness) *Client {
	s := httptest.NewServer(w.Handler())
	t.Cleanup(s.Close)
	return &Client{URL: s.URL, Key: w.Signer.Public(), HTTP: s.Client()}
}

func TestAWitnessFollowsOneHistory(t *testing.T) {
	const origin = "log.example"
	honest, forked := newLog(t, origin, 30, 30), newLog(t, origin, 30, 10)
	w := open(t, t.TempDir(), honest.signer.Public())
	c := served(t, w)
	log := honest.signer.Public()
	ask := func(l *fakeLog, old, size int) error {
		o, p, cp := l.request(t, old, size)
		line, err := c.AddCheckpoint(t.Context(), log, o, p, cp)
		if err == nil && !strings.HasPrefix(string(line), "— witness.example ") {
			t.Errorf("line %q", line)
		}
		return err
	}
	conflict := func(err error) bool {
		var e *ConflictError
		return errors.As(err, &e) && e.Size == 12
	}
	for _, step := range [][2]int{{0, 5}, {5, 12}, {12, 12}} {
		if err := ask(honest, step[0], step[1]); err != nil {
			t.Fatalf("%v: %v", step, err)
		}
	}
	if err := ask(forked, 12, 20); !errors.Is(err, ErrProof) {
		t.Errorf("a fork that grew: %v", err)
	}
	if err := ask(forked, 12, 12); !conflict(err) {
		t.Errorf("a fork of the same size: %v", err)
	}
	if err := ask(forked, 0, 20); !conflict(err) {
		t.Errorf("a fork from nothing: %v", err)
	}
	if err := ask(honest, 5, 20); !conflict(err) {
		t.Errorf("an old size: %v", err)
	}
	o, _, cp := honest.request(t, 12, 20)
	if _, err := c.AddCheckpoint(t.Context(), log, o, nil, cp); !errors.Is(err, ErrProof) {
		t.Errorf("no proof: %v", err)
	}
	if err := ask(honest, 12, 20); err != nil {
		t.Errorf("goes on: %v", err)
	}
	files, _ := filepath.Glob(filepath.Join(w.Dir, "*.evidence"))
	if len(files) != 1 {
		t.Fatalf("%d evidence files", len(files))
	}
	proof, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	if kind, accused, err := kt.VerifyEvidence(proof); err != nil || kind != kt.EvidenceSplitView || accused != log {
		t.Errorf("evidence: %s, %v", kind, err)
	}
}

func TestAWitnessRefuses(t *testing.T) {
	l := newLog(t, "log.example", 5, 5)
	c := served(t, open(t, t.TempDir(), l.signer.Public()))
	o, p, _ := l.request(t, 0, 5)
	other := signer(t, "log.example", 2).SignCheckpoint(5, l.roots[5])
	unknown := signer(t, "unknown.example", 2).SignCheckpoint(5, l.roots[5])
	for what, c1 := range map[string]struct {
		cp   []byte
		want error
	}{"another key": {other, ErrSignature}, "unknown log": {unknown, ErrUnknownLog}, "no note": {[]byte("hello"), ErrMalformed}} {
		if _, err := c.AddCheckpoint(t.Context(), l.signer.Public(), o, p, c1.cp); !errors.Is(err, c1.want) {
			t.Errorf("%s: %v", what, err)
		}
	}
	for _, body := range []string{"", "old 1\n", "old -1\n\nx", "old 01\n\nx", "new 1\n\nx", "old 1\nnot base64\n\nx", "old 1\nAAAA\n\nx", "old 1\n" + strings.Repeat(strings.Repeat("A", 43)+"=\n", 65) + "\nx"} {
		if _, _, _, err := parseRequest([]byte(body)); !errors.Is(err, ErrMalformed) {
			t.Errorf("%.40q: %v", body, err)
		}
	}
	o, p, cp := l.request(t, 0, 5)
	c.Key = signer(t, "witness.example", 8).Public()
	if _, err := c.AddCheckpoint(t.Context(), l.signer.Public(), o, p, cp); err == nil {
		t.Error("the cosignature of another witness accepted")
	}
}

func TestEnrolment(t *testing.T) {
	l := newLog(t, "log.example", 5, 5)
	asked := 0
	dir := t.TempDir()
	w := open(t, dir)
	w.MaxLogs = 1
	w.Enrol = func(_ context.Context, origin string) (kt.NoteKey, error) {
		asked++
		return signer(t, origin, 1).Public(), nil
	}
	for _, size := range []int{3, 5} {
		old := size * (size - 3) / 2 * 3 / 5 // 0, then 3
		o, p, cp := l.request(t, old, size)
		if _, err := w.AddCheckpoint(t.Context(), o, p, cp); err != nil {
			t.Fatal(err)
		}
	}
	if asked != 1 {
		t.Errorf("asked %d times", asked)
	}
	o, p, cp := newLog(t, "second.example", 5, 5).request(t, 0, 5)
	if _, err := w.AddCheckpoint(t.Context(), o, p, cp); !errors.Is(err, ErrUnknownLog) {
		t.Errorf("above the limit: %v", err)
	}
	if again := open(t, dir); len(again.Logs()) != 1 || again.Logs()[0].Size != 5 {
		t.Errorf("after a restart: %+v", again.Logs())
	}
	if _, err := New(Config{Dir: dir, Signer: w.Signer, Logs: []kt.NoteKey{signer(t, "log.example", 7).Public()}}); err == nil {
		t.Error("the key of a log changed without an error")
	}
}

func TestDamagedStateIsNotForgotten(t *testing.T) {
	dir := t.TempDir()
	l := newLog(t, "log.example", 5, 5)
	w := open(t, dir, l.signer.Public())
	o, p, cp := l.request(t, 0, 5)
	if _, err := w.AddCheckpoint(t.Context(), o, p, cp); err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(dir, fileOf("log.example"))
	good, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	for _, bad := range [][]byte{{}, good[:len(good)-20], bytes.Replace(good, []byte("\n5\n"), []byte("\n4\n"), 1)} {
		if err := os.WriteFile(name, bad, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := New(Config{Dir: dir, Signer: w.Signer}); err == nil {
			t.Errorf("%d of %d bytes accepted", len(bad), len(good))
		}
	}
}

// TestKilledWitnessNeverSignsTwoForks runs a witness as a process that two forks
// of a log ask in turn, kills it at random moments and starts it again: all it
// ever cosigned is one history.
func TestKilledWitnessNeverSignsTwoForks(t *testing.T) {
	if dir := os.Getenv("HUIS_WITNESS_DIR"); dir != "" {
		witnessProcess(t, dir)
		return
	}
	dir := t.TempDir()
	const n = 40
	forks := []*fakeLog{newLog(t, "log.example", n, n), newLog(t, "log.example", n, 3)}
	signed := map[int]map[kt.Hash]bool{}
	kills := 0
	for round := 0; kills < 6 && round < 40; round++ {
		kills += killedRun(t, dir, forks, signed)
	}
	if kills < 6 {
		t.Fatalf("killed %d times only", kills)
	}
	roots := 0
	for size, r := range signed {
		if len(r) > 1 {
			t.Errorf("size %d was cosigned with %d roots", size, len(r))
		}
		roots += len(r)
	}
	if roots == 0 {
		t.Error("nothing was cosigned")
	}
	chosen := -1
	for size, r := range signed {
		for f, l := range forks {
			if size > 3 && r[l.roots[size]] {
				if chosen >= 0 && chosen != f {
					t.Error("both forks were cosigned")
				}
				chosen = f
			}
		}
	}
}

// killedRun starts the process, asks for both forks and kills it in between.
func killedRun(t *testing.T, dir string, forks []*fakeLog, signed map[int]map[kt.Hash]bool) int {
	cmd := exec.Command(os.Args[0], "-test.run=^TestKilledWitnessNeverSignsTwoForks$")
	cmd.Env = append(os.Environ(), "HUIS_WITNESS_DIR="+dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var url string
	if _, err := fmt.Fscanln(out, &url); err != nil {
		t.Fatal(err)
	}
	c := &Client{URL: url, Key: signer(t, "witness.example", 9).Public(), HTTP: httptest.NewServer(nil).Client()}
	stop := rand.IntN(30) + 1
	known := 0
	for i := range 60 {
		if i == stop {
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
		l := forks[rand.IntN(2)]
		size := min(known+1+rand.IntN(3), len(l.roots)-1)
		o, p, cp := l.request(t, known, size)
		_, err := c.AddCheckpoint(t.Context(), l.signer.Public(), o, p, cp)
		var conflict *ConflictError
		switch {
		case err == nil:
			known = size
			if signed[size] == nil {
				signed[size] = map[kt.Hash]bool{}
			}
			signed[size][l.roots[size]] = true
		case errors.As(err, &conflict):
			known = int(conflict.Size)
		case errors.Is(err, ErrUnreachable):
			_ = cmd.Wait()
			return 1
		case !errors.Is(err, ErrProof):
			t.Fatal(err)
		}
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	return 0
}

func witnessProcess(t *testing.T, dir string) {
	w := open(t, dir, signer(t, "log.example", 1).Public())
	s := httptest.NewServer(w.Handler())
	defer s.Close()
	fmt.Println(s.URL)
	time.Sleep(time.Minute) // until it is killed
}

func FuzzParseRequest(f *testing.F) {
	l := newLog(f, "log.example", 8, 8)
	o, p, cp := l.request(f, 3, 8)
	f.Add(formatRequest(o, p, cp))
	f.Fuzz(func(t *testing.T, b []byte) {
		old, proof, checkpoint, err := parseRequest(b)
		if err == nil && !bytes.Equal(formatRequest(old, proof, checkpoint), b) {
			t.Fatalf("%q is read as another request", b)
		}
	})
}
