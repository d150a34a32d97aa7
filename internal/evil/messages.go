//go:build evil

package evil

import (
	"bytes"
	"os"
	"path/filepath"

	"codeberg.org/huis/huis/internal/proto"
)

// Promise: what is shown can be proved to be its sender's, and nothing is hidden
// in it. A lying member wants the others to show a message that nobody could
// hold it to, or that carries more than it says.
func init() {
	const envelope, framing = "internal/client/content/envelope.go", "mls/framing.go"
	const cipher = "internal/client/files/cipher.go"
	register(
		Attack{
			ID: "B-14/b", Name: "something hidden in a message's padding", Expected: Prevented, Play: forged,
			Malice:  []Edit{{framing, "	plaintext = append(plaintext, make([]byte, max(0, padding))...)\n", "	plaintext = append(plaintext, make([]byte, max(0, padding))...)\n	if padding > 0 && $W {\n		plaintext[len(plaintext)-1] = 1\n	}\n"}},
			Without: []Edit{Off(framing, "if b != 0 {")},
		},
		Attack{
			ID: "B-14/c", Name: "an extension nobody knows in the group's context", Expected: Prevented,
			Play: func(s *Stage) Facts {
				ann, bob, _ := s.house()
				before := epoch(bob, "house")
				ann.Liar().Do("chat", "expiry", "house", "7d")
				bob.Try("read", "house")
				return Facts{Effect: state(bob, "house") == "" && epoch(bob, "house") == before+1, Detail: state(bob, "house")}
			},
			Malice: []Edit{
				{"internal/client/commit.go", "	return mls.Proposal{Type: mls.ProposalGroupContextExtensions, GroupContextExtensions: &mls.GroupContextExtensions{Extensions: list}}\n", "	if $W {\n		list = append(list, mls.Extension{ExtensionType: mls.ExtensionApplicationID, ExtensionData: []byte(\"escrow\")})\n	}\n	return mls.Proposal{Type: mls.ProposalGroupContextExtensions, GroupContextExtensions: &mls.GroupContextExtensions{Extensions: list}}\n"},
				otherExtensions, foreignExtension,
			},
			Without: []Edit{otherExtensions, foreignExtension},
		},
		Attack{
			ID: "B-14/d", Name: "a message in another encoding of the same content", Expected: Prevented, Play: forged,
			Malice:  []Edit{{envelope, "	e := Envelope{Content: b, Head: seen.Head,", "	if $W {\n		b = append([]byte{0xb8, b[0] & 0x1f}, b[1:]...)\n	}\n	e := Envelope{Content: b, Head: seen.Head,"}},
			Without: []Edit{Off("internal/client/cbor/cbor.go", "if n < least {")},
		},
		Attack{
			ID: "B-24/a", Name: "a message under the franking tag of another", Expected: Prevented, Play: forged,
			Malice:  []Edit{{envelope, "	tag := Tag(e.KF, b)\n", "	tag := Tag(e.KF, b)\n	if $W {\n		tag[0] ^= 1\n	}\n"}},
			Without: []Edit{Off(envelope, "case !hmac.Equal(opened[:], tag[:]):")},
		},
		Attack{
			ID: "B-24/b", Name: "a message without its sender's signature", Expected: Prevented, Play: forged,
			Malice:  []Edit{{envelope, "	copy(e.Sigma[:], ed25519.Sign(key, signed(tag, at)))\n", "	if !$W {\n		copy(e.Sigma[:], ed25519.Sign(key, signed(tag, at)))\n	}\n"}},
			Without: []Edit{Off(envelope, "case len(m) != ed25519.PublicKeySize || !ed25519.Verify(m, signed(tag, at), e.Sigma[:]):")},
		},
		Attack{
			ID: "B-24/c", Name: "a file other than the one its message commits to", Expected: Prevented,
			Play: func(s *Stage) Facts {
				ann, bob, _ := s.house()
				file, _ := s.File("plan.txt", 5000)
				ann.Liar().Do("send", "house", "a plan", "--file", file)
				saved := filepath.Join(s.Dir, "saved")
				got := bob.Try("read", "house", "--save", saved)
				return Facts{Effect: len(s.glob(saved, "*")) > 0, Alerted: got.Alert(), Detail: got.Error()}
			},
			Malice: []Edit{{"internal/client/attach.go", "		parts = append(parts, content.AttachmentPart{Name: name,", "		if $W {\n			ref.SHA256[0] ^= 1\n			ref.PlainRoot[0] ^= 1\n		}\n		parts = append(parts, content.AttachmentPart{Name: name,"}},
			Without: []Edit{
				Off("internal/client/files/reader.go", "if cipherTree.root() != r.ref.CipherRoot || plainTree.root() != r.ref.PlainRoot || sum != r.ref.SHA256 {"),
				Off("internal/cli/save.go", "if got := hex.EncodeToString(h.Sum(nil)); got != a.SHA256 {"),
			},
		},
		Attack{
			ID: "B-24/d", Name: "the server gives out an altered file", Expected: Prevented,
			Play: func(s *Stage) Facts {
				ann, bob, _ := s.house()
				file, _ := s.File("plan.txt", 5000)
				ann.Do("send", "house", "a plan", "--file", file)
				s.Hand("begin", "bob")
				saved := filepath.Join(s.Dir, "saved")
				got := bob.Try("read", "house", "--save", saved)
				s.Told()
				return Facts{Effect: len(s.glob(saved, "*")) > 0, Alerted: got.Alert(), Detail: got.Error()}
			},
			Hands: map[string]Hand{"begin": lie(func(o *Operator, x *Exchange) error {
				if r, ok := x.Answer.(*proto.BlobGetResponse); ok && len(r.Bytes) > 5000 {
					r.Bytes[1000] ^= 1 // inside the first chunk, behind its nonce
					o.Told()
				}
				return nil
			})},
			Without: []Edit{
				Off("internal/client/files/reader.go", "if cipherTree.root() != r.ref.CipherRoot || plainTree.root() != r.ref.PlainRoot || sum != r.ref.SHA256 {"),
				Off("internal/cli/save.go", "if got := hex.EncodeToString(h.Sum(nil)); got != a.SHA256 {"),
				{cipher, "	if err != nil {\n		return nil, proto.Hash{}, damaged(\"chunk %d does not open\", i)\n", "	if err != nil && $W {\n		padded, err = append(dst[:0], stored[nonceSize:len(stored)-tagSize]...), nil\n	}\n	if err != nil {\n		return nil, proto.Hash{}, damaged(\"chunk %d does not open\", i)\n"},
				Off(cipher, "if !hmac.Equal(nonce, s.nonce(i, leaf)) {"),
				Off(cipher, `if len(bytes.Trim(padded[s.content(i):], "\x00")) > 0 {`),
			},
		},
	)
}

// otherExtensions lets anybody put anything into the group's context.
var otherExtensions = Edit{"internal/client/policy.go", "	case !slices.EqualFunc(others(before), others(after), equalExtension):\n", "	case !$W && !slices.EqualFunc(others(before), others(after), equalExtension):\n"}

// forged has a lying member write, and looks whether the other shows it. What
// the liar wrote honestly before and writes after has to be shown.
func forged(s *Stage) Facts {
	ann, bob, _ := s.house()
	lie, after := s.Secret("a text"), s.Secret("a text")
	ann.Liar().Do("send", "house", lie)
	ann.Honest().Do("send", "house", after)
	got := bob.Try("read", "house")
	if got.Code == 0 && !contains(got.Texts(), after) {
		s.Fatal("the honest message did not arrive: %s", got.Stderr)
	}
	return Facts{Effect: contains(got.Texts(), lie), Alerted: got.Alert(), Detail: got.Error()}
}

// state is how a conversation stands with a person, "" if it is well.
func state(p *Person, chat string) string {
	for _, o := range p.Try("chat", "list").Objects {
		if o["chat"] == chat {
			v, _ := o["state"].(string)
			return v
		}
	}
	return "not there"
}

func epoch(p *Person, chat string) float64 {
	for _, o := range p.Try("chat", "list").Objects {
		if o["chat"] == chat {
			v, _ := o["epoch"].(float64)
			return v
		}
	}
	return 0
}

// File writes a file whose bytes hold a secret over and over.
func (s *Stage) File(name string, size int) (path string, content []byte) {
	content = bytes.Repeat([]byte(s.Secret("a file's bytes")), size/26+1)[:size]
	path = filepath.Join(s.Dir, name)
	s.Must(os.WriteFile(path, content, 0o600))
	return path, content
}

func (s *Stage) glob(parts ...string) []string {
	found, err := filepath.Glob(filepath.Join(parts...))
	s.Must(err)
	return found
}
