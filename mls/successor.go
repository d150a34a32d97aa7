package mls

import (
	"bytes"
	"errors"
	"slices"
	"time"
)

// SuccessorOptions describe the first commit of a group that re-initializes or
// branches from another.
type SuccessorOptions struct {
	KeyPackages []*KeyPackage // of the others
	Signer      SignaturePrivateKey
	Credential  Credential
	Leaf        LeafOptions
	Commit      CommitOptions // NoPath, TreeInWelcome and so on; its Proposals come last
}

// Branch makes a group of some of the members, with the same version and suite,
// that only they can enter (RFC 9420, Section 11.3). The group returned is at
// epoch 0 and alone; the caller merges the staged commit and sends its Welcome.
func (g *Group) Branch(now time.Time, groupID []byte, extensions []Extension, s SuccessorOptions) (*Group, Delta, *StagedCommit, error) {
	if err := g.sendable(); err != nil {
		return nil, nil, nil, err
	}
	context := GroupContext{Version: MLS10, CipherSuite: g.Suite(), GroupID: groupID, Extensions: extensions}
	return g.found(now, &context, UsageBranch, &s)
}

// ReInit makes the group that a merged ReInit proposal announced (RFC 9420,
// Section 11.2), like Branch.
func (g *Group) ReInit(now time.Time, s SuccessorOptions) (*Group, Delta, *StagedCommit, error) {
	if err := g.usable(); err != nil {
		return nil, nil, nil, err
	}
	r := g.epoch.reinit
	if r == nil {
		return nil, nil, nil, errors.New("mls: group was not re-initialized")
	}
	if r.Version != MLS10 {
		return nil, nil, nil, invalid("11.2", "version %d is not known", r.Version)
	}
	context := GroupContext{Version: r.Version, CipherSuite: r.CipherSuite, GroupID: r.GroupID, Extensions: r.Extensions}
	return g.found(now, &context, UsageReInit, &s)
}

func (g *Group) found(now time.Time, c *GroupContext, usage ResumptionPSKUsage, s *SuccessorOptions) (*Group, Delta, *StagedCommit, error) {
	successor, d, err := NewGroup(c.CipherSuite, c.GroupID, s.Signer, s.Credential, GroupOptions{Extensions: c.Extensions, Leaf: s.Leaf}, g.opt)
	if err != nil {
		return nil, nil, nil, err
	}
	psk := PreSharedKeyID{
		PSKType: PSKResumption, Usage: usage, PSKGroupID: g.context.GroupID, PSKEpoch: g.context.Epoch,
		PSKNonce: randomBytes(successor.suite().hashSize()),
	}
	var list []Proposal
	for _, kp := range s.KeyPackages {
		list = append(list, Proposal{Type: ProposalAdd, Add: &Add{*kp}})
	}
	list = append(list, Proposal{Type: ProposalPSK, PreSharedKey: &PreSharedKey{psk}})
	opt := s.Commit
	opt.Proposals = append(list, opt.Proposals...)
	opt.PSKs = g.resumptionSource(opt.PSKs, &g.opt)
	staged, err := successor.Commit(now, opt)
	if err != nil {
		return nil, nil, nil, err
	}
	return successor, d, staged, g.validateSuccessor(staged.Next(), usage)
}

// resumptionSource finds the resumption secret of the current epoch; everything
// else comes from source or, if that is nil, the options.
func (g *Group) resumptionSource(source PSKSource, opt *Options) PSKSource {
	if source == nil {
		source = opt.PSKs
	}
	return func(id *PreSharedKeyID) (Secret, error) {
		if id.PSKType == PSKResumption && bytes.Equal(id.PSKGroupID, g.context.GroupID) && id.PSKEpoch == g.context.Epoch {
			return g.ResumptionPSK(), nil
		}
		if source == nil {
			return nil, errNoPSK
		}
		return source(id)
	}
}

func (j *JoinOptions) pskSource(opt *Options) PSKSource {
	if j.Predecessor != nil {
		return j.Predecessor.resumptionSource(j.PSKs, opt)
	}
	if j.PSKs != nil {
		return j.PSKs
	}
	return opt.PSKs
}

// validatePredecessor checks a Welcome into a group that re-initializes or
// branches from another (Sections 11.2, 11.3 and 12.4.3.1).
func (j *JoinOptions) validatePredecessor(o *openedWelcome, tree *ratchetTree) error {
	i := slices.IndexFunc(o.secrets.PSKs, func(id PreSharedKeyID) bool {
		return id.PSKType == PSKResumption && id.Usage != UsageApplication
	})
	if i < 0 {
		if j.Predecessor != nil {
			return invalid("12.4.3.1", "Welcome is not into a successor of the group given")
		}
		return nil
	}
	if j.Predecessor == nil {
		return invalid("12.4.3.1", "Welcome is into the successor of a group that was not given")
	}
	id, p := &o.secrets.PSKs[i], j.Predecessor
	if !bytes.Equal(id.PSKGroupID, p.context.GroupID) || id.PSKEpoch != p.context.Epoch {
		return invalid("12.4.3.1", "Welcome is into the successor of another group or epoch")
	}
	if o.info.GroupContext.Epoch != 1 {
		return invalid("12.4.3.1", "Welcome into a successor is not into its epoch 1")
	}
	return p.validateSuccessor(&GroupView{context: &o.info.GroupContext, tree: tree}, id.Usage)
}

// validateSuccessor compares a group with this one, which it re-initializes or
// branches from.
func (g *Group) validateSuccessor(v *GroupView, usage ResumptionPSKUsage) error {
	c := v.context
	if usage == UsageBranch && (c.Version != g.context.Version || c.CipherSuite != g.context.CipherSuite) {
		return invalid("11.3", "branch is of another version or cipher suite")
	}
	if usage == UsageReInit {
		r := g.epoch.reinit
		if r == nil {
			return invalid("11.2", "group was not re-initialized")
		}
		same := c.Version == r.Version && c.CipherSuite == r.CipherSuite && bytes.Equal(c.GroupID, r.GroupID) &&
			slices.EqualFunc(c.Extensions, r.Extensions, func(a, b Extension) bool {
				return a.ExtensionType == b.ExtensionType && bytes.Equal(a.ExtensionData, b.ExtensionData)
			})
		if !same {
			return invalid("11.2", "group is not the one the ReInit announced")
		}
	}
	return g.validateSuccessorMembers(v)
}

// validateSuccessorMembers checks that each member of the successor is one here,
// by what its credential says.
func (g *Group) validateSuccessorMembers(v *GroupView) error {
	here := map[string]bool{}
	for _, l := range g.tree.members() {
		here[g.tree.leaf(l).Credential.id()] = true
	}
	for _, l := range v.tree.members() {
		if !here[v.tree.leaf(l).Credential.id()] {
			return invalid("11.3", "leaf %d of the successor is no member of the group before", l)
		}
	}
	return nil
}
