package client

import (
	"bytes"
	"reflect"
	"strings"
	"testing"
	"time"

	"codeberg.org/huis/huis/internal/evidence"
	"codeberg.org/huis/huis/internal/proto"
	"codeberg.org/huis/huis/internal/wire"
	"codeberg.org/huis/huis/kt"
	"codeberg.org/huis/huis/mls"
)

// coded is any record or message of this package.
type coded struct {
	name string
	make func() any
	wire func(any, *wire.Codec)
}

func format[T any](name string, example T, fields func(*T, *wire.Codec)) coded {
	return coded{name, func() any { v := example; return &v }, func(v any, c *wire.Codec) { fields(v.(*T), c) }}
}

func formats() []coded {
	mk := []proto.MemberKey{{1}, {2}}
	p := policy{Kind: kindGroup, Name: "plan", Admins: []proto.AccountID{{1}}, Expiry: 60}
	entry := &proto.Entry{Kind: proto.KindNotice, Bytes: []byte{1}}
	links := [][]byte{{1, 2}, {3}}
	return []coded{
		format("policy", p, (*policy).wire),
		format("joinBlob", joinBlob{Tree: []byte{1}, Keys: memberKeys{{1, mk[0], 3}}, Profiles: []profile{{Handle: "bob", Links: links}}, Left: mk}, (*joinBlob).wire),
		format("joinRef", joinRef{Size: 9}, (*joinRef).wire),
		format("joinPackage", joinPackage{Welcome: []byte{1}}, (*joinPackage).wire),
		format("sealedJoin", sealedJoin{Ref: mls.KeyPackageRef{1}, KEMOutput: []byte{2}, Ciphertext: []byte{3}}, (*sealedJoin).wire),
		format("reason", reason{Leaf: 3, Notice: entry, Chain: links}, (*reason).wire),
		format("predecessor", predecessor{Seq: 4, Authenticator: []byte{5}}, (*predecessor).wire),
		format("meta", meta{State: stateLive, Policy: p, Ended: []epochEnd{{1, 2}}, Left: mk, Alarm: "x", Broken: brokenAt{Removes: mk}}, (*meta).wire),
		format("head", head{Minute: 3, Known: true}, (*head).wire),
		format("pending", pending{Entry: *entry, Staged: []byte{1}, Keys: memberKeys{{1, mk[0], 3}}, Handed: links}, (*pending).wire),
		format("logRecord", logRecord{Kind: proto.KindCommit, Epoch: 2}, (*logRecord).wire),
		format("messageRecord", messageRecord{M: []byte{1}, Envelope: []byte{2}}, (*messageRecord).wire),
		format("outRecord", outRecord{Content: []byte{1}, Entry: entry, Envelope: []byte{2}}, (*outRecord).wire),
		format("callRecord", callRecord{Type: proto.NoticeBroken, Seq: 3}, (*callRecord).wire),
		format("reformRecord", reformRecord{}, (*reformRecord).wire),
		format("chainRecord", chainRecord{Links: links, Checked: 3}, (*chainRecord).wire),
		format("word", word{Note: []byte{1}, Size: 2, Prefix: kt.Prefix{Proof: []kt.Hash{{3}}}, Head: &evidence.Placed{}}, (*word).wire),
		format("stop", stop{reason: "x", entry: &proto.Stamped{Entry: *entry}, other: &evidence.Placed{}, tried: 4}, (*stop).wire),
		format("claim", claim{Since: 1, Size: 2}, (*claim).wire),
		format("split", split{Note: []byte{1}, Size: 2}, (*split).wire),
		format("heardRoot", heardRoot{Root: kt.Hash{1}}, (*heardRoot).wire),
		format("heardNote", heardNote{Since: 1, Note: []byte{2}}, (*heardNote).wire),
		format("sealingKey", sealingKey{Key: []byte{1}}, (*sealingKey).wire),
		format("backup", backup{Counter: 1, Contacts: []backupContact{{Handle: "bob"}}, Chats: []backupChat{{Meta: []byte{1}, Head: []byte{2}, History: []historyPart{{First: 1, Ref: []byte{3}}}}}, Records: []backupRecord{{"k", []byte{4}}}}, (*backup).wire),
		format("signedBackup", signedBackup{Content: []byte{1}, Sig: []byte{2}}, (*signedBackup).wire),
		format("backupPointer", backupPointer{Day: 1, Size: 2}, (*backupPointer).wire),
		format("backupMade", backupMade{At: 1, Nr: 2, Size: 3}, (*backupMade).wire),
		format("recoveredRecord", recoveredRecord{At: 1, Before: []proto.DeviceID{{2}}, End: true}, (*recoveredRecord).wire),
		format("heldFile", heldFile{Minute: 1, Path: "x", Sealed: []byte{1}}, (*heldFile).wire),
		format("ownPackage", ownPackage{Made: 1, Bundle: []byte{1}}, (*ownPackage).wire),
		format("policyChain", policyChain{Signed: [][]byte{{1}}, Counts: 1, Vouched: []kt.Hash{{2}}, Flaw: "x"}, (*policyChain).wire),
		format("invited", invited{Inviter: proto.AccountID{1}, Pin: PolicyPin{Hash: kt.Hash{3}}}, (*invited).wire),
		format("policyNews", policyNews{Key: []byte{1}, Vouched: []kt.Hash{{2}}}, (*policyNews).wire),
		format("fragmentPolicy", fragment{version: invitationVersionPolicy, pin: []byte{1}, policy: PolicyPin{Hash: kt.Hash{3}}}, (*fragment).wire),
		format("fragmentReset", fragment{version: invitationVersionReset, pin: []byte{1}, reset: "bob"}, (*fragment).wire),
		format("nameRecord", nameRecord{Handle: "bob", Seq: 1, Confirmed: true, Holders: []holderRecord{{First: 1, Veto: 2, Logged: 3, Seen: 4}}}, (*nameRecord).wire),
		format("fragment", fragment{version: invitationVersion, pin: []byte{1}, expires: 4}, (*fragment).wire),
	}
}

func TestEveryFormatComesBack(t *testing.T) {
	for _, f := range formats() {
		v := f.make()
		b := wire.MustEncode(func(c *wire.Codec) { f.wire(v, c) })
		got := reflect.New(reflect.TypeOf(v).Elem()).Interface()
		if err := wire.Decode(b, func(c *wire.Codec) { f.wire(got, c) }); err != nil {
			t.Errorf("%s: %v", f.name, err)
			continue
		}
		if again := wire.MustEncode(func(c *wire.Codec) { f.wire(got, c) }); !bytes.Equal(again, b) {
			t.Errorf("%s: comes back as another value", f.name)
		}
		for n := range b {
			part := reflect.New(reflect.TypeOf(v).Elem()).Interface()
			if wire.Decode(b[:n], func(c *wire.Codec) { f.wire(part, c) }) == nil {
				t.Errorf("%s: its first %d bytes are accepted", f.name, n)
			}
		}
	}
}

func FuzzFormats(f *testing.F) {
	all := formats()
	for i, c := range all {
		v := c.make()
		f.Add(uint8(i), wire.MustEncode(func(k *wire.Codec) { c.wire(v, k) }))
	}
	f.Fuzz(func(t *testing.T, i uint8, b []byte) {
		c := all[int(i)%len(all)]
		v := reflect.New(reflect.TypeOf(c.make()).Elem()).Interface()
		if wire.Decode(b, func(k *wire.Codec) { c.wire(v, k) }) != nil {
			return
		}
		if again := wire.MustEncode(func(k *wire.Codec) { c.wire(v, k) }); !bytes.Equal(again, b) {
			t.Fatalf("%s: %x comes back as %x", c.name, b, again)
		}
	})
}

func TestJoinBlobsAndPackagesAreSealed(t *testing.T) {
	blob := joinBlob{Tree: []byte("a tree that nobody may see"), Keys: memberKeys{{1, proto.MemberKey{1}, 3}}}
	sealed, ref, err := sealJoinBlob(&blob, proto.Head{Seq: 7})
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(sealed, blob.Tree) {
		t.Error("the tree is in clear")
	}
	if got, err := openJoinBlob(sealed, &ref); err != nil || !bytes.Equal(got.Tree, blob.Tree) {
		t.Errorf("%v", err)
	}
	for i := range sealed {
		sealed[i] ^= 1
		if _, err := openJoinBlob(sealed, &ref); err == nil {
			t.Fatalf("opens with byte %d altered", i)
		}
		sealed[i] ^= 1
	}
	ref.Key[0] ^= 1
	if _, err := openJoinBlob(sealed, &ref); err == nil {
		t.Error("opens with another key")
	}

	signer, _, err := mls.GenerateSignatureKey(suite)
	if err != nil {
		t.Fatal(err)
	}
	bundle := func() *mls.KeyPackageBundle {
		b, err := mls.NewKeyPackage(suite, signer, member{}.credential(), mls.KeyPackageOptions{Leaf: mls.LeafOptions{Capabilities: capabilities()}})
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	mine, other := bundle(), bundle()
	p := joinPackage{Seed: newSeed(), Welcome: []byte("welcome")}
	b, err := sealJoinPackage(&p, mine.KeyPackage)
	if err != nil {
		t.Fatal(err)
	}
	var s sealedJoin
	if err := wire.Decode(b, s.wire); err != nil {
		t.Fatal(err)
	}
	if got, err := openJoinPackage(&s, mine); err != nil || got.Seed != p.Seed {
		t.Errorf("%v", err)
	}
	if _, err := openJoinPackage(&s, other); err == nil {
		t.Error("opens for another key package")
	}
	s.Ciphertext[3] ^= 1
	if _, err := openJoinPackage(&s, mine); err == nil {
		t.Error("opens altered")
	}
	if big, err := sealJoinPackage(&joinPackage{Welcome: make([]byte, proto.MaxJoinPackage)}, mine.KeyPackage); err == nil {
		t.Errorf("a package of %d bytes was made", len(big))
	}
}

func TestInvitationsAndServersAsText(t *testing.T) {
	inv := Invitation{
		Server: ServerRef{URL: "https://127.0.0.1:8443", Pin: bytes.Repeat([]byte{7}, 32)},
		Token:  proto.New[proto.Token](), Inviter: proto.AccountID{1}, Expires: time.Unix(1795348800, 0).UTC(),
	}
	got, err := ParseInvitation(" " + inv.String() + "\n")
	if err != nil || !reflect.DeepEqual(got, inv) {
		t.Fatalf("%v, %v", got.Server, err)
	}
	ref, err := ParseServerRef(inv.Server.String())
	if err != nil || !reflect.DeepEqual(ref, inv.Server) {
		t.Fatalf("%v, %v", ref, err)
	}
	text := inv.String()
	for name, bad := range map[string]string{
		"nothing":         "",
		"a word":          "hello",
		"plain http":      strings.Replace(text, "https", "http", 1),
		"no fragment":     text[:strings.IndexByte(text, '#')],
		"cut off":         text[:len(text)-4],
		"damaged":         text[:len(text)-4] + "!!!!",
		"a user":          strings.Replace(text, "127", "me@127", 1),
		"another version": strings.Replace(text, "#AQ", "#Ag", 1) + "x",
	} {
		if _, err := ParseInvitation(bad); err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
	for name, bad := range map[string]string{"short pin": "https://a#AAAA", "odd pin": "https://a#!", "no host": "https://"} {
		if _, err := ParseServerRef(bad); err == nil {
			t.Errorf("server with %s is accepted", name)
		}
	}
}

func TestSizesArePadded(t *testing.T) {
	for n := range 200_000 {
		total := n + pad(n)
		if pad(n) < 0 || total%256 != 0 || total > n+256 && total > n*5/4 {
			t.Fatalf("%d bytes are padded to %d", n, total)
		}
	}
}
