package mls

import (
	"bytes"

	"codeberg.org/huis/huis/internal/wire"
)

// GroupInfo describes an epoch to one who is not in it
// (RFC 9420, Section 12.4.3).
type GroupInfo struct {
	GroupContext    GroupContext
	Extensions      []Extension
	ConfirmationTag []byte
	Signer          LeafIndex
	Signature       []byte
}

func (g *GroupInfo) wire(c *wire.Codec) {
	g.wireUnsigned(c)
	wire.Opaque(c, &g.Signature)
}

func (g *GroupInfo) wireUnsigned(c *wire.Codec) {
	g.GroupContext.wire(c)
	wire.Vector(c, &g.Extensions, (*Extension).wire)
	wire.Opaque(c, &g.ConfirmationTag)
	wire.Uint32(c, &g.Signer)
}

// Encode returns the bare structure, as ParseGroupInfo reads it.
func (g *GroupInfo) Encode() ([]byte, error) { return wire.Encode(g.wire) }

// ParseGroupInfo reads a bare GroupInfo; it verifies nothing.
func ParseGroupInfo(b []byte) (*GroupInfo, error) { return parse(b, (*GroupInfo).wire) }

// PathSecret is the secret of the lowest node a new member shares with the
// committer (RFC 9420, Section 12.4.3.1).
type PathSecret struct{ PathSecret Secret }

func (p *PathSecret) wire(c *wire.Codec) { wire.Opaque(c, &p.PathSecret) }

// GroupSecrets is what a Welcome seals to one new member
// (RFC 9420, Section 12.4.3.1).
type GroupSecrets struct {
	JoinerSecret Secret
	PathSecret   *PathSecret // nil: the commit had no path
	PSKs         []PreSharedKeyID
}

func (s *GroupSecrets) wire(c *wire.Codec) {
	wire.Opaque(c, &s.JoinerSecret)
	wire.Optional(c, &s.PathSecret, (*PathSecret).wire)
	wire.Vector(c, &s.PSKs, (*PreSharedKeyID).wire)
}

// EncryptedGroupSecrets is GroupSecrets sealed to the init key of one key
// package (RFC 9420, Section 12.4.3.1).
type EncryptedGroupSecrets struct {
	NewMember             KeyPackageRef
	EncryptedGroupSecrets HPKECiphertext
}

func (s *EncryptedGroupSecrets) wire(c *wire.Codec) {
	wire.Opaque(c, &s.NewMember)
	s.EncryptedGroupSecrets.wire(c)
}

// Welcome lets new members enter the epoch their Add began
// (RFC 9420, Section 12.4.3.1).
type Welcome struct {
	CipherSuite        CipherSuite
	Secrets            []EncryptedGroupSecrets
	EncryptedGroupInfo []byte
}

func (w *Welcome) wire(c *wire.Codec) {
	wire.Uint16(c, &w.CipherSuite)
	wire.Vector(c, &w.Secrets, (*EncryptedGroupSecrets).wire)
	wire.Opaque(c, &w.EncryptedGroupInfo)
}

// Encode returns the bare structure, as ParseWelcome reads it.
func (w *Welcome) Encode() ([]byte, error) { return wire.Encode(w.wire) }

// ParseWelcome reads a bare Welcome; it verifies nothing.
func ParseWelcome(b []byte) (*Welcome, error) { return parse(b, (*Welcome).wire) }

// groupInfoTBS returns what the signature covers.
func (g *GroupInfo) groupInfoTBS() ([]byte, error) { return wire.Encode(g.wireUnsigned) }

// sign sets the signature (RFC 9420, Section 12.4.3).
func (g *GroupInfo) sign(a *algorithms, key SignaturePrivateKey) error {
	tbs, err := g.groupInfoTBS()
	if err != nil {
		return err
	}
	g.Signature, err = a.signWithLabel(key, "GroupInfoTBS", tbs)
	return err
}

// verifySignature checks that the holder of pub, the signer's leaf key, made it.
func (g *GroupInfo) verifySignature(a *algorithms, pub SignaturePublicKey) error {
	tbs, err := g.groupInfoTBS()
	if err != nil {
		return err
	}
	if a.verifyWithLabel(pub, "GroupInfoTBS", tbs, g.Signature) != nil {
		return invalid("12.4.3", "signature of a GroupInfo does not verify")
	}
	return nil
}

// groupInfoKey derives key and nonce of encrypted_group_info
// (RFC 9420, Section 12.4.3.1).
func (a *algorithms) groupInfoKey(welcome Secret) (key, nonce Secret) {
	return a.expandWithLabel(welcome, "key", nil, a.keySize), a.expandWithLabel(welcome, "nonce", nil, a.nonceSize)
}

// sealGroupInfo makes encrypted_group_info. Call it once for each welcome secret:
// key and nonce follow from it alone.
func (a *algorithms) sealGroupInfo(welcome Secret, info *GroupInfo) ([]byte, error) {
	b, err := info.Encode()
	if err != nil {
		return nil, err
	}
	key, nonce := a.groupInfoKey(welcome)
	return a.seal(key, nonce, nil, b), nil
}

// openGroupInfo decrypts encrypted_group_info; it does not check the signature.
func (a *algorithms) openGroupInfo(welcome Secret, encrypted []byte) (*GroupInfo, error) {
	key, nonce := a.groupInfoKey(welcome)
	b, err := a.open(key, nonce, nil, encrypted)
	if err != nil {
		return nil, invalid("12.4.3.1", "GroupInfo of a Welcome does not open")
	}
	return ParseGroupInfo(b)
}

// sealGroupSecrets makes one new member's entry. encryptedGroupInfo binds it to
// the Welcome.
func (a *algorithms) sealGroupSecrets(kp *KeyPackage, encryptedGroupInfo []byte, s *GroupSecrets) (*EncryptedGroupSecrets, error) {
	ref, err := kp.Ref()
	if err != nil {
		return nil, err
	}
	b, err := wire.Encode(s.wire)
	if err != nil {
		return nil, err
	}
	ct, err := a.encryptWithLabel(kp.InitKey, "Welcome", encryptedGroupInfo, b)
	if err != nil {
		return nil, err
	}
	return &EncryptedGroupSecrets{ref, *ct}, nil
}

// openGroupSecrets finds and opens the entry for the key package ref.
func (w *Welcome) openGroupSecrets(a *algorithms, ref KeyPackageRef, initKey HPKEPrivateKey) (*GroupSecrets, error) {
	for i := range w.Secrets {
		if !bytes.Equal(w.Secrets[i].NewMember, ref) {
			continue
		}
		b, err := a.decryptWithLabel(initKey, "Welcome", w.EncryptedGroupInfo, &w.Secrets[i].EncryptedGroupSecrets)
		if err != nil {
			return nil, invalid("12.4.3.1", "group secrets of a Welcome do not open")
		}
		return parse(b, (*GroupSecrets).wire)
	}
	return nil, invalid("12.4.3.1", "Welcome is not for this key package")
}
