package rpc

// MessageKind is what a message is.
type MessageKind string

// The kinds of messages.
const (
	MessageText       MessageKind = "text"       // body, attachments or both
	MessageAttachment MessageKind = "attachment" // attachments alone
	MessageVoice      MessageKind = "voice"      // one attachment with a duration
	MessageEvent      MessageKind = "event"      // something that happened, see events
	MessageGone       MessageKind = "gone"       // taken back by its author
	MessageUnreadable MessageKind = "unreadable" // is not shown; why says the cause
)

// MessageState is how far an own message is; others' are MessageSent.
type MessageState string

// The states of a message.
const (
	MessageSent    MessageState = "sent"    // in the log
	MessageWaiting MessageState = "waiting" // on this device, goes out by itself
)

// Message is one line of a conversation, with what later ones say of it: edits,
// reactions, read marks.
type Message struct {
	ID     string       `json:"id"` // lower-case hex; own waiting ones keep it
	Chat   string       `json:"chat"`
	Seq    int64        `json:"seq"`  // order in the conversation; 0 while waiting
	Time   Millis       `json:"time"` // the server's stamp, a whole minute; waiting: this device's
	From   string       `json:"from"` // handle
	Device string       `json:"device"`
	Own    bool         `json:"own"`
	Kind   MessageKind  `json:"kind"`
	State  MessageState `json:"state"`
	Body   string       `json:"body"`
	Edited Millis       `json:"edited"`
	// It names this person.
	Mention     bool         `json:"mention"`
	Reply       *Quote       `json:"reply,omitempty"`
	Attachments []Attachment `json:"attachments"`
	Reactions   []Reaction   `json:"reactions"`
	ReadBy      []string     `json:"readBy"`  // own messages: handles
	Expires     Millis       `json:"expires"` // disappears then
	Events      []ChatEvent  `json:"events"`
	Why         Cause        `json:"why"` // unreadable
}

// Cause is why a message is not shown.
type Cause string

// The causes.
const (
	CauseNone     Cause = ""
	CauseWaiting  Cause = "waiting"  // its sender's keys have to be confirmed first; it comes by itself
	CauseUnproven Cause = "unproven" // the sender's account does not vouch for the device it came from
	CauseDamaged  Cause = "damaged"  // it does not open
	CauseForeign  Cause = "foreign"  // handed in by another device than wrote it
	CauseLate     Cause = "late"     // its keys were deleted before it came
)

// Quote is the message a reply answers.
type Quote struct {
	ID   string      `json:"id"`
	Seq  int64       `json:"seq"` // 0 if it is not on this device
	From string      `json:"from"`
	Kind MessageKind `json:"kind"`
	Body string      `json:"body"` // at most 200 characters
	File string      `json:"file"` // name of the first attachment
}

// Attachment is a file of a message.
type Attachment struct {
	Name      string `json:"name"`
	MediaType string `json:"mediaType"` // what the sender says; not to be trusted
	Size      int64  `json:"size"`
	SHA256    string `json:"sha256"`
	Duration  int    `json:"duration"` // voice: milliseconds
}

// Reaction is one emoji and who chose it.
type Reaction struct {
	Emoji string   `json:"emoji"`
	By    []string `json:"by"` // handles
	Own   bool     `json:"own"`
}

// EventKind is what happened in a conversation.
type EventKind string

// The kinds of events.
const (
	EventCreated  EventKind = "created"
	EventAdded    EventKind = "added"
	EventRemoved  EventKind = "removed"
	EventLeft     EventKind = "left"
	EventDevice   EventKind = "device"  // a further device of somebody
	EventDropped  EventKind = "dropped" // a device of somebody went
	EventRenamed  EventKind = "renamed"
	EventRoles    EventKind = "roles"
	EventExpiry   EventKind = "expiry"
	EventBack     EventKind = "back"    // this device was let in again
	EventHistory  EventKind = "history" // earlier messages were handed on
	EventVerified EventKind = "verified"
	EventCalled   EventKind = "called"  // somebody has another handle
	EventChanged  EventKind = "changed" // somebody's keys changed after they were compared
)

// ChatEvent is something that happened in a conversation.
type ChatEvent struct {
	Kind   EventKind `json:"kind"`
	By     string    `json:"by"`     // handle
	People []string  `json:"people"` // handles
	Text   string    `json:"text"`   // EventRenamed, EventCalled: the name; EventRoles: "admin" or "member"
	Number int       `json:"number"` // EventExpiry: seconds
}

// MessagesRequest asks for a piece of a conversation. At most one of before,
// after and around is set; with none it is the newest piece.
type MessagesRequest struct {
	Chat   string `json:"chat"`
	Before int64  `json:"before,omitempty"` // messages with a smaller seq
	After  int64  `json:"after,omitempty"`  // with a larger one
	Around int64  `json:"around,omitempty"` // half before, half from it on
	Limit  int    `json:"limit,omitempty"`  // at most 200; 0: 50
}

// MessagesPage is a piece of a conversation, oldest first; own waiting messages
// come last, in the newest piece.
type MessagesPage struct {
	Messages []Message `json:"messages"`
	Earlier  bool      `json:"earlier"` // there are messages before
	Later    bool      `json:"later"`   // and after
	Read     int64     `json:"read"`    // seq up to which this person had read
}

// MessageIDs names messages whose present look is wanted.
type MessageIDs struct {
	Chat string  `json:"chat"`
	Seqs []int64 `json:"seqs"` // at most 200
}

// MessageList is messages by seq; those that are gone for good are missing.
type MessageList struct {
	Messages []Message `json:"messages"`
}

// FileInfo is a file an interface has and the core asks for by the event
// file.want of the same call.
type FileInfo struct {
	Name      string `json:"name"`
	Size      int64  `json:"size"`
	MediaType string `json:"mediaType"`
}

// SendRequest writes a message. The call returns when the message is kept on
// this device, with its files at the server; it goes out by itself.
type SendRequest struct {
	Chat  string     `json:"chat"`
	Body  string     `json:"body"`
	Reply string     `json:"reply,omitempty"` // id of the message it answers
	Files []FileInfo `json:"files,omitempty"`
	Voice int        `json:"voice,omitempty"` // milliseconds: the one file is a voice note
}

// Sent is the message as it stands in the conversation now.
type Sent struct {
	Message Message `json:"message"`
}

// FileWant is the core asking for a part of file n of its call.
type FileWant struct {
	File   int   `json:"file"`
	Offset int64 `json:"offset"`
	Length int   `json:"length"`
}

// Progress is how much of a call's files is done, in bytes.
type Progress struct {
	Done  int64 `json:"done"`
	Total int64 `json:"total"`
}

// ReactRequest sets or, with an empty emoji, takes back one's reaction.
type ReactRequest struct {
	Chat    string `json:"chat"`
	Message string `json:"message"` // id
	Emoji   string `json:"emoji"`
}

// EditRequest gives an own message another body.
type EditRequest struct {
	Chat    string `json:"chat"`
	Message string `json:"message"` // id
	Body    string `json:"body"`
}

// MessageID names a message.
type MessageID struct {
	Chat    string `json:"chat"`
	Message string `json:"message"` // id
}

// AttachmentRequest asks for a file. Its bytes come by the event file.chunk,
// each of which the interface answers with file.more; they are those of the file
// only once the call has ended with ok.
type AttachmentRequest struct {
	Chat    string `json:"chat"`
	Message string `json:"message"` // id
	Index   int    `json:"index"`   // from 0
}

// FileChunk is the next bytes of a file.
type FileChunk struct {
	Offset int64 `json:"offset"`
	Total  int64 `json:"total"`
}
