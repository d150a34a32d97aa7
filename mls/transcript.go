package mls

import "codeberg.org/huis/huis/internal/wire"

// confirmedTranscriptHash takes a commit into the transcript
// (RFC 9420, Section 8.2). interim is that of the epoch before; empty in epoch 0.
func (a *algorithms) confirmedTranscriptHash(interim []byte, commit *AuthenticatedContent) ([]byte, error) {
	input, err := wire.Encode(func(c *wire.Codec) {
		wire.Uint16(c, &commit.WireFormat)
		commit.Content.wire(c)
		wire.Opaque(c, &commit.Auth.Signature)
	})
	if err != nil {
		return nil, err
	}
	return a.digest(interim, input), nil
}

// interimTranscriptHash is what the next commit builds on
// (RFC 9420, Section 8.2).
func (a *algorithms) interimTranscriptHash(confirmed, confirmationTag []byte) []byte {
	tag := wire.MustEncode(func(c *wire.Codec) { wire.Opaque(c, &confirmationTag) })
	return a.digest(confirmed, tag)
}

// confirmationTag proves knowledge of the new epoch (RFC 9420, Section 6.1).
func (a *algorithms) confirmationTag(key Secret, confirmedTranscriptHash []byte) []byte {
	return a.mac(key, confirmedTranscriptHash)
}

// verifyConfirmationTag compares in constant time.
func (a *algorithms) verifyConfirmationTag(key Secret, confirmedTranscriptHash, tag []byte) error {
	if !a.verifyMAC(key, confirmedTranscriptHash, tag) {
		return invalid("6.1", "confirmation tag does not verify")
	}
	return nil
}
