package kt

import "errors"

// FalseName is proof that a log gave out a name against its rules: one that its
// account had left by RENAME, or an account under a name that none of its
// RENAMEs leads to. A server checks the rules before it logs anything.
type FalseName struct{ Takeover }

// Verify tells whether the proof holds against the log with the given key.
func (p *FalseName) Verify(log NoteKey) error {
	leaf, err := p.logged(log)
	if err != nil {
		return err
	}
	_, err = VerifyName(leaf.Index, p.Values)
	if BreaksName(err) {
		return nil
	}
	return noProof("the values of the name break no rule that this proves")
}

// BreaksName tells whether an error of VerifyName is one that a FalseName proves.
func BreaksName(err error) bool {
	var bad *InvalidError
	return errors.As(err, &bad) && (bad.Rule == "left" || bad.Rule == "moved")
}

// EvidenceFalseName is the kind of evidence file of a FalseName.
const EvidenceFalseName = "false-name"

// Armored returns the proof as a file.
func (p *FalseName) Armored(log NoteKey) []byte { return armored(EvidenceFalseName, log, p.Wire) }
