package mls

import (
	"bytes"
	"regexp"

	"codeberg.org/huis/huis/internal/wire"
)

func init() {
	registerVectors("rfc9420/deserialization.json", runDeserialization)
	registerVectors("rfc9420/crypto-basics.json", runCryptoBasics)
	registerVectors("rfc9420/messages.json", runMessages)
	// Whatever content decodes, encodes to the same; but the first byte is always
	// structure, except in remove_proposal, which is a bare number.
	vectorFlips["rfc9420/messages.json"] = flipRule{first: true, not: regexp.MustCompile(`^remove_proposal$`)}
}

type deserializationVector struct {
	Header hexBytes `json:"vlbytes_header"`
	Length int      `json:"length"`
}

func runDeserialization(c *vectorCase, v *deserializationVector) {
	c.equal("encoded header", wire.AppendLength(nil, v.Length), v.Header)
	if v.Length > 1<<20 {
		return // a body of that size is not worth its memory
	}
	var body []byte
	err := wire.Decode(append(bytes.Clone(v.Header), make([]byte, v.Length)...), func(c *wire.Codec) { wire.Opaque(c, &body) })
	c.ok("decoded length", err == nil && len(body) == v.Length)
}

type cryptoBasicsVector struct {
	CipherSuite CipherSuite `json:"cipher_suite"`
	RefHash     struct {
		Label string   `json:"label"`
		Value hexBytes `json:"value"`
		Out   hexBytes `json:"out"`
	} `json:"ref_hash"`
	Expand struct {
		Secret  hexBytes `json:"secret"`
		Label   string   `json:"label"`
		Context hexBytes `json:"context"`
		Length  int      `json:"length"`
		Out     hexBytes `json:"out"`
	} `json:"expand_with_label"`
	Derive struct {
		Label  string   `json:"label"`
		Secret hexBytes `json:"secret"`
		Out    hexBytes `json:"out"`
	} `json:"derive_secret"`
	Tree struct {
		Secret     hexBytes `json:"secret"`
		Label      string   `json:"label"`
		Generation uint32   `json:"generation"`
		Length     int      `json:"length"`
		Out        hexBytes `json:"out"`
	} `json:"derive_tree_secret"`
	Sign struct {
		Priv      hexBytes `json:"priv"`
		Pub       hexBytes `json:"pub"`
		Content   hexBytes `json:"content"`
		Label     string   `json:"label"`
		Signature hexBytes `json:"signature"`
	} `json:"sign_with_label"`
	Encrypt struct {
		Priv       hexBytes `json:"priv"`
		Pub        hexBytes `json:"pub"`
		Label      string   `json:"label"`
		Context    hexBytes `json:"context"`
		Plaintext  hexBytes `json:"plaintext"`
		KEMOutput  hexBytes `json:"kem_output"`
		Ciphertext hexBytes `json:"ciphertext"`
	} `json:"encrypt_with_label"`
}

func runCryptoBasics(c *vectorCase, v *cryptoBasicsVector) {
	a, err := v.CipherSuite.algorithms()
	if !c.noError("suite", err) {
		return
	}
	c.equal("RefHash", a.refHash(v.RefHash.Label, v.RefHash.Value), v.RefHash.Out)
	e := v.Expand
	c.equal("ExpandWithLabel", a.expandWithLabel(Secret(e.Secret), e.Label, e.Context, e.Length), e.Out)
	c.equal("DeriveSecret", a.deriveSecret(Secret(v.Derive.Secret), v.Derive.Label), v.Derive.Out)
	d := v.Tree
	c.equal("DeriveTreeSecret", a.deriveTreeSecret(Secret(d.Secret), d.Label, d.Generation, d.Length), d.Out)
	runSignWithLabel(c, v)
	runEncryptWithLabel(c, v)
}

func runSignWithLabel(c *vectorCase, v *cryptoBasicsVector) {
	s := v.Sign
	c.ok("signature", VerifyWithLabel(v.CipherSuite, SignaturePublicKey(s.Pub), s.Label, s.Content, s.Signature) == nil)
	key, err := ParseSignaturePrivateKey(v.CipherSuite, s.Priv)
	if !c.noError("signature key", err) {
		return
	}
	c.equal("signature public key", key.PublicKey(), s.Pub)
	own, err := SignWithLabel(v.CipherSuite, key, s.Label, s.Content)
	c.ok("own signature", err == nil && VerifyWithLabel(v.CipherSuite, SignaturePublicKey(s.Pub), s.Label, s.Content, own) == nil)
}

func runEncryptWithLabel(c *vectorCase, v *cryptoBasicsVector) {
	e := v.Encrypt
	key := NewHPKEPrivateKey(e.Priv)
	pub, err := key.PublicKey(v.CipherSuite)
	if !c.noError("HPKE key", err) {
		return
	}
	c.equal("HPKE public key", pub, e.Pub)
	got, err := DecryptWithLabel(v.CipherSuite, key, e.Label, e.Context, &HPKECiphertext{e.KEMOutput, e.Ciphertext})
	c.noError("DecryptWithLabel", err)
	c.equal("plaintext", got, e.Plaintext)
	own, err := EncryptWithLabel(v.CipherSuite, pub, e.Label, e.Context, e.Plaintext)
	if c.noError("EncryptWithLabel", err) {
		got, err = DecryptWithLabel(v.CipherSuite, key, e.Label, e.Context, own)
		c.noError("DecryptWithLabel of own", err)
		c.equal("own plaintext", got, e.Plaintext)
	}
}

type messagesVector struct {
	Welcome           hexBytes `json:"mls_welcome"`
	GroupInfo         hexBytes `json:"mls_group_info"`
	KeyPackage        hexBytes `json:"mls_key_package"`
	RatchetTree       hexBytes `json:"ratchet_tree"`
	GroupSecrets      hexBytes `json:"group_secrets"`
	Add               hexBytes `json:"add_proposal"`
	Update            hexBytes `json:"update_proposal"`
	Remove            hexBytes `json:"remove_proposal"`
	PreSharedKey      hexBytes `json:"pre_shared_key_proposal"`
	ReInit            hexBytes `json:"re_init_proposal"`
	ExternalInit      hexBytes `json:"external_init_proposal"`
	ContextExtensions hexBytes `json:"group_context_extensions_proposal"`
	Commit            hexBytes `json:"commit"`
	PublicApplication hexBytes `json:"public_message_application"`
	PublicProposal    hexBytes `json:"public_message_proposal"`
	PublicCommit      hexBytes `json:"public_message_commit"`
	PrivateMessage    hexBytes `json:"private_message"`
}

func runMessages(c *vectorCase, v *messagesVector) {
	message := func(m *MLSMessage, c *wire.Codec) { m.wire(c) }
	roundTrip(c, "MLSMessage Welcome", v.Welcome, message)
	roundTrip(c, "MLSMessage GroupInfo", v.GroupInfo, message)
	roundTrip(c, "MLSMessage KeyPackage", v.KeyPackage, message)
	roundTrip(c, "ratchet_tree", v.RatchetTree, func(nodes *[]*Node, c *wire.Codec) {
		wire.Vector(c, nodes, func(n **Node, c *wire.Codec) { wire.Optional(c, n, (*Node).wire) })
	})
	roundTrip(c, "GroupSecrets", v.GroupSecrets, (*GroupSecrets).wire)
	if add := roundTrip(c, "Add", v.Add, (*Add).wire); add != nil {
		c.ok("version in Add", add.KeyPackage.Version == MLS10)
	}
	roundTrip(c, "Update", v.Update, (*Update).wire)
	roundTrip(c, "Remove", v.Remove, (*Remove).wire)
	roundTrip(c, "PreSharedKey", v.PreSharedKey, (*PreSharedKey).wire)
	roundTrip(c, "ReInit", v.ReInit, (*ReInit).wire)
	roundTrip(c, "ExternalInit", v.ExternalInit, (*ExternalInit).wire)
	roundTrip(c, "GroupContextExtensions", v.ContextExtensions, (*GroupContextExtensions).wire)
	roundTrip(c, "Commit", v.Commit, (*Commit).wire)
	roundTrip(c, "PublicMessage application", v.PublicApplication, message)
	roundTrip(c, "PublicMessage proposal", v.PublicProposal, message)
	roundTrip(c, "PublicMessage commit", v.PublicCommit, message)
	roundTrip(c, "PrivateMessage", v.PrivateMessage, message)
}

func roundTrip[T any](c *vectorCase, what string, b []byte, fields func(*T, *wire.Codec)) *T {
	v, err := parse(b, fields)
	if !c.noError(what, err) {
		return nil
	}
	again, err := wire.Encode(func(c *wire.Codec) { fields(v, c) })
	c.noError(what, err)
	c.equal(what+" encoded again", again, b)
	return v
}
