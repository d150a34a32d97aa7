// Code generated from the types by `go generate ./internal/rpc`. DO NOT EDIT.

package rpc

func (v *State) fields(c *codec) {
	text(c, "phase", &v.Phase)
	text(c, "where", &v.Where)
	text(c, "version", &v.Version)
	text(c, "handle", &v.Handle)
	text(c, "account", &v.Account)
	text(c, "device", &v.Device)
	text(c, "server", &v.Server)
	truth(c, "recoveryUnconfirmed", &v.RecoveryUnconfirmed)
}

func (*Empty) fields(*codec) {}

func (v *JoinRequest) fields(c *codec) {
	text(c, "invite", &v.Invite)
	text(c, "handle", &v.Handle)
}

func (v *Joined) fields(c *codec) {
	part(c, "state", &v.State)
	text(c, "recoveryKey", &v.RecoveryKey)
}

func (v *InviteInfo) fields(c *codec) {
	text(c, "server", &v.Server)
	number(c, "expires", &v.Expires)
	truth(c, "expired", &v.Expired)
	truth(c, "otherServer", &v.OtherServer)
}

func (v *InviteText) fields(c *codec) {
	text(c, "invite", &v.Invite)
}

func (v *RecoveryConfirm) fields(c *codec) {
	text(c, "key", &v.Key)
}

func (v *Confirmed) fields(c *codec) {
	truth(c, "right", &v.Right)
}

func (v *LinkRequest) fields(c *codec) {
	text(c, "server", &v.Server)
	text(c, "handle", &v.Handle)
}

func (v *LinkCode) fields(c *codec) {
	text(c, "code", &v.Code)
}

func (v *ApproveRequest) fields(c *codec) {
	text(c, "code", &v.Code)
}

func (v *ApproveConfirm) fields(c *codec) {
	text(c, "device", &v.Device)
	text(c, "code", &v.Code)
}

func (v *Answer) fields(c *codec) {
	truth(c, "yes", &v.Yes)
}

func (v *RecoverRequest) fields(c *codec) {
	text(c, "server", &v.Server)
	text(c, "handle", &v.Handle)
	text(c, "key", &v.Key)
	truth(c, "withoutBackup", &v.WithoutBackup)
	truth(c, "endOthers", &v.EndOthers)
}

func (v *Recovered) fields(c *codec) {
	part(c, "state", &v.State)
	number(c, "backup", &v.Backup)
	texts(c, "others", &v.Others)
}

func (v *RecoveryKey) fields(c *codec) {
	text(c, "key", &v.Key)
}

func (v *Device) fields(c *codec) {
	text(c, "id", &v.ID)
	truth(c, "own", &v.Own)
	number(c, "added", &v.Added)
	truth(c, "revoked", &v.Revoked)
}

func (v *DeviceList) fields(c *codec) {
	list(c, "devices", &v.Devices)
}

func (v *DeviceID) fields(c *codec) {
	text(c, "id", &v.ID)
}

func (v *Status) fields(c *codec) {
	truth(c, "online", &v.Online)
	truth(c, "syncing", &v.Syncing)
	number(c, "lastSync", &v.LastSync)
	number(c, "outbox", &v.Outbox)
	part(c, "log", &v.Log)
	list(c, "warnings", &v.Warnings)
}

func (v *Log) fields(c *codec) {
	number(c, "size", &v.Size)
	text(c, "root", &v.Root)
	text(c, "policy", &v.Policy)
	list(c, "witnesses", &v.Witnesses)
	truth(c, "witnessed", &v.Witnessed)
}

func (v *Witness) fields(c *codec) {
	text(c, "name", &v.Name)
	number(c, "time", &v.Time)
}

func (v *Sentence) fields(c *codec) {
	text(c, "code", &v.Code)
	texts(c, "with", &v.With)
	text(c, "text", &v.Text)
}

func (v *Warning) fields(c *codec) {
	text(c, "chat", &v.Chat)
	text(c, "name", &v.Name)
	maybe(c, "say?", &v.Say)
}

func (v *Chat) fields(c *codec) {
	text(c, "id", &v.ID)
	text(c, "name", &v.Name)
	text(c, "kind", &v.Kind)
	text(c, "state", &v.State)
	maybe(c, "stopped?", &v.Stopped)
	text(c, "person", &v.Person)
	text(c, "trust", &v.Trust)
	number(c, "people", &v.People)
	text(c, "role", &v.Role)
	number(c, "unread", &v.Unread)
	truth(c, "mentioned", &v.Mentioned)
	maybe(c, "last?", &v.Last)
	text(c, "draft", &v.Draft)
	number(c, "expiry", &v.Expiry)
	number(c, "time", &v.Time)
	number(c, "read", &v.Read)
	truth(c, "muted", &v.Muted)
}

func (v *Last) fields(c *codec) {
	text(c, "from", &v.From)
	truth(c, "own", &v.Own)
	text(c, "kind", &v.Kind)
	text(c, "body", &v.Body)
	text(c, "file", &v.File)
	number(c, "time", &v.Time)
	text(c, "state", &v.State)
	list(c, "events", &v.Events)
}

func (v *ChatList) fields(c *codec) {
	list(c, "chats", &v.Chats)
}

func (v *ChatID) fields(c *codec) {
	text(c, "chat", &v.Chat)
}

func (v *NewChat) fields(c *codec) {
	text(c, "name", &v.Name)
	texts(c, "people", &v.People)
}

func (v *OpenChat) fields(c *codec) {
	text(c, "person", &v.Person)
}

func (v *Member) fields(c *codec) {
	text(c, "handle", &v.Handle)
	text(c, "account", &v.Account)
	truth(c, "self", &v.Self)
	text(c, "role", &v.Role)
	text(c, "trust", &v.Trust)
	maybe(c, "reason?", &v.Reason)
	number(c, "since", &v.Since)
	list(c, "devices", &v.Devices)
}

func (v *MemberDevice) fields(c *codec) {
	text(c, "id", &v.ID)
	number(c, "since", &v.Since)
	maybe(c, "warning?", &v.Warning)
}

func (v *MemberList) fields(c *codec) {
	list(c, "members", &v.Members)
	truth(c, "mayAdd", &v.MayAdd)
	truth(c, "mayRemove", &v.MayRemove)
	truth(c, "mayChange", &v.MayChange)
}

func (v *ChatPeople) fields(c *codec) {
	text(c, "chat", &v.Chat)
	texts(c, "people", &v.People)
}

func (v *SetRole) fields(c *codec) {
	text(c, "chat", &v.Chat)
	text(c, "person", &v.Person)
	text(c, "role", &v.Role)
}

func (v *Rename) fields(c *codec) {
	text(c, "chat", &v.Chat)
	text(c, "name", &v.Name)
}

func (v *SetExpiry) fields(c *codec) {
	text(c, "chat", &v.Chat)
	number(c, "seconds", &v.Seconds)
}

func (v *SetMuted) fields(c *codec) {
	text(c, "chat", &v.Chat)
	truth(c, "muted", &v.Muted)
}

func (v *SetDraft) fields(c *codec) {
	text(c, "chat", &v.Chat)
	text(c, "text", &v.Text)
}

func (v *MarkRead) fields(c *codec) {
	text(c, "chat", &v.Chat)
	number(c, "seq", &v.Seq)
}

func (v *Person) fields(c *codec) {
	text(c, "handle", &v.Handle)
	text(c, "account", &v.Account)
	truth(c, "self", &v.Self)
	text(c, "trust", &v.Trust)
	maybe(c, "reason?", &v.Reason)
	number(c, "devices", &v.Devices)
	number(c, "verified", &v.Verified)
	text(c, "chat", &v.Chat)
}

func (v *PersonList) fields(c *codec) {
	list(c, "people", &v.People)
}

func (v *PersonName) fields(c *codec) {
	text(c, "handle", &v.Handle)
}

func (v *PersonDetail) fields(c *codec) {
	part(c, "person", &v.Person)
	texts(c, "words", &v.Words)
	text(c, "digits", &v.Digits)
	maybe(c, "fix?", &v.Fix)
	number(c, "checked", &v.Checked)
	list(c, "history", &v.History)
}

func (v *PersonEvent) fields(c *codec) {
	text(c, "kind", &v.Kind)
	number(c, "time", &v.Time)
	text(c, "device", &v.Device)
	truth(c, "signed", &v.Signed)
	text(c, "text", &v.Text)
	text(c, "from?", &v.From)
	text(c, "to?", &v.To)
}

func (v *NewName) fields(c *codec) {
	text(c, "handle", &v.Handle)
}

func (v *Verify) fields(c *codec) {
	text(c, "handle", &v.Handle)
	truth(c, "yes", &v.Yes)
	text(c, "said", &v.Said)
}

func (v *Note) fields(c *codec) {
	number(c, "time", &v.Time)
	text(c, "handle", &v.Handle)
	text(c, "kind", &v.Kind)
	truth(c, "signed", &v.Signed)
}

func (v *NoteList) fields(c *codec) {
	list(c, "notes", &v.Notes)
}

func (v *InviteRequest) fields(c *codec) {
	number(c, "uses", &v.Uses)
	number(c, "days", &v.Days)
	text(c, "reset?", &v.Reset)
}

func (v *Invite) fields(c *codec) {
	text(c, "link", &v.Link)
	number(c, "expires", &v.Expires)
}

func (v *SearchRequest) fields(c *codec) {
	text(c, "text", &v.Text)
	text(c, "chat?", &v.Chat)
	text(c, "from?", &v.From)
	number(c, "limit?", &v.Limit)
	text(c, "cursor?", &v.Cursor)
}

func (v *SearchResult) fields(c *codec) {
	list(c, "hits", &v.Hits)
	text(c, "cursor", &v.Cursor)
}

func (v *SearchHit) fields(c *codec) {
	part(c, "message", &v.Message)
	pairs(c, "ranges", &v.Ranges)
}

func (v *Settings) fields(c *codec) {
	entries(c, "values", &v.Values)
}

func (v *Strict) fields(c *codec) {
	truth(c, "strict", &v.Strict)
}

func (v *Policy) fields(c *codec) {
	number(c, "n", &v.N)
	text(c, "hash", &v.Hash)
	truth(c, "inForce", &v.InForce)
	truth(c, "counts", &v.Counts)
	texts(c, "witnesses", &v.Witnesses)
	number(c, "fewest", &v.Fewest)
	texts(c, "signers", &v.Signers)
	number(c, "needed", &v.Needed)
	list(c, "changes", &v.Changes)
	maybe(c, "waits?", &v.Waits)
}

func (v *PolicyList) fields(c *codec) {
	list(c, "policies", &v.Policies)
}

func (v *PolicyHash) fields(c *codec) {
	text(c, "hash", &v.Hash)
}

func (v *Evidence) fields(c *codec) {
	text(c, "name", &v.Name)
	number(c, "size", &v.Size)
	number(c, "time", &v.Time)
}

func (v *EvidenceList) fields(c *codec) {
	list(c, "files", &v.Files)
}

func (v *EvidenceName) fields(c *codec) {
	text(c, "name", &v.Name)
}

func (v *SyncEvent) fields(c *codec) {
	truth(c, "online", &v.Online)
	truth(c, "syncing", &v.Syncing)
	number(c, "outbox", &v.Outbox)
}

func (v *ChatsEvent) fields(c *codec) {
	list(c, "chats", &v.Chats)
	texts(c, "gone", &v.Gone)
}

func (v *MessagesEvent) fields(c *codec) {
	text(c, "chat", &v.Chat)
	numbers64(c, "seqs", &v.Seqs)
}

func (v *NewMessageEvent) fields(c *codec) {
	part(c, "message", &v.Message)
	part(c, "chat", &v.Chat)
}

func (v *Alarm) fields(c *codec) {
	text(c, "chat", &v.Chat)
	maybe(c, "reason?", &v.Reason)
	maybe(c, "fix?", &v.Fix)
	text(c, "evidence", &v.Evidence)
	truth(c, "veto", &v.Veto)
}

func (v *AlarmList) fields(c *codec) {
	list(c, "alarms", &v.Alarms)
}

func (v *Error) fields(c *codec) {
	text(c, "code", &v.Code)
	text(c, "text", &v.Text)
	text(c, "hint", &v.Hint)
	maybe(c, "reason?", &v.Reason)
	maybe(c, "fix?", &v.Fix)
}

func (v *Message) fields(c *codec) {
	text(c, "id", &v.ID)
	text(c, "chat", &v.Chat)
	number(c, "seq", &v.Seq)
	number(c, "time", &v.Time)
	text(c, "from", &v.From)
	text(c, "device", &v.Device)
	truth(c, "own", &v.Own)
	text(c, "kind", &v.Kind)
	text(c, "state", &v.State)
	text(c, "body", &v.Body)
	number(c, "edited", &v.Edited)
	truth(c, "mention", &v.Mention)
	maybe(c, "reply?", &v.Reply)
	list(c, "attachments", &v.Attachments)
	list(c, "reactions", &v.Reactions)
	texts(c, "readBy", &v.ReadBy)
	number(c, "expires", &v.Expires)
	list(c, "events", &v.Events)
	text(c, "why", &v.Why)
}

func (v *Quote) fields(c *codec) {
	text(c, "id", &v.ID)
	number(c, "seq", &v.Seq)
	text(c, "from", &v.From)
	text(c, "kind", &v.Kind)
	text(c, "body", &v.Body)
	text(c, "file", &v.File)
}

func (v *Attachment) fields(c *codec) {
	text(c, "name", &v.Name)
	text(c, "mediaType", &v.MediaType)
	number(c, "size", &v.Size)
	text(c, "sha256", &v.SHA256)
	number(c, "duration", &v.Duration)
}

func (v *Reaction) fields(c *codec) {
	text(c, "emoji", &v.Emoji)
	texts(c, "by", &v.By)
	truth(c, "own", &v.Own)
}

func (v *ChatEvent) fields(c *codec) {
	text(c, "kind", &v.Kind)
	text(c, "by", &v.By)
	texts(c, "people", &v.People)
	text(c, "text", &v.Text)
	number(c, "number", &v.Number)
}

func (v *MessagesRequest) fields(c *codec) {
	text(c, "chat", &v.Chat)
	number(c, "before?", &v.Before)
	number(c, "after?", &v.After)
	number(c, "around?", &v.Around)
	number(c, "limit?", &v.Limit)
}

func (v *MessagesPage) fields(c *codec) {
	list(c, "messages", &v.Messages)
	truth(c, "earlier", &v.Earlier)
	truth(c, "later", &v.Later)
	number(c, "read", &v.Read)
}

func (v *MessageIDs) fields(c *codec) {
	text(c, "chat", &v.Chat)
	numbers64(c, "seqs", &v.Seqs)
}

func (v *MessageList) fields(c *codec) {
	list(c, "messages", &v.Messages)
}

func (v *FileInfo) fields(c *codec) {
	text(c, "name", &v.Name)
	number(c, "size", &v.Size)
	text(c, "mediaType", &v.MediaType)
}

func (v *SendRequest) fields(c *codec) {
	text(c, "chat", &v.Chat)
	text(c, "body", &v.Body)
	text(c, "reply?", &v.Reply)
	list(c, "files?", &v.Files)
	number(c, "voice?", &v.Voice)
}

func (v *Sent) fields(c *codec) {
	part(c, "message", &v.Message)
}

func (v *FileWant) fields(c *codec) {
	number(c, "file", &v.File)
	number(c, "offset", &v.Offset)
	number(c, "length", &v.Length)
}

func (v *Progress) fields(c *codec) {
	number(c, "done", &v.Done)
	number(c, "total", &v.Total)
}

func (v *ReactRequest) fields(c *codec) {
	text(c, "chat", &v.Chat)
	text(c, "message", &v.Message)
	text(c, "emoji", &v.Emoji)
}

func (v *EditRequest) fields(c *codec) {
	text(c, "chat", &v.Chat)
	text(c, "message", &v.Message)
	text(c, "body", &v.Body)
}

func (v *MessageID) fields(c *codec) {
	text(c, "chat", &v.Chat)
	text(c, "message", &v.Message)
}

func (v *AttachmentRequest) fields(c *codec) {
	text(c, "chat", &v.Chat)
	text(c, "message", &v.Message)
	number(c, "index", &v.Index)
}

func (v *FileChunk) fields(c *codec) {
	number(c, "offset", &v.Offset)
	number(c, "total", &v.Total)
}

func (v *CheckBundle) fields(c *codec) {
	text(c, "offered", &v.Offered)
	text(c, "used", &v.Used)
}

func (v *BundleChecked) fields(c *codec) {
	text(c, "state", &v.State)
}

func (v *Frame) fields(c *codec) {
	number(c, "id", &v.ID)
	text(c, "kind", &v.Kind)
	text(c, "method?", &v.Method)
	raw(c, "payload?", &v.Payload)
}
