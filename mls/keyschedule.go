package mls

import (
	"crypto/hpke"
	"fmt"

	"codeberg.org/huis/huis/internal/wire"
)

// The key schedule (RFC 9420, Section 8):
//
//	init_secret[n-1]
//	      │
//	commit_secret ─► Extract ─► ExpandWithLabel "joiner" ─► joiner_secret
//	                                                             │
//	psk_secret ─► Extract ──► DeriveSecret "welcome"             │
//	                 │    ◄──────────────────────────────────────┘
//	                 └► ExpandWithLabel "epoch" ─► epoch_secret ─► all others

// epochSecrets are the secrets of one epoch (RFC 9420, Section 8, Table 4).
type epochSecrets struct {
	SenderData         Secret
	Encryption         Secret // given to the secret tree, then forgotten
	Exporter           Secret
	External           Secret
	ConfirmationKey    Secret
	MembershipKey      Secret
	ResumptionPSK      Secret
	EpochAuthenticator Secret
	Init               Secret
	ApplicationExport  Secret // given to the exporter tree, then forgotten

	externalKey HPKEPrivateKey // derived when first needed
}

func (s *epochSecrets) wire(c *wire.Codec) {
	wire.Opaque(c, &s.SenderData)
	wire.Opaque(c, &s.Encryption)
	wire.Opaque(c, &s.Exporter)
	wire.Opaque(c, &s.External)
	wire.Opaque(c, &s.ConfirmationKey)
	wire.Opaque(c, &s.MembershipKey)
	wire.Opaque(c, &s.ResumptionPSK)
	wire.Opaque(c, &s.EpochAuthenticator)
	wire.Opaque(c, &s.Init)
	wire.Opaque(c, &s.ApplicationExport)
}

// joinerSecret begins an epoch from the one before. context is the encoded
// GroupContext of the new epoch.
func (a *algorithms) joinerSecret(init, commit Secret, context []byte) Secret {
	return a.expandWithLabel(a.extract(init, commit), "joiner", context, a.hashSize())
}

// memberSecret is the secret between joiner_secret and epoch_secret.
func (a *algorithms) memberSecret(joiner, psk Secret) Secret { return a.extract(joiner, psk) }

// welcomeSecret protects the GroupInfo in a Welcome.
func (a *algorithms) welcomeSecret(member Secret) Secret { return a.deriveSecret(member, "welcome") }

// epochSecrets derives everything from what memberSecret returned.
func (a *algorithms) epochSecrets(member Secret, context []byte) *epochSecrets {
	return a.fromEpochSecret(a.expandWithLabel(member, "epoch", context, a.hashSize()))
}

// fromEpochSecret derives everything from epoch_secret, which in a new group is
// random (RFC 9420, Section 11).
func (a *algorithms) fromEpochSecret(epoch Secret) *epochSecrets {
	derive := func(label string) Secret { return a.deriveSecret(epoch, label) }
	return &epochSecrets{
		SenderData:         derive("sender data"),
		Encryption:         derive("encryption"),
		Exporter:           derive("exporter"),
		External:           derive("external"),
		ConfirmationKey:    derive("confirm"),
		MembershipKey:      derive("membership"),
		ResumptionPSK:      derive("resumption"),
		EpochAuthenticator: derive("authentication"),
		Init:               derive("init"),
		ApplicationExport:  derive("application_export"), // mls-extensions
	}
}

// export is MLS-Exporter (RFC 9420, Section 8.5).
func (a *algorithms) export(exporter Secret, label string, context []byte, length int) (Secret, error) {
	if length < 0 || length > min(a.maxExpand(), 0xffff) {
		return nil, fmt.Errorf("mls: cannot export %d bytes, at most %d", length, min(a.maxExpand(), 0xffff))
	}
	return a.expandWithLabel(a.deriveSecret(exporter, label), "exported", a.digest(context), length), nil
}

// externalPrivate returns the key to which external joiners send
// (RFC 9420, Section 8.3). It costs a key derivation once.
func (s *epochSecrets) externalPrivate(a *algorithms) (HPKEPrivateKey, error) {
	if s.externalKey.IsZero() {
		key, _, err := a.deriveKeyPair(s.External)
		if err != nil {
			return key, err
		}
		s.externalKey = key
	}
	return s.externalKey, nil
}

const externalInitLabel = "MLS 1.0 external init secret"

// externalInit makes an init secret only members can recover from kemOutput
// (RFC 9420, Section 8.3).
func (a *algorithms) externalInit(external HPKEPublicKey) (kemOutput []byte, init Secret, err error) {
	pub, err := a.kem.NewPublicKey(external)
	if err != nil {
		return nil, nil, fmt.Errorf("mls: external public key: %v", err)
	}
	kemOutput, sender, err := hpke.NewSender(pub, a.kdf, a.aead, nil)
	if err != nil {
		return nil, nil, fmt.Errorf("mls: external init: %v", err)
	}
	init, err = sender.Export(externalInitLabel, a.hashSize())
	return kemOutput, init, err
}

// externalInitSecret recovers what externalInit made.
func (a *algorithms) externalInitSecret(key HPKEPrivateKey, kemOutput []byte) (Secret, error) {
	parsed, err := key.parsed(a)
	if err != nil {
		return nil, err
	}
	recipient, err := hpke.NewRecipient(kemOutput, parsed, a.kdf, a.aead, nil)
	if err != nil {
		return nil, invalid("8.3", "KEM output of an external init does not decapsulate")
	}
	return recipient.Export(externalInitLabel, a.hashSize())
}
