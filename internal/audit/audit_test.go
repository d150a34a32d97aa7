package audit

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"codeberg.org/huis/huis/internal/evidence"
	"codeberg.org/huis/huis/kt"
	"golang.org/x/mod/sumdb/tlog"
)

// server is a log in memory that may lie.
type server struct {
	t      *testing.T
	epochs []Epoch
	m      kt.Map
	leaves leaves
	sign   *kt.NoteSigner
	away   bool // gives out no epochs
}

var (
	logSigner, _          = kt.NewNoteSigner("example.org/huis", bytes.Repeat([]byte{1}, 32))
	auditSigner, _        = kt.NewNoteSigner("audit.example"+"/huis-recomputed-map", bytes.Repeat([]byte{2}, 32))
	vrf                   = kt.NewVRFKey([32]byte{3}).Public()
	keys                  = Keys{Log: logSigner.Public(), VRF: vrf}
	now                   = time.Unix(1_800_000_000, 0)
	errAway               = errors.New("away")
	_              Source = (*server)(nil)
)

func newServer(t *testing.T, heads ...byte) *server {
	s := &server{t: t, sign: logSigner}
	for _, h := range heads {
		s.add(h)
	}
	return s
}

// add writes an epoch in which one more label gets a head.
func (s *server) add(head byte) *Epoch {
	n := uint64(len(s.epochs))
	e := kt.BatchEntry{Kind: kt.KindAccount, Index: kt.Index{byte(n), 7}, NewHead: kt.Hash{head}}
	return s.append([]kt.BatchEntry{e}, func(*kt.EpochRecord) {})
}

func (s *server) append(batch []kt.BatchEntry, spoil func(*kt.EpochRecord)) *Epoch {
	edit := s.m.Edit()
	for _, e := range batch {
		edit.Put(kt.MapLeaf{Index: e.Index, Seq: e.Seq, Head: e.NewHead})
	}
	s.m = edit.Done()
	n := uint64(len(s.epochs))
	r := kt.EpochRecord{N: n, Time: 1000 + n, MapRoot: s.m.Root(), MapCount: uint64(s.m.Len()), BatchRoot: kt.BatchRoot(batch), BatchCount: uint32(len(batch)), VRFKeyHash: kt.HashVRFKey(vrf)}
	spoil(&r)
	s.epochs = append(s.epochs, Epoch{r, batch})
	e := &s.epochs[n]
	if err := s.leaves.add(e); err != nil {
		s.t.Fatal(err)
	}
	return e
}

func (s *server) Head(_ context.Context, from uint64) (h Head, err error) {
	if from > s.leaves.size {
		return h, ErrShorter
	}
	root, err := tlog.TreeHash(int64(s.leaves.size), s.leaves.tree)
	if err != nil {
		return h, err
	}
	h.Checkpoint = s.sign.SignCheckpoint(s.leaves.size, kt.Hash(root))
	if from > 0 && from < s.leaves.size {
		h.Consistency = prefix(s.leaves, from).Proof
	}
	return h, nil
}

func (s *server) Epochs(_ context.Context, from uint64) ([]Epoch, error) {
	if s.away {
		return nil, errAway
	}
	return s.epochs[from:min(from+2, uint64(len(s.epochs)))], nil
}

func open(t *testing.T, dir string) *Auditor {
	t.Helper()
	a, err := Open(dir, keys, auditSigner)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = a.Close() })
	return a
}

func step(t *testing.T, a *Auditor, s *server) Result {
	t.Helper()
	r, err := a.Step(t.Context(), s, now)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestAnHonestLogIsSignedFor(t *testing.T) {
	s, dir := newServer(t, 1, 2, 3, 4, 5), t.TempDir()
	a := open(t, dir)
	r := step(t, a, s)
	if r.Head.Size != 5 || r.Epochs != 5 || r.Updates != 5 || r.Labels != 5 {
		t.Errorf("%+v", r)
	}
	file, err := os.ReadFile(filepath.Join(dir, "statement"))
	if err != nil || !bytes.Equal(file, r.Statement) {
		t.Fatal("the statement is not in the folder", err)
	}
	signed, err := kt.VerifyCheckpoint(file, keys.Log, []kt.NoteKey{auditSigner.Public()})
	if err != nil || len(signed.Cosignatures) != 1 || !signed.Cosignatures[0].Time.Equal(now) {
		t.Fatalf("the statement: %+v, %v", signed, err)
	}
	s.add(6)
	if r := step(t, a, s); r.Epochs != 1 || r.Head.Size != 6 {
		t.Errorf("%+v", r)
	}
	if r := step(t, a, s); r.Epochs != 0 || r.Head.Size != 6 {
		t.Errorf("%+v", r)
	}
}

// TestAKilledAuditGoesOn leaves the folder as a crash at any write may: epochs
// beyond the checkpoint, cut off anywhere, an old statement, a file half
// replaced.
func TestAKilledAuditGoesOn(t *testing.T) {
	s, dir := newServer(t, 1, 2, 3), t.TempDir()
	step(t, open(t, dir), s)
	before := readAll(t, dir)
	s.add(4)
	s.add(5)
	step(t, open(t, dir), s)
	after := readAll(t, dir)
	for cut := len(before["epochs"]); cut <= len(after["epochs"]); cut++ {
		for _, checkpoint := range []map[string][]byte{before, after} {
			if bytes.Equal(checkpoint["checkpoint"], after["checkpoint"]) && cut < len(after["epochs"]) {
				continue // the checkpoint follows the epochs
			}
			crashed := t.TempDir()
			write(t, crashed, "epochs", after["epochs"][:cut])
			write(t, crashed, "checkpoint", checkpoint["checkpoint"])
			write(t, crashed, "statement", before["statement"])
			write(t, crashed, "checkpoint.new", []byte("half"))
			a := open(t, crashed)
			if r := step(t, a, s); r.Head.Size != 5 || r.Labels != 5 {
				t.Fatalf("cut at %d: %+v", cut, r)
			}
			if got := readAll(t, crashed); !bytes.Equal(got["epochs"], after["epochs"]) {
				t.Fatalf("cut at %d: other epochs are kept", cut)
			}
			_ = a.Close()
		}
	}
}

func TestADamagedAuditSaysSo(t *testing.T) {
	s, dir := newServer(t, 1, 2, 3), t.TempDir()
	a := open(t, dir)
	step(t, a, s)
	good := readAll(t, dir)["epochs"]
	for i := 0; i < len(good); i += 7 {
		bad := bytes.Clone(good)
		bad[i] ^= 1
		write(t, dir, "epochs", bad)
		if b, err := Open(dir, keys, auditSigner); err == nil {
			_ = b.Close()
			t.Fatalf("byte %d does not matter", i)
		}
	}
	write(t, dir, "epochs", good)
	other := keys
	other.Log.Name = "example.net/huis"
	if _, err := Open(dir, other, auditSigner); err == nil {
		t.Error("the audit of another log was resumed")
	}
}

// TestWhatAuditsFind lies about the log after an honest beginning.
func TestWhatAuditsFind(t *testing.T) {
	known := kt.BatchEntry{Kind: kt.KindAccount, Index: kt.Index{0, 7}, NewHead: kt.Hash{9}}
	for name, c := range map[string]struct {
		kind string // "": a report
		lie  func(s *server) *server
	}{
		"an epoch rewrites a head": {kt.EvidenceFalseEpoch, func(s *server) *server {
			e := known
			e.Seq, e.PrevHead = 1, kt.Hash{8}
			s.append([]kt.BatchEntry{e}, func(*kt.EpochRecord) {})
			return s
		}},
		"a map the batches do not make": {kt.EvidenceFalseEpoch, func(s *server) *server {
			s.append(nil, func(r *kt.EpochRecord) { r.MapRoot[0] ^= 1 })
			s.add(9) // the log went on
			return s
		}},
		"a batch that is not the recorded one": {"", func(s *server) *server {
			s.add(4).Batch[0].NewHead[0] ^= 1
			return s
		}},
		"a rewritten log, longer":    {kt.EvidenceSplitView, func(*server) *server { return newServer(t, 1, 7, 3, 4, 5) }},
		"a rewritten log, as long":   {kt.EvidenceSplitView, func(*server) *server { return newServer(t, 1, 2, 7) }},
		"a rewritten log, held back": {"", func(*server) *server { s := newServer(t, 1, 7, 3, 4); s.away = true; return s }},
		"a shorter log":              {"", func(*server) *server { return newServer(t, 1, 2) }},
		"another key": {"", func(s *server) *server {
			s.sign, _ = kt.NewNoteSigner("example.org/huis", bytes.Repeat([]byte{9}, 32))
			return s
		}},
		"another VRF key":               {"", func(*server) *server { return nil }},
		"epochs that are not given out": {"", func(s *server) *server { s.add(4); s.epochs = s.epochs[:3]; return s }},
	} {
		t.Run(name, func(t *testing.T) {
			s, dir := newServer(t, 1, 2, 3), t.TempDir()
			a := open(t, dir)
			if name == "another VRF key" {
				a.keys.VRF = kt.NewVRFKey([32]byte{4}).Public()
			} else {
				step(t, a, s)
				s = c.lie(s)
			}
			before := readAll(t, dir)
			_, err := a.Step(t.Context(), s, now)
			var b *Breach
			if !errors.As(err, &b) {
				t.Fatalf("found %v", err)
			}
			f, err := evidence.Verify(b.File)
			if c.kind == "" && err != evidence.ErrReport || c.kind != "" && (err != nil || f.Kind != c.kind || f.Log != keys.Log) {
				t.Fatalf("%s: the file: %+v, %v", b.Reason, f, err)
			}
			if after := readAll(t, dir); !bytes.Equal(after["statement"], before["statement"]) || !bytes.Equal(after["epochs"], before["epochs"]) {
				t.Error("a statement on it, or its epochs, were kept")
			}
		})
	}
}

func readAll(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	all := map[string][]byte{}
	for _, name := range []string{"epochs", "checkpoint", "statement"} {
		all[name], _ = os.ReadFile(filepath.Join(dir, name))
	}
	return all
}

func write(t *testing.T, dir, name string, b []byte) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
		t.Fatal(err)
	}
}
