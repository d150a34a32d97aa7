package rpc

import (
	"context"
	"errors"

	"codeberg.org/huis/huis/internal/client"
	"codeberg.org/huis/huis/internal/client/store"
	"codeberg.org/huis/huis/internal/proto"
)

// refusals gives the server's refusals their codes and words. What is not here
// is CodeRefused.
var refusals = map[proto.Code]Error{
	proto.InviteUnknown:  {Code: CodeInviteUnknown, Text: "this invitation is not known to the server", Hint: "copy the whole link, up to its last character, or ask for another"},
	proto.InviteExpired:  {Code: CodeInviteExpired, Text: "this invitation has expired", Hint: "ask the person who invited you for another"},
	proto.InviteUsed:     {Code: CodeInviteUsed, Text: "this invitation has been used already", Hint: "each invitation is for one person; ask for another"},
	proto.NameTaken:      {Code: CodeNameTaken, Text: "this name is taken on the server", Hint: "choose another; your invitation is still good"},
	proto.BadName:        {Code: CodeBadName, Text: "this cannot be a name", Hint: "a name has 2 to 32 of the letters a to z, digits, dots and dashes"},
	proto.TooSoon:        {Code: CodeTooSoon, Text: "your name was changed twice within a week", Hint: "wait until a week has passed since"},
	proto.TooLarge:       {Code: CodeTooLarge, Text: "this is larger than the server takes", Hint: "send long texts as a file"},
	proto.Throttled:      {Code: CodeThrottled, Text: "too much at once, the server asks to slow down", Hint: "wait a minute and try again"},
	proto.Busy:           {Code: CodeBusy, Text: "the server is busy", Hint: "wait a minute and try again"},
	proto.Full:           {Code: CodeServerFull, Text: "the server's disk is full", Hint: "tell the server's admin; nothing was lost"},
	proto.Quota:          {Code: CodeQuota, Text: "the storage allotted to you on the server is used up", Hint: "tell the server's admin"},
	proto.Forbidden:      {Code: CodeForbidden, Text: "the server does not allow you to do this", Hint: "an admin of the server can: the first who joined"},
	proto.UnknownAccount: {Code: CodeUnknownPerson, Text: "the server knows nobody of that name", Hint: "check the spelling; names look like @alice"},
	proto.NotMember:      {Code: CodeNotMember, Text: "you are not a member of this conversation", Hint: ""},
	proto.NoneLeft:       {Code: CodeNoneLeft, Text: "this person's devices cannot be added now", Hint: "they need to be online once; try again after that"},
	proto.Gone:           {Code: CodeGone, Text: "the server no longer holds these messages", Hint: "read on another device that was online in time"},
	proto.NoBlob:         {Code: CodeGone, Text: "the server no longer holds this file", Hint: "ask the sender to send it again"},
	proto.NoAccount:      {Code: CodeNoProfile, Text: "this account does not exist on the server", Hint: "was the server set up anew? ask its admin for an invitation"},
}

// sentinels gives the client's errors theirs.
var sentinels = []struct {
	is   error
	as   ErrorCode
	hint string
}{
	{client.ErrNoProfile, CodeNoProfile, "join with an invitation, or link this device"},
	{client.ErrUnreachable, CodeUnreachable, "are you connected? what you send meanwhile waits on this device"},
	{client.ErrUnknownChat, CodeUnknownChat, ""},
	{client.ErrUnknownPerson, CodeUnknownPerson, "check the spelling; names look like @alice"},
	{client.ErrUnknownMessage, CodeUnknownItem, ""},
	{client.ErrNoBackup, CodeNoBackup, "without it every conversation has to add this device anew"},
	{client.ErrOtherWords, CodeOtherWords, "ask again, slowly; if they differ, somebody may be between you"},
	{client.ErrNotMember, CodeNotMember, "ask a member to add you"},
	{client.ErrRevoked, CodeRevoked, "another device of yours ended this one; link it anew"},
	{client.ErrTooLarge, CodeTooLarge, "a text has at most 64 KiB, a file 16 GiB"},
	{client.ErrForbidden, CodeForbidden, "ask an admin of the conversation"},
	{client.ErrExists, CodeExists, "choose another name, or use the one there is"},
	{store.ErrFull, CodeFull, "make room on this device and try again; nothing was lost"},
	{context.Canceled, CodeCancelled, ""},
	{context.DeadlineExceeded, CodeUnreachable, "try again"},
}

// Explain is err as an interface is told of it.
func Explain(err error) *Error {
	var (
		own     *Error
		pin     *client.PinError
		safety  *client.SafetyError
		damaged *store.DamagedError
		refused *proto.Error
		hinter  interface{ Hint() string }
	)
	switch {
	case errors.As(err, &own):
		return own
	case errors.As(err, &pin):
		return &Error{Code: CodePin, Text: pin.Error(), Hint: pin.Hint()}
	case errors.As(err, &safety):
		return &Error{Code: CodeSafety, Text: safety.Error(), Hint: safety.Hint(), Reason: say(safety.Reason), Fix: say(safety.Fix)}
	case errors.As(err, &damaged):
		return &Error{Code: CodeDamaged, Text: damaged.Error(), Hint: damaged.Hint()}
	case errors.As(err, &refused):
		if known, ok := refusals[refused.Code]; ok {
			return &known
		}
		return &Error{Code: CodeRefused, Text: err.Error()}
	}
	for _, s := range sentinels {
		if errors.Is(err, s.is) {
			return &Error{Code: s.as, Text: err.Error(), Hint: s.hint}
		}
	}
	e := &Error{Code: CodeInternal, Text: err.Error()}
	if errors.As(err, &hinter) {
		e.Code, e.Hint = CodeNotNow, hinter.Hint()
		e.Reason, e.Fix = say(e.Text), say(e.Hint)
	}
	return e
}
