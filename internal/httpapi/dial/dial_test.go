package dial

import (
	"context"
	"crypto/sha256"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"codeberg.org/huis/huis/internal/client"
	"codeberg.org/huis/huis/internal/proto"
)

// against returns a transport to a server that answers so.
func against(t *testing.T, answer http.HandlerFunc) client.Transport {
	t.Helper()
	s := httptest.NewTLSServer(answer)
	t.Cleanup(s.Close)
	pin := sha256.Sum256(s.Certificate().RawSubjectPublicKeyInfo)
	transport, err := New(client.ServerRef{URL: s.URL, Pin: pin[:]})
	if err != nil {
		t.Fatal(err)
	}
	return transport
}

func call(ctx context.Context, t client.Transport) error {
	return t.Call(ctx, client.Anonymous, proto.GetNonce, &proto.NonceRequest{}, &proto.NonceResponse{})
}

func answering(status int, kind string, body []byte) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", kind)
		w.WriteHeader(status)
		w.Write(body)
	}
}

func encoded(t *testing.T, m proto.Message) []byte {
	t.Helper()
	b, err := proto.Encode(m)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestAnAnswerAndARefusal(t *testing.T) {
	if err := call(t.Context(), against(t, answering(200, proto.MediaType, make([]byte, 32)))); err != nil {
		t.Error(err)
	}
	refusal := encoded(t, &proto.Error{Code: proto.Throttled, Wait: 3 * time.Second})
	var e *proto.Error
	if err := call(t.Context(), against(t, answering(429, proto.MediaTypeError, refusal))); !errors.As(err, &e) || e.Wait != 3*time.Second {
		t.Errorf("a refusal: %v", err)
	}
}

func TestWhatIsNotTheServersAnswerLeavesTheOutcomeOpen(t *testing.T) {
	for what, answer := range map[string]http.HandlerFunc{
		"a proxy's page":            answering(502, "text/html", []byte("<h1>Bad Gateway</h1>")),
		"a portal's page":           answering(200, "text/html", []byte("<h1>Log in</h1>")),
		"a redirect":                http.RedirectHandler("https://elsewhere.invalid/", http.StatusTemporaryRedirect).ServeHTTP,
		"an answer cut short":       answering(200, proto.MediaType, make([]byte, 31)),
		"an answer too long":        answering(200, proto.MediaType, make([]byte, 33)),
		"an endless answer":         endless,
		"a malformed refusal":       answering(400, proto.MediaTypeError, []byte{1}),
		"unavailable":               answering(503, proto.MediaTypeError, encoded(t, proto.Refuse(proto.Unavailable))),
		"a connection that is shut": func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
	} {
		err := call(t.Context(), against(t, answer))
		var refusal *proto.Error
		if !errors.Is(err, client.ErrUnreachable) || errors.As(err, &refusal) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func endless(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", proto.MediaTypeError)
	w.WriteHeader(400)
	for range 1000 {
		if _, err := w.Write(make([]byte, 64<<10)); err != nil {
			return
		}
	}
}

func TestAnotherKeyIsAPinErrorAndNothingIsSent(t *testing.T) {
	asked := false
	s := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked = true }))
	defer s.Close()
	transport, _ := New(client.ServerRef{URL: s.URL, Pin: make([]byte, 32)})
	var pin *client.PinError
	if err := call(t.Context(), transport); !errors.As(err, &pin) || pin.Want != strings.Repeat("00", 32) {
		t.Errorf("a call: %v", err)
	}
	if err := transport.Listen(t.Context(), client.Account, proto.Subscribe{}, nil); !errors.As(err, &pin) {
		t.Errorf("listening: %v", err)
	}
	if asked {
		t.Error("the wrong server got a request")
	}
}

func TestWithoutAPinAnAuthorityMustVouch(t *testing.T) {
	s := httptest.NewTLSServer(answering(200, proto.MediaType, make([]byte, 32)))
	defer s.Close()
	transport, _ := New(client.ServerRef{URL: s.URL})
	if err := call(t.Context(), transport); !errors.Is(err, client.ErrUnreachable) {
		t.Errorf("got %v", err)
	}
}

func TestOnlyHTTPS(t *testing.T) {
	for _, url := range []string{"http://127.0.0.1:1", "127.0.0.1:1", "https://", ""} {
		if _, err := New(client.ServerRef{URL: url}); err == nil {
			t.Errorf("%q was taken", url)
		}
	}
}

func TestTheCallersEndIsTold(t *testing.T) {
	hold := make(chan struct{})
	defer close(hold)
	transport := against(t, func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-hold:
		case <-r.Context().Done():
		}
	})
	late, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := call(late, transport); !errors.Is(err, client.ErrUnreachable) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("out of time: %v", err)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if err := call(gone, transport); !errors.Is(err, context.Canceled) || errors.Is(err, client.ErrUnreachable) {
		t.Errorf("called off: %v", err)
	}
}

func TestLanesShareNoConnection(t *testing.T) {
	seen := make(chan string, 3)
	transport := against(t, func(w http.ResponseWriter, r *http.Request) {
		seen <- r.RemoteAddr
		answering(200, proto.MediaType, make([]byte, 32))(w, r)
	})
	addresses := map[string]bool{}
	for _, lane := range []client.Lane{client.Anonymous, client.Account, client.Conversations} {
		for range 2 {
			if err := transport.Call(t.Context(), lane, proto.GetNonce, &proto.NonceRequest{}, &proto.NonceResponse{}); err != nil {
				t.Fatal(err)
			}
			addresses[<-seen] = true
		}
	}
	if len(addresses) != 3 {
		t.Errorf("three lanes use %d connections", len(addresses))
	}
	if err := transport.Call(t.Context(), 9, proto.GetNonce, &proto.NonceRequest{}, &proto.NonceResponse{}); err == nil {
		t.Error("a fourth lane exists")
	}
}

func TestPublicFilesAreReadWithoutALane(t *testing.T) {
	read := func(status int, body string) ([]byte, error) {
		s := against(t, func(w http.ResponseWriter, r *http.Request) {
			if r.Method != http.MethodGet || r.URL.Path != "/log/checkpoint" {
				t.Errorf("%s %s", r.Method, r.URL)
			}
			answering(status, "text/plain", []byte(body))(w, r)
		})
		return s.(client.PublicReader).Public(t.Context(), "/log/checkpoint")
	}
	if b, err := read(200, "note"); err != nil || string(b) != "note" {
		t.Errorf("%q, %v", b, err)
	}
	for status, body := range map[int]string{404: "none", 200: strings.Repeat("x", maxPublic+1)} {
		if _, err := read(status, body); !errors.Is(err, client.ErrUnreachable) {
			t.Errorf("%d: %v", status, err)
		}
	}
}
