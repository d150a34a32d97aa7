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
	proto.InviteUnknown:  {CodeInviteUnknown, "this invitation is not known to the server", "copy the whole link, up to its last character, or ask for another"},
	proto.InviteExpired:  {CodeInviteExpired, "this invitation has expired", "ask the person who invited you for another"},
	proto.InviteUsed:     {CodeInviteUsed, "this invitation has been used already", "each invitation is for one person; ask for another"},
	proto.NameTaken:      {CodeNameTaken, "this name is taken on the server", "choose another; your invitation is still good"},
	proto.BadName:        {CodeBadName, "this cannot be a name", "a name has 2 to 32 of the letters a to z, digits, dots and dashes"},
	proto.TooLarge:       {CodeTooLarge, "this is larger than the server takes", "send long texts as a file"},
	proto.Throttled:      {CodeThrottled, "too much at once, the server asks to slow down", "wait a minute and try again"},
	proto.Busy:           {CodeBusy, "the server is busy", "wait a minute and try again"},
	proto.Full:           {CodeServerFull, "the server's disk is full", "tell the server's admin; nothing was lost"},
	proto.Quota:          {CodeQuota, "the storage allotted to you on the server is used up", "tell the server's admin"},
	proto.Forbidden:      {CodeForbidden, "the server does not allow you to do this", "an admin of the server can: the first who joined"},
	proto.UnknownAccount: {CodeUnknownPerson, "the server knows nobody of that name", "check the spelling; names look like @alice"},
	proto.NotMember:      {CodeNotMember, "you are not a member of this conversation", ""},
	proto.NoneLeft:       {CodeNoneLeft, "this person's devices cannot be added now", "they need to be online once; try again after that"},
	proto.Gone:           {CodeGone, "the server no longer holds these messages", "read on another device that was online in time"},
	proto.NoBlob:         {CodeGone, "the server no longer holds this file", "ask the sender to send it again"},
	proto.NoAccount:      {CodeNoProfile, "this account does not exist on the server", "was the server set up anew? ask its admin for an invitation"},
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
		return &Error{CodePin, pin.Error(), pin.Hint()}
	case errors.As(err, &safety):
		return &Error{CodeSafety, safety.Error(), safety.Hint()}
	case errors.As(err, &damaged):
		return &Error{CodeDamaged, damaged.Error(), damaged.Hint()}
	case errors.As(err, &refused):
		if known, ok := refusals[refused.Code]; ok {
			return &known
		}
		return &Error{CodeRefused, err.Error(), ""}
	}
	for _, s := range sentinels {
		if errors.Is(err, s.is) {
			return &Error{s.as, err.Error(), s.hint}
		}
	}
	e := &Error{Code: CodeInternal, Text: err.Error()}
	if errors.As(err, &hinter) {
		e.Hint = hinter.Hint()
	}
	return e
}
