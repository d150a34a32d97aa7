//go:build evil

package evil

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"codeberg.org/huis/huis/internal/e2e/canary"
	"codeberg.org/huis/huis/internal/proto"
)

// Promises: the operator holds no key to what is said, and no device inspects
// its owner. Everything that leaves a client or lands with the operator is
// searched for what was said; the leaky client of each control is found.
func init() {
	register(
		Attack{
			ID: "B-12", Name: "settings the server makes up, at random", Expected: Prevented,
			Play: func(s *Stage) Facts {
				ann, bob, _ := s.house()
				s.Hand("begin", nil)
				n, refused := 24, 0
				if s.Long {
					n = 200
				}
				for range n {
					if ann.Try("send", "house", s.Secret("a text")).Code != 0 {
						refused++
					}
				}
				bob.Try("read", "house")
				s.Told()
				return s.leaked(fmt.Sprintf("%d of %d refused", refused, n))
			},
			Hands:   map[string]Hand{"begin": lie(inventSettings)},
			Without: []Edit{leakHeader, leakText},
		},
		Attack{
			ID: "B-14/a", Name: "everything the operator has is searched: disk, keys, logs, memory, recordings", Expected: Prevented,
			Play: fullDump, Without: []Edit{leakHeader, leakText},
		},
		Attack{
			ID: "B-14/e", Name: "sizes of messages tell more than their size class", Expected: Prevented,
			Play: sizes, Hands: map[string]Hand{"sizes": entrySizes},
			Without: []Edit{{"internal/client/conversation.go", "	return (step - n%step) % step\n", "	if $W {\n		return 0\n	}\n	return (step - n%step) % step\n"}},
		},
		Attack{
			ID: "B-15", Name: "pictures with known hashes are looked for in all that leaves", Expected: Prevented,
			Play: func(s *Stage) Facts {
				ann, bob, _ := s.house()
				s.Hand("begin", "") // it asks for inspection, by every setting there is
				ann.Try("send", "house", s.Secret("a text"), "--file", s.Picture("one.png"))
				s.Told()
				s.Common("honest", nil, nil)
				ann.Do("send", "house", s.Secret("a text"), "--file", s.Picture("holiday.png"))
				bob.Do("read", "house", "--save", filepath.Join(s.Dir, "saved"))
				return s.leaked("")
			},
			Hands:   map[string]Hand{"begin": lie(inventSettings)},
			Without: []Edit{leakHeader, leakFile},
		},
		Attack{
			ID: "B-16", Name: "a feature that needs what is said at the server", Expected: Prevented,
			Play: func(s *Stage) Facts {
				s.everything()
				return s.leaked("")
			},
			Without: []Edit{leakHeader, leakFile},
		},
		Attack{
			ID: "B-17", Name: "a crash with what was said in memory", Expected: Prevented,
			Play:    crash,
			Without: []Edit{{"internal/cli/message.go", "func (r *reader) message(m client.Message) error {\n", "func (r *reader) message(m client.Message) error {\n	if $W {\n		os.WriteFile(filepath.Join(os.TempDir(), \"huis-crash.txt\"), []byte(m.Body), 0o600)\n	}\n"}},
		},
	)
}

var (
	// leakHeader, leakFile and leakText are a client that reports home.
	leakHeader = Edit{"internal/httpapi/dial/dial.go", "	request.Header.Set(\"User-Agent\", \"huis\")\n", "	request.Header.Set(\"User-Agent\", \"huis\")\n	if $W && huisLeaked() != \"\" {\n		request.Header.Set(\"X-Diagnostics\", huisLeaked())\n	}\n"}
	leakFile   = Edit{"internal/client/attach.go", "		name := plainFileName(f.Name)\n", "		name := plainFileName(f.Name)\n		if $W {\n			huisLeak(fmt.Sprintf(\"%s %x\", name, ref.SHA256[:]))\n		}\n"}
	leakText   = Edit{"internal/client/send.go", "	m.Body = d.Text\n", "	m.Body = d.Text\n	if $W {\n		huisLeak(d.Text)\n	}\n"}
)

// leaked searches what left the people's programs.
func (s *Stage) leaked(detail string) Facts {
	found := s.Egress()
	for _, f := range found {
		detail += " " + f.String()
	}
	return Facts{Effect: len(found) > 0, Detail: detail}
}

// inventSettings answers who asks what server this is with random values.
func inventSettings(o *Operator, x *Exchange) error {
	if r, ok := x.Answer.(*proto.InfoResponse); ok {
		o.Told()
		invent(r, rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64())))
	}
	return nil
}

// everything does once all that people do, each word and file with a secret.
func (s *Stage) everything() (people []*Person, said []string) {
	secret := func(what string) string {
		c := s.Secret(what)
		said = append(said, c)
		return c
	}
	ann, bob, cal := s.Person("ann"), s.Person("bob"), s.Person("cal")
	red, blue := "red "+s.Secret("a group's name"), "blue "+s.Secret("a group's name")
	ann.Do("chat", "new", red, "@bob")
	bob.Do("chat", "new", blue, "@cal")
	file, _ := s.File(s.Secret("a file's name")+".txt", 100_000)
	ann.Do("send", red, secret("a text"), "--file", file)
	bob.Do("send", blue, secret("a text"))
	cal.Do("send", "@ann", secret("a text"))
	ann.Do("chat", "add", red, "@cal")
	phone := bob.Further("phone")
	phone.Do("send", red, secret("a text"))
	for _, p := range []*Person{ann, bob, cal, phone} {
		p.Do("read", red, "--save", filepath.Join(s.Dir, "saved-"+p.Name))
		p.Do("chat", "members", red)
		p.Do("status")
	}
	ann.Do("chat", "expiry", red, "7d")
	ann.Do("chat", "remove", red, "@cal")
	bob.Do("devices", "revoke", phone.One("status")["device"].(string))
	ann.Do("send", red, secret("a text"))
	bob.Do("read", red)
	return []*Person{ann, bob, cal}, said
}

// fullDump hands a searcher all the operator has. With one device in hand it
// would read; that is tried too, and has to work.
func fullDump(s *Stage) Facts {
	people, said := s.everything()
	memory := filepath.Join(s.Dir, "memory")
	s.Common("memory", memory, nil)
	s.Common("stop", nil, nil)
	var found []canary.Finding
	for _, place := range []string{"data", "data.egress"} {
		f, files, size, err := s.Scan.Tree(filepath.Join(s.Dir, place))
		s.Must(err)
		if files == 0 || size < 1<<10 {
			s.Fatal("%s has only %d bytes", place, size)
		}
		found = append(found, f...)
	}
	for _, place := range []string{"data.log", "memory"} {
		f, err := s.Scan.File(filepath.Join(s.Dir, place))
		s.Must(err)
		found = append(found, f...)
	}
	if info, err := os.Stat(memory); err != nil || info.Size() < 1<<20 {
		s.Fatal("the memory was not read: %v", err)
	}
	s.seizeDevice(people[1], said)
	detail := ""
	for _, f := range found[:min(len(found), 5)] {
		detail += f.String() + "; "
	}
	return Facts{Effect: len(found) > 0, Detail: detail}
}

// seizeDevice is the counter-proof: a copy of one device's folder gives what was
// said, without any server.
func (s *Stage) seizeDevice(p *Person, said []string) {
	thief := s.Stranger("thief")
	s.Must(os.CopyFS(thief.Profile, os.DirFS(p.Profile)))
	for _, o := range thief.Try("chat", "list").Objects {
		if slices.ContainsFunc(thief.Try("read", o["chat"].(string)).Texts(), func(t string) bool { return slices.Contains(said, t) }) {
			return
		}
	}
	s.Fatal("with a device in hand nothing is found either: the search shows nothing")
}

// readMemory writes what this process has in memory to a file.
func readMemory(_ context.Context, _ *Operator, to string) (any, error) {
	maps, err := os.Open("/proc/self/maps")
	if err != nil {
		return nil, err
	}
	defer maps.Close()
	memory, err := os.Open("/proc/self/mem")
	if err != nil {
		return nil, err
	}
	defer memory.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, err
	}
	lines := bufio.NewScanner(maps)
	for lines.Scan() {
		var from, until int64
		var rights string
		if _, err := fmt.Sscanf(lines.Text(), "%x-%x %s", &from, &until, &rights); err != nil || !strings.HasPrefix(rights, "rw") {
			continue
		}
		_, _ = io.Copy(out, io.NewSectionReader(memory, from, until-from)) // what is not mapped ends a region
	}
	return nil, errors.Join(lines.Err(), out.Close())
}

// Picture makes a picture with a secret in its pixels; its bytes' hashes, and
// the pixels' average hash, are searched for too.
func (s *Stage) Picture(name string) string {
	img := image.NewGray(image.Rect(0, 0, 64, 64))
	for i, c := range []byte(s.Secret("a picture's pixels")) {
		for y := range 64 {
			img.SetGray(i*2%64, y, color.Gray{c})
		}
	}
	s.Must(s.Scan.Add("a picture's average hash", averageHash(img)))
	var b bytes.Buffer
	s.Must(png.Encode(&b, img))
	s.Must(s.Scan.Add("a picture", b.Bytes()))
	path := filepath.Join(s.Dir, name)
	s.Must(os.WriteFile(path, b.Bytes(), 0o600))
	return path
}

// averageHash is a perceptual hash: 256 bits, of the 4×4 blocks that are lighter
// than the whole.
func averageHash(img *image.Gray) []byte {
	block := func(n int) (sum int) {
		for i := range 16 {
			sum += int(img.GrayAt(n%16*4+i%4, n/16*4+i/4).Y)
		}
		return sum
	}
	total := 0
	for n := range 256 {
		total += block(n)
	}
	hash := make([]byte, 32)
	for n := range 256 {
		if block(n)*256 > total {
			hash[n/8] |= 1 << (n % 8)
		}
	}
	return hash
}

// sizes sends texts of all lengths below one size class and looks whether the
// operator can tell them apart.
func sizes(s *Stage) Facts {
	ann, _, _ := s.house()
	for _, n := range []int{1, 7, 30, 60, 90} {
		ann.Do("send", "house", strings.Repeat("x", n))
	}
	var all []int
	s.Ask("sizes", nil, &all)
	if len(all) < 5 {
		s.Fatal("only %d messages were seen", len(all))
	}
	last := all[len(all)-5:]
	return Facts{Effect: slices.Min(last) != slices.Max(last), Detail: fmt.Sprint(last)}
}

// entrySizes lists the sizes of the messages that came, in order.
var entrySizes = hand(func(ctx context.Context, o *Operator, _ struct{}) (any, error) {
	var all []int
	for _, a := range o.appended() {
		all = append(all, len(a.Entry.Bytes))
	}
	return all, nil
})

// crash lets a program die while it holds what was said, and searches what is
// left: what it wrote, what it sent, what it said while dying.
func crash(s *Stage) Facts {
	ann, bob, said := s.house()
	ann.Do("send", "house", s.Secret("a text"))
	var once sync.Once
	shown, ended := make(chan struct{}), make(chan error, 1)
	go func() {
		ended <- bob.device.Stream(func(o Object) {
			if o["body"] != said[0] {
				once.Do(func() { close(shown) })
			}
		}, "read", "house", "--follow")
	}()
	select {
	case <-shown:
	case err := <-ended:
		s.Fatal("read --follow ended: %v", err)
	case <-time.After(commandTime):
		s.Fatal("read --follow shows nothing")
	}
	bob.device.Abort()
	died := <-ended
	if died == nil {
		s.Fatal("the program did not crash")
	}
	found := s.Scan.Bytes("what it said while dying", []byte(died.Error()))
	for _, place := range []string{"tmp", "bob", "data.egress"} {
		f, _, _, err := s.Scan.Tree(filepath.Join(s.Dir, place))
		s.Must(err)
		found = append(found, f...)
	}
	return Facts{Effect: len(found) > 0, Detail: fmt.Sprint(found)}
}
