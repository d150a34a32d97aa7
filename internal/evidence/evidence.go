// Package evidence is the files in which a client keeps what a server did, so
// that a third person can check them offline: proofs against the server's log
// (kt) and against its stamps on conversations. Start with Verify.
//
// A proof names the log's key it accuses. Whether that is the key of the server
// one means is for the reader to compare; no file can say it.
package evidence

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"codeberg.org/huis/huis/kt"
)

// MaxFile bounds an evidence file, in bytes.
const MaxFile = 64 << 20

// Finding is what a file proves, in words.
type Finding struct {
	Kind   string
	Log    kt.NoteKey // its holder did it
	Proves string     // one sentence
}

// ErrReport is returned for a file that tells what a device saw and proves
// nothing by itself.
var ErrReport = errors.New("this is a report of what one device saw, not a proof")

// kinds are the proofs about a log and what each says.
var kinds = map[string]string{
	kt.EvidenceSplitView:  "It signed two versions of its log: whoever was shown one was not shown the other.",
	kt.EvidenceRollback:   "It signed a map of its accounts, and later one that goes back behind it.",
	kt.EvidenceFalseEpoch: "It signed a log that breaks the log's own rules.",
	KindStampForged:       "It stamped an entry of a conversation's log as a member's, and the member's key did not sign it.",
	KindStampConflict:     "It stamped two versions of one conversation's log: %s.",
	kt.EvidenceFalseName:  "It gave out a name that the account before had left for good, or put an account under a name that it never took.",
	kt.EvidenceTakeover:   "It gave a person's name to another account, and no device of the account before signed that.",
}

// Verify checks an evidence file. The error says why it proves nothing; the
// Finding then has what could be read.
func Verify(file []byte) (f Finding, err error) {
	if IsReport(file) {
		return f, ErrReport
	}
	if len(file) > MaxFile {
		return f, errors.New("no evidence file is that large")
	}
	kind, _, _, err := kt.Unarmor(file)
	if err != nil {
		return f, err
	}
	f.Proves = kinds[kind]
	switch kind {
	case KindStampConflict:
		var proof StampConflict
		f.Kind, f.Log, err = kt.VerifyProof(file, func(string) kt.Proof { return &proof })
		f.Proves = fmt.Sprintf(kinds[kind], proof.Breach())
	case KindStampForged:
		f.Kind, f.Log, err = kt.VerifyProof(file, func(string) kt.Proof { return new(StampForged) })
	default:
		f.Kind, f.Log, err = kt.VerifyEvidence(file)
	}
	return f, err
}

const reportBegin = "huis report, not a proof\n"

// Report is a file that tells what a device saw, for a person. facts are lines
// of the form name: value.
func Report(reason string, facts ...string) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s\n%s\n\n", reportBegin, reason)
	b.WriteString("One device says so. Nobody else can check it by this file alone.\n\n")
	for _, f := range facts {
		b.WriteString(strings.ReplaceAll(f, "\n", " ") + "\n")
	}
	return b.Bytes()
}

// IsReport tells whether a file is what Report wrote.
func IsReport(file []byte) bool {
	return bytes.HasPrefix(bytes.ReplaceAll(file, []byte("\r\n"), []byte("\n")), []byte(reportBegin))
}
