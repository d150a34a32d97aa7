package files

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"testing"

	"codeberg.org/huis/huis/internal/proto"
)

var ctx = context.Background()

// sizes are around every boundary of buckets, chunks and parts.
var sizes = []int{0, 1, 255, 256, 257, 65535, 65536, 65537, 131072, 131073, 1 << 20, 1<<20 + 1, 3<<20 + 12345}

func random(n int) []byte {
	b := make([]byte, n)
	r := rand.NewChaCha8([32]byte{byte(n)})
	r.Read(b)
	return b
}

func seal(t testing.TB, content []byte) (Ref, []byte) {
	t.Helper()
	var blob bytes.Buffer
	ref, info, err := Seal(&blob, bytes.NewReader(content), int64(len(content)), proto.New[proto.BlobID](), NewKey())
	if err != nil {
		t.Fatal(err)
	}
	if uint64(blob.Len()) != info.Size || info.Size != BlobSize(ref.Size) || sha256.Sum256(blob.Bytes()) != info.Hash {
		t.Fatalf("blob of %d bytes announced as %d", blob.Len(), info.Size)
	}
	return ref, blob.Bytes()
}

func source(blob []byte) Source {
	return func(_ context.Context, offset uint64, length int) ([]byte, error) {
		if offset >= uint64(len(blob)) {
			return nil, proto.Refuse(proto.NoBlob)
		}
		return blob[offset:min(uint64(len(blob)), offset+uint64(length))], nil
	}
}

// readAll reads the file in the three ways there are; they must agree.
func readAll(ref Ref, blob []byte) ([]byte, error) {
	r, err := NewReader(ref, source(blob))
	if err != nil {
		return nil, err
	}
	var whole, tail bytes.Buffer
	if err := r.WriteTo(ctx, &whole, nil); err != nil {
		return nil, err
	}
	if err := r.Continue(ctx, &tail, 0, nil); err != nil {
		return nil, err
	}
	piece := make([]byte, ref.Size)
	if _, err := r.ReadAt(ctx, piece, 0); err != nil {
		return nil, err
	}
	if !bytes.Equal(whole.Bytes(), tail.Bytes()) || !bytes.Equal(whole.Bytes(), piece) {
		return nil, errors.New("three ways of reading give three files")
	}
	return whole.Bytes(), nil
}

func TestFilesComeBack(t *testing.T) {
	for _, n := range sizes {
		content := random(n)
		ref, blob := seal(t, content)
		got, err := readAll(ref, blob)
		if err != nil || !bytes.Equal(got, content) {
			t.Errorf("%d bytes: %d came back, %v", n, len(got), err)
		}
		if ref.SHA256 != sha256.Sum256(content) {
			t.Errorf("%d bytes: wrong hash", n)
		}
		if n > 64 && bytes.Contains(blob, content[:64]) {
			t.Errorf("%d bytes: the blob shows the content", n)
		}
	}
}

func TestRandomAccess(t *testing.T) {
	content := random(3<<20 + 12345)
	ref, blob := seal(t, content)
	r, _ := NewReader(ref, source(blob))
	for range 200 {
		offset, b := rand.IntN(len(content)), make([]byte, rand.IntN(200_000))
		n, err := r.ReadAt(ctx, b, int64(offset))
		want := content[offset:min(len(content), offset+len(b))]
		if !bytes.Equal(b[:n], want) || (err == io.EOF) != (n < len(b)) {
			t.Fatalf("ReadAt(%d, %d) = %d, %v", len(b), offset, n, err)
		}
	}
	if _, err := r.ReadAt(ctx, make([]byte, 1), -1); err == nil {
		t.Error("read before the beginning")
	}
	var tail bytes.Buffer
	if err := r.Continue(ctx, &tail, 10*ChunkSize, nil); err != nil || !bytes.Equal(tail.Bytes(), content[10*ChunkSize:]) {
		t.Errorf("Continue: %v", err)
	}
	if err := r.Continue(ctx, &tail, 100, nil); err == nil {
		t.Error("continued in the middle of a chunk")
	}
}

// TestDamage: a server or member that alters the blob is found out, whichever
// way it is read, and no altered byte is given out as the file.
func TestDamage(t *testing.T) {
	content := random(5*ChunkSize + 77)
	ref, blob := seal(t, content)
	const stored = ChunkSize + overhead
	swap := func(i, j int) []byte {
		b := bytes.Clone(blob)
		copy(b[i*stored:(i+1)*stored], blob[j*stored:(j+1)*stored])
		copy(b[j*stored:(j+1)*stored], blob[i*stored:(i+1)*stored])
		return b
	}
	flip := func(at int) []byte {
		b := bytes.Clone(blob)
		b[at] ^= 4
		return b
	}
	otherRef, other := seal(t, content)
	mixed := bytes.Clone(blob)
	copy(mixed, other[:stored])
	for name, b := range map[string][]byte{
		"bit in a nonce":        flip(3),
		"bit in a chunk":        flip(2*stored + 500),
		"bit in the last chunk": flip(5*stored + 20),
		"bit in the tag":        flip(stored - 1),
		"chunks swapped":        swap(1, 2),
		"first chunk again":     append(bytes.Clone(blob[:stored]), append(bytes.Clone(blob[:stored]), blob[2*stored:]...)...),
		"chunk of another file": mixed,
		"another file":          other,
		"cut in a chunk":        blob[:2*stored+100],
		"cut between chunks":    blob[:3*stored],
		"nothing":               nil,
	} {
		got, err := readAll(ref, b)
		if err == nil {
			t.Errorf("%s: read %d bytes", name, len(got))
		}
		for _, read := range []func(r *Reader, w io.Writer) error{
			func(r *Reader, w io.Writer) error { return r.WriteTo(ctx, w, nil) },
			func(r *Reader, w io.Writer) error { return r.Continue(ctx, w, 0, nil) },
		} {
			r, _ := NewReader(ref, source(b))
			var out bytes.Buffer
			if err := read(r, &out); err == nil {
				t.Errorf("%s: read", name)
			}
			if !bytes.HasPrefix(content, out.Bytes()) {
				t.Errorf("%s: gave out altered bytes", name)
			}
		}
	}
	trailer := flip(len(blob) - 1)
	r, _ := NewReader(ref, source(trailer))
	if _, err := r.ReadAt(ctx, make([]byte, 1), 0); !errors.Is(err, ErrDamaged) {
		t.Errorf("altered hashes: %v", err)
	}
	for name, change := range map[string]func(*Ref){
		"another key":           func(r *Ref) { r.Key = otherRef.Key },
		"a smaller size":        func(r *Ref) { r.Size -= 100 },
		"a larger size":         func(r *Ref) { r.Size += 100 },
		"another plain root":    func(r *Ref) { r.PlainRoot[0] ^= 1 },
		"another cipher root":   func(r *Ref) { r.CipherRoot[0] ^= 1 },
		"another SHA-256":       func(r *Ref) { r.SHA256[0] ^= 1 },
		"an unknown algorithm":  func(r *Ref) { r.Alg = 7 },
		"an impossible size":    func(r *Ref) { r.Size = MaxFile + 1 },
		"a size of another box": func(r *Ref) { r.Size *= 3 },
	} {
		altered := ref
		change(&altered)
		if _, err := readAll(altered, blob); err == nil {
			t.Errorf("%s: read", name)
		}
	}
}

// TestMaliciousSender: a member who knows the key cannot hide anything in
// nonces or padding.
func TestMaliciousSender(t *testing.T) {
	key := NewKey()
	s := newSealer(key, 100)
	padded := make([]byte, s.plain(0))
	nonce := make([]byte, nonceSize)
	free := s.aead.Seal(bytes.Clone(nonce), nonce, padded, s.aad(0))
	if _, _, err := s.open(nil, 0, free); !errors.Is(err, ErrDamaged) {
		t.Errorf("a nonce of the sender's choice: %v", err)
	}
	padded[200] = 1
	if _, _, err := s.open(nil, 0, s.seal(nil, 0, padded, leafHash(padded))); !errors.Is(err, ErrDamaged) {
		t.Errorf("something in the padding: %v", err)
	}
}

func TestAnOverlongAnswerIsRefused(t *testing.T) {
	ref, blob := seal(t, random(100))
	r, _ := NewReader(ref, func(context.Context, uint64, int) ([]byte, error) { return append(blob, 0), nil })
	if err := r.WriteTo(ctx, io.Discard, nil); !errors.Is(err, ErrDamaged) {
		t.Error(err)
	}
	r, _ = NewReader(ref, func(context.Context, uint64, int) ([]byte, error) { return nil, nil })
	if err := r.WriteTo(ctx, io.Discard, nil); !errors.Is(err, ErrDamaged) {
		t.Error(err)
	}
}

// server takes parts and fails every so often.
type server struct {
	parts map[uint32][]byte
	puts  int
	fail  int // every fail-th put; 0 never
}

func (s *server) Has(n uint32) bool { return s.parts[n] != nil }

func (s *server) Put(_ context.Context, n uint32, b []byte) error {
	s.puts++
	if s.fail > 0 && s.puts%s.fail == 0 {
		return errors.New("the connection broke")
	}
	s.parts[n] = bytes.Clone(b)
	return nil
}

func (s *server) blob() (b []byte) {
	for n := range uint32(len(s.parts)) {
		b = append(b, s.parts[n]...)
	}
	return b
}

func TestUploadIsResumed(t *testing.T) {
	content := random(5<<20 + 5)
	ref, info, err := Measure(bytes.NewReader(content), int64(len(content)))
	if err != nil {
		t.Fatal(err)
	}
	to := &server{parts: map[uint32][]byte{}, fail: 3}
	var last int64
	for tries := 0; ; tries++ {
		err := Upload(ctx, bytes.NewReader(content), ref, to, func(n int64) { last = n })
		if err == nil {
			break
		}
		if tries > 10 {
			t.Fatal(err)
		}
	}
	if blob := to.blob(); sha256.Sum256(blob) != info.Hash || uint64(last) != info.Size {
		t.Fatalf("blob of %d bytes, %d told, %d announced", len(blob), last, info.Size)
	}
	if parts := int(info.Size+PartSize-1) / PartSize; to.puts > parts+parts/2 {
		t.Errorf("%d puts for %d parts", to.puts, parts)
	}
	if got, err := readAll(ref, to.blob()); err != nil || !bytes.Equal(got, content) {
		t.Error(err)
	}
}

// TestChangedFile: a file that changes between measuring and sending, or on
// the way, is noticed, and no nonce ever sealed two contents.
func TestChangedFile(t *testing.T) {
	content := random(3 * ChunkSize)
	ref, _, _ := Measure(bytes.NewReader(content), int64(len(content)))
	altered := bytes.Clone(content)
	altered[ChunkSize+5] ^= 1
	for name, b := range map[string][]byte{
		"altered": altered, "shorter": content[:len(content)-1], "longer": append(bytes.Clone(content), 1), "empty": nil,
	} {
		to := &server{parts: map[uint32][]byte{}}
		if err := Upload(ctx, bytes.NewReader(b), ref, to, nil); !errors.Is(err, ErrChanged) {
			t.Errorf("%s: %v", name, err)
		}
	}
	s := newSealer(ref.Key, ref.Size)
	for i := range uint64(3) {
		chunk := func(b []byte) []byte {
			b = b[i*ChunkSize : (i+1)*ChunkSize]
			return s.seal(nil, i, b, leafHash(b))
		}
		a, b := chunk(content), chunk(altered)
		if same := bytes.Equal(a[:nonceSize], b[:nonceSize]); same != (i != 1) {
			t.Errorf("chunk %d: same nonce %v", i, same)
		}
	}
}

func TestTooLarge(t *testing.T) {
	for _, n := range []int64{-1, MaxFile + 1} {
		if _, _, err := Measure(bytes.NewReader(nil), n); !errors.Is(err, ErrTooLarge) {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
	if size := BlobSize(MaxFile); size > proto.MaxBlob {
		t.Errorf("the largest file makes a blob of %d bytes", size)
	}
}

func TestBuckets(t *testing.T) {
	for n := uint64(1); n <= MaxFile; n += n/3 + 1 {
		b := Bucket(n)
		if b < n || Bucket(b) != b || Bucket(b+1) <= b {
			t.Fatalf("Bucket(%d) = %d", n, b)
		}
		if n > 64<<10 && float64(b) > 1.12*float64(n) {
			t.Errorf("Bucket(%d) = %d: more than 12 %%", n, b)
		}
	}
	if Bucket(0) != 256 || Bucket(MaxFile) != MaxFile {
		t.Errorf("Bucket(0) = %d, Bucket(MaxFile) = %d", Bucket(0), Bucket(MaxFile))
	}
	seen := map[uint64]bool{}
	for n := uint64(1 << 20); n < 2<<20; n += 997 {
		seen[Bucket(n)] = true
	}
	if len(seen) > 33 {
		t.Errorf("%d buckets between 1 and 2 MiB", len(seen))
	}
}

// zeros is a file of any length.
type zeros struct{ left int64 }

func (z *zeros) Read(b []byte) (int, error) {
	n := int(min(int64(len(b)), z.left))
	z.left -= int64(n)
	if n == 0 {
		return 0, io.EOF
	}
	clear(b[:n])
	return n, nil
}

func TestConstantMemory(t *testing.T) {
	const size = 256 << 20
	if testing.Short() {
		t.Skip("seals 256 MiB")
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if _, _, err := Measure(&zeros{size}, size); err != nil {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	if used := after.TotalAlloc - before.TotalAlloc; used > 16<<20 {
		t.Errorf("sealing 256 MiB allocated %d MiB in all", used>>20)
	}
}

func TestKeyIsRedacted(t *testing.T) {
	ref, _ := seal(t, nil)
	for _, verb := range []string{"%v", "%+v", "%#v", "%x"} {
		if got := fmt.Sprintf(verb, ref.Key); got != "[redacted]" {
			t.Errorf("%s prints %q", verb, got)
		}
	}
}

func BenchmarkSeal(b *testing.B) {
	b.SetBytes(64 << 20)
	for b.Loop() {
		Measure(&zeros{64 << 20}, 64<<20)
	}
}
