package mls

import (
	"fmt"

	"codeberg.org/huis/huis/internal/wire"
)

// PSKType says where a pre-shared key comes from (RFC 9420, Section 8.4).
type PSKType uint8

// Kinds of pre-shared key.
const (
	PSKExternal   PSKType = 1
	PSKResumption PSKType = 2
)

// ResumptionPSKUsage says what a resumption PSK is used for
// (RFC 9420, Section 8.4).
type ResumptionPSKUsage uint8

// Uses of a resumption PSK.
const (
	UsageApplication ResumptionPSKUsage = 1
	UsageReInit      ResumptionPSKUsage = 2
	UsageBranch      ResumptionPSKUsage = 3
)

// PreSharedKeyID names a pre-shared key (RFC 9420, Section 8.4).
type PreSharedKeyID struct {
	PSKType    PSKType
	PSKID      []byte             // external
	Usage      ResumptionPSKUsage // resumption
	PSKGroupID []byte             // resumption
	PSKEpoch   uint64             // resumption
	PSKNonce   []byte             // fresh, KDF.Nh bytes
}

func (p *PreSharedKeyID) wire(c *wire.Codec) {
	wire.Uint8(c, &p.PSKType)
	switch p.PSKType {
	case PSKExternal:
		wire.Opaque(c, &p.PSKID)
	case PSKResumption:
		wire.Uint8(c, &p.Usage)
		if p.Usage < UsageApplication || p.Usage > UsageBranch {
			c.Fail(fmt.Sprintf("resumption PSK usage %d", p.Usage))
		}
		wire.Opaque(c, &p.PSKGroupID)
		wire.Uint64(c, &p.PSKEpoch)
	default:
		c.Fail(fmt.Sprintf("PSK type %d", p.PSKType))
	}
	wire.Opaque(c, &p.PSKNonce)
}

// pskInput is a pre-shared key with its name, ready for the key schedule.
type pskInput struct {
	id  PreSharedKeyID
	psk Secret
}

// pskSecret combines the keys in order (RFC 9420, Section 8.4); none gives the
// zero secret.
func (a *algorithms) pskSecret(psks []pskInput) Secret {
	secret := make(Secret, a.hashSize())
	zero := make(Secret, a.hashSize())
	count := uint16(len(psks))
	for i := range psks {
		index := uint16(i)
		label := wire.MustEncode(func(c *wire.Codec) {
			psks[i].id.wire(c)
			wire.Uint16(c, &index)
			wire.Uint16(c, &count)
		})
		input := a.expandWithLabel(a.extract(zero, psks[i].psk), "derived psk", label, a.hashSize())
		secret = a.extract(input, secret)
	}
	return secret
}
