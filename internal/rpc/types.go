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
	// Go on if the server has no backup: every conversation has to add the device
	// anew. Asked for after the error no-backup.
	WithoutBackup bool `json:"withoutBackup"`
	// End the account's other devices once this one is back.
	EndOthers bool `json:"endOthers"`
}

// Recovered is a device that came back by the recovery key.
type Recovered struct {
	State  State    `json:"state"`
	Backup Millis   `json:"backup"` // when it was made; 0: there was none
	Others []string `json:"others"` // live devices of the account from before
}

// RecoveryKey is the key to be written down; "" if it was confirmed.
type RecoveryKey struct {
	Key string `json:"key"`
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

// Sentence is something the core says; interfaces have words for its code.
type Sentence struct {
	Code SentenceCode `json:"code"`
	With []string     `json:"with"` // what stands in its places: names, numbers, dates
	Text string       `json:"text"` // the same in English, as the core writes it
}

// Warning is something a person should know.
type Warning struct {
	Chat string    `json:"chat"` // Chat.id, "" if it concerns none
	Name string    `json:"name"` // Chat.name
	Say  *Sentence `json:"say,omitempty"`
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
	Stopped *Sentence `json:"stopped,omitempty"` // ChatStopped: why
	Person  string    `json:"person"`            // direct: the other's handle
	Trust   Trust     `json:"trust"`             // the worst of its people
	People  int       `json:"people"`            // accounts in it
	Role    Role      `json:"role"`              // one's own
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
	From   string       `json:"from"` // handle
	Own    bool         `json:"own"`
	Kind   MessageKind  `json:"kind"`
	Body   string       `json:"body"` // at most 200 characters
	File   string       `json:"file"` // name of the first attachment
	Time   Millis       `json:"time"`
	State  MessageState `json:"state"`
	Events []ChatEvent  `json:"events"`
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
	Reason  *Sentence      `json:"reason,omitempty"` // TrustChanged, TrustStop: why
	Since   Millis         `json:"since"`            // of the first device there now
	Devices []MemberDevice `json:"devices"`
}

// MemberDevice is one reader of a conversation.
type MemberDevice struct {
	ID      string    `json:"id"` // lower-case hex
	Since   Millis    `json:"since"`
	Warning *Sentence `json:"warning,omitempty"` // why it is not proven
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
	Handle  string    `json:"handle"`
	Account string    `json:"account"`
	Self    bool      `json:"self"`
	Trust   Trust     `json:"trust"`
	Reason  *Sentence `json:"reason,omitempty"` // TrustChanged, TrustStop: why
	Devices int       `json:"devices"`
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
	// What both read to each other: twelve words of one list, or digits instead;
	// the same on both sides. None for oneself.
	Words  []string  `json:"words"`
	Digits string    `json:"digits"`
	Fix    *Sentence `json:"fix,omitempty"` // TrustStop: what to do
	// When the log was last compared.
	Checked Millis        `json:"checked"`
	History []PersonEvent `json:"history"` // newest first
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
	PersonReset    PersonEventKind = "reset"    // the account was made anew
	PersonRefused  PersonEventKind = "refused"  // that was objected to
	PersonVerified PersonEventKind = "verified" // words compared here
	PersonRenamed  PersonEventKind = "renamed"  // another handle, signed
	PersonEnded    PersonEventKind = "ended"    // the account
)

// PersonEvent is one change of somebody's keys.
type PersonEvent struct {
	Kind   PersonEventKind `json:"kind"`
	Time   Millis          `json:"time"`
	Device string          `json:"device"`
	Signed bool            `json:"signed"`         // by a device or the recovery key of the account
	Text   string          `json:"text"`           // English; interfaces translate the kind
	From   string          `json:"from,omitempty"` // PersonRenamed: the handles, "" if not known here
	To     string          `json:"to,omitempty"`
}

// NewName is what the own account is to be called.
type NewName struct {
	Handle string `json:"handle"`
}

// Verify records that the safety words were compared, or takes it back.
type Verify struct {
	Handle string `json:"handle"`
	Yes    bool   `json:"yes"`
	// The words or digits as the other read them, to be compared here; "" if a
	// person compared them.
	Said string `json:"said"`
}

// Note is a line about somebody's keys in a conversation's timeline.
type Note struct {
	Time   Millis          `json:"time"`
	Handle string          `json:"handle"`
	Kind   PersonEventKind `json:"kind"`
	Signed bool            `json:"signed"`
}

// NoteList is what changed with the keys of a conversation's people, oldest
// first.
type NoteList struct {
	Notes []Note `json:"notes"`
}

// InviteRequest makes an invitation; admins of the server may.
type InviteRequest struct {
	Uses  int    `json:"uses"`            // 0: 1
	Days  int    `json:"days"`            // 0: 7
	Reset string `json:"reset,omitempty"` // handle: for this person alone, to begin anew under it
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

// Strict is how long this person waits until somebody who was made anew counts.
type Strict struct {
	Strict bool `json:"strict"` // three days; else one
}

// Policy is one in the chain of policies that say who watches over the server's
// log.
type Policy struct {
	N         int64      `json:"n"`
	Hash      string     `json:"hash"` // lower-case hex; people compare its first 16 digits
	InForce   bool       `json:"inForce"`
	Counts    bool       `json:"counts"` // or did until a later one came
	Witnesses []string   `json:"witnesses"`
	Fewest    int        `json:"fewest"`  // how many of them have to vouch; 0: nobody is asked
	Signers   []string   `json:"signers"` // handles of those who may change it
	Needed    int        `json:"needed"`  // how many of them have to sign
	Changes   []Sentence `json:"changes"` // from the one before
	Waits     *Sentence  `json:"waits,omitempty"`
}

// PolicyList is the chain, oldest first.
type PolicyList struct {
	Policies []Policy `json:"policies"`
}

// PolicyHash names a policy by the beginning of its hash, 16 digits or more, as
// one of its signers said it.
type PolicyHash struct {
	Hash string `json:"hash"`
}

// Evidence is a file that proves, or reports, what a server did.
type Evidence struct {
	Name string `json:"name"`
	Size int64  `json:"size"`
	Time Millis `json:"time"`
}

// EvidenceList is the files this device keeps, oldest first.
type EvidenceList struct {
	Files []Evidence `json:"files"`
}

// EvidenceName asks for a file; its bytes come by the event file.chunk.
type EvidenceName struct {
	Name string `json:"name"`
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
	Chat     string    `json:"chat"` // Chat.id, "" if it concerns the account or the server
	Reason   *Sentence `json:"reason,omitempty"`
	Fix      *Sentence `json:"fix,omitempty"`
	Evidence string    `json:"evidence"` // where the proof is, "" if there is none
	Veto     bool      `json:"veto"`     // the own name is being taken over; veto stops it
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
	// What was found and what to do, where that says more than the code.
	Reason *Sentence `json:"reason,omitempty"`
	Fix    *Sentence `json:"fix,omitempty"`
}

func (e *Error) Error() string { return string(e.Code) + ": " + e.Text }
