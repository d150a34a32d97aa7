package client

import (
	"fmt"

	"codeberg.org/huis/huis/internal/proto"
	"codeberg.org/huis/huis/kt"
	"codeberg.org/huis/huis/mls"
)

// vet checks a claimed key package as its adder has to: suite, signatures,
// lifetime, and that its device and key stand in the account's chain
// (protocol, sections 1 and 3).
func (c *Client) vet(a proto.AccountID, chain kt.Chain, p *proto.Claimed) (addition, error) {
	kp, err := mls.ParseKeyPackage(p.KeyPackage)
	if err != nil {
		return addition{}, err
	}
	add, err := c.vetPackage(a, chain, kp)
	if err != nil {
		return addition{}, err
	}
	if add.who.Device != p.Device {
		return addition{}, fmt.Errorf("the server gave a key package of another device")
	}
	ticket := p.Ticket
	add.ticket = &ticket
	return add, nil
}

func (c *Client) vetPackage(a proto.AccountID, chain kt.Chain, kp *mls.KeyPackage) (addition, error) {
	now := c.now()
	if kp.CipherSuite != suite {
		return addition{}, fmt.Errorf("key package of another cipher suite")
	}
	if err := kp.Verify(now); err != nil {
		return addition{}, err
	}
	who, err := memberOf(&kp.LeafNode.Credential)
	if err != nil {
		return addition{}, err
	}
	if who.Account != a || len(kp.LeafNode.SignatureKey) != len(kt.MessagePublicKey{}) {
		return addition{}, fmt.Errorf("key package of another account")
	}
	if chain.Leaf(kt.DeviceID(who.Device), kt.MessagePublicKey(kp.LeafNode.SignatureKey), now) != kt.Proven {
		return addition{}, fmt.Errorf("key package of a device that does not stand in its account's chain")
	}
	return addition{who: who, kp: kp}, nil
}
