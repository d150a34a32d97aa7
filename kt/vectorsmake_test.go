package kt

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"slices"
	"strings"
	"testing"
	"time"

	"codeberg.org/huis/huis/internal/wire"
	"golang.org/x/mod/sumdb/tlog"
)

// maker collects vectors.
type maker struct {
	t   *testing.T
	all map[string][]vector
}

func makeVectors(t *testing.T) map[string][]vector {
	m := &maker{t, map[string][]vector{}}
	m.chains()
	m.names()
	m.vrfs()
	m.maps()
	m.labels()
	m.replays()
	m.proofs()
	m.checkpoints()
	m.keys()
	m.policies()
	m.evidence()
	m.handovers()
	return m.all
}

func (m *maker) refused(check, rule, word, name string, in input) {
	m.all[check] = append(m.all[check], vector{Name: name, Rule: rule, Word: word, Verdict: "refused", Input: in})
}

// accepted computes the output: what a second verifier has to find as well.
func (m *maker) accepted(check, name string, in input) {
	m.t.Helper()
	v := vector{Name: name, Verdict: "accepted", Input: in}
	out, err := checks[check](asRead(in))
	if err != nil {
		m.t.Fatalf("%s: %s: %v", check, name, err)
	}
	v.Output = out
	m.all[check] = append(m.all[check], v)
}

// asRead is the input as it comes out of a file.
func asRead(in input) input {
	out := input{}
	for k, v := range in {
		switch v := v.(type) {
		case []string:
			var items []any
			for _, s := range v {
				items = append(items, s)
			}
			out[k] = items
		case int:
			out[k] = float64(v)
		default:
			out[k] = v
		}
	}
	return out
}

func hexOf[T ~[]byte](b T) string { return hex.EncodeToString(b) }

func hexes(all [][]byte) []string {
	out := []string{}
	for _, b := range all {
		out = append(out, hexOf(b))
	}
	return out
}

func hexHashes(all []Hash) []string {
	out := []string{}
	for _, h := range all {
		out = append(out, h.Hex())
	}
	return out
}

// ruleOf gives the number of a rule of chains and of the log.
var chainRules = map[string]string{
	"closed": "K-101", "length": "K-102", "seq": "K-103", "prev": "K-104", "genesis": "K-105", "time": "K-106", "signer": "K-107",
	"signature": "K-108", "type": "K-109", "body": "K-110", "device": "K-111", "key": "K-112", "proof": "K-113", "successor": "K-114",
	"name": "K-116",
}

func (m *maker) chains() {
	for _, c := range refusals(m.t) {
		m.refused("chain", chainRules[c.rule], c.rule, c.name, input{"links": hexes(append(slices.Clone(c.before), c.link))})
	}
	m.refused("chain", "K-105", "genesis", "no links", input{"links": []string{}})
	a := newAccount(m.t)
	a.add(a.devices[0].signer())
	link := a.links[1]
	for name, bad := range ordered(map[string][]byte{
		"a link cut short":                  link[:len(link)-1],
		"a link with a byte after it":       append(slices.Clone(link), 0),
		"a link of another version":         append([]byte{2}, link[1:]...),
		"a length not in its shortest form": longLength(a, link),
	}) {
		m.refused("chain", "K-115", "", name, input{"links": hexes([][]byte{a.links[0], bad})})
	}
	m.accepted("chain", "an account with two devices", input{"links": hexes(a.links)})
	a.take(a.Revoke(a.now, a.devices[1].signer(), a.devices[0].id))
	a.take(a.Refresh(a.now, a.devices[1].signer()))
	m.accepted("chain", "and one of them revoked", input{"links": hexes(a.links)})
	a.take(a.Tombstone(a.now, a.devices[1].signer()))
	m.accepted("chain", "and ended", input{"links": hexes(a.links)})
}

// longLength writes the length of a link's body in two bytes more than needed.
func longLength(a *account, link []byte) []byte {
	at := 1 + 4 + 32 + 1 + 8
	return append(append(slices.Clone(link[:at]), 0x80, 0, link[at], link[at+1]), link[at+2:]...)
}

// ordered yields a map by its keys.
func ordered[V any](all map[string]V) func(func(string, V) bool) {
	return func(yield func(string, V) bool) {
		var names []string
		for k := range all {
			names = append(names, k)
		}
		slices.Sort(names)
		for _, k := range names {
			if !yield(k, all[k]) {
				return
			}
		}
	}
}

func (m *maker) names() {
	bob, mallory, other := newAccount(m.t), newAccount(m.t), newAccount(m.t)
	veto := func(a *account, by device, against AccountID) []byte {
		b, _ := a.Veto(a.now, by.signer(), against)
		return b
	}
	good := veto(bob, bob.devices[0], mallory.account)
	b, l := bob.links[0], mallory.links[0]
	m.accepted("name", "an account", input{"values": hexes([][]byte{b})})
	m.accepted("name", "made anew without its signature", input{"values": hexes([][]byte{b, l})})
	m.accepted("name", "given back by a veto", input{"values": hexes([][]byte{b, l, good})})
	altered := func(at int, to byte) []byte {
		c := slices.Clone(good)
		c[at] = to
		return c
	}
	last := len(good) - 1
	m.refused("name", "K-121", "statement", "a statement of an unknown type", input{"values": hexes([][]byte{b, l, altered(1, 9)})})
	m.refused("name", "K-121", "statement", "a statement cut short", input{"values": hexes([][]byte{b, l, good[:last]})})
	m.refused("name", "K-122", "veto", "a veto before anybody took the name", input{"values": hexes([][]byte{b, good})})
	m.refused("name", "K-122", "veto", "a veto twice", input{"values": hexes([][]byte{b, l, good, good})})
	m.refused("name", "K-122", "veto", "a veto of a stranger", input{"values": hexes([][]byte{b, l, veto(other, other.devices[0], mallory.account)})})
	m.refused("name", "K-123", "signer", "a veto by a device of another account", input{"values": hexes([][]byte{b, l, veto(bob, mallory.devices[0], mallory.account)})})
	m.refused("name", "K-124", "signature", "a veto with a wrong signature", input{"values": hexes([][]byte{b, l, altered(last, good[last]^1)})})
	m.refused("name", "K-125", "holder", "a name given to one account twice", input{"values": hexes([][]byte{b, l, b})})
	m.refused("name", "K-126", "genesis", "no values", input{"values": []string{}})
	refresh, err := mallory.Refresh(mallory.now, mallory.devices[0].signer())
	if err != nil {
		m.t.Fatal(err)
	}
	m.refused("name", "K-126", "genesis", "a link of no account", input{"values": hexes([][]byte{refresh})})
	m.refused("name", "K-104", "prev", "a link of another account", input{"values": hexes([][]byte{b, refresh})})
	m.renamings(bob)
}

func (m *maker) renamings(bob *account) {
	from, to, third := numbered(7), numbered(8), numbered(9)
	a := renamed(m.t, from, to)
	under := func(x Index, values ...[]byte) input { return input{"index": hexOf(x[:]), "values": hexes(values)} }
	m.accepted("name", "left for another one", under(from, a.links...))
	m.accepted("name", "the new one", under(to, a.links...))
	m.refused("name", "K-127", "left", "a name that was left, given to another account", under(from, append(slices.Clone(a.links), bob.links[0])...))
	m.refused("name", "K-127", "left", "a name that was left, given to the same account", under(from, append(slices.Clone(a.links), a.links[0])...))
	m.refused("name", "K-128", "moved", "a third name", under(third, a.links...))
	m.refused("name", "K-128", "moved", "a third name that is somebody's", under(third, append(slices.Clone(bob.links), a.links...)...))
	a.take(a.Rename(a.now, a.devices[0].signer(), to, from))
	m.accepted("name", "come back to", under(from, a.links...))
	m.accepted("name", "left again", under(to, a.links...))
}

func (m *maker) vrfs() {
	k := NewVRFKey([32]byte{1})
	y := k.Public()
	pi, _ := k.Prove([]byte("alice"))
	of := func(y VRFPublicKey, alpha string, pi []byte) input {
		return input{"key": hexOf(y[:]), "alpha": hexOf([]byte(alpha)), "proof": hexOf(pi)}
	}
	m.accepted("vrf", "the output of a label", of(y, "alice", pi[:]))
	m.refused("vrf", "K-201", "", "a proof of another label", of(y, "bob", pi[:]))
	m.refused("vrf", "K-201", "", "a proof by another key", of(NewVRFKey([32]byte{2}).Public(), "alice", pi[:]))
	for name, at := range ordered(map[string]int{"gamma": 0, "the challenge": 32, "s": 48}) {
		bad := pi
		bad[at] ^= 1
		m.refused("vrf", "K-201", "", "a proof with a bit changed in "+name, of(y, "alice", bad[:]))
	}
	wide := pi
	addOrder(wide[48:])
	m.refused("vrf", "K-202", "", "s is the right one plus the group's order", of(y, "alice", wide[:]))
	// y = p − 1 + 2 = 1 mod p is the identity in an encoding that is not canonical.
	identity := bytes.Repeat([]byte{0xff}, 32)
	identity[0], identity[31] = 0xee, 0x7f
	crooked := pi
	copy(crooked[:32], identity)
	m.refused("vrf", "K-202", "", "gamma in an encoding that is not canonical", of(y, "alice", crooked[:]))
	low := VRFPublicKey{1} // the identity
	m.refused("vrf", "K-203", "", "a key of low order", of(low, "alice", pi[:]))
	m.refused("vrf", "K-203", "", "a key that is no point", of(VRFPublicKey{2}, "alice", pi[:]))
}

// addOrder adds the order of the group to a scalar in 32 bytes, little-endian.
func addOrder(s []byte) {
	order, _ := hex.DecodeString("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010")
	carry := 0
	for i := range s {
		carry += int(s[i]) + int(order[i])
		s[i] = byte(carry)
		carry >>= 8
	}
}

// grownMap has five leaves at known places.
func grownMap() Map {
	e := Map{}.Edit()
	for i, first := range []byte{0x00, 0x40, 0x60, 0x80, 0xc0} {
		e.Put(MapLeaf{Index: Index{first, byte(i)}, Seq: uint32(i), Head: Hash{byte(i + 1)}})
	}
	return e.Done()
}

func (m *maker) maps() {
	tree := grownMap()
	root := tree.Root()
	of := func(x Index, root Hash, p MapProof) input {
		return input{"root": root.Hex(), "index": hexOf(x[:]), "proof": hexOf(wire.MustEncode(p.Wire))}
	}
	there, absent := Index{0x60, 2}, Index{0x61, 2}
	m.accepted("map", "an index that is there", of(there, root, tree.Prove(there)))
	m.accepted("map", "one that is not", of(absent, root, tree.Prove(absent)))
	m.accepted("map", "nothing in the empty map", of(there, Hash{}, Map{}.Prove(there)))
	changed := func(change func(*MapProof)) MapProof {
		p := tree.Prove(there)
		p.Path = slices.Clone(p.Path)
		change(&p)
		return p
	}
	m.refused("map", "K-301", "", "another sibling", of(there, root, changed(func(p *MapProof) { p.Path[1].Sibling[0] ^= 1 })))
	m.refused("map", "K-301", "", "another head", of(there, root, changed(func(p *MapProof) { p.Leaf.Head[0] ^= 1 })))
	m.refused("map", "K-301", "", "another seq", of(there, root, changed(func(p *MapProof) { p.Leaf.Seq++ })))
	m.refused("map", "K-301", "", "another root", of(there, Hash{1}, tree.Prove(there)))
	m.refused("map", "K-301", "", "a step left out", of(there, root, changed(func(p *MapProof) { p.Path = p.Path[1:] })))
	m.refused("map", "K-302", "", "steps of which one is not below the one before", of(there, root, changed(func(p *MapProof) { p.Path[1].Depth = p.Path[0].Depth })))
	m.refused("map", "K-303", "", "a leaf that another index leads to", of(Index{0x80, 3}, root, tree.Prove(there)))
	m.refused("map", "K-303", "", "absence, by a leaf beside the way", of(absent, root, tree.Prove(Index{0xc0, 4})))
	m.refused("map", "K-304", "", "no leaf in a map that has some", of(there, root, MapProof{}))
	m.refused("map", "K-304", "", "a path without a leaf", of(there, Hash{}, changed(func(p *MapProof) { p.Leaf = nil })))
	whole := tree.Prove(there)
	b := wire.MustEncode(whole.Wire)
	m.refused("map", "K-305", "", "a proof cut short", input{"root": root.Hex(), "index": hexOf(there[:]), "proof": hexOf(b[:len(b)-1])})
	m.refused("map", "K-305", "", "a proof with a byte after it", input{"root": root.Hex(), "index": hexOf(there[:]), "proof": hexOf(append(b, 0))})
}

func (m *maker) labels() {
	k := NewVRFKey([32]byte{1})
	label := []byte("alice")
	pi, out := k.Prove(MapLabel(KindAccount, label))
	values := [][]byte{[]byte("first link"), []byte("second link")}
	openings := []Opening{{1}, {2}}
	head, err := LabelHead(MapLabel(KindAccount, label), openings, values)
	if err != nil {
		m.t.Fatal(err)
	}
	e := grownMap().Edit()
	e.Put(MapLeaf{Index: MapIndex(out), Seq: 1, Head: head})
	tree := e.Done()
	y := k.Public()
	of := func(kind MapKind, label []byte, p LabelProof, values [][]byte) input {
		return input{"vrf_key": hexOf(y[:]), "kind": int(kind), "label": hexOf(label), "root": tree.Root().Hex(), "values": hexes(values), "proof": hexOf(wire.MustEncode(p.Wire))}
	}
	good := LabelProof{VRF: pi, Map: tree.Prove(MapIndex(out)), Openings: openings}
	noPi, noOut := k.Prove(MapLabel(KindAccount, []byte("nobody")))
	none := LabelProof{VRF: noPi, Map: tree.Prove(MapIndex(noOut))}
	m.accepted("label", "all values of a label", of(KindAccount, label, good, values))
	m.accepted("label", "a label that is not there", of(KindAccount, []byte("nobody"), none, nil))
	m.refused("label", "K-401", "", "the proof of another label", of(KindAccount, []byte("bob"), good, values))
	m.refused("label", "K-401", "", "the proof of another kind", of(KindStampKey, label, good, values))
	m.refused("label", "K-402", "label", "a value left out", of(KindAccount, label, LabelProof{VRF: pi, Map: good.Map, Openings: openings[:1]}, values[:1]))
	m.refused("label", "K-402", "label", "a value too many", of(KindAccount, label, LabelProof{VRF: pi, Map: good.Map, Openings: append(slices.Clone(openings), Opening{3})}, append(slices.Clone(values), []byte("third"))))
	m.refused("label", "K-403", "label", "another value", of(KindAccount, label, good, [][]byte{values[0], []byte("forged")}))
	m.refused("label", "K-403", "label", "values in another order", of(KindAccount, label, good, [][]byte{values[1], values[0]}))
	m.refused("label", "K-403", "label", "another opening", of(KindAccount, label, LabelProof{VRF: pi, Map: good.Map, Openings: []Opening{{1}, {9}}}, values))
	m.refused("label", "K-403", "head", "fewer openings than values", of(KindAccount, label, LabelProof{VRF: pi, Map: good.Map, Openings: openings[:1]}, values))
	m.refused("label", "K-404", "label", "a value of a label that is not there", of(KindAccount, []byte("nobody"), none, values[:1]))
	m.refused("label", "K-301", "", "a way that does not lead to the root", of(KindAccount, label, LabelProof{VRF: pi, Map: none.Map, Openings: openings}, values))
}

func batchBytes(b []BatchEntry) []byte {
	return wire.MustEncode(func(c *wire.Codec) { wire.Vector(c, &b, (*BatchEntry).Wire) })
}

func (m *maker) replays() {
	l, records, batches, _ := history(m.t, 1, 2, 3)
	of := func(records []EpochRecord, batches [][]BatchEntry) input {
		var r, b [][]byte
		for i := range records {
			r, b = append(r, records[i].Encode()), append(b, batchBytes(batches[i]))
		}
		return input{"records": hexes(r), "batches": hexes(b)}
	}
	m.accepted("replay", "three epochs", of(records, batches))
	next := []BatchEntry{entry(1, 3, 3, 4)}
	with := func(batch []BatchEntry, change func(*EpochRecord)) input {
		r := l.record(2000, batch)
		change(&r)
		return of(append(slices.Clone(records), r), append(slices.Clone(batches), batch))
	}
	keep := func(*EpochRecord) {}
	m.accepted("replay", "and a fourth", with(next, keep))
	for name, c := range ordered(map[string]struct {
		rule, word string
		in         input
	}{
		"an epoch left out":                              {"K-501", "epoch", with(next, func(r *EpochRecord) { r.N++ })},
		"an epoch again":                                 {"K-501", "epoch", of(append(slices.Clone(records), records[2]), append(slices.Clone(batches), batches[2]))},
		"another VRF key":                                {"K-502", "vrf", with(next, func(r *EpochRecord) { r.VRFKeyHash[0] ^= 1 })},
		"older than the epoch before":                    {"K-503", "time", with(next, func(r *EpochRecord) { r.Time = 1001 })},
		"beyond the year 9999":                           {"K-503", "time", with(next, func(r *EpochRecord) { r.Time = 1 << 50; r.LastDistinguished = r.N })},
		"calls itself the first of its day":              {"K-504", "distinguished", with(next, func(r *EpochRecord) { r.LastDistinguished = r.N })},
		"the first of a day that does not say so":        {"K-504", "distinguished", with(next, func(r *EpochRecord) { r.Time += 86400 })},
		"another batch than recorded":                    {"K-505", "batch", with(next, func(r *EpochRecord) { r.BatchRoot[0] ^= 1 })},
		"another number of entries than recorded":        {"K-505", "batch", with(next, func(r *EpochRecord) { r.BatchCount++ })},
		"an entry that skips a number":                   {"K-506", "seq", with([]BatchEntry{entry(1, 4, 3, 4)}, keep)},
		"an entry that comes again":                      {"K-506", "seq", with([]BatchEntry{entry(1, 2, 2, 3)}, keep)},
		"a new index that begins later":                  {"K-506", "seq", with([]BatchEntry{entry(70, 1, 0, 1)}, keep)},
		"an entry that does not continue the head":       {"K-507", "head", with([]BatchEntry{entry(1, 3, 9, 4)}, keep)},
		"a new index with a head before it":              {"K-507", "head", with([]BatchEntry{entry(70, 0, 9, 1)}, keep)},
		"another map than the batches make":              {"K-508", "map", with(next, func(r *EpochRecord) { r.MapRoot[0] ^= 1 })},
		"another number of labels than the batches make": {"K-508", "map", with(next, func(r *EpochRecord) { r.MapCount-- })},
	}) {
		m.refused("replay", c.rule, c.word, name, c.in)
	}
	bad := records[0].Encode()
	cut := of(records[:1], batches[:1])
	cut["records"] = hexes([][]byte{bad[:len(bad)-1]})
	m.refused("replay", "K-509", "", "a record cut short", cut)
	version := of(records[:1], batches[:1])
	version["records"] = hexes([][]byte{append([]byte{2}, bad[1:]...)})
	m.refused("replay", "K-509", "", "a record of another version", version)
}

func toHashes(in []tlog.Hash, err error) []Hash {
	var out []Hash
	for _, h := range in {
		out = append(out, Hash(h))
	}
	return out
}

func (m *maker) proofs() {
	l := grown(m.t)
	n := uint64(len(l.heads))
	last := l.heads[n-1]
	con := func(proof []Hash, from uint64, older Hash, n uint64, newer Hash) input {
		return input{"proof": hexHashes(proof), "m": int(from), "older": older.Hex(), "n": int(n), "newer": newer.Hex()}
	}
	for _, from := range []uint64{1, 8, 13, n - 1} {
		m.accepted("consistency", "from a smaller log", con(toHashes(tlog.ProveTree(int64(n), int64(from), l.hashes)), from, l.heads[from-1].Root, n, last.Root))
	}
	m.accepted("consistency", "of a log with itself", con(nil, n, last.Root, n, last.Root))
	m.accepted("consistency", "from the empty log", con(nil, 0, emptyRoot, n, last.Root))
	p := toHashes(tlog.ProveTree(int64(n), 13, l.hashes))
	wrong := slices.Clone(p)
	wrong[1][0] ^= 1
	m.refused("consistency", "K-601", "", "another older root", con(p, 13, Hash{1}, n, last.Root))
	m.refused("consistency", "K-601", "", "another newer root", con(p, 13, l.heads[12].Root, n, Hash{1}))
	m.refused("consistency", "K-601", "", "a hash changed", con(wrong, 13, l.heads[12].Root, n, last.Root))
	m.refused("consistency", "K-601", "", "a hash left out", con(p[1:], 13, l.heads[12].Root, n, last.Root))
	m.refused("consistency", "K-601", "", "a hash too many", con(append(slices.Clone(p), Hash{}), 13, l.heads[12].Root, n, last.Root))
	m.refused("consistency", "K-601", "", "of another size", con(p, 12, l.heads[12].Root, n, last.Root))
	m.refused("consistency", "K-601", "", "a log that shrinks", con(nil, n, last.Root, n-1, l.heads[n-2].Root))
	m.refused("consistency", "K-601", "", "two roots for one size", con(nil, n, last.Root, n, Hash{1}))
	m.refused("consistency", "K-601", "", "an empty log with another root", con(nil, 0, Hash{}, n, last.Root))
	m.refused("consistency", "K-601", "", "hashes where none are needed", con([]Hash{{1}}, n, last.Root, n, last.Root))

	inc := func(proof []Hash, n uint64, root Hash, i uint64, leaf Hash) input {
		return input{"proof": hexHashes(proof), "n": int(n), "root": root.Hex(), "i": int(i), "leaf": leaf.Hex()}
	}
	leaf := func(i int64) Hash {
		h, _ := l.hashes.ReadHashes([]int64{tlog.StoredHashIndex(0, i)})
		return Hash(h[0])
	}
	q := toHashes(tlog.ProveRecord(int64(n), 17, l.hashes))
	m.accepted("inclusion", "an epoch of the log", inc(q, n, last.Root, 17, leaf(17)))
	m.refused("inclusion", "K-602", "", "another epoch", inc(q, n, last.Root, 17, leaf(18)))
	m.refused("inclusion", "K-602", "", "at another place", inc(q, n, last.Root, 18, leaf(17)))
	m.refused("inclusion", "K-602", "", "in another log", inc(q, n, Hash{1}, 17, leaf(17)))
	m.refused("inclusion", "K-602", "", "a hash left out", inc(q[1:], n, last.Root, 17, leaf(17)))
	m.refused("inclusion", "K-602", "", "beyond the end", inc(q, n, last.Root, n, leaf(17)))
}

func (m *maker) checkpoints() {
	witness, stranger := signer(m.t, "witness.example", 5), signer(m.t, "stranger.example", 6)
	root := Hash{7}
	at := time.Unix(1700000000, 0)
	note := logSigner.SignCheckpoint(42, root)
	text := TreeHead{Origin: "example.org/huis", Size: 42, Root: root}.Text()
	sign := func(text string) []byte {
		return appendSignature([]byte(text+"\n"), "example.org/huis", logSigner.Public().keyHash(algLog), ed25519Sign(logSigner, text))
	}
	of := func(note []byte, witnesses ...*NoteSigner) input {
		w := []string{}
		for _, s := range witnesses {
			w = append(w, s.Public().WitnessText())
		}
		return input{"note": hexOf(note), "log_key": logSigner.Public().LogText(), "witnesses": w}
	}
	cosigned := append(slices.Clone(note), witness.Cosign(text, at)...)
	m.accepted("checkpoint", "signed by its log", of(note, witness))
	m.accepted("checkpoint", "cosigned", of(cosigned, witness))
	m.accepted("checkpoint", "cosigned by somebody unknown too", of(append(slices.Clone(cosigned), stranger.Cosign(text, at)...), witness))
	m.refused("checkpoint", "K-603", "", "signed by another key under the log's name", of(signer(m.t, "example.org/huis", 9).SignCheckpoint(42, root)))
	m.refused("checkpoint", "K-603", "", "signed by a witness alone", of(append([]byte(text+"\n"), witness.Cosign(text, at)...), witness))
	m.refused("checkpoint", "K-603", "", "another size under the same signature", of(bytes.Replace(note, []byte("\n42\n"), []byte("\n43\n"), 1)))
	m.refused("checkpoint", "K-603", "", "another root under the same signature", of(bytes.Replace(note, []byte("\nBwAA"), []byte("\nCAAA"), 1)))
	m.refused("checkpoint", "K-603", "", "no signature", of([]byte(text+"\n")))
	m.refused("checkpoint", "K-604", "", "the log's signature on another log's checkpoint", of(sign(strings.Replace(text, "example.org", "example.net", 1))))
	for name, change := range ordered(map[string]func(string) string{
		"a fourth line":              func(s string) string { return s + "extension\n" },
		"a size with a leading zero": func(s string) string { return strings.Replace(s, "\n42\n", "\n042\n", 1) },
		"a size that is no number":   func(s string) string { return strings.Replace(s, "\n42\n", "\n-1\n", 1) },
		"a size of 2^63":             func(s string) string { return strings.Replace(s, "\n42\n", "\n9223372036854775808\n", 1) },
		"a root of 31 bytes": func(s string) string {
			return s[:strings.LastIndex(s[:len(s)-1], "\n")+1] + base64.StdEncoding.EncodeToString(root[:31]) + "\n"
		},
		"a root with bits after its end": func(s string) string { return strings.Replace(s, "A=\n", "B=\n", 1) },
	}) {
		m.refused("checkpoint", "K-605", "", name, of(sign(change(text))))
	}
	other := witness.Cosign(strings.Replace(text, "\n42\n", "\n43\n", 1), at)
	m.refused("checkpoint", "K-606", "", "a known witness's cosignature of another checkpoint", of(append(slices.Clone(note), other...), witness))
	m.refused("checkpoint", "K-606", "", "a known witness's cosignature with another time", of(append(slices.Clone(note), retimed(witness, text, at)...), witness))
}

func ed25519Sign(s *NoteSigner, text string) []byte {
	sig, _ := s.key.Sign(nil, []byte(text), noHash{})
	return sig
}

// retimed is a cosignature whose time is not the signed one.
func retimed(s *NoteSigner, text string, at time.Time) []byte {
	line := string(s.Cosign(text, at))
	fields := strings.Fields(line)
	b, _ := base64.StdEncoding.DecodeString(fields[2])
	b[11] ^= 1
	return []byte(strings.Replace(line, fields[2], base64.StdEncoding.EncodeToString(b), 1))
}

func (m *maker) keys() {
	k := signer(m.t, "example.org/huis", 1).Public()
	m.accepted("key", "a log's key", input{"key": k.LogText(), "use": "log"})
	m.accepted("key", "a witness's key", input{"key": k.WitnessText(), "use": "witness"})
	m.refused("key", "K-608", "", "a typing mistake in the name", input{"key": strings.Replace(k.LogText(), "example", "exomple", 1), "use": "log"})
	m.refused("key", "K-608", "", "without its hash", input{"key": "example.org/huis+AAAA", "use": "log"})
	m.refused("key", "K-608", "", "of a witness in a log's place", input{"key": k.WitnessText(), "use": "log"})
	m.refused("key", "K-608", "", "of a log in a witness's place", input{"key": k.LogText(), "use": "witness"})
	m.refused("key", "K-608", "", "a name with a space", input{"key": "a b" + k.LogText(), "use": "log"})
}
