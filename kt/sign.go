package kt

import (
	"crypto/ed25519"
	"time"

	"codeberg.org/huis/huis/internal/wire"
)

// Signer is a device that signs links, or the recovery key (zero ID).
type Signer struct {
	id  DeviceID
	key ed25519.PrivateKey
}

// DeviceSigner signs as device id with its chain key.
func DeviceSigner(id DeviceID, d ChainKey) Signer { return Signer{id, d.private()} }

// RecoverySigner signs ADD_DEVICE after all devices are lost.
func RecoverySigner(k RecoveryKey) Signer { return Signer{key: k.private()} }

func (Signer) String() string   { return redacted }
func (Signer) GoString() string { return redacted }

// Genesis returns the first link of a new account, made of the enrolment of
// its first device for account zero.
func Genesis(now time.Time, s Signer, e Enrolment) ([]byte, error) {
	return Chain{}.sign(now, s, TypeGenesis, e.Wire)
}

// AddDevice returns the link that enrols a device.
func (c Chain) AddDevice(now time.Time, s Signer, e Enrolment) ([]byte, error) {
	return c.sign(now, s, TypeAddDevice, e.Wire)
}

// Revoke returns the link that revokes a device, for ever.
func (c Chain) Revoke(now time.Time, s Signer, device DeviceID) ([]byte, error) {
	b := revokeBody{device}
	return c.sign(now, s, TypeRevoke, b.wire)
}

// Rotate returns the link that replaces the signer's message key by m; sign
// signs with the private key of m.
func (c Chain) Rotate(now time.Time, s Signer, m MessagePublicKey, sign SignFunc) ([]byte, error) {
	b := rotateBody{M: m}
	proof, err := sign(b.proven(c.account, s.id))
	if err != nil {
		return nil, err
	}
	copy(b.ProofM[:], proof)
	return c.sign(now, s, TypeRotate, b.wire)
}

// SetRecovery returns the link that sets or replaces the recovery key.
func (c Chain) SetRecovery(now time.Time, s Signer, key RecoveryPublicKey) ([]byte, error) {
	b := recoveryBody{key}
	return c.sign(now, s, TypeSetRecovery, b.wire)
}

// Refresh returns a link that changes nothing.
func (c Chain) Refresh(now time.Time, s Signer) ([]byte, error) {
	return c.sign(now, s, TypeRefresh, func(*wire.Codec) {})
}

// Rename returns the link by which the account leaves the name with index from
// for the one with index to.
func (c Chain) Rename(now time.Time, s Signer, from, to Index) ([]byte, error) {
	b := renameBody{From: from, To: to}
	return c.sign(now, s, TypeRename, b.wire)
}

// Reset returns the link that ends the account in favour of successor.
func (c Chain) Reset(now time.Time, s Signer, successor AccountID) ([]byte, error) {
	b := resetBody{successor}
	return c.sign(now, s, TypeReset, b.wire)
}

// Tombstone returns the link that ends the account.
func (c Chain) Tombstone(now time.Time, s Signer) ([]byte, error) {
	return c.sign(now, s, TypeTombstone, func(*wire.Codec) {})
}

// sign returns a link that Append takes, or why it would not. A clock behind
// that of the last signer does not stop this one.
func (c Chain) sign(now time.Time, s Signer, t Type, body func(*wire.Codec)) ([]byte, error) {
	b, err := wire.Encode(body)
	if err != nil {
		return nil, err
	}
	l := Link{
		Version: Version, Seq: uint32(c.n), Prev: c.head, Type: t, Body: b, Signer: s.id,
		Time: max(c.last, uint64(max(0, now.Unix()))),
	}
	copy(l.Signature[:], ed25519.Sign(s.key, l.signed()))
	link := l.Bytes()
	_, err = c.Append(link)
	return link, err
}
