package rpc

var errUnsupported = &Error{Code: CodeUnsupported, Text: "not in this version"}

func (c *Core) state(k *Call, _ *Empty) (*State, error)                   { return nil, errUnsupported }
func (c *Core) status(k *Call, _ *Empty) (*Status, error)                 { return nil, errUnsupported }
func (c *Core) syncNow(k *Call, _ *Empty) (*Status, error)                { return nil, errUnsupported }
func (c *Core) alarms(k *Call, _ *Empty) (*AlarmList, error)              { return nil, errUnsupported }
func (c *Core) inspectInvite(k *Call, q *InviteText) (*InviteInfo, error) { return nil, errUnsupported }
func (c *Core) makeInvite(k *Call, q *InviteRequest) (*Invite, error)     { return nil, errUnsupported }
func (c *Core) join(k *Call, q *JoinRequest) (*Joined, error)             { return nil, errUnsupported }
func (c *Core) link(k *Call, q *LinkRequest) (*State, error)              { return nil, errUnsupported }
func (c *Core) approve(k *Call, q *ApproveRequest) (*Device, error)       { return nil, errUnsupported }
func (c *Core) recover(k *Call, q *RecoverRequest) (*State, error)        { return nil, errUnsupported }
func (c *Core) confirmRecovery(k *Call, q *RecoveryConfirm) (*Confirmed, error) {
	return nil, errUnsupported
}
func (c *Core) chats(k *Call, _ *Empty) (*ChatList, error)                { return nil, errUnsupported }
func (c *Core) chat(k *Call, q *ChatID) (*Chat, error)                    { return nil, errUnsupported }
func (c *Core) newChat(k *Call, q *NewChat) (*Chat, error)                { return nil, errUnsupported }
func (c *Core) openChat(k *Call, q *OpenChat) (*Chat, error)              { return nil, errUnsupported }
func (c *Core) leave(k *Call, q *ChatID) (*Chat, error)                   { return nil, errUnsupported }
func (c *Core) rename(k *Call, q *Rename) (*Chat, error)                  { return nil, errUnsupported }
func (c *Core) setExpiry(k *Call, q *SetExpiry) (*Chat, error)            { return nil, errUnsupported }
func (c *Core) setDraft(k *Call, q *SetDraft) (*Empty, error)             { return nil, errUnsupported }
func (c *Core) markRead(k *Call, q *MarkRead) (*Empty, error)             { return nil, errUnsupported }
func (c *Core) setMuted(k *Call, q *SetMuted) (*Chat, error)              { return nil, errUnsupported }
func (c *Core) members(k *Call, q *ChatID) (*MemberList, error)           { return nil, errUnsupported }
func (c *Core) addMembers(k *Call, q *ChatPeople) (*MemberList, error)    { return nil, errUnsupported }
func (c *Core) removeMembers(k *Call, q *ChatPeople) (*MemberList, error) { return nil, errUnsupported }
func (c *Core) setRole(k *Call, q *SetRole) (*MemberList, error)          { return nil, errUnsupported }
func (c *Core) messages(k *Call, q *MessagesRequest) (*MessagesPage, error) {
	return nil, errUnsupported
}
func (c *Core) messagesBySeq(k *Call, q *MessageIDs) (*MessageList, error) {
	return nil, errUnsupported
}
func (c *Core) send(k *Call, q *SendRequest) (*Sent, error)    { return nil, errUnsupported }
func (c *Core) react(k *Call, q *ReactRequest) (*Empty, error) { return nil, errUnsupported }
func (c *Core) edit(k *Call, q *EditRequest) (*Empty, error)   { return nil, errUnsupported }
func (c *Core) takeBack(k *Call, q *MessageID) (*Empty, error) { return nil, errUnsupported }
func (c *Core) readAttachment(k *Call, q *AttachmentRequest) (*Attachment, error) {
	return nil, errUnsupported
}
func (c *Core) search(k *Call, q *SearchRequest) (*SearchResult, error) { return nil, errUnsupported }
func (c *Core) people(k *Call, _ *Empty) (*PersonList, error)           { return nil, errUnsupported }
func (c *Core) person(k *Call, q *PersonName) (*PersonDetail, error)    { return nil, errUnsupported }
func (c *Core) verify(k *Call, q *Verify) (*PersonDetail, error)        { return nil, errUnsupported }
func (c *Core) devices(k *Call, _ *Empty) (*DeviceList, error)          { return nil, errUnsupported }
func (c *Core) revoke(k *Call, q *DeviceID) (*DeviceList, error)        { return nil, errUnsupported }
func (c *Core) settings(k *Call, _ *Empty) (*Settings, error)           { return nil, errUnsupported }
func (c *Core) setSettings(k *Call, q *Settings) (*Settings, error)     { return nil, errUnsupported }
