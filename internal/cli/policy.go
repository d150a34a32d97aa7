package cli

import (
	"fmt"
	"os"
	"strings"

	"codeberg.org/huis/huis/internal/client"
	"codeberg.org/huis/huis/kt"
)

type policyCommands struct {
	Show   policyShow   `cmd:"" default:"withargs" help:"Show the policies in the server's log and which one counts."`
	Set    policySet    `cmd:"" help:"Make the next policy of FILE (C2SP tlog-policy: lines of witness, group, quorum)."`
	Sign   policySign   `cmd:"" help:"Add your signature to a policy that somebody else proposes."`
	Accept policyAccept `cmd:"" help:"Have a policy count for you that does not by itself, after you compared its hash with one who signed it."`
	Key    policyKey    `cmd:"" help:"Show what makes you a signer: for policy set --signer."`
}

// readWitnesses reads a policy's text; no file is no witnesses.
func readWitnesses(path string) (kt.WitnessSet, error) {
	if path == "" {
		return kt.WitnessSet{}, nil
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return kt.WitnessSet{}, &hinted{err, "name a file with lines such as: witness NAME KEY, group NAME 2 NAME NAME NAME, quorum NAME"}
	}
	set, err := kt.ParseWitnessSet(string(b))
	if err != nil {
		return set, &hinted{fmt.Errorf("%s: %w", path, err), "huis witness prints the line for its own key; the last line is: quorum NAME"}
	}
	return set, nil
}

type policyShow struct{}

// policyLine is one policy for a program.
type policyLine struct {
	N         uint64   `json:"n"`
	Hash      string   `json:"hash"`
	InForce   bool     `json:"in_force"`
	Counts    bool     `json:"counts"`
	Witnesses []string `json:"witnesses"` // keys
	Policy    string   `json:"policy"`    // C2SP tlog-policy
	Signers   []string `json:"signers"`
	Needed    int      `json:"needed"`
	Changes   []string `json:"changes"`
	Waits     string   `json:"waits"`
}

func (*policyShow) Run(e *env) error {
	return e.with(func(c *client.Client, stale error) error {
		all, err := c.Policies(e.ctx)
		if err != nil {
			return err
		}
		for _, p := range all {
			line := policyLine{N: p.N, Hash: p.Hash, InForce: p.InForce, Counts: p.Counts, Witnesses: []string{}, Policy: p.Set.Text(),
				Signers: append([]string{}, p.Signers...), Needed: p.Needed, Changes: append([]string{}, p.Changes...), Waits: p.Waits}
			for _, w := range p.Set.Witnesses {
				line.Witnesses = append(line.Witnesses, w.WitnessText())
			}
			if err := e.print(line, "%s", printable(policyWords(p))); err != nil {
				return err
			}
		}
		if len(all) == 0 {
			e.note("the server's log has no witness policy yet")
		}
		return stale
	})
}

func policyWords(p client.PolicyInfo) string {
	state := "was in force before"
	switch {
	case p.InForce:
		state = "in force"
	case !p.Counts:
		state = "does not count yet; waits for " + p.Waits
	}
	text := fmt.Sprintf("policy %d  %s  %s\n", p.N, p.Hash[:16], state)
	if p.Set.Quorum == kt.QuorumNone {
		text += "    no witnesses: nobody outside vouches for the server's log\n"
	} else {
		text += "    " + strings.ReplaceAll(strings.TrimSpace(p.Set.Text()), "\n", "\n    ") + "\n"
	}
	if len(p.Changes) > 0 {
		text += "    changes: " + strings.Join(p.Changes, ", ") + "\n"
	}
	return text + fmt.Sprintf("    the next needs %d of: @%s", p.Needed, strings.Join(p.Signers, ", @"))
}

type policySet struct {
	File   string   `arg:"" help:"The witnesses, as C2SP tlog-policy."`
	Signer []string `sep:"none" placeholder:"KEY" help:"Who may change the next one, as huis policy key prints it; repeat for each. Default: those who may change this one."`
	Needed int      `default:"1" placeholder:"N" help:"With --signer: how many of them have to sign (default 1)."`
}

// policyDone is what came of making or signing a policy.
type policyDone struct {
	Hash     string `json:"hash"`
	Missing  int    `json:"missing"`            // signatures
	Proposal string `json:"proposal,omitempty"` // for the others to sign
}

func (e *env) policyDone(d client.PolicyChange, err error) error {
	if err != nil {
		return err
	}
	out := policyDone{d.Hash, d.Missing, d.Proposal}
	if d.Missing > 0 {
		return e.print(out, "%s\n", d.Proposal)
	}
	return e.print(out, "The policy %s is in the server's log. Those who do not see it count yet compare this hash with you.", d.Hash)
}

func (k *policySet) Run(e *env) error {
	set, err := readWitnesses(k.File)
	if err != nil {
		return err
	}
	var signers []kt.PolicySigner
	for _, text := range k.Signer {
		s, err := client.ParsePolicySigner(text)
		if err != nil {
			return &hinted{err, "each signer runs huis policy key and gives you what it prints"}
		}
		signers = append(signers, s)
	}
	if len(signers) > 0 && (k.Needed < 1 || k.Needed > len(signers)) {
		return usagef("--needed is between 1 and the number of signers", "%d of %d signers cannot sign", k.Needed, len(signers))
	}
	return e.change(func(c *client.Client) error {
		d, err := c.SetPolicy(e.ctx, set, signers, k.Needed)
		if err == nil && d.Missing > 0 {
			e.note("%d more have to sign. Give them this text in a file; each runs huis policy sign FILE and hands on what it prints:", d.Missing)
		}
		return e.policyDone(d, err)
	})
}

type policySign struct {
	File string `arg:"" help:"The proposal, as huis policy set or sign printed it."`
	Yes  bool   `help:"Do not ask."`
}

func (k *policySign) Run(e *env) error {
	b, err := os.ReadFile(k.File)
	if err != nil {
		return &hinted{err, "put the proposal you were given into a file"}
	}
	return e.change(func(c *client.Client) error {
		d, err := c.SignPolicy(e.ctx, string(b), func(change string) bool {
			return e.JSON || k.Yes || e.confirm("%s\n\nSign this?", printable(change))
		})
		return e.policyDone(d, orHint(err, "nothing was changed; huis policy shows the policies there are"))
	})
}

type policyAccept struct {
	Hash string `arg:"" help:"The policy's hash, at least its first 16 digits, as one of its signers told you by another way than this server."`
}

func (k *policyAccept) Run(e *env) error {
	return e.change(func(c *client.Client) error {
		if err := c.AcceptPolicy(e.ctx, k.Hash); err != nil {
			return err
		}
		return e.print(struct {
			Hash string `json:"hash"`
		}{k.Hash}, "")
	})
}

type policyKey struct{}

func (*policyKey) Run(e *env) error {
	return e.with(func(c *client.Client, stale error) error {
		text, err := c.PolicySignerText(e.ctx)
		if err != nil {
			return err
		}
		return e.print(struct {
			Key string `json:"key"`
		}{text}, "%s", text)
	})
}
