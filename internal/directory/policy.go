package directory

import (
	"bytes"
	"context"
	"slices"
	"sync"
	"time"

	"codeberg.org/huis/huis/internal/delivery/store"
	"codeberg.org/huis/huis/internal/proto"
	"codeberg.org/huis/huis/kt"
)

// PolicyPut puts a witness policy into the log (docs/protocol.md, Section 13).
// The first comes from an admin, who has to be its signer; each further one
// has to be signed as the one before says. The server only writes them down:
// whether one counts is for each client to judge. The same again changes
// nothing; conflict{seq: number of policies}; bad_chain; forbidden.
func (s *Service) PolicyPut(ctx context.Context, r *proto.PolicyPutRequest) (*proto.Empty, error) {
	caller, err := s.Sessions.Device(r.Session)
	if err != nil {
		return nil, err
	}
	p, err := kt.ParseSignedPolicy(r.Policy)
	if err != nil {
		return nil, proto.Refuse(proto.BadChain)
	}
	label := []byte(kt.PolicyLabel)
	x, _ := s.log.Index(kt.KindPolicy, label)
	if err := s.keepPolicy(ctx, x, p, r.Policy, caller.Admin, kt.AccountID(caller.Account)); err != nil {
		return nil, err
	}
	_, err = s.log.Wait(ctx, x, uint32(p.Policy.N))
	return &proto.Empty{}, err
}

// maxPolicies bounds the chain, so that all of it fits one answer.
const maxPolicies = 64

func (s *Service) keepPolicy(ctx context.Context, x kt.Index, p *kt.SignedPolicy, encoded []byte, admin bool, by kt.AccountID) error {
	s.policies.Lock()
	defer s.policies.Unlock()
	there, err := s.Store.Values(ctx, x, 0, maxPolicies)
	if err != nil {
		return err
	}
	n := uint64(len(there))
	switch {
	case p.Policy.N < n && bytes.Equal(there[p.Policy.N].Value, encoded):
		return nil
	case p.Policy.N != n:
		return &proto.Error{Code: proto.Conflict, Seq: n}
	case n == maxPolicies:
		return proto.Refuse(proto.Quota)
	case s.lacks(x, len(there)):
		return proto.Refuse(proto.Restoring)
	}
	if err := s.mayFollow(p, n, there, admin, by); err != nil {
		return err
	}
	if err := s.Store.AddValue(ctx, s.logValue(kt.KindPolicy, []byte(kt.PolicyLabel), x, uint32(n), encoded)); err != nil {
		return err
	}
	s.asked.add(&p.Policy)
	return nil
}

// lastPolicies are the newest two policies in the log: while a change waits,
// clients go by the one before. They say when enough witnesses have answered; a
// client judges for itself.
type lastPolicies struct {
	mu  sync.Mutex
	two [2]*kt.Policy
}

func (l *lastPolicies) add(p *kt.Policy) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.two = [2]*kt.Policy{l.two[1], p}
}

// enough tells whether cosignatures of these keys make every quorum.
func (l *lastPolicies) enough(keys []kt.NoteKey) bool {
	var have []kt.CosignedBy
	for _, k := range keys {
		have = append(have, kt.CosignedBy{Witness: k})
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	wanted := false
	for _, p := range l.two {
		if p == nil || p.Unwitnessed() {
			continue
		}
		if wanted = p.Satisfied(have, time.Time{}, 0); !wanted {
			return false
		}
	}
	return wanted
}

// most tells whether cosignatures of these keys, of n witnesses that are asked,
// make the quorum of a policy; where no policy wants one, whether they are more
// than half.
func (l *lastPolicies) most(keys []kt.NoteKey, n int) bool {
	var have []kt.CosignedBy
	for _, k := range keys {
		have = append(have, kt.CosignedBy{Witness: k})
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	wanted := false
	for _, p := range l.two {
		if p == nil || p.Unwitnessed() {
			continue
		}
		wanted = true
		if p.Satisfied(have, time.Time{}, 0) {
			return true
		}
	}
	return !wanted && 2*len(keys) > n
}

// loadPolicies reads the policies of a log that was opened.
func (s *Service) loadPolicies(ctx context.Context) error {
	x, _ := s.log.Index(kt.KindPolicy, []byte(kt.PolicyLabel))
	there, err := s.Store.Values(ctx, x, 0, maxPolicies)
	for _, v := range there {
		p, err := kt.ParseSignedPolicy(v.Value)
		if err != nil {
			return store.ErrDamaged
		}
		s.asked.add(&p.Policy)
	}
	return err
}

// mayFollow checks policy p as the n-th of the chain.
func (s *Service) mayFollow(p *kt.SignedPolicy, n uint64, there []store.LogValue, admin bool, by kt.AccountID) error {
	if n > 0 {
		last, err := kt.ParseSignedPolicy(there[n-1].Value)
		if err != nil {
			return store.ErrDamaged
		}
		if _, err := p.VerifyNext(&last.Policy); err != nil {
			return proto.Refuse(proto.BadChain)
		}
		return nil
	}
	key, vrf := s.LogKeys()
	signs := slices.ContainsFunc(p.Policy.Signers, func(g kt.PolicySigner) bool { return g.Account == by })
	switch {
	case !admin || !signs:
		return proto.Refuse(proto.Forbidden)
	case p.VerifyFirst() != nil, p.Policy.Log() != key, p.Policy.VRFKey != vrf:
		return proto.Refuse(proto.BadChain)
	}
	return nil
}
