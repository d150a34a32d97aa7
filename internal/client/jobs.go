package client

import (
	"context"
	"encoding/hex"
	"errors"
	"strings"
	"time"

	"codeberg.org/huis/huis/internal/proto"
	"codeberg.org/huis/huis/kt"
)

// jobKind is something this device has promised to do, whatever happens to it
// meanwhile.
type jobKind string

// The jobs. Each is done as often as it takes, then deleted.
const (
	jobAdd     jobKind = "add"     // add an own device to a conversation
	jobHistory jobKind = "history" // give an own device the history
)

// job is one of them; its key says all of it: job/KIND/DEVICE/CONVERSATION.
type job struct {
	Kind         jobKind
	Device       proto.DeviceID
	Conversation proto.ConversationID
}

func jobPrefix(kind jobKind, device proto.DeviceID) string {
	return "job/" + string(kind) + "/" + device.Hex() + "/"
}

func (j job) key() string { return jobPrefix(j.Kind, j.Device) + j.Conversation.Hex() }

func parseJob(key string) (j job, err error) {
	parts := strings.Split(key, "/")
	if len(parts) != 4 {
		return j, errors.New("stored job: not of four parts")
	}
	j.Kind = jobKind(parts[1])
	for i, into := range [][]byte{j.Device[:], j.Conversation[:]} {
		b, err := hex.DecodeString(parts[2+i])
		if err != nil || copy(into, b) != len(b) {
			return j, errors.New("stored job: not an identifier")
		}
	}
	return j, nil
}

func (t *tx) addJob(j job) { t.put(j.key(), nil) }

// jobs lists what is to be done.
func (t *tx) jobs() ([]job, error) {
	all, err := t.list("job/", "", 0)
	if err != nil {
		return nil, err
	}
	list := make([]job, 0, len(all))
	for _, r := range all {
		j, err := parseJob(r.Key)
		if err != nil {
			return nil, err
		}
		list = append(list, j)
	}
	return list, nil
}

// runJobs does what this device has promised. What cannot be done now stays.
// The error is of the first job that failed.
func (c *Client) runJobs(ctx context.Context) error {
	done, err := c.jobs.take(ctx)
	if err != nil {
		return err
	}
	defer done()
	var list []job
	err = c.step(ctx, func(t *tx) (err error) {
		list, err = t.jobs()
		return err
	})
	if err != nil {
		return err
	}
	for _, j := range list {
		e := c.runJob(ctx, j)
		if e == nil {
			e = c.step(ctx, func(t *tx) error { t.del(j.key()); return nil })
		}
		err = errors.Join(err, e)
		if errors.Is(e, ErrUnreachable) || ctx.Err() != nil {
			break
		}
	}
	return err
}

func (c *Client) runJob(ctx context.Context, j job) error {
	switch j.Kind {
	case jobAdd:
		return c.addOwn(ctx, j)
	case jobHistory:
		return c.giveHistory(ctx, j)
	}
	c.cfg.Log.Warn("a job of a later version was dropped")
	return nil
}

// over tells whether a job's conversation is one this device can change.
func (c *Client) over(ctx context.Context, id proto.ConversationID) (over bool, err error) {
	err = c.step(ctx, func(t *tx) error {
		cv, err := t.conv(id)
		over = cv == nil || !cv.active()
		return err
	})
	return over, err
}

// addOwn adds an own device through its inbox, in place of a leaf whose join
// package got lost.
func (c *Client) addOwn(ctx context.Context, j job) error {
	if over, err := c.over(ctx, j.Conversation); err != nil || over {
		return err
	}
	me, err := c.whoami(ctx)
	if err != nil {
		return err
	}
	gone := false
	err = c.step(ctx, func(t *tx) error {
		chain, _, err := t.chain(me.Account)
		d, ok := chain.Device(kt.DeviceID(j.Device))
		gone = !ok || d.Revoked
		return err
	})
	if err != nil || gone {
		return err
	}
	adds, err := c.claim(ctx, me.Account, j.Device)
	if err != nil {
		return err
	}
	_, err = c.commit(ctx, j.Conversation, func(t *tx, cv *conversation) (*change, error) {
		return &change{adds: adds[:1], removes: cv.leavesOf(adds[0].who)}, nil
	})
	return err
}

// linkTries bounds how often a lost race for the next link is run again.
const linkTries = 10

// appendLink adds a link to the own chain. build makes it on the newest state;
// nil ends it without one. When another device was faster it is made again.
func (c *Client) appendLink(ctx context.Context, build func(kt.Chain, *identity, time.Time) ([]byte, error)) error {
	return c.growChain(ctx, build, func(ctx context.Context, link []byte) error {
		return c.callAccount(ctx, proto.ChainAppend, func(s proto.SessionID) proto.Message {
			return &proto.ChainAppendRequest{Session: s, Link: link}
		}, &proto.Empty{})
	})
}

// growChain is appendLink by whatever request send makes.
func (c *Client) growChain(ctx context.Context, build func(kt.Chain, *identity, time.Time) ([]byte, error), send func(context.Context, []byte) error) error {
	me, err := c.whoami(ctx)
	if err != nil {
		return err
	}
	for range linkTries {
		chain, err := c.freshChain(ctx, me.Account, 0)
		if err != nil {
			return err
		}
		link, err := build(chain, &me, c.now())
		if err != nil || link == nil {
			return err
		}
		err = send(ctx, link)
		if err != nil && !errors.Is(err, proto.Conflict) && !errors.Is(err, proto.BadChain) && !errors.Is(err, ErrUnreachable) {
			return err
		}
		// Whatever the answer: the chain tells whether the link is in it.
		if err := c.untilReached(ctx, func() error { _, err := c.freshChain(ctx, me.Account, 0); return err }); err != nil {
			return err
		}
		in := false
		err = c.step(ctx, func(t *tx) error {
			links, err := t.links(me.Account)
			in = containsLink(links, link)
			return err
		})
		if err != nil || in {
			return err
		}
	}
	return errors.New("the account's devices change too often; try again later")
}

func containsLink(links [][]byte, link []byte) bool {
	for _, l := range links {
		if string(l) == string(link) {
			return true
		}
	}
	return false
}
