package client

import (
	"context"
	"crypto/ed25519"
	"encoding/hex"
	"errors"
	"fmt"
	"sync"
	"time"

	"codeberg.org/huis/huis/internal/proto"
	"codeberg.org/huis/huis/internal/wire"
	"codeberg.org/huis/huis/mls"
)

// sessions are what this process has opened with the server; nothing of it is
// stored.
type sessions struct {
	mu      sync.Mutex // guards the fields; not held during requests
	info    *proto.InfoResponse
	account *proto.AccountOpenResponse
	convs   map[proto.ConversationID]convSession
	logSeen time.Time // when the server's log was last looked at
}

type convSession struct {
	proto.OpenResponse
	mk proto.MemberKey
}

// How long one request is sent again because the server is busy or throttles
// it: for what a person asked for, and for what can be done later as well.
const (
	patience     = 2 * time.Minute
	dutyPatience = 3 * time.Second
)

type patienceKey struct{}

// inPassing marks requests that may as well be made later.
func inPassing(ctx context.Context) context.Context {
	return context.WithValue(ctx, patienceKey{}, dutyPatience)
}

// call sends one request, and the same bytes again while the server says that
// it is busy (protocol, section 14).
func (c *Client) call(ctx context.Context, lane Lane, m proto.Method, req, resp proto.Message) error {
	limit, ok := ctx.Value(patienceKey{}).(time.Duration)
	if !ok {
		limit = patience
	}
	var waited time.Duration
	for {
		err := c.net.Call(ctx, lane, m, req, resp)
		var refusal *proto.Error
		if !errors.As(err, &refusal) || !refusal.Retriable() {
			return err
		}
		wait := max(refusal.Wait, 10*time.Millisecond)
		wait += c.cfg.Jitter(wait / 4)
		if waited += wait; waited > limit {
			return err
		}
		if c.cfg.Clock.Sleep(ctx, wait) != nil {
			return fmt.Errorf("%w: %v", ErrUnreachable, err)
		}
	}
}

func (c *Client) callAnon(ctx context.Context, m proto.Method, req, resp proto.Message) error {
	return c.call(ctx, Anonymous, m, req, resp)
}

// info returns what the server said of itself, verified against what this
// device knows of it.
func (c *Client) info(ctx context.Context) (*proto.InfoResponse, error) {
	c.sessions.mu.Lock()
	known := c.sessions.info
	c.sessions.mu.Unlock()
	if known != nil {
		return known, nil
	}
	var r proto.InfoResponse
	if err := c.callAnon(ctx, proto.Info, &proto.InfoRequest{}, &r); err != nil {
		return nil, err
	}
	if r.Version != proto.Version {
		return nil, fmt.Errorf("the server speaks version %d of the protocol, this program version %d", r.Version, proto.Version)
	}
	if err := c.step(ctx, func(t *tx) error { return t.keepStampKeys(&r) }); err != nil {
		return nil, err
	}
	if err := c.noteLog(ctx, &r); err != nil {
		return nil, err
	}
	c.sessions.mu.Lock()
	defer c.sessions.mu.Unlock()
	c.sessions.info = &r
	return &r, nil
}

// forgetInfo makes the next use ask the server again, such as for a stamp key
// this device has not seen.
func (c *Client) forgetInfo() {
	c.sessions.mu.Lock()
	defer c.sessions.mu.Unlock()
	c.sessions.info = nil
}

const stampPrefix = "stamp/"

// keepStampKeys stores the keys the server stamps with. A key once seen stays.
func (t *tx) keepStampKeys(r *proto.InfoResponse) error {
	for _, k := range r.StampKeys {
		if proto.StampKID(k.Public[:]) != k.KID {
			return &SafetyError{Reason: "the server names a stamp key wrongly", Fix: "tell its operator"}
		}
		name := stampPrefix + k.KID.Hex() + hex.EncodeToString(k.Generation[:])
		old, err := t.get(name)
		if err != nil {
			return err
		}
		if old == nil {
			if err := t.save(name, k.Wire); err != nil {
				return err
			}
		}
	}
	return nil
}

// stampKey returns a key this device has seen, false if it has not.
func (t *tx) stampKey(r *proto.Receipt) (k proto.StampKey, ok bool, err error) {
	b, err := t.get(stampPrefix + r.KID.Hex() + hex.EncodeToString(r.Generation[:]))
	if err != nil || b == nil {
		return k, false, err
	}
	return k, true, wire.Decode(b, k.Wire)
}

func (c *Client) nonce(ctx context.Context, lane Lane) (proto.Nonce, error) {
	var r proto.NonceResponse
	err := c.call(ctx, lane, proto.GetNonce, &proto.NonceRequest{}, &r)
	return r.Nonce, err
}

// accountSession returns the open session, or opens one.
func (c *Client) accountSession(ctx context.Context) (*proto.AccountOpenResponse, error) {
	c.sessions.mu.Lock()
	open := c.sessions.account
	c.sessions.mu.Unlock()
	if open != nil {
		return open, nil
	}
	info, err := c.info(ctx)
	if err != nil {
		return nil, err
	}
	me, err := c.whoami(ctx)
	if err != nil {
		return nil, err
	}
	if me.Revoked {
		return nil, ErrRevoked
	}
	open, err = c.openAccount(ctx, info.Origin, &me)
	if errors.Is(err, ErrRevoked) {
		open, err = c.openAgain(ctx, info.Origin, &me)
	}
	if err != nil {
		return nil, err
	}
	c.sessions.mu.Lock()
	defer c.sessions.mu.Unlock()
	c.sessions.account = open
	return open, nil
}

// openAgain opens a session that was refused if the server calls itself otherwise
// by now. A device that it does not know is revoked, or of the end of a log that
// was lost.
func (c *Client) openAgain(ctx context.Context, origin string, me *identity) (open *proto.AccountOpenResponse, err error) {
	c.forgetInfo()
	info, err := c.info(ctx)
	if err != nil {
		return nil, err
	}
	if err = ErrRevoked; info.Origin != origin {
		open, err = c.openAccount(ctx, info.Origin, me)
	}
	if errors.Is(err, ErrRevoked) {
		err = c.orClaimed(ctx, err)
	}
	return open, err
}

// openAccount opens the account's session with the message key, or with one
// that a ROTATE of unknown outcome may have put in its place.
func (c *Client) openAccount(ctx context.Context, origin string, me *identity) (open *proto.AccountOpenResponse, err error) {
	for _, m := range append([]mls.SignaturePrivateKey{me.M}, me.Next...) {
		nonce, err := c.nonce(ctx, Account)
		if err != nil {
			return nil, err
		}
		req := proto.AccountOpenRequest{Account: me.Account, Device: me.Device, Nonce: nonce}
		sig := ed25519.Sign(ed25519.NewKeyFromSeed(m.Bytes()), proto.SessionProof(nonce, origin, me.Account, me.Device))
		copy(req.Sig[:], sig)
		open = new(proto.AccountOpenResponse)
		err = c.call(ctx, Account, proto.AccountOpen, &req, open)
		if err == nil || !errors.Is(err, proto.Forbidden) {
			return open, err
		}
	}
	return nil, ErrRevoked
}

// whoami returns the device's identity.
func (c *Client) whoami(ctx context.Context) (me identity, err error) {
	err = c.step(ctx, func(t *tx) error {
		id, err := t.identity()
		if err == nil {
			me = *id
		}
		return err
	})
	return me, err
}

// callAccount sends a request of the account's session; build makes it.
func (c *Client) callAccount(ctx context.Context, m proto.Method, build func(proto.SessionID) proto.Message, resp proto.Message) error {
	for again := false; ; again = true {
		open, err := c.accountSession(ctx)
		if err != nil {
			return err
		}
		err = c.call(ctx, Account, m, build(open.Session), resp)
		if again || !errors.Is(err, proto.BadSession) {
			return err
		}
		c.forgetInfo() // of a server that was started anew, perhaps with another log
		c.sessions.mu.Lock()
		if c.sessions.account == open {
			c.sessions.account = nil
		}
		c.sessions.mu.Unlock()
	}
}

// convSession returns the session of the own member key, or opens one.
func (c *Client) convSession(ctx context.Context, id proto.ConversationID) (convSession, error) {
	var key seed
	err := c.step(ctx, func(t *tx) error {
		cv, err := t.conv(id)
		if err == nil && cv == nil {
			err = ErrUnknownChat
		}
		if err == nil {
			key = cv.meta.Seed
		}
		return err
	})
	if err != nil {
		return convSession{}, err
	}
	mk := key.public()
	c.sessions.mu.Lock()
	open, ok := c.sessions.convs[id]
	c.sessions.mu.Unlock()
	if ok && open.mk == mk {
		return open, nil
	}
	if open, err = c.openConv(ctx, id, key, nil); err != nil {
		return convSession{}, err
	}
	c.sessions.mu.Lock()
	defer c.sessions.mu.Unlock()
	if c.sessions.convs == nil {
		c.sessions.convs = map[proto.ConversationID]convSession{}
	}
	c.sessions.convs[id] = open
	return open, nil
}

// openConv opens a session; with a token one for the blobs of a create to come,
// which is its caller's alone: nothing else may use it, or close it.
func (c *Client) openConv(ctx context.Context, id proto.ConversationID, key seed, token *proto.Token) (convSession, error) {
	info, err := c.info(ctx)
	if err != nil {
		return convSession{}, err
	}
	nonce, err := c.nonce(ctx, Conversations)
	if err != nil {
		return convSession{}, err
	}
	req := proto.OpenRequest{Conversation: id, MK: key.public(), Nonce: nonce, Token: token}
	copy(req.Sig[:], ed25519.Sign(key.key(), proto.OpenProof(nonce, info.Origin, id)))
	open := convSession{mk: req.MK}
	if err := c.call(ctx, Conversations, proto.Open, &req, &open.OpenResponse); err != nil {
		return convSession{}, err
	}
	return open, nil
}

// callConv sends a request of a conversation's session; build makes it.
func (c *Client) callConv(ctx context.Context, id proto.ConversationID, m proto.Method, build func(proto.SessionID) proto.Message, resp proto.Message) error {
	for again := false; ; again = true {
		open, err := c.convSession(ctx, id)
		if err != nil {
			return err
		}
		err = c.call(ctx, Conversations, m, build(open.Session), resp)
		if again || !errors.Is(err, proto.BadSession) {
			return err
		}
		c.forgetInfo()
		c.closeConv(id)
	}
}

func (c *Client) closeConv(id proto.ConversationID) {
	c.sessions.mu.Lock()
	defer c.sessions.mu.Unlock()
	delete(c.sessions.convs, id)
}
