package client

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"codeberg.org/huis/huis/internal/proto"
	"codeberg.org/huis/huis/internal/wire"
	"codeberg.org/huis/huis/mls"
)

// change is what a commit is to do. A commit with neither adds nor anything
// else still refreshes the committer's keys.
type change struct {
	adds      []addition
	removes   []mls.LeafIndex
	policy    *policy // the new one; nil: as it is
	reasons   []reason
	newSigner *mls.SignaturePrivateKey
}

// addition is a device to add. Without a ticket its join package is handed
// back instead of posted.
type addition struct {
	who    member
	kp     *mls.KeyPackage
	ticket *proto.Ticket
}

// errNothing ends a commit that turns out not to be needed.
var errNothing = errors.New("nothing to commit")

// commitTries bounds how often a lost race is run again.
const commitTries = 30

// plan decides, on the current epoch, what to commit; errNothing ends it.
type plan func(*tx, *conversation) (*change, error)

// commit brings a change into the conversation: it computes the change on the
// newest epoch, stores it, sends it and runs again when another's commit came
// first. handed are the join packages of additions without ticket.
func (c *Client) commit(ctx context.Context, id proto.ConversationID, p plan) (handed [][]byte, err error) {
	for try := range commitTries {
		if err := c.settle(ctx, id); err != nil {
			return nil, err
		}
		staged, fresh, err := c.stage(ctx, id, p)
		if err != nil || staged == nil {
			return nil, err
		}
		err = c.submit(ctx, id, staged)
		if err == nil && fresh {
			return staged.Handed, c.syncLog(ctx, id)
		}
		if err == nil { // an earlier commit of this device
			continue
		}
		if !errors.Is(err, proto.Conflict) {
			return nil, err
		}
		if err := c.cfg.Clock.Sleep(ctx, 50*time.Millisecond+c.cfg.Jitter(time.Duration(try+1)*200*time.Millisecond)); err != nil {
			return nil, err
		}
	}
	return nil, fmt.Errorf("the conversation changes too often; try again later")
}

// settle reads the log and ends what an earlier commit of this device left
// open, by sending the same bytes again.
func (c *Client) settle(ctx context.Context, id proto.ConversationID) error {
	for {
		if err := c.syncLog(ctx, id); err != nil {
			return err
		}
		var open *pending
		err := c.step(ctx, func(t *tx) error {
			cv, err := t.conv(id)
			if err != nil || cv == nil {
				return errors.Join(err, ErrUnknownChat)
			}
			open, err = t.pending(cv)
			return err
		})
		if err != nil || open == nil {
			return err
		}
		err = c.submit(ctx, id, open)
		var refusal *proto.Error
		if errors.As(err, &refusal) && refusal.Retriable() {
			return nil // it waits; everything else can go on
		}
		if err != nil && !definite(err) {
			return err
		}
	}
}

// submit sends a stored commit. On a definite refusal that is not a lost race it
// is discarded; a lost race is left to the log, which names the winner.
func (c *Client) submit(ctx context.Context, id proto.ConversationID, p *pending) error {
	err := c.uploadPending(ctx, id, p, c.inConv(ctx, id))
	if err == nil {
		var resp proto.CommitResponse
		err = c.call(ctx, Conversations, proto.Commit, &proto.CommitRequest{Entry: p.Entry, Extra: p.Extra}, &resp)
	}
	if !definite(err) || errors.Is(err, proto.Conflict) {
		return err
	}
	return errors.Join(err, c.discard(ctx, id, p))
}

func (c *Client) uploadPending(ctx context.Context, id proto.ConversationID, p *pending, call caller) error {
	if p.Blob == (proto.BlobID{}) {
		return nil
	}
	var b []byte
	err := c.step(ctx, func(t *tx) (err error) {
		b, err = t.get(key("pendblob", id))
		return err
	})
	if err != nil || b == nil {
		return err
	}
	return putParts(call, p.Blob, b)
}

// discard forgets a commit the server definitely refused. It stays if the log
// has decided about it meanwhile.
func (c *Client) discard(ctx context.Context, id proto.ConversationID, p *pending) error {
	return c.step(ctx, func(t *tx) error {
		cv, err := t.conv(id)
		if err != nil || cv == nil {
			return err
		}
		now, err := t.pending(cv)
		if err != nil || now == nil || now.Entry.Hash() != p.Entry.Hash() {
			return err
		}
		return t.dropPending(cv)
	})
}

// stage computes a commit and stores it, before anything is sent; nil if there
// is nothing to commit. Not fresh: an earlier commit has to be sent first.
func (c *Client) stage(ctx context.Context, id proto.ConversationID, p plan) (staged *pending, fresh bool, err error) {
	err = c.step(ctx, func(t *tx) error {
		staged, fresh = nil, false
		cv, err := t.conv(id)
		if err != nil || cv == nil {
			return errors.Join(err, ErrUnknownChat)
		}
		if err := cv.usable(); err != nil {
			return err
		}
		if old, err := t.pending(cv); err != nil || old != nil {
			staged = old
			return err
		}
		ch, err := p(t, cv)
		if err != nil {
			return orNothing(err)
		}
		staged, err = t.stage(cv, ch)
		fresh = err == nil
		return err
	})
	return staged, fresh, err
}

// usable tells why this device can change or write nothing here.
func (cv *conversation) usable() error {
	switch {
	case cv.meta.Alarm != "":
		return cv.stopped()
	case cv.meta.State == stateLeft, cv.meta.State == stateRemoved:
		return ErrNotMember
	case cv.meta.State != stateLive || cv.group == nil:
		return fmt.Errorf("%w: this device waits to be added again", ErrNotMember)
	}
	return nil
}

func (t *tx) stage(cv *conversation, ch *change) (*pending, error) {
	b := commitBuild{t: t, cv: cv, ch: ch, p: &pending{}}
	if err := b.build(); err != nil {
		return nil, err
	}
	return b.p, t.save(key("pend", cv.id), b.p.wire)
}

// commitBuild is a commit in the making.
type commitBuild struct {
	t     *tx
	cv    *conversation
	ch    *change
	p     *pending
	delta proto.KeyDelta
	seeds []seed // of the joiners
	adds  []mls.LeafIndex
}

func (b *commitBuild) build() error {
	staged, err := b.commit()
	if err != nil {
		return err
	}
	if b.p.Staged, err = staged.MarshalBinary(); err != nil {
		return err
	}
	b.t.delta(b.cv, staged.Delta)
	b.p.Entry = proto.Entry{
		Kind: proto.KindCommit, Conversation: b.cv.id, Epoch: b.cv.group.Epoch(),
		Bytes: staged.Message(), ExtraHash: b.p.Extra.Hash(),
	}
	return b.p.Entry.Sign(b.cv.meta.Seed.key())
}

// commit makes the commit and what travels beside it.
func (b *commitBuild) commit() (*mls.StagedCommit, error) {
	opt, err := b.options()
	if err != nil {
		return nil, err
	}
	staged, err := b.cv.group.Commit(b.t.c.now(), opt)
	if err != nil {
		return nil, err
	}
	if b.p.Keys == nil { // no joiners: the GroupInfo was not made
		if err := b.nextKeys(staged.Next()); err != nil {
			return nil, err
		}
	}
	excused, err := b.t.excused(b.cv, staged)
	if err != nil {
		return nil, err
	}
	if err := checkPolicy(&b.cv.group.GroupView, staged.Next(), staged, excused); err != nil {
		return nil, fmt.Errorf("%w: %v", ErrForbidden, err)
	}
	return staged, b.packages(staged)
}

// options makes the proposals and the key delta.
func (b *commitBuild) options() (opt mls.CommitOptions, err error) {
	for _, l := range b.ch.removes {
		k, ok := b.cv.keys.find(l)
		if !ok {
			return opt, fmt.Errorf("leaf %d has no member key", l)
		}
		b.delta.Removes = append(b.delta.Removes, k.MK)
		opt.Proposals = append(opt.Proposals, mls.Proposal{Type: mls.ProposalRemove, Remove: &mls.Remove{Removed: l}})
	}
	for _, a := range b.ch.adds {
		s := newSeed()
		b.seeds = append(b.seeds, s)
		b.delta.Adds = append(b.delta.Adds, s.public())
		opt.Proposals = append(opt.Proposals, mls.Proposal{Type: mls.ProposalAdd, Add: &mls.Add{KeyPackage: *a.kp}})
	}
	if b.ch.policy != nil {
		opt.Proposals = append(opt.Proposals, b.contextChange())
	}
	for _, r := range b.ch.reasons {
		opt.Proposals = append(opt.Proposals, mls.Proposal{Type: proposalReason, Custom: wire.MustEncode(r.wire)})
	}
	if b.cv.meta.Given {
		b.p.Seed = newSeed()
		mk := b.p.Seed.public()
		b.delta.Replace = &mk
	}
	opt.NewSigner = b.ch.newSigner
	opt.NoPath = b.pathless()
	opt.GroupInfoExtensions = b.groupInfo
	opt.AuthenticatedData, err = wire.Encode(b.delta.Wire)
	return opt, err
}

// Above flatSize members a commit that only adds goes without a path, unless
// this device's last one is pathEvery old: a path costs what the tree has
// blank, and healing is spread (protocol, section 16).
const (
	flatSize  = 200
	pathEvery = 7 * 24 * time.Hour
)

func (b *commitBuild) pathless() bool {
	last := time.Unix(int64(b.cv.meta.Pathed), 0)
	return len(b.cv.keys) > flatSize && len(b.ch.adds) > 0 && len(b.ch.removes) == 0 && b.ch.policy == nil &&
		len(b.ch.reasons) == 0 && b.ch.newSigner == nil && !b.cv.meta.Given && b.t.c.now().Sub(last) < pathEvery
}

func (b *commitBuild) contextChange() mls.Proposal {
	var list []mls.Extension
	for _, e := range b.cv.group.Context().Extensions {
		if e.ExtensionType == extPolicy {
			e = b.ch.policy.extension()
		}
		list = append(list, e)
	}
	return mls.Proposal{Type: mls.ProposalGroupContextExtensions, GroupContextExtensions: &mls.GroupContextExtensions{Extensions: list}}
}

// nextKeys computes the member keys of the next epoch.
func (b *commitBuild) nextKeys(next *mls.GroupView) (err error) {
	stays := map[mls.LeafIndex]bool{}
	for _, k := range b.cv.keys {
		stays[k.Leaf] = true
	}
	for _, l := range b.ch.removes {
		delete(stays, l)
	}
	b.adds = nil
	for _, m := range next.Members() {
		if !stays[m.Leaf] {
			b.adds = append(b.adds, m.Leaf)
		}
	}
	b.p.Keys, err = b.cv.keys.apply(&b.delta, b.cv.group.OwnLeaf(), b.adds, b.ch.removes, 0)
	return err
}

// groupInfo makes the join blob, when the next tree is known, and the
// extension that leads to it.
func (b *commitBuild) groupInfo(next *mls.GroupView) ([]mls.Extension, error) {
	if err := b.nextKeys(next); err != nil {
		return nil, err
	}
	if len(b.ch.adds) == 0 {
		return nil, nil
	}
	accounts, err := accountsOf(next)
	if err != nil {
		return nil, err
	}
	list := slices.SortedFunc(maps.Keys(accounts), compareAccounts)
	profiles, err := b.t.profiles(list)
	if err != nil {
		return nil, err
	}
	blob := joinBlob{Tree: next.RatchetTree(), Keys: b.p.Keys, Profiles: profiles, Left: b.cv.meta.Left}
	sealed, ref, err := sealJoinBlob(&blob, b.cv.head.Head)
	if err != nil {
		return nil, err
	}
	b.t.put(key("pendblob", b.cv.id), sealed)
	b.p.Blob = ref.ID
	b.p.Extra.Pins = []proto.BlobID{ref.ID}
	return []mls.Extension{ref.extension()}, nil
}

// packages seals each joiner's join package.
func (b *commitBuild) packages(staged *mls.StagedCommit) error {
	for i, w := range staged.Welcomes() {
		welcome, err := w.Encode()
		if err != nil {
			return err
		}
		add := b.ch.adds[i]
		sealed, err := sealJoinPackage(&joinPackage{Conversation: b.cv.id, Seed: b.seeds[i], Welcome: welcome}, add.kp)
		if err != nil {
			return err
		}
		if add.ticket == nil {
			b.p.Handed = append(b.p.Handed, sealed)
			continue
		}
		b.p.Extra.Packages = append(b.p.Extra.Packages, proto.JoinPackage{Ticket: *add.ticket, Sealed: sealed})
	}
	return nil
}
