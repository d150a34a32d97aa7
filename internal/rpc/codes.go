package rpc

// ErrorCode is the closed list of why a call fails.
type ErrorCode string

// The codes of this side; the server's refusals follow.
const (
	CodeBadRequest    ErrorCode = "bad-request" // a bug of the interface
	CodeInternal      ErrorCode = "internal"
	CodeCancelled     ErrorCode = "cancelled"
	CodeDisconnected  ErrorCode = "disconnected" // the core went away; made by the interface's end
	CodeUnsupported   ErrorCode = "unsupported"  // not in this version
	CodeNoProfile     ErrorCode = "no-profile"
	CodeHasProfile    ErrorCode = "has-profile"
	CodeUnreachable   ErrorCode = "unreachable"
	CodeUnknownChat   ErrorCode = "unknown-chat"
	CodeUnknownPerson ErrorCode = "unknown-person"
	CodeUnknownItem   ErrorCode = "unknown-message"
	CodeNotMember     ErrorCode = "not-member"
	CodeRevoked       ErrorCode = "revoked"
	CodeTooLarge      ErrorCode = "too-large"
	CodeForbidden     ErrorCode = "forbidden"
	CodeExists        ErrorCode = "exists"
	CodeBadName       ErrorCode = "bad-name"
	CodeBadInvite     ErrorCode = "bad-invite"
	CodeOtherServer   ErrorCode = "other-server" // the invitation leads elsewhere
	CodeBadCode       ErrorCode = "bad-code"     // linking: no device waits with it
	CodeNotApproved   ErrorCode = "not-approved"
	CodeBadRecovery   ErrorCode = "bad-recovery"
	CodeNoBackup      ErrorCode = "no-backup"
	CodeOtherWords    ErrorCode = "other-words" // what was said are not the safety words
	CodeSafety        ErrorCode = "safety"      // stopped; the text says what was found
	CodePin           ErrorCode = "pin"         // another server answers
	CodeDamaged       ErrorCode = "damaged"     // what is stored does not open
	CodeFull          ErrorCode = "full"        // no room on this device
	CodeNotNow        ErrorCode = "not-now"     // the reason says what is in the way

	CodeInviteUnknown ErrorCode = "invite-unknown"
	CodeInviteExpired ErrorCode = "invite-expired"
	CodeInviteUsed    ErrorCode = "invite-used"
	CodeNameTaken     ErrorCode = "name-taken"
	CodeNameLeft      ErrorCode = "name-left"    // for a new name: it is or was somebody else's
	CodeNamePending   ErrorCode = "name-pending" // the own one is being given to another account
	CodeTooSoon       ErrorCode = "too-soon"     // the own name was changed too often of late
	CodeThrottled     ErrorCode = "throttled"
	CodeBusy          ErrorCode = "busy"
	CodeServerFull    ErrorCode = "server-full"
	CodeQuota         ErrorCode = "quota"
	CodeNoneLeft      ErrorCode = "none-left" // nobody's device can be added now
	CodeGone          ErrorCode = "gone"      // the server no longer holds it
	CodeRefused       ErrorCode = "refused"   // any other refusal of the server
)

// SentenceCode tells which sentence the core says; sentences.go lists them.
type SentenceCode string
