package e2e

import (
	"bytes"
	"context"
	"io"
	"strings"
	"sync"
	"testing"

	"codeberg.org/huis/huis/internal/cli/serve"
	"codeberg.org/huis/huis/internal/client"
	"codeberg.org/huis/huis/internal/client/store/mem"
	"codeberg.org/huis/huis/internal/e2e/canary"
	"codeberg.org/huis/huis/internal/httpapi/dial"
	"codeberg.org/huis/huis/internal/proto"
)

// sniffer searches what clients hand to TLS.
type sniffer struct {
	scan *canary.Scanner

	mu    sync.Mutex      // guards what follows
	found map[string]bool // "secret in method"
	bytes int
}

func (s *sniffer) search(m proto.Method, req proto.Message) error {
	b, err := proto.Encode(req)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.bytes += len(b)
	for _, f := range s.scan.Bytes(string(m), b) {
		s.found[f.Secret+" in "+string(m)] = true
	}
	return err
}

// TestNothingLeavesAClientInClear searches every request below TLS for what was
// said. Names of people are what the server has to be told, at joining and at
// looking up: that they are found there shows that the search works.
func TestNothingLeavesAClientInClear(t *testing.T) {
	var scan canary.Scanner
	secret := func(what string) string {
		c := canary.New()
		if err := scan.Add(what, []byte(c)); err != nil {
			t.Fatal(err)
		}
		return c
	}
	ada, ben := secret("a person's name"), secret("a person's name")
	chat, said, name, inside := secret("a group's name"), secret("a text"), secret("a file's name"), secret("a file's bytes")

	s := &sniffer{scan: &scan, found: make(map[string]bool)}
	cfg := func() client.Config {
		return client.Config{Store: mem.New(), Dial: func(ref client.ServerRef) (client.Transport, error) {
			real, err := dial.New(ref)
			return &sniffed{real, s}, err
		}}
	}
	ctx := t.Context()
	first := invitation(t, started(t).Invite)
	a, _, err := client.Join(ctx, cfg(), first, ada)
	ok(t, err)
	second, err := a.Invite(ctx, 1, 1<<40)
	ok(t, err)
	b, _, err := client.Join(ctx, cfg(), second, ben)
	ok(t, err)
	_, err = a.NewChat(ctx, chat, []string{ben})
	ok(t, err)
	content := []byte(strings.Repeat(inside, 10_000))
	_, err = a.Send(ctx, chat, client.Draft{Text: said, Files: []client.File{{
		Name: name, Size: int64(len(content)),
		Open: func() (io.ReadSeekCloser, error) { return inMemory{bytes.NewReader(content)}, nil },
	}}})
	ok(t, err)
	_, err = b.Send(ctx, "@"+ada, client.Draft{Text: said})
	ok(t, err)
	ok(t, b.Sync(ctx))
	var last client.Message
	for m, err := range b.Messages(ctx, chat, 0) {
		ok(t, err)
		last = m
	}
	var got bytes.Buffer
	ok(t, b.SaveAttachment(ctx, last.ID, 0, &got, nil))
	if last.Body != said || !bytes.Equal(got.Bytes(), content) {
		t.Fatal("the message did not arrive")
	}

	if s.bytes < len(content) {
		t.Errorf("only %d bytes were searched", s.bytes)
	}
	for _, m := range []proto.Method{proto.Register, proto.Lookup} {
		if what := "a person's name in " + string(m); !s.found[what] {
			t.Errorf("%s is not found: the search does not work", what)
		} else {
			delete(s.found, what)
		}
	}
	for what := range s.found {
		t.Errorf("left a client: %s", what)
	}
}

// sniffed is one connection of the sniffer.
type sniffed struct {
	client.Transport
	by *sniffer
}

func (s *sniffed) Call(ctx context.Context, lane client.Lane, m proto.Method, req, resp proto.Message) error {
	if err := s.by.search(m, req); err != nil {
		return err
	}
	return s.Transport.Call(ctx, lane, m, req, resp)
}

type inMemory struct{ io.ReadSeeker }

func (inMemory) Close() error { return nil }

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func invitation(t *testing.T, link string) client.Invitation {
	t.Helper()
	inv, err := client.ParseInvitation(link)
	ok(t, err)
	return inv
}

// started is a server inside this process, which is stopped with the test.
func started(t *testing.T, options ...func(*serve.Config)) *Server {
	t.Helper()
	ready, ended := make(chan serve.Event, 10), make(chan error, 1)
	cfg := serve.Config{Data: t.TempDir(), Listen: "127.0.0.1:0", Event: func(e serve.Event) { ready <- e }}
	for _, set := range options {
		set(&cfg)
	}
	ctx, stop := context.WithCancel(context.Background())
	go func() { ended <- serve.Run(ctx, cfg); close(ended) }()
	t.Cleanup(func() { stop(); <-ended })
	select {
	case e := <-ready:
		return &Server{Huis: *binary, URL: e.URL, Invite: e.Invite, Peaks: &Peaks{}}
	case err := <-ended:
		t.Fatal(err)
		return nil
	}
}
