package mls

import (
	"bytes"
	"errors"
	"slices"
	"strings"
)

func (s *scenario) createGroup(_ int, step *scenarioStep) {
	a := s.actor(step.Actor)
	var err error
	a.group, _, err = NewGroup(s.suite, []byte("group"), a.signer, BasicCredential([]byte(a.name)), GroupOptions{}, a.options())
	s.need("create", err)
	var adds []Proposal
	for _, name := range step.Members {
		m := s.actor(name)
		m.bundle = s.newBundle(m, s.suite, m.signer)
		adds = append(adds, add(m.bundle.KeyPackage))
	}
	if len(adds) > 0 {
		s.commit(a, CommitOptions{Proposals: adds, TreeInWelcome: true}, nil, nil, step.Members, false)
	}
}

func (s *scenario) createKeyPackage(i int, step *scenarioStep) {
	a := s.actor(step.Actor)
	a.bundle = s.newBundle(a, s.suite, a.signer)
	s.made[i] = a.bundle.KeyPackage
}

func (s *scenario) installPSK(i int, step *scenarioStep) {
	id := randomBytes(16)
	psk := Secret(randomBytes(32))
	for _, name := range step.Clients {
		s.actor(name).psks[string(id)] = psk
	}
	s.made[i] = externalPSK{id, psk}
}

type externalPSK struct {
	id  []byte
	psk Secret
}

func (s *scenario) propose(i int, step *scenarioStep) {
	a := s.member(step.Actor)
	var msg []byte
	var ref ProposalRef
	var err error
	if step.Action == "updateProposal" {
		msg, ref, _, err = a.group.ProposeUpdate(UpdateOptions{}, nil, s.public)
	} else {
		p := s.proposal(a, &scenarioProposal{
			ProposalType: strings.TrimSuffix(step.Action, "Proposal"), KeyPackage: step.KeyPackage,
			Removed: step.Removed, PSK: step.PSK, Epoch: step.Epoch, Extensions: step.Extensions,
		})
		msg, ref, _, err = a.group.Propose(p, nil, s.public)
	}
	s.need(step.Action, err)
	s.made[i], s.refs[string(msg)] = msg, ref
}

// proposal builds what a description says, from the view of a member.
func (s *scenario) proposal(a *actor, d *scenarioProposal) Proposal {
	switch d.ProposalType {
	case "add":
		return add(made[*KeyPackage](s, d.KeyPackage))
	case "remove":
		return remove(s.leafOf(a, d.Removed))
	case "externalPSK":
		id, err := ExternalPSK(s.suite, made[externalPSK](s, d.PSK).id)
		s.need("psk", err)
		return Proposal{Type: ProposalPSK, PreSharedKey: &PreSharedKey{id}}
	case "resumptionPSK":
		id, err := ResumptionPSK(s.suite, a.group.GroupID(), d.Epoch)
		s.need("psk", err)
		return Proposal{Type: ProposalPSK, PreSharedKey: &PreSharedKey{id}}
	case "groupContextExtensions":
		return Proposal{Type: ProposalGroupContextExtensions, GroupContextExtensions: &GroupContextExtensions{extensions(d.Extensions)}}
	case "reinit":
		return s.reinitProposal(a, d.ChangeGroupID, d.ChangeCipherSuite, d.Extensions)
	}
	s.want("proposal "+d.ProposalType+" is known", false)
	return Proposal{}
}

func (s *scenario) reinitProposal(a *actor, changeID, changeSuite bool, list []scenarioExtension) Proposal {
	r := &ReInit{GroupID: a.group.GroupID(), Version: MLS10, CipherSuite: s.suite, Extensions: a.group.Context().Extensions}
	if changeID {
		r.GroupID = []byte("another group")
	}
	if changeSuite {
		r.CipherSuite = scenarioSuites[(slices.Index(scenarioSuites, s.suite)+1)%len(scenarioSuites)]
	}
	if list != nil {
		r.Extensions = extensions(list)
	}
	return Proposal{Type: ProposalReInit, ReInit: r}
}

func extensions(list []scenarioExtension) []Extension {
	var es []Extension
	for _, e := range list {
		es = append(es, Extension{e.Type, e.Data})
	}
	return es
}

func (s *scenario) leafOf(a *actor, name string) LeafIndex {
	for _, m := range a.group.Members() {
		if string(m.Credential.Identity) == name {
			return m.Leaf
		}
	}
	s.want(name+" is a member", false)
	return 0
}

func (s *scenario) addExternalSigner(i int, step *scenarioStep) {
	a, ds := s.member(step.Actor), s.actor(step.Signer)
	var senders []ExternalSender
	if data, found := FindExtension(a.group.Context().Extensions, ExtensionExternalSenders); found {
		var err error
		senders, err = ParseExternalSenders(data)
		s.need("external senders", err)
	}
	senders = append(senders, ExternalSender{ds.signer.PublicKey(), BasicCredential([]byte(ds.name))})
	p := Proposal{Type: ProposalGroupContextExtensions, GroupContextExtensions: &GroupContextExtensions{[]Extension{ExternalSendersExtension(senders)}}}
	msg, ref, _, err := a.group.Propose(p, nil, s.public)
	s.need("external signer", err)
	s.made[i], s.refs[string(msg)] = msg, ref
}

func (s *scenario) externalProposal(i int, step *scenarioStep) {
	a, ds := s.member(step.Member), s.actor(step.Actor)
	data, _ := FindExtension(a.group.Context().Extensions, ExtensionExternalSenders)
	senders, err := ParseExternalSenders(data)
	s.need("external senders", err)
	at := slices.IndexFunc(senders, func(e ExternalSender) bool { return bytes.Equal(e.SignatureKey, ds.signer.PublicKey()) })
	s.want(ds.name+" is listed", at >= 0)
	msg, err := ProposeExternal(s.suite, a.group.GroupID(), a.group.Epoch(), uint32(at), ds.signer, s.proposal(a, step.Description))
	s.need("external proposal", err)
	s.made[i] = msg
}

func (s *scenario) newMemberAdd(i int, step *scenarioStep) {
	a, joiner := s.member(step.Actor), s.actor(step.Joiner)
	joiner.bundle = s.newBundle(joiner, s.suite, joiner.signer)
	msg, err := ProposeOwnAdd(a.group.GroupID(), a.group.Epoch(), joiner.bundle)
	s.need("own add", err)
	s.made[i] = msg
}

func (s *scenario) fullCommit(_ int, step *scenarioStep) {
	a := s.member(step.Actor)
	var opt CommitOptions
	for i := range step.ByValue {
		opt.Proposals = append(opt.Proposals, s.proposal(a, &step.ByValue[i]))
	}
	var messages [][]byte
	for _, i := range step.ByReference {
		messages = append(messages, made[[]byte](s, i))
	}
	opt.TreeInWelcome = !step.ExternalTree
	s.commit(a, opt, messages, step.Members, step.Joiners, step.ForcePath)
}

// commit plays a commit with everybody's reaction to it.
func (s *scenario) commit(a *actor, opt CommitOptions, proposals [][]byte, members, joiners []string, path bool) {
	opt.ByRef = s.hear(a, proposals)
	opt.Public = s.public
	opt.NoPath = !path
	staged, err := a.group.Commit(testTime, opt)
	if err != nil && opt.NoPath {
		opt.NoPath = false // these proposals need one
		staged, err = a.group.Commit(testTime, opt)
	}
	s.need("commit", err)
	_, err = a.group.Merge(testTime, staged)
	s.need("merge", err)
	now := map[string]bool{a.name: true}
	for _, name := range members {
		m := s.member(name)
		s.hear(m, proposals)
		s.receive(m, staged.Message())
		now[name] = true
	}
	for _, name := range joiners {
		s.welcome(s.actor(name), staged.Welcome(), a.group, opt.TreeInWelcome, nil)
		now[name] = true
	}
	s.agree(now)
}

// hear processes proposals; the references are for a commit.
func (s *scenario) hear(a *actor, messages [][]byte) (refs []ProposalRef) {
	for _, msg := range messages {
		p, err := a.group.Process(testTime, msg)
		if errors.Is(err, ErrOwnMessage) {
			refs = append(refs, s.refs[string(msg)])
			continue
		}
		s.need("proposal", err)
		refs = append(refs, p.Ref)
	}
	return refs
}

func (s *scenario) receive(m *actor, msg []byte) {
	msg = s.onTheWay(msg)
	p, err := m.group.Process(testTime, msg)
	s.need("commit at "+m.name, err)
	s.want("message is a commit", p.Commit != nil)
	_, err = m.group.Merge(testTime, p.Commit)
	s.need("merge", err)
}

func (s *scenario) welcome(j *actor, w *Welcome, from *Group, inline bool, predecessor *Group) {
	s.want(j.name+" has a key package and a Welcome", j.bundle != nil && w != nil)
	b, err := w.Encode()
	s.need("welcome", err)
	w, err = ParseWelcome(s.onTheWay(b))
	s.need("welcome", err)
	join := JoinOptions{Predecessor: predecessor}
	if !inline {
		tree, err := ParseRatchetTree(from.RatchetTree())
		s.need("tree", err)
		join.RatchetTree = tree
	}
	j.group, _, err = Join(w, j.bundle, join, j.options())
	s.need("join of "+j.name, err)
}

// agree checks that those named are members and share the epoch. Scripts leave
// out members they need no more.
func (s *scenario) agree(now map[string]bool) {
	var first *Group
	for _, name := range sortedKeys(now) {
		g := s.actors[name].group
		if first == nil {
			first = g
		}
		s.want("epoch of "+name, g.Epoch() == first.Epoch())
		s.c.equal("epoch authenticator of "+name, g.EpochAuthenticator(), first.EpochAuthenticator())
	}
	s.want("those asked are members", len(first.Members()) >= len(now))
}

func (s *scenario) externalJoin(_ int, step *scenarioStep) {
	a, j := s.member(step.Actor), s.actor(step.Joiner)
	info, err := a.group.GroupInfo(!step.ExternalTreeJoin)
	s.need("group info", err)
	var opt ExternalJoinOptions
	if step.ExternalTreeJoin {
		opt.RatchetTree, err = ParseRatchetTree(a.group.RatchetTree())
		s.need("tree", err)
	}
	if step.RemovePrior {
		l := s.leafOf(a, j.name)
		opt.Replace = &l
	}
	for _, i := range step.PSKs {
		psk := made[externalPSK](s, i)
		j.psks[string(psk.id)] = psk.psk
		id, err := ExternalPSK(s.suite, psk.id)
		s.need("psk", err)
		opt.PSKs = append(opt.PSKs, id)
	}
	g, msg, _, err := JoinExternal(info, j.signer, BasicCredential([]byte(j.name)), opt, j.options())
	s.need("external join", err)
	now := map[string]bool{j.name: true}
	for _, name := range append([]string{step.Actor}, step.Members...) {
		if name != j.name {
			s.receive(s.member(name), msg)
			now[name] = true
		}
	}
	j.group = g
	s.agree(now)
}

func (s *scenario) protect(i int, step *scenarioStep) {
	msg, _, err := s.member(step.Actor).group.Protect([]byte(step.Plaintext), []byte(step.AuthenticatedData))
	s.need("protect", err)
	s.made[i] = protected{msg, step}
}

type protected struct {
	msg  []byte
	from *scenarioStep
}

func (s *scenario) unprotect(_ int, step *scenarioStep) {
	m := made[protected](s, step.Ciphertext)
	p, err := s.member(step.Actor).group.Process(testTime, m.msg)
	s.need("unprotect", err)
	s.c.equal("plaintext", p.Data, []byte(m.from.Plaintext))
	s.c.equal("authenticated data", p.AuthenticatedData, []byte(m.from.AuthenticatedData))
}

func (s *scenario) reinit(_ int, step *scenarioStep) {
	committer := s.member(step.Committer)
	var msg []byte
	if step.ExternalReInit != nil {
		msg = made[[]byte](s, *step.ExternalReInit)
	} else {
		p := s.member(step.Proposer)
		var ref ProposalRef
		var err error
		msg, ref, _, err = p.group.Propose(s.reinitProposal(p, step.ChangeGroupID, step.ChangeCipherSuite, step.Extensions), nil, s.public)
		s.need("reinit proposal", err)
		s.refs[string(msg)] = ref
	}
	all := unique(append([]string{step.Proposer, step.Committer, step.Welcomer}, step.Members...))
	s.commit(committer, CommitOptions{}, [][]byte{msg}, without1(all, step.Committer), nil, step.ForcePathSuccessor)
	s.want("group has ended", committer.group.PendingReInit() != nil)
	suite := committer.group.PendingReInit().CipherSuite
	welcomer := s.member(step.Welcomer)
	s.succeed(suite, welcomer, without1(all, step.Welcomer), step, func(o SuccessorOptions) (*Group, Delta, *StagedCommit, error) {
		return welcomer.group.ReInit(testTime, o)
	})
}

func (s *scenario) branch(_ int, step *scenarioStep) {
	a := s.member(step.Actor)
	s.succeed(s.suite, a, step.Members, step, func(o SuccessorOptions) (*Group, Delta, *StagedCommit, error) {
		return a.group.Branch(testTime, []byte("branch"), extensions(step.Extensions), o)
	})
}

// succeed founds a successor group and lets the others join it.
func (s *scenario) succeed(suite CipherSuite, founder *actor, others []string, step *scenarioStep, found func(SuccessorOptions) (*Group, Delta, *StagedCommit, error)) {
	signer, _, err := GenerateSignatureKey(suite)
	s.need("signature key", err)
	o := SuccessorOptions{Signer: signer, Credential: BasicCredential([]byte(founder.name))}
	o.Commit = CommitOptions{Public: s.public, NoPath: !step.ForcePathSuccessor, TreeInWelcome: !step.ExternalTreeJoin}
	for _, name := range others {
		m := s.member(name)
		key, _, err := GenerateSignatureKey(suite)
		s.need("signature key", err)
		m.bundle = s.newBundle(m, suite, key)
		o.KeyPackages = append(o.KeyPackages, m.bundle.KeyPackage)
	}
	g, _, staged, err := found(o)
	s.need("found the successor", err)
	_, err = g.Merge(testTime, staged)
	s.need("merge", err)
	now := map[string]bool{founder.name: true}
	for _, name := range others {
		m := s.member(name)
		s.welcome(m, staged.Welcome(), g, o.Commit.TreeInWelcome, m.group)
		now[name] = true
	}
	founder.group = g
	s.agree(now)
}

func unique(names []string) []string {
	slices.Sort(names)
	return slices.DeleteFunc(slices.Compact(names), func(n string) bool { return n == "" })
}

func without1(names []string, one string) []string {
	return slices.DeleteFunc(slices.Clone(names), func(n string) bool { return n == one })
}
