package rpc

import "errors"

// method is one row of the table: the types of its call as nil pointers, and what
// answers it.
type method struct {
	request, answer record
	run             func(*Core, *Call, []byte) (record, error)
}

var errNoAnswer = errors.New("rpc: no answer")

// on makes a row of a handler.
func on[Q, A any, PQ to[Q], PA to[A]](f func(*Core, *Call, PQ) (PA, error)) method {
	return method{PQ(nil), PA(nil), func(c *Core, call *Call, payload []byte) (record, error) {
		q := PQ(new(Q))
		if len(payload) > 0 && decode(payload, q) != nil {
			return nil, &Error{Code: CodeBadRequest, Text: "the call's payload is malformed"}
		}
		a, err := f(c, call, q)
		if err == nil && a == nil {
			err = errNoAnswer
		}
		return a, err
	}}
}

// methods lists every call an interface can make. It is filled by init, since
// the handlers lead back to it.
var methods map[string]method

func init() {
	methods = map[string]method{
		"state":            on((*Core).state),
		"status":           on((*Core).status),
		"sync":             on((*Core).syncNow),
		"alarms":           on((*Core).alarms),
		"invite.inspect":   on((*Core).inspectInvite),
		"invite.make":      on((*Core).makeInvite),
		"join":             on((*Core).join),
		"link":             on((*Core).link),
		"link.approve":     on((*Core).approve),
		"recover":          on((*Core).recover),
		"recovery.show":    on((*Core).showRecovery),
		"recovery.confirm": on((*Core).confirmRecovery),
		"recovery.new":     on((*Core).newRecovery),

		"chats":       on((*Core).chats),
		"chat":        on((*Core).chat),
		"chat.new":    on((*Core).newChat),
		"chat.open":   on((*Core).openChat),
		"chat.leave":  on((*Core).leave),
		"chat.rename": on((*Core).rename),
		"chat.expiry": on((*Core).setExpiry),
		"chat.draft":  on((*Core).setDraft),
		"chat.read":   on((*Core).markRead),
		"chat.mute":   on((*Core).setMuted),
		"chat.notes":  on((*Core).notes),

		"members":        on((*Core).members),
		"members.add":    on((*Core).addMembers),
		"members.remove": on((*Core).removeMembers),
		"members.role":   on((*Core).setRole),

		"messages":        on((*Core).messages),
		"messages.get":    on((*Core).messagesBySeq),
		"message.send":    on((*Core).send),
		"message.react":   on((*Core).react),
		"message.edit":    on((*Core).edit),
		"message.delete":  on((*Core).takeBack),
		"attachment.read": on((*Core).readAttachment),

		"search": on((*Core).search),

		"people":        on((*Core).people),
		"person":        on((*Core).person),
		"person.verify": on((*Core).verify),

		"devices":        on((*Core).devices),
		"devices.revoke": on((*Core).revoke),

		"bundle.check":    on((*Core).checkBundle),
		"veto":            on((*Core).veto),
		"strict":          on((*Core).strict),
		"strict.set":      on((*Core).setStrict),
		"policies":        on((*Core).policies),
		"policies.accept": on((*Core).acceptPolicy),
		"evidence":        on((*Core).evidence),
		"evidence.read":   on((*Core).readEvidence),

		"account.rename": on((*Core).changeName),

		"settings":     on((*Core).settings),
		"settings.set": on((*Core).setSettings),
	}
}

// events lists what the core tells without being asked.
var events = map[string]record{
	"state":    (*State)(nil),
	"sync":     (*SyncEvent)(nil),
	"chats":    (*ChatsEvent)(nil),
	"messages": (*MessagesEvent)(nil),
	"message":  (*NewMessageEvent)(nil),
	"people":   (*Empty)(nil),
	"devices":  (*Empty)(nil),
	"settings": (*Settings)(nil),
	"alarm":    (*Alarm)(nil),
	"alarms":   (*AlarmList)(nil),
}

// exchange is an event within a call and what the interface answers to it; the
// answer's type is nil if the core does not wait for one.
type exchange struct{ tells, answer record }

// exchanges lists the events within calls, by name. Bytes go beside chunk and
// beside the answer to want.
var exchanges = map[string]exchange{
	"link.code":       {(*LinkCode)(nil), nil},
	"approve.confirm": {(*ApproveConfirm)(nil), (*Answer)(nil)},
	"file.want":       {(*FileWant)(nil), (*Empty)(nil)},
	"file.progress":   {(*Progress)(nil), nil},
	"file.chunk":      {(*FileChunk)(nil), (*Empty)(nil)},
}
