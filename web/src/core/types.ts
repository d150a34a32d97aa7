// Code generated from internal/rpc by `go test ./internal/rpc -run TypeScript -update`. DO NOT EDIT.

/** Millis is a time in milliseconds since 1970, 0 if there is none. */
export type Millis = number;

/** Phase is how far this device is. */
export type Phase = "new" | "ready" | "revoked";

/** State is the first thing an interface asks for, and is told when it changes. */
export interface State {
  phase: Phase;
  where: Where;
  version: string;
  /** without the @ */
  handle: string;
  /** lower-case hex */
  account: string;
  /** lower-case hex */
  device: string;
  /** https://host[:port]; what a new device has to be told, pin included */
  server: string;
  /** Set until the person has shown to have written the recovery key down. */
  recoveryUnconfirmed: boolean;
}

/** Where is where the core runs. */
export type Where = "browser" | "local";

/** Empty has nothing to say. */
export type Empty = Record<string, never>;

/** JoinRequest makes an account with an invitation. */
export interface JoinRequest {
  /** the whole link */
  invite: string;
  handle: string;
}

/** Joined is a new account. */
export interface Joined {
  state: State;
  /** Shown, written down, and asked for again; see recovery.confirm. */
  recoveryKey: string;
}

/** InviteInfo is what an invitation says before it is used. */
export interface InviteInfo {
  server: string;
  expires: Millis;
  expired: boolean;
  /** In a browser: that the link belongs to another server than this page. */
  otherServer: boolean;
}

/** InviteText is an invitation link as somebody got it. */
export interface InviteText {
  invite: string;
}

/** RecoveryConfirm is the recovery key as a person typed it, whole. */
export interface RecoveryConfirm {
  key: string;
}

/** Confirmed tells whether it was the right one. */
export interface Confirmed {
  right: boolean;
}

/** LinkRequest makes this a further device of an account. The call sends the event link.code and returns once the other device has approved. */
export interface LinkRequest {
  /** as State.Server on the other device; "" in a browser: this page's */
  server: string;
  handle: string;
}

/** LinkCode is to be shown until the call ends. */
export interface LinkCode {
  code: string;
}

/** ApproveRequest lets a new device into the account. The call asks back with approve.confirm. */
export interface ApproveRequest {
  code: string;
}

/** ApproveConfirm is what the person compares with the new device. */
export interface ApproveConfirm {
  /** lower-case hex */
  device: string;
  code: string;
}

/** Answer is the person's. */
export interface Answer {
  yes: boolean;
}

/** RecoverRequest makes this the first device of an account all of whose devices are lost. */
export interface RecoverRequest {
  /** "" in a browser: this page's */
  server: string;
  handle: string;
  /** the recovery key */
  key: string;
  /** Go on if the server has no backup: every conversation has to add the device anew. Asked for after the error no-backup. */
  withoutBackup: boolean;
  /** End the account's other devices once this one is back. */
  endOthers: boolean;
}

/** Recovered is a device that came back by the recovery key. */
export interface Recovered {
  state: State;
  /** when it was made; 0: there was none */
  backup: Millis;
  /** live devices of the account from before */
  others: string[];
}

/** RecoveryKey is the key to be written down; "" if it was confirmed. */
export interface RecoveryKey {
  key: string;
}

/** Device is one device of the own account. */
export interface Device {
  /** lower-case hex */
  id: string;
  /** this one */
  own: boolean;
  added: Millis;
  revoked: boolean;
}

/** DeviceList is the account's devices, oldest first. */
export interface DeviceList {
  devices: Device[];
}

/** DeviceID names a device. */
export interface DeviceID {
  id: string;
}

/** Status is how this device stands. */
export interface Status {
  online: boolean;
  syncing: boolean;
  /** last time everything was up to date */
  lastSync: Millis;
  /** messages not yet acknowledged */
  outbox: number;
  log: Log;
  /** Words for a person about what is not as it should be. */
  warnings: Warning[];
}

/** Log is the server's public log as this device has checked it. */
export interface Log {
  /** epochs */
  size: number;
  /** lower-case hex */
  root: string;
  /** "none", or how many witnesses are wanted: "2 of 3" */
  policy: string;
  witnesses: Witness[];
  /** enough of them have cosigned lately */
  witnessed: boolean;
}

/** Witness is somebody else's machine that cosigned the log. */
export interface Witness {
  name: string;
  time: Millis;
}

/** Sentence is something the core says; interfaces have words for its code. */
export interface Sentence {
  code: SentenceCode;
  /** what stands in its places: names, numbers, dates */
  with: string[];
  /** the same in English, as the core writes it */
  text: string;
}

/** Warning is something a person should know. */
export interface Warning {
  /** Chat.id, "" if it concerns none */
  chat: string;
  /** Chat.name */
  name: string;
  say?: Sentence;
}

/** ChatKind is what a conversation is. */
export type ChatKind = "group" | "direct";

/** ChatState tells whether one can write. */
export type ChatState = "" | "planned" | "left" | "removed" | "broken" | "rejoining" | "stopped";

/** Chat is a conversation in the list. */
export interface Chat {
  /** opaque; other calls take it */
  id: string;
  /** the group's name, or "@handle" */
  name: string;
  kind: ChatKind;
  state: ChatState;
  /** ChatStopped: why */
  stopped?: Sentence;
  /** direct: the other's handle */
  person: string;
  /** the worst of its people */
  trust: Trust;
  /** accounts in it */
  people: number;
  /** one's own */
  role: Role;
  unread: number;
  /** Among the unread ones somebody names this person. */
  mentioned: boolean;
  last?: Last;
  /** begun and not sent */
  draft: string;
  /** seconds until messages disappear, 0: never */
  expiry: number;
  /** When something last happened; newest first is the order of the list. */
  time: Millis;
  /** Seq up to which this person has read. */
  read: number;
  /** Not to be told of: kept on this device. */
  muted: boolean;
}

/** Last is the newest message of a conversation, for the list. */
export interface Last {
  /** handle */
  from: string;
  own: boolean;
  kind: MessageKind;
  /** at most 200 characters */
  body: string;
  /** name of the first attachment */
  file: string;
  time: Millis;
  state: MessageState;
  events: ChatEvent[];
}

/** ChatList is all conversations, newest first. */
export interface ChatList {
  chats: Chat[];
}

/** ChatID names a conversation. */
export interface ChatID {
  chat: string;
}

/** NewChat makes a group. */
export interface NewChat {
  name: string;
  /** handles */
  people: string[];
}

/** OpenChat gives the direct conversation with a person, made if there is none. */
export interface OpenChat {
  /** handle */
  person: string;
}

/** Role is what somebody may do in a group. */
export type Role = "member" | "admin";

/** Member is a person in a conversation. */
export interface Member {
  handle: string;
  account: string;
  self: boolean;
  role: Role;
  trust: Trust;
  /** TrustChanged, TrustStop: why */
  reason?: Sentence;
  /** of the first device there now */
  since: Millis;
  devices: MemberDevice[];
}

/** MemberDevice is one reader of a conversation. */
export interface MemberDevice {
  /** lower-case hex */
  id: string;
  since: Millis;
  /** why it is not proven */
  warning?: Sentence;
}

/** MemberList is everybody who reads a conversation. */
export interface MemberList {
  members: Member[];
  /** What this person may do here. */
  mayAdd: boolean;
  mayRemove: boolean;
  /** name, roles, expiry */
  mayChange: boolean;
}

/** ChatPeople names people of a conversation. */
export interface ChatPeople {
  chat: string;
  /** handles */
  people: string[];
}

/** SetRole gives somebody a role. */
export interface SetRole {
  chat: string;
  /** handle */
  person: string;
  role: Role;
}

/** Rename gives a group another name. */
export interface Rename {
  chat: string;
  name: string;
}

/** SetExpiry lets a conversation's messages disappear. */
export interface SetExpiry {
  chat: string;
  /** 0: never */
  seconds: number;
}

/** SetMuted keeps a conversation quiet on this device. */
export interface SetMuted {
  chat: string;
  muted: boolean;
}

/** SetDraft keeps what a person has begun to write, on all their devices. */
export interface SetDraft {
  chat: string;
  text: string;
}

/** MarkRead tells that a person has seen everything up to a message. */
export interface MarkRead {
  chat: string;
  seq: number;
}

/** Trust is how sure this device is of a person's keys. */
export type Trust = "verified" | "checked" | "changed" | "stop";

/** Person is a contact. */
export interface Person {
  handle: string;
  account: string;
  self: boolean;
  trust: Trust;
  /** TrustChanged, TrustStop: why */
  reason?: Sentence;
  devices: number;
  /** When safety words were last compared. */
  verified: Millis;
  /** Chat.id of the direct conversation, "" if none */
  chat: string;
}

/** PersonList is the contacts by handle. */
export interface PersonList {
  people: Person[];
}

/** PersonName names somebody. */
export interface PersonName {
  handle: string;
}

/** PersonDetail is everything known of somebody's keys. */
export interface PersonDetail {
  person: Person;
  /** What both read to each other: twelve words of one list, or digits instead; the same on both sides. None for oneself. */
  words: string[];
  digits: string;
  /** TrustStop: what to do */
  fix?: Sentence;
  /** When the log was last compared. */
  checked: Millis;
  /** newest first */
  history: PersonEvent[];
}

/** PersonEventKind is what happened to somebody's keys. */
export type PersonEventKind = "began" | "added" | "revoked" | "rotated" | "recovery" | "reset" | "refused" | "verified" | "renamed" | "ended";

/** PersonEvent is one change of somebody's keys. */
export interface PersonEvent {
  kind: PersonEventKind;
  time: Millis;
  device: string;
  /** by a device or the recovery key of the account */
  signed: boolean;
  /** English; interfaces translate the kind */
  text: string;
  /** PersonRenamed: the handles, "" if not known here */
  from?: string;
  to?: string;
}

/** NewName is what the own account is to be called. */
export interface NewName {
  handle: string;
}

/** Verify records that the safety words were compared, or takes it back. */
export interface Verify {
  handle: string;
  yes: boolean;
  /** The words or digits as the other read them, to be compared here; "" if a person compared them. */
  said: string;
}

/** Note is a line about somebody's keys in a conversation's timeline. */
export interface Note {
  time: Millis;
  handle: string;
  kind: PersonEventKind;
  signed: boolean;
}

/** NoteList is what changed with the keys of a conversation's people, oldest first. */
export interface NoteList {
  notes: Note[];
}

/** InviteRequest makes an invitation; admins of the server may. */
export interface InviteRequest {
  /** 0: 1 */
  uses: number;
  /** 0: 7 */
  days: number;
  /** handle: for this person alone, to begin anew under it */
  reset?: string;
}

/** Invite is an invitation link. */
export interface Invite {
  link: string;
  expires: Millis;
}

/** SearchRequest looks through every message on this device: parts of words, in any case, with or without accents; several words must all be there. */
export interface SearchRequest {
  text: string;
  /** only there */
  chat?: string;
  /** only of this handle */
  from?: string;
  /** at most 100; 0: 30 */
  limit?: number;
  /** Where the answer before ended. */
  cursor?: string;
}

/** SearchResult is what was found, newest first. */
export interface SearchResult {
  hits: SearchHit[];
  /** "" at the end */
  cursor: string;
}

/** SearchHit is one message found. */
export interface SearchHit {
  message: Message;
  /** Where in the body, in UTF-16 code units as scripts count, [begin, end) each. */
  ranges: [number, number][];
}

/** Settings is what an interface wants to be remembered on this device. At most 100 entries of 4 KiB. */
export interface Settings {
  values: Record<string, string>;
}

/** Strict is how long this person waits until somebody who was made anew counts. */
export interface Strict {
  /** three days; else one */
  strict: boolean;
}

/** Policy is one in the chain of policies that say who watches over the server's log. */
export interface Policy {
  n: number;
  /** lower-case hex; people compare its first 16 digits */
  hash: string;
  inForce: boolean;
  /** or did until a later one came */
  counts: boolean;
  witnesses: string[];
  /** how many of them have to vouch; 0: nobody is asked */
  fewest: number;
  /** handles of those who may change it */
  signers: string[];
  /** how many of them have to sign */
  needed: number;
  /** from the one before */
  changes: Sentence[];
  waits?: Sentence;
}

/** PolicyList is the chain, oldest first. */
export interface PolicyList {
  policies: Policy[];
}

/** PolicyHash names a policy by the beginning of its hash, 16 digits or more, as one of its signers said it. */
export interface PolicyHash {
  hash: string;
}

/** Evidence is a file that proves, or reports, what a server did. */
export interface Evidence {
  name: string;
  size: number;
  time: Millis;
}

/** EvidenceList is the files this device keeps, oldest first. */
export interface EvidenceList {
  files: Evidence[];
}

/** EvidenceName asks for a file; its bytes come by the event file.chunk. */
export interface EvidenceName {
  name: string;
}

/** SyncEvent tells how the connection stands. */
export interface SyncEvent {
  online: boolean;
  syncing: boolean;
  outbox: number;
}

/** ChatsEvent gives the conversations that changed as they are now. */
export interface ChatsEvent {
  chats: Chat[];
  /** ids of those no longer listed */
  gone: string[];
}

/** MessagesEvent tells what changed within a conversation. */
export interface MessagesEvent {
  chat: string;
  /** new, changed or gone; empty: anything, or what waits */
  seqs: number[];
}

/** NewMessageEvent is a message that came from somebody else. */
export interface NewMessageEvent {
  message: Message;
  chat: Chat;
}

/** Alarm is something that stopped this device for safety. */
export interface Alarm {
  /** Chat.id, "" if it concerns the account or the server */
  chat: string;
  reason?: Sentence;
  fix?: Sentence;
  /** where the proof is, "" if there is none */
  evidence: string;
  /** the own name is being taken over; veto stops it */
  veto: boolean;
}

/** AlarmList is the alarms that stand. */
export interface AlarmList {
  alarms: Alarm[];
}

/** Error is why a call failed. */
export interface Error {
  code: ErrorCode;
  /** English; interfaces translate the code */
  text: string;
  /** what to do */
  hint: string;
  /** What was found and what to do, where that says more than the code. */
  reason?: Sentence;
  fix?: Sentence;
}

/** MessageKind is what a message is. */
export type MessageKind = "text" | "attachment" | "voice" | "event" | "gone" | "unreadable";

/** MessageState is how far an own message is; others' are MessageSent. */
export type MessageState = "sent" | "waiting";

/** Message is one line of a conversation, with what later ones say of it: edits, reactions, read marks. */
export interface Message {
  /** lower-case hex; own waiting ones keep it */
  id: string;
  chat: string;
  /** order in the conversation; 0 while waiting */
  seq: number;
  /** the server's stamp, a whole minute; waiting: this device's */
  time: Millis;
  /** handle */
  from: string;
  device: string;
  own: boolean;
  kind: MessageKind;
  state: MessageState;
  body: string;
  edited: Millis;
  /** It names this person. */
  mention: boolean;
  reply?: Quote;
  attachments: Attachment[];
  reactions: Reaction[];
  /** own messages: handles */
  readBy: string[];
  /** disappears then */
  expires: Millis;
  events: ChatEvent[];
  /** unreadable */
  why: Cause;
}

/** Cause is why a message is not shown. */
export type Cause = "" | "waiting" | "unproven" | "damaged" | "foreign" | "late";

/** Quote is the message a reply answers. */
export interface Quote {
  id: string;
  /** 0 if it is not on this device */
  seq: number;
  from: string;
  kind: MessageKind;
  /** at most 200 characters */
  body: string;
  /** name of the first attachment */
  file: string;
}

/** Attachment is a file of a message. */
export interface Attachment {
  name: string;
  /** what the sender says; not to be trusted */
  mediaType: string;
  size: number;
  sha256: string;
  /** voice: milliseconds */
  duration: number;
}

/** Reaction is one emoji and who chose it. */
export interface Reaction {
  emoji: string;
  /** handles */
  by: string[];
  own: boolean;
}

/** EventKind is what happened in a conversation. */
export type EventKind = "created" | "added" | "removed" | "left" | "device" | "dropped" | "renamed" | "roles" | "expiry" | "back" | "history" | "verified" | "called" | "changed";

/** ChatEvent is something that happened in a conversation. */
export interface ChatEvent {
  kind: EventKind;
  /** handle */
  by: string;
  /** handles */
  people: string[];
  /** EventRenamed, EventCalled: the name; EventRoles: "admin" or "member" */
  text: string;
  /** EventExpiry: seconds */
  number: number;
}

/** MessagesRequest asks for a piece of a conversation. At most one of before, after and around is set; with none it is the newest piece. */
export interface MessagesRequest {
  chat: string;
  /** messages with a smaller seq */
  before?: number;
  /** with a larger one */
  after?: number;
  /** half before, half from it on */
  around?: number;
  /** at most 200; 0: 50 */
  limit?: number;
}

/** MessagesPage is a piece of a conversation, oldest first; own waiting messages come last, in the newest piece. */
export interface MessagesPage {
  messages: Message[];
  /** there are messages before */
  earlier: boolean;
  /** and after */
  later: boolean;
  /** seq up to which this person had read */
  read: number;
}

/** MessageIDs names messages whose present look is wanted. */
export interface MessageIDs {
  chat: string;
  /** at most 200 */
  seqs: number[];
}

/** MessageList is messages by seq; those that are gone for good are missing. */
export interface MessageList {
  messages: Message[];
}

/** FileInfo is a file an interface has and the core asks for by the event file.want of the same call. */
export interface FileInfo {
  name: string;
  size: number;
  mediaType: string;
}

/** SendRequest writes a message. The call returns when the message is kept on this device, with its files at the server; it goes out by itself. */
export interface SendRequest {
  chat: string;
  body: string;
  /** id of the message it answers */
  reply?: string;
  files?: FileInfo[];
  /** milliseconds: the one file is a voice note */
  voice?: number;
}

/** Sent is the message as it stands in the conversation now. */
export interface Sent {
  message: Message;
}

/** FileWant is the core asking for a part of file n of its call. */
export interface FileWant {
  file: number;
  offset: number;
  length: number;
}

/** Progress is how much of a call's files is done, in bytes. */
export interface Progress {
  done: number;
  total: number;
}

/** ReactRequest sets or, with an empty emoji, takes back one's reaction. */
export interface ReactRequest {
  chat: string;
  /** id */
  message: string;
  emoji: string;
}

/** EditRequest gives an own message another body. */
export interface EditRequest {
  chat: string;
  /** id */
  message: string;
  body: string;
}

/** MessageID names a message. */
export interface MessageID {
  chat: string;
  /** id */
  message: string;
}

/** AttachmentRequest asks for a file. Its bytes come by the event file.chunk, each of which the interface answers with file.more; they are those of the file only once the call has ended with ok. */
export interface AttachmentRequest {
  chat: string;
  /** id */
  message: string;
  /** from 0 */
  index: number;
}

/** FileChunk is the next bytes of a file. */
export interface FileChunk {
  offset: number;
  total: number;
}

/** BundleState is what the server's log says of a web app the server offers. */
export type BundleState = "good" | "unlogged" | "older" | "unvouched" | "unknown";

/** CheckBundle asks whether the server's log holds the web app it offers; the hashes are SHA-256 of manifests, in hex. */
export interface CheckBundle {
  offered: string;
  /** the one this page is of */
  used: string;
}

/** BundleChecked is the answer. */
export interface BundleChecked {
  state: BundleState;
}

/** ErrorCode is the closed list of why a call fails. */
export type ErrorCode = "bad-request" | "internal" | "cancelled" | "disconnected" | "unsupported" | "no-profile" | "has-profile" | "unreachable" | "unknown-chat" | "unknown-person" | "unknown-message" | "not-member" | "revoked" | "too-large" | "forbidden" | "exists" | "bad-name" | "bad-invite" | "other-server" | "bad-code" | "not-approved" | "bad-recovery" | "no-backup" | "other-words" | "safety" | "pin" | "damaged" | "full" | "not-now" | "invite-unknown" | "invite-expired" | "invite-used" | "name-taken" | "name-left" | "name-pending" | "too-soon" | "throttled" | "busy" | "server-full" | "quota" | "none-left" | "gone" | "refused";

/** SentenceCode tells which sentence the core says; sentences.go lists them. */
export type SentenceCode = "chat-back-again" | "chat-backup-history" | "chat-bad-receipt" | "chat-bad-signature" | "chat-bad-stamp" | "chat-begins-elsewhere" | "chat-broken" | "chat-copy" | "chat-generation" | "chat-history-refused" | "chat-key-gone" | "chat-left-out" | "chat-lost" | "chat-of-another" | "chat-offered-again" | "chat-order" | "chat-other-submitter" | "chat-shorter" | "chat-stopped" | "chat-two-logs" | "chat-unread" | "chat-wanted" | "chat-went-on" | "chat-wrong-epoch" | "device-former" | "device-revoked" | "device-unproven" | "evidence-unknown" | "file-damaged" | "fix-accept" | "fix-admin-removes" | "fix-ask-anew" | "fix-ask-devices" | "fix-back-again" | "fix-clock" | "fix-compare" | "fix-contacts-compare" | "fix-day" | "fix-devices" | "fix-file" | "fix-inviter" | "fix-later" | "fix-look" | "fix-members" | "fix-new-log" | "fix-new-log-again" | "fix-new-log-ask" | "fix-new-name" | "fix-no-version" | "fix-not-part" | "fix-operator" | "fix-other-key" | "fix-pending" | "fix-policy-digits" | "fix-policy-first" | "fix-policy-hash" | "fix-policy-log" | "fix-policy-serve" | "fix-policy-signers" | "fix-policy-wait" | "fix-readd" | "fix-remove" | "fix-remove-device" | "fix-tell-contacts" | "fix-too-late" | "fix-unchanged" | "fix-veto" | "fix-witnesses" | "fix-words" | "keys-foreign-chain" | "keys-foreign-device" | "keys-lacking" | "keys-less" | "keys-not-backup" | "keys-not-found" | "keys-not-logged" | "keys-older-backup" | "keys-other-account" | "keys-other-name" | "keys-shown-as" | "keys-taken-back" | "keys-two-versions" | "keys-withheld" | "log-false-name" | "log-held-back" | "log-hidden" | "log-incomplete" | "log-new" | "log-new-bad" | "log-new-compare" | "log-new-other" | "log-new-words" | "log-other-key" | "log-rewritten" | "log-rules" | "log-shorter" | "log-stamp-key" | "log-stamp-name" | "log-still" | "log-two" | "log-two-word" | "log-unsigned" | "log-went-on" | "name-former" | "name-not-theirs" | "name-old-devices" | "name-pending" | "name-pending-open" | "other" | "own-backup-foreign" | "own-backup-former" | "own-backup-late" | "own-before" | "own-event-refused" | "own-held-before" | "own-held-since" | "own-name-without" | "own-not-part" | "own-older-devices" | "own-other-recovered" | "own-other-registered" | "own-recovered" | "own-refused" | "own-rename-place" | "own-rename-unshown" | "own-renamed" | "own-reset" | "own-sealing-key" | "own-too-late" | "person-added" | "person-added-recovery" | "person-began" | "person-changed-name" | "person-ended" | "person-recovered" | "person-recovery" | "person-refused" | "person-renamed" | "person-reset" | "person-reset-signed" | "person-revoked" | "person-rotated" | "person-took-name" | "person-verified" | "policy-cannot" | "policy-changed" | "policy-fewest" | "policy-groups" | "policy-invalid" | "policy-may" | "policy-new" | "policy-no-hash" | "policy-no-signer" | "policy-none" | "policy-not-invited" | "policy-not-inviter" | "policy-not-logged" | "policy-not-shown" | "policy-other-log" | "policy-short-hash" | "policy-waits-consent" | "policy-waits-days" | "policy-waits-invited" | "policy-waits-log" | "policy-waits-witnesses" | "policy-with" | "policy-without" | "release-false" | "witness-none" | "witness-some";

/** Kind is what a frame is. */
export type Kind = "call" | "ok" | "err" | "event" | "cancel";

/** Every call: what it takes and what it answers. */
export interface Methods {
  "account.rename": { call: NewName; ok: State };
  "alarms": { call: Empty; ok: AlarmList };
  "attachment.read": { call: AttachmentRequest; ok: Attachment };
  "bundle.check": { call: CheckBundle; ok: BundleChecked };
  "chat": { call: ChatID; ok: Chat };
  "chat.draft": { call: SetDraft; ok: Empty };
  "chat.expiry": { call: SetExpiry; ok: Chat };
  "chat.leave": { call: ChatID; ok: Chat };
  "chat.mute": { call: SetMuted; ok: Chat };
  "chat.new": { call: NewChat; ok: Chat };
  "chat.notes": { call: ChatID; ok: NoteList };
  "chat.open": { call: OpenChat; ok: Chat };
  "chat.read": { call: MarkRead; ok: Empty };
  "chat.rename": { call: Rename; ok: Chat };
  "chats": { call: Empty; ok: ChatList };
  "devices": { call: Empty; ok: DeviceList };
  "devices.revoke": { call: DeviceID; ok: DeviceList };
  "evidence": { call: Empty; ok: EvidenceList };
  "evidence.read": { call: EvidenceName; ok: Evidence };
  "invite.inspect": { call: InviteText; ok: InviteInfo };
  "invite.make": { call: InviteRequest; ok: Invite };
  "join": { call: JoinRequest; ok: Joined };
  "link": { call: LinkRequest; ok: State };
  "link.approve": { call: ApproveRequest; ok: Device };
  "members": { call: ChatID; ok: MemberList };
  "members.add": { call: ChatPeople; ok: MemberList };
  "members.remove": { call: ChatPeople; ok: MemberList };
  "members.role": { call: SetRole; ok: MemberList };
  "message.delete": { call: MessageID; ok: Empty };
  "message.edit": { call: EditRequest; ok: Empty };
  "message.react": { call: ReactRequest; ok: Empty };
  "message.send": { call: SendRequest; ok: Sent };
  "messages": { call: MessagesRequest; ok: MessagesPage };
  "messages.get": { call: MessageIDs; ok: MessageList };
  "people": { call: Empty; ok: PersonList };
  "person": { call: PersonName; ok: PersonDetail };
  "person.verify": { call: Verify; ok: PersonDetail };
  "policies": { call: Empty; ok: PolicyList };
  "policies.accept": { call: PolicyHash; ok: PolicyList };
  "recover": { call: RecoverRequest; ok: Recovered };
  "recovery.confirm": { call: RecoveryConfirm; ok: Confirmed };
  "recovery.new": { call: Empty; ok: RecoveryKey };
  "recovery.show": { call: Empty; ok: RecoveryKey };
  "search": { call: SearchRequest; ok: SearchResult };
  "settings": { call: Empty; ok: Settings };
  "settings.set": { call: Settings; ok: Settings };
  "state": { call: Empty; ok: State };
  "status": { call: Empty; ok: Status };
  "strict": { call: Empty; ok: Strict };
  "strict.set": { call: Strict; ok: Strict };
  "sync": { call: Empty; ok: Status };
  "veto": { call: Empty; ok: AlarmList };
}

/** What the core tells without being asked. */
export interface Events {
  "alarm": Alarm;
  "alarms": AlarmList;
  "chats": ChatsEvent;
  "devices": Empty;
  "message": NewMessageEvent;
  "messages": MessagesEvent;
  "people": Empty;
  "settings": Settings;
  "state": State;
  "sync": SyncEvent;
}

/** Events within a call; where answer is not null the core waits for it. */
export interface Exchanges {
  "approve.confirm": { tells: ApproveConfirm; answer: Answer };
  "file.chunk": { tells: FileChunk; answer: Empty };
  "file.progress": { tells: Progress; answer: null };
  "file.want": { tells: FileWant; answer: Empty };
  "link.code": { tells: LinkCode; answer: null };
}
