package kt

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"testing"

	"codeberg.org/huis/huis/internal/wire"
	"pgregory.net/rapid"
)

// naiveRoot computes the root of a set of leaves from its definition: split at
// the first bit in which the leaves differ.
func naiveRoot(leaves []MapLeaf) Hash {
	switch len(leaves) {
	case 0:
		return Hash{}
	case 1:
		return leaves[0].Hash()
	}
	depth := 256
	for i := range leaves[1:] {
		depth = min(depth, firstDifference(&leaves[0].Index, &leaves[i+1].Index))
	}
	var side [2][]MapLeaf
	for _, l := range leaves {
		b := l.Index.bit(depth)
		side[b] = append(side[b], l)
	}
	left, right := naiveRoot(side[0]), naiveRoot(side[1])
	return nodeHash(depth, &left, &right)
}

func drawIndex(t *rapid.T) (x Index) {
	// Few distinct bytes, so that indexes share long prefixes.
	copy(x[:], rapid.SliceOfN(rapid.SampledFrom([]byte{0, 1, 0x80}), 1, 4).Draw(t, "index"))
	return x
}

func TestMapAgreesWithItsDefinition(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var m Map
		model := map[Index]MapLeaf{}
		for range rapid.IntRange(0, 6).Draw(t, "versions") {
			before, beforeRoot := m, m.Root()
			e := m.Edit()
			for range rapid.IntRange(0, 8).Draw(t, "puts") {
				x := drawIndex(t)
				l := MapLeaf{Index: x, Seq: rapid.Uint32().Draw(t, "seq")}
				e.Put(l)
				model[x] = l
			}
			m = e.Done()
			if before.Root() != beforeRoot {
				t.Fatal("an edit changed the version before")
			}
			if want := naiveRoot(slices.Collect(maps.Values(model))); m.Root() != want || m.Len() != len(model) {
				t.Fatalf("root %x of %d leaves, want %x of %d", m.Root(), m.Len(), want, len(model))
			}
		}
		for range 8 {
			checkAnswer(t, m, model, drawIndex(t))
		}
		for x := range model {
			checkAnswer(t, m, model, x)
		}
	})
}

func checkAnswer(t *rapid.T, m Map, model map[Index]MapLeaf, x Index) {
	want, found := model[x]
	if got, ok := m.Get(x); ok != found || got != want {
		t.Fatalf("Get says %v, %v", got, ok)
	}
	p := m.Prove(x)
	b := wire.MustEncode(p.Wire)
	var again MapProof
	if err := wire.Decode(b, again.Wire); err != nil {
		t.Fatal(err)
	}
	got, err := again.Verify(m.Root(), x)
	if err != nil || (got != nil) != found || found && *got != want {
		t.Fatalf("proof says %v, %v; want %v, %v", got, err, want, found)
	}
}

func numbered(i int) (x Index) {
	binary.BigEndian.PutUint64(x[:], uint64(i))
	return sha256.Sum256(x[:])
}

func numberedMap(n int) Map {
	e := Map{}.Edit()
	for i := range n {
		e.Put(MapLeaf{Index: numbered(i), Seq: uint32(i)})
	}
	return e.Done()
}

func TestMapProofWithAnyBitChangedIsRefused(t *testing.T) {
	m := numberedMap(50)
	for _, i := range []int{7, 1000} { // there, and not there
		x := numbered(i)
		p := m.Prove(x)
		b := wire.MustEncode(p.Wire)
		for bit := range len(b) * 8 {
			bad := bytes.Clone(b)
			bad[bit/8] ^= 1 << (bit % 8)
			var q MapProof
			if wire.Decode(bad, q.Wire) != nil {
				continue
			}
			if _, err := q.Verify(m.Root(), x); err == nil {
				t.Fatalf("index %d: bit %d changed and accepted", i, bit)
			}
		}
		if _, err := p.Verify(Hash{1}, x); err == nil {
			t.Error("accepted under another root")
		}
	}
	empty := MapProof{}
	if _, err := empty.Verify(m.Root(), numbered(7)); err == nil {
		t.Error("the empty map's answer accepted for another map")
	}
	if leaf, err := empty.Verify(Hash{}, numbered(7)); err != nil || leaf != nil {
		t.Error("the empty map does not prove absence")
	}
}

// malformed builds a tree that no honest server has: any depth anywhere, leaves
// where they do not belong, the same index twice.
func malformed(t *rapid.T, level int) tree {
	if level == 0 || rapid.IntRange(0, 3).Draw(t, "leaf") == 0 {
		return &MapLeaf{Index: drawIndex(t), Seq: rapid.Uint32Range(0, 3).Draw(t, "seq")}
	}
	n := &inner{depth: uint8(rapid.IntRange(0, 24).Draw(t, "depth")), dirty: true}
	n.child = [2]tree{malformed(t, level-1), malformed(t, level-1)}
	n.rehash()
	return n
}

// paths calls try with every path in a tree as if it were the search path of x.
func paths(at tree, path []MapStep, try func(MapProof)) {
	switch n := at.(type) {
	case *MapLeaf:
		try(MapProof{Path: slices.Clone(path), Leaf: n})
	case *inner:
		for side := range 2 {
			step := MapStep{Depth: n.depth, Sibling: n.child[1-side].hash()}
			paths(n.child[side], append(path, step), try)
		}
	}
}

func TestOneRootNeverGivesTwoAnswers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		root := malformed(t, 5)
		x := drawIndex(t)
		answers := map[string]bool{}
		paths(root, nil, func(p MapProof) {
			leaf, err := p.Verify(root.hash(), x)
			switch {
			case err != nil:
			case leaf == nil:
				answers["absent"] = true
			default:
				answers[fmt.Sprint(*leaf)] = true
			}
		})
		if len(answers) > 1 {
			t.Fatalf("%d answers under one root", len(answers))
		}
	})
}

func FuzzMapProof(f *testing.F) {
	m := numberedMap(20)
	p := m.Prove(numbered(3))
	f.Add(wire.MustEncode(p.Wire))
	f.Fuzz(func(t *testing.T, b []byte) {
		var p MapProof
		if wire.Decode(b, p.Wire) != nil {
			return
		}
		if again := wire.MustEncode(p.Wire); !bytes.Equal(again, b) {
			t.Fatalf("%x re-encodes to %x", b, again)
		}
		x := numbered(3)
		honest, _ := m.Get(x)
		if leaf, err := p.Verify(m.Root(), x); err == nil && (leaf == nil || *leaf != honest) {
			t.Fatal("the root gave another answer")
		}
	})
}

func BenchmarkMapProve(b *testing.B) {
	for _, n := range []int{1e4, 1e6} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			m := numberedMap(n)
			xs := make([]Index, 1024)
			for i := range xs {
				xs[i] = numbered(i * (n / 1024))
			}
			bytes, i := 0, 0
			for b.Loop() {
				p := m.Prove(xs[i%1024])
				bytes += len(p.Path)*33 + 68
				i++
			}
			b.ReportMetric(float64(bytes)/float64(b.N), "B/proof")
		})
	}
}
