package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"

	"codeberg.org/huis/huis/internal/client"
	"codeberg.org/huis/huis/internal/client/store"
	"codeberg.org/huis/huis/internal/proto"
)

// usageError is a command that was not spelled right.
type usageError struct {
	error
	hint string
}

func (e *usageError) Unwrap() error { return e.error }
func (e *usageError) Hint() string  { return e.hint }

func usagef(hint, format string, args ...any) error {
	return &usageError{fmt.Errorf(format, args...), hint}
}

// hinted is an error with a way out that no table could know.
type hinted struct {
	error
	hint string
}

func (e *hinted) Unwrap() error { return e.error }
func (e *hinted) Hint() string  { return e.hint }

// refusals gives each refusal of the server its words: what happened, and what
// to do. What is not in the table is said in the server's words.
var refusals = map[proto.Code]struct{ text, hint string }{
	proto.InviteUnknown:  {"this invitation is not known to the server", "copy the whole link, up to its last character, or ask for another invitation"},
	proto.InviteExpired:  {"this invitation has expired", "ask the person who invited you for another: huis invite"},
	proto.InviteUsed:     {"this invitation has been used already", "each invitation is for one person; ask for another: huis invite"},
	proto.NameTaken:      {"this name is taken on the server", "choose another: --handle NAME; your invitation is still good"},
	proto.BadName:        {"this cannot be a name", "a name has 2 to 32 of the letters a to z, digits, dots and dashes"},
	proto.TooSoon:        {"your name was changed twice within a week", "wait until a week has passed since; the name you have stays yours"},
	proto.TooLarge:       {"this is larger than the server takes", "send long texts as a file: huis send CHAT --file FILE"},
	proto.Throttled:      {"too much at once, the server asks to slow down", "wait a minute and try again"},
	proto.Busy:           {"the server is busy", "wait a minute and try again"},
	proto.Full:           {"the server's disk is full", "tell the server's admin; nothing was lost"},
	proto.Quota:          {"the storage allotted to you on the server is used up", "tell the server's admin"},
	proto.Forbidden:      {"the server does not allow you to do this", "an admin of the server can: the first who joined"},
	proto.UnknownAccount: {"the server knows nobody of that name", "check the spelling; names look like @alice"},
	proto.NotMember:      {"you are not a member of this conversation", "huis chat list shows those you are in"},
	proto.NoneLeft:       {"this person's devices cannot be added now", "they need to be online once; try again after that"},
	proto.Gone:           {"the server no longer holds these messages", "read on another device that was online in time"},
	proto.NoBlob:         {"the server no longer holds this file", "ask the sender to send it again"},
	proto.Restoring:      {"the server was restored from a backup and waits until everybody's devices have given back what came after it", "this device has done its part, or does it with the next command; start huis on your other devices too. What you send meanwhile goes out later"},
	proto.NoAccount:      {"this account does not exist on the server", "was the server set up anew? ask its admin for an invitation"},
}

// sentinels gives the client's errors their way out.
var sentinels = []struct {
	is   error
	hint string
}{
	{client.ErrNoProfile, "join with an invitation (huis join INVITE --handle NAME), or choose another folder with --profile DIR"},
	{client.ErrUnreachable, "is the server running, and are you connected? what you send meanwhile waits on this device"},
	{client.ErrUnknownChat, "huis chat list shows the conversations; huis chat new NAME @PERSON makes one"},
	{client.ErrUnknownPerson, "check the spelling; names look like @alice"},
	{client.ErrNotMember, "ask a member to add you: huis chat add CHAT @YOU"},
	{client.ErrRevoked, "another device of yours ended this one; it becomes yours again in an empty folder: huis link SERVER --handle NAME --profile DIR"},
	{client.ErrTooLarge, "a text has at most 64 KiB, a file 16 GiB; send long texts as a file: huis send CHAT --file FILE"},
	{client.ErrNothingToRefuse, "nothing is to be done; huis verify @NAME shows what changed with somebody"},
	{client.ErrForbidden, "ask an admin of the conversation: huis chat members CHAT shows who is"},
	{client.ErrExists, "choose another name, or use the one there is: huis chat list"},
	{store.ErrFull, "make room on this disk and try again; nothing was lost"},
	{syscall.ENOSPC, "make room on this disk and try again"},
	{os.ErrPermission, "this folder or file belongs to somebody else; choose another with --profile DIR"},
	{context.Canceled, "run the command again; what was kept is not lost"},
}

// defaultHint is what remains to say of an error no table knows.
const defaultHint = "huis status shows how this device stands"

// orHint gives err a way out of its own unless it has one.
func orHint(err error, hint string) error {
	if err == nil {
		return nil
	}
	if _, known, _ := explain(err); known != defaultHint {
		return err
	}
	return &hinted{err, hint}
}

// explain says what went wrong, what to do, and how the program ends.
func explain(err error) (text, hint string, code int) {
	text, hint, code = err.Error(), defaultHint, exitFailed
	var (
		usage   *usageError
		pin     *client.PinError
		safety  *client.SafetyError
		damaged *store.DamagedError
		refused *proto.Error
		hinter  interface{ Hint() string }
	)
	switch {
	case errors.As(err, &usage):
		return text, usage.hint, exitUsage
	case errors.As(err, &pin):
		return pin.Error(), pin.Hint(), exitSafety
	case errors.As(err, &safety):
		return safety.Error(), safety.Hint(), exitSafety
	case errors.As(err, &damaged):
		return damaged.Error(), damaged.Hint(), exitFailed
	case errors.As(err, &hinter):
		return text, hinter.Hint(), exitFailed
	case errors.As(err, &refused):
		if known, ok := refusals[refused.Code]; ok {
			text, hint = known.text, known.hint
		}
		return text, hint, exitFailed
	}
	for _, s := range sentinels {
		if errors.Is(err, s.is) {
			return strings.TrimPrefix(text, "store: "), s.hint, exitFailed
		}
	}
	return text, hint, code
}

// report writes an error and its way out, and gives the exit code.
func report(w io.Writer, err error) int {
	if err == nil {
		return exitDone
	}
	text, hint, code := explain(err)
	fmt.Fprintf(w, "huis: error: %s\nhuis: hint: %s\n", printable(text), printable(hint))
	return code
}
