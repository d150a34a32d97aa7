package content

import (
	"bytes"
	"crypto/ed25519"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/fxamacker/cbor/v2"

	"codeberg.org/huis/huis/internal/client/files"
	"codeberg.org/huis/huis/internal/proto"
	"codeberg.org/huis/huis/internal/wire"
)

var now = time.Unix(1795348800, 0)

func text(body string) *Message {
	m := New(Text, now)
	m.Body = body
	return m
}

func part() AttachmentPart {
	return AttachmentPart{Name: "plan.pdf", MediaType: "application/pdf",
		File: files.Ref{Blob: proto.BlobID{1}, Size: 12, Alg: files.ChaCha20Poly1305, Key: files.NewKey()}}
}

// examples has one message of every kind.
func examples() map[Kind]*Message {
	target := []ID{NewID()}
	all := map[Kind]*Message{}
	for kind := Text; kind <= System; kind++ {
		m := New(kind, now)
		switch kind {
		case Text:
			m.Body, m.Attachments, m.Parents, m.Expiry = "hello", []AttachmentPart{part()}, target, 60
		case Reply, Reaction, Edit:
			m.Targets, m.Body = target, "👍"
		case Delete:
			m.Targets = target
		case Receipt:
			m.Targets, m.Read = []ID{NewID(), NewID()}, true
		case Attachment:
			m.Attachments = []AttachmentPart{part(), part()}
		case Voice:
			m.Attachments = []AttachmentPart{part()}
			m.Attachments[0].Duration = 1500
		case System:
			m.Event = &Event{Type: "history", Data: []byte{1, 2}}
		}
		all[kind] = m
	}
	return all
}

func TestEveryKindComesBack(t *testing.T) {
	for kind, m := range examples() {
		b, err := m.Encode()
		if err != nil {
			t.Fatalf("%v: %v", kind, err)
		}
		got, err := Parse(b)
		if err != nil {
			t.Fatalf("%v: %v", kind, err)
		}
		again, _ := got.Encode()
		if !bytes.Equal(again, b) {
			t.Errorf("%v: came back as another message", kind)
		}
		for n := range b {
			if _, err := Parse(b[:n]); err == nil {
				t.Errorf("%v: accepted its first %d bytes", kind, n)
			}
		}
	}
}

// TestFormat fixes the bytes: what is stored and signed today must be readable
// for ever.
func TestFormat(t *testing.T) {
	m := &Message{Version: 1, ID: ID{0xaa, 15: 0xbb}, Time: 1795348800, Kind: Text, Body: "hi", Expiry: 60}
	b, err := m.Encode()
	const want = "a6010102" + "50aa0000000000000000000000000000bb" + "041a6b02d940" + "0501" + "07626869" + "09183c"
	if err != nil || hex.EncodeToString(b) != want {
		t.Errorf("%x, %v\nwant %s", b, err, want)
	}
}

func TestRefusedMessages(t *testing.T) {
	id := []ID{NewID()}
	for name, change := range map[string]func(*Message){
		"empty text":            func(m *Message) { m.Body = "" },
		"long body":             func(m *Message) { m.Body = strings.Repeat("x", MaxBody+1) },
		"body not UTF-8":        func(m *Message) { m.Body = "\xff" },
		"no identifier":         func(m *Message) { m.ID = ID{} },
		"version 2":             func(m *Message) { m.Version = 2 },
		"kind 0":                func(m *Message) { m.Kind = 0 },
		"kind 10":               func(m *Message) { m.Kind = 10 },
		"time of no calendar":   func(m *Message) { m.Time = 1 << 60 },
		"text with target":      func(m *Message) { m.Targets = id },
		"reply without target":  func(m *Message) { m.Kind = Reply },
		"delete with body":      func(m *Message) { m.Kind, m.Targets = Delete, id },
		"edit of two":           func(m *Message) { m.Kind, m.Targets = Edit, []ID{NewID(), NewID()} },
		"receipt of nothing":    func(m *Message) { m.Kind, m.Body = Receipt, "" },
		"text that was read":    func(m *Message) { m.Read = true },
		"text with event":       func(m *Message) { m.Event = &Event{Type: "x"} },
		"system without event":  func(m *Message) { m.Kind, m.Body = System, "" },
		"event without type":    func(m *Message) { m.Kind, m.Body, m.Event = System, "", &Event{} },
		"four parents":          func(m *Message) { m.Parents = make([]ID, 4) },
		"attachment of nothing": func(m *Message) { m.Kind, m.Body = Attachment, "" },
		"long reaction":         func(m *Message) { m.Kind, m.Targets, m.Body = Reaction, id, strings.Repeat("x", 65) },
		"65 attachments":        func(m *Message) { m.Attachments = make([]AttachmentPart, 65) },
		"voice of two":          func(m *Message) { m.Kind, m.Body, m.Attachments = Voice, "", []AttachmentPart{part(), part()} },
		"duration in a text":    func(m *Message) { p := part(); p.Duration = 1; m.Attachments = []AttachmentPart{p} },
		"unknown algorithm":     func(m *Message) { p := part(); p.File.Alg = 2; m.Attachments = []AttachmentPart{p} },
		"file too large":        func(m *Message) { p := part(); p.File.Size = files.MaxFile + 1; m.Attachments = []AttachmentPart{p} },
		"file without blob":     func(m *Message) { p := part(); p.File.Blob = proto.BlobID{}; m.Attachments = []AttachmentPart{p} },
	} {
		m := text("hello")
		change(m)
		if _, err := m.Encode(); err == nil {
			t.Errorf("%s: encoded", name)
		}
		b, err := Marshal(m)
		if err != nil {
			continue // a body that is not UTF-8 cannot even be written
		}
		if _, err := Parse(b); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	for _, name := range []string{"", ".", "..", "a/b", `a\b`, "/etc/passwd", "a\x00b", "a\nb", "\x1b[2J", "exe\u202efdp", "\xff", strings.Repeat("n", 256)} {
		m := text("hello")
		p := part()
		p.Name = name
		m.Attachments = []AttachmentPart{p}
		if m.Check() == nil {
			t.Errorf("accepted the file name %q", name)
		}
	}
}

// TestOneEncodingOnly: what carries the same message in other bytes is refused,
// or a tag would open to two contents that look alike.
func TestOneEncodingOnly(t *testing.T) {
	good, _ := text("hello").Encode()
	reverse := cbor.EncOptions{Sort: cbor.SortNone}
	var loose map[int]any
	if err := cbor.Unmarshal(good, &loose); err != nil {
		t.Fatal(err)
	}
	with := func(key int, value any) []byte {
		altered := map[int]any{}
		for k, v := range loose {
			altered[k] = v
		}
		altered[key] = value
		mode, _ := cbor.CoreDetEncOptions().EncMode()
		b, err := mode.Marshal(altered)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	if _, err := Parse(with(7, "hello")); err != nil {
		t.Fatalf("the test's own encoding is refused: %v", err)
	}
	mode, _ := reverse.EncMode()
	unsorted, err := mode.Marshal(struct {
		Body    string `cbor:"7,keyasint"`
		Version uint8  `cbor:"1,keyasint"`
		ID      ID     `cbor:"2,keyasint"`
		Time    uint64 `cbor:"4,keyasint"`
		Kind    Kind   `cbor:"5,keyasint"`
	}{"hello", 1, NewID(), 1, Text})
	if err != nil {
		t.Fatal(err)
	}
	long := bytes.Replace(good, []byte("\x65hello"), []byte("\x78\x05hello"), 1)
	indefinite := append(append([]byte{0xbf}, good[1:]...), 0xff)
	for name, b := range map[string][]byte{
		"unknown field":       with(99, 1),
		"unsorted":            unsorted,
		"long form":           long,
		"indefinite length":   indefinite,
		"trailing byte":       append(bytes.Clone(good), 0),
		"empty array":         with(3, []int{}),
		"null":                with(11, nil),
		"zero instead absent": with(9, 0),
		"long identifier":     with(2, make([]byte, 17)),
		"short identifier":    with(2, []byte{1}),
		"float":               with(4, 1.5),
		"tagged":              with(7, cbor.Tag{Number: 24, Content: "hello"}),
		"text as bytes":       with(7, []byte("hello")),
		"duplicate key":       append(append([]byte{good[0] + 1}, good[1:]...), 0x07, 0x61, 'x'),
		"not a map":           {0x83, 1, 2, 3},
		"nothing":             {},
	} {
		if m, err := Parse(b); err == nil {
			t.Errorf("%s: accepted as %+v", name, m)
		}
	}
}

// sender is one author at one place.
type sender struct {
	key ed25519.PrivateKey
	at  Place
}

func newSender() sender {
	_, key, _ := ed25519.GenerateKey(nil)
	return sender{key, Place{Conversation: proto.New[proto.ConversationID](), Epoch: 7, Leaf: 3, MK: proto.MemberKey{9}}}
}

func (s sender) public() ed25519.PublicKey { return s.key.Public().(ed25519.PublicKey) }

func TestSealedMessageOpens(t *testing.T) {
	s, m := newSender(), text("hello")
	head := proto.Head{Generation: proto.Generation{1}, Seq: 41, Chain: proto.Hash{2}}
	sealed, err := Seal(m, s.at, s.key, Seen{Head: head})
	if err != nil {
		t.Fatal(err)
	}
	opened, err := Open(sealed.Data, sealed.AAD, s.at, s.public())
	if err != nil {
		t.Fatal(err)
	}
	if opened.Message.Body != "hello" || opened.Head != head || opened.Tag != sealed.Tag {
		t.Errorf("opened as %+v", opened.Message)
	}
	again, _ := Seal(m, s.at, s.key, Seen{Head: head})
	if again.Tag == sealed.Tag {
		t.Error("a message sealed again has the same tag")
	}
	if strings.Contains(fmt.Sprintf("%v %+v", opened.KF, opened.Envelope.KF), "1") {
		t.Error("the franking key is printed")
	}
}

func TestForgedMessages(t *testing.T) {
	s := newSender()
	sealed, err := Seal(text("hello"), s.at, s.key, Seen{})
	if err != nil {
		t.Fatal(err)
	}
	other := newSender()
	foreign, _ := Seal(text("hello"), s.at, s.key, Seen{})
	edit := func(change func(*Envelope)) []byte {
		var e Envelope
		if err := wire.Decode(sealed.Data, e.Wire); err != nil {
			t.Fatal(err)
		}
		change(&e)
		return wire.MustEncode(e.Wire)
	}
	at := func(change func(*Place)) Place {
		p := s.at
		change(&p)
		return p
	}
	// An author whose bytes are no message signs them all the same.
	strange := func(b []byte) (data, aad []byte) {
		e := Envelope{Content: b}
		tag := Tag(e.KF, b)
		copy(e.Sigma[:], ed25519.Sign(s.key, signed(tag, s.at)))
		a := proto.AppAAD{Tag: tag}
		return wire.MustEncode(e.Wire), wire.MustEncode(a.Wire)
	}
	odd, oddAAD := strange([]byte{0xa0})
	for name, c := range map[string]struct {
		data, aad []byte
		at        Place
		key       ed25519.PublicKey
	}{
		"another author":       {sealed.Data, sealed.AAD, s.at, other.public()},
		"another conversation": {sealed.Data, sealed.AAD, at(func(p *Place) { p.Conversation[0] ^= 1 }), s.public()},
		"another epoch":        {sealed.Data, sealed.AAD, at(func(p *Place) { p.Epoch++ }), s.public()},
		"another leaf":         {sealed.Data, sealed.AAD, at(func(p *Place) { p.Leaf++ }), s.public()},
		"another member key":   {sealed.Data, sealed.AAD, at(func(p *Place) { p.MK[0] ^= 1 }), s.public()},
		"another tag":          {sealed.Data, foreign.AAD, s.at, s.public()},
		"no tag":               {sealed.Data, nil, s.at, s.public()},
		"tag and more":         {sealed.Data, append(bytes.Clone(sealed.AAD), 0), s.at, s.public()},
		"another key k_f":      {edit(func(e *Envelope) { e.KF[0] ^= 1 }), sealed.AAD, s.at, s.public()},
		"another signature":    {edit(func(e *Envelope) { e.Sigma[0] ^= 1 }), sealed.AAD, s.at, s.public()},
		"another content":      {edit(func(e *Envelope) { e.Content[len(e.Content)-1] ^= 1 }), sealed.AAD, s.at, s.public()},
		"no key":               {sealed.Data, sealed.AAD, s.at, nil},
		"not a message":        {odd, oddAAD, s.at, s.public()},
		"nothing":              {nil, sealed.AAD, s.at, s.public()},
		"trailing byte":        {append(bytes.Clone(sealed.Data), 0), sealed.AAD, s.at, s.public()},
	} {
		if _, err := Open(c.data, c.aad, c.at, c.key); !errors.Is(err, ErrUnverifiable) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := wire.Encode((&Envelope{Checkpoint: make([]byte, 7)}).Wire); err == nil {
		t.Error("a checkpoint of 7 bytes was encoded")
	}
}

func TestGossipRidesAlongAndIsNotKept(t *testing.T) {
	s := newSender()
	with, err := Seal(text("hello"), s.at, s.key, Seen{Gossip: []byte("signed by the server")})
	if err != nil {
		t.Fatal(err)
	}
	opened, err := Open(with.Data, with.AAD, s.at, s.public())
	if err != nil || string(opened.Gossip) != "signed by the server" {
		t.Fatalf("%q, %v", opened.Gossip, err)
	}
	again, err := Open(with.Kept, with.AAD, s.at, s.public())
	if err != nil || again.Gossip != nil || !bytes.Equal(opened.Kept(), with.Kept) {
		t.Fatalf("%q, %v", again.Gossip, err)
	}
	empty := bytes.Clone(with.Kept)
	empty[0] = gossipVersion
	if _, err := Open(append(empty, 0), with.AAD, s.at, s.public()); err == nil {
		t.Error("an envelope with empty gossip has two encodings")
	}
	if _, err := Seal(text("hello"), s.at, s.key, Seen{Gossip: make([]byte, MaxGossip+1)}); err == nil {
		t.Error("gossip beyond its bound")
	}
}

func TestExpires(t *testing.T) {
	m := text("hello")
	if !m.Expires(10).IsZero() {
		t.Error("a message without expiry disappears")
	}
	m.Expiry = 90
	if got := m.Expires(10).Unix(); got != 690 {
		t.Errorf("disappears at %d", got)
	}
}

func TestID(t *testing.T) {
	id := NewID()
	if got, err := ParseID(id.Hex()); err != nil || got != id {
		t.Error(err)
	}
	for _, s := range []string{"", "zz", id.Hex() + "00", id.Hex()[:30]} {
		if _, err := ParseID(s); err == nil {
			t.Errorf("accepted %q", s)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, m := range examples() {
		b, _ := m.Encode()
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := Parse(b)
		if err != nil {
			return
		}
		again, err := m.Encode()
		if err != nil || !bytes.Equal(again, b) {
			t.Fatalf("accepted %x, encodes as %x, %v", b, again, err)
		}
	})
}

func FuzzOpen(f *testing.F) {
	s := newSender()
	sealed, _ := Seal(text("hello"), s.at, s.key, Seen{})
	f.Add(sealed.Data, sealed.AAD)
	f.Fuzz(func(t *testing.T, data, aad []byte) {
		opened, err := Open(data, aad, s.at, s.public())
		if err == nil && (opened.Tag != sealed.Tag || !bytes.Equal(data, sealed.Data)) {
			// Head and checkpoint may differ: MLS, not σ, vouches for them.
			if !bytes.Equal(opened.Content, mustContent(sealed.Data)) {
				t.Fatal("opened a message nobody signed")
			}
		}
	})
}

func mustContent(data []byte) []byte {
	var e Envelope
	if err := wire.Decode(data, e.Wire); err != nil {
		panic(err)
	}
	return e.Content
}
