package kt

import (
	"crypto/sha256"
	"time"

	"codeberg.org/huis/huis/internal/wire"
	"golang.org/x/mod/sumdb/tlog"
)

// MapKind says what a label of the map names. It is the first byte of the VRF's
// input, so that no two kinds share an index.
type MapKind uint8

// The kinds of labels.
const (
	KindAccount    MapKind = 1 // label: the handle
	KindStampKey   MapKind = 2 // label: the kid
	KindGeneration MapKind = 3 // label: the generation
	KindRelease    MapKind = 4 // label: product and manifest
	KindPeer       MapKind = 5 // label: another log's origin
	KindOrder      MapKind = 6 // label: the statement's number
	KindPolicy     MapKind = 7 // label: PolicyLabel; its values are the policies, in order
)

// PolicyLabel is the one label of KindPolicy: the chain of witness policies,
// each value the encoding of a SignedPolicy.
const PolicyLabel = "witnesses"

// MapLabel is the VRF's input for a label: kind ‖ label.
func MapLabel(kind MapKind, label []byte) []byte {
	return append([]byte{byte(kind)}, label...)
}

// MapIndex returns where the map keeps what the VRF gave out for.
func MapIndex(out VRFOutput) Index { return Index(out[:32]) }

// BatchEntry is one change of the map, as members and auditors replay it.
type BatchEntry struct {
	Kind     MapKind
	Index    Index
	Seq      uint32 // 0: new
	PrevHead Hash   // zeros: new
	NewHead  Hash
}

// BatchEntrySize is the length of an encoded BatchEntry, in bytes.
const BatchEntrySize = 1 + 32 + 4 + 32 + 32

// Wire codes the entry.
func (e *BatchEntry) Wire(c *wire.Codec) {
	wire.Uint8(c, &e.Kind)
	wire.Fixed(c, e.Index[:])
	wire.Uint32(c, &e.Seq)
	wire.Fixed(c, e.PrevHead[:])
	wire.Fixed(c, e.NewHead[:])
}

// EpochRecord is the log's leaf n: what the map is after the batch of epoch n.
type EpochRecord struct {
	N                 uint64
	Time              uint64 // seconds since 1970, the server's clock; never falls
	MapRoot           Hash
	MapCount          uint64
	BatchRoot         Hash   // BatchRoot over the batch
	BatchCount        uint32 // at most MaxBatch
	LastDistinguished uint64 // N of the newest distinguished epoch, this one included
	VRFKeyHash        Hash   // HashVRFKey
	PolicyHash        Hash   // of the witness policy in force, zeros: none
}

// MaxBatch bounds the changes of one epoch.
const MaxBatch = 1 << 16

const epochVersion = 1

// Wire codes the record.
func (r *EpochRecord) Wire(c *wire.Codec) {
	v := uint8(epochVersion)
	wire.Uint8(c, &v)
	if c.Err() == nil && v != epochVersion {
		c.Fail("epoch record of another version")
	}
	wire.Uint64(c, &r.N)
	wire.Uint64(c, &r.Time)
	wire.Fixed(c, r.MapRoot[:])
	wire.Uint64(c, &r.MapCount)
	wire.Fixed(c, r.BatchRoot[:])
	wire.Uint32(c, &r.BatchCount)
	wire.Uint64(c, &r.LastDistinguished)
	wire.Fixed(c, r.VRFKeyHash[:])
	wire.Fixed(c, r.PolicyHash[:])
}

// Encode returns the bytes that are the log's leaf.
func (r *EpochRecord) Encode() []byte { return wire.MustEncode(r.Wire) }

// ParseEpochRecord reads what Encode gave.
func ParseEpochRecord(b []byte) (r EpochRecord, err error) {
	err = wire.Decode(b, r.Wire)
	return r, err
}

// LeafHash is the record's hash in the log's tree (RFC 6962, Section 2.1).
func (r *EpochRecord) LeafHash() Hash { return Hash(tlog.RecordHash(r.Encode())) }

// Distinguished tells whether the epoch is the first of its UTC day, given the
// time of the epoch before it (0: there is none).
func (r *EpochRecord) Distinguished(previous uint64) bool {
	return r.N == 0 || day(r.Time) != day(previous)
}

func day(seconds uint64) int64 {
	return time.Unix(int64(seconds), 0).UTC().Unix() / 86400
}

// HashVRFKey is an EpochRecord's VRFKeyHash.
func HashVRFKey(k VRFPublicKey) Hash { return sha256.Sum256(labelled("huis/vrf-key/1", k[:])) }

// BatchRoot is the RFC 6962 tree hash over the encoded entries, so that one
// entry can be proved alone; zeros for an empty batch.
func BatchRoot(batch []BatchEntry) Hash {
	hashes := make([]Hash, len(batch))
	for i := range batch {
		hashes[i] = Hash(tlog.RecordHash(wire.MustEncode(batch[i].Wire)))
	}
	return treeHash(hashes)
}

// treeHash is the Merkle tree hash of RFC 6962, Section 2.1, over leaf hashes.
func treeHash(leaves []Hash) Hash {
	switch n := len(leaves); n {
	case 0:
		return Hash{}
	case 1:
		return leaves[0]
	default:
		k := 1
		for 2*k < n {
			k *= 2
		}
		return Hash(tlog.NodeHash(tlog.Hash(treeHash(leaves[:k])), tlog.Hash(treeHash(leaves[k:]))))
	}
}
