package sim

import (
	"encoding/hex"
	"fmt"
)

// ID names a conversation, a member key, a message or an entry's hash.
type ID [32]byte

// String is short enough for a trace. Identifiers of a simulation are nobody's.
func (id ID) String() string { return hex.EncodeToString(id[:4]) }

// The kinds of entry (protocol, section 14.1).
const (
	kindCreate = iota
	kindCommit
	kindApplication
	kindNotice
)

// Entry is one entry of a conversation's log as the server holds it.
type Entry struct {
	Seq     uint64
	Kind    int
	Epoch   uint64
	MK      ID
	Hash    ID
	Adds    []ID // member keys that begin with this entry
	Removes []ID // member keys that end with it
	Replace ID   // takes the place of MK from here on; zero = none
	Leave   bool // a notice that ends MK at once; its leaf goes with a later commit
}

// Ack is a positive answer of the server that reached a device.
type Ack struct {
	Device       string
	Conversation ID
	Hash         ID
	Seq          uint64
}

// Promise is a message the client told its user was sent or will be, in
// whatever conversation succeeds the one it was written in.
type Promise struct {
	Device  string
	Message string // message id
	Body    string
}

// Message is one line of what a device shows.
type Message struct {
	Seq  uint64
	ID   string
	From string // device
	Body string
}

// View is what one device knows and shows of one conversation at the end.
type View struct {
	Active        bool // it believes that it is a member and up to date
	Succeeded     bool // it goes on in another conversation
	Epoch         uint64
	Authenticator string
	Members       []string      // devices, in leaf order
	MKs           map[uint32]ID // leaf → member key
	Messages      []Message     // in the order shown
	Excused       []Span        // what it could not read, as the scenario ordered
	Waiting       []string      // ids of messages not sent yet
}

// Given is what the server handed out in one answer.
type Given struct {
	Conversation ID
	MK           ID // that opened the session
	Span         Span
}

// Span is the sequence numbers from First to Last, both included.
type Span struct{ First, Last uint64 }

// Evidence is all that Check judges.
type Evidence struct {
	Logs     map[ID][]Entry // by conversation, in the server's order
	Owner    map[ID]string  // member key → device that signed with it
	Acks     []Ack
	Promises []Promise
	Given    []Given
	Views    map[string]map[ID]*View // by device and conversation
	Seals    *Seals
	Excepted map[string]bool // devices of which nothing is asked: insiders, revoked ones
}

// Violation is one broken invariant.
type Violation struct {
	Check string // which: agree, log, acked, once, order, delivered, outside, author, keys
	Text  string
}

func (v Violation) String() string { return v.Check + ": " + v.Text }

func violation(check, format string, args ...any) Violation {
	return Violation{check, fmt.Sprintf(format, args...)}
}
