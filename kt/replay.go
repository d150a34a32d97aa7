package kt

import (
	"golang.org/x/mod/sumdb/tlog"
)

// Replay is the state of whoever recomputes the map from every batch of a log:
// a client of a small server, or an auditor. Its rules are the log's complete
// semantics:
//
//   - epochs count from 0 and their time never falls;
//   - a new index begins at seq 0 from the zero head; a known one goes to seq+1
//     from its present head; nothing is removed;
//   - the batch's root, the map's root and the map's count are as recorded;
//   - LastDistinguished names the first epoch of the newest UTC day that has one;
//   - the VRF key never changes.
//
// A Replay is immutable, but versions share memory. The zero Replay has seen
// nothing.
type Replay struct {
	m    Map
	last *EpochRecord // nil: nothing yet
	tree Frontier
}

// Map returns the map after the last epoch.
func (r Replay) Map() Map { return r.m }

// Size returns the number of epochs seen.
func (r Replay) Size() uint64 { return r.tree.size }

// Root returns the root of the log over the epochs seen.
func (r Replay) Root() Hash { return r.tree.Root() }

// Last returns the record of the last epoch, false if there is none.
func (r Replay) Last() (EpochRecord, bool) {
	if r.last == nil {
		return EpochRecord{}, false
	}
	return *r.last, true
}

// Apply returns the state after one more epoch, or an *InvalidError that names
// the rule it breaks.
func (r Replay) Apply(record EpochRecord, batch []BatchEntry) (Replay, error) {
	if err := r.checkPlace(&record); err != nil {
		return Replay{}, err
	}
	if len(batch) > MaxBatch || int(record.BatchCount) != len(batch) || record.BatchRoot != BatchRoot(batch) {
		return Replay{}, invalid("batch", "epoch %d does not record its batch", record.N)
	}
	edit := r.m.Edit()
	for i := range batch {
		if err := applyEntry(edit, &batch[i]); err != nil {
			return Replay{}, err
		}
	}
	m := edit.Done()
	if record.MapRoot != m.Root() || record.MapCount != uint64(m.Len()) {
		return Replay{}, invalid("map", "epoch %d records another map than its batches make", record.N)
	}
	return Replay{m: m, last: &record, tree: r.tree.Append(record.LeafHash())}, nil
}

func (r Replay) checkPlace(record *EpochRecord) error {
	if record.N != r.tree.size {
		return invalid("epoch", "epoch %d where %d is next", record.N, r.tree.size)
	}
	distinguished, before := uint64(0), uint64(0)
	if r.last != nil {
		distinguished, before = r.last.LastDistinguished, r.last.Time
		if record.VRFKeyHash != r.last.VRFKeyHash {
			return invalid("vrf", "epoch %d has another VRF key", record.N)
		}
	}
	if record.Distinguished(before) {
		distinguished = record.N
	}
	switch {
	case record.Time < before || record.Time > maxTime:
		return invalid("time", "epoch %d is older than the epoch before it", record.N)
	case record.LastDistinguished != distinguished:
		return invalid("distinguished", "epoch %d names another distinguished epoch than %d", record.N, distinguished)
	}
	return nil
}

func applyEntry(edit *MapEdit, e *BatchEntry) error {
	var want BatchEntry // what seq and head before have to be
	if now, ok := edit.Get(e.Index); ok {
		want.Seq, want.PrevHead = now.Seq+1, now.Head
	}
	switch {
	case e.Seq != want.Seq:
		return invalid("seq", "an entry has seq %d where %d is next", e.Seq, want.Seq)
	case e.PrevHead != want.PrevHead:
		return invalid("head", "an entry does not continue its index's head")
	}
	edit.Put(MapLeaf{Index: e.Index, Seq: e.Seq, Head: e.NewHead})
	return nil
}

// Frontier is the right edge of a growing RFC 6962 tree: enough to append
// leaves and know the root. The zero Frontier is the empty tree. Immutable.
type Frontier struct {
	size  uint64
	edges []Hash // roots of the full subtrees, largest first
}

// Size returns the number of leaves.
func (f Frontier) Size() uint64 { return f.size }

// Append returns the tree with one more leaf, given its leaf hash.
func (f Frontier) Append(leaf Hash) Frontier {
	edges := append(f.edges[:len(f.edges):len(f.edges)], leaf)
	for n := f.size; n&1 == 1; n >>= 1 {
		last := len(edges) - 1
		edges[last-1] = Hash(tlog.NodeHash(tlog.Hash(edges[last-1]), tlog.Hash(edges[last])))
		edges = edges[:last]
	}
	return Frontier{size: f.size + 1, edges: edges}
}

// Root returns the tree's root; of the empty tree, SHA-256 of nothing
// (RFC 6962, Section 2.1).
func (f Frontier) Root() Hash {
	if f.size == 0 {
		return emptyRoot
	}
	i := len(f.edges) - 1
	root := f.edges[i]
	for i--; i >= 0; i-- {
		root = Hash(tlog.NodeHash(tlog.Hash(f.edges[i]), tlog.Hash(root)))
	}
	return root
}
