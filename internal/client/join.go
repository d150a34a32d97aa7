package client

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"codeberg.org/huis/huis/internal/proto"
	"codeberg.org/huis/huis/internal/wire"
	"codeberg.org/huis/huis/mls"
)

// errUseless marks a join package that leads nowhere; it is thrown away.
var errUseless = errors.New("join package is of no use")

func useless(format string, args ...any) error {
	return fmt.Errorf("%w: %s", errUseless, fmt.Sprintf(format, args...))
}

// fetchInbox takes what waits in the account's inbox: join packages. An item is
// acknowledged only once what it says is stored.
func (c *Client) fetchInbox(ctx context.Context) error {
	var after proto.InboxItemID
	for {
		var got proto.InboxFetchResponse
		err := c.callAccount(ctx, proto.InboxFetch, func(s proto.SessionID) proto.Message {
			return &proto.InboxFetchRequest{Session: s, After: after}
		}, &got)
		if err != nil || len(got.Items) == 0 {
			return err
		}
		var done []proto.InboxItemID
		for _, item := range got.Items {
			after = item.ID
			err := c.acceptJoinPackage(ctx, item.Sealed)
			var safety *SafetyError
			switch {
			case err == nil:
			case errors.Is(err, errUseless):
				c.cfg.Log.Warn("inbox item thrown away", "why", err)
			case refused(err), errors.As(err, &safety): // stays, and stops no other
				c.cfg.Log.Warn("inbox item has to wait", "why", err)
				continue
			default:
				return errors.Join(err, c.ackInbox(ctx, done))
			}
			done = append(done, item.ID)
		}
		if err := c.ackInbox(ctx, done); err != nil || !got.More {
			return err
		}
	}
}

func (c *Client) ackInbox(ctx context.Context, ids []proto.InboxItemID) error {
	if len(ids) == 0 {
		return nil
	}
	return c.callAccount(ctx, proto.InboxAck, func(s proto.SessionID) proto.Message {
		return &proto.InboxAckRequest{Session: s, IDs: ids}
	}, &proto.Empty{})
}

// joining is a join package on its way into the store.
type joining struct {
	kp      mls.KeyPackageRef
	pkg     *joinPackage
	bundle  *mls.KeyPackageBundle
	welcome *mls.Welcome
	ref     joinRef
	blob    *joinBlob
	group   *mls.Group // verified; with what it has to store
	delta   mls.Delta
}

// acceptJoinPackage joins the conversation a sealed join package leads to. An
// error wrapping errUseless says that it never will.
func (c *Client) acceptJoinPackage(ctx context.Context, sealed []byte) error {
	var j joining
	err := c.step(ctx, func(t *tx) (err error) {
		j, err = t.openJoin(sealed)
		return err
	})
	if err != nil {
		return err
	}
	if ready, err := c.readyToJoin(ctx, &j); err != nil || !ready {
		return err
	}
	b, err := c.getBlob(ctx, j.ref.ID, j.ref.Size, maxJoinBlob)
	if errors.Is(err, proto.NoBlob) {
		return useless("its join blob is gone")
	}
	if err != nil {
		return err
	}
	if j.blob, err = openJoinBlob(b, &j.ref); err != nil {
		return useless("%v", err)
	}
	if err := c.verifyJoin(&j); err != nil {
		return err
	}
	c.breathe()
	return c.step(ctx, func(t *tx) error { return t.join(&j) })
}

// verifyJoin makes the group of a Welcome and its tree. That takes long in a large
// group, so it holds nothing up; nothing is stored yet.
func (c *Client) verifyJoin(j *joining) error {
	tree, err := mls.ParseRatchetTree(j.blob.Tree)
	if err != nil {
		return useless("%v", err)
	}
	opt := mlsOptions()
	opt.Pause = c.cfg.Breathe
	if j.group, j.delta, err = mls.Join(j.welcome, j.bundle, mls.JoinOptions{RatchetTree: tree}, opt); err != nil {
		return useless("%v", err)
	}
	if err := checkJoinKeys(j.group, j); err != nil {
		return useless("%v", err)
	}
	return nil
}

// openJoin opens a sealed join package as far as the tree.
func (t *tx) openJoin(sealed []byte) (j joining, err error) {
	var s sealedJoin
	if err := wire.Decode(sealed, s.wire); err != nil {
		return j, useless("%v", err)
	}
	j.kp = s.Ref
	if j.bundle, err = t.bundle(s.Ref); err != nil {
		return j, err
	}
	if j.bundle == nil {
		return j, useless("its key package is used or too old")
	}
	if j.pkg, err = openJoinPackage(&s, j.bundle); err != nil {
		return j, useless("%v", err)
	}
	if j.welcome, err = mls.ParseWelcome(j.pkg.Welcome); err != nil {
		return j, useless("%v", err)
	}
	info, err := mls.OpenGroupInfo(j.welcome, j.bundle, nil)
	if err != nil {
		return j, useless("%v", err)
	}
	data, ok := mls.FindExtension(info.Extensions, extJoin)
	if !ok {
		return j, useless("no huis_join")
	}
	if err := wire.Decode(data, j.ref.wire); err != nil {
		return j, useless("huis_join: %v", err)
	}
	if string(info.GroupContext.GroupID) != string(j.pkg.Conversation[:]) {
		return j, useless("its Welcome is for another conversation")
	}
	return j, nil
}

// readyToJoin tells whether the package may replace what this device has of the
// conversation: nothing, or a membership that has ended. A member that is well
// first reads the log, where its removal stands if the package is genuine.
func (c *Client) readyToJoin(ctx context.Context, j *joining) (bool, error) {
	live, err := c.isLive(ctx, j.pkg.Conversation)
	if err != nil || !live {
		return err == nil, err
	}
	if err := c.syncLog(ctx, j.pkg.Conversation); err != nil && !refused(err) {
		return false, err
	}
	if live, err = c.isLive(ctx, j.pkg.Conversation); err == nil && live {
		err = useless("this device is a member already")
	}
	return err == nil && !live, err
}

func refused(err error) bool {
	var e *proto.Error
	return errors.As(err, &e)
}

// definite tells that the server did not do what it was asked to: unavailable
// says nothing about a write, and what is busy may be asked again unchanged.
func definite(err error) bool {
	var e *proto.Error
	return errors.As(err, &e) && !e.Retriable() && e.Code != proto.Unavailable
}

func (c *Client) isLive(ctx context.Context, id proto.ConversationID) (live bool, err error) {
	err = c.step(ctx, func(t *tx) error {
		cv, err := t.conv(id)
		live = cv != nil && cv.meta.State == stateLive
		return err
	})
	return live, err
}

// join stores the membership that verifyJoin made.
func (t *tx) join(j *joining) error {
	if b, err := t.bundle(j.kp); err != nil || b == nil {
		return errors.Join(err, useless("its key package was used meanwhile"))
	}
	g := j.group
	p, err := policyOf(&g.GroupView)
	if err != nil {
		return useless("%v", err)
	}
	old, err := t.conv(j.pkg.Conversation)
	if err != nil {
		return err
	}
	cv := &conversation{id: j.pkg.Conversation, group: g, keys: j.blob.Keys}
	if old != nil {
		if err := t.endMembership(old); err != nil {
			return err
		}
		cv.meta.Read, cv.meta.Reforms = old.meta.Read, old.meta.Reforms
	}
	t.fillJoined(cv, j, p)
	if err := t.joinedLate(cv); err != nil {
		return err
	}
	before, err := predecessorOf(&g.GroupView)
	if err != nil {
		return useless("%v", err)
	}
	if before != nil {
		cv.meta.Offset = before.Base
	}
	if err := t.keepProfiles(cv.id, j.blob.Profiles); err != nil {
		return err
	}
	t.delta(cv, j.delta)
	return errors.Join(t.spend(j.bundle), t.saveMeta(cv), t.saveHead(cv), t.saveKeys(cv))
}

func (t *tx) fillJoined(cv *conversation, j *joining, p policy) {
	now := t.c.now()
	cv.meta.State, cv.meta.Policy = stateLive, p
	cv.meta.Seed, cv.meta.Given = j.pkg.Seed, true
	cv.meta.ReplaceAt = uint64(now.Add(t.c.spread(len(cv.keys))).Unix())
	cv.meta.First, cv.meta.Floor = cv.group.Epoch(), cv.group.Epoch()
	cv.meta.Left = j.blob.Left
	cv.meta.Since = uint64(now.Unix())
	cv.meta.Told = j.ref.Head.Seq
	cv.head = head{Head: j.ref.Head}
}

// spread draws when a joiner replaces the key it was given: soon in a small
// conversation, within a day in a large one, so that not all do it at once
// (protocol, section 4).
func (c *Client) spread(members int) time.Duration {
	d := time.Duration(members*members) * 2 * time.Second
	return c.cfg.Jitter(min(d, 24*time.Hour))
}

// checkJoinKeys refuses a map of member keys that is not exactly one for each
// leaf, all distinct, with the own seed's at the own leaf; and leaves that are
// not distinct devices.
func checkJoinKeys(g *mls.Group, j *joining) error {
	members := g.Members()
	if len(members) != len(j.blob.Keys) {
		return fmt.Errorf("join blob: %d member keys for %d members", len(j.blob.Keys), len(members))
	}
	keys, devices := map[proto.MemberKey]bool{}, map[member]bool{}
	for i, m := range members {
		k := j.blob.Keys[i]
		who, err := memberOf(&m.Credential)
		switch {
		case err != nil:
			return err
		case k.Leaf != m.Leaf:
			return fmt.Errorf("join blob: member keys are not those of the tree")
		case keys[k.MK] || devices[who]:
			return fmt.Errorf("join blob: a member key or device stands there twice")
		}
		keys[k.MK], devices[who] = true, true
	}
	own, ok := j.blob.Keys.find(g.OwnLeaf())
	if !ok || own.MK != j.pkg.Seed.public() {
		return fmt.Errorf("join blob: another member key at the own leaf")
	}
	return nil
}

// endMembership deletes the secrets of a membership that is over; messages stay.
func (t *tx) endMembership(cv *conversation) error {
	cv.group = nil
	t.del(key("pend", cv.id))
	t.del(key("pendblob", cv.id))
	t.c.closeConv(cv.id)
	if err := t.unsealOutbox(cv); err != nil {
		return err
	}
	return t.delAll(key("mls", cv.id, ""))
}

// keepProfile stores an account's chain and name, if the chain verifies.
func (t *tx) keepProfile(p *profile) error {
	if err := t.keepChain(p.Account, p.Links); err != nil {
		return err
	}
	if p.Handle == "" {
		return nil
	}
	return t.keepHandle(p.Account, p.Handle)
}

// profiles returns what this device knows of the accounts in a conversation.
func (t *tx) profiles(accounts []proto.AccountID) ([]profile, error) {
	var all []profile
	for _, a := range accounts {
		links, err := t.links(a)
		if err != nil {
			return nil, err
		}
		all = append(all, profile{Account: a, Handle: t.handleOf(a), Links: slices.Clone(links)})
	}
	return all, nil
}
