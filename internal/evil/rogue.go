//go:build evil

package evil

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"time"

	"codeberg.org/huis/huis/internal/delivery/store"
	"codeberg.org/huis/huis/internal/delivery/store/sqlite"
	"codeberg.org/huis/huis/internal/proto"
	"codeberg.org/huis/huis/kt"
	"codeberg.org/huis/huis/mls"
)

// rogue is a device of the operator's that it gives out as somebody's.
type rogue struct {
	account proto.AccountID
	id      kt.DeviceID
	chain   kt.ChainKey
	message mls.SignaturePrivateKey
	bundle  *mls.KeyPackageBundle
	ref     mls.KeyPackageRef
}

// suite is the one of the product.
const suite = mls.XWingChaChaSHA384Ed25519

// capabilities is what every leaf of the product supports.
var capabilities = mls.Capabilities{
	Versions:     []mls.ProtocolVersion{mls.MLS10},
	CipherSuites: []mls.CipherSuite{suite},
	Extensions:   []mls.ExtensionType{0xF1A1, 0xF1A2, 0xF1A3},
	Proposals:    []mls.ProposalType{0xF1A1},
	Credentials:  []mls.CredentialType{mls.CredentialBasic},
}

// newRogue draws the keys of a device of account; id zero draws that too.
func newRogue(account proto.AccountID, id kt.DeviceID) (*rogue, error) {
	if id.IsZero() {
		id = kt.NewDeviceID()
	}
	r := &rogue{account: account, id: id, chain: kt.GenerateChainKey()}
	var err error
	if r.message, _, err = mls.GenerateSignatureKey(suite); err != nil {
		return nil, err
	}
	return r, r.packageIn(suite)
}

// packageIn makes the rogue's key package in a suite.
func (r *rogue) packageIn(s mls.CipherSuite) (err error) {
	now := time.Now()
	can := capabilities
	can.CipherSuites = []mls.CipherSuite{s}
	r.bundle, err = mls.NewKeyPackage(s, r.message, mls.BasicCredential(kt.Identity(kt.AccountID(r.account), r.id)), mls.KeyPackageOptions{
		Lifetime: mls.Lifetime{NotBefore: uint64(now.Add(-time.Hour).Unix()), NotAfter: uint64(now.Add(20 * 24 * time.Hour).Unix())},
		Leaf:     mls.LeafOptions{Capabilities: &can},
	})
	if err != nil {
		return err
	}
	r.ref, err = r.bundle.KeyPackage.Ref()
	return err
}

// enrolment is the rogue's statement of its keys, well signed by itself.
func (r *rogue) enrolment() (kt.Enrolment, error) {
	key := ed25519.NewKeyFromSeed(r.message.Bytes())
	sign := func(b []byte) ([]byte, error) { return ed25519.Sign(key, b), nil }
	return kt.NewEnrolment(kt.AccountID(r.account), r.id, r.chain, kt.MessagePublicKey(key.Public().(ed25519.PublicKey)), sign)
}

// deviceOf is the first device of an account.
func (o *Operator) deviceOf(a proto.AccountID) (id kt.DeviceID, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, d := range o.devices {
		if d.Account == a {
			return kt.DeviceID(d.Device), nil
		}
	}
	return id, errors.New("nobody opened that account yet")
}

// claimed is what the server hands out for it.
func (r *rogue) claimed() (proto.Claimed, error) {
	b, err := r.bundle.KeyPackage.Encode()
	return proto.Claimed{Device: proto.DeviceID(r.id), KeyPackage: b, Ticket: proto.New[proto.Ticket]()}, err
}

// Lure hands the rogue's key package out in place of those of its account, and
// keeps whether somebody sealed a conversation to it.
func (o *Operator) Lure(r *rogue) error {
	got, err := r.claimed()
	if err != nil {
		return err
	}
	o.Lie(func(x *Exchange) error {
		claim, ok := x.Request.(*proto.ClaimRequest)
		if ok && claim.Account == r.account && (claim.Device == proto.DeviceID{} || claim.Device == got.Device) && (x.Answer != nil || x.Refusal != nil) {
			x.Answer, x.Refusal = &proto.ClaimResponse{Packages: []proto.Claimed{got}}, nil
			o.Told()
		}
		for _, p := range packagesOf(x.Request) {
			if bytes.Contains(p.Sealed, r.ref) {
				o.Keep("caught", true)
			}
		}
		return nil
	})
	return nil
}

func packagesOf(m proto.Message) []proto.JoinPackage {
	switch r := m.(type) {
	case *proto.CreateRequest:
		return r.Extra.Packages
	case *proto.CommitRequest:
		return r.Extra.Packages
	}
	return nil
}

// caught tells whether a rogue was let in.
var caught = hand(func(_ context.Context, o *Operator, _ struct{}) (any, error) {
	yes, _ := o.Kept("caught").(bool)
	return yes, nil
})

// OnDisk stops the first house, lets f at its database, and starts it again.
func (o *Operator) OnDisk(ctx context.Context, f func(db store.Store) error) error {
	o.mu.Lock()
	h := o.houses[0]
	o.mu.Unlock()
	if err := h.stop(); err != nil {
		return err
	}
	db, err := sqlite.Open(ctx, filepath.Join(h.data, "huis.db"))
	if err != nil {
		return err
	}
	if err := errors.Join(f(db), db.Close()); err != nil {
		return err
	}
	at, err := net.ResolveTCPAddr("tcp", o.origin)
	if err != nil {
		return err
	}
	next, _, err := o.start(h.data, at)
	if err != nil {
		return err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.houses[0] = next
	return nil
}

// links reads an account's chain and handle from the disk.
func (o *Operator) links(ctx context.Context, db store.Store, a proto.AccountID) (links [][]byte, handle string, err error) {
	account, err := db.Account(ctx, a)
	if err != nil {
		return nil, "", err
	}
	name, err := o.keys.operator.Open("handle", a[:], account.Handle)
	if err != nil {
		return nil, "", err
	}
	links, err = db.Links(ctx, a, 0, proto.MaxLinks)
	return links, string(name), err
}

// PutLink writes a link of the operator's making into an account's chain and
// into the log, where the server's own checks do not stand in its way.
func (o *Operator) PutLink(ctx context.Context, a proto.AccountID, build func(kt.Chain) ([]byte, error)) error {
	return o.OnDisk(ctx, func(db store.Store) error {
		links, handle, err := o.links(ctx, db, a)
		if err != nil {
			return err
		}
		chain, err := kt.Verify(links)
		if err != nil {
			return err
		}
		link, err := build(chain)
		if err != nil {
			return err
		}
		n := uint32(len(links))
		_, out := o.keys.vrf.Prove(kt.MapLabel(kt.KindAccount, []byte(handle)))
		x, opening := kt.MapIndex(out), kt.NewOpening()
		return db.AppendLink(ctx, a, n, link, nil, store.LogValue{
			Kind: uint8(kt.KindAccount), Index: x, Seq: n, Opening: opening, Value: link,
			Commitment: kt.Commit(opening, kt.MapLabel(kt.KindAccount, []byte(handle)), n, link),
		})
	})
}

// accountID reads an account's hex.
func accountID(text string) (a proto.AccountID, err error) {
	b, err := hex.DecodeString(text)
	if err == nil && copy(a[:], b) != len(a) {
		err = fmt.Errorf("%q is no account", text)
	}
	return a, err
}

func parsePackage(b []byte) (*mls.KeyPackage, error) { return mls.ParseKeyPackage(b) }
