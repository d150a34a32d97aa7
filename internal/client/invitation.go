package client

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/url"
	"strings"
	"time"

	"codeberg.org/huis/huis/internal/proto"
	"codeberg.org/huis/huis/internal/wire"
)

// ServerRef names a server and how to recognise it.
type ServerRef struct {
	URL string // https://HOST[:PORT], nothing after
	Pin []byte // SHA-256 of the certificate's public key (SPKI); empty: a public authority vouches
}

// String returns the text that ParseServerRef reads.
func (r ServerRef) String() string {
	if len(r.Pin) == 0 {
		return r.URL
	}
	return r.URL + "#" + base64.RawURLEncoding.EncodeToString(r.Pin)
}

// Fingerprint returns the pin for reading aloud, "" if there is none.
func (r ServerRef) Fingerprint() string { return hex.EncodeToString(r.Pin) }

// ParseServerRef reads https://HOST[:PORT][#pin].
func ParseServerRef(s string) (ServerRef, error) {
	base, fragment, err := splitURL(s)
	if err != nil {
		return ServerRef{}, err
	}
	pin, err := base64.RawURLEncoding.DecodeString(fragment)
	if len(fragment) == hex.EncodedLen(32) { // as huis serve prints it
		pin, err = hex.DecodeString(fragment)
	}
	if err != nil || (len(pin) != 0 && len(pin) != 32) {
		return ServerRef{}, fmt.Errorf("the part after # is not a server's fingerprint")
	}
	return ServerRef{URL: base, Pin: pin}, nil
}

// splitURL returns scheme and host of s and its fragment.
func splitURL(s string) (base, fragment string, err error) {
	u, err := url.Parse(strings.TrimSpace(s))
	if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" {
		return "", "", fmt.Errorf("%q is not the address of a server", shorten(s))
	}
	if u.Scheme != "https" {
		return "", "", fmt.Errorf("the address must begin with https://")
	}
	return "https://" + u.Host, u.Fragment, nil
}

func shorten(s string) string {
	if len(s) > 60 {
		return s[:60] + "…"
	}
	return s
}

// Invitation lets one or more people make an account on a server.
type Invitation struct {
	Server  ServerRef
	Token   proto.Token
	Inviter proto.AccountID // zeros: the server itself
	Expires time.Time       // zero: it does not
	Policy  PolicyPin       // the witness policy in force, by the inviter's word
	Reset   string          // handle of the account that is made anew; "": a new one
}

// An invitation of version 2 names a witness policy; one of version 3 also the
// account that is made anew.
const (
	invitationVersion       = 1
	invitationVersionPolicy = 2
	invitationVersionReset  = 3
)

// fragment is what stands after the # of an invitation link.
type fragment struct {
	version uint8
	token   proto.Token
	pin     []byte
	inviter proto.AccountID
	expires uint64 // seconds since 1970; 0: never
	policy  PolicyPin
	reset   string
}

func (f *fragment) wire(c *wire.Codec) {
	wire.Uint8(c, &f.version)
	if f.version < invitationVersion || f.version > invitationVersionReset {
		c.Fail("invitation of another version")
		return
	}
	wire.Fixed(c, f.token[:])
	wire.OpaqueMax(c, &f.pin, 32)
	wire.Fixed(c, f.inviter[:])
	wire.Uint64(c, &f.expires)
	if f.version == invitationVersionPolicy {
		f.policy.wire(c)
	}
	if f.version == invitationVersionReset {
		f.policy.wire(c)
		wire.String(c, &f.reset, proto.MaxHandle)
	}
}

// String returns the link a person is sent.
func (i Invitation) String() string {
	f := fragment{version: invitationVersion, token: i.Token, pin: i.Server.Pin, inviter: i.Inviter}
	if i.Policy != (PolicyPin{}) {
		f.version, f.policy = invitationVersionPolicy, i.Policy
	}
	if i.Reset != "" {
		f.version, f.policy, f.reset = invitationVersionReset, i.Policy, i.Reset
	}
	if !i.Expires.IsZero() {
		f.expires = uint64(i.Expires.Unix())
	}
	return i.Server.URL + "/join#" + base64.RawURLEncoding.EncodeToString(wire.MustEncode(f.wire))
}

// ParseInvitation reads the link of Invitation.String.
func ParseInvitation(s string) (Invitation, error) {
	base, text, err := splitURL(s)
	if err != nil {
		return Invitation{}, fmt.Errorf("not an invitation: %w", err)
	}
	b, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		return Invitation{}, fmt.Errorf("not an invitation: the part after # is damaged or missing")
	}
	var f fragment
	if err := wire.Decode(b, f.wire); err != nil || (len(f.pin) != 0 && len(f.pin) != 32) {
		return Invitation{}, fmt.Errorf("not an invitation: the part after # is damaged or cut off")
	}
	inv := Invitation{Server: ServerRef{URL: base, Pin: f.pin}, Token: f.token, Inviter: f.inviter, Policy: f.policy, Reset: f.reset}
	if f.expires != 0 {
		inv.Expires = time.Unix(int64(f.expires), 0).UTC()
	}
	return inv, nil
}
