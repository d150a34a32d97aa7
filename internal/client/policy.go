package client

import (
	"bytes"
	"fmt"
	"slices"

	"codeberg.org/huis/huis/internal/proto"
	"codeberg.org/huis/huis/internal/wire"
	"codeberg.org/huis/huis/mls"
)

// The suite and the private-use numbers of MLS this product uses.
const (
	suite = mls.XWingChaChaSHA384Ed25519

	extPolicy      mls.ExtensionType = 0xF1A1 // GroupContext: huis_policy
	extJoin        mls.ExtensionType = 0xF1A2 // GroupInfo: huis_join
	extPredecessor mls.ExtensionType = 0xF1A3 // GroupContext: predecessor

	proposalReason mls.ProposalType = 0xF1A1 // why a member may remove a leaf
)

// capabilities is what every leaf of this product supports.
func capabilities() *mls.Capabilities {
	return &mls.Capabilities{
		Versions:     []mls.ProtocolVersion{mls.MLS10},
		CipherSuites: []mls.CipherSuite{suite},
		Extensions:   []mls.ExtensionType{extPolicy, extJoin, extPredecessor},
		Proposals:    []mls.ProposalType{proposalReason},
		Credentials:  []mls.CredentialType{mls.CredentialBasic},
	}
}

// chatKind is what a conversation is for.
type chatKind uint8

const (
	kindGroup   chatKind = 1
	kindDirect  chatKind = 2 // of two accounts
	kindDevices chatKind = 3 // of one account's devices
)

func (k chatKind) String() string {
	switch k {
	case kindGroup:
		return "group"
	case kindDirect:
		return "direct"
	case kindDevices:
		return "devices"
	}
	return fmt.Sprintf("kind %d", uint8(k))
}

// Who may add an account that has no device in the conversation yet.
const (
	addersAll    uint8 = 0
	addersAdmins uint8 = 1
)

// What an added account gets of the messages before.
const (
	historyNone   uint8 = 0
	historyShared uint8 = 1
)

const (
	policyVersion = 1
	maxName       = 256  // bytes of a conversation's name
	maxAdmins     = 1000 // bounds the extension
)

// policy is the GroupContext extension huis_policy (protocol, section 1). For a
// direct conversation Admins are its two accounts.
type policy struct {
	Kind    chatKind
	Name    string
	Creator proto.AccountID
	Admins  []proto.AccountID
	Adders  uint8
	History uint8
	Expiry  uint32 // seconds until a message disappears; 0: never
}

func (p *policy) wire(c *wire.Codec) {
	v := uint8(policyVersion)
	wire.Uint8(c, &v)
	if c.Err() == nil && v != policyVersion {
		c.Fail("huis_policy of another version")
		return
	}
	wire.Uint8(c, &p.Kind)
	wire.String(c, &p.Name, maxName)
	p.Creator.Wire(c)
	wire.Vector(c, &p.Admins, (*proto.AccountID).Wire)
	wire.Uint8(c, &p.Adders)
	wire.Uint8(c, &p.History)
	wire.Uint32(c, &p.Expiry)
}

func (p *policy) extension() mls.Extension {
	return mls.Extension{ExtensionType: extPolicy, ExtensionData: wire.MustEncode(p.wire)}
}

// check refuses values this version does not know.
func (p *policy) check() error {
	switch {
	case p.Kind < kindGroup || p.Kind > kindDevices:
		return fmt.Errorf("huis_policy: %v", p.Kind)
	case p.Adders > addersAdmins || p.History > historyShared || len(p.Admins) > maxAdmins:
		return fmt.Errorf("huis_policy: unknown rule")
	case p.Kind == kindDirect && (len(p.Admins) == 0 || len(p.Admins) > 2):
		return fmt.Errorf("huis_policy: direct conversation of %d accounts", len(p.Admins))
	}
	return nil
}

// policyOf reads the extension of an epoch. A group with others than this
// product makes is refused: external_senders would let outsiders propose.
func policyOf(v *mls.GroupView) (policy, error) {
	var p policy
	for _, e := range v.Context().Extensions {
		if e.ExtensionType != extPolicy && e.ExtensionType != extPredecessor {
			return p, fmt.Errorf("the group has an extension of type %#04x", uint16(e.ExtensionType))
		}
	}
	data, ok := mls.FindExtension(v.Context().Extensions, extPolicy)
	if !ok {
		return p, fmt.Errorf("the group has no huis_policy")
	}
	if err := wire.Decode(data, p.wire); err != nil {
		return p, fmt.Errorf("huis_policy: %w", err)
	}
	return p, p.check()
}

func (p *policy) admin(a proto.AccountID) bool { return slices.Contains(p.Admins, a) }

// mayAdd tells whether by may bring in an account that has no leaf yet.
func (p *policy) mayAdd(by, account proto.AccountID) bool {
	switch p.Kind {
	case kindDirect:
		return p.admin(account)
	case kindDevices:
		return account == p.Creator
	}
	return p.Adders == addersAll || p.admin(by)
}

// mayRemove tells whether by may remove a leaf of account for no other reason.
func (p *policy) mayRemove(by, account proto.AccountID) bool {
	return by == account || p.Kind == kindGroup && p.admin(by)
}

// member is whose device a leaf is.
type member struct {
	Account proto.AccountID
	Device  proto.DeviceID
}

// credential is the basic credential of a device: AccountID ‖ DeviceID
// (protocol, section 7).
func (m member) credential() mls.Credential {
	return mls.BasicCredential(append(bytes.Clone(m.Account[:]), m.Device[:]...))
}

// memberOf reads a credential.
func memberOf(c *mls.Credential) (m member, err error) {
	if c.CredentialType != mls.CredentialBasic || len(c.Identity) != len(m.Account)+len(m.Device) {
		return m, fmt.Errorf("credential is not that of a device")
	}
	copy(m.Account[:], c.Identity)
	copy(m.Device[:], c.Identity[len(m.Account):])
	return m, nil
}

// ruleError says which rule of the conversation a commit broke.
type ruleError struct{ Reason string }

func (e *ruleError) Error() string { return "commit against the rules: " + e.Reason }

func breaks(format string, args ...any) error {
	return &ruleError{Reason: fmt.Sprintf(format, args...)}
}

// checkPolicy refuses a commit by what follows from the group's state and the
// commit alone: roles and rules of huis_policy (protocol, section 1).
// excused are the leaves whose removal the commit itself justifies.
func checkPolicy(current, next *mls.GroupView, s *mls.StagedCommit, excused map[mls.LeafIndex]bool) error {
	now, err := policyOf(current)
	if err != nil {
		return breaks("%v", err)
	}
	sender, ok := current.Member(mls.LeafIndex(s.Sender.LeafIndex))
	if s.Sender.SenderType != mls.SenderMember || !ok {
		return breaks("its sender is not a member")
	}
	by, err := memberOf(&sender.Credential)
	if err != nil {
		return breaks("%v", err)
	}
	if err := checkProposals(s); err != nil {
		return err
	}
	if err := checkAdds(&now, by.Account, current, s); err != nil {
		return err
	}
	if err := checkRemoves(&now, by.Account, s, excused); err != nil {
		return err
	}
	if next == nil { // this device is removed by it
		return nil
	}
	if m, ok := next.Member(s.Committer); !ok || !m.Credential.Equal(&sender.Credential) {
		return breaks("the committer becomes another device")
	}
	return checkContext(&now, by.Account, current, next)
}

func accountsOf(v *mls.GroupView) (map[proto.AccountID]bool, error) {
	all := map[proto.AccountID]bool{}
	for _, m := range v.Members() {
		who, err := memberOf(&m.Credential)
		if err != nil {
			return nil, err
		}
		all[who.Account] = true
	}
	return all, nil
}

// checkProposals takes only what this product makes: by value, and nothing that
// would end the group, go into another one or bring in outside secrets
// (protocol, sections 4 and 17).
func checkProposals(s *mls.StagedCommit) error {
	for _, p := range s.Proposals {
		switch p.Proposal.Type {
		case mls.ProposalAdd, mls.ProposalRemove, mls.ProposalGroupContextExtensions, proposalReason:
		default:
			return breaks("a proposal of type %#04x", uint16(p.Proposal.Type))
		}
		if p.ByRef != nil {
			return breaks("a proposal that did not come with it")
		}
	}
	return nil
}

func checkAdds(p *policy, by proto.AccountID, current *mls.GroupView, s *mls.StagedCommit) error {
	if len(s.Adds) == 0 {
		return nil
	}
	here, err := accountsOf(current)
	if err != nil {
		return breaks("%v", err)
	}
	devices := map[member]bool{}
	for _, m := range current.Members() {
		who, _ := memberOf(&m.Credential)
		devices[who] = true
	}
	for _, m := range s.Removes {
		who, _ := memberOf(&m.Credential)
		delete(devices, who)
	}
	for i := range s.Adds {
		who, err := memberOf(&s.Adds[i].Credential)
		switch {
		case err != nil:
			return breaks("added %v", err)
		case devices[who]:
			return breaks("it adds a device twice")
		case !here[who.Account] && !p.mayAdd(by, who.Account):
			return breaks("its sender may not add people")
		}
		devices[who] = true
	}
	return nil
}

// checkRemoves allows what roles allow, what the commit justifies and the
// exchange of a device for one of the same account (protocol, sections 8, 9).
func checkRemoves(p *policy, by proto.AccountID, s *mls.StagedCommit, excused map[mls.LeafIndex]bool) error {
	back := map[proto.AccountID]int{}
	for i := range s.Adds {
		if who, err := memberOf(&s.Adds[i].Credential); err == nil {
			back[who.Account]++
		}
	}
	for i := range s.Removes {
		who, err := memberOf(&s.Removes[i].Credential)
		if err != nil || p.mayRemove(by, who.Account) || excused[s.Removes[i].Leaf] {
			continue
		}
		if back[who.Account] == 0 {
			return breaks("its sender may not remove people")
		}
		back[who.Account]--
	}
	return nil
}

// checkContext allows admins to change the policy's rules, nobody its kind,
// creator or predecessor.
func checkContext(p *policy, by proto.AccountID, current, next *mls.GroupView) error {
	before, after := current.Context().Extensions, next.Context().Extensions
	if slices.EqualFunc(before, after, equalExtension) {
		return nil
	}
	q, err := policyOf(next)
	if err != nil {
		return breaks("%v", err)
	}
	others := func(l []mls.Extension) []mls.Extension {
		return slices.DeleteFunc(slices.Clone(l), func(e mls.Extension) bool { return e.ExtensionType == extPolicy })
	}
	switch {
	case !p.admin(by):
		return breaks("only an admin may change the rules")
	case q.Kind != p.Kind || q.Creator != p.Creator:
		return breaks("kind and creator of a conversation stay")
	case p.Kind == kindDirect && !slices.Equal(q.Admins, p.Admins):
		return breaks("the two people of a direct conversation stay")
	case !slices.EqualFunc(others(before), others(after), equalExtension):
		return breaks("it changes other extensions of the group")
	}
	return nil
}

func equalExtension(a, b mls.Extension) bool {
	return a.ExtensionType == b.ExtensionType && bytes.Equal(a.ExtensionData, b.ExtensionData)
}
