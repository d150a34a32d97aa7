package rpc

// Millis is a time in milliseconds since 1970, 0 if there is none.
type Millis int64

// Phase is how far this device is.
type Phase string

// The phases.
const (
	PhaseNew     Phase = "new"     // no account yet: join, link or recover
	PhaseReady   Phase = "ready"   // part of an account
	PhaseRevoked Phase = "revoked" // ended by another device of the account
)

// State is the first thing an interface asks for, and is told when it changes.
type State struct {
	Phase   Phase  `json:"phase"`
	Where   Where  `json:"where"`
	Version string `json:"version"`
	Handle  string `json:"handle"`  // without the @
	Account string `json:"account"` // lower-case hex
	Device  string `json:"device"`  // lower-case hex
	Server  string `json:"server"`  // https://host[:port]; what a new device has to be told, pin included
	// Set until the person has shown to have written the recovery key down.
	RecoveryUnconfirmed bool `json:"recoveryUnconfirmed"`
}

// Where is where the core runs.
type Where string

// The two places.
const (
	WhereBrowser Where = "browser" // in a Worker, from code the server gave
	WhereLocal   Where = "local"   // in the program on this computer
)

// Empty has nothing to say.
type Empty struct{}

// JoinRequest makes an account with an invitation.
type JoinRequest struct {
	Invite string `json:"invite"` // the whole link
	Handle string `json:"handle"`
}

// Joined is a new account.
type Joined struct {
	State State `json:"state"`
	// Shown, written down, and asked for again; see recovery.confirm.
	RecoveryKey string `json:"recoveryKey"`
}

// InviteInfo is what an invitation says before it is used.
type InviteInfo struct {
	Server  string `json:"server"`
	Expires Millis `json:"expires"`
	Expired bool   `json:"expired"`
	// In a browser: that the link belongs to another server than this page.
	OtherServer bool `json:"otherServer"`
}

// InviteText is an invitation link as somebody got it.
type InviteText struct {
	Invite string `json:"invite"`
}

// RecoveryConfirm is the recovery key as a person typed it, whole.
type RecoveryConfirm struct {
	Key string `json:"key"`
}

// Confirmed tells whether it was the right one.
type Confirmed struct {
	Right bool `json:"right"`
}

// LinkRequest makes this a further device of an account. The call sends the
// event link.code and returns once the other device has approved.
type LinkRequest struct {
	Server string `json:"server"` // as State.Server on the other device; "" in a browser: this page's
	Handle string `json:"handle"`
}

// LinkCode is to be shown until the call ends.
type LinkCode struct {
	Code string `json:"code"`
}

// ApproveRequest lets a new device into the account. The call asks back with
// approve.confirm.
type ApproveRequest struct {
	Code string `json:"code"`
}

// ApproveConfirm is what the person compares with the new device.
type ApproveConfirm struct {
	Device string `json:"device"` // lower-case hex
	Code   string `json:"code"`
}

// Answer is the person's.
type Answer struct {
	Yes bool `json:"yes"`
}

// RecoverRequest makes this the first device of an account all of whose devices
// are lost.
type RecoverRequest struct {
	Server string `json:"server"` // "" in a browser: this page's
	Handle string `json:"handle"`
	Key    string `json:"key"` // the recovery key
}

// Device is one device of the own account.
type Device struct {
	ID      string `json:"id"`  // lower-case hex
	Own     bool   `json:"own"` // this one
	Added   Millis `json:"added"`
	Revoked bool   `json:"revoked"`
}

// DeviceList is the account's devices, oldest first.
type DeviceList struct {
	Devices []Device `json:"devices"`
}

// DeviceID names a device.
type DeviceID struct {
	ID string `json:"id"`
}

// Status is how this device stands.
type Status struct {
	Online   bool   `json:"online"`
	Syncing  bool   `json:"syncing"`
	LastSync Millis `json:"lastSync"` // last time everything was up to date
	Outbox   int    `json:"outbox"`   // messages not yet acknowledged
	Log      Log    `json:"log"`
	// Words for a person about what is not as it should be.
	Warnings []Warning `json:"warnings"`
}

// Log is the server's public log as this device has checked it.
type Log struct {
	Size      int64     `json:"size"`   // epochs
	Root      string    `json:"root"`   // lower-case hex
	Policy    string    `json:"policy"` // "none", or how many witnesses are wanted: "2 of 3"
	Witnesses []Witness `json:"witnesses"`
	Witnessed bool      `json:"witnessed"` // enough of them have cosigned lately
}

// Witness is somebody else's machine that cosigned the log.
type Witness struct {
	Name string `json:"name"`
	Time Millis `json:"time"`
}

// Warning is something a person should know.
type Warning struct {
	Chat string `json:"chat"` // Chat.id, "" if it concerns none
	Text string `json:"text"`
}

// ChatKind is what a conversation is.
type ChatKind string

// The kinds of conversations.
const (
	ChatGroup  ChatKind = "group"
	ChatDirect ChatKind = "direct"
)

// ChatState tells whether one can write.
type ChatState string

// The states of a conversation.
const (
	ChatOpen      ChatState = ""
	ChatPlanned   ChatState = "planned"   // made with the first message
	ChatLeft      ChatState = "left"      // by oneself
	ChatRemoved   ChatState = "removed"   // by somebody else
	ChatBroken    ChatState = "broken"    // waits to be added again
	ChatRejoining ChatState = "rejoining" // away for too long; waits to be added again
	ChatStopped   ChatState = "stopped"   // for safety
)

// Chat is a conversation in the list.
type Chat struct {
	ID      string    `json:"id"`   // opaque; other calls take it
	Name    string    `json:"name"` // the group's name, or "@handle"
	Kind    ChatKind  `json:"kind"`
	State   ChatState `json:"state"`
	Stopped string    `json:"stopped"` // ChatStopped: why, in words
	Person  string    `json:"person"`  // direct: the other's handle
	Trust   Trust     `json:"trust"`   // the worst of its people
	People  int       `json:"people"`  // accounts in it
	Role    Role      `json:"role"`    // one's own
	Unread  int       `json:"unread"`
	// Among the unread ones somebody names this person.
	Mentioned bool   `json:"mentioned"`
	Last      *Last  `json:"last,omitempty"`
	Draft     string `json:"draft"`  // begun and not sent
	Expiry    int    `json:"expiry"` // seconds until messages disappear, 0: never
	// When something last happened; newest first is the order of the list.
	Time Millis `json:"time"`
	// Seq up to which this person has read.
	Read int64 `json:"read"`
	// Not to be told of: kept on this device.
	Muted bool `json:"muted"`
}

// Last is the newest message of a conversation, for the list.
type Last struct {
	From    string       `json:"from"` // handle
	Own     bool         `json:"own"`
	Kind    MessageKind  `json:"kind"`
	Body    string       `json:"body"` // at most 200 characters
	File    string       `json:"file"` // name of the first attachment
	Time    Millis       `json:"time"`
	State   MessageState `json:"state"`
	EventOf *ChatEvent   `json:"event,omitempty"`
}

// ChatList is all conversations, newest first.
type ChatList struct {
	Chats []Chat `json:"chats"`
}

// ChatID names a conversation.
type ChatID struct {
	Chat string `json:"chat"`
}

// NewChat makes a group.
type NewChat struct {
	Name   string   `json:"name"`
	People []string `json:"people"` // handles
}

// OpenChat gives the direct conversation with a person, made if there is none.
type OpenChat struct {
	Person string `json:"person"` // handle
}

// Role is what somebody may do in a group.
type Role string

// The roles.
const (
	RoleMember Role = "member"
	RoleAdmin  Role = "admin"
)

// Member is a person in a conversation.
type Member struct {
	Handle  string         `json:"handle"`
	Account string         `json:"account"`
	Self    bool           `json:"self"`
	Role    Role           `json:"role"`
	Trust   Trust          `json:"trust"`
	Since   Millis         `json:"since"` // of the first device there now
	Devices []MemberDevice `json:"devices"`
}

// MemberDevice is one reader of a conversation.
type MemberDevice struct {
	ID      string `json:"id"` // lower-case hex
	Since   Millis `json:"since"`
	Warning string `json:"warning"` // why it is not proven, "" if it is
}

// MemberList is everybody who reads a conversation.
type MemberList struct {
	Members []Member `json:"members"`
	// What this person may do here.
	MayAdd    bool `json:"mayAdd"`
	MayRemove bool `json:"mayRemove"`
	MayChange bool `json:"mayChange"` // name, roles, expiry
}

// ChatPeople names people of a conversation.
type ChatPeople struct {
	Chat   string   `json:"chat"`
	People []string `json:"people"` // handles
}

// SetRole gives somebody a role.
type SetRole struct {
	Chat   string `json:"chat"`
	Person string `json:"person"` // handle
	Role   Role   `json:"role"`
}

// Rename gives a group another name.
type Rename struct {
	Chat string `json:"chat"`
	Name string `json:"name"`
}

// SetExpiry lets a conversation's messages disappear.
type SetExpiry struct {
	Chat    string `json:"chat"`
	Seconds int    `json:"seconds"` // 0: never
}

// SetMuted keeps a conversation quiet on this device.
type SetMuted struct {
	Chat  string `json:"chat"`
	Muted bool   `json:"muted"`
}

// SetDraft keeps what a person has begun to write, on all their devices.
type SetDraft struct {
	Chat string `json:"chat"`
	Text string `json:"text"`
}

// MarkRead tells that a person has seen everything up to a message.
type MarkRead struct {
	Chat string `json:"chat"`
	Seq  int64  `json:"seq"`
}

// MessageKind is what a message is.
type MessageKind string

// The kinds of messages.
const (
	MessageText       MessageKind = "text"       // body, attachments or both
	MessageAttachment MessageKind = "attachment" // attachments alone
	MessageVoice      MessageKind = "voice"      // one attachment with a duration
	MessageEvent      MessageKind = "event"      // something that happened, see event
	MessageGone       MessageKind = "gone"       // taken back by its author
	MessageUnreadable MessageKind = "unreadable" // could not be opened; body says why, in words
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
	Event       *ChatEvent   `json:"event,omitempty"`
}

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
	EventHistory  EventKind = "history" // earlier messages were handed on
	EventVerified EventKind = "verified"
	EventChanged  EventKind = "changed" // somebody's keys changed after they were compared
)

// ChatEvent is something that happened in a conversation.
type ChatEvent struct {
	Kind   EventKind `json:"kind"`
	By     string    `json:"by"`     // handle
	People []string  `json:"people"` // handles
	Text   string    `json:"text"`   // the new name, or words
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

// Trust is how sure this device is of a person's keys.
type Trust string

// The trust states, from calm to loud.
const (
	TrustVerified Trust = "verified" // safety words were compared
	TrustChecked  Trust = "checked"  // the log vouches for the keys
	TrustChanged  Trust = "changed"  // other keys than were compared, or a check that could not be made
	TrustStop     Trust = "stop"     // two answers: nothing is sent
)

// Person is a contact.
type Person struct {
	Handle  string `json:"handle"`
	Account string `json:"account"`
	Self    bool   `json:"self"`
	Trust   Trust  `json:"trust"`
	Reason  string `json:"reason"` // TrustChanged, TrustStop: why, in words
	Devices int    `json:"devices"`
	// When safety words were last compared.
	Verified Millis `json:"verified"`
	Chat     string `json:"chat"` // Chat.id of the direct conversation, "" if none
}

// PersonList is the contacts by handle.
type PersonList struct {
	People []Person `json:"people"`
}

// PersonName names somebody.
type PersonName struct {
	Handle string `json:"handle"`
}

// PersonDetail is everything known of somebody's keys.
type PersonDetail struct {
	Person Person `json:"person"`
	// What both read to each other: twelve words of one list, the same on both sides.
	Words   []string      `json:"words"`
	History []PersonEvent `json:"history"` // newest first
	Chats   []string      `json:"chats"`   // Chat.id of those shared
}

// PersonEventKind is what happened to somebody's keys.
type PersonEventKind string

// The kinds.
const (
	PersonBegan    PersonEventKind = "began"    // the account was made
	PersonAdded    PersonEventKind = "added"    // a device
	PersonRevoked  PersonEventKind = "revoked"  // a device
	PersonRotated  PersonEventKind = "rotated"  // new keys of a device
	PersonRecovery PersonEventKind = "recovery" // another recovery key
	PersonReset    PersonEventKind = "reset"    // by the recovery key: all devices new
	PersonVerified PersonEventKind = "verified" // words compared here
	PersonEnded    PersonEventKind = "ended"    // the account
)

// PersonEvent is one change of somebody's keys.
type PersonEvent struct {
	Kind   PersonEventKind `json:"kind"`
	Time   Millis          `json:"time"`
	Device string          `json:"device"`
}

// Verify records that the safety words were compared, or takes it back.
type Verify struct {
	Handle string `json:"handle"`
	Yes    bool   `json:"yes"`
}

// InviteRequest makes an invitation; admins of the server may.
type InviteRequest struct {
	Uses int `json:"uses"` // 0: 1
	Days int `json:"days"` // 0: 7
}

// Invite is an invitation link.
type Invite struct {
	Link    string `json:"link"`
	Expires Millis `json:"expires"`
}

// SearchRequest looks through every message on this device: parts of words, in
// any case, with or without accents; several words must all be there.
type SearchRequest struct {
	Text  string `json:"text"`
	Chat  string `json:"chat,omitempty"`  // only there
	From  string `json:"from,omitempty"`  // only of this handle
	Limit int    `json:"limit,omitempty"` // at most 100; 0: 30
	// Where the answer before ended.
	Cursor string `json:"cursor,omitempty"`
}

// SearchResult is what was found, newest first.
type SearchResult struct {
	Hits   []SearchHit `json:"hits"`
	Cursor string      `json:"cursor"` // "" at the end
}

// SearchHit is one message found.
type SearchHit struct {
	Message Message `json:"message"`
	// Where in the body, in UTF-16 code units as scripts count, [begin, end) each.
	Ranges [][2]int `json:"ranges"`
}

// Settings is what an interface wants to be remembered on this device. At most
// 100 entries of 4 KiB.
type Settings struct {
	Values map[string]string `json:"values"`
}

// The events without a call.

// SyncEvent tells how the connection stands.
type SyncEvent struct {
	Online  bool `json:"online"`
	Syncing bool `json:"syncing"`
	Outbox  int  `json:"outbox"`
}

// ChatsEvent gives the conversations that changed as they are now.
type ChatsEvent struct {
	Chats []Chat   `json:"chats"`
	Gone  []string `json:"gone"` // ids of those no longer listed
}

// MessagesEvent tells what changed within a conversation.
type MessagesEvent struct {
	Chat string  `json:"chat"`
	Seqs []int64 `json:"seqs"` // new, changed or gone; empty: anything, or what waits
}

// NewMessageEvent is a message that came from somebody else.
type NewMessageEvent struct {
	Message Message `json:"message"`
	Chat    Chat    `json:"chat"`
}

// Alarm is something that stopped this device for safety.
type Alarm struct {
	Chat     string `json:"chat"` // Chat.id, "" if it concerns the account or the server
	Reason   string `json:"reason"`
	Fix      string `json:"fix"`
	Evidence string `json:"evidence"` // where the proof is, "" if there is none
}

// AlarmList is the alarms that stand.
type AlarmList struct {
	Alarms []Alarm `json:"alarms"`
}

// Error is why a call failed.
type Error struct {
	Code ErrorCode `json:"code"`
	Text string    `json:"text"` // English; interfaces translate the code
	Hint string    `json:"hint"` // what to do
}

func (e *Error) Error() string { return string(e.Code) + ": " + e.Text }
