package httpapi

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/coder/websocket"

	"codeberg.org/huis/huis/internal/proto"
)

const (
	// maxSubscription is the size of the largest Subscribe, in bytes.
	maxSubscription = proto.MaxSubscribe*16 + 4
	// pushPing is how often a silent connection is looked after, so that one
	// whose other end is gone does not stay.
	pushPing = 45 * time.Second
	// pushWrite is how long a hint may take to be sent.
	pushWrite = 10 * time.Second
)

// push serves one push connection: the client sends Subscribe, each replacing
// the one before; the server sends Hint.
func (s *HTTP) push(w http.ResponseWriter, r *http.Request) {
	if err := s.api.admit(address(r), s.api.limits.push); err != nil {
		refuse(w, err)
		return
	}
	http.NewResponseController(w).SetReadDeadline(time.Time{})
	conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{CompressionMode: websocket.CompressionDisabled})
	if err != nil {
		return
	}
	defer conn.CloseNow()
	conn.SetReadLimit(maxSubscription)
	ctx, cancel := context.WithCancelCause(r.Context())
	defer cancel(nil)
	defer context.AfterFunc(s.ending, func() { cancel(errEnding) })()
	subscriptions := make(chan proto.Subscribe)
	go func() { cancel(readSubscriptions(ctx, conn, subscriptions)) }()
	go func() { cancel(keepAlive(ctx, conn)) }()
	s.hints(ctx, conn, subscriptions)
	if errors.Is(context.Cause(ctx), errEnding) {
		conn.Close(websocket.StatusGoingAway, "")
	}
}

var errEnding = errors.New("the server is stopping")

// hints sends the hints of the newest subscription until ctx ends.
func (s *HTTP) hints(ctx context.Context, conn *websocket.Conn, subscriptions <-chan proto.Subscribe) {
	send := func(hint proto.Hint) error {
		b, err := proto.Encode(&hint)
		if err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(ctx, pushWrite)
		defer cancel()
		return conn.Write(ctx, websocket.MessageBinary, b)
	}
	stop, done := func() {}, make(<-chan error)
	defer func() { stop() }()
	for {
		select {
		case <-ctx.Done():
			return
		case err := <-done:
			if !errors.Is(err, context.Canceled) {
				return
			}
		case sub := <-subscriptions:
			stop()
			stop, done = s.listen(ctx, sub, send)
		}
	}
}

// listen begins to send the hints of sub; done gives why it ended.
func (s *HTTP) listen(ctx context.Context, sub proto.Subscribe, send func(proto.Hint) error) (stop func(), done <-chan error) {
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- s.api.Listen(ctx, sub, send) }()
	return cancel, ended
}

func readSubscriptions(ctx context.Context, conn *websocket.Conn, subscriptions chan<- proto.Subscribe) error {
	for {
		kind, b, err := conn.Read(ctx)
		if err != nil {
			return err
		}
		var sub proto.Subscribe
		if kind != websocket.MessageBinary || proto.Decode(b, &sub) != nil {
			conn.Close(websocket.StatusUnsupportedData, "")
			return proto.Refuse(proto.Malformed)
		}
		select {
		case subscriptions <- sub:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func keepAlive(ctx context.Context, conn *websocket.Conn) error {
	ticker := time.NewTicker(pushPing)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
		if err := pingWithin(ctx, conn, pushWrite); err != nil {
			return err
		}
	}
}

func pingWithin(ctx context.Context, conn *websocket.Conn, wait time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	return conn.Ping(ctx)
}
