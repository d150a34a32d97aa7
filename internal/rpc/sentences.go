package rpc

import (
	"strings"
)

// The core says what it found in English, as a line of its own: in a stored
// alarm, in an error, in a warning. Interfaces say it in a person's language, so
// what crosses is which sentence it is and what was put into its places. The
// sentences stand below as the core writes them; a test reads the core's source
// and fails on one that is not here, and another on one without words in a
// language of the interface.

// SentenceOther is the code of a sentence that is in no list: of an older
// version, or from outside.
const SentenceOther SentenceCode = "other"

// sentence is how the core writes what a code stands for, with % for each place.
// Several have one code if an interface says the same of them; the first places
// mean the same then.
type sentence struct {
	code SentenceCode
	text string
}

// say finds the sentence a text of the core is; nil of "".
func say(text string) *Sentence {
	if text == "" {
		return nil
	}
	out, best := &Sentence{Code: SentenceOther, Text: text}, 0
	for _, s := range sentences {
		if n := len(s.text) - strings.Count(s.text, "%"); n > best {
			if with, ok := places(s.text, text); ok {
				out.Code, out.With, best = s.code, with, n
			}
		}
	}
	return out
}

// places returns what a text has where the pattern has %.
func places(pattern, text string) (with []string, ok bool) {
	parts := strings.Split(pattern, "%")
	rest, ok := strings.CutPrefix(text, parts[0])
	if !ok || len(parts) == 1 {
		return nil, ok && rest == ""
	}
	last := len(parts) - 1
	for _, p := range parts[1:last] {
		before, after, found := strings.Cut(rest, p)
		if !found {
			return nil, false
		}
		with, rest = append(with, before), after
	}
	end, ok := strings.CutSuffix(rest, parts[last])
	return append(with, end), ok
}

// sentences lists every sentence of the core.
var sentences = []sentence{
	// A conversation's log.
	{"chat-order", "entry % follows entry % in the server's log"},
	{"chat-order", "the server gave entry % after entry %"},
	{"chat-order", "entry % comes for the second time"},
	{"chat-order", "entry % is stamped earlier than the one before it"},
	{"chat-two-logs", "entry % does not continue the log this device has verified: the server shows two versions of it"},
	{"chat-two-logs", "a member was shown another entry % than this device"},
	{"chat-two-logs", "the sender of message % has seen another log than this device"},
	{"chat-two-logs", "the sender of message % and this device were shown different entries up to %: the server shows two versions of the log"},
	{"chat-bad-stamp", "entry % is stamped with a key the server does not name"},
	{"chat-bad-stamp", "the stamp of entry % is not the server's: %"},
	{"chat-bad-receipt", "the server's receipt for a message is not stamped by its key"},
	{"chat-bad-signature", "the signature of entry % is not its submitter's: %"},
	{"chat-of-another", "the server gave an entry of another conversation"},
	{"chat-generation", "the server began a new generation of its log and does not declare it: that is a backup put back by stealth"},
	{"chat-went-on", "the server was restored from a backup, and others wrote in this conversation before this device could give back what only it has"},
	{"chat-back-again", "@% was removed from this conversation before the server was restored from a backup, and is in it again"},
	{"chat-begins-elsewhere", "the log this device is shown does not begin with the change that added it"},
	{"chat-wrong-epoch", "the server took a commit on epoch % while the conversation is in epoch %"},
	{"chat-left-out", "message % is of epoch %, and the server showed this device no change into it: something was left out"},
	{"chat-copy", "message % was sent with this device's key and this device does not know it: its store is an older copy, or somebody has a copy of it"},
	{"chat-shorter", "the server's log of this conversation ends at entry %; this device has verified entry %"},
	// What a person should know of a conversation.
	{"chat-stopped", "stopped for safety: %"},
	{"chat-wanted", "@% is not in it yet; no device of theirs could be added"},
	{"chat-broken", "a change of entry % could not be processed; waiting to be added again"},
	{"chat-lost", "waiting for another member's device to let this one in again; nothing can be sent or read until one is online"},
	{"chat-offered-again", "the server was restored from a backup, and others went on without entries % to %, which this device keeps; your messages among them go out again"},
	{"chat-backup-history", "entries % to % of the history were not taken over from the backup: %"},
	{"chat-history-refused", "the history from another device of yours was not taken over: %"},
	{"chat-unread", "message % cannot be shown: %"},
	{"own-event-refused", "an event of another device of yours was not taken over: %"},
	{"chat-other-submitter", "a change of the conversation was submitted by another device than made it"},
	{"chat-key-gone", "this device's key is none of a member's any more: ask a member to add you (huis chat add)"},
	{"device-revoked", "revoked by its account"},
	{"device-former", "its account was made anew"},
	{"device-unproven", "its account's keys do not vouch for it"},
	// Somebody's keys.
	{"keys-two-versions", "there are two versions of the device keys of %"},
	{"keys-other-account", "the name % stood for another account until now"},
	{"keys-lacking", "the server's log lacks device keys that this device has verified"},
	{"keys-not-logged", "the keys the server shows for @% do not stand in its log"},
	{"keys-other-name", "the account the server names for @% has another name in its log"},
	{"keys-shown-as", "the server shows the account of @% under another name, @%, and none of its devices signed that"},
	{"keys-foreign-device", "device % in this conversation says it is @%'s, and that account's keys do not vouch for it"},
	{"keys-foreign-chain", "a chain of device keys belongs to another account than named"},
	{"keys-not-backup", "the device keys of % are others than your backup knew"},
	{"keys-older-backup", "the server shows older device keys of % than your backup knew"},
	{"keys-not-found", "the keys of @% have not been found in the server's log"},
	{"keys-taken-back", "the server's log no longer has what it showed of @% in epoch %"},
	{"keys-less", "the server shows less of @% than its log has"},
	{"keys-withheld", "the server has not shown for a day how the keys of @% changed, and its log says that they did"},
	{"name-former", "the account @% is no longer in use: it was made anew"},
	{"name-not-theirs", "the account @% does not have the name @%, or not yet"},
	{"name-pending", "@% has a new account since %, and no device of theirs signed that; it counts from % unless one of their devices objects"},
	{"name-pending-open", "@% has a new account since %, and no device of theirs signed that; it counts from a day after the log's next day begins unless one of their devices objects"},
	{"name-old-devices", "the account @% was made anew, and its old devices are still in this conversation"},
	// What happened to them, as reasons.
	{"person-added", "@% added a device; a device of theirs signed that"},
	{"person-added-recovery", "@% added a device; the recovery key signed that"},
	{"person-revoked", "@% ended a device"},
	{"person-ended", "@% ended this account"},
	{"person-reset-signed", "@% began a new account, and a device of the old one signed that"},
	{"person-reset", "@% has a new account, and no device of the old one signed that"},
	{"person-refused", "A device of @%’s account before refused the new one"},
	{"person-began", "@%’s account began"},
	{"person-rotated", "A device of @% renewed its key"},
	{"person-recovery", "@% set a recovery key"},
	{"person-renamed", "@% is called @% now; a device of theirs signed that"},
	{"person-took-name", "The account took the name @%; a device of theirs signed that"},
	{"person-changed-name", "@% changed names; a device of theirs signed that"},
	{"person-verified", "You compared safety words with @%"},
	// The own account.
	{"own-name-without", "the server's log has your name @% without your account"},
	{"own-refused", "a device of the account that had the name @% before refused this account"},
	{"own-held-before", "the server's log had your name @% for another account before yours: who wrote to @% before you joined wrote to that one"},
	{"own-held-since", "the server's log had your name @% for another account before yours, since %: who wrote to @% before you joined wrote to that one"},
	{"own-rename-unshown", "the server took the signature by which you are called @%, and does not show it in its log"},
	{"own-rename-place", "the server does not prove where in its log the name @% is"},
	{"own-renamed", "device % of yours changed your name from @% to @% on %; if that was not you: huis devices revoke %"},
	{"own-not-part", "your account @% was made anew on %, and this device is not part of the new one"},
	{"own-reset", "somebody made your account @% anew on %; your contacts will take the new one for you in about a day"},
	{"own-too-late", "it is too late to object: the new account counts already"},
	{"own-other-registered", "the server registered another account than this device made"},
	{"own-older-devices", "the server shows an older or another version of your devices than your backup knew"},
	{"own-other-recovered", "the server shows another account than that of the recovery key"},
	{"own-backup-foreign", "the backup the server gives out is not the account's: %"},
	{"own-sealing-key", "the backup's key is not one of the recovery key"},
	{"own-backup-late", "the backup this device began with is of %, and a lost device was still there on %: the server may have kept back a newer one; what is missing since then others can tell"},
	{"own-backup-former", "the backup this device began with was written by a device that is revoked: compare your contacts (huis verify)"},
	{"own-before", "device % of yours, from before you came back, still receives everything; if it is lost: huis devices revoke %"},
	{"own-recovered", "device % was added to your account with the recovery key on %; if that was not you: huis devices revoke %, then huis devices new-recovery-key"},
	{"person-recovered", "@% lost all devices and came back with the recovery key on % (device %); if in doubt ask them by another way"},
	// The server's log of keys, and its witnesses.
	{"log-two", "the server shows two logs: what % was shown differs from what this device was shown within the first % epochs"},
	{"log-two-word", "the server shows two logs: what % was shown differs from what this device was shown within the first % epochs; so far that is their word alone"},
	{"log-rewritten", "the server's log was rewritten: it does not continue the log this device has verified"},
	{"log-rewritten", "the server's log is another one than your backup had verified"},
	{"log-rules", "the server's log breaks its own rules: %"},
	{"log-false-name", "the server's log breaks the rules of names, for @%: %"},
	{"log-shorter", "the server's log is shorter than the % epochs this device has verified"},
	{"log-shorter", "the server's log is shorter than the % epochs your backup had verified"},
	{"log-unsigned", "the server's log is not signed with its key"},
	{"log-unsigned", "the checkpoint the server shows anybody is not signed with the key of its log"},
	{"log-other-key", "the server's log has another key than before"},
	{"log-other-key", "the server's log was made with another VRF key than the server names"},
	{"log-went-on", "the server was restored from a backup, as it says, and its log went on without the end that this device has verified: which people and devices came or went then is lost there"},
	{"log-new", "the server shows a new log, %, in place of the one this device has checked until now: its records of everybody's devices were lost, or somebody wants them forgotten"},
	{"log-new-other", "the log the server shows does not have the fingerprint you gave"},
	{"log-new-bad", "the new log cannot be taken over: %"},
	{"log-new-compare", "the server began a new log, which may lack what was last known of people's devices: compare safety words again with % (huis verify @NAME)"},
	{"log-new-words", "the server began a new log, which may lack what was last known of people's devices: compare these words again"},
	{"log-incomplete", "the server's log does not consist of the epochs it gives out"},
	{"log-incomplete", "the server does not give out its whole log"},
	{"log-incomplete", "the server's log cannot be read"},
	{"log-hidden", "the server answers with versions of its log that it does not show"},
	{"log-stamp-key", "the server stamps messages with a key that does not stand in its log"},
	{"log-stamp-key", "the server has not shown for a day that the key it stamps messages with stands in its log"},
	{"log-stamp-name", "the server names a stamp key wrongly"},
	{"log-still", "the server's log has stood still since %: keys newer than that cannot be checked"},
	{"log-held-back", "the server withholds its log from this device: % was shown % epochs a day ago"},
	{"witness-none", "new keys cannot be checked: of the % witnesses of the server's log % have to vouch for it; none of them does now"},
	{"witness-some", "new keys cannot be checked: of the % witnesses of the server's log % have to vouch for it; now only % can: %"},
	{"release-false", "what the server shows of its log about its releases is not true"},
	{"policy-not-logged", "the witness policy the server shows does not stand in its log"},
	{"policy-not-shown", "the server's log holds a witness policy that the server does not show"},
	{"policy-not-invited", "the server's log does not hold the witness policy that you were invited with"},
	{"policy-not-inviter", "the witness policy in your invitation was not signed by who invited you"},
	{"policy-no-hash", "the server's log holds no policy of that hash"},
	{"policy-invalid", "policy % in the server's log is not valid: %"},
	{"policy-changed", "the witness policy changed: % (huis policy shows it)"},
	{"policy-new", "the server's log has a new witness policy %: huis policy shows it"},
	{"policy-short-hash", "this is too little of a policy's hash"},
	{"policy-no-signer", "you are not one of those who may change the witness policy"},
	{"policy-none", "the server's log has no witness policy yet"},
	{"policy-other-log", "this policy was written for another log"},
	{"policy-cannot", "these witnesses cannot be asked for: % for the server's log now"},
	{"policy-with", "new witness %"},
	{"policy-without", "without witness %"},
	{"policy-fewest", "% witnesses have to vouch instead of %"},
	{"policy-may", "% of % people may change it instead of % of %"},
	{"policy-groups", "other groups"},
	{"policy-waits-invited", "it is not the one you were invited with"},
	{"policy-waits-consent", "your consent (%): compare its hash with a signer, then huis policy accept %"},
	{"policy-waits-witnesses", "its own witnesses"},
	{"policy-waits-log", "the log"},
	{"policy-waits-days", "the first daily epoch after %, cosigned as the policy in force asks"},
	{"evidence-unknown", "this device keeps no evidence file of that name"},
	{"fix-look", "look at the list again"},
	// Files.
	{"file-damaged", "files: the received file is not the one that was sent"},
	{"file-damaged", "files: the received file is not the one that was sent: %"},
	// What to do.
	{"fix-ask-devices", "ask the person by another way which devices are theirs"},
	{"fix-ask-devices", "ask the person by another way which devices are theirs, and tell the server's operator"},
	{"fix-ask-devices", "no new key of theirs is accepted; ask the person by another way which devices are theirs, and tell the server's operator"},
	{"fix-ask-anew", "ask the person by another way whether the account was made anew"},
	{"fix-ask-anew", "ask the person by another way, and tell the server's operator"},
	{"fix-remove-device", "ask @% by another way; remove them from the conversation if the device is not theirs"},
	{"fix-remove", "ask @% by another way; remove them from the conversation to go on without them, and tell the server's operator"},
	{"fix-no-version", "take no new version from it; tell the server's operator"},
	{"fix-operator", "tell the server's operator"},
	{"fix-operator", "tell its operator"},
	{"fix-unchanged", "tell its operator; nothing was joined"},
	{"fix-unchanged", "nothing of it was taken over; tell the server's operator"},
	{"fix-unchanged", "talk to the server's operator; nothing was changed"},
	{"fix-unchanged", "talk to the server's operator before you go on; nothing was changed"},
	{"fix-day", "no new device or person is accepted for a day, while the devices compare by themselves; ask them by another way"},
	{"fix-compare", "no new device or person is accepted; compare with others, and talk to the server's operator"},
	{"fix-compare", "no new device or person is accepted; tell the server's operator"},
	{"fix-new-log", "your conversations go on, and no new device or person is accepted; tell the server's administrator: a log that has two histories is set right by a new one (huis restore --new-log), which this device takes over when you give its fingerprint"},
	{"fix-new-log-ask", "your conversations go on, and no new device or person is accepted; ask the server's administrator, in person or by phone, for the fingerprint of the new log, give it with huis log accept FINGERPRINT, and then compare safety words with your contacts again (huis verify @NAME)"},
	{"fix-new-log-again", "nothing was changed; ask the server's administrator again, by another way than this server, and if they say the same do not go on: somebody answers in the server's place"},
	{"fix-unchanged", "nothing was changed; tell the server's administrator"},
	{"fix-words", "no new device or person is accepted; compare safety words with @%, and talk to the server's operator"},
	{"fix-new-name", "add the person under the name they have now"},
	{"fix-later", "try again when the server can be reached; nothing was changed"},
	{"fix-admin-removes", "an admin of it removes them with any command (huis chat members CHAT shows who is); so does this device once the log shows the new account for a day"},
	{"fix-tell-contacts", "tell your contacts by another way; huis verify @NAME shows the words to compare"},
	{"fix-tell-contacts", "tell your contacts by another way; they accept you once they compare safety words with you: huis verify @THEM shows yours"},
	{"fix-contacts-compare", "your contacts accept you all the same once they compare safety words with you: huis verify @THEM shows yours"},
	{"fix-not-part", "if that was you: huis link adds this device to the new account, in another folder (--profile DIR); if not: tell everybody by another way, and the server's operator"},
	{"fix-veto", "if that was not you: huis veto stops it, from this or any other device of yours; if it was you: nothing is to be done here"},
	{"fix-too-late", "tell everybody by another way, and the server's operator; contacts can still compare safety words with you"},
	{"fix-clock", "what you have goes on; adding people and devices has to wait until the log goes on (is the clock of this device right?)"},
	{"fix-witnesses", "your conversations go on; to add people or devices try again later, or ask the server's operator which witnesses are away"},
	{"fix-policy-wait", "your conversations go on; adding people and devices has to wait: tell the server's operator if it stays like this"},
	{"fix-inviter", "no new device or person is accepted; ask the person who invited you, by another way, and tell the server's operator"},
	{"fix-other-key", "do not add anybody; ask the operator, by another way, what happened"},
	{"fix-policy-hash", "compare it digit by digit with one of its signers; huis policy shows those in the log"},
	{"fix-policy-digits", "ask one of its signers, by another way than this server, for the first 16 digits"},
	{"fix-policy-signers", "huis policy shows who may"},
	{"fix-policy-first", "the first admin's device makes it when it is online"},
	{"fix-policy-log", "the key of this server's log is %"},
	{"fix-policy-serve", "the server has to ask them first: huis serve --witness URL for each"},
	{"fix-file", "the server altered the file or its sender made it so: ask the sender to send it again"},
	{"fix-devices", "one of your devices may not be yours: huis devices shows them"},
	{"fix-back-again", "nothing is sent before an admin of the conversation has removed @% again (huis chat remove CHAT @%); if @% is to stay, say so: huis chat add CHAT @%"},
	{"fix-readd", "what this device has stays here; have a member remove you from the conversation and add you again"},
	{"fix-members", "compare with the other members by another way, and talk to the server's operator"},
	{"fix-pending", "compare the safety words with them, in person or by phone: huis verify @%; or wait"},
	{"fix-accept", "compare these words with them, in person or by phone: huis verify @% --matches accepts the new account; do not accept it if they differ"},
}
