package directory

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"sync"
	"time"

	"codeberg.org/huis/huis/internal/proto"
)

// nonceLife is how long a nonce may be signed (protocol.md, 14).
const nonceLife = 60 * time.Second

// maxSpent bounds the memory of nonces spent within the last nonceLife.
const maxSpent = 1 << 16

// Nonces gives out nonces that sessions are opened with, and takes each back
// once. It remembers only those taken back: what a nonce is worth stands in
// the nonce itself,
//
//	time of making, 8 bytes (Unix milliseconds) ‖ random, 8 bytes ‖ HMAC-SHA256 of these, first 16 bytes
//
// so nobody can fill its memory by asking for nonces. Safe for concurrent use.
type Nonces struct {
	key [32]byte

	mu    sync.Mutex // guards spent: a nonce is taken back at most once
	spent map[proto.Nonce]time.Time
}

// NewNonces starts with a fresh key: nonces do not outlive the process.
func NewNonces() *Nonces {
	n := &Nonces{spent: make(map[proto.Nonce]time.Time)}
	rand.Read(n.key[:])
	return n
}

// New makes a nonce.
func (n *Nonces) New(now time.Time) (nonce proto.Nonce) {
	binary.BigEndian.PutUint64(nonce[:8], uint64(now.UnixMilli()))
	rand.Read(nonce[8:16])
	copy(nonce[16:], n.tag(nonce))
	return nonce
}

// Spend tells whether nonce was made here within the last minute and not spent
// before, and spends it. Call it after the signature over it has verified.
func (n *Nonces) Spend(nonce proto.Nonce, now time.Time) bool {
	made := time.UnixMilli(int64(binary.BigEndian.Uint64(nonce[:8])))
	if !hmac.Equal(nonce[16:], n.tag(nonce)) || now.Sub(made).Abs() > nonceLife {
		return false
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if _, again := n.spent[nonce]; again {
		return false
	}
	if len(n.spent) >= maxSpent/2 {
		n.forget(now)
	}
	if len(n.spent) >= maxSpent {
		return false
	}
	n.spent[nonce] = made
	return true
}

// forget drops what is too old to be spent again. The caller holds mu.
func (n *Nonces) forget(now time.Time) {
	for nonce, made := range n.spent {
		if now.Sub(made).Abs() > nonceLife {
			delete(n.spent, nonce)
		}
	}
}

func (n *Nonces) tag(nonce proto.Nonce) []byte {
	mac := hmac.New(sha256.New, n.key[:])
	mac.Write(nonce[:16])
	return mac.Sum(nil)[:16]
}
