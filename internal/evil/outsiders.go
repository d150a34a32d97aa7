//go:build evil

package evil

// Promise: who is outside stays outside, and no link brings anybody in.
func init() {
	register(
		Attack{
			ID: "B-1/b", Name: "an admin's lying program lets outsiders propose members (external_senders)", Expected: Prevented,
			Play: func(s *Stage) Facts {
				ann, bob, _ := s.house()
				ann.Liar().Do("chat", "expiry", "house", "7d")
				said := s.Secret("a text")
				for range 2 { // should bob be added anew, it is to that same group
					bob.Try("read", "house")
					ann.Do("send", "house", said)
				}
				got := bob.Try("read", "house")
				return Facts{Effect: contains(got.Texts(), said), Alerted: got.Alert(), Detail: got.Error()}
			},
			Malice: []Edit{
				{"internal/client/commit.go", "	var list []mls.Extension\n	for _, e := range b.cv.group", `	var list []mls.Extension
	if $W {
		who := []mls.ExternalSender{{SignatureKey: b.cv.group.Members()[0].SignatureKey, Credential: mls.BasicCredential([]byte("operator"))}}
		list = append(list, mls.ExternalSendersExtension(who))
	}
	for _, e := range b.cv.group`},
				foreignExtension, otherExtensions,
			},
			Without: []Edit{foreignExtension, otherExtensions},
		},
		Attack{
			ID: "B-2/c", Name: "a link, in a message or opened, that starts the linking of a stranger's device", Expected: Prevented,
			Play: func(s *Stage) Facts {
				ann, bob, _ := s.house()
				mal, server := s.Stranger("mal"), s.Server(bob, "mal")
				code, ended := make(chan string, 4), make(chan error, 1)
				go func() {
					ended <- mal.device.Stream(func(o Object) {
						if c, ok := o["code"].(string); ok {
							code <- c
						}
					}, "link", server, "--handle", "bob")
				}()
				select {
				case c := <-code:
					for _, link := range linkingLinks(server, c) {
						ann.Do("send", "house", link)
						bob.Do("read", "house")
						bob.opens(link)
					}
				case err := <-ended:
					s.Fatal("link: %v", err)
				}
				devices := bob.Do("devices").Objects
				return Facts{Effect: len(devices) > 1}
			},
			Without: []Edit{{"internal/client/linkcode.go", "	clean := strings.NewReplacer(", "	if _, after, found := strings.Cut(s, \"#\"); found && $W {\n		s = after\n	}\n	clean := strings.NewReplacer("}},
		},
	)
}

// foreignExtension takes a group whose context has what this product never
// makes.
var foreignExtension = Off("internal/client/policy.go", "if e.ExtensionType != extPolicy && e.ExtensionType != extPredecessor {")

// linkingLinks carry the code that a stranger's device shows.
func linkingLinks(server, code string) []string {
	return []string{
		"huis:approve?code=" + code, server + "/approve/" + code, "https://huis.invalid/link?code=" + code,
		"https://huis.invalid/#/settings/devices/" + code, "https://huis.invalid/#" + code,
	}
}

// opens has a person give a link to every command that takes one; each may
// refuse it.
func (p *Person) opens(link string) {
	for _, command := range [][]string{{"join", link, "--handle", p.Name}, {"link", link, "--handle", p.Name}, {"approve", link}} {
		_, _ = p.device.Run(command...)
	}
}
