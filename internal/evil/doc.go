//go:build evil

// Package evil plays the malicious operator: the real server, whose every
// answer it may alter and whose every key it has, against real clients in
// processes of their own. It is built under the tag evil only; no release has
// it. Start with Main, which is the command `huis attack`.
//
// # The parts
//
// An Attack is a row of the table: what is tried, what has to come of it, how it
// is played and which defence stands against it. Run plays it twice, each time
// on a Stage of its own: a server process, people with profiles, nothing shared.
//
// The server process (Operator) is `huis serve` behind a front that holds its
// TLS key. The front decodes every request and answer, so that an attack alters
// messages and not bytes. Each person comes in by a door of their own, a port:
// the operator is assumed to know who is who, as whoever watches the line does.
// What an operator does is a Hand: a function of the attack that runs in that
// process, called by name from the play.
//
// The people run the very program that is attacked (flag --huis), unaltered.
// What they send is recorded below TLS and searched for what was said.
//
// # The control
//
// A row that cannot fail says nothing. So each names its defence as a change of
// the source: Edit{File, Old, New}. All changes go into one weakened program,
// built once with `go build -overlay`; each is guarded by the environment
// variable HUIS_WITHOUT, which names the attack whose defences are off. The
// attack has to succeed there, or the row is not ok. An Edit whose Old text does
// not stand exactly once in its file is an error, so that a defence that was
// rewritten is noticed. The program that is released has no switch of that kind.
//
// Some attacks need a member who lies. Malice edits the same way; it acts only
// in the devices of those whom the play makes liars (Person.Liar).
//
// # To add an attack
//
// Put an Attack literal into the file of its section, in the init function's
// register call. Play sets the scene, calls its Hands, and returns Facts: whether
// the attack had its effect, who was told and what is proved; the outcome is
// computed from them. Take care that Effect is what the attacker wants, seen from
// outside (what a victim's `read --json` prints, what the operator decrypts).
// Name the defence with Off(file, line), where line is the whole condition that
// refuses. Run `huis attack ID` and watch both columns. Then give it a line in
// THREATMODEL.md, and `huis attack --readme` writes README.md's table.
package evil
