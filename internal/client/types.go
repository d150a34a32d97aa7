package client

import (
	"io"
	"time"
)

// Limits of one message.
const (
	MaxBody       = 64 << 10 // bytes of UTF-8
	MaxAttachment = 16 << 30 // bytes
)

// Chat is a conversation as a person sees it.
type Chat struct {
	Name    string // what commands take: the group's name, or "@handle" for a direct one
	Kind    string // "group" or "direct"
	Epoch   uint64
	Unread  int
	Members int    // devices
	State   string // "", or why nothing can be sent: "left", "removed", "broken", "rejoining"
	Expiry  time.Duration
}

// Member is one device in a conversation.
type Member struct {
	Handle  string
	Account string // lower-case hex
	Device  string // lower-case hex
	Role    string // "admin" or "member"
	Since   time.Time
	Warning string // why the device is not proven, "" if it is
	Trust   string // in the person's keys: one of TrustChecked, …; "" of oneself
	Why     string // of TrustChanged and TrustStop, in words
}

// Draft is a message to send.
type Draft struct {
	Text  string
	Files []File
}

// File is something to attach. Open is called once for each pass over it.
type File struct {
	Name string // only its base name is sent
	Size int64  // bytes
	Open func() (io.ReadSeekCloser, error)
	Path string // where it will be found again by Config.OpenFile; "": nowhere
}

// Sent says what became of a Draft.
type Sent struct {
	ID   string
	Chat string
	Seq  *uint64 // nil while the message is in the outbox
}

// Message is one received or own message, as `read` prints it.
type Message struct {
	ID          string
	Chat        string
	Seq         uint64
	Time        time.Time // the server's stamp, a whole minute
	From        string    // handle
	Device      string    // lower-case hex
	Kind        string    // "text", "system", …
	Body        string
	Attachments []AttachmentInfo
	Own         bool
	ReadBy      []string // own messages: handles of those who said that they have read it
}

// AttachmentInfo describes one attachment of a Message.
type AttachmentInfo struct {
	Name   string // base name
	Size   int64  // bytes
	SHA256 string // lower-case hex, of the plaintext

	MediaType string        // what the sender says
	Duration  time.Duration // of a voice note
}

// Status is what `huis status` prints.
type Status struct {
	Handle      string
	Account     string
	Device      string
	Server      ServerRef
	Outbox      int // messages not yet acknowledged
	Log         LogStatus
	Warnings    []string
	Concerns    []Concern // the warnings once more, each with what it is about
	Unreachable bool
}

// Concern is one thing a person should know.
type Concern struct {
	Chat string // identifier of the conversation, see ChatInfo; "" if it concerns none
	Name string // the conversation's
	Text string
}
