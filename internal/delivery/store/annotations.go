package store

import "time"

// Field says of one stored column what it is for, how it is protected and what
// somebody with an order, or with the disk, could learn from it.
type Field struct {
	Column     string
	Purpose    string
	Encryption string
	Order      string
}

// Table is one table with its fields and how long its rows live.
type Table struct {
	Name   string
	Keep   Keep
	Fields []Field
}

// Keep is a retention rule. Where is the SQL condition under which a row is
// deleted, $1 being Bound; empty for rows that live as long as what they belong
// to. The clean-up is generated from it.
type Keep struct {
	Rule  string   // in words
	Key   []string // the primary key
	Where string
	Bound func(now time.Time, r Retention) uint64
	With  []string // tables whose rows (by column conversation) go with it
}

// Days some rows live.
const (
	InboxDays   = 30 // an item nobody fetches; key packages live no longer either
	UnpinnedDay = 1  // a blob nobody pins: at least 24 h, at most 48 h
	InviteDays  = 30 // after its end an invitation still answers "expired"
)

// How a field is protected.
const (
	plain    = "no"
	client   = "by the clients; the server has no key"
	operator = "under the operator's key, which is not in the database"
	hashed   = "only its hash is kept"
	keyed    = "keyed hash under the operator's key"
)

func today(now time.Time, _ Retention) uint64 { return uint64(DayOf(now)) }

func daysAgo(days Day) func(time.Time, Retention) uint64 {
	return func(now time.Time, _ Retention) uint64 { return uint64(max(DayOf(now), days) - days) }
}

func minutesAgo(days func(Retention) Day) func(time.Time, Retention) uint64 {
	return func(now time.Time, r Retention) uint64 {
		back := Minute(days(r)) * 24 * 60
		return uint64(max(MinuteOf(now), back) - back)
	}
}

// Annotations is every table and column there is, in the order of the clean-up:
// pins before the blobs they keep. A test compares it with the schema, in both
// directions.
var Annotations = []Table{
	{"conversation", Keep{
		Rule: "until every member key is closed and no entry is left", Key: []string{"id"}, With: []string{"member", "tag"},
		Where: "NOT EXISTS (SELECT 1 FROM member WHERE member.conversation = conversation.id AND until_seq = 0) AND " +
			"NOT EXISTS (SELECT 1 FROM entry WHERE entry.conversation = conversation.id)",
	}, []Field{
		{"id", "names the log", plain, "a random pseudonym of a conversation"},
		{"epoch", "compare-and-set of commits", plain, "how many changes of members and keys there were"},
		{"floor", "what a removed member's successors may still send", plain, "that somebody was removed"},
		{"seq", "order of entries", plain, "how many entries there were"},
		{"chain", "head of the stamped chain", plain, "nothing more"},
		{"bytes", "bounds the log", plain, "size of the log there is"},
		{"ended1", "takes late entries for 60 s", plain, "minute of the last commit"},
		{"ended2", "takes late entries for 60 s", plain, "minute of the commit before"},
		{"ended3", "takes late entries for 60 s", plain, "minute of the one before that"},
		{"sum", "detects damage", plain, "nothing more"},
	}},
	{"member", Keep{Rule: "as long as its conversation", Key: []string{"conversation", "mk"}}, []Field{
		{"conversation", "whose member", plain, "number of leaves of a pseudonymous conversation"},
		{"mk", "who may write and read", plain, "a pseudonym of one device in one conversation"},
		{"from_seq", "no reading before the joining", plain, "when this key began, in entries"},
		{"until_seq", "no reading after the removal", plain, "when this key ended, in entries"},
	}},
	{"entry", Keep{
		Rule: "as many days as the operator set, 30 by default", Key: []string{"conversation", "seq"},
		Where: "minute < $1", Bound: minutesAgo(func(r Retention) Day { return r.Entries }),
	}, []Field{
		{"conversation", "whose log", plain, "which pseudonymous conversation was busy"},
		{"seq", "its place", plain, "order of entries"},
		{"minute", "retention, windows", plain, "minute of each entry"},
		{"hash", "the same entry again has the same receipt; detects damage", plain, "nothing more"},
		{"kind", "create, commit, application or notice", plain, "what kind of entry"},
		{"epoch", "which keys open it", plain, "nothing more"},
		{"mk", "who submitted it", plain, "which pseudonym writes when"},
		{"extra_hash", "binds what came with it", plain, "nothing more"},
		{"sig", "the submitter's signature", plain, "nothing more"},
		{"generation", "detects a restored backup", plain, "nothing more"},
		{"chain_prev", "order can be proved", plain, "nothing more"},
		{"kid", "which key stamped it", plain, "nothing more"},
		{"stamp", "the server's signature", plain, "nothing more"},
		{"receipt_sum", "detects damage", plain, "nothing more"},
		{"bytes", "the message", client, "padded size; ciphertext; member keys added and removed by a commit"},
	}},
	{"tag", Keep{Rule: "as long as its conversation", Key: []string{"conversation", "tag"}}, []Field{
		{"conversation", "whose message", plain, "number of messages there ever were"},
		{"tag", "no message twice", "keyed hash under a key the clients have", "whether a message shown by a member was sent here"},
	}},
	{"token", Keep{Rule: "7 days", Key: []string{"hash"}, Where: "expires_day < $1", Bound: today}, []Field{
		{"hash", "allows one conversation", hashed, "number of tokens out"},
		{"expires_day", "retention", plain, "day it was given out"},
	}},
	{"ticket", Keep{Rule: "7 days, or until used", Key: []string{"hash"}, Where: "expires_day < $1", Bound: today}, []Field{
		{"hash", "allows one join package", hashed, "nothing more"},
		{"account", "whose inbox", plain, "that somebody, not who, was about to add this account"},
		{"device", "whose inbox", plain, "of which device"},
		{"expires_day", "retention", plain, "on which day"},
	}},
	{"key_package", Keep{Rule: "until claimed, at most 30 days", Key: []string{"id"}, Where: "expires_day < $1", Bound: today}, []Field{
		{"id", "random, so that rows have no order", plain, "nothing"},
		{"account", "whose package", plain, "which devices an account has"},
		{"device", "whose package", plain, "which devices an account has"},
		{"last_resort", "given again and again", plain, "nothing more"},
		{"expires_day", "retention", plain, "about when it was made"},
		{"bytes", "lets others add the device", plain, "public keys of the device; no conversation"},
	}},
	{"inbox", Keep{Rule: "until acknowledged, at most 30 days", Key: []string{"id"}, Where: "day < $1", Bound: daysAgo(InboxDays)}, []Field{
		{"id", "random, so that rows have no order", plain, "nothing"},
		{"account", "whose inbox", plain, "that somebody added this account, or wrote to it"},
		{"device", "whose inbox", plain, "which device"},
		{"day", "retention", plain, "on which day"},
		{"sealed", "join package or request", client, "padded ciphertext"},
	}},
	{"pin", Keep{Rule: "until its day or until unpinned", Key: []string{"owner", "blob"}, Where: "until_day > 0 AND until_day < $1", Bound: today}, []Field{
		{"owner", "the conversation that keeps it", plain, "files of a pseudonymous conversation"},
		{"blob", "what is kept", plain, "nothing more"},
		{"until_day", "retention", plain, "day it was pinned, if it has an end"},
	}},
	{"account_pin", Keep{Rule: "until the next backup", Key: []string{"account", "blob"}, Where: "until_day > 0 AND until_day < $1", Bound: today}, []Field{
		{"account", "whose backup", plain, "size of an account's backup"},
		{"blob", "what is kept", plain, "nothing more"},
		{"until_day", "retention", plain, "day it was pinned, if it has an end"},
	}},
	{"account_blob", Keep{
		Rule: "while pinned; else 24 to 48 hours", Key: []string{"id"},
		Where: "day < $1 AND NOT EXISTS (SELECT 1 FROM account_pin WHERE account_pin.blob = account_blob.id)", Bound: daysAgo(UnpinnedDay),
	}, []Field{
		{"id", "names the file; random", plain, "number of files of accounts' backups"},
		{"size", "resuming", plain, "padded size"},
		{"hash", "checks the upload", plain, "hash of the ciphertext"},
		{"done", "resuming", plain, "nothing more"},
		{"day", "retention", plain, "day of the upload, or of the last unpinning"},
	}},
	{"blob", Keep{
		Rule: "while pinned; else 24 to 48 hours", Key: []string{"id"},
		Where: "day < $1 AND NOT EXISTS (SELECT 1 FROM pin WHERE pin.blob = blob.id)", Bound: daysAgo(UnpinnedDay),
	}, []Field{
		{"id", "names the file; random", plain, "number of files"},
		{"owner", "quota", plain, "which pseudonymous conversation it belongs to"},
		{"size", "quota, resuming", plain, "padded size"},
		{"hash", "checks the upload", plain, "hash of the ciphertext"},
		{"done", "resuming", plain, "nothing more"},
		{"day", "retention", plain, "day of the upload, or of the last unpinning"},
	}},
	{"account", Keep{Rule: "as long as the account", Key: []string{"id"}}, []Field{
		{"id", "names the account", plain, "number of accounts; hash of the first link"},
		{"lookup", "finds an account by its handle", keyed, "the account of a handle already known, with the operator's key"},
		{"handle", "the account's name", operator, "the name, with the operator's key"},
		{"admin", "who may invite", plain, "who may invite"},
		{"links", "number of links", plain, "how often devices changed"},
	}},
	{"left_name", Keep{Rule: "for ever: nobody else gets the name", Key: []string{"lookup"}}, []Field{
		{"lookup", "finds the account that had a name", keyed, "the account of a former handle already known, with the operator's key"},
		{"account", "whose name it was", plain, "how many names the account had before"},
		{"day", "limits how often a name changes", plain, "day the account was renamed"},
	}},
	{"link", Keep{Rule: "as long as the account", Key: []string{"account", "n"}}, []Field{
		{"account", "whose chain", plain, "nothing more"},
		{"n", "order of the chain", plain, "nothing more"},
		{"bytes", "which devices the account has signed", plain, "public keys of devices and when they were added or revoked; when the name changed"},
	}},
	{"recovery", Keep{Rule: "until the next recovery key", Key: []string{"lookup"}}, []Field{
		{"lookup", "finds an account by its recovery key", keyed, "the account of a recovery key already known, with the operator's key"},
		{"account", "whose it is", plain, "that the account has a recovery key, which its links tell as well"},
	}},
	{"backup", Keep{Rule: "until the next backup", Key: []string{"account"}}, []Field{
		{"account", "whose backup", plain, "that the account has one"},
		{"pointer", "where the backup is, for the account's devices", plain, "the blob, which device made it and on which day"},
	}},
	{"log_value", Keep{Rule: "as long as what it is about", Key: []string{"idx", "seq"}}, []Field{
		{"idx", "where the log keeps it", "a pseudonym only the server's VRF key can compute", "with that key, which account's it is"},
		{"seq", "order", plain, "how often it changed"},
		{"kind", "account, key of the server, release, policy", plain, "what it is about"},
		{"opening", "opens the log's commitment; deleted, the log says nothing", plain, "that the log is about this value"},
		{"commitment", "stands in the log", plain, "public to members"},
		{"value", "what the log commits to, such as a link", plain, "public keys of devices and when they were added or revoked"},
		{"epoch", "whether it is in the log", plain, "about when it was added"},
	}},
	{"label", Keep{Rule: "as long as what the log keeps under it", Key: []string{"lookup"}}, []Field{
		{"lookup", "finds a label's place in the log", keyed, "with the operator's key, that a name already known is in the log"},
		{"place", "index and VRF proof, which would let anybody with the disk try names: sealed", operator, "with the operator's key, which values of the log are of a name already known"},
	}},
	{"epoch", Keep{Rule: "for ever: the log is append-only", Key: []string{"n"}}, []Field{
		{"n", "order of the log", plain, "public"},
		{"record", "the log's leaf", plain, "public: time, number of accounts, hashes"},
		{"batch", "the map can be recomputed", plain, "public to members: pseudonyms and hashes"},
	}},
	{"invite", Keep{Rule: "until 30 days after its end", Key: []string{"token"}, Where: "expires_minute < $1", Bound: minutesAgo(func(Retention) Day { return InviteDays })}, []Field{
		{"token", "allows a registration", hashed, "number of invitations out; not by whom, not for whom"},
		{"uses", "how often it may still be used", plain, "how often it was used, if one knows the start"},
		{"expires_minute", "its end", plain, "its end"},
	}},
	{"stamp_key", Keep{Rule: "for ever: old stamps must verify", Key: []string{"n"}}, []Field{
		{"n", "order of the keys", plain, "nothing more"},
		{"kid", "name of the key", plain, "public"},
		{"public", "verifies stamps", plain, "public"},
		{"generation", "of which data", plain, "public"},
		{"sealed", "stamps entries", operator, "the server's own signing key, with the operator's key"},
	}},
	{"setting", Keep{Rule: "for ever", Key: []string{"name"}}, []Field{
		{"name", "the server's own settings", plain, "which settings there are"},
		{"value", "their values", plain, "the server's own settings"},
	}},
	{"goose_db_version", Keep{Rule: "for ever", Key: []string{"id"}}, []Field{
		{"id", "order of schema versions", plain, "nothing more"},
		{"version_id", "version of the schema", plain, "version of the program"},
		{"is_applied", "whether it was applied", plain, "nothing more"},
		{"tstamp", "when it was", plain, "when this version of the program was first started"},
	}},
}
