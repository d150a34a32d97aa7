package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"codeberg.org/huis/huis/internal/proto"
	"codeberg.org/huis/huis/internal/wire"
	"codeberg.org/huis/huis/kt"
)

// The chain of witness policies (docs/protocol.md, Section 13) says whose
// cosignatures this device wants under the server's log. It stands in the log
// itself; admins' clients sign it, and the server can only write it down.
//
//	translog/policies       policyChain
//	translog/policydue      the log has a policy this device has not looked at
//	translog/policyat/N     epoch (8 bytes) of the N-th value of kind policy

const (
	policiesKey  = "translog/policies"
	policyDueKey = "translog/policydue"
)

// policyChain is the chain as the log has it, each policy verified to follow
// the one before.
type policyChain struct {
	Signed [][]byte // kt.SignedPolicy 0, 1, …
	Counts uint32   // so many of them count; the last of these is in force
	// Vouched are hashes of policies that a person named outside of the log: an
	// inviter, another own device, or whoever uses this one.
	Vouched []kt.Hash
	// Flaw says why the log's next policy is none; "" if there is no such thing.
	Flaw string
}

func (p *policyChain) wire(c *wire.Codec) {
	formatVersion(c)
	wire.Vector(c, &p.Signed, func(b *[]byte, c *wire.Codec) { wire.OpaqueMax(c, b, proto.MaxPolicy) })
	wire.Uint32(c, &p.Counts)
	wire.Vector(c, &p.Vouched, func(h *kt.Hash, c *wire.Codec) { wire.Fixed(c, h[:]) })
	wire.String(c, &p.Flaw, 1<<10)
}

func (t *tx) policyChain() (p policyChain, err error) {
	return p, t.load(policiesKey, p.wire)
}

// policy returns policy n of the chain.
func (p *policyChain) policy(n int) (*kt.SignedPolicy, error) {
	s, err := kt.ParseSignedPolicy(p.Signed[n])
	if err != nil {
		return nil, fmt.Errorf("stored policy: %w", err)
	}
	return s, nil
}

// inForce returns the policy that counts, nil if the log has none.
func (p *policyChain) inForce() (*kt.Policy, error) {
	if p.Counts == 0 {
		return nil, nil
	}
	s, err := p.policy(int(p.Counts) - 1)
	if err != nil {
		return nil, err
	}
	return &s.Policy, nil
}

// policyInForce returns the witness policy that counts on this device, nil if
// the log has none: then nobody's cosignature is wanted, as with kt.QuorumNone.
func (t *tx) policyInForce() (*kt.Policy, error) {
	p, err := t.policyChain()
	if err != nil {
		return nil, err
	}
	return p.inForce()
}

// notePolicies remembers that epochs just replayed hold policies.
func (t *tx) notePolicies(epochs []logEpoch) {
	for i := range epochs {
		for _, b := range epochs[i].Batch {
			if b.Kind == kt.KindPolicy {
				t.put(policyDueKey, nil)
				at := epochs[i].Record.N
				_ = t.save(policyAtKey(b.Index, b.Seq), func(c *wire.Codec) { wire.Uint64(c, &at) })
			}
		}
	}
}

func policyAtKey(x kt.Index, seq uint32) string {
	return fmt.Sprintf("translog/policyat/%x/%08x", x[:], seq)
}

// syncPolicies fetches the chain if the log has news of it, and sees what of it
// counts by now.
func (c *Client) syncPolicies(ctx context.Context, k logKeys) error {
	due := false
	err := c.step(ctx, func(t *tx) error {
		known, err := t.get(policiesKey)
		flag, err2 := t.get(policyDueKey)
		due = known == nil || flag != nil
		return errors.Join(err, err2)
	})
	if err != nil {
		return err
	}
	var got *proto.LogEntryResponse
	if due {
		if got, err = c.fetchPolicies(ctx); err != nil {
			return err
		}
	}
	return c.step(ctx, func(t *tx) error {
		p, err := t.policyChain()
		if err != nil {
			return err
		}
		before, counted := wire.MustEncode(p.wire), p.Counts
		var x kt.Index
		if got != nil {
			if x, err = t.takePolicies(&p, k, got); err != nil {
				return err
			}
			t.del(policyDueKey)
			t.put("translog/policyindex", x[:])
		}
		if err := t.countPolicies(&p, k); err != nil {
			return err
		}
		if err := errors.Join(t.recordWitnessed(&p, k), t.tellPolicyNews(&p, counted)); err != nil {
			return err
		}
		if known, err := t.get(policiesKey); err != nil || known != nil && bytes.Equal(before, wire.MustEncode(p.wire)) {
			return err
		}
		return t.save(policiesKey, p.wire)
	})
}

// fetchPolicies asks the log for the chain, in an epoch this device has
// replayed.
func (c *Client) fetchPolicies(ctx context.Context) (*proto.LogEntryResponse, error) {
	for range 3 { // the log may grow in between
		got := new(proto.LogEntryResponse)
		err := c.callAnon(ctx, proto.LogEntry, &proto.LogEntryRequest{Kind: uint8(kt.KindPolicy), Label: []byte(kt.PolicyLabel)}, got)
		if err != nil {
			return nil, err
		}
		seen := false
		err = c.step(ctx, func(t *tx) error {
			h, err := t.logHead()
			seen = got.Proof.Epoch < h.Size
			return err
		})
		if err != nil || seen {
			return got, err
		}
		if err := c.syncEpochs(ctx); err != nil {
			return nil, err
		}
	}
	return nil, c.distrustLog(ctx, "the server answers with versions of its log that it does not show", nil)
}

// takePolicies verifies an answer and adds what is new in it to the chain.
func (t *tx) takePolicies(p *policyChain, k logKeys, got *proto.LogEntryResponse) (x kt.Index, err error) {
	lie := &SafetyError{
		Reason: "the witness policy the server shows does not stand in its log",
		Fix:    "no new device or person is accepted; tell the server's operator",
	}
	e, found, err := t.logEpochAt(got.Proof.Epoch)
	if err != nil {
		return x, err
	}
	proof, err := labelProof(got.Proof.Map, got.Proof.VRF, got.Proof.Openings)
	if err != nil || !found {
		return x, lie
	}
	leaf, err := proof.Verify(k.VRF, kt.KindPolicy, []byte(kt.PolicyLabel), e.Record.MapRoot, got.Values)
	if err != nil || len(got.Values) < len(p.Signed) {
		return x, lie
	}
	if leaf != nil {
		x = leaf.Index
	}
	for i := range p.Signed {
		if !bytes.Equal(p.Signed[i], got.Values[i]) {
			return x, lie
		}
	}
	p.Flaw = ""
	for n := len(p.Signed); n < len(got.Values) && p.Flaw == ""; n++ {
		if why := p.follows(k, got.Values[n]); why != nil {
			p.Flaw = fmt.Sprintf("policy %d in the server's log is not valid: %v", n, why)
			break
		}
		p.Signed = append(p.Signed, got.Values[n])
	}
	return x, nil
}

// follows tells why a value cannot be the chain's next policy.
func (p *policyChain) follows(k logKeys, value []byte) error {
	s, err := kt.ParseSignedPolicy(value)
	if err != nil {
		return err
	}
	if len(p.Signed) == 0 {
		if s.Policy.Log() != k.Log || s.Policy.VRFKey != k.VRF {
			return errors.New("it is of another log")
		}
		return s.VerifyFirst()
	}
	last, err := p.policy(len(p.Signed) - 1)
	if err != nil {
		return err
	}
	_, err = s.VerifyNext(&last.Policy)
	return err
}

// countPolicies moves on to every policy that counts by now.
func (t *tx) countPolicies(p *policyChain, k logKeys) error {
	for int(p.Counts) < len(p.Signed) {
		ok, err := t.policyCounts(p, int(p.Counts), k)
		if err != nil || !ok {
			return err
		}
		p.Counts++
	}
	return nil
}

// policyCounts tells whether policy n, which follows the one in force, counts:
//
//   - a person vouched for it or for a later one;
//   - it is the first, and nobody named another one: it counts as the log's
//     keys do, at first sight;
//   - it asks for nobody's consent and is only an addition to a policy without
//     witnesses, and its own witnesses have cosigned it: nothing that was
//     protected before is given up, so nothing is gained by waiting;
//   - it asks for nobody's consent, and stood in the log for kt.PolicyWait of
//     daily epochs, under the quorum of the policy in force.
func (t *tx) policyCounts(p *policyChain, n int, k logKeys) (bool, error) {
	for i := n; i < len(p.Signed); i++ {
		s, err := p.policy(i)
		if err != nil {
			return false, err
		}
		if slices.Contains(p.Vouched, s.Policy.Hash()) {
			return true, nil
		}
	}
	next, err := p.policy(n)
	if err != nil {
		return false, err
	}
	if n == 0 {
		return len(p.Vouched) == 0, nil
	}
	last, err := p.policy(n - 1)
	if err != nil {
		return false, err
	}
	consent, err := next.VerifyNext(&last.Policy)
	if err != nil || len(consent) > 0 {
		return false, err
	}
	head, err := t.logHead()
	if err != nil {
		return false, err
	}
	if onlyAdds(&last.Policy, &next.Policy) {
		at, known, err := t.policyLogged(uint32(n))
		return known && at < head.Size && t.cosigned(&next.Policy, k, head), err
	}
	stood, err := t.stoodFor(uint32(n), kt.PolicyWait)
	return stood && (last.Policy.Unwitnessed() || t.cosigned(&last.Policy, k, head)), err
}

// onlyAdds tells that q asks for witnesses where p asked for none, and is the
// same in everything else.
func onlyAdds(p, q *kt.Policy) bool {
	return p.Unwitnessed() && !q.Unwitnessed() && q.M >= p.M && slices.Equal(p.Signers, q.Signers)
}

// policyLogged returns the epoch policy n came with.
func (t *tx) policyLogged(n uint32) (epoch uint64, known bool, err error) {
	x, err := t.get("translog/policyindex")
	if err != nil || len(x) != 32 {
		return 0, false, err
	}
	b, err := t.get(policyAtKey(kt.Index(x), n))
	if err != nil || b == nil {
		return 0, false, err
	}
	return epoch, true, wire.Decode(b, func(c *wire.Codec) { wire.Uint64(c, &epoch) })
}

// stoodFor tells whether policy n has stood in the log for so long when the
// newest distinguished epoch came.
func (t *tx) stoodFor(n uint32, d time.Duration) (bool, error) {
	at, known, err := t.policyLogged(n)
	if err != nil || !known {
		return false, err
	}
	since, found, err := t.logEpochAt(at)
	if err != nil || !found {
		return false, err
	}
	last, found, err := t.lastDistinguished()
	if err != nil || !found || last.N < at {
		return false, err
	}
	return last.Time >= since.Record.Time+uint64(d/time.Second), nil
}

// lastDistinguished returns the newest distinguished epoch this device has
// replayed: the first of a UTC day.
func (t *tx) lastDistinguished() (r kt.EpochRecord, found bool, err error) {
	h, err := t.logHead()
	if err != nil || h.Size == 0 {
		return r, false, err
	}
	e, found, err := t.logEpochAt(h.Size - 1)
	if err != nil || !found {
		return r, found, err
	}
	e, found, err = t.logEpochAt(e.Record.LastDistinguished)
	return e.Record, found, err
}

// tellPolicyNews keeps for whoever uses this device that another policy counts
// now than before, until they look at it.
func (t *tx) tellPolicyNews(p *policyChain, before uint32) error {
	if before == 0 || p.Counts == before {
		return nil
	}
	old, err := p.policy(int(before) - 1)
	if err != nil {
		return err
	}
	now, err := p.inForce()
	if err != nil {
		return err
	}
	t.put(policyNewsKey, []byte("the witness policy changed: "+describeChange(&old.Policy, now)+" (huis policy shows it)"))
	return nil
}
