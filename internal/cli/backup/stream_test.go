package backup

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"testing"
)

func key(b byte) Secret { return Secret{Key: &[32]byte{b}} }

func sealed(t *testing.T, s Secret, plain []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := seal(&out, s)
	if err != nil {
		t.Fatal(err)
	}
	for rest := plain; len(rest) > 0; { // in odd pieces
		n := min(len(rest), 10007)
		if _, err := w.Write(rest[:n]); err != nil {
			t.Fatal(err)
		}
		rest = rest[n:]
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func opened(b []byte, s Secret) ([]byte, error) {
	r, err := open(bytes.NewReader(b), s)
	if err != nil {
		return nil, err
	}
	return io.ReadAll(r)
}

func TestStreamOfEverySizeOpens(t *testing.T) {
	for _, n := range []int{0, 1, chunkLen - 1, chunkLen, chunkLen + 1, 3 * chunkLen, 3*chunkLen + 5} {
		plain := make([]byte, n)
		rand.Read(plain)
		got, err := opened(sealed(t, key(1), plain), key(1))
		if err != nil || !bytes.Equal(got, plain) {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
}

// chunk i of a file, sealed.
func chunk(b []byte, i int) []byte {
	from := headerLen + i*(chunkLen+16)
	return b[from:min(len(b), from+chunkLen+16)]
}

func TestAlteredStreamsAreRefused(t *testing.T) {
	plain := make([]byte, 4*chunkLen)
	b := sealed(t, key(1), plain)
	swapped := bytes.Clone(b)
	copy(chunk(swapped, 1), chunk(b, 2))
	copy(chunk(swapped, 2), chunk(b, 1))
	other := sealed(t, key(1), plain)
	mixed := bytes.Clone(b)
	copy(chunk(mixed, 1), chunk(other, 1))
	for name, bad := range map[string][]byte{
		"reordered":          swapped,
		"of another file":    mixed,
		"without its end":    b[:headerLen+3*(chunkLen+16)],
		"cut inside a chunk": b[:len(b)-1],
		"longer":             append(bytes.Clone(b), 0),
		"a chunk twice":      append(bytes.Clone(b), chunk(b, 3)...),
		"without chunks":     b[:headerLen],
	} {
		if got, err := opened(bad, key(1)); err == nil {
			t.Errorf("%s: opens, %d bytes", name, len(got))
		} else if !errors.Is(err, ErrDamaged) && !errors.Is(err, ErrSecret) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for i := 0; i < len(b); i += 997 {
		flipped := bytes.Clone(b)
		flipped[i] ^= 1
		if _, err := opened(flipped, key(1)); err == nil {
			t.Fatalf("opens with byte %d flipped", i)
		}
	}
}

func TestSecretsOfStreams(t *testing.T) {
	p := Secret{Passphrase: "correct horse battery staple"}
	b := sealed(t, p, []byte("hello"))
	if got, err := opened(b, p); err != nil || string(got) != "hello" {
		t.Fatal(err)
	}
	for _, c := range []struct {
		s    Secret
		want error
	}{{Secret{Passphrase: "correct horse battery stable"}, ErrSecret}, {key(1), ErrSecretKind}} {
		if _, err := opened(b, c.s); !errors.Is(err, c.want) {
			t.Errorf("%v, want %v", err, c.want)
		}
	}
	if _, err := opened(sealed(t, key(1), nil), key(2)); !errors.Is(err, ErrSecret) {
		t.Error(err)
	}
	if _, err := opened([]byte("huis-backup/2\n"), p); !errors.Is(err, ErrNotBackup) {
		t.Error(err)
	}
	if s := fmt.Sprintf("%v %+v %#v", p, key(1), p); bytes.Contains([]byte(s), []byte("horse")) {
		t.Error(s)
	}
}

// A name in the archive never leads out of the folder.
func TestNamesInABackup(t *testing.T) {
	for name, ok := range map[string]bool{
		"huis.db": true, "tls/key.pem": true, "acme/certificates/acme-v02.api/chat.example.org/chat.example.org.crt": true,
		"../huis.db": false, "/etc/passwd": false, "blobs/../x": false, "acme/../../x": false, "acme/.x": false, "acme/a/./b": false,
		"huis.db-wal": false, "lock": false, "witness/state": false, "tls/key.pem/": false, "acme": false, "a\nhuis.db": false,
	} {
		if names.MatchString(name) != ok {
			t.Errorf("%q: %v", name, !ok)
		}
	}
}
