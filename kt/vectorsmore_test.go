package kt

import (
	"bytes"
	"crypto"
	"slices"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/tlog"
)

// noHash signs messages that are not hashed before.
type noHash struct{}

func (noHash) HashFunc() crypto.Hash { return 0 }

func (m *maker) policies() {
	owner := PolicyKey{[32]byte{1}}
	second := PolicyKey{[32]byte{2}}
	log := logSigner.Public()
	var witnesses []*NoteSigner
	p := Policy{Origin: log.Name, LogKey: log.Key, VRFKey: NewVRFKey([32]byte{1}).Public(), Quorum: "all", M: 1,
		Groups:  []WitnessGroup{{Name: "peers", Threshold: 1, Members: []string{"w2", "w3"}}, {Name: "all", Threshold: 2, Members: []string{"w1", "peers"}}},
		Signers: []PolicySigner{{Account: AccountID{1}, Key: owner.Public()}},
	}
	for i, name := range []string{"w1", "w2", "w3"} {
		witnesses = append(witnesses, signer(m.t, name, byte(10+i)))
		p.Witnesses = append(p.Witnesses, witnesses[i].Public())
	}
	first := SignedPolicy{Policy: p, Signatures: []PolicySignature{owner.Sign(&p, 0)}}
	follow := func(change func(*Policy)) *SignedPolicy {
		s := next(&p, change)
		s.Signatures = []PolicySignature{owner.Sign(&s.Policy, 0)}
		return s
	}
	of := func(all ...*SignedPolicy) input {
		var b [][]byte
		for _, s := range all {
			b = append(b, s.Encode())
		}
		return input{"policies": hexes(b)}
	}
	m.accepted("policy", "the first", of(&first))
	m.accepted("policy", "and one more witness", of(&first, follow(func(q *Policy) {
		q.Witnesses = append(q.Witnesses, NoteKey{Name: "w4", Key: [32]byte{4}})
	})))
	for name, change := range ordered(map[string]func(*Policy){
		"no signers":          func(q *Policy) { q.Signers = nil },
		"nobody has to sign":  func(q *Policy) { q.M = 0 },
		"more than there are": func(q *Policy) { q.M = 2 },
		"a signer twice":      func(q *Policy) { q.Signers = append(q.Signers, q.Signers[0]) },
		"a witness twice":     func(q *Policy) { q.Witnesses[1].Name = "w1" },
		"a key twice":         func(q *Policy) { q.Witnesses[1].Key = q.Witnesses[0].Key },
		"unknown quorum":      func(q *Policy) { q.Quorum = "w9" },
		"group of itself":     func(q *Policy) { q.Groups[0].Members = []string{"peers", "w2"} },
		"group of none":       func(q *Policy) { q.Groups[0].Members = []string{QuorumNone, "w2"} },
		"member twice":        func(q *Policy) { q.Groups[0].Members = []string{"w2", "w2"} },
		"one in two groups": func(q *Policy) {
			q.Groups = []WitnessGroup{{Name: "a", Threshold: 1, Members: []string{"w1", "w2"}}, {Name: "b", Threshold: 1, Members: []string{"w1", "w3"}}, {Name: "all", Threshold: 2, Members: []string{"a", "b"}}}
		},
		"threshold of zero":  func(q *Policy) { q.Groups[0].Threshold = 0 },
		"threshold too high": func(q *Policy) { q.Groups[0].Threshold = 3 },
	}) {
		m.refused("policy", "K-701", "policy", name, of(&first, follow(change)))
	}
	later := follow(func(*Policy) {})
	m.refused("policy", "K-702", "policy", "a first policy that is not number 0", of(later))
	m.refused("policy", "K-703", "policy", "a number left out", of(&first, follow(func(q *Policy) { q.N++ })))
	m.refused("policy", "K-703", "policy", "another predecessor", of(&first, follow(func(q *Policy) { q.Prev[0]++ })))
	m.refused("policy", "K-704", "policy", "another log key", of(&first, follow(func(q *Policy) { q.LogKey[0]++ })))
	m.refused("policy", "K-704", "policy", "another VRF key", of(&first, follow(func(q *Policy) { q.VRFKey[0]++ })))
	m.refused("policy", "K-704", "policy", "another origin", of(&first, follow(func(q *Policy) { q.Origin = "elsewhere" })))
	with := func(s SignedPolicy, sigs ...PolicySignature) *SignedPolicy {
		s.Signatures = sigs
		return &s
	}
	good := later.Signatures[0]
	wrong := good
	wrong.Signature[5] ^= 1
	m.refused("policy", "K-705", "policy", "no signature", of(&first, with(*later)))
	m.refused("policy", "K-705", "policy", "the first, without its signature", of(with(first)))
	m.refused("policy", "K-706", "policy", "a wrong signature", of(&first, with(*later, wrong)))
	m.refused("policy", "K-706", "policy", "a signature by somebody who is no signer of the policy before", of(&first, with(*later, second.Sign(&later.Policy, 0))))
	m.refused("policy", "K-706", "policy", "one signer twice", of(&first, with(*later, good, good)))
	m.refused("policy", "K-706", "policy", "a signer that is not there", of(&first, with(*later, good, PolicySignature{Signer: 7})))
	b := first.Encode()
	m.refused("policy", "K-708", "", "a policy cut short", input{"policies": hexes([][]byte{b[:len(b)-1]})})
	m.refused("policy", "K-708", "", "a policy of another version", input{"policies": hexes([][]byte{append([]byte{2}, b[1:]...)})})
	m.quorums(&first, witnesses)
}

func (m *maker) quorums(p *SignedPolicy, w []*NoteSigner) {
	now := time.Unix(1700000000, 0)
	text := TreeHead{Origin: "example.org/huis", Size: 42, Root: Hash{7}}.Text()
	of := func(p *SignedPolicy, lines ...[]byte) input {
		note := append(logSigner.SignCheckpoint(42, Hash{7}), bytes.Join(lines, nil)...)
		return input{"policy": hexOf(p.Encode()), "note": hexOf(note), "now": int(now.Unix()), "max_age": 86400}
	}
	fresh := func(s *NoteSigner) []byte { return s.Cosign(text, now.Add(-time.Hour)) }
	old := func(s *NoteSigner) []byte { return s.Cosign(text, now.Add(-25*time.Hour)) }
	m.accepted("quorum", "one witness and one of the peers", of(p, fresh(w[0]), fresh(w[2])))
	m.accepted("quorum", "all, one of them long ago", of(p, fresh(w[0]), fresh(w[1]), old(w[2])))
	m.refused("quorum", "K-707", "", "nobody", of(p))
	m.refused("quorum", "K-707", "", "one witness alone", of(p, fresh(w[0])))
	m.refused("quorum", "K-707", "", "both of a group of which one counts", of(p, fresh(w[1]), fresh(w[2])))
	m.refused("quorum", "K-707", "", "a cosignature more than a day old", of(p, fresh(w[0]), old(w[1])))
	m.refused("quorum", "K-707", "", "somebody who is no witness", of(p, fresh(w[0]), fresh(signer(m.t, "w9", 99))))
	m.refused("quorum", "K-707", "", "another key under a witness's name", of(p, fresh(w[0]), fresh(signer(m.t, "w2", 99))))
	none := SignedPolicy{Policy: p.Policy}
	none.Policy.Quorum = QuorumNone
	m.refused("quorum", "K-707", "", "a policy without witnesses is never satisfied", of(&none, fresh(w[0]), fresh(w[1]), fresh(w[2])))
}

func (m *maker) evidence() {
	log := logSigner.Public()
	file := func(armored []byte) input { return input{"file": string(armored)} }
	l, rl, bl, ml := history(m.t, 1, 2, 3)
	f, rf, _, mf := history(m.t, 1, 7, 3, 4)
	forked := SplitView{A: l.sighting(m.t, rl, 1), B: f.sighting(m.t, rf, 1)}
	m.accepted("evidence", "two records of one epoch", file(forked.Armored(log)))
	bare := func(l *testLog, size int) Sighting {
		return Sighting{Checkpoint: logSigner.SignCheckpoint(uint64(size), l.heads[size-1].Root)}
	}
	one := SplitView{A: bare(l, 2), B: bare(f, 2)}
	m.accepted("evidence", "two roots of one size", file(one.Armored(log)))
	prefixOf := func(l *testLog, size, of int) Prefix {
		return Prefix{Root: l.heads[size-1].Root, Proof: toHashes(tlog.ProveTree(int64(of), int64(size), l.hashes))}
	}
	across := SplitView{A: bare(l, 3), B: bare(f, 4), Common: &Common{Size: 2, A: prefixOf(l, 2, 3), B: prefixOf(f, 2, 4)}}
	m.accepted("evidence", "two logs of different size that continue different roots", file(across.Armored(log)))

	honest := SplitView{A: l.sighting(m.t, rl, 0), B: f.sighting(m.t, rf, 0)}
	m.refused("evidence", "K-801", "", "an epoch both logs have in common", file(honest.Armored(log)))
	grown := SplitView{A: bare(l, 2), B: bare(l, 3), Common: &Common{Size: 2, A: Prefix{Root: l.heads[1].Root}, B: prefixOf(l, 2, 3)}}
	m.refused("evidence", "K-801", "", "a log that grew", file(grown.Armored(log)))
	zero := SplitView{A: bare(l, 2), B: bare(l, 3), Common: &Common{A: Prefix{Root: emptyRoot}, B: Prefix{Root: emptyRoot}}}
	m.refused("evidence", "K-801", "", "two logs that continue the empty one", file(zero.Armored(log)))
	invented := across
	invented.Common = &Common{Size: 2, A: across.Common.A, B: Prefix{Root: Hash{9}, Proof: across.Common.B.Proof}}
	m.refused("evidence", "K-809", "", "a root that the checkpoint does not continue", file(invented.Armored(log)))
	stranger := signer(m.t, "example.org/huis", 8).Public()
	m.refused("evidence", "K-802", "", "checkpoints that the accused key did not sign", file(forked.Armored(stranger)))
	forged := forked
	other := rl[1]
	other.Time++
	forged.B = Sighting{Checkpoint: forked.A.Checkpoint, Record: &other, Proof: forked.A.Proof}
	m.refused("evidence", "K-803", "", "a record that is not in the log", file(forged.Armored(log)))

	x := numbered(1)
	back := Rollback{Index: x, Early: l.sighting(m.t, rl, 1), Late: f.sighting(m.t, rf, 1), Before: ml[1].Prove(x), Then: mf[1].Prove(x)}
	m.accepted("evidence", "one place with two heads", file(back.Armored(log)))
	forward := Rollback{Index: x, Early: l.sighting(m.t, rl, 0), Late: l.sighting(m.t, rl, 2), Before: ml[0].Prove(x), Then: ml[2].Prove(x)}
	m.refused("evidence", "K-804", "", "a map that went forward", file(forward.Armored(log)))
	swapped := Rollback{Index: x, Early: forward.Late, Late: forward.Early, Before: forward.Then, Then: forward.Before}
	m.refused("evidence", "K-804", "", "an honest map read backwards", file(swapped.Armored(log)))
	never := Rollback{Index: numbered(99), Early: forward.Early, Late: forward.Late, Before: ml[0].Prove(numbered(99)), Then: ml[2].Prove(numbered(99))}
	m.refused("evidence", "K-804", "", "an index that was never there", file(never.Armored(log)))
	moved := back
	moved.Then = mf[0].Prove(x)
	m.refused("evidence", "K-805", "", "a map that is not the epoch's", file(moved.Armored(log)))
	unknown := back
	unknown.Late.Record = nil
	m.refused("evidence", "K-805", "", "a checkpoint without its epoch", file(unknown.Armored(log)))
	m.falseEpochs(l, rl, bl)

	good := string(one.Armored(log))
	m.refused("evidence", "K-810", "", "a kind that is not known", input{"file": strings.Replace(good, "kind: split-view", "kind: other", 1)})
	m.refused("evidence", "K-810", "", "another kind's name", input{"file": strings.Replace(good, "kind: split-view", "kind: rollback", 1)})
	m.refused("evidence", "K-810", "", "cut short", input{"file": good[:len(good)/2]})
	m.refused("evidence", "K-810", "", "letters that are not base64", input{"file": strings.Replace(good, "\n\n", "\n\n!!", 1)})
	m.refused("evidence", "K-810", "", "no key", input{"file": strings.Replace(good, "key: example.org/huis+", "key: ", 1)})
}

func (m *maker) falseEpochs(l *testLog, records []EpochRecord, batches [][]BatchEntry) {
	log := logSigner.Public()
	batch := []BatchEntry{entry(1, 3, 9, 4)}
	r := l.record(2000, batch)
	tree := l.replay.tree.Append(r.LeafHash())
	proof := FalseEpoch{Checkpoint: logSigner.SignCheckpoint(4, tree.Root()), Records: append(slices.Clone(records), r), Batches: append(slices.Clone(batches), batch)}
	file := func(p FalseEpoch) input { return input{"file": string(p.Armored(log))} }
	m.accepted("evidence", "an epoch that breaks a rule", file(proof))
	m.refused("evidence", "K-806", "", "a log that follows its rules", file(FalseEpoch{Checkpoint: logSigner.SignCheckpoint(3, l.replay.Root()), Records: records, Batches: batches}))
	wrong := proof
	wrong.Batches = append(slices.Clone(batches), []BatchEntry{entry(1, 3, 9, 5)})
	m.refused("evidence", "K-807", "", "a batch that is not the recorded one", file(wrong))
	early := proof
	early.Batches = append([][]BatchEntry{{entry(7, 0, 0, 1)}}, proof.Batches[1:]...)
	m.refused("evidence", "K-807", "", "an epoch before the last whose batch is not the recorded one", file(early))
	elsewhere := proof
	elsewhere.Records = append([]EpochRecord{records[0], records[0], records[2]}, r)
	m.refused("evidence", "K-808", "", "records that are not those of the checkpoint", file(elsewhere))
	m.refused("evidence", "K-808", "", "no records", file(FalseEpoch{Checkpoint: proof.Checkpoint}))
	short := proof
	short.Batches = batches
	m.refused("evidence", "K-808", "", "a batch left out", file(short))
}
