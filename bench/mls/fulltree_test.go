package mls

import (
	"crypto"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/hpke"
	"crypto/rand"
	"encoding/binary"
	"testing"

	"codeberg.org/huis/huis/internal/wire"
	"codeberg.org/huis/huis/mls"
	"golang.org/x/crypto/chacha20poly1305"
)

// A full tree of thousands cannot be made by letting each member commit: every
// one of them would have to process every commit. fullTree writes such a tree
// down with keys of its own, and a Welcome into it. It does not use the code it
// is there to measure, so joining is also a check of the tree hashes.
type fullTree struct {
	t       testing.TB
	suite   mls.CipherSuite
	hash    crypto.Hash
	kem     hpke.KEM
	members uint32
	slots   uint32 // leaves, a power of two
	groupID []byte

	nodes   [][]byte // encoded optional<Node>
	secrets [][]byte // secrets[k]: path secret of leaf 0's ancestor at level k+1
	signer  mls.SignaturePrivateKey
	joiner  *mls.KeyPackageBundle // leaf 1
}

func newFullTree(t testing.TB, suite mls.CipherSuite, members int) *fullTree {
	f := &fullTree{t: t, suite: suite, members: uint32(members), slots: 1, groupID: []byte("full tree"),
		hash: crypto.SHA256, kem: must(hpke.NewKEM(0x0020))}
	if suite == mls.XWingChaChaSHA384Ed25519 {
		f.hash, f.kem = crypto.SHA384, hpke.MLKEM768X25519()
	}
	for f.slots < f.members {
		f.slots *= 2
	}
	f.nodes = make([][]byte, 2*f.slots-1)
	f.secrets = [][]byte{f.random()}
	for width := uint32(2); width < f.slots; width *= 2 {
		f.secrets = append(f.secrets, f.derive(f.secrets[len(f.secrets)-1], "path"))
	}
	f.joiner = newKeyPackage(t, suite, "leaf 1")
	return f
}

func (f *fullTree) random() []byte {
	b := make([]byte, f.hash.Size())
	rand.Read(b)
	return b
}

func (f *fullTree) sum(b []byte) []byte {
	h := f.hash.New()
	h.Write(b)
	return h.Sum(nil)
}

func (f *fullTree) expand(secret []byte, label string, context []byte, n int) []byte {
	length, l := uint16(n), []byte("MLS 1.0 "+label)
	info := wire.MustEncode(func(c *wire.Codec) {
		wire.Uint16(c, &length)
		wire.Opaque(c, &l)
		wire.Opaque(c, &context)
	})
	return must(hkdf.Expand(f.hash.New, secret, string(info), n))
}

func (f *fullTree) derive(secret []byte, label string) []byte {
	return f.expand(secret, label, nil, f.hash.Size())
}

// build fills the subtree of the given level whose first leaf is first, and
// returns its tree hash. parentHash goes to its topmost node. Every node that
// has members on both sides gets a key, for which its left child vouches.
func (f *fullTree) build(first uint32, level int, parentHash []byte) []byte {
	at := first*2 + 1<<level - 1
	if level == 0 {
		return f.buildLeaf(first, parentHash)
	}
	right := first + 1<<(level-1)
	var node, rightHash []byte
	if right < f.members {
		node = f.parent(first, level, parentHash)
		rightHash = f.build(right, level-1, f.random()) // left by an earlier commit
		parentHash = f.sum(append(node[1:len(node)-1:len(node)-1], opaque(rightHash)...))
	} else {
		rightHash = f.build(right, level-1, nil)
	}
	leftHash := f.build(first, level-1, parentHash)
	f.nodes[at] = []byte{0}
	if node != nil {
		f.nodes[at] = append([]byte{1}, node...)
	}
	input := append([]byte{2}, optional(node)...)
	return f.sum(append(append(input, opaque(leftHash)...), opaque(rightHash)...))
}

// optional is the presence byte and, without its type, the node.
func optional(node []byte) []byte {
	if node == nil {
		return []byte{0}
	}
	return append([]byte{1}, node[1:]...)
}

func opaque(b []byte) []byte { return wire.MustEncode(func(c *wire.Codec) { wire.Opaque(c, &b) }) }

// parent returns an encoded Node.
func (f *fullTree) parent(first uint32, level int, parentHash []byte) []byte {
	var key []byte
	if first == 0 {
		ikm := f.derive(f.secrets[level-1], "node")
		key = must(f.kem.DeriveKeyPair(ikm)).PublicKey().Bytes()
	} else {
		key = must(f.kem.GenerateKey()).PublicKey().Bytes()
	}
	node := append([]byte{2}, opaque(key)...)
	return append(append(node, opaque(parentHash)...), 0) // no unmerged leaves
}

func (f *fullTree) buildLeaf(leaf uint32, parentHash []byte) []byte {
	kind := binary.BigEndian.AppendUint32([]byte{1}, leaf)
	if leaf >= f.members {
		f.nodes[leaf*2] = []byte{0}
		return f.sum(append(kind, 0))
	}
	encoded := f.leaf(leaf, parentHash)
	f.nodes[leaf*2] = append([]byte{1, 1}, encoded...)
	return f.sum(append(append(kind, 1), encoded...))
}

func (f *fullTree) leaf(leaf uint32, parentHash []byte) []byte {
	if leaf == 1 {
		return must(f.joiner.KeyPackage.LeafNode.Encode())
	}
	key, public, err := mls.GenerateSignatureKey(f.suite)
	if err != nil {
		f.t.Fatal(err)
	}
	if leaf == 0 {
		f.signer = key
	}
	n := mls.LeafNode{
		EncryptionKey: must(f.kem.GenerateKey()).PublicKey().Bytes(), SignatureKey: public,
		Credential: f.joiner.KeyPackage.LeafNode.Credential, Capabilities: f.joiner.KeyPackage.LeafNode.Capabilities,
		Source: mls.SourceCommit, ParentHash: parentHash,
	}
	tbs := must(n.Encode())
	tbs = append(tbs[:len(tbs)-1], opaque(f.groupID)...) // without the empty signature
	n.Signature = must(mls.SignWithLabel(f.suite, key, "LeafNodeTBS", binary.BigEndian.AppendUint32(tbs, leaf)))
	return must(n.Encode())
}

// encode returns the ratchet_tree without the blank nodes at its end.
func (f *fullTree) encode() []byte {
	var b []byte
	for _, n := range f.nodes[:2*f.members-1] {
		b = append(b, n...)
	}
	return opaque(b)
}

// welcome builds the tree and invites leaf 1 to it.
func (f *fullTree) welcome() (*mls.Welcome, *mls.RatchetTree) {
	level := 0
	for 1<<level < f.slots {
		level++
	}
	info := &mls.GroupInfo{GroupContext: mls.GroupContext{
		Version: mls.MLS10, CipherSuite: f.suite, GroupID: f.groupID, Epoch: 1,
		TreeHash: f.build(0, level, nil), ConfirmedTranscriptHash: f.random(),
	}}
	joiner := f.random()
	member := must(hkdf.Extract(f.hash.New, make([]byte, f.hash.Size()), joiner))
	epoch := f.expand(member, "epoch", must(info.GroupContext.Encode()), f.hash.Size())
	mac := hmac.New(f.hash.New, f.derive(epoch, "confirm"))
	mac.Write(info.GroupContext.ConfirmedTranscriptHash)
	info.ConfirmationTag = mac.Sum(nil)
	tbs := must(info.Encode())
	info.Signature = must(mls.SignWithLabel(f.suite, f.signer, "GroupInfoTBS", tbs[:len(tbs)-1]))

	w := &mls.Welcome{CipherSuite: f.suite, EncryptedGroupInfo: f.sealInfo(f.derive(member, "welcome"), must(info.Encode()))}
	secrets := append(append(opaque(joiner), 1), append(opaque(f.secrets[0]), 0)...)
	ct := must(mls.EncryptWithLabel(f.suite, f.joiner.KeyPackage.InitKey, "Welcome", w.EncryptedGroupInfo, secrets))
	w.Secrets = []mls.EncryptedGroupSecrets{{NewMember: must(f.joiner.KeyPackage.Ref()), EncryptedGroupSecrets: *ct}}
	return w, must(mls.ParseRatchetTree(f.encode()))
}

func (f *fullTree) sealInfo(welcome, info []byte) []byte {
	nonce := f.expand(welcome, "nonce", nil, 12)
	if f.suite == mls.XWingChaChaSHA384Ed25519 {
		return must(chacha20poly1305.New(f.expand(welcome, "key", nil, 32))).Seal(nil, nonce, info, nil)
	}
	return gcm(f.expand(welcome, "key", nil, 16)).Seal(nil, nonce, info, nil)
}
