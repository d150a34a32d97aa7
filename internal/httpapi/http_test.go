package httpapi

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"codeberg.org/huis/huis/internal/delivery/session"
	"codeberg.org/huis/huis/internal/proto"
)

// bare is a handler without accounts and conversations: mailboxes work.
func bare() *Handler {
	c := &testClock{time.Unix(1_800_000_000, 0)}
	return NewHandler(Config{Sessions: session.New(c), Clock: c, Log: slog.New(slog.DiscardHandler)})
}

func serveBare(t *testing.T) *httptest.Server {
	t.Helper()
	h := NewHTTP(bare())
	h.patience = 300 * time.Millisecond
	s := httptest.NewUnstartedServer(h)
	s.Config = h.Server()
	s.Config.ReadHeaderTimeout = 300 * time.Millisecond
	s.EnableHTTP2 = true
	s.StartTLS()
	t.Cleanup(s.Close)
	return s
}

func post(t *testing.T, s *httptest.Server, path, contentType string, body io.Reader) (*http.Response, []byte) {
	t.Helper()
	resp, err := s.Client().Post(s.URL+path, contentType, body)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, _ := io.ReadAll(resp.Body)
	return resp, b
}

func encoded(t *testing.T, m proto.Message) *bytes.Reader {
	t.Helper()
	b, err := proto.Encode(m)
	if err != nil {
		t.Fatal(err)
	}
	return bytes.NewReader(b)
}

func refusedWith(t *testing.T, resp *http.Response, body []byte) *proto.Error {
	t.Helper()
	var e proto.Error
	if err := proto.Decode(body, &e); err != nil || resp.Header.Get("Content-Type") != proto.MediaTypeError {
		t.Fatalf("not a refusal: %s %q", resp.Status, body)
	}
	return &e
}

func TestARequestAndItsAnswer(t *testing.T) {
	s := serveBare(t)
	mail := &proto.MailboxPostRequest{ID: proto.MailboxID{1}, Sealed: []byte("sealed")}
	resp, body := post(t, s, "/v1/mailbox_post", proto.MediaType, encoded(t, mail))
	if resp.StatusCode != 200 || resp.Header.Get("Content-Type") != proto.MediaType || len(body) != 0 {
		t.Fatalf("%s %q", resp.Status, body)
	}
	resp, body = post(t, s, "/v1/mailbox_fetch", proto.MediaType, encoded(t, &proto.MailboxFetchRequest{ID: mail.ID}))
	var got proto.MailboxFetchResponse
	if err := proto.Decode(body, &got); err != nil || len(got.Items) != 1 {
		t.Fatalf("%s %v", resp.Status, err)
	}
}

func TestRefusalsHaveTheirStatus(t *testing.T) {
	s := serveBare(t)
	for what, c := range map[string]struct {
		path, contentType string
		body              io.Reader
		status            int
		code              proto.Code
	}{
		"unknown method":       {"/v1/steal", proto.MediaType, nil, 400, proto.Malformed},
		"a web page's request": {"/v1/mailbox_fetch", "text/plain", encoded(t, &proto.MailboxFetchRequest{}), 400, proto.Malformed},
		"garbage":              {"/v1/mailbox_fetch", proto.MediaType, strings.NewReader("garbage"), 400, proto.Malformed},
		"announced too large":  {"/v1/mailbox_fetch", proto.MediaType, bytes.NewReader(make([]byte, small+1)), 413, proto.TooLarge},
		"found too large":      {"/v1/mailbox_fetch", proto.MediaType, struct{ io.Reader }{bytes.NewReader(make([]byte, 5<<20))}, 413, proto.TooLarge},
	} {
		resp, body := post(t, s, c.path, c.contentType, c.body)
		if e := refusedWith(t, resp, body); e.Code != c.code || resp.StatusCode != c.status {
			t.Errorf("%s: %s, %v", what, resp.Status, e)
		}
	}
	for _, code := range proto.Codes() {
		if st := status(code); st < 400 || st > 599 {
			t.Errorf("%v has status %d", code, st)
		}
	}
}

func TestThrottledSaysHowLongToWait(t *testing.T) {
	h := bare()
	var err error
	for range 400 {
		if _, err = h.Call(t.Context(), far, proto.MailboxFetch, mustEncode(&proto.MailboxFetchRequest{})); err != nil {
			break
		}
	}
	var e *proto.Error
	if !errors.As(err, &e) || e.Code != proto.Throttled || e.Wait <= 0 || e.Wait > time.Minute {
		t.Fatalf("got %v", err)
	}
	if _, err := h.Call(t.Context(), near, proto.MailboxFetch, mustEncode(&proto.MailboxFetchRequest{})); err != nil {
		t.Errorf("loopback: %v", err)
	}
}

func mustEncode(m proto.Message) []byte {
	b, err := proto.Encode(m)
	if err != nil {
		panic(err)
	}
	return b
}

func TestASlowRequestIsCutOff(t *testing.T) {
	s := serveBare(t)
	for what, start := range map[string]string{
		"header":  "POST /v1/info HTTP/1.1\r\nHost: huis\r\nX-Slow: ",
		"body":    "POST /v1/mailbox_fetch HTTP/1.1\r\nHost: huis\r\nContent-Type: " + proto.MediaType + "\r\nContent-Length: 100\r\n\r\nslow",
		"foreign": "POST /v1/mailbox_fetch HTTP/1.1\r\nHost: huis\r\nContent-Type: text/plain\r\nContent-Length: 100\r\n\r\nslow",
		"lost":    "POST /elsewhere HTTP/1.1\r\nHost: huis\r\nContent-Length: 100\r\n\r\nslow",
		"nothing": "",
	} {
		conn, err := tls.Dial("tcp", s.Listener.Addr().String(), &tls.Config{InsecureSkipVerify: true})
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(conn, start)
		conn.SetReadDeadline(time.Now().Add(5 * time.Second))
		b, err := io.ReadAll(conn)
		if timeout := net.Error(nil); errors.As(err, &timeout) && timeout.Timeout() {
			t.Errorf("%s: the connection is still open: %q", what, b)
		}
		conn.Close()
	}
	raw, err := net.Dial("tcp", s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	raw.SetReadDeadline(time.Now().Add(5 * time.Second))
	if _, err := io.ReadAll(raw); err != nil {
		t.Errorf("a handshake that never begins: %v", err)
	}
}

func TestAnEndlessHeaderIsRefused(t *testing.T) {
	s := serveBare(t)
	conn, err := tls.Dial("tcp", s.Listener.Addr().String(), &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: huis\r\nX: %s\r\n\r\n", strings.Repeat("x", 64<<10))
	conn.SetReadDeadline(time.Now().Add(5 * time.Second))
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err == nil && resp.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("got %s", resp.Status)
	}
}

func TestARequestIsFinishedWhenItsClientGoesAway(t *testing.T) {
	h := bare()
	begun, gone, outcome := make(chan struct{}), make(chan struct{}), make(chan error)
	h.routes[proto.Commit] = route{max: small, serve: func(ctx context.Context, _ []byte) ([]byte, error) {
		close(begun)
		<-gone
		time.Sleep(50 * time.Millisecond)
		outcome <- ctx.Err()
		return nil, nil
	}}
	s := httptest.NewTLSServer(NewHTTP(h))
	defer s.Close()
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-begun
		cancel()
		close(gone)
	}()
	r, _ := http.NewRequestWithContext(ctx, http.MethodPost, s.URL+"/v1/commit", nil)
	r.Header.Set("Content-Type", proto.MediaType)
	if _, err := s.Client().Do(r); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	if err := <-outcome; err != nil {
		t.Errorf("the request was broken off: %v", err)
	}
}

func TestABrowserIsToldWhatToDo(t *testing.T) {
	s := serveBare(t)
	for path, want := range map[string]string{"/": "huis server", "/join": "huis join"} {
		resp, err := s.Client().Get(s.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		b, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if !strings.Contains(string(b), want) || resp.Header.Get("Content-Security-Policy") == "" {
			t.Errorf("%s: %q", path, b)
		}
	}
}

func TestAPushConnectionTakesOnlySubscriptions(t *testing.T) {
	s := serveBare(t)
	for what, message := range map[string][]byte{"garbage": []byte("garbage"), "too much": make([]byte, maxSubscription+1)} {
		conn, _, err := websocket.Dial(t.Context(), s.URL+"/v1/push", &websocket.DialOptions{HTTPClient: s.Client()})
		if err != nil {
			t.Fatal(err)
		}
		conn.Write(t.Context(), websocket.MessageBinary, message)
		if _, _, err := conn.Read(t.Context()); err == nil {
			t.Errorf("%s was answered", what)
		}
		conn.CloseNow()
	}
	_, resp, err := websocket.Dial(t.Context(), s.URL+"/v1/push", &websocket.DialOptions{
		HTTPClient: s.Client(), HTTPHeader: http.Header{"Origin": {"https://evil.example"}},
	})
	if err == nil || resp.StatusCode != http.StatusForbidden {
		t.Errorf("another site's page may connect: %v", err)
	}
}

func TestABugIsLoggedWithoutAnAddress(t *testing.T) {
	var log strings.Builder
	h := bare()
	h.Log = slog.New(slog.NewTextHandler(&log, nil))
	h.routes[proto.Info] = route{max: small, serve: func(context.Context, []byte) ([]byte, error) { panic("bug") }}
	s := httptest.NewUnstartedServer(nil)
	s.Config = NewHTTP(h).Server()
	s.StartTLS()
	if _, err := s.Client().Post(s.URL+"/v1/info", proto.MediaType, nil); err == nil {
		t.Error("a request that panics is answered")
	}
	s.Close()
	if !strings.Contains(log.String(), "http_test.go") || strings.Contains(log.String(), "127.0.0.1") {
		t.Errorf("logged %q", log.String())
	}
}

func TestEveryMethodIsServed(t *testing.T) {
	h := bare()
	calls := proto.Calls()
	if len(calls) != len(h.routes) {
		t.Errorf("%d methods, %d routes", len(calls), len(h.routes))
	}
	for _, c := range calls {
		if h.MaxBody(c.Method) == 0 {
			t.Errorf("%s is not served", c.Method)
		}
	}
}
