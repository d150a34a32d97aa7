package backup

import (
	"bufio"
	"bytes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"

	"golang.org/x/crypto/argon2"
	"golang.org/x/crypto/chacha20poly1305"
)

// A backup file is a header in clear and chunks of 64 KiB plaintext, each
// sealed with ChaCha20-Poly1305:
//
//	header  "huis-backup/1\n" ‖ kind[1] ‖ salt[32]
//	chunk i nonce = i[11, big endian] ‖ last[1], associated data = header
//
// The key is HKDF-SHA-256(secret, salt, "huis/backup/1"), the secret being a key
// file's (kind 0) or Argon2id(passphrase, salt; 3 passes, 256 MiB, 4 lanes)
// (kind 1). The last chunk alone has last = 1, so that a file that was cut,
// lengthened, reordered or changed does not open.
const (
	magic     = "huis-backup/1\n"
	headerLen = len(magic) + 1 + saltLen
	saltLen   = 32
	chunkLen  = 64 << 10
)

// The cost of a passphrase: RFC 9106's second choice times four, half a second
// of a server's processor.
const (
	argonTime   = 3
	argonMemory = 256 << 10 // KiB
	argonLanes  = 4
)

// MinPassphrase is how many bytes a passphrase has at least.
const MinPassphrase = 12

// Secret opens and seals backups: 32 bytes of a key file, or a passphrase.
type Secret struct {
	Key        *[32]byte
	Passphrase string
}

const redacted = "[redacted]"

func (Secret) String() string             { return redacted }
func (Secret) GoString() string           { return redacted }
func (Secret) LogValue() slog.Value       { return slog.StringValue(redacted) }
func (Secret) Format(f fmt.State, _ rune) { fmt.Fprint(f, redacted) }

func (s Secret) kind() byte {
	if s.Key != nil {
		return 0
	}
	return 1
}

// aead gives the cipher of the file with this header.
func (s Secret) aead(header []byte) (cipher.AEAD, error) {
	salt := header[headerLen-saltLen:]
	var secret []byte
	if s.Key != nil {
		secret = s.Key[:]
	} else {
		secret = argon2.IDKey([]byte(s.Passphrase), salt, argonTime, argonMemory, argonLanes, 32)
	}
	key, err := hkdf.Key(sha256.New, secret, salt, "huis/backup/1", chacha20poly1305.KeySize)
	if err != nil {
		return nil, err
	}
	return chacha20poly1305.New(key)
}

var (
	// ErrNotBackup is a file of another kind.
	ErrNotBackup = errors.New("this file is not a backup of huis")
	// ErrSecret is a wrong key or passphrase, or damage in the first chunk.
	ErrSecret = errors.New("the backup does not open with this key or passphrase")
	// ErrSecretKind asks for the other kind of secret.
	ErrSecretKind = errors.New("the backup was made with the other kind of secret")
	// ErrDamaged is a backup that was cut short or changed.
	ErrDamaged = errors.New("the backup is damaged: it was cut short or changed")
)

// sealer writes a backup file.
type sealer struct {
	w      io.Writer
	aead   cipher.AEAD
	header []byte
	n      uint64
	buf    []byte // plaintext not sealed yet, never more than a chunk
	out    []byte
}

// seal begins a file. Close of what it returns ends it.
func seal(w io.Writer, s Secret) (*sealer, error) {
	header := append([]byte(magic), s.kind())
	header = append(header, make([]byte, saltLen)...)
	rand.Read(header[headerLen-saltLen:])
	a, err := s.aead(header)
	if err != nil {
		return nil, err
	}
	_, err = w.Write(header)
	return &sealer{w: w, aead: a, header: header, buf: make([]byte, 0, chunkLen)}, err
}

// Write implements io.Writer. A full chunk is sealed only when more comes, since
// the last one is sealed differently.
func (s *sealer) Write(b []byte) (n int, err error) {
	for n < len(b) {
		if len(s.buf) == chunkLen {
			if err := s.flush(false); err != nil {
				return n, err
			}
		}
		m := min(chunkLen-len(s.buf), len(b)-n)
		s.buf = append(s.buf, b[n:n+m]...)
		n += m
	}
	return n, nil
}

// Close seals the last chunk; it does not close the writer beneath.
func (s *sealer) Close() error { return s.flush(true) }

func (s *sealer) flush(last bool) error {
	s.out = s.aead.Seal(s.out[:0], chunkNonce(s.n, last), s.buf, s.header)
	s.n, s.buf = s.n+1, s.buf[:0]
	_, err := s.w.Write(s.out)
	return err
}

// chunkNonce is the chunk's number, and whether it is the last one.
func chunkNonce(n uint64, last bool) []byte {
	b := make([]byte, chacha20poly1305.NonceSize)
	binary.BigEndian.PutUint64(b[3:11], n)
	if last {
		b[11] = 1
	}
	return b
}

// opener reads a backup file. It gives out no byte it has not verified, and
// io.EOF only after the last chunk, with nothing behind it.
type opener struct {
	r      *bufio.Reader
	aead   cipher.AEAD
	header []byte
	n      uint64
	chunk  []byte
	plain  []byte // verified and not read yet
	done   bool
}

func open(r io.Reader, s Secret) (*opener, error) {
	header := make([]byte, headerLen)
	if _, err := io.ReadFull(r, header); err != nil || !bytes.HasPrefix(header, []byte(magic)) {
		return nil, ErrNotBackup
	}
	if header[len(magic)] != s.kind() {
		return nil, ErrSecretKind
	}
	a, err := s.aead(header)
	if err != nil {
		return nil, err
	}
	o := &opener{r: bufio.NewReaderSize(r, 2*chunkLen), aead: a, header: header, chunk: make([]byte, chunkLen+a.Overhead())}
	return o, o.next()
}

// Read implements io.Reader.
func (o *opener) Read(b []byte) (int, error) {
	for len(o.plain) == 0 {
		if o.done {
			return 0, io.EOF
		}
		if err := o.next(); err != nil {
			return 0, err
		}
	}
	n := copy(b, o.plain)
	o.plain = o.plain[n:]
	return n, nil
}

// next verifies one chunk.
func (o *opener) next() error {
	n, err := io.ReadFull(o.r, o.chunk)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		if errors.Is(err, io.EOF) {
			return ErrDamaged // no last chunk
		}
		return err
	}
	_, err = o.r.Peek(1)
	last := errors.Is(err, io.EOF)
	if err != nil && !last {
		return err
	}
	o.plain, err = o.aead.Open(o.plain[:0:0], chunkNonce(o.n, last), o.chunk[:n], o.header)
	if err != nil {
		if o.n == 0 {
			return ErrSecret
		}
		return ErrDamaged
	}
	o.n, o.done = o.n+1, last
	return nil
}
