// Package content is what a message says and how its author vouches for it.
//
// Seal turns a Message into the application data of an MLS message: canonical
// CBOR in the shape of MIMI content, opened by a franking key, signed by the
// sender, with the head of the log it has verified (docs/protocol.md,
// Section 6). Open verifies all of it and gives the Message. Verify does the
// same for a message kept or handed on outside MLS.
package content

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"time"
	"unicode/utf8"

	"codeberg.org/huis/huis/internal/client/files"
)

// Version is the only version of Message.
const Version = 1

// Bounds. A body beyond MaxBody becomes an attachment.
const (
	MaxBody        = 64 << 10 // bytes of UTF-8
	MaxParents     = 3
	MaxTargets     = 256
	MaxAttachments = 64
	MaxName        = 255 // bytes of a file's name
	MaxMediaType   = 127
	MaxReaction    = 64       // bytes: a few code points
	MaxSystem      = 60 << 10 // bytes of an event's data
)

// ID names a message within its conversation. Its author draws it at random
// and keeps it when the message has to be encrypted again. That two authors use
// one ID is possible for somebody malicious: tell repeated messages by sender
// and ID together.
type ID [16]byte

// NewID returns a random identifier.
func NewID() (id ID) {
	rand.Read(id[:])
	return id
}

// Hex returns the identifier in lower-case hexadecimal.
func (id ID) Hex() string { return hex.EncodeToString(id[:]) }

// ParseID reads Hex.
func ParseID(s string) (id ID, err error) {
	b, err := hex.DecodeString(s)
	if err != nil || len(b) != len(id) {
		return id, errors.New("content: a message's identifier has 32 hexadecimal digits")
	}
	return ID(b), nil
}

// Kind says what a message is.
type Kind uint8

// The kinds of messages.
const (
	Text       Kind = iota + 1 // Body, Attachments or both
	Reply                      // as Text, to Targets[0]
	Reaction                   // Body (empty takes it back) to Targets[0]
	Edit                       // Body replaces that of Targets[0], of the same author
	Delete                     // takes back Targets[0], of the same author
	Receipt                    // Targets were received or read, see Read
	Attachment                 // Attachments, without Body
	Voice                      // one Attachment with a Duration
	System                     // an Event, made by a program
)

var kindNames = [...]string{"", "text", "reply", "reaction", "edit", "delete", "receipt", "attachment", "voice", "system"}

func (k Kind) String() string {
	if k == 0 || int(k) >= len(kindNames) {
		return fmt.Sprintf("kind %d", uint8(k))
	}
	return kindNames[k]
}

// Message is one message as its author wrote it.
type Message struct {
	Version     uint8            `cbor:"1,keyasint"`
	ID          ID               `cbor:"2,keyasint"`
	Parents     []ID             `cbor:"3,keyasint,omitempty"` // newest messages the author had seen
	Time        uint64           `cbor:"4,keyasint"`           // the author's clock, seconds since 1970
	Kind        Kind             `cbor:"5,keyasint"`
	Targets     []ID             `cbor:"6,keyasint,omitempty"` // the messages this one is about
	Body        string           `cbor:"7,keyasint,omitempty"`
	Attachments []AttachmentPart `cbor:"8,keyasint,omitempty"`
	Expiry      uint32           `cbor:"9,keyasint,omitempty"`  // disappears that many seconds after the stamp's minute; 0: never
	Read        bool             `cbor:"10,keyasint,omitempty"` // Receipt: read, not only received
	Event       *Event           `cbor:"11,keyasint,omitempty"`
}

// AttachmentPart is one file of a message.
type AttachmentPart struct {
	Name      string    `cbor:"1,keyasint"` // base name
	MediaType string    `cbor:"2,keyasint,omitempty"`
	File      files.Ref `cbor:"3,keyasint"`
	Duration  uint32    `cbor:"4,keyasint,omitempty"` // Voice: milliseconds
}

// Event is what a System message tells other devices or shows as a line.
type Event struct {
	Type string `cbor:"1,keyasint"` // such as "history"; unknown ones are kept, not shown
	Data []byte `cbor:"2,keyasint,omitempty"`
}

// New returns a message of a kind with a fresh identifier.
func New(kind Kind, now time.Time) *Message {
	return &Message{Version: Version, ID: NewID(), Kind: kind, Time: uint64(max(0, now.Unix()))}
}

// Expires returns when the message disappears, given the minute of its stamp
// (since 1970); the zero time if never.
func (m *Message) Expires(minute uint64) time.Time {
	if m.Expiry == 0 {
		return time.Time{}
	}
	return time.Unix(int64(minute)*60+int64(m.Expiry), 0).UTC()
}

// Check refuses a message that is not one of the kinds.
func (m *Message) Check() error {
	if err := m.checkBounds(); err != nil {
		return fmt.Errorf("content: %w", err)
	}
	if err := m.checkKind(); err != nil {
		return fmt.Errorf("content: %v: %w", m.Kind, err)
	}
	return nil
}

func (m *Message) checkBounds() error {
	switch {
	case m.Version != Version:
		return fmt.Errorf("version %d", m.Version)
	case m.ID == ID{}:
		return errors.New("no identifier")
	case m.Time > maxTime:
		return errors.New("no sensible time")
	case len(m.Parents) > MaxParents, len(m.Targets) > MaxTargets, len(m.Attachments) > MaxAttachments:
		return errors.New("too many parts")
	case len(m.Body) > MaxBody:
		return fmt.Errorf("body of %d bytes, at most %d allowed", len(m.Body), MaxBody)
	case !utf8.ValidString(m.Body):
		return errors.New("body is not UTF-8")
	}
	for i := range m.Attachments {
		if err := m.Attachments[i].check(); err != nil {
			return err
		}
	}
	return nil
}

// maxTime is the year 9999.
const maxTime = 253402300799

func (a *AttachmentPart) check() error {
	switch {
	case len(a.Name) > MaxName || len(a.MediaType) > MaxMediaType:
		return errors.New("name of an attachment is too long")
	case !plainName(a.Name):
		return errors.New("name of an attachment is not a plain file name")
	case !utf8.ValidString(a.MediaType):
		return errors.New("media type is not UTF-8")
	}
	return a.File.Check()
}

// plainName tells whether s can name a file in a folder on any system without
// leaving the folder or confusing a terminal.
func plainName(s string) bool {
	if s == "" || s == "." || s == ".." || !utf8.ValidString(s) {
		return false
	}
	for _, r := range s {
		if r < ' ' || r == 0x7f || r == '/' || r == '\\' || (r >= 0x80 && r < 0xa0) ||
			(r >= 0x202a && r <= 0x202e) || (r >= 0x2066 && r <= 0x2069) {
			return false
		}
	}
	return true
}

// shape says which fields a kind has. The numbers are bounds.
type shape struct {
	minTargets, maxTargets         int
	body, read, event              bool
	minAttachments, maxAttachments int
}

var shapes = map[Kind]shape{
	Text:       {body: true, maxAttachments: MaxAttachments},
	Reply:      {body: true, maxAttachments: MaxAttachments, minTargets: 1, maxTargets: 1},
	Reaction:   {body: true, minTargets: 1, maxTargets: 1},
	Edit:       {body: true, minTargets: 1, maxTargets: 1},
	Delete:     {minTargets: 1, maxTargets: 1},
	Receipt:    {read: true, minTargets: 1, maxTargets: MaxTargets},
	Attachment: {minAttachments: 1, maxAttachments: MaxAttachments},
	Voice:      {minAttachments: 1, maxAttachments: 1},
	System:     {event: true},
}

func (m *Message) checkKind() error {
	s, ok := shapes[m.Kind]
	switch {
	case !ok:
		return errors.New("unknown")
	case len(m.Targets) < s.minTargets || len(m.Targets) > s.maxTargets:
		return fmt.Errorf("%d targets", len(m.Targets))
	case len(m.Attachments) < s.minAttachments || len(m.Attachments) > s.maxAttachments:
		return fmt.Errorf("%d attachments", len(m.Attachments))
	case m.Body != "" && !s.body, m.Read && !s.read:
		return errors.New("a field of another kind")
	case s.event != (m.Event != nil):
		return errors.New("event missing or not allowed")
	case m.Event != nil && (m.Event.Type == "" || len(m.Event.Type) > 32 || len(m.Event.Data) > MaxSystem):
		return errors.New("event without type or too large")
	case m.Kind == Reaction && len(m.Body) > MaxReaction:
		return errors.New("reaction too long")
	case (m.Kind == Text || m.Kind == Reply) && m.Body == "" && len(m.Attachments) == 0:
		return errors.New("empty")
	case m.Kind != Voice && hasDuration(m.Attachments):
		return errors.New("a duration")
	}
	return nil
}

func hasDuration(parts []AttachmentPart) bool {
	for i := range parts {
		if parts[i].Duration != 0 {
			return true
		}
	}
	return false
}
