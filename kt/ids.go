package kt

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
)

// AccountID names an account for ever: SHA-256("acct/v1" ‖ GENESIS). Contacts
// pin it. It prints as [redacted]; Hex gives its text.
type AccountID [sha256.Size]byte

// DeviceID names a device within its account; never used twice. It prints as
// [redacted]; Hex gives its text.
type DeviceID [16]byte

func (AccountID) String() string             { return redacted }
func (AccountID) GoString() string           { return redacted }
func (AccountID) Format(f fmt.State, _ rune) { fmt.Fprint(f, redacted) }
func (a AccountID) Hex() string              { return hex.EncodeToString(a[:]) }
func (a AccountID) IsZero() bool             { return a == AccountID{} }

func (DeviceID) String() string             { return redacted }
func (DeviceID) GoString() string           { return redacted }
func (DeviceID) Format(f fmt.State, _ rune) { fmt.Fprint(f, redacted) }
func (d DeviceID) Hex() string              { return hex.EncodeToString(d[:]) }
func (d DeviceID) IsZero() bool             { return d == DeviceID{} }

// accountID returns the identifier of the account that genesis begins.
func accountID(genesis []byte) AccountID {
	return sha256.Sum256(labelled("acct/v1", genesis))
}

// IdentitySize is the length of a credential's identity, in bytes.
const IdentitySize = 48

// Identity returns the identity of a device's MLS credential (type basic):
// AccountID ‖ DeviceID.
func Identity(account AccountID, device DeviceID) []byte {
	return append(account[:len(account):len(account)], device[:]...)
}

// ParseIdentity is the inverse of Identity.
func ParseIdentity(b []byte) (account AccountID, device DeviceID, err error) {
	if len(b) != IdentitySize {
		return account, device, errors.New("kt: a credential's identity has 48 bytes")
	}
	copy(account[:], b)
	copy(device[:], b[len(account):])
	if account.IsZero() || device.IsZero() {
		return AccountID{}, DeviceID{}, errors.New("kt: a credential names no account or no device")
	}
	return account, device, nil
}
