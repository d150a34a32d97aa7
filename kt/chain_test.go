package kt

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"codeberg.org/huis/huis/internal/wire"
)

var t0 = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// device has the secrets of one device.
type device struct {
	id DeviceID
	d  ChainKey
	m  ed25519.PrivateKey
}

func newDevice() device {
	seed := randomSeed()
	return device{NewDeviceID(), GenerateChainKey(), ed25519.NewKeyFromSeed(seed[:])}
}

func (d device) signer() Signer { return DeviceSigner(d.id, d.d) }

func (d device) mPublic() MessagePublicKey { return MessagePublicKey(d.m.Public().(ed25519.PublicKey)) }

func signWith(k ed25519.PrivateKey) SignFunc {
	return func(b []byte) ([]byte, error) { return ed25519.Sign(k, b), nil }
}

func (d device) enrol(t *testing.T, account AccountID) Enrolment {
	t.Helper()
	e, err := NewEnrolment(account, d.id, d.d, d.mPublic(), signWith(d.m))
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// account is a chain with the secrets of its devices.
type account struct {
	*testing.T
	Chain
	links   [][]byte
	devices []device
	now     time.Time
}

func newAccount(t *testing.T) *account {
	a := &account{T: t, now: t0, devices: []device{newDevice()}}
	a.take(Genesis(a.now, a.devices[0].signer(), a.devices[0].enrol(t, AccountID{})))
	return a
}

// take appends a link that must be right, an hour after the one before.
func (a *account) take(link []byte, err error) {
	a.Helper()
	if err == nil {
		a.Chain, err = a.Append(link)
	}
	if err != nil {
		a.Fatal(err)
	}
	a.links = append(a.links, link)
	a.now = a.now.Add(time.Hour)
}

func (a *account) add(by Signer) device {
	a.Helper()
	d := newDevice()
	a.take(a.AddDevice(a.now, by, d.enrol(a.T, a.Account())))
	a.devices = append(a.devices, d)
	return d
}

func wantRule(t *testing.T, name string, err error, rule string) {
	t.Helper()
	var invalid *InvalidError
	if !errors.As(err, &invalid) || invalid.Rule != rule {
		t.Errorf("%s: %v; want a breach of %q", name, err, rule)
	}
}

func TestLifeOfAnAccount(t *testing.T) {
	a := newAccount(t)
	first := a.devices[0]
	recovery := GenerateRecoveryKey()
	a.take(a.SetRecovery(a.now, first.signer(), recovery.Public()))
	second := a.add(first.signer())
	third := a.add(second.signer())
	a.take(a.Revoke(a.now, second.signer(), first.id))
	_, m2, _ := ed25519.GenerateKey(nil)
	rotated := a.now
	a.take(a.Rotate(a.now, third.signer(), MessagePublicKey(m2.Public().(ed25519.PublicKey)), signWith(m2)))
	a.take(a.Refresh(a.now, second.signer()))
	lost := a.add(RecoverySigner(recovery))

	replayed, err := Verify(a.links)
	if err != nil || replayed.Head() != a.Head() || replayed.Account() != a.Account() || replayed.Len() != 8 {
		t.Fatalf("replay: %v", err)
	}
	m3 := MessagePublicKey(m2.Public().(ed25519.PublicKey))
	for _, c := range []struct {
		name string
		id   DeviceID
		m    MessagePublicKey
		now  time.Time
		want Standing
	}{
		{"live", second.id, second.mPublic(), a.now, Proven},
		{"revoked", first.id, first.mPublic(), a.now, Revoked},
		{"never in the chain", NewDeviceID(), second.mPublic(), a.now, Unproven},
		{"key of another device", third.id, second.mPublic(), a.now, Unproven},
		{"key after rotation", third.id, m3, a.now, Proven},
		{"key before rotation, soon", third.id, third.mPublic(), rotated.Add(FollowWithin - time.Second), Proven},
		{"key before rotation, late", third.id, third.mPublic(), rotated.Add(FollowWithin), Unproven},
		{"added by recovery", lost.id, lost.mPublic(), a.now, Proven},
	} {
		if got := a.Leaf(c.id, c.m, c.now); got != c.want {
			t.Errorf("%s: standing %d, want %d", c.name, got, c.want)
		}
	}
	if live := a.Live(); len(live) != 3 || len(a.Devices()) != 4 || live[0].AddedBy != first.id {
		t.Errorf("%d live of %d devices", len(live), len(a.Devices()))
	}

	a.take(a.Tombstone(a.now, second.signer()))
	if successor, closed := a.Closed(); !closed || !successor.IsZero() || len(a.Live()) != 0 {
		t.Error("a TOMBSTONE did not end the account")
	}
	if _, err := a.Refresh(a.now, second.signer()); err == nil {
		t.Error("a link after the TOMBSTONE")
	}
}

func TestResetNamesTheSuccessor(t *testing.T) {
	a, b := newAccount(t), newAccount(t)
	a.take(a.Reset(a.now, a.devices[0].signer(), b.Account()))
	if successor, closed := a.Closed(); !closed || successor != b.Account() || len(a.Live()) != 0 {
		t.Error("RESET did not end the account")
	}
}

// forge signs l as s would, whatever the rules say.
func (a *account) forge(s Signer, t Type, fields func(*wire.Codec), change func(*Link)) []byte {
	l := Link{Version: 1, Seq: uint32(a.n), Prev: a.head, Type: t, Time: uint64(a.now.Unix()), Signer: s.id,
		Body: wire.MustEncode(fields)}
	if change != nil {
		change(&l)
	}
	copy(l.Signature[:], ed25519.Sign(s.key, l.signed()))
	return l.Bytes()
}

func nothing(*wire.Codec) {}

// refusal is a chain whose last link breaks a rule.
type refusal struct {
	name, rule string
	before     [][]byte
	link       []byte
}

// refusals breaks each rule of Append.
func refusals(t *testing.T) []refusal {
	a := newAccount(t)
	first := a.devices[0]
	second := a.add(first.signer())
	gone := a.add(first.signer())
	a.take(a.Revoke(a.now, first.signer(), gone.id))
	recovery := GenerateRecoveryKey()
	a.take(a.SetRecovery(a.now, first.signer(), recovery.Public()))
	stranger, other := newDevice(), newAccount(t)
	s := first.signer()
	enrolment := func(d device, change func(*Enrolment)) func(*wire.Codec) {
		e := d.enrol(t, a.Account())
		if change != nil {
			change(&e)
		}
		return e.Wire
	}
	revoke := func(id DeviceID) func(*wire.Codec) { b := revokeBody{id}; return b.wire }
	rotate := func(k ed25519.PrivateKey, account AccountID, id DeviceID) func(*wire.Codec) {
		b := rotateBody{M: MessagePublicKey(k.Public().(ed25519.PublicKey))}
		copy(b.ProofM[:], ed25519.Sign(k, b.proven(account, id)))
		return b.wire
	}
	setRecovery := func(k [32]byte) func(*wire.Codec) { b := recoveryBody{k}; return b.wire }
	foreign := stranger.enrol(t, other.Account())
	reset := resetBody{a.Account()}
	rename := func(from, to Index) func(*wire.Codec) { b := renameBody{from, to}; return b.wire }

	all := []refusal{
		{"wrong seq", "seq", a.links, a.forge(s, TypeRefresh, nothing, func(l *Link) { l.Seq++ })},
		{"an old link again", "seq", a.links, a.links[len(a.links)-1]},
		{"a fork", "prev", a.links, a.forge(s, TypeRefresh, nothing, func(l *Link) { l.Prev[0] ^= 1 })},
		{"of another account", "prev", a.links, a.forge(s, TypeRefresh, nothing, func(l *Link) { l.Prev = other.head })},
		{"older than the link before", "time", a.links, a.forge(s, TypeRefresh, nothing, func(l *Link) { l.Time = a.last - 1 })},
		{"time beyond reason", "time", a.links, a.forge(s, TypeRefresh, nothing, func(l *Link) { l.Time = 1 << 62 })},
		{"second GENESIS", "genesis", a.links, a.forge(s, TypeGenesis, enrolment(stranger, nil), nil)},
		{"unknown type", "type", a.links, a.forge(s, 99, nothing, nil)},
		{"type zero", "type", a.links, a.forge(s, 0, nothing, nil)},
		{"signed by a stranger", "signer", a.links, a.forge(stranger.signer(), TypeRefresh, nothing, nil)},
		{"signed by a revoked device", "signer", a.links, a.forge(gone.signer(), TypeRefresh, nothing, nil)},
		{"signed by another device's key", "signature", a.links, a.forge(second.signer(), TypeRefresh, nothing, func(l *Link) { l.Signer = first.id })},
		{"signed by the message key", "signature", a.links, a.forge(Signer{first.id, first.m}, TypeRefresh, nothing, nil)},
		{"REVOKE by recovery", "signer", a.links, a.forge(RecoverySigner(recovery), TypeRevoke, revoke(first.id), nil)},
		{"ADD_DEVICE by another recovery key", "signature", a.links, a.forge(RecoverySigner(GenerateRecoveryKey()), TypeAddDevice, enrolment(stranger, nil), nil)},
		{"ADD_DEVICE by recovery that is not set", "signer", other.links, other.forge(RecoverySigner(recovery), TypeAddDevice, foreign.Wire, nil)},
		{"ADD_DEVICE with an identifier again", "device", a.links, a.forge(s, TypeAddDevice, enrolment(device{gone.id, stranger.d, stranger.m}, nil), nil)},
		{"ADD_DEVICE without identifier", "device", a.links, a.forge(s, TypeAddDevice, enrolment(device{DeviceID{}, stranger.d, stranger.m}, nil), nil)},
		{"ADD_DEVICE with D again", "key", a.links, a.forge(s, TypeAddDevice, enrolment(device{stranger.id, gone.d, stranger.m}, nil), nil)},
		{"ADD_DEVICE with M again", "key", a.links, a.forge(s, TypeAddDevice, enrolment(device{stranger.id, stranger.d, second.m}, nil), nil)},
		{"ADD_DEVICE with D as M", "key", a.links, a.forge(s, TypeAddDevice, enrolment(device{stranger.id, stranger.d, stranger.d.private()}, nil), nil)},
		{"ADD_DEVICE with the recovery key as D", "key", a.links, a.forge(s, TypeAddDevice, enrolment(device{stranger.id, ChainKey(recovery), stranger.m}, nil), nil)},
		{"ADD_DEVICE without the chain key's proof", "proof", a.links, a.forge(s, TypeAddDevice, enrolment(stranger, func(e *Enrolment) { e.ProofD[3] ^= 1 }), nil)},
		{"ADD_DEVICE without the message key's proof", "proof", a.links, a.forge(s, TypeAddDevice, enrolment(stranger, func(e *Enrolment) { e.ProofM[3] ^= 1 }), nil)},
		{"ADD_DEVICE enrolled for another account", "proof", a.links, a.forge(s, TypeAddDevice, foreign.Wire, nil)},
		{"ADD_DEVICE with a short body", "body", a.links, a.forge(s, TypeAddDevice, revoke(first.id), nil)},
		{"REVOKE of a stranger", "device", a.links, a.forge(s, TypeRevoke, revoke(stranger.id), nil)},
		{"REVOKE twice", "device", a.links, a.forge(s, TypeRevoke, revoke(gone.id), nil)},
		{"REVOKE of the last device", "device", other.links, other.forge(other.devices[0].signer(), TypeRevoke, revoke(other.devices[0].id), nil)},
		{"ROTATE to the same key", "key", a.links, a.forge(s, TypeRotate, rotate(first.m, a.Account(), first.id), nil)},
		{"ROTATE to a revoked device's key", "key", a.links, a.forge(s, TypeRotate, rotate(gone.m, a.Account(), first.id), nil)},
		{"ROTATE proven for another device", "proof", a.links, a.forge(s, TypeRotate, rotate(stranger.m, a.Account(), second.id), nil)},
		{"SET_RECOVERY to zeros", "key", a.links, a.forge(s, TypeSetRecovery, setRecovery([32]byte{}), nil)},
		{"SET_RECOVERY to the same key", "key", a.links, a.forge(s, TypeSetRecovery, setRecovery(recovery.Public()), nil)},
		{"SET_RECOVERY to a device's key", "key", a.links, a.forge(s, TypeSetRecovery, setRecovery(first.mPublic()), nil)},
		{"REFRESH with a body", "body", a.links, a.forge(s, TypeRefresh, revoke(first.id), nil)},
		{"TOMBSTONE with a body", "body", a.links, a.forge(s, TypeTombstone, revoke(first.id), nil)},
		{"RESET to itself", "successor", a.links, a.forge(s, TypeReset, reset.wire, nil)},
		{"RESET to nobody", "successor", a.links, a.forge(s, TypeReset, (&resetBody{}).wire, nil)},
	}
	renamed := newAccount(t)
	renamed.take(renamed.Rename(renamed.now, renamed.devices[0].signer(), numbered(7), numbered(8)))
	r, tired := renamed.devices[0].signer(), restless(t)
	all = append(all,
		refusal{"RENAME to the same name", "name", a.links, a.forge(s, TypeRename, rename(numbered(7), numbered(7)), nil)},
		refusal{"RENAME from no name", "name", a.links, a.forge(s, TypeRename, rename(Index{}, numbered(7)), nil)},
		refusal{"RENAME to no name", "name", a.links, a.forge(s, TypeRename, rename(numbered(7), Index{}), nil)},
		refusal{"RENAME with a short body", "body", a.links, a.forge(s, TypeRename, revoke(first.id), nil)},
		refusal{"RENAME by recovery", "signer", a.links, a.forge(RecoverySigner(recovery), TypeRename, rename(numbered(7), numbered(8)), nil)},
		refusal{"RENAME by a revoked device", "signer", a.links, a.forge(gone.signer(), TypeRename, rename(numbered(7), numbered(8)), nil)},
		refusal{"RENAME from a name left before", "name", renamed.links, renamed.forge(r, TypeRename, rename(numbered(7), numbered(9)), nil)},
		refusal{"RENAME from another account's name", "name", renamed.links, renamed.forge(r, TypeRename, rename(numbered(5), numbered(9)), nil)},
		refusal{"more RENAMEs than allowed", "length", tired.links, tired.forge(tired.devices[0].signer(), TypeRename, rename(numbered(7), numbered(8)), nil)},
	)
	ended := newAccount(t)
	ended.take(ended.Tombstone(ended.now, ended.devices[0].signer()))
	all = append(all, refusal{"a link after the end", "closed", ended.links, ended.forge(ended.devices[0].signer(), TypeRefresh, nothing, nil)})
	all = append(all, genesisRefusals(t)...)
	full := newAccount(t)
	for len(full.Live()) < MaxDevices {
		full.add(full.devices[0].signer())
	}
	late := newDevice().enrol(t, full.Account())
	return append(all, refusal{"more devices than allowed", "length", full.links, full.forge(full.devices[0].signer(), TypeAddDevice, late.Wire, nil)})
}

// restless has changed its name as often as anybody may.
func restless(t *testing.T) *account {
	a := newAccount(t)
	for i := range MaxRenames {
		a.take(a.Rename(a.now, a.devices[0].signer(), numbered(7+i%2), numbered(8-i%2)))
	}
	return a
}

func TestRefusals(t *testing.T) {
	for _, c := range refusals(t) {
		chain := Chain{}
		if len(c.before) > 0 {
			var err error
			if chain, err = Verify(c.before); err != nil {
				t.Fatal(err)
			}
		}
		before, live := chain.Head(), len(chain.Live())
		_, err := chain.Append(c.link)
		wantRule(t, c.name, err, c.rule)
		if chain.Head() != before || len(chain.Live()) != live {
			t.Fatalf("%s: the chain changed", c.name)
		}
	}
}

func genesisRefusals(t *testing.T) []refusal {
	var none account
	none.now = t0
	d, e := newDevice(), newDevice()
	good := d.enrol(t, AccountID{})
	return []refusal{
		{"another type first", "genesis", nil, none.forge(d.signer(), TypeRefresh, nothing, nil)},
		{"prev is not zero", "prev", nil, none.forge(d.signer(), TypeGenesis, good.Wire, func(l *Link) { l.Prev[0] = 1 })},
		{"another device signs", "signer", nil, none.forge(e.signer(), TypeGenesis, good.Wire, nil)},
		{"another key signs", "signature", nil, none.forge(DeviceSigner(d.id, e.d), TypeGenesis, good.Wire, nil)},
		{"recovery signs", "signer", nil, none.forge(Signer{key: d.d.private()}, TypeGenesis, good.Wire, nil)},
	}
}

func TestNoLinksAreNoChain(t *testing.T) {
	_, err := Verify(nil)
	wantRule(t, "no links", err, "genesis")
}

func TestBounds(t *testing.T) {
	a := newAccount(t)
	s := a.devices[0].signer()
	for len(a.Live()) < MaxDevices {
		a.add(s)
	}
	d := newDevice()
	_, err := a.AddDevice(a.now, s, d.enrol(t, a.Account()))
	wantRule(t, "too many devices", err, "length")

	a.Chain.n = MaxLinks
	_, err = a.Refresh(a.now, s)
	wantRule(t, "too many links", err, "length")
}

func TestEveryByteOfALinkCounts(t *testing.T) {
	a := newAccount(t)
	d := newDevice()
	link, err := a.AddDevice(a.now, a.devices[0].signer(), d.enrol(t, a.Account()))
	if err != nil {
		t.Fatal(err)
	}
	for i := range link {
		altered := bytes.Clone(link)
		altered[i] ^= 0x40
		if _, err := a.Append(altered); err == nil {
			t.Errorf("byte %d altered, still accepted", i)
		}
		if _, err := a.Append(link[:i]); err == nil {
			t.Errorf("accepted the first %d bytes", i)
		}
	}
}

func TestAClockBehindDoesNotStop(t *testing.T) {
	a := newAccount(t)
	a.take(a.Refresh(t0.Add(-24*time.Hour), a.devices[0].signer()))
	a.take(a.Refresh(time.Time{}, a.devices[0].signer()))
}

func TestRecoveryKeyText(t *testing.T) {
	k := GenerateRecoveryKey()
	text := k.Text()
	if len(text) != 71 || strings.Count(text, "-") != 11 {
		t.Errorf("text of %d characters", len(text))
	}
	typed := " " + strings.ToLower(strings.ReplaceAll(text, "-", " ")) + "\n"
	typed = strings.NewReplacer("0", "o", "1", "l").Replace(typed)
	for _, s := range []string{text, typed} {
		if got, err := ParseRecoveryKey(s); err != nil || got != k {
			t.Errorf("ParseRecoveryKey: %v", err)
		}
	}
	for i, r := range text {
		if r == '-' {
			continue
		}
		wrong := []byte(text)
		wrong[i] = "AB"[bytes.IndexByte([]byte("AB"), text[i])&1^1]
		if string(wrong) == text {
			continue
		}
		if _, err := ParseRecoveryKey(string(wrong)); err == nil {
			t.Errorf("a mistake at %d was not noticed", i)
		}
	}
	for _, s := range []string{"", "U", text[:60], text + "0"} {
		if _, err := ParseRecoveryKey(s); err == nil {
			t.Errorf("accepted %d characters", len(s))
		}
	}
}

func TestSecretsAreRedacted(t *testing.T) {
	d := newDevice()
	for _, v := range []any{d.d, GenerateRecoveryKey(), d.signer(), d.id, AccountID{1}} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
			if got := fmt.Sprintf(verb, v); got != redacted {
				t.Errorf("%T with %s prints %q", v, verb, got)
			}
		}
	}
}

func TestIdentity(t *testing.T) {
	a, d := AccountID{1}, DeviceID{2}
	id := Identity(a, d)
	if account, device, err := ParseIdentity(id); err != nil || account != a || device != d || len(id) != IdentitySize {
		t.Fatal(err)
	}
	for _, bad := range [][]byte{nil, id[:47], append(id, 0), make([]byte, 48), Identity(a, DeviceID{})} {
		if _, _, err := ParseIdentity(bad); err == nil {
			t.Errorf("accepted an identity of %d bytes", len(bad))
		}
	}
}

func FuzzAppend(f *testing.F) {
	t := &testing.T{}
	a := newAccount(t)
	chain := a.Chain
	link, _ := chain.Refresh(a.now, a.devices[0].signer())
	f.Add(link)
	f.Add(a.links[0])
	f.Fuzz(func(t *testing.T, b []byte) {
		if l, err := ParseLink(b); err == nil && !bytes.Equal(l.Bytes(), b) {
			t.Fatal("accepted a link that encodes otherwise")
		}
		chain.Append(b)
		Chain{}.Append(b)
	})
}
