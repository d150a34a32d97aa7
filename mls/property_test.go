package mls

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"
)

// model is what a group should be, the simplest way: a list of names in leaf
// order with "" for blank, and the epoch.
type model struct {
	leaves []string
	epoch  uint64
}

func (m *model) add(name string) {
	if i := slices.Index(m.leaves, ""); i >= 0 {
		m.leaves[i] = name
		return
	}
	m.leaves = append(m.leaves, name)
}

func (m *model) remove(name string) {
	m.leaves[slices.Index(m.leaves, name)] = ""
	for len(m.leaves) > 0 && m.leaves[len(m.leaves)-1] == "" {
		m.leaves = m.leaves[:len(m.leaves)-1]
	}
}

// play is a group under random operations.
type play struct {
	*testing.T
	*rand.Rand
	model   model
	devices map[string]*device
	made    int
	late    []letter
}

// letter is an application message not yet read by all.
type letter struct {
	msg, text string
	epoch     uint64
	to        []string
}

// TestRandomOperationsAgreeWithAModel lets members add, remove, update, rejoin
// and write at random, restarted from their stores after every step.
func TestRandomOperationsAgreeWithAModel(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	if s := os.Getenv("HUIS_MLS_SEED"); s != "" {
		seed, _ = strconv.ParseUint(s, 10, 64)
	}
	t.Logf("HUIS_MLS_SEED=%d", seed)
	p := &play{T: t, Rand: rand.New(rand.NewPCG(seed, 0)), devices: map[string]*device{}}
	first := p.newDevice()
	first.create("random")
	p.model.leaves = []string{first.name}
	for range 120 {
		switch p.IntN(8) {
		case 0, 1:
			p.write()
		case 2, 3:
			p.read()
		case 4:
			p.externalJoin()
		default:
			p.commit()
		}
		p.check()
	}
}

func (p *play) newDevice() *device {
	p.made++
	d := newDevice(p, testSuite, fmt.Sprintf("d%d", p.made))
	d.psks["shared"] = Secret("known to all")
	p.devices[d.name] = d
	return d
}

// names of the members in leaf order.
func (p *play) names() []string {
	return slices.DeleteFunc(slices.Clone(p.model.leaves), func(n string) bool { return n == "" })
}

// others are all members but one.
func (p *play) others(d *device) []*device {
	var ds []*device
	for _, n := range p.names() {
		if n != d.name {
			ds = append(ds, p.devices[n])
		}
	}
	return ds
}

func (p *play) someone() *device {
	names := p.names()
	return p.devices[names[p.IntN(len(names))]]
}

func (p *play) leafOf(name string) LeafIndex { return LeafIndex(slices.Index(p.model.leaves, name)) }

// commit makes a random commit and lets everybody follow.
func (p *play) commit() {
	d := p.someone()
	opt := CommitOptions{Public: p.IntN(2) == 0, TreeInWelcome: p.IntN(2) == 0}
	var removed, added []*device
	updated := map[string]bool{}
	for range p.IntN(3) { // updates by reference
		u := p.someone()
		if u == d || updated[u.name] {
			continue
		}
		updated[u.name] = true
		opt.ByRef = append(opt.ByRef, p.update(u, opt.Public))
	}
	for _, u := range p.others(d) {
		if !updated[u.name] && len(p.names())-len(removed) > 2 && p.IntN(6) == 0 {
			removed = append(removed, u)
			opt.Proposals = append(opt.Proposals, remove(p.leafOf(u.name)))
		}
	}
	for range p.IntN(3) {
		if len(p.names()) < 20 {
			n := p.newDevice()
			added = append(added, n)
			opt.Proposals = append(opt.Proposals, add(n.keyPackage()))
		}
	}
	opt.NoPath = len(opt.ByRef) == 0 && len(removed) == 0 && len(added) > 0 && p.IntN(2) == 0
	c := d.commit(opt)
	for _, o := range p.others(d) {
		o.receive(c.Message())
		if o.group.Removed() != slices.Contains(removed, o) {
			p.Fatalf("%s thinks removed is %v", o.name, o.group.Removed())
		}
	}
	for i, n := range added {
		var tree []byte
		if !opt.TreeInWelcome {
			tree = d.group.RatchetTree()
		}
		n.join(c.Welcomes()[i], tree)
	}
	for _, o := range removed {
		p.model.remove(o.name)
	}
	for _, n := range added {
		p.model.add(n.name)
	}
	p.model.epoch++
}

// externalJoin lets somebody new in, or a member back in at the cost of its leaf,
// by a commit of its own; with a pre-shared key now and then.
func (p *play) externalJoin() {
	by := p.someone()
	info, err := by.group.GroupInfo(true)
	by.must(err)
	opt := ExternalJoinOptions{}
	j := p.someone()
	if j == by || p.IntN(2) == 0 {
		j = p.newDevice()
	}
	if j.group != nil {
		l := j.group.OwnLeaf()
		opt.Replace = &l
		j.signer, _, err = GenerateSignatureKey(testSuite)
		j.must(err)
	}
	if p.IntN(2) == 0 {
		id, err := ExternalPSK(testSuite, []byte("shared"))
		j.must(err)
		opt.PSKs = []PreSharedKeyID{id}
	}
	old := j.group
	g, msg, delta, err := JoinExternal(info, j.signer, BasicCredential([]byte(j.name)), opt, j.opt)
	j.must(err)
	for _, o := range p.others(j) {
		o.receive(msg)
	}
	if old != nil {
		if o, err := old.Process(testTime, msg); err != nil || !o.Commit.SelfRemoved {
			p.Fatalf("%s in its old place: %v", j.name, err)
		}
		p.model.remove(j.name)
		p.forgetLettersTo(j.name)
	}
	p.model.add(j.name)
	p.model.epoch++
	j.group, j.store = g, map[string][]byte{}
	j.write(delta)
}

// forgetLettersTo drops what a member that starts anew can no longer read.
func (p *play) forgetLettersTo(name string) {
	for i := range p.late {
		p.late[i].to = slices.DeleteFunc(p.late[i].to, func(n string) bool { return n == name })
	}
}

// update proposes an Update that all others hear.
func (p *play) update(u *device, public bool) ProposalRef {
	msg, ref, delta, err := u.group.ProposeUpdate(UpdateOptions{}, nil, public)
	u.must(err)
	u.write(delta)
	for _, o := range p.others(u) {
		o.receive(msg)
	}
	return ref
}

func (p *play) write() {
	d := p.someone()
	text := fmt.Sprintf("%s at %d", d.name, p.Int())
	l := letter{msg: string(d.protect(text)), text: text, epoch: p.model.epoch}
	for _, o := range p.others(d) {
		l.to = append(l.to, o.name)
	}
	p.late = append(p.late, l)
}

// read delivers waiting messages in random order to those still there, unless
// their epoch is too far back.
func (p *play) read() {
	p.Shuffle(len(p.late), func(i, j int) { p.late[i], p.late[j] = p.late[j], p.late[i] })
	for _, l := range p.late {
		for _, name := range l.to {
			d := p.devices[name]
			if d.group.Removed() || l.epoch+uint64(d.opt.maxPastEpochs()) < p.model.epoch {
				continue
			}
			if got := d.receive([]byte(l.msg)); string(got.Data) != l.text || got.Epoch != l.epoch {
				p.Fatalf("%s read %q of epoch %d, want %q of %d", name, got.Data, got.Epoch, l.text, l.epoch)
			}
		}
	}
	p.late = nil
}

// check compares every member with the model and with each other.
func (p *play) check() {
	p.Helper()
	var ds []*device
	for _, n := range p.names() {
		ds = append(ds, p.devices[n])
	}
	sameEpoch(p, ds...)
	for _, d := range ds {
		var leaves []string
		for _, m := range d.group.Members() {
			for len(leaves) < int(m.Leaf) {
				leaves = append(leaves, "")
			}
			leaves = append(leaves, string(m.Credential.Identity))
		}
		if !slices.Equal(leaves, p.model.leaves) || d.group.Epoch() != p.model.epoch {
			p.Fatalf("%s at epoch %d has %q, want %q at %d", d.name, d.group.Epoch(), leaves, p.model.leaves, p.model.epoch)
		}
	}
	if err := ds[0].group.tree.verify(ds[0].group.context, &Options{}); err != nil {
		p.Fatal(err)
	}
}
