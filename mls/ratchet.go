package mls

import (
	"bytes"
	"cmp"
	"fmt"
	"math"
	"slices"

	"codeberg.org/huis/huis/internal/wire"
)

// ratchet is the chain of message keys of one sender (RFC 9420, Section 9.1).
type ratchet struct {
	Generation uint32 // of the next key
	Secret     Secret
	Skipped    []skippedKey // ascending by generation
}

// skippedKey is kept for a message that others overtook.
type skippedKey struct {
	Generation uint32
	Key, Nonce Secret
}

func (k *skippedKey) wire(c *wire.Codec) {
	wire.Uint32(c, &k.Generation)
	wire.Opaque(c, &k.Key)
	wire.Opaque(c, &k.Nonce)
}

func (r *ratchet) wire(c *wire.Codec) {
	wire.Uint32(c, &r.Generation)
	wire.Opaque(c, &r.Secret)
	wire.Vector(c, &r.Skipped, (*skippedKey).wire)
}

func (r *ratchet) clone() *ratchet {
	return &ratchet{r.Generation, bytes.Clone(r.Secret), slices.Clone(r.Skipped)}
}

// advance puts the next key into the step.
func (r *ratchet) advance(a *algorithms, step *ratchetStep) error {
	if r.Generation == math.MaxUint32 {
		return fmt.Errorf("mls: sender's keys of this epoch are used up; commit")
	}
	step.Generation = r.Generation
	step.Key = a.deriveTreeSecret(r.Secret, "key", r.Generation, a.keySize)
	step.Nonce = a.deriveTreeSecret(r.Secret, "nonce", r.Generation, a.nonceSize)
	next := a.deriveTreeSecret(r.Secret, "secret", r.Generation, a.hashSize())
	r.Secret.zero()
	r.Secret = next
	r.Generation++
	return nil
}

// keep stores the step's key for later, and drops the oldest above the limit.
func (r *ratchet) keep(step *ratchetStep, limit uint32) {
	r.Skipped = append(r.Skipped, skippedKey{step.Generation, step.Key, step.Nonce})
	if excess := int64(len(r.Skipped)) - int64(limit); excess > 0 {
		r.Skipped = slices.Delete(r.Skipped, 0, int(excess))
	}
}

// takeSkipped moves a kept key into the step.
func (r *ratchet) takeSkipped(generation uint32, step *ratchetStep) error {
	i, found := slices.BinarySearchFunc(r.Skipped, generation, func(k skippedKey, g uint32) int {
		return cmp.Compare(k.Generation, g)
	})
	if !found {
		return fmt.Errorf("%w: generation %d", ErrDuplicate, generation)
	}
	k := r.Skipped[i]
	step.Generation, step.Key, step.Nonce = k.Generation, k.Key, k.Nonce
	r.Skipped = slices.Delete(r.Skipped, i, i+1)
	return nil
}
