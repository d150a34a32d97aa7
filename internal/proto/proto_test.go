package proto

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"fmt"
	"log/slog"
	"math/rand"
	"reflect"
	"strings"
	"testing"
	"time"

	"codeberg.org/huis/huis/internal/wire"
)

// fill sets every exported field below v to something valid and not zero.
func fill(r *rand.Rand, v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(r, v.Elem())
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				fill(r, v.Field(i))
			}
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		fallthrough
	case reflect.Array:
		for i := range v.Len() {
			fill(r, v.Index(i))
		}
	case reflect.String:
		v.SetString("name")
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int64:
		v.SetInt(int64(time.Second))
	default:
		v.SetUint(1 + uint64(r.Intn(3)))
	}
}

func samples() []Message {
	r := rand.New(rand.NewSource(1))
	all := []Message{&Notice{Type: NoticeBroken, Seq: 3}, &Notice{Type: NoticeLeave}, &Notice{Type: NoticeReform},
		&Error{Code: Stale, Epoch: 5, Seq: 6}, &Error{Code: Throttled, Wait: time.Second}, &Error{Code: BadTicket, Index: 2},
		&Error{Code: NotMember}, &AppAAD{}, &KeyDelta{}, &Subscribe{}, &Hint{}, &Head{}, &Stamped{}}
	for _, m := range all[7:] {
		fill(r, reflect.ValueOf(m).Elem())
	}
	for _, c := range Calls() {
		for _, m := range []Message{c.Request(), c.Response()} {
			fill(r, reflect.ValueOf(m).Elem())
			all = append(all, m)
		}
	}
	return all
}

func fresh(m Message) Message { return reflect.New(reflect.TypeOf(m).Elem()).Interface().(Message) }

func TestMessagesRoundTrip(t *testing.T) {
	for _, m := range samples() {
		b, err := Encode(m)
		if err != nil {
			t.Fatalf("%T: %v", m, err)
		}
		got := fresh(m)
		if err := Decode(b, got); err != nil || !reflect.DeepEqual(got, m) {
			t.Errorf("%T: decoded to another value, %v", m, err)
		}
		if again, err := Encode(got); err != nil || !bytes.Equal(again, b) {
			t.Errorf("%T: re-encoded to other bytes, %v", m, err)
		}
	}
}

func TestEveryStrictPrefixIsRefused(t *testing.T) {
	for _, m := range samples() {
		b, _ := Encode(m)
		for n := range b {
			if err := Decode(b[:n], fresh(m)); !errors.Is(err, wire.ErrSyntax) {
				t.Fatalf("%T: prefix of %d of %d bytes: %v", m, n, len(b), err)
			}
		}
		if err := Decode(append(b, 0), fresh(m)); !errors.Is(err, wire.ErrSyntax) {
			t.Errorf("%T: trailing byte accepted", m)
		}
	}
}

func TestUnknownTagsAreRefused(t *testing.T) {
	for name, c := range map[string]struct {
		b []byte
		m Message
	}{
		"notice":        {[]byte{9}, &Notice{}},
		"kind":          {append([]byte{4}, make([]byte, 300)...), &Entry{}},
		"aad version":   {append([]byte{2}, make([]byte, 32)...), &AppAAD{}},
		"delta version": {[]byte{0, 0, 0, 0}, &KeyDelta{}},
	} {
		if err := Decode(c.b, c.m); !errors.Is(err, wire.ErrSyntax) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestUnknownErrorCodeIsARefusal(t *testing.T) {
	var e Error
	if err := Decode([]byte{200, 2, 7, 7}, &e); err != nil || e.Retriable() || e.Error() == "" {
		t.Fatalf("%v, %v", err, &e)
	}
	if errors.Is(&e, Stale) || !errors.Is(&Error{Code: Stale}, Stale) {
		t.Error("codes are mixed up")
	}
}

func TestEveryCodeHasNameAndText(t *testing.T) {
	seen := map[string]bool{}
	for _, c := range Codes() {
		if c.String() == "" || codeTexts[c].text == "" || seen[c.String()] {
			t.Errorf("code %d: name %q, text %q", uint8(c), c.String(), codeTexts[c].text)
		}
		seen[c.String()] = true
		if got := Refuse(c).Error(); !strings.Contains(got, c.String()) || RefuseWait(c, time.Second).Error() == got || c.Error() != got {
			t.Errorf("code %d says %q", uint8(c), got)
		}
	}
}

func TestIdentifiersDoNotPrint(t *testing.T) {
	id := New[ConversationID]()
	r := Stamped{Entry: Entry{Conversation: id}}
	var b strings.Builder
	slog.New(slog.NewTextHandler(&b, nil)).Info("x", "id", id, "entry", r)
	fmt.Fprintf(&b, "%v %+v %#v %x %s %d %v", id, id, id, id, id, id, r.Entry)
	if strings.Contains(b.String(), id.Hex()[:8]) || strings.Contains(b.String(), fmt.Sprint(id[:4])[1:9]) {
		t.Errorf("printed: %s", b.String())
	}
}

func StampedForTest(id ConversationID) Stamped { return Stamped{Entry: Entry{Conversation: id}} }

func keypair(b byte) ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed(bytes.Repeat([]byte{b}, ed25519.SeedSize))
}

func privateMessage(id ConversationID, epoch uint64, ct ContentType, aad Message) []byte {
	return wire.MustEncode(func(c *wire.Codec) {
		version, format, group, data, sealed := uint16(1), uint16(2), id[:], wire.MustEncode(aad.Wire), []byte("sealed")
		wire.Uint16(c, &version)
		wire.Uint16(c, &format)
		wire.Opaque(c, &group)
		wire.Uint64(c, &epoch)
		wire.Uint8(c, &ct)
		wire.Opaque(c, &data)
		wire.Opaque(c, &sealed)
		wire.Opaque(c, &sealed)
	})
}

func signedEntry(t testing.TB, kind Kind) *Entry {
	id := ConversationID{1, 2, 3}
	e := &Entry{Kind: kind, Conversation: id, Epoch: 4}
	switch kind {
	case KindCreate:
		e.Bytes = EncodeMembers([]MemberKey{{1}, {2}})
	case KindCommit:
		e.Bytes = privateMessage(id, 4, ContentCommit, &KeyDelta{Adds: []MemberKey{{5}}})
	case KindApplication:
		e.Bytes = privateMessage(id, 4, ContentApplication, &AppAAD{Tag: Hash{8}})
	case KindNotice:
		n := Notice{Type: NoticeBroken, Seq: 9}
		e.Bytes = wire.MustEncode(n.Wire)
	}
	if err := e.Sign(keypair(1)); err != nil {
		t.Fatal(err)
	}
	return e
}

func TestEntriesVerifyAndNothingElse(t *testing.T) {
	for kind := KindCreate; kind <= KindNotice; kind++ {
		if err := signedEntry(t, kind).Verify(); err != nil {
			t.Fatalf("kind %d: %v", kind, err)
		}
		b, _ := Encode(signedEntry(t, kind))
		for i := range b {
			bad := bytes.Clone(b)
			bad[i] ^= 1
			var e Entry
			if Decode(bad, &e) == nil && e.Verify() == nil {
				t.Errorf("kind %d: byte %d flipped and still valid", kind, i)
			}
		}
	}
}

func TestEntryAndMessageMustAgree(t *testing.T) {
	id := ConversationID{1, 2, 3}
	app := &AppAAD{Tag: Hash{8}}
	for name, e := range map[string]Entry{
		"other conversation": {Kind: KindApplication, Epoch: 4, Bytes: privateMessage(ConversationID{9}, 4, ContentApplication, app)},
		"other epoch":        {Kind: KindApplication, Epoch: 4, Bytes: privateMessage(id, 5, ContentApplication, app)},
		"proposal":           {Kind: KindCommit, Epoch: 4, Bytes: privateMessage(id, 4, ContentProposal, &KeyDelta{})},
		"commit as message":  {Kind: KindApplication, Epoch: 4, Bytes: privateMessage(id, 4, ContentCommit, app)},
		"no delta":           {Kind: KindCommit, Epoch: 4, Bytes: privateMessage(id, 4, ContentCommit, app)},
		"public message":     {Kind: KindCommit, Epoch: 4, Bytes: []byte{0, 1, 0, 1, 0}},
		"long notice":        {Kind: KindNotice, Epoch: 4, Bytes: make([]byte, MaxNotice+1)},
	} {
		e.Conversation = id
		key := keypair(1)
		copy(e.MK[:], key.Public().(ed25519.PublicKey))
		s, _ := e.Skeleton() // of bytes that parse or not
		s.Tag = Hash{8}
		copy(e.Sig[:], ed25519.Sign(key, s.signed()))
		if err := e.Verify(); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestStampsChain(t *testing.T) {
	key := keypair(2)
	pub := StampKey{KID: StampKID(key.Public().(ed25519.PublicKey)), Generation: Generation{7}}
	copy(pub.Public[:], key.Public().(ed25519.PublicKey))
	var prev Hash
	for seq := uint64(1); seq <= 3; seq++ {
		e := signedEntry(t, KindApplication)
		r := Receipt{Generation: Generation{7}, Seq: seq, Minute: 100, ChainPrev: prev}
		chain, err := r.Sign(e, key)
		if err != nil {
			t.Fatal(err)
		}
		got, err := r.Verify(e, pub)
		if err != nil || got != chain || chain == prev {
			t.Fatalf("seq %d: %v", seq, err)
		}
		b, _ := Encode(&r)
		for i := range b {
			var bad Receipt
			flipped := bytes.Clone(b)
			flipped[i] ^= 1
			if Decode(flipped, &bad) == nil {
				if _, err := bad.Verify(e, pub); err == nil {
					t.Fatalf("byte %d of the receipt flipped and still valid", i)
				}
			}
		}
		if _, err := r.Verify(signedEntry(t, KindNotice), pub); err == nil {
			t.Fatal("stamp holds for another entry")
		}
		for i := range e.Sig {
			unsigned := *e
			unsigned.Sig[i] ^= 1
			if _, err := r.Verify(&unsigned, pub); err == nil {
				t.Fatalf("byte %d of the submitter's signature is not stamped", i)
			}
		}
		prev = chain
	}
}

func TestExtraHashBindsEverything(t *testing.T) {
	seen := map[Hash]bool{}
	for _, x := range []Extra{{}, {Pins: []BlobID{{1}}}, {Packages: []JoinPackage{{Sealed: []byte{1}}}},
		{Packages: []JoinPackage{{Ticket: Ticket{1}, Sealed: []byte{1}}}}, {Reform: &Entry{}}} {
		seen[x.Hash()] = true
	}
	if len(seen) != 5 {
		t.Errorf("%d different hashes of 5 extras", len(seen))
	}
}

func FuzzDecodeReencodes(f *testing.F) {
	all := samples()
	for i, m := range all {
		b, _ := Encode(m)
		f.Add(uint8(i), b)
	}
	f.Fuzz(func(t *testing.T, i uint8, b []byte) {
		m := fresh(all[int(i)%len(all)])
		if Decode(b, m) != nil {
			return
		}
		if again, err := Encode(m); err != nil || !bytes.Equal(again, b) {
			t.Fatalf("%T: %x re-encodes to %x, %v", m, b, again, err)
		}
		if e, ok := m.(*Entry); ok {
			e.Verify()
		}
	})
}

func FuzzParseFrame(f *testing.F) {
	f.Add(signedEntry(f, KindApplication).Bytes)
	f.Add(signedEntry(f, KindCommit).Bytes)
	f.Fuzz(func(t *testing.T, b []byte) {
		if fr, err := ParseFrame(b); err == nil {
			fr.AppAAD()
			fr.KeyDelta()
		}
	})
}

func TestErrorsPrint(t *testing.T) {
	for _, c := range append(Codes(), 0, 255) {
		for _, err := range []error{c, Refuse(c), RefuseWait(c, time.Second)} {
			if text := err.Error(); !strings.HasPrefix(text, "server: ") {
				t.Errorf("%d prints %q", uint8(c), text)
			}
		}
	}
}
