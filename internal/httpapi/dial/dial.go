// Package dial is the native client end of the server's interface: a
// client.Transport over HTTPS and WebSocket. Start with New, which is a
// client.Dialer.
//
// It repeats nothing by itself and keeps nothing: what a busy or throttled
// answer means is for the client core to decide.
package dial

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/coder/websocket"

	"codeberg.org/huis/huis/internal/client"
	"codeberg.org/huis/huis/internal/proto"
)

const (
	connectTime = 10 * time.Second
	// answerTime is how long the server may take to begin its answer after the
	// whole request was sent; longer than any wait a request can ask for.
	answerTime = 60 * time.Second
	// idleTime is how long an unused connection is kept: less than the 30 s after
	// which a server may close one it never got a request on.
	idleTime = 25 * time.Second
	// maxAnswer bounds an answer, in bytes: the largest is a full read with one
	// more entry of maximal size.
	maxAnswer  = 2*proto.MaxReadBytes + proto.MaxCommit + 1<<20
	maxRefusal = 1 << 10
	maxHint    = 64
	maxPublic  = 1 << 20 // a tile or a checkpoint
	// listenPing finds a push connection whose other end is gone.
	listenPing = 20 * time.Second
)

// Transport is one server as seen from one device. Each lane has connections of
// its own, so that the server cannot join by a connection what the lanes keep
// apart; TLS sessions are never resumed. Safe for concurrent use.
type Transport struct {
	server client.ServerRef
	lanes  [3]*http.Client
	push   *http.Client
}

var (
	_ client.Transport    = (*Transport)(nil)
	_ client.PublicReader = (*Transport)(nil)
)

// New returns the transport for server. It connects when first used.
func New(server client.ServerRef) (client.Transport, error) {
	u, err := url.Parse(server.URL)
	if err != nil || u.Scheme != "https" || u.Host == "" {
		return nil, fmt.Errorf("the address of a server begins with https://")
	}
	t := &Transport{server: server, push: httpClient(server.Pin, 0)}
	for lane := range t.lanes {
		t.lanes[lane] = httpClient(server.Pin, 8)
	}
	return t, nil
}

// HTTP returns a client for other requests than those of package proto, to
// whoever has the pin, or without one to whom the system's authorities vouch for.
func HTTP(pin []byte) *http.Client { return httpClient(pin, 2) }

// httpClient makes a client with connections of its own, idle ones kept.
func httpClient(pin []byte, idle int) *http.Client {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	return &http.Client{
		Transport: &http.Transport{
			DialContext:           (&net.Dialer{Timeout: connectTime, KeepAlive: 15 * time.Second}).DialContext,
			TLSClientConfig:       tlsConfig(pin),
			TLSHandshakeTimeout:   connectTime,
			ResponseHeaderTimeout: answerTime,
			IdleConnTimeout:       idleTime,
			MaxIdleConnsPerHost:   idle,
			DisableKeepAlives:     idle == 0,
			DisableCompression:    true,
			Protocols:             protocols,
			// No proxy from the environment: it would be told whom we talk to.
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// tlsConfig accepts the pinned key and nothing else, whatever its certificate
// says of names and times; without a pin, what the system's authorities accept.
// A pinned server is a huis itself, which has the hybrid key exchange: one that
// says it has not is somebody else, or made to say so.
func tlsConfig(pin []byte) *tls.Config {
	config := &tls.Config{
		MinVersion:       tls.VersionTLS13,
		CurvePreferences: []tls.CurveID{tls.X25519MLKEM768, tls.X25519},
	}
	if len(pin) == 0 {
		return config
	}
	config.CurvePreferences = config.CurvePreferences[:1]
	config.InsecureSkipVerify = true // VerifyConnection does, by the pin
	config.VerifyConnection = func(state tls.ConnectionState) error {
		got := sha256.Sum256(state.PeerCertificates[0].RawSubjectPublicKeyInfo)
		if !bytes.Equal(got[:], pin) {
			return &client.PinError{Want: hex.EncodeToString(pin), Got: hex.EncodeToString(got[:])}
		}
		return nil
	}
	return config
}

// Call implements client.Transport.
func (t *Transport) Call(ctx context.Context, lane client.Lane, m proto.Method, req, resp proto.Message) error {
	if int(lane) >= len(t.lanes) {
		return fmt.Errorf("lane %d does not exist", lane)
	}
	body, err := proto.Encode(req)
	if err != nil {
		return fmt.Errorf("%s: %w", m, err)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, t.server.URL+"/v1/"+string(m), bytes.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", proto.MediaType)
	request.Header.Set("User-Agent", "huis")
	answer, err := t.lanes[lane].Do(request)
	if err != nil {
		return unreachable(ctx, err)
	}
	defer answer.Body.Close()
	return read(ctx, answer, resp)
}

// read takes the server's answer. Anything that is not one of ours, such as a
// proxy's page, leaves the outcome unknown, and so does "unavailable".
func read(ctx context.Context, answer *http.Response, resp proto.Message) error {
	limit := int64(maxAnswer)
	kind := answer.Header.Get("Content-Type")
	if kind == proto.MediaTypeError {
		limit = maxRefusal
	}
	b, err := io.ReadAll(io.LimitReader(answer.Body, limit+1))
	if err != nil {
		return unreachable(ctx, err)
	}
	refusal := new(proto.Error)
	switch {
	case int64(len(b)) > limit:
		return fmt.Errorf("%w: it answers with more than %d bytes", client.ErrUnreachable, limit)
	case kind == proto.MediaTypeError && proto.Decode(b, refusal) == nil && refusal.Code == proto.Unavailable:
		return fmt.Errorf("%w: %v", client.ErrUnreachable, refusal)
	case kind == proto.MediaTypeError && proto.Decode(b, refusal) == nil:
		return refusal
	case kind == proto.MediaType && answer.StatusCode == http.StatusOK:
		if err := proto.Decode(b, resp); err != nil {
			return fmt.Errorf("%w: its answer is malformed: %v", client.ErrUnreachable, err)
		}
		return nil
	}
	return fmt.Errorf("%w: what answers there is not a huis server (HTTP %d)", client.ErrUnreachable, answer.StatusCode)
}

// Public implements client.PublicReader: a connection for this request alone,
// as anybody's browser makes it.
func (t *Transport) Public(ctx context.Context, path string) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, t.server.URL+path, nil)
	if err != nil {
		return nil, err
	}
	answer, err := httpClient(t.server.Pin, 0).Do(request)
	if err != nil {
		return nil, unreachable(ctx, err)
	}
	defer answer.Body.Close()
	b, err := io.ReadAll(io.LimitReader(answer.Body, maxPublic+1))
	if err == nil && (answer.StatusCode != http.StatusOK || len(b) > maxPublic) {
		err = fmt.Errorf("%w: no such file (HTTP %d)", client.ErrUnreachable, answer.StatusCode)
	}
	return b, err
}

// unreachable is err as a caller is to see it: the caller's own end of ctx, a
// *client.PinError, or client.ErrUnreachable with a reason a person understands.
func unreachable(ctx context.Context, err error) error {
	var pin *client.PinError
	var authority x509.UnknownAuthorityError
	var host x509.HostnameError
	var invalid x509.CertificateInvalidError
	switch {
	case errors.As(err, &pin):
		return pin
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return fmt.Errorf("%w: no answer in time: %w", client.ErrUnreachable, ctx.Err())
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.As(err, &authority), errors.As(err, &host), errors.As(err, &invalid):
		return fmt.Errorf("%w: its certificate is not valid: %v", client.ErrUnreachable, inner(err))
	}
	return fmt.Errorf("%w: %v", client.ErrUnreachable, inner(err))
}

// inner drops the address that net/http puts before its errors.
func inner(err error) error {
	var outer *url.Error
	if errors.As(err, &outer) {
		return outer.Err
	}
	return err
}

// Listen implements client.Transport.
func (t *Transport) Listen(ctx context.Context, lane client.Lane, sub proto.Subscribe, hint func(proto.Hint)) error {
	b, err := proto.Encode(&sub)
	if err != nil {
		return err
	}
	conn, _, err := websocket.Dial(ctx, t.server.URL+"/v1/push", &websocket.DialOptions{
		HTTPClient: t.push, CompressionMode: websocket.CompressionDisabled,
	})
	if err != nil {
		return unreachable(ctx, err)
	}
	defer conn.CloseNow()
	conn.SetReadLimit(maxHint)
	if err := conn.Write(ctx, websocket.MessageBinary, b); err != nil {
		return unreachable(ctx, err)
	}
	alive, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		defer cancel()
		keepAlive(alive, conn)
	}()
	for {
		_, b, err := conn.Read(alive)
		if err != nil {
			return unreachable(ctx, err)
		}
		var h proto.Hint
		if err := proto.Decode(b, &h); err != nil {
			return fmt.Errorf("%w: its hint is malformed", client.ErrUnreachable)
		}
		hint(h)
	}
}

// keepAlive returns when the other end no longer answers, or ctx ends.
func keepAlive(ctx context.Context, conn *websocket.Conn) {
	ticker := time.NewTicker(listenPing)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		ping, cancel := context.WithTimeout(ctx, connectTime)
		err := conn.Ping(ping)
		cancel()
		if err != nil {
			return
		}
	}
}
