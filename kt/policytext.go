package kt

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// WitnessSet is the part of a policy that a person chooses: who cosigns, and
// how many of them have to.
type WitnessSet struct {
	Witnesses []NoteKey
	Groups    []WitnessGroup
	Quorum    string    // QuorumNone without witnesses
	Logs      []NoteKey // those it was written for; none: any
}

// ParseWitnessSet reads the text form of C2SP tlog-policy, at most 64 KiB:
//
//	log KEY [URL]
//	witness NAME KEY [URL]
//	group NAME any|all|NUMBER MEMBER…
//	quorum NAME|none
//
// NAME is a name within the text; a policy itself knows witnesses by the names
// in their keys.
func ParseWitnessSet(text string) (set WitnessSet, err error) {
	if len(text) > 64<<10 {
		return set, fmt.Errorf("kt: a policy of more than 64 KiB")
	}
	p := policyText{names: map[string]string{}}
	for i, line := range strings.Split(text, "\n") {
		line, _, _ = strings.Cut(line, "#")
		fields := strings.Fields(line)
		if len(fields) == 0 {
			continue
		}
		if err := p.line(fields); err != nil {
			return WitnessSet{}, fmt.Errorf("kt: line %d of the policy: %w", i+1, err)
		}
	}
	if p.set.Quorum == "" {
		return WitnessSet{}, fmt.Errorf("kt: the policy has no line \"quorum NAME\"")
	}
	return p.set, p.set.check()
}

// policyText is a text read so far.
type policyText struct {
	set   WitnessSet
	names map[string]string // of the text → of the policy
}

func (p *policyText) line(f []string) error {
	switch {
	case f[0] == "log" && (len(f) == 2 || len(f) == 3):
		k, err := ParseLogKey(f[1])
		p.set.Logs = append(p.set.Logs, k)
		return err
	case f[0] == "witness" && (len(f) == 3 || len(f) == 4):
		k, err := ParseWitnessKey(f[2])
		if err != nil {
			return err
		}
		p.set.Witnesses = append(p.set.Witnesses, k)
		return p.name(f[1], k.Name)
	case f[0] == "group" && len(f) >= 4:
		return p.group(f[1], f[2], f[3:])
	case f[0] == "quorum" && len(f) == 2 && p.set.Quorum == "":
		if f[1] == QuorumNone {
			p.set.Quorum = QuorumNone
			return nil
		}
		name, ok := p.names[f[1]]
		if !ok {
			return fmt.Errorf("%q is not defined before it is used", f[1])
		}
		p.set.Quorum = name
		return nil
	}
	return fmt.Errorf("%q is not written right", strings.Join(f, " "))
}

func (p *policyText) name(text, policy string) error {
	if _, ok := p.names[text]; ok || text == QuorumNone {
		return fmt.Errorf("%q is defined twice", text)
	}
	p.names[text] = policy
	return nil
}

func (p *policyText) group(name, threshold string, members []string) error {
	g := WitnessGroup{Name: name}
	for _, m := range members {
		known, ok := p.names[m]
		if !ok {
			return fmt.Errorf("%q is not defined before it is used", m)
		}
		g.Members = append(g.Members, known)
	}
	switch threshold {
	case "any":
		g.Threshold = 1
	case "all":
		g.Threshold = uint8(min(len(members), 255))
	default:
		n, err := strconv.ParseUint(threshold, 10, 8)
		if err != nil {
			return fmt.Errorf("%q is not any, all or a number", threshold)
		}
		g.Threshold = uint8(n)
	}
	p.set.Groups = append(p.set.Groups, g)
	return p.name(name, name)
}

// check refuses a set no policy could have.
func (s *WitnessSet) check() error {
	if len(s.Witnesses) > MaxWitnesses || len(s.Groups) > MaxGroups {
		return invalid("policy", "a policy with too many witnesses")
	}
	p := Policy{Witnesses: s.Witnesses, Groups: s.Groups, Quorum: s.Quorum}
	return p.checkNames()
}

// Text returns the set as ParseWitnessSet reads it.
func (s *WitnessSet) Text() string {
	var b strings.Builder
	for _, l := range s.Logs {
		fmt.Fprintf(&b, "log %s\n", l.LogText())
	}
	for _, w := range s.Witnesses {
		fmt.Fprintf(&b, "witness %s %s\n", w.Name, w.WitnessText())
	}
	for _, g := range s.Groups {
		fmt.Fprintf(&b, "group %s %d %s\n", g.Name, g.Threshold, strings.Join(g.Members, " "))
	}
	fmt.Fprintf(&b, "quorum %s\n", s.Quorum)
	return b.String()
}

// Set returns the part of the policy that a person chooses.
func (p *Policy) Set() WitnessSet {
	return WitnessSet{Witnesses: p.Witnesses, Groups: p.Groups, Quorum: p.Quorum}
}

// Unwitnessed tells that nobody's cosignature is asked for.
func (p *Policy) Unwitnessed() bool { return p.Quorum == QuorumNone }

// Next returns the policy that follows p with other witnesses, to be signed.
func (p *Policy) Next(set WitnessSet) Policy {
	q := *p
	q.N, q.Prev = p.N+1, p.Hash()
	q.Witnesses, q.Groups, q.Quorum = set.Witnesses, set.Groups, set.Quorum
	q.Signers = slices.Clone(p.Signers)
	return q
}
