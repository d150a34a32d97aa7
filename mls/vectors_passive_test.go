package mls

import (
	"errors"
	"fmt"
)

func init() {
	for _, name := range []string{
		"rfc9420/passive-client-welcome", "rfc9420/passive-client-handling-commit", "rfc9420/passive-client-random",
		"passive-interop/application", "passive-interop/branch", "passive-interop/commit", "passive-interop/external_join",
		"passive-interop/external_proposals", "passive-interop/reinit", "passive-interop/welcome_join",
	} {
		registerVectors(name+".json", runPassiveClient)
	}
}

type passiveVector struct {
	CipherSuite   CipherSuite `json:"cipher_suite"`
	KeyPackage    hexBytes    `json:"key_package"`
	SignaturePriv hexBytes    `json:"signature_priv"`
	Encryption    hexBytes    `json:"encryption_priv"`
	InitPriv      hexBytes    `json:"init_priv"`
	Welcome       hexBytes    `json:"welcome"`
	RatchetTree   hexBytes    `json:"ratchet_tree"`
	Authenticator hexBytes    `json:"initial_epoch_authenticator"`
	ExternalPSKs  []struct {
		ID  hexBytes `json:"psk_id"`
		PSK hexBytes `json:"psk"`
	} `json:"external_psks"`
	Epochs []passiveEpoch `json:"epochs"`
}

type passiveEpoch struct {
	Proposals     []hexBytes `json:"proposals"`
	Commit        hexBytes   `json:"commit"`
	Authenticator hexBytes   `json:"epoch_authenticator"`
}

func (v *passiveVector) options() Options {
	return Options{MaxResumptionEpochs: 300, PSKs: func(id *PreSharedKeyID) (Secret, error) {
		for _, p := range v.ExternalPSKs {
			if id.PSKType == PSKExternal && string(p.ID) == string(id.PSKID) {
				return Secret(p.PSK), nil
			}
		}
		return nil, errNoPSK
	}}
}

func (v *passiveVector) bundle() (*KeyPackageBundle, error) {
	m, err := ParseMLSMessage(v.KeyPackage)
	if err != nil {
		return nil, err
	}
	if m.KeyPackage == nil {
		return nil, errors.New("no key package")
	}
	signer, err := ParseSignaturePrivateKey(v.CipherSuite, v.scalar(v.SignaturePriv))
	init, key := NewHPKEPrivateKey(v.scalar(v.InitPriv)), NewHPKEPrivateKey(v.scalar(v.Encryption))
	return &KeyPackageBundle{m.KeyPackage, init, key, signer}, err
}

// scalar gives a P-521 scalar the zeros before it that some of its recorders
// left out.
func (v *passiveVector) scalar(b []byte) []byte {
	if v.CipherSuite != P521AES256SHA512P521 || len(b) > 66 {
		return b
	}
	return append(make([]byte, 66-len(b)), b...)
}

// matches tells whether the private keys are those of the package.
func (v *passiveVector) matches(c *vectorCase, b *KeyPackageBundle) {
	init, err := b.InitKey.PublicKey(v.CipherSuite)
	c.noError("init key", err)
	c.equal("init key", init, b.KeyPackage.InitKey)
	key, err := b.EncryptionKey.PublicKey(v.CipherSuite)
	c.noError("encryption key", err)
	c.equal("encryption key", key, b.KeyPackage.LeafNode.EncryptionKey)
	c.equal("signature key", b.SignatureKey.PublicKey(), b.KeyPackage.LeafNode.SignatureKey)
}

func runPassiveClient(c *vectorCase, v *passiveVector) {
	bundle, err := v.bundle()
	if !c.noError("key package", err) {
		return
	}
	v.matches(c, bundle)
	w, err := ParseMLSMessage(v.Welcome)
	if !c.noError("welcome", err) || !c.ok("a Welcome", w.Welcome != nil) {
		return
	}
	join := JoinOptions{}
	if v.RatchetTree != nil {
		if join.RatchetTree, err = ParseRatchetTree(v.RatchetTree); !c.noError("tree", err) {
			return
		}
	}
	g, _, err := Join(w.Welcome, bundle, join, v.options())
	if !c.noError("join", err) {
		return
	}
	c.equal("initial epoch authenticator", g.EpochAuthenticator(), v.Authenticator)
	for i, e := range v.Epochs {
		for _, p := range e.Proposals {
			if _, err := g.Process(testTime, p); !c.noError(fmt.Sprintf("proposal of epoch %d", i), err) {
				return
			}
		}
		p, err := g.Process(testTime, e.Commit)
		if !c.noError(fmt.Sprintf("commit %d", i), err) || !c.ok("a commit", p.Commit != nil) {
			return
		}
		_, err = g.Merge(testTime, p.Commit)
		c.noError("merge", err)
		c.equal(fmt.Sprintf("epoch authenticator %d", i), g.EpochAuthenticator(), e.Authenticator)
	}
}
