//go:build evil

package evil

// later are the attacks on what is not built yet: each comes with its feature,
// and until then no row says that it was played.
var later = []struct{ ID, With string }{
	{"B-21", "folders of files"},
	{"B-23", "calls"},
	{"B-25", "wake-ups of sleeping phones"},
	{"B-27", "the profile that sends at its own times"},
	{"B-32", "servers that talk to each other"},
	{"B-33", "mail"},
	{"B-35", "profiles locked by a passphrase"},
	{"B-37", "services of third parties"},
	{"B-39", "orders"},
	{"B-40", "profiles for a journey"},
	{"B-42", "roles of administrators and moderators"},
	{"B-43", "keys that a machine holds"},
	{"B-44", "protection from the screen being read"},
}
