package kt

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

var emptyRoot = Hash(sha256.Sum256(nil))

// TreeHead is what a checkpoint says: the log's origin, its size in epochs and
// the root over them (C2SP tlog-checkpoint).
type TreeHead struct {
	Origin string
	Size   uint64
	Root   Hash
}

// maxOrigin bounds an origin and a key's name, in bytes.
const maxOrigin = 255

// Text returns the signed body: three lines.
func (h TreeHead) Text() string {
	return fmt.Sprintf("%s\n%d\n%s\n", h.Origin, h.Size, base64.StdEncoding.EncodeToString(h.Root[:]))
}

// ErrCheckpoint is in the chain of every error about a checkpoint.
var ErrCheckpoint = errors.New("kt: checkpoint does not verify")

// ParseTreeHead reads the body of a checkpoint. Extension lines are refused:
// our logs have none, and a second reading of one size must not exist.
func ParseTreeHead(text string) (TreeHead, error) {
	lines := strings.Split(text, "\n")
	if len(lines) != 4 || lines[3] != "" || lines[0] == "" || len(lines[0]) > maxOrigin {
		return TreeHead{}, fmt.Errorf("%w: not the three lines of a checkpoint", ErrCheckpoint)
	}
	size, err := strconv.ParseUint(lines[1], 10, 63)
	if err != nil || strconv.FormatUint(size, 10) != lines[1] {
		return TreeHead{}, fmt.Errorf("%w: its size is not a number", ErrCheckpoint)
	}
	root, err := base64.StdEncoding.Strict().DecodeString(lines[2])
	if err != nil || len(root) != sha256.Size {
		return TreeHead{}, fmt.Errorf("%w: its root is not a hash", ErrCheckpoint)
	}
	return TreeHead{Origin: lines[0], Size: size, Root: Hash(root)}, nil
}

// The algorithm bytes of key identifiers (C2SP signed-note).
const (
	algLog         = 0x01 // Ed25519
	algCosignature = 0x04 // timestamped Ed25519, C2SP tlog-cosignature
)

// NoteKey is the public key of a log or witness under its name.
type NoteKey struct {
	Name string
	Key  [ed25519.PublicKeySize]byte
}

func (k NoteKey) keyHash(alg byte) uint32 {
	b := append([]byte(k.Name+"\n"), alg)
	sum := sha256.Sum256(append(b, k.Key[:]...))
	return binary.BigEndian.Uint32(sum[:])
}

// CosignedBy is one valid cosignature: which witness, and when it looked.
type CosignedBy struct {
	Witness NoteKey
	Time    time.Time
}

// Signed is a checkpoint the log's key signed, with those cosignatures of the
// given witnesses that verify.
type Signed struct {
	TreeHead
	Cosignatures []CosignedBy
}

// VerifyCheckpoint checks a signed note of at most 64 KiB against the log's key,
// whose name is the origin, and gathers the cosignatures of witnesses. Unknown
// keys are passed over; a wrong signature by a known one is an error.
func VerifyCheckpoint(msg []byte, log NoteKey, witnesses []NoteKey) (Signed, error) {
	times := map[uint32]time.Time{}
	verifiers := []note.Verifier{&noteVerifier{key: log, alg: algLog}}
	for _, w := range witnesses {
		verifiers = append(verifiers, &noteVerifier{key: w, alg: algCosignature, seen: times})
	}
	n, err := note.Open(msg, note.VerifierList(verifiers...))
	if err != nil {
		return Signed{}, fmt.Errorf("%w: %v", ErrCheckpoint, err)
	}
	head, err := ParseTreeHead(n.Text)
	if err != nil {
		return Signed{}, err
	}
	if head.Origin != log.Name {
		return Signed{}, fmt.Errorf("%w: it is of another log", ErrCheckpoint)
	}
	s := Signed{TreeHead: head}
	byLog := false
	for _, sig := range n.Sigs {
		if sig.Name == log.Name && sig.Hash == log.keyHash(algLog) {
			byLog = true
			continue
		}
		for _, w := range witnesses {
			if sig.Name == w.Name && sig.Hash == w.keyHash(algCosignature) {
				s.Cosignatures = append(s.Cosignatures, CosignedBy{Witness: w, Time: times[sig.Hash]})
			}
		}
	}
	if !byLog {
		return Signed{}, fmt.Errorf("%w: the log did not sign it", ErrCheckpoint)
	}
	return s, nil
}

// noteVerifier is a note.Verifier for the log's signature or a cosignature.
type noteVerifier struct {
	key  NoteKey
	alg  byte
	seen map[uint32]time.Time // cosignatures: key hash → time
}

func (v *noteVerifier) Name() string    { return v.key.Name }
func (v *noteVerifier) KeyHash() uint32 { return v.key.keyHash(v.alg) }

func (v *noteVerifier) Verify(msg, sig []byte) bool {
	if v.alg == algLog {
		return len(sig) == ed25519.SignatureSize && ed25519.Verify(v.key.Key[:], msg, sig)
	}
	if len(sig) != 8+ed25519.SignatureSize {
		return false
	}
	seconds := binary.BigEndian.Uint64(sig)
	if seconds > maxTime || !ed25519.Verify(v.key.Key[:], cosigned(seconds, msg), sig[8:]) {
		return false
	}
	v.seen[v.KeyHash()] = time.Unix(int64(seconds), 0).UTC()
	return true
}

// cosigned is what a witness signs (C2SP tlog-cosignature, v1).
func cosigned(seconds uint64, msg []byte) []byte {
	return append(fmt.Appendf(nil, "cosignature/v1\ntime %d\n", seconds), msg...)
}

// NoteSigner is the secret half of a NoteKey. It signs checkpoints of its own
// log, or cosigns those of others; never the same key for both.
type NoteSigner struct {
	name string
	key  ed25519.PrivateKey
}

// NewNoteSigner makes a signer from a 32-byte seed. The name has no space,
// plus sign or line break.
func NewNoteSigner(name string, seed []byte) (*NoteSigner, error) {
	if len(seed) != ed25519.SeedSize {
		return nil, errors.New("kt: the seed of a note key has 32 bytes")
	}
	if err := checkKeyName(name); err != nil {
		return nil, err
	}
	return &NoteSigner{name: name, key: ed25519.NewKeyFromSeed(seed)}, nil
}

// Public returns the key that verifies.
func (s *NoteSigner) Public() NoteKey {
	return NoteKey{Name: s.name, Key: [ed25519.PublicKeySize]byte(s.key.Public().(ed25519.PublicKey))}
}

func (*NoteSigner) String() string   { return redacted }
func (*NoteSigner) GoString() string { return redacted }

// SignCheckpoint returns the signed note for a head of the signer's own log.
func (s *NoteSigner) SignCheckpoint(size uint64, root Hash) []byte {
	text := TreeHead{Origin: s.name, Size: size, Root: root}.Text()
	return appendSignature([]byte(text+"\n"), s.name, s.Public().keyHash(algLog), ed25519.Sign(s.key, []byte(text)))
}

// Cosign returns the one signature line for a checkpoint's text. Who calls it
// must have recorded the head durably as the newest of its origin.
func (s *NoteSigner) Cosign(text string, now time.Time) []byte {
	seconds := uint64(now.Unix())
	sig := binary.BigEndian.AppendUint64(nil, seconds)
	sig = append(sig, ed25519.Sign(s.key, cosigned(seconds, []byte(text)))...)
	return appendSignature(nil, s.name, s.Public().keyHash(algCosignature), sig)
}

func appendSignature(b []byte, name string, hash uint32, sig []byte) []byte {
	value := append(binary.BigEndian.AppendUint32(nil, hash), sig...)
	return fmt.Appendf(b, "— %s %s\n", name, base64.StdEncoding.EncodeToString(value))
}

// NoteText returns the text of a signed note, without checking anything.
func NoteText(msg []byte) (string, error) {
	i := bytes.LastIndex(msg, []byte("\n\n"))
	if i < 0 {
		return "", fmt.Errorf("%w: not a signed note", ErrCheckpoint)
	}
	return string(msg[:i+1]), nil
}

// MaxProof bounds a proof, in hashes: a log has fewer than 2^63 epochs.
const MaxProof = 64

// CheckConsistency checks that the log of size n and root newer begins with the
// log of size m and root older (RFC 6962, Section 2.1.2).
func CheckConsistency(proof []Hash, m uint64, older Hash, n uint64, newer Hash) error {
	switch {
	case m > n || len(proof) > MaxProof:
		return fmt.Errorf("%w: no consistency proof", ErrCheckpoint)
	case m == 0:
		if older != emptyRoot || len(proof) > 0 {
			return fmt.Errorf("%w: no consistency proof from the empty log", ErrCheckpoint)
		}
		return nil
	case m == n:
		if older != newer || len(proof) > 0 {
			return fmt.Errorf("%w: two roots for one size", ErrCheckpoint)
		}
		return nil
	}
	if err := tlog.CheckTree(tlogHashes(proof), int64(n), tlog.Hash(newer), int64(m), tlog.Hash(older)); err != nil {
		return fmt.Errorf("%w: the newer log does not begin with the older", ErrCheckpoint)
	}
	return nil
}

// CheckInclusion checks that leaf hash is the i-th of the log of size n
// (RFC 6962, Section 2.1.1).
func CheckInclusion(proof []Hash, n uint64, root Hash, i uint64, leaf Hash) error {
	if i >= n || n > 1<<62 || len(proof) > MaxProof {
		return fmt.Errorf("%w: no inclusion proof", ErrCheckpoint)
	}
	if err := tlog.CheckRecord(tlogHashes(proof), int64(n), tlog.Hash(root), int64(i), tlog.Hash(leaf)); err != nil {
		return fmt.Errorf("%w: the epoch is not in the log", ErrCheckpoint)
	}
	return nil
}

func tlogHashes(proof []Hash) []tlog.Hash {
	p := make([]tlog.Hash, len(proof))
	for i, h := range proof {
		p[i] = tlog.Hash(h)
	}
	return p
}
