package session

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"sync"
	"time"

	"codeberg.org/huis/huis/internal/proto"
)

// maxSpent bounds the memory of nonces taken back within the last nonceLife.
const maxSpent = 1 << 16

// nonces gives out nonces that sessions are opened with, and takes each back
// once. It remembers only those taken back: what a nonce is worth stands in
// the nonce itself,
//
//	time of making, 8 bytes (Unix milliseconds) ‖ random, 8 bytes ‖ HMAC-SHA256 of these, first 16 bytes
//
// so nobody can fill its memory by asking for nonces. Safe for concurrent use.
type nonces struct {
	key [32]byte

	mu    sync.Mutex // guards spent: a nonce is taken back at most once
	spent map[proto.Nonce]time.Time
}

// newNonces starts with a fresh key: nonces do not outlive the process.
func newNonces() *nonces {
	n := &nonces{spent: make(map[proto.Nonce]time.Time)}
	rand.Read(n.key[:])
	return n
}

// make makes a nonce.
func (n *nonces) make(now time.Time) (nonce proto.Nonce) {
	binary.BigEndian.PutUint64(nonce[:8], uint64(now.UnixMilli()))
	rand.Read(nonce[8:16])
	copy(nonce[16:], n.tag(nonce))
	return nonce
}

// spend tells whether nonce was made here within the last minute and not spent
// before, and spends it.
func (n *nonces) spend(nonce proto.Nonce, now time.Time) bool {
	made := time.UnixMilli(int64(binary.BigEndian.Uint64(nonce[:8])))
	if !hmac.Equal(nonce[16:], n.tag(nonce)) || expired(now, made, nonceLife) {
		return false
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if _, again := n.spent[nonce]; again {
		return false
	}
	if len(n.spent) >= maxSpent {
		n.forget(now)
	}
	if len(n.spent) >= maxSpent {
		return false
	}
	n.spent[nonce] = made
	return true
}

// forget drops what is too old to be spent again. The caller holds mu.
func (n *nonces) forget(now time.Time) {
	for nonce, made := range n.spent {
		if expired(now, made, nonceLife) {
			delete(n.spent, nonce)
		}
	}
}

func (n *nonces) purge(now time.Time) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.forget(now)
}

func (n *nonces) tag(nonce proto.Nonce) []byte {
	mac := hmac.New(sha256.New, n.key[:])
	mac.Write(nonce[:16])
	return mac.Sum(nil)[:16]
}
