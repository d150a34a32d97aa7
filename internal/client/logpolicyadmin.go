package client

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"codeberg.org/huis/huis/internal/proto"
	"codeberg.org/huis/huis/internal/wire"
	"codeberg.org/huis/huis/kt"
)

// How policies are made: the first by the first admin's client, each further
// one by the signers of the one before.
//
//	policykey              kt.PolicyKey of this person
//	translog/wanted        kt.WitnessSet as text, that policy 0 is to ask for
//	translog/policyput     kt.SignedPolicy made here, not answered yet
//	translog/policytold    what the own devices were told
//	translog/policynews    what changed since a person looked last
//	translog/invited       policyPin of the invitation, while the inviter's chain is not known

const (
	policyKeyKey  = "policykey"
	policyPutKey  = "translog/policyput"
	wantedKey     = "translog/wanted"
	policyNewsKey = "translog/policynews"
	invitedKey    = "translog/invited"
)

// PolicyPin is how an inviter names the policy in force: its hash, signed with
// the message key of one of the inviter's devices. Zeros: none is named.
type PolicyPin struct {
	Hash   kt.Hash
	Device proto.DeviceID
	Sig    [ed25519.SignatureSize]byte
}

func (p *PolicyPin) wire(c *wire.Codec) {
	wire.Fixed(c, p.Hash[:])
	p.Device.Wire(c)
	wire.Fixed(c, p.Sig[:])
}

func pinSigned(token proto.Token, h kt.Hash) []byte {
	th := token.Hash()
	return append(append([]byte("huis/invite-policy/1"), th[:]...), h[:]...)
}

// pinPolicy names the policy in force for an invitation.
func (t *tx) pinPolicy(me *identity, token proto.Token) (pin PolicyPin, err error) {
	p, err := t.policyInForce()
	if err != nil || p == nil {
		return pin, err
	}
	pin = PolicyPin{Hash: p.Hash(), Device: me.Device}
	sig, err := signWith(me.M)(pinSigned(token, pin.Hash))
	copy(pin.Sig[:], sig)
	return pin, err
}

// invited is what an invitation says of the policy, until it is checked.
type invited struct {
	Inviter proto.AccountID
	Token   proto.Token
	Pin     PolicyPin
}

func (i *invited) wire(c *wire.Codec) {
	formatVersion(c)
	i.Inviter.Wire(c)
	i.Token.Wire(c)
	i.Pin.wire(c)
}

// believeInvitation has the policy an invitation names count, from the start.
func (t *tx) believeInvitation(inv Invitation) error {
	if inv.Policy == (PolicyPin{}) {
		return nil
	}
	i := invited{Inviter: inv.Inviter, Token: inv.Token, Pin: inv.Policy}
	return errors.Join(t.save(invitedKey, i.wire), t.vouchPolicy(inv.Policy.Hash))
}

// wantWitnesses keeps what policy 0 is to ask for, if this is to make it.
func (t *tx) wantWitnesses(inv Invitation) error {
	if inv.Inviter == (proto.AccountID{}) && t.c.cfg.Witnesses.Quorum != kt.QuorumNone {
		t.put(wantedKey, []byte(t.c.cfg.Witnesses.Text()))
		return nil
	}
	return t.delAll(wantedKey)
}

// vouchPolicy takes over a person's word for a policy.
func (t *tx) vouchPolicy(h kt.Hash) error {
	p, err := t.policyChain()
	if err != nil || slices.Contains(p.Vouched, h) {
		return err
	}
	p.Vouched = append(p.Vouched, h)
	return t.save(policiesKey, p.wire)
}

// checkInvitation checks, once the inviter's devices are known, that one of
// them named the policy.
func (c *Client) checkInvitation(ctx context.Context) error {
	forged := false
	err := c.step(ctx, func(t *tx) error {
		var i invited
		forged = false
		b, err := t.get(invitedKey)
		if err != nil || b == nil {
			return err
		}
		if err := wire.Decode(b, i.wire); err != nil {
			return err
		}
		chain, known, err := t.chain(i.Inviter)
		if err != nil || !known {
			return err
		}
		d, ok := chain.Device(kt.DeviceID(i.Pin.Device))
		msg := pinSigned(i.Token, i.Pin.Hash)
		forged = !ok || !slices.ContainsFunc(d.Messages, func(m kt.MessageKeyPeriod) bool { return ed25519.Verify(m.Key[:], msg, i.Pin.Sig[:]) })
		t.del(invitedKey)
		return nil
	})
	if err == nil && forged {
		err = c.distrustLog(ctx, "the witness policy in your invitation was not signed by who invited you", nil)
	}
	return err
}

// firstPolicy makes policy 0 if this is an admin's device and the log has none,
// and sends what this device has made and has no answer for.
func (c *Client) firstPolicy(ctx context.Context) error {
	var waits, want bool
	err := c.step(ctx, func(t *tx) error {
		p, err := t.policyChain()
		if err != nil {
			return err
		}
		b, err := t.get(policyPutKey)
		known, err2 := t.get(policiesKey) // a log that was looked at
		waits, want = b != nil, known != nil && len(p.Signed) == 0 && len(p.Vouched) == 0 && p.Flaw == ""
		return errors.Join(err, err2)
	})
	if err != nil || !waits && !want {
		return err
	}
	open, err := c.accountSession(ctx)
	if err != nil || !waits && !open.Admin {
		return err
	}
	if !waits {
		if err := c.makeFirst(ctx); err != nil {
			return err
		}
	}
	return c.putPolicy(ctx)
}

// makeFirst signs policy 0 and keeps it before it is sent.
func (c *Client) makeFirst(ctx context.Context) error {
	k, err := c.logKeys(ctx)
	if err != nil {
		return err
	}
	return c.step(ctx, func(t *tx) error {
		me, err := t.identity()
		if err != nil {
			return err
		}
		set := kt.WitnessSet{Quorum: kt.QuorumNone}
		text, err := t.get(wantedKey)
		if err == nil && text != nil {
			set, err = kt.ParseWitnessSet(string(text))
		}
		if err != nil {
			return err
		}
		key, err := t.policyKey()
		if err != nil {
			return err
		}
		p := kt.Policy{
			Origin: k.Log.Name, LogKey: k.Log.Key, VRFKey: k.VRF, Witnesses: set.Witnesses, Groups: set.Groups, Quorum: set.Quorum,
			Signers: []kt.PolicySigner{{Account: kt.AccountID(me.Account), Key: key.Public()}}, M: 1,
		}
		s := kt.SignedPolicy{Policy: p, Signatures: []kt.PolicySignature{key.Sign(&p, 0)}}
		if err := s.VerifyFirst(); err != nil {
			return err
		}
		t.put(policyPutKey, s.Encode())
		t.del(wantedKey)
		return t.vouchPolicy(p.Hash())
	})
}

// policyKey returns this person's key, made at the first use.
func (t *tx) policyKey() (kt.PolicyKey, error) {
	b, err := t.get(policyKeyKey)
	if err != nil {
		return kt.PolicyKey{}, err
	}
	if b == nil {
		k := kt.GeneratePolicyKey()
		t.put(policyKeyKey, k.Bytes())
		return k, nil
	}
	return kt.ParsePolicyKey(b)
}

// putPolicy sends the policy that waits. One the server refuses is given up:
// another was faster.
func (c *Client) putPolicy(ctx context.Context) error {
	var b []byte
	err := c.step(ctx, func(t *tx) (err error) {
		b, err = t.get(policyPutKey)
		return err
	})
	if err != nil || b == nil {
		return err
	}
	err = c.callAccount(ctx, proto.PolicyPut, func(s proto.SessionID) proto.Message {
		return &proto.PolicyPutRequest{Session: s, Policy: b}
	}, &proto.Empty{})
	if err != nil && !definite(err) {
		return err
	}
	refusal := err
	err = c.step(ctx, func(t *tx) error {
		t.del(policyPutKey)
		if refusal == nil {
			return nil
		}
		s, err := kt.ParseSignedPolicy(b)
		if err != nil {
			return err
		}
		p, err := t.policyChain()
		if err != nil {
			return err
		}
		p.Vouched = slices.DeleteFunc(p.Vouched, func(h kt.Hash) bool { return h == s.Policy.Hash() })
		return t.save(policiesKey, p.wire)
	})
	if refusal != nil || err != nil {
		return errors.Join(refusal, err)
	}
	return c.syncTranslog(ctx)
}

// checkWitnesses tells why a set of witnesses cannot be asked for: if they do
// not vouch for the log already, nobody could accept a key any more.
func (c *Client) checkWitnesses(ctx context.Context, set kt.WitnessSet) error {
	if set.Quorum == kt.QuorumNone && len(set.Logs) == 0 {
		return nil
	}
	k, err := c.logKeys(ctx)
	if err != nil {
		return err
	}
	if len(set.Logs) > 0 && !slices.Contains(set.Logs, k.Log) {
		return &hinted{errors.New("this policy was written for another log"), "the key of this server's log is " + k.Log.LogText()}
	}
	if set.Quorum == kt.QuorumNone {
		return nil
	}
	var got proto.LogHeadResponse
	if err := c.callAnon(ctx, proto.LogHead, &proto.LogHeadRequest{}, &got); err != nil {
		return err
	}
	signed, err := kt.VerifyCheckpoint(got.Checkpoint, k.Log, set.Witnesses)
	if err != nil {
		return fmt.Errorf("these witnesses: %w", err)
	}
	p := kt.Policy{Witnesses: set.Witnesses, Groups: set.Groups, Quorum: set.Quorum}
	if p.Satisfied(signed.Cosignatures, c.now(), witnessAge) {
		return nil
	}
	var have []string
	for _, s := range signed.Cosignatures {
		have = append(have, s.Witness.Name)
	}
	seen := "none of them vouches"
	if len(have) > 0 {
		seen = "only " + strings.Join(have, ", ") + " can vouch"
	}
	return &hinted{fmt.Errorf("these witnesses cannot be asked for: %s for the server's log now", seen),
		"the server has to ask them first: huis serve --witness URL for each"}
}

// hinted is an error with its way out.
type hinted struct {
	error
	hint string
}

// Hint says what the person can do.
func (e *hinted) Hint() string  { return e.hint }
func (e *hinted) Unwrap() error { return e.error }

// PolicyChange is a policy that is not complete yet: signers still have to add
// their names.
type PolicyChange struct {
	Proposal string // text for the other signers; "" if it is in the log
	Hash     string // what people compare
	Missing  int    // signatures that are missing
}

var errNoSigner = &hinted{errors.New("you are not one of those who may change the witness policy"), "huis policy shows who may"}

// SetPolicy makes the policy that follows the newest one in the log: other
// witnesses, and if signers is not empty other signers, m of whom sign the next.
func (c *Client) SetPolicy(ctx context.Context, set kt.WitnessSet, signers []kt.PolicySigner, m int) (PolicyChange, error) {
	if err := c.maySign(ctx); err != nil {
		return PolicyChange{}, err
	}
	if err := c.checkWitnesses(ctx, set); err != nil {
		return PolicyChange{}, err
	}
	var out PolicyChange
	err := c.step(ctx, func(t *tx) error {
		chain, last, err := t.newestPolicy()
		if err != nil {
			return err
		}
		next := last.Next(set)
		if len(signers) > 0 {
			next.Signers, next.M = signers, uint8(min(m, 255))
		}
		out, err = t.signPolicy(&chain, last, &kt.SignedPolicy{Policy: next})
		return err
	})
	if err != nil || out.Missing > 0 {
		return out, err
	}
	return out, c.putPolicy(ctx)
}

// SignPolicy adds this person's signature to a proposal and puts it into the
// log if it is complete. ask is shown what it changes.
func (c *Client) SignPolicy(ctx context.Context, proposal string, ask func(change string) bool) (PolicyChange, error) {
	b, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(proposal), ""))
	if err != nil {
		return PolicyChange{}, errors.New("this is not a proposal for a witness policy")
	}
	s, err := kt.ParseSignedPolicy(b)
	if err != nil {
		return PolicyChange{}, errors.New("this is not a proposal for a witness policy")
	}
	if err := c.maySign(ctx); err != nil {
		return PolicyChange{}, err
	}
	if err := c.checkWitnesses(ctx, s.Policy.Set()); err != nil {
		return PolicyChange{}, err
	}
	var out PolicyChange
	err = c.step(ctx, func(t *tx) error {
		chain, last, err := t.newestPolicy()
		if err != nil {
			return err
		}
		if ask != nil && !ask(describeChange(last, &s.Policy)) {
			return errors.New("nothing was signed")
		}
		out, err = t.signPolicy(&chain, last, s)
		return err
	})
	if err != nil || out.Missing > 0 {
		return out, err
	}
	return out, c.putPolicy(ctx)
}

// maySign tells why this person cannot sign the next policy.
func (c *Client) maySign(ctx context.Context) error {
	if err := c.syncTranslog(ctx); err != nil {
		return err
	}
	return c.step(ctx, func(t *tx) error {
		_, last, err := t.newestPolicy()
		if err != nil {
			return err
		}
		_, _, err = t.signerOf(last)
		return err
	})
}

// signerOf returns this person's key, and its place among a policy's signers.
func (t *tx) signerOf(p *kt.Policy) (kt.PolicyKey, int, error) {
	key, err := t.policyKey()
	i := slices.IndexFunc(p.Signers, func(g kt.PolicySigner) bool { return g.Key == key.Public() })
	if err == nil && i < 0 {
		err = errNoSigner
	}
	return key, i, err
}

func (t *tx) newestPolicy() (chain policyChain, last *kt.Policy, err error) {
	if chain, err = t.policyChain(); err != nil {
		return chain, nil, err
	}
	if len(chain.Signed) == 0 {
		return chain, nil, &hinted{errors.New("the server's log has no witness policy yet"), "the first admin's device makes it when it is online"}
	}
	s, err := chain.policy(len(chain.Signed) - 1)
	if err != nil {
		return chain, nil, err
	}
	return chain, &s.Policy, nil
}

// signPolicy adds the own signature; a complete policy waits to be sent, and
// its signer stands for it.
func (t *tx) signPolicy(chain *policyChain, last *kt.Policy, s *kt.SignedPolicy) (PolicyChange, error) {
	key, i, err := t.signerOf(last)
	if err != nil {
		return PolicyChange{}, err
	}
	if !slices.ContainsFunc(s.Signatures, func(g kt.PolicySignature) bool { return int(g.Signer) == i }) {
		s.Signatures = append(s.Signatures, key.Sign(&s.Policy, uint8(i)))
	}
	out := PolicyChange{Hash: shortHash(s.Policy.Hash())}
	if missing := int(last.M) - len(s.Signatures); missing > 0 {
		out.Missing, out.Proposal = missing, base64.StdEncoding.EncodeToString(s.Encode())
		return out, nil
	}
	if _, err := s.VerifyNext(last); err != nil {
		return out, err
	}
	if len(s.Encode()) > kt.MaxSignedPolicy {
		return out, errors.New("the policy is too long")
	}
	t.put(policyPutKey, s.Encode())
	return out, t.vouchPolicy(s.Policy.Hash())
}

// AcceptPolicy has a policy of the log count on this person's devices, which
// names it by the beginning of its hash, 16 digits or more, heard from one of
// its signers by another way.
func (c *Client) AcceptPolicy(ctx context.Context, hash string) error {
	hash = strings.ToLower(hash)
	if len(hash) < 16 {
		return &hinted{errors.New("this is too little of a policy's hash"), "ask one of its signers, by another way than this server, for the first 16 digits"}
	}
	if err := c.syncTranslog(ctx); err != nil {
		return err
	}
	err := c.step(ctx, func(t *tx) error {
		p, err := t.policyChain()
		if err != nil {
			return err
		}
		for n := range p.Signed {
			s, err := p.policy(n)
			if err != nil {
				return err
			}
			if h := s.Policy.Hash(); strings.HasPrefix(h.Hex(), hash) {
				return t.vouchPolicy(h)
			}
		}
		return &SafetyError{Reason: "the server's log holds no policy of that hash", Fix: "compare it digit by digit with one of its signers; huis policy shows those in the log"}
	})
	if err != nil {
		return err
	}
	return c.syncTranslog(ctx)
}

// PolicyInfo is one policy of the chain.
type PolicyInfo struct {
	N       uint64
	Hash    string
	InForce bool
	Counts  bool // or did until a later one came
	Set     kt.WitnessSet
	Signers []string // handles as far as they are known
	Needed  int      // of the signers, for the next policy
	Changes []string // from the policy before
	Waits   string   // why it does not count yet
}

// Policies lists the chain as this device knows it and marks changes as seen.
func (c *Client) Policies(ctx context.Context) (all []PolicyInfo, err error) {
	err = c.step(ctx, func(t *tx) error {
		all = nil
		p, err := t.policyChain()
		if err != nil {
			return err
		}
		if news, err := t.get(policyNewsKey); err != nil {
			return err
		} else if news != nil {
			t.del(policyNewsKey)
		}
		var last *kt.Policy
		for n := range p.Signed {
			s, err := p.policy(n)
			if err != nil {
				return err
			}
			i := PolicyInfo{N: s.Policy.N, Hash: s.Policy.Hash().Hex(), Counts: n < int(p.Counts), InForce: n == int(p.Counts)-1, Set: s.Policy.Set(), Needed: int(s.Policy.M)}
			for _, g := range s.Policy.Signers {
				i.Signers = append(i.Signers, t.handleOf(proto.AccountID(g.Account)))
			}
			if last != nil {
				i.Changes = changes(last, &s.Policy)
			}
			if !i.Counts {
				if i.Waits, err = t.policyWaits(&p, n, last, s); err != nil {
					return err
				}
			}
			all = append(all, i)
			last = &s.Policy
		}
		return nil
	})
	return all, err
}

// policyWaits says what a policy waits for.
func (t *tx) policyWaits(p *policyChain, n int, last *kt.Policy, s *kt.SignedPolicy) (string, error) {
	if last == nil {
		return "it is not the one you were invited with", nil
	}
	consent, err := s.VerifyNext(last)
	if err != nil {
		return "", err
	}
	if len(consent) > 0 {
		return fmt.Sprintf("your consent (%s): compare its hash with a signer, then huis policy accept %s", strings.Join(consent, ", "), shortHash(s.Policy.Hash())), nil
	}
	if onlyAdds(last, &s.Policy) {
		return "its own witnesses", nil
	}
	at, known, err := t.policyLogged(uint32(n))
	if err != nil || !known {
		return "the log", err
	}
	e, _, err := t.logEpochAt(at)
	until := time.Unix(int64(e.Record.Time), 0).Add(kt.PolicyWait)
	return fmt.Sprintf("the first daily epoch after %s, cosigned as the policy in force asks", until.UTC().Format(time.DateTime)), err
}

// changes says what differs from one policy to the next.
func changes(p, q *kt.Policy) (all []string) {
	for _, w := range q.Witnesses {
		if !slices.Contains(p.Witnesses, w) {
			all = append(all, "new witness "+w.Name)
		}
	}
	for _, w := range p.Witnesses {
		if !slices.Contains(q.Witnesses, w) {
			all = append(all, "without witness "+w.Name)
		}
	}
	if a, b := p.Fewest(), q.Fewest(); a != b {
		all = append(all, fmt.Sprintf("%d witnesses have to vouch instead of %d", b, a))
	}
	if !slices.Equal(p.Signers, q.Signers) || p.M != q.M {
		all = append(all, fmt.Sprintf("%d of %d people may change it instead of %d of %d", q.M, len(q.Signers), p.M, len(p.Signers)))
	}
	if len(all) == 0 && !slices.EqualFunc(p.Groups, q.Groups, func(a, b kt.WitnessGroup) bool {
		return a.Name == b.Name && a.Threshold == b.Threshold && slices.Equal(a.Members, b.Members)
	}) {
		all = append(all, "other groups")
	}
	return all
}

func describeChange(p, q *kt.Policy) string {
	return fmt.Sprintf("policy %d: %s; hash %s", q.N, strings.Join(changes(p, q), ", "), shortHash(q.Hash()))
}

// PolicySignerText returns what makes this person a signer, for whoever writes
// the next policy: account and key.
func (c *Client) PolicySignerText(ctx context.Context) (text string, err error) {
	err = c.step(ctx, func(t *tx) error {
		me, err := t.identity()
		if err != nil {
			return err
		}
		key, err := t.policyKey()
		pub := key.Public()
		text = me.Account.Hex() + ":" + base64.RawURLEncoding.EncodeToString(pub[:])
		return err
	})
	return text, err
}

// ParsePolicySigner reads what PolicySignerText gave.
func ParsePolicySigner(text string) (s kt.PolicySigner, err error) {
	account, key, _ := strings.Cut(strings.TrimSpace(text), ":")
	b, err := base64.RawURLEncoding.DecodeString(key)
	if err != nil || len(b) != len(s.Key) || parseHex(s.Account[:], account) != nil {
		return s, fmt.Errorf("%q is not what huis policy key prints", shorten(text))
	}
	copy(s.Key[:], b)
	return s, nil
}

// eventPolicy tells the own devices a person's policy key, and which policies
// that person vouches for.
const eventPolicy = "policy"

type policyNews struct {
	Key     []byte // kt.PolicyKey, empty if there is none
	Vouched []kt.Hash
}

func (n *policyNews) wire(c *wire.Codec) {
	formatVersion(c)
	wire.OpaqueMax(c, &n.Key, 32)
	wire.Vector(c, &n.Vouched, func(h *kt.Hash, c *wire.Codec) { wire.Fixed(c, h[:]) })
}

// tellPolicy tells the own devices what they do not know yet: again when there
// is another device.
func (c *Client) tellPolicy(ctx context.Context) error {
	return c.step(ctx, func(t *tx) error {
		id, ok, err := t.ownConversation()
		if err != nil || !ok {
			return err
		}
		p, err := t.policyChain()
		if err != nil {
			return err
		}
		n := policyNews{Vouched: p.Vouched}
		if n.Key, err = t.get(policyKeyKey); err != nil {
			return err
		}
		cv, err := t.conv(id)
		if err != nil || cv.group == nil || len(n.Key) == 0 && len(n.Vouched) == 0 {
			return err
		}
		state := sha256.Sum256(fmt.Appendf(wire.MustEncode(n.wire), "%d", len(cv.group.Members())))
		told, err := t.get("translog/policytold")
		if err != nil || string(told) == string(state[:]) {
			return err
		}
		t.put("translog/policytold", state[:])
		return t.tellOwn(eventPolicy, n.wire)
	})
}

// hearPolicy takes over what another own device tells.
func (t *tx) hearPolicy(data []byte) error {
	var n policyNews
	if err := wire.Decode(data, n.wire); err != nil {
		return err
	}
	own, err := t.get(policyKeyKey)
	if err != nil {
		return err
	}
	if own == nil && len(n.Key) > 0 {
		t.put(policyKeyKey, n.Key)
	}
	for _, h := range n.Vouched {
		if former, err := t.ofFormerLog(h); err != nil {
			return err
		} else if former {
			continue
		}
		if err := t.vouchPolicy(h); err != nil {
			return err
		}
	}
	return nil
}
