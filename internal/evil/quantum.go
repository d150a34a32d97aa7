//go:build evil

package evil

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdh"
	"crypto/hpke"
	"crypto/mlkem"
	"crypto/sha3"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/crypto/chacha20poly1305"

	"codeberg.org/huis/huis/internal/proto"
	"codeberg.org/huis/huis/internal/wire"
	"codeberg.org/huis/huis/mls"
)

// Promise: what is recorded today is not opened by tomorrow's computers. The
// operator records every request, somebody else every byte on the line, and years
// later both are given the private key of every X25519 key there was.
func init() {
	register(Attack{
		ID: "B-34", Name: "a recorded session, with every classical key given away", Expected: Prevented,
		Play:   harvestNow,
		Hands:  map[string]Hand{"begin": hand(recordAll), "later": hand(decryptLater)},
		Malice: []Edit{oracle}, Without: []Edit{weakSuite, anySuite, classicalTLS},
	})
}

// oracle computes no logarithm but has the devices tell the private keys. What is
// handed to the attacker of them is the classical half.
var oracle = Edit{"mls/keys.go", "	private, err := ofHPKE(k)\n	if err != nil {\n		return HPKEPrivateKey{}, nil, err\n	}\n	return private, k.PublicKey().Bytes(), nil\n", "	private, err := ofHPKE(k)\n	if err != nil {\n		return HPKEPrivateKey{}, nil, err\n	}\n	if $W {\n		huisTell(append(bytes.Clone(private.key.raw), k.PublicKey().Bytes()...)...)\n	}\n	return private, k.PublicKey().Bytes(), nil\n"}

func harvestNow(s *Stage) Facts {
	s.Hand("begin", s.Weak())
	ann, bob := s.Stranger("ann").Liar(), s.Stranger("bob").Liar()
	ann.Do("join", s.byDoor("ann", s.first.Invite), "--handle", "ann")
	bob.Do("join", s.byDoor("bob", ann.One("invite")["invite"].(string)), "--handle", "bob")
	ann.Do("chat", "new", "house", "@bob")
	ann.Do("send", "house", s.Secret("a text"))
	bob.Do("read", "house")
	bob.Do("send", "house", s.Secret("a text"))
	ann.Do("read", "house")
	var got, both harvested
	s.Ask("later", decryption{Oracle: s.leak()}, &got)
	s.Ask("later", decryption{Oracle: s.leak(), Both: true}, &both)
	if got.Sealed == 0 || got.Connections == 0 {
		s.Fatal("nothing was recorded: %+v", got)
	}
	if len(s.Scan.Bytes("all of it", both.Read)) == 0 {
		s.Fatal("with both halves of the keys nothing is read either: the attacker is none: %v", both.Why)
	}
	if !got.Classical {
		s.Fatal("a classical connection is not read either: the attacker is none")
	}
	found := s.Scan.Bytes("what was said", got.Read)
	detail := fmt.Sprintf("%d of %d connections (%s), %d of %d invitations opened, %v", got.Opened, got.Connections, got.Groups, got.Joined, got.Sealed, found)
	return Facts{Effect: len(found) > 0 || got.Opened > 0 || got.Joined > 0, Detail: detail + " " + got.Why}
}

// decryption says what the attacker is given.
type decryption struct {
	Oracle string // file of the devices' private keys
	Both   bool   // not only the classical halves of them: the counter-proof
}

// harvested is what came of it.
type harvested struct {
	Connections, Opened int    // on the line
	Groups              string // by what their keys were agreed on
	Classical           bool   // a connection made without the other half was read
	Sealed, Joined      int    // invitations into groups, and those that were opened
	Read                []byte // all that was sealed to members
	Why                 string // nothing was
}

// recording is what the operator, and who taps the line, kept.
type recording struct {
	logs     *logarithms
	tapes    []*tape
	packages [][]byte                // key packages
	sealed   [][]byte                // invitations into groups
	entries  []proto.Entry           // of all conversations, as they came
	blobs    map[proto.BlobID][]byte // as far as they came
}

// recordAll begins to record. Weak: the server offers classical TLS alone.
func recordAll(_ context.Context, o *Operator, weak bool) (any, error) {
	r := &recording{logs: &logarithms{known: make(map[[32]byte][]byte)}, blobs: make(map[proto.BlobID][]byte)}
	// So that crypto/tls draws its keys where they can be watched.
	if err := os.Setenv("GODEBUG", "cryptocustomrand=1"); err != nil {
		return nil, err
	}
	o.Keep("recording", r)
	o.Keep("tls", func(c *tls.Config) {
		c.Rand = r.logs
		if weak {
			c.CurvePreferences = []tls.CurveID{tls.X25519}
		}
	})
	o.Keep("tap", func(t *tape) {
		o.mu.Lock()
		defer o.mu.Unlock()
		r.tapes = append(r.tapes, t)
	})
	o.Lie(func(x *Exchange) error {
		if x.Answer == nil {
			return nil
		}
		o.mu.Lock()
		defer o.mu.Unlock()
		switch q := x.Request.(type) {
		case *proto.PublishRequest:
			r.packages = append(append(r.packages, q.Packages...), q.LastResort)
		case *proto.CommitRequest:
			r.entries = append(r.entries, q.Entry)
		case *proto.AppendRequest:
			r.entries = append(r.entries, q.Entry)
		case *proto.BlobPutRequest:
			r.blobs[q.ID] = append(r.blobs[q.ID], q.Bytes...)
		}
		for _, p := range packagesOf(x.Request) {
			r.sealed = append(r.sealed, p.Sealed)
		}
		return nil
	})
	return nil, nil
}

// decryptLater does what can be done with the recording and the oracle.
func decryptLater(_ context.Context, o *Operator, d decryption) (any, error) {
	r, ok := o.Kept("recording").(*recording)
	if !ok {
		return nil, errors.New("nothing was recorded")
	}
	var out harvested
	if !d.Both {
		if err := o.classical(r, &out); err != nil {
			return nil, err
		}
	}
	keys, err := readOracle(d.Oracle)
	if err != nil {
		return nil, err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	out.Sealed = len(r.sealed)
	for _, sealed := range r.sealed {
		read, err := r.join(sealed, keys, d.Both)
		if err != nil {
			out.Why += err.Error() + "; "
			continue
		}
		out.Joined++
		out.Read = append(out.Read, read...)
	}
	return out, nil
}

// classical reads what was recorded on the line, and beside it, to show that it
// can be read, a connection that somebody made without the post-quantum half.
func (o *Operator) classical(r *recording, out *harvested) error {
	o.mu.Lock()
	tapes, groups := slices.Clone(r.tapes), make(map[string]bool)
	o.mu.Unlock()
	for _, t := range tapes {
		said, group, err := t.listen(r.logs)
		if errors.Is(err, errTape) {
			continue // no handshake
		}
		if err != nil {
			return err
		}
		out.Connections++
		groups[group.String()] = true
		if strings.Contains(said, "/v1/") {
			out.Opened++
		}
	}
	for g := range groups {
		out.Groups += g
	}
	at, err := o.front.open("classical")
	if err != nil {
		return err
	}
	cert, err := o.certificate()
	if err != nil {
		return err
	}
	o.front.serve("classical", cert)
	c, err := tls.Dial("tcp", at.String(), &tls.Config{InsecureSkipVerify: true, CurvePreferences: []tls.CurveID{tls.X25519}})
	if err != nil {
		return err
	}
	defer c.Close()
	fmt.Fprint(c, "GET /v1/classical HTTP/1.1\r\nHost: huis\r\n\r\n")
	if _, err := bufio.NewReader(c).ReadString('\n'); err != nil {
		return err
	}
	o.mu.Lock()
	last := r.tapes[len(r.tapes)-1]
	o.mu.Unlock()
	said, _, err := last.listen(r.logs)
	out.Classical = strings.Contains(said, "/v1/classical")
	return err
}

// x25519Size is the size of a public key of X25519, and of what is sealed to one.
const x25519Size = 32

// readOracle returns the private keys by the public ones: seeds of 32 bytes.
func readOracle(file string) (map[string][]byte, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	keys := make(map[string][]byte)
	for line := range strings.Lines(string(b)) {
		k, err := hex.DecodeString(strings.TrimSpace(line))
		if err != nil || len(k) < 2*x25519Size {
			return nil, fmt.Errorf("the oracle's file is damaged: %v", err)
		}
		keys[string(k[32:])] = k[:32]
	}
	return keys, nil
}

// classicalHalf is the X25519 key of a hybrid seed (X-Wing: SHAKE-256 of the
// seed gives 64 bytes for ML-KEM, then 32), or the seed where there is no other
// half.
func classicalHalf(public, seed []byte) (*ecdh.PrivateKey, error) {
	raw := seed
	if len(public) != x25519Size {
		raw = sha3.SumSHAKE256(seed, 96)[64:]
	}
	k, err := ecdh.X25519().NewPrivateKey(raw)
	if err == nil && !bytes.Equal(k.PublicKey().Bytes(), public[len(public)-x25519Size:]) {
		err = errors.New("the oracle's key is not the one of the public key")
	}
	return k, err
}

// opener is a private key the attacker can form.
type opener struct {
	kem hpke.PrivateKey
	enc func([]byte) []byte // what of the sealed key it takes
	raw []byte              // for package mls, nil if there is no such key
}

// openers are all the keys that one can form of what one knows: the classical
// key for what is sealed to it alone, or with another half that is guessed.
func openers(public, seed []byte, both bool) ([]opener, error) {
	whole := func(b []byte) []byte { return b }
	if both && len(public) != x25519Size {
		k, err := hpke.MLKEM768X25519().NewPrivateKey(seed)
		return []opener{{k, whole, seed}}, err
	}
	half, err := classicalHalf(public, seed)
	if err != nil {
		return nil, err
	}
	alone, err := hpke.NewDHKEMPrivateKey(half)
	if err != nil {
		return nil, err
	}
	guess, err := mlkem.GenerateKey768()
	if err != nil {
		return nil, err
	}
	hybrid, err := hpke.NewHybridPrivateKey(guess, half)
	if err != nil {
		return nil, err
	}
	last := func(b []byte) []byte { return b[max(0, len(b)-x25519Size):] }
	return []opener{{alone, last, half.Bytes()}, {hybrid, whole, nil}}, nil
}

// unseal opens what was sealed with mls.EncryptWithLabel.
func (k opener) unseal(s mls.CipherSuite, label string, context []byte, ct *mls.HPKECiphertext) ([]byte, error) {
	info := wire.MustEncode(func(c *wire.Codec) {
		l := []byte("MLS 1.0 " + label)
		wire.Opaque(c, &l)
		wire.Opaque(c, &context)
	})
	kdf := hpke.HKDFSHA384()
	if s == mls.X25519ChaChaSHA256Ed25519 {
		kdf = hpke.HKDFSHA256()
	}
	r, err := hpke.NewRecipient(k.enc(ct.KEMOutput), k.kem, kdf, hpke.ChaCha20Poly1305(), info)
	if err != nil {
		return nil, err
	}
	return r.Open(nil, ct.Ciphertext)
}

// invitation is a join package as it is on the wire (protocol.md, Section 4.1).
type invitation struct {
	Ref          mls.KeyPackageRef
	Ciphertext   mls.HPKECiphertext
	Conversation proto.ConversationID
	Seed         [32]byte
	Welcome      []byte
}

func version(c *wire.Codec) {
	v := uint8(1)
	wire.Uint8(c, &v)
}

func (i *invitation) sealed(c *wire.Codec) {
	version(c)
	wire.Opaque(c, &i.Ref)
	wire.Opaque(c, &i.Ciphertext.KEMOutput)
	wire.Opaque(c, &i.Ciphertext.Ciphertext)
}

func (i *invitation) plain(c *wire.Codec) {
	version(c)
	i.Conversation.Wire(c)
	wire.Fixed(c, i.Seed[:])
	wire.Opaque(c, &i.Welcome)
}

// join opens an invitation and reads the conversation it leads into.
func (r *recording) join(sealed []byte, keys map[string][]byte, both bool) ([]byte, error) {
	var i invitation
	if err := wire.Decode(sealed, i.sealed); err != nil {
		return nil, err
	}
	kp, err := r.packageOf(i.Ref)
	if err != nil {
		return nil, err
	}
	seed := keys[string(kp.InitKey)]
	if seed == nil {
		return nil, errors.New("the oracle does not have the key of an invitation")
	}
	all, err := openers(kp.InitKey, seed, both)
	if err != nil {
		return nil, err
	}
	for _, k := range all {
		plain, err := k.unseal(kp.CipherSuite, "huis join", i.Ref, &i.Ciphertext)
		if err != nil || k.raw == nil {
			continue
		}
		if _, err := wire.DecodePrefix(plain, func(c *wire.Codec) { wire.Struct(c, i.plain) }); err != nil {
			return nil, err
		}
		bundle := &mls.KeyPackageBundle{KeyPackage: kp, InitKey: mls.NewHPKEPrivateKey(k.raw), EncryptionKey: mls.NewHPKEPrivateKey(keys[string(kp.LeafNode.EncryptionKey)])}
		return r.follow(&i, bundle)
	}
	return nil, errors.New("an invitation does not open")
}

func (r *recording) packageOf(ref mls.KeyPackageRef) (*mls.KeyPackage, error) {
	for _, b := range r.packages {
		kp, err := mls.ParseKeyPackage(b)
		if err != nil {
			continue // none
		}
		if own, err := kp.Ref(); err == nil && bytes.Equal(own, ref) {
			return kp, nil
		}
	}
	return nil, errors.New("the key package of an invitation was not recorded")
}

// follow reads a conversation from its invitation on.
func (r *recording) follow(i *invitation, bundle *mls.KeyPackageBundle) (read []byte, err error) {
	w, err := mls.ParseWelcome(i.Welcome)
	if err != nil {
		return nil, err
	}
	info, err := mls.OpenGroupInfo(w, bundle, nil)
	if err != nil {
		return nil, err
	}
	tree, err := r.tree(info)
	if err != nil {
		return nil, err
	}
	g, _, err := mls.Join(w, bundle, mls.JoinOptions{RatchetTree: tree}, mls.Options{CustomProposals: map[mls.ProposalType]bool{0xF1A1: false}})
	if err != nil {
		return nil, err
	}
	for _, e := range r.entries {
		if e.Conversation != i.Conversation || e.Kind == proto.KindNotice || e.Epoch < info.GroupContext.Epoch {
			continue
		}
		p, err := g.Process(time.Now(), e.Bytes)
		if err != nil {
			continue // its own: it stands in this device's store, not on the wire
		}
		read = append(read, p.Data...)
		if p.Commit != nil {
			if _, err := g.Merge(time.Now(), p.Commit); err != nil {
				return read, err
			}
		}
	}
	return read, nil
}

// tree opens the blob with the ratchet tree that a GroupInfo names.
func (r *recording) tree(info *mls.GroupInfo) (*mls.RatchetTree, error) {
	data, ok := mls.FindExtension(info.Extensions, 0xF1A2)
	if !ok {
		return nil, errors.New("a GroupInfo names no tree")
	}
	var id proto.BlobID
	var key [chacha20poly1305.KeySize]byte
	var hash proto.Hash
	var size uint64
	if _, err := wire.DecodePrefix(data, func(c *wire.Codec) {
		version(c)
		id.Wire(c)
		wire.Fixed(c, key[:])
		hash.Wire(c)
		wire.Uint64(c, &size)
	}); err != nil {
		return nil, err
	}
	sealed := r.blobs[id]
	if uint64(len(sealed)) < size {
		return nil, errors.New("the blob with a tree was not recorded whole")
	}
	aead, err := chacha20poly1305.New(key[:])
	if err != nil {
		return nil, err
	}
	plain, err := aead.Open(nil, make([]byte, aead.NonceSize()), sealed[:size], id[:])
	if err != nil {
		return nil, err
	}
	var tree []byte
	if _, err := wire.DecodePrefix(plain, func(c *wire.Codec) {
		var n []byte
		wire.Opaque(c, &n)
		_, err := wire.DecodePrefix(n, func(c *wire.Codec) {
			version(c)
			wire.Opaque(c, &tree)
		})
		if err != nil {
			c.Fail(err.Error())
		}
	}); err != nil {
		return nil, err
	}
	return mls.ParseRatchetTree(tree)
}
