package client

import (
	"context"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"time"

	"golang.org/x/crypto/chacha20poly1305"

	"codeberg.org/huis/huis/internal/proto"
	"codeberg.org/huis/huis/internal/wire"
)

// linkCode is what a person carries from the new device to the old one: 120
// random bits. It names the mailbox over which the two speak and seals what
// they say; the server learns neither.
type linkCode [15]byte

func (linkCode) GoString() string { return "[redacted]" }

// crockford is base32 without letters that read like figures.
var crockford = base32.NewEncoding("0123456789ABCDEFGHJKMNPQRSTVWXYZ").WithPadding(base32.NoPadding)

func newLinkCode() (k linkCode) {
	rand.Read(k[:])
	return k
}

// String returns 24 characters in six groups, for reading aloud.
func (k linkCode) String() string {
	s := crockford.EncodeToString(k[:])
	groups := make([]string, 0, 6)
	for ; len(s) > 0; s = s[4:] {
		groups = append(groups, s[:4])
	}
	return strings.Join(groups, "-")
}

// parseLinkCode reads a code as a person types it.
func parseLinkCode(s string) (k linkCode, err error) {
	clean := strings.NewReplacer("-", "", " ", "", "O", "0", "I", "1", "L", "1").Replace(strings.ToUpper(s))
	b, err := crockford.DecodeString(clean)
	if err != nil || len(b) != len(k) || crockford.EncodeToString(b) != clean {
		return k, errors.New("a code has 24 letters and figures, as the new device shows it")
	}
	return linkCode(b), nil
}

func (k linkCode) derive(purpose string, n int) []byte {
	b, err := hkdf.Key(sha256.New, k[:], nil, "huis/link/1 "+purpose, n)
	if err != nil {
		panic("client: " + err.Error()) // only for lengths beyond 8 KiB
	}
	return b
}

// The sides of a linking mailbox.
const (
	newSide uint8 = 0
	oldSide uint8 = 1
)

// Times of linking. A mailbox lives for 15 minutes.
const (
	linkPatience = 14 * time.Minute // for a person to walk to the other device
	linkAnswer   = 60 * time.Second // for a device to answer
	linkPoll     = 10 * time.Second // of one request
)

// linkLine is one device's end of a linking mailbox.
type linkLine struct {
	c    *Client
	code linkCode
	side uint8  // the own one
	sent uint32 // items posted
	got  uint32 // items of the other side taken
	rest [][]byte
}

func (l *linkLine) mailbox() (id proto.MailboxID) {
	copy(id[:], l.code.derive("mailbox", len(id)))
	return id
}

func (l *linkLine) seal(side uint8, index uint32, plain []byte) []byte {
	aead := l.aead(side)
	nonce := make([]byte, aead.NonceSize())
	rand.Read(nonce)
	return aead.Seal(nonce, nonce, plain, linkAAD(side, index))
}

func (l *linkLine) open(side uint8, index uint32, b []byte) ([]byte, error) {
	aead := l.aead(side)
	if len(b) < aead.NonceSize() {
		return nil, errLinkItem
	}
	plain, err := aead.Open(nil, b[:aead.NonceSize()], b[aead.NonceSize():], linkAAD(side, index))
	if err != nil {
		return nil, errLinkItem
	}
	return plain, nil
}

func (l *linkLine) aead(side uint8) interface {
	NonceSize() int
	Seal(dst, nonce, plaintext, additionalData []byte) []byte
	Open(dst, nonce, ciphertext, additionalData []byte) ([]byte, error)
} {
	a, err := chacha20poly1305.NewX(l.code.derive(fmt.Sprintf("key of side %d", side), chacha20poly1305.KeySize))
	if err != nil {
		panic("client: " + err.Error()) // only for a key of another length
	}
	return a
}

func linkAAD(side uint8, index uint32) []byte {
	return binary.BigEndian.AppendUint32([]byte{side}, index)
}

var errLinkItem = errors.New("what came from the other device is not sealed with this code")

// send posts one item, padded to whole KiB.
func (l *linkLine) send(ctx context.Context, fields func(*wire.Codec)) error {
	plain, err := wire.Encode(func(c *wire.Codec) { wire.Struct(c, fields) })
	if err != nil {
		return err
	}
	plain = append(plain, make([]byte, (1024-len(plain)%1024)%1024)...)
	req := proto.MailboxPostRequest{ID: l.mailbox(), Side: l.side, Index: l.sent, Sealed: l.seal(l.side, l.sent, plain)}
	err = l.c.untilReached(ctx, func() error {
		return l.c.callAnon(ctx, proto.MailboxPost, &req, &proto.Empty{})
	})
	if err != nil {
		return err
	}
	l.sent++
	return nil
}

// errNoAnswer: the other device did not write in time.
var errNoAnswer = errors.New("the other device does not answer")

// receive takes the next item of the other side, waiting for it at most wait.
func (l *linkLine) receive(ctx context.Context, wait time.Duration, fields func(*wire.Codec)) error {
	ends := l.c.now().Add(wait)
	for len(l.rest) == 0 {
		if !l.c.now().Before(ends) {
			return errNoAnswer
		}
		var got proto.MailboxFetchResponse
		err := l.c.untilReached(ctx, func() error {
			return l.c.callAnon(ctx, proto.MailboxFetch, &proto.MailboxFetchRequest{
				ID: l.mailbox(), Side: 1 - l.side, From: l.got,
				WaitMillis: uint32(max(0, min(linkPoll, ends.Sub(l.c.now()))).Milliseconds()),
			}, &got)
		})
		if err != nil {
			return err
		}
		if l.rest = got.Items; len(l.rest) == 0 {
			// A server that does not wait must not make this device spin.
			if err := l.c.cfg.Clock.Sleep(ctx, 100*time.Millisecond); err != nil {
				return err
			}
		}
	}
	plain, err := l.open(1-l.side, l.got, l.rest[0])
	if err != nil {
		return err
	}
	l.got, l.rest = l.got+1, l.rest[1:]
	_, err = wire.DecodePrefix(plain, func(c *wire.Codec) { wire.Struct(c, fields) })
	return err
}

// untilReached repeats try while the server cannot be reached, for half a
// minute: mailboxes do not outlive the server's restart, but a broken
// connection they do.
func (c *Client) untilReached(ctx context.Context, try func() error) error {
	ends := c.now().Add(30 * time.Second)
	for {
		err := try()
		if !errors.Is(err, ErrUnreachable) || !c.now().Before(ends) {
			return err
		}
		if e := c.cfg.Clock.Sleep(ctx, 200*time.Millisecond+c.cfg.Jitter(300*time.Millisecond)); e != nil {
			return errors.Join(err, e)
		}
	}
}

// linkHello is the new device's first item.
type linkHello struct {
	Handle string
	Device proto.DeviceID
}

func (h *linkHello) wire(c *wire.Codec) {
	formatVersion(c)
	wire.String(c, &h.Handle, proto.MaxHandle)
	h.Device.Wire(c)
}

// linkAccount is the old device's answer, once its owner has agreed.
type linkAccount struct {
	Handle   string
	Links    [][]byte
	Packages uint16 // key packages wanted: one per conversation
}

func (a *linkAccount) wire(c *wire.Codec) {
	formatVersion(c)
	wire.String(c, &a.Handle, proto.MaxHandle)
	wire.Vector(c, &a.Links, linkItem)
	wire.Uint16(c, &a.Packages)
}

func linkItem(b *[]byte, c *wire.Codec) { wire.OpaqueMax(c, b, proto.MaxLink) }

// linkOffer has the new device's enrolment and some of its key packages.
type linkOffer struct {
	Enrolment []byte // kt.Enrolment
	Packages  [][]byte
	More      bool // another offer follows
}

func (o *linkOffer) wire(c *wire.Codec) {
	formatVersion(c)
	wire.OpaqueMax(c, &o.Enrolment, proto.MaxLink)
	wire.Vector(c, &o.Packages, func(b *[]byte, c *wire.Codec) { wire.OpaqueMax(c, b, proto.MaxKeyPackage) })
	wire.Bool(c, &o.More)
}

// linkResult is every further item of the old device.
type linkResult struct {
	Links    [][]byte  // the chain with the new device in it; in the first result
	Joins    [][]byte  // sealed join packages
	Contacts []contact // in the last result
	Done     bool      // the last one
}

func (r *linkResult) wire(c *wire.Codec) {
	formatVersion(c)
	wire.Vector(c, &r.Links, linkItem)
	wire.Vector(c, &r.Joins, func(b *[]byte, c *wire.Codec) { wire.OpaqueMax(c, b, proto.MaxJoinPackage) })
	wire.Vector(c, &r.Contacts, (*contact).wire)
	wire.Bool(c, &r.Done)
}

// linkReceived is the new device's last item: what was sent is stored.
type linkReceived struct{}

func (*linkReceived) wire(c *wire.Codec) { formatVersion(c) }

// contact is a name this account knows somebody by.
type contact struct {
	Account proto.AccountID
	Handle  string
}

func (k *contact) wire(c *wire.Codec) {
	k.Account.Wire(c)
	wire.String(c, &k.Handle, proto.MaxHandle)
}
