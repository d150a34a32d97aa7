//go:build evil

package evil

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"codeberg.org/huis/huis/internal/client"
	"codeberg.org/huis/huis/internal/proto"
)

// Promises: the server one joined is the one one talks to, and it has no door
// for third parties.
func init() {
	register(
		Attack{
			ID: "B-30/a", Name: "another certificate in front of the server", Expected: Prevented,
			Play: func(s *Stage) Facts {
				ann, bob, _ := s.house()
				before := s.received("bob")
				s.Hand("begin", nil)
				t := bob.Try("send", "house", s.Secret("a text"))
				_ = ann
				return Facts{Effect: s.received("bob") > before, Alerted: t.Alert(), Detail: t.Error()}
			},
			Hands: map[string]Hand{"begin": hand(func(_ context.Context, o *Operator, _ struct{}) (any, error) {
				cert, err := anotherCertificate()
				o.Keep("certificate", cert)
				return nil, err
			})},
			Without: []Edit{Off(dialer, "if !bytes.Equal(got[:], pin) {")},
		},
		Attack{
			ID: "B-30/b", Name: "a recorded log-in is played again", Expected: Prevented,
			Play: func(s *Stage) Facts {
				s.house()
				var opened bool
				s.Ask("replay", nil, &opened)
				return Facts{Effect: opened}
			},
			Hands: map[string]Hand{"replay": hand(func(ctx context.Context, o *Operator, _ struct{}) (any, error) {
				o.mu.Lock()
				var recorded []proto.AccountOpenRequest
				for _, r := range o.devices {
					recorded = append(recorded, r)
				}
				o.mu.Unlock()
				for _, r := range recorded {
					if o.Ask(ctx, "first", proto.AccountOpen, &r, &proto.AccountOpenResponse{}) == nil {
						return true, nil
					}
				}
				return false, nil
			})},
			Without: []Edit{respentNonce},
		},
		Attack{
			ID: "B-31/a", Name: "an invitation altered on its way, in fifty ways", Expected: Prevented,
			Play: func(s *Stage) Facts {
				inv, err := client.ParseInvitation(s.byDoor("ann", s.first.Invite))
				s.Must(err)
				for n, link := range spoofs(inv) {
					t := s.Stranger(fmt.Sprintf("s%d", n)).Try("join", "--handle", fmt.Sprintf("s%d", n), "--", link)
					if t.Code == 0 {
						return Facts{Effect: true, Detail: link}
					}
				}
				return Facts{}
			},
			Without: []Edit{Off(dialer, "if !bytes.Equal(got[:], pin) {")},
		},
		Attack{
			ID: "B-31/b", Name: "names that look like another's, in other letters", Expected: Prevented,
			Play: func(s *Stage) Facts {
				ann := s.Person("ann")
				for n, name := range lookalikes {
					t := s.Stranger(fmt.Sprintf("s%d", n)).Try("join", s.byDoor(fmt.Sprintf("s%d", n), ann.One("invite", "--uses", "2")["invite"].(string)), "--handle="+name)
					if t.Code == 0 {
						return Facts{Effect: true, Detail: strconv.Quote(name)}
					}
				}
				return Facts{}
			},
			Without: []Edit{
				{"internal/directory/directory.go", "	if !ValidHandle(r.Handle) {\n		return nil, proto.Refuse(proto.BadName)\n", "	if !ValidHandle(r.Handle) && !$W {\n		return nil, proto.Refuse(proto.BadName)\n"},
				{"internal/client/chats.go", "	if len(h) < 2 || len(h) > proto.MaxHandle ||", "	if $W {\n		return h, nil\n	}\n	if len(h) < 2 || len(h) > proto.MaxHandle ||"},
			},
		},
		Attack{
			ID: "B-31/c", Name: "a link that leads to another server altogether", Expected: Residual, Gains: "the choice of a server",
			Play: func(s *Stage) Facts {
				// Another server of the same kind, with all that belongs to it.
				other := &Stage{Dir: filepath.Join(s.Dir, "other"), Scan: s.Scan, attack: s.attack, ctx: s.ctx, huis: s.huis, env: s.env}
				s.Must(os.Mkdir(other.Dir, 0o700))
				s.Must(other.open())
				t := s.Stranger("ann").Try("join", other.byDoor("ann", other.first.Invite), "--handle", "ann")
				s.Must(other.close())
				return Facts{Effect: t.Code == 0, Detail: t.Error()}
			},
		},
		Attack{
			ID: "B-31/d", Name: "names that look like another's, in the same letters", Expected: Residual, Gains: "a claim",
			Play: func(s *Stage) Facts {
				both := s.People("modern", "rnodern")
				return Facts{Effect: both[0].Account != both[1].Account}
			},
		},
		Attack{
			ID: "B-36", Name: "a door for third parties: undeclared ways in, listeners, words for administrators", Expected: Prevented,
			Play: doors, Hands: map[string]Hand{"knock": hand(knock), "listeners": hand(listeners), "web": hand(func(ctx context.Context, o *Operator, _ struct{}) (any, error) {
				o.web = true
				return nil, o.restart(ctx)
			})},
			Without: []Edit{{"internal/httpapi/http.go", "	s.mux.HandleFunc(\"GET /log/key\", s.logKey)\n", "	s.mux.HandleFunc(\"GET /log/key\", s.logKey)\n	if $W {\n		s.mux.HandleFunc(\"GET /admin/intercept\", word(\"welcome\"))\n	}\n"}},
		},
	)
}

// received is how much came in by a person's door.
func (s *Stage) received(door string) int64 {
	info, err := os.Stat(filepath.Join(s.Dir, "data.egress", door))
	s.Must(err)
	return info.Size()
}

func anotherCertificate() (*tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	t := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, t, t, &key.PublicKey, key)
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, err
}

// spoofs alters an invitation in fifty ways, each of which has to be refused.
// The inviter and the day of expiry in a link are for the reader's eye: the
// server has its own.
func spoofs(inv client.Invitation) (links []string) {
	add := func(f func(i *client.Invitation)) {
		i := inv
		i.Server.Pin = slices.Clone(inv.Server.Pin)
		f(&i)
		links = append(links, i.String())
	}
	for n := range 14 {
		add(func(i *client.Invitation) { i.Server.Pin[n*2] ^= 1 << (n % 8) })
	}
	for n := range 14 {
		add(func(i *client.Invitation) { i.Token[n] ^= 1 << (n % 8) })
	}
	add(func(i *client.Invitation) { i.Server.Pin = nil })
	add(func(i *client.Invitation) { i.Token = proto.Token{} })
	whole := inv.String()
	host := strings.TrimPrefix(inv.Server.URL, "https://")
	before, fragment, _ := strings.Cut(whole, "#")
	for n := range 10 {
		links = append(links, before+"#"+fragment[:len(fragment)*n/10])
	}
	return append(links,
		strings.Replace(whole, "https://", "http://", 1),
		strings.Replace(whole, "https://", "ftp://", 1),
		strings.Replace(whole, "https://", "https://huis@", 1),
		strings.Replace(whole, "https://", "https://"+host+"@", 1),
		before+"?to=elsewhere#"+fragment,
		before+"#"+fragment+"A",
		before+"#"+strings.ToUpper(fragment),
		before+"#"+fragment+"#"+fragment,
		before+"#AAAA"+fragment[4:],
		strings.Replace(whole, "#", "%23", 1),
	)
}

// lookalikes are names that a person would read as ann's or the server's.
var lookalikes = []string{
	"аnn", "аnп", "Ann", "ANN", "ann ", " ann", "ann\u200b", "a\u200dnn", "ann\u00ad", "\u202eann", "ann\u202c", "ãnn", "ann\u0301",
	"ａｎｎ", "𝐚𝐧𝐧", "ⓐⓝⓝ", "αnn", "ann\n", "ann\t", "ann/bob", "ann\\bob", "@@ann", "ann@huis", "ann:1", "ann,", "ann;", "ann\"", "'ann'",
	"<ann>", "ann#1", "ann?", "ann!", "ann*", "a_nn", "ann+", "admіn", "Admin", "ADMIN", "support\u2024", "suppоrt", "huis\u200b", "ʜuis", "húis",
	"sys\u200etem", "ann\u2060", "ann\ufeff", "ꓮnn", "𝖆nn",
}

// The ways into a server that are meant to be there.
var declared = []string{"/", "/join", "/log/key", "/log/checkpoint"}

// doors knocks at every way in one could think of.
func doors(s *Stage) Facts {
	s.house()
	s.Hand("web", nil)
	var methods []string
	for _, c := range proto.Calls() {
		methods = append(methods, string(c.Method))
	}
	var open []string
	s.Ask("knock", methods, &open)
	open = slices.DeleteFunc(open, func(p string) bool { return slices.Contains(declared, p) })
	var n int
	s.Ask("listeners", nil, &n)
	if want := 5; n != want { // the doors first, ann and bob, the server behind, and its web app on loopback
		open = append(open, fmt.Sprintf("%d listeners, %d declared", n, want))
	}
	if extra := undeclared(methods); len(extra) > 0 {
		open = append(open, extra...)
	}
	return Facts{Effect: len(open) > 0, Detail: strings.Join(open, " ")}
}

// reviewed are the requests there are. A new one has to be entered here by
// somebody who has thought about what it gives out, and to whom.
var reviewed = strings.Fields(`
	info nonce invite_check register mailbox_post mailbox_fetch log_head log_entry
	account_open invite chain_append lookup chain_proof log_epochs publish package_count claim
	inbox_post inbox_fetch inbox_ack create_token
	create append commit open read blob_begin blob_put blob_stat blob_finish blob_get pin unpin
	veto name_place rename policy_put release_put backup_get backup_set recover
	give_log give_account give_entries give_done`)

func undeclared(methods []string) (extra []string) {
	for _, m := range methods {
		if !slices.Contains(reviewed, m) {
			extra = append(extra, m)
		}
	}
	return extra
}

// knock tries paths with every verb and lists those that answer with anything
// but a refusal.
func knock(_ context.Context, o *Operator, methods []string) (any, error) {
	paths := slices.Clone(declared)
	for _, base := range []string{"admin", "debug", "internal", "api", "v0", "v1", "v2", "metrics", "intercept", "orders", "wiretap", "preserve", "users", "accounts", "keys", "escrow", "config", "settings", "health", "status", "graphql", "rpc", "ws", "log", "static", ".well-known"} {
		for _, more := range []string{"", "/", "/intercept", "/pprof/", "/vars", "/list", "/dump", "/0", "/all", "/config", "/export", "/keys", "/users"} {
			paths = append(paths, "/"+base+more)
		}
	}
	get := func(verb, path string) (status int, body string, err error) {
		r, err := http.NewRequest(verb, "https://"+o.house("first").addr+path, bytes.NewReader(nil))
		if err != nil {
			return 0, "", err
		}
		answer, err := o.house("first").http.RoundTrip(r)
		if err != nil {
			return 0, "", err
		}
		defer answer.Body.Close()
		b, err := io.ReadAll(answer.Body)
		return answer.StatusCode, string(b), err
	}
	_, start, err := get("GET", "/") // the web app, which shows each of its pages by itself
	if err != nil {
		return nil, err
	}
	var open []string
	for _, path := range paths {
		for _, verb := range []string{"GET", "POST", "PUT", "INTERCEPT"} {
			if method, is := strings.CutPrefix(path, "/v1/"); is && slices.Contains(methods, method) {
				continue
			}
			status, body, err := get(verb, path)
			if err != nil {
				return nil, err
			}
			if status < 300 && body != start && !slices.Contains(open, path) {
				open = append(open, path)
			}
		}
	}
	return open, nil
}

// listeners counts the TCP sockets on which this process listens.
func listeners(context.Context, *Operator, struct{}) (any, error) {
	mine := make(map[string]bool)
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		to, _ := os.Readlink("/proc/self/fd/" + e.Name())
		if inode, is := strings.CutPrefix(to, "socket:["); is {
			mine[strings.TrimSuffix(inode, "]")] = true
		}
	}
	n := 0
	for _, table := range []string{"/proc/self/net/tcp", "/proc/self/net/tcp6"} {
		b, err := os.ReadFile(table)
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(b)) {
			f := strings.Fields(line)
			if len(f) > 9 && f[3] == "0A" && mine[f[9]] {
				n++
			}
		}
	}
	return n, nil
}
