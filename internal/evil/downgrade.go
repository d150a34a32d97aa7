//go:build evil

package evil

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	"codeberg.org/huis/huis/internal/client"
	"codeberg.org/huis/huis/internal/proto"
)

const dialer = "internal/httpapi/dial/dial.go"

// Promise: no weaker mode can be forced on anybody. Each downgrade is refused
// with words that say what is wrong.
func init() {
	register(
		Attack{
			ID: "B-18/a", Name: "downgrade: TLS 1.2", Expected: Prevented,
			Play: joinWith("tls"), Hands: offering(func(c *tls.Config) { c.MinVersion, c.MaxVersion = tls.VersionTLS12, tls.VersionTLS12 }),
			Without: []Edit{
				{dialer, "		MinVersion:       tls.VersionTLS13,\n", "		MinVersion: func() uint16 {\n			if $W {\n				return tls.VersionTLS12\n			}\n			return tls.VersionTLS13\n		}(),\n"},
				classicalTLS,
			},
		},
		Attack{
			ID: "B-18/b", Name: "downgrade: TLS without the post-quantum half", Expected: Prevented,
			Play: joinWith("tls"), Hands: offering(func(c *tls.Config) { c.CurvePreferences = []tls.CurveID{tls.X25519} }),
			Without: []Edit{classicalTLS},
		},
		Attack{
			ID: "B-18/c", Name: "downgrade: an invitation without TLS", Expected: Prevented,
			Play: func(s *Stage) Facts {
				e := s.eavesdrop()
				link := "http://" + e.addr() + s.first.Invite[strings.Index(s.first.Invite, "/join"):]
				t := s.Stranger("ann").Try("join", link, "--handle", "ann")
				return Facts{Effect: e.heard("/v1/"), Detail: t.Error()}
			},
			Without: []Edit{
				Off("internal/client/invitation.go", `if u.Scheme != "https" {`),
				{"internal/client/invitation.go", "	return \"https://\" + u.Host, u.Fragment, nil\n", "	if $W {\n		return u.Scheme + \"://\" + u.Host, u.Fragment, nil\n	}\n	return \"https://\" + u.Host, u.Fragment, nil\n"},
				Off(dialer, `if err != nil || u.Scheme != "https" || u.Host == "" {`),
			},
		},
		Attack{
			ID: "B-18/d", Name: "downgrade: sent on to another place, without TLS", Expected: Prevented,
			Play: func(s *Stage) Facts {
				ann, _, _ := s.house()
				e := s.eavesdrop()
				s.Hand("begin", "http://"+e.addr()+"/v1/info")
				t := ann.Try("status")
				s.Told()
				return Facts{Effect: e.heard("POST"), Detail: t.Error()}
			},
			Hands: map[string]Hand{"begin": hand(func(_ context.Context, o *Operator, to string) (any, error) {
				o.Lie(func(x *Exchange) error {
					if x.Answer == nil && x.Refusal == nil {
						x.Redirect = to
						o.Told()
					}
					return nil
				})
				return nil, nil
			})},
			Without: []Edit{{dialer, "		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },\n", "		CheckRedirect: func(*http.Request, []*http.Request) error {\n			if $W {\n				return nil\n			}\n			return http.ErrUseLastResponse\n		},\n"}},
		},
		Attack{
			ID: "B-18/e", Name: "downgrade: an older version of the protocol", Expected: Prevented,
			Play: func(s *Stage) Facts {
				ann, _, _ := s.house()
				s.Hand("begin", "ann")
				t := ann.Try("send", "house", s.Secret("a text"))
				s.Told()
				return Facts{Effect: t.Code == 0, Detail: t.Error()}
			},
			Hands: map[string]Hand{"begin": lie(func(o *Operator, x *Exchange) error {
				if r, ok := x.Answer.(*proto.InfoResponse); ok {
					r.Version = 0
					o.Told()
				}
				return nil
			})},
			Without: []Edit{Off("internal/client/sessions.go", "if r.Version != proto.Version {")},
		},
		Attack{
			ID: "B-18/f", Name: "downgrade: an invitation without the server's fingerprint", Expected: Prevented,
			Play: func(s *Stage) Facts {
				inv, err := client.ParseInvitation(s.byDoor("ann", s.first.Invite))
				s.Must(err)
				inv.Server.Pin = nil
				t := s.Stranger("ann").Try("join", inv.String(), "--handle", "ann")
				return Facts{Effect: t.Code == 0, Detail: t.Error()}
			},
			Without: []Edit{{dialer, "	if len(pin) == 0 {\n		return config\n	}\n", "	if len(pin) == 0 {\n		config.InsecureSkipVerify = $W\n		return config\n	}\n"}},
		},
		Attack{
			ID: "B-18/g", Name: "downgrade: a message in a format of the past", Expected: Prevented, Play: forged,
			Malice:  []Edit{anyEnvelope, {"internal/client/content/envelope.go", "		v = gossipVersion\n	}\n	wire.Uint8(c, &v)\n", "		v = gossipVersion\n	}\n	if $W {\n		v = 0\n	}\n	wire.Uint8(c, &v)\n"}},
			Without: []Edit{anyEnvelope},
		},
		Attack{
			ID: "B-18/h", Name: "downgrade: a member ends the group for one of a weaker suite", Expected: Prevented,
			Play: func(s *Stage) Facts {
				ann, bob, _ := s.house()
				before := epoch(bob, "house")
				ann.Liar().Do("chat", "expiry", "house", "7d")
				bob.Try("read", "house")
				return Facts{Effect: epoch(bob, "house") == before+1, Detail: state(bob, "house")}
			},
			Malice:  []Edit{anyProposal, {"internal/client/commit.go", "	opt.NewSigner = b.ch.newSigner\n", "	if $W {\n		opt.Proposals = []mls.Proposal{{Type: mls.ProposalReInit, ReInit: &mls.ReInit{GroupID: []byte(\"weaker\"), Version: mls.MLS10, CipherSuite: mls.X25519AES128SHA256Ed25519}}}\n	}\n	opt.NewSigner = b.ch.newSigner\n"}},
			Without: []Edit{anyProposal},
		},
		Attack{
			ID: "B-18/i", Name: "downgrade: a member's rules in a format of the past", Expected: Prevented,
			Play: func(s *Stage) Facts {
				ann, bob, _ := s.house()
				before := epoch(bob, "house")
				ann.Liar().Do("chat", "expiry", "house", "7d")
				bob.Try("read", "house")
				return Facts{Effect: epoch(bob, "house") == before+1 && state(bob, "house") == "", Detail: state(bob, "house")}
			},
			Malice:  []Edit{anyRules, {"internal/client/policy.go", "	return mls.Extension{ExtensionType: extPolicy, ExtensionData: wire.MustEncode(p.wire)}\n", "	if b := wire.MustEncode(p.wire); $W {\n		b[0] = 0\n		return mls.Extension{ExtensionType: extPolicy, ExtensionData: b}\n	}\n	return mls.Extension{ExtensionType: extPolicy, ExtensionData: wire.MustEncode(p.wire)}\n"}},
			Without: []Edit{anyRules},
		},
		Attack{
			ID: "B-18/j", Name: "downgrade: the server says that a person's devices take no encryption", Expected: Prevented,
			Play: func(s *Stage) Facts {
				ann := s.People("ann", "bob")[0]
				s.Hand("begin", "ann")
				t := ann.Try("send", "@bob", s.Secret("a text"))
				s.Told()
				f := s.leaked(t.Error())
				return f
			},
			Hands: map[string]Hand{"begin": hand(func(_ context.Context, o *Operator, door string) (any, error) {
				o.Lie(func(x *Exchange) error {
					if _, ok := x.Request.(*proto.ClaimRequest); ok {
						x.Answer, x.Refusal = &proto.ClaimResponse{}, nil
						o.Told()
					}
					return nil
				})
				return nil, nil
			})},
			Without: []Edit{leakHeader, leakText},
		},
		Attack{
			ID: "B-18/k", Name: "downgrade: the server wants a suite without the post-quantum half published", Expected: Prevented,
			Play: func(s *Stage) Facts {
				s.Hand("begin", "")
				ann, bob := s.Person("ann"), s.Person("bob")
				bob.Try("status")
				ann.Try("status")
				ann.Do("send", "@bob", s.Secret("a text"))
				bob.Do("read", "@ann")
				var suites []int
				s.Ask("suites", nil, &suites)
				if len(suites) == 0 {
					s.Fatal("no key package was seen")
				}
				return Facts{Effect: !all(suites, int(suite)), Detail: fmt.Sprint(suites)}
			},
			Hands: map[string]Hand{"suites": hand(seenSuites), "begin": hand(func(_ context.Context, o *Operator, _ string) (any, error) {
				// What an old server would say: it takes no package of this suite.
				said := make(map[string]bool)
				o.Lie(func(x *Exchange) error {
					if r, ok := x.Request.(*proto.PublishRequest); ok && x.Answer == nil && x.Refusal == nil {
						o.Keep("published", append(packagesSeen(o), r.Packages...))
						if !said[x.Door] {
							said[x.Door], x.Refusal = true, proto.Refuse(proto.Unavailable)
							o.Told()
						}
					}
					return nil
				})
				return nil, nil
			})},
			Without: []Edit{weakSuite, anySuite},
		},
		Attack{
			ID: "B-18/l", Name: "downgrade: the same key package, a device's last resort, for everybody", Expected: Residual, Gains: "forward secrecy of a join",
			Play: func(s *Stage) Facts {
				s.Hand("begin", nil)
				bob, ann, cal := s.Person("bob"), s.Person("ann"), s.Person("cal")
				ann.Do("send", "@bob", s.Secret("a text"))
				cal.Do("send", "@bob", s.Secret("a text"))
				if n := len(bob.Do("chat", "list").Objects); n != 2 {
					s.Fatal("bob is in %d conversations", n)
				}
				var used int
				s.Ask("used", nil, &used)
				return Facts{Effect: used >= 2, Detail: fmt.Sprint(used)}
			},
			Hands: map[string]Hand{
				"begin": hand(func(_ context.Context, o *Operator, _ struct{}) (any, error) {
					o.Lie(func(x *Exchange) error {
						if r, ok := x.Request.(*proto.PublishRequest); ok && x.Answer == nil {
							r.Packages = nil
						}
						if r, ok := x.Answer.(*proto.ClaimResponse); ok {
							for _, p := range r.Packages {
								if p.LastResort {
									o.Told()
								}
							}
						}
						return nil
					})
					return nil, nil
				}),
				"used": common["told"],
			},
		},
	)
}

var (
	anyEnvelope = Off("internal/client/content/envelope.go", "if c.Err() == nil && v != plainVersion && v != gossipVersion {")
	anyRules    = Off("internal/client/policy.go", "if c.Err() == nil && v != policyVersion {")
	anyProposal = Edit{"internal/client/policy.go", "			return breaks(\"a proposal of type %#04x\"", "			if $W {\n				continue\n			}\n			return breaks(\"a proposal of type %#04x\""}
	// classicalTLS is a client that takes what TLS the server has.
	classicalTLS = Edit{dialer, "	config.CurvePreferences = config.CurvePreferences[:1]\n", "	if !$W {\n		config.CurvePreferences = config.CurvePreferences[:1]\n	}\n"}
	// anySuite is a server that takes key packages of any suite.
	anySuite = Edit{"internal/delivery/account.go", "	if k.CipherSuite != mls.XWingChaChaSHA384Ed25519 ||", "	if k.CipherSuite != mls.XWingChaChaSHA384Ed25519 && !$W ||"}
	// weakSuite is a client that has a suite without the post-quantum half.
	weakSuite = Edit{"internal/client/policy.go", "const (\n	suite = mls.XWingChaChaSHA384Ed25519\n", "var suite = func() mls.CipherSuite {\n	if $W {\n		return mls.X25519ChaChaSHA256Ed25519\n	}\n	return mls.XWingChaChaSHA384Ed25519\n}()\n\nconst (\n"}
)

// joinWith lets somebody join through a door that offers less.
func joinWith(name string) func(*Stage) Facts {
	return func(s *Stage) Facts {
		s.Hand(name, nil)
		t := s.Stranger("ann").Try("join", s.byDoor("ann", s.first.Invite), "--handle", "ann")
		return Facts{Effect: t.Code == 0, Detail: t.Error()}
	}
}

// offering is the hand "tls": doors opened from now on offer what f leaves.
func offering(f func(*tls.Config)) map[string]Hand {
	return map[string]Hand{"tls": hand(func(_ context.Context, o *Operator, _ struct{}) (any, error) {
		o.Keep("tls", f)
		return nil, nil
	})}
}

// eavesdropper records what comes to a place without TLS.
type eavesdropper struct {
	l  net.Listener
	mu sync.Mutex // guards got
	b  bytes.Buffer
}

func (s *Stage) eavesdrop() *eavesdropper {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	s.Must(err)
	e := &eavesdropper{l: l}
	s.atEnd(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go e.listen(c)
		}
	}()
	return e
}

func (e *eavesdropper) addr() string { return e.l.Addr().String() }

func (e *eavesdropper) listen(c net.Conn) {
	defer c.Close()
	c.SetDeadline(time.Now().Add(5 * time.Second))
	b := make([]byte, 64<<10)
	n, _ := c.Read(b)
	e.mu.Lock()
	e.b.Write(b[:n])
	e.mu.Unlock()
	fmt.Fprint(c, "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
}

func (e *eavesdropper) heard(text string) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return strings.Contains(e.b.String(), text)
}

func packagesSeen(o *Operator) [][]byte {
	seen, _ := o.Kept("published").([][]byte)
	return seen
}

// seenSuites lists the suites of the key packages that were published.
func seenSuites(_ context.Context, o *Operator, _ struct{}) (any, error) {
	var suites []int
	for _, b := range packagesSeen(o) {
		kp, err := parsePackage(b)
		if err != nil {
			return nil, err
		}
		suites = append(suites, int(kp.CipherSuite))
	}
	return suites, nil
}

func all(numbers []int, want int) bool {
	for _, n := range numbers {
		if n != want {
			return false
		}
	}
	return true
}
