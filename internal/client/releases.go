package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"codeberg.org/huis/huis/internal/proto"
	"codeberg.org/huis/huis/internal/wire"
	"codeberg.org/huis/huis/kt"
)

// A server enters what it gives out, the interface for browsers and the program,
// into its log before it does (docs/protocol.md, Section 13). What runs already
// asks here before it takes over anything newer.
//
//	translog/releaseat/X    epoch (8 bytes) in which the release at index X came

// Release is what the log says of files a server offers.
type Release uint8

// The answers.
const (
	ReleaseUnlogged  Release = iota // the log does not hold it
	ReleaseOlder                    // it came before the one in use
	ReleaseUnvouched                // the part of the log that holds it is not vouched for yet
	ReleaseGood                     // newer, and in a part that is vouched for as the witness policy says
)

// noteReleases remembers when releases came.
func (t *tx) noteReleases(epochs []logEpoch) {
	for i := range epochs {
		for _, b := range epochs[i].Batch {
			if b.Kind == kt.KindRelease {
				at := epochs[i].Record.N
				_ = t.save(releaseAtKey(b.Index), func(c *wire.Codec) { wire.Uint64(c, &at) })
			}
		}
	}
}

func releaseAtKey(x kt.Index) string { return fmt.Sprintf("translog/releaseat/%x", x[:]) }

// CheckWebRelease tells whether the log vouches for the web app that the server
// offers in place of the one in use, both by SHA-256 of their manifests.
func (c *Client) CheckWebRelease(ctx context.Context, offered, used [32]byte) (Release, error) {
	return c.checkRelease(ctx, kt.ProductWeb, offered, used)
}

// CheckProgramRelease tells whether the log vouches for a release of the program,
// by SHA-256 of its SHA256SUMS.
func (c *Client) CheckProgramRelease(ctx context.Context, sum [32]byte) (Release, error) {
	return c.checkRelease(ctx, kt.ProductProgram, sum, sum)
}

// PublishRelease enters a release of the program into the log: admins may.
func (c *Client) PublishRelease(ctx context.Context, sum [32]byte) error {
	return c.callAccount(ctx, proto.ReleasePut, func(s proto.SessionID) proto.Message {
		return &proto.ReleasePutRequest{Session: s, Sum: sum}
	}, &proto.Empty{})
}

// checkRelease tells whether the log vouches for what a server offers in place
// of what is used. It is an error if the server cannot be asked, and a
// *SafetyError if what it shows is not true or its log is in doubt.
func (c *Client) checkRelease(ctx context.Context, product string, offered, used kt.Hash) (Release, error) {
	leaf, err := c.releaseLeaf(ctx, product, offered)
	if err != nil || leaf == nil {
		return ReleaseUnlogged, err
	}
	before, err := c.releaseLeaf(ctx, product, used)
	if err != nil {
		return ReleaseUnlogged, err
	}
	answer := ReleaseUnlogged
	look := func() error {
		return c.step(ctx, func(t *tx) (err error) {
			answer, err = t.judgeRelease(leaf, before)
			return err
		})
	}
	if err := look(); err != nil || answer != ReleaseUnvouched {
		return answer, err
	}
	if err := c.syncTranslog(ctx); err != nil { // vouched for meanwhile?
		return answer, err
	}
	return answer, look()
}

// judgeRelease compares when two releases came; before is nil if the log does not
// hold the one in use.
func (t *tx) judgeRelease(leaf, before *kt.MapLeaf) (Release, error) {
	at, err := t.releasedAt(leaf)
	if err != nil {
		return ReleaseUnlogged, err
	}
	if before != nil && before.Index != leaf.Index {
		then, err := t.releasedAt(before)
		if err != nil {
			return ReleaseUnlogged, err
		}
		if at < then {
			return ReleaseOlder, nil
		}
	}
	err = t.mayAcceptLeaf(leaf)
	if errors.Is(err, errUnvouched) {
		return ReleaseUnvouched, nil
	}
	if err != nil {
		return ReleaseUnlogged, err
	}
	return ReleaseGood, nil
}

func (t *tx) releasedAt(leaf *kt.MapLeaf) (epoch uint64, err error) {
	err = t.load(releaseAtKey(leaf.Index), func(c *wire.Codec) { wire.Uint64(c, &epoch) })
	return epoch, err
}

// releaseLeaf returns the leaf of a release in an epoch this device has replayed,
// nil if the log does not hold it.
func (c *Client) releaseLeaf(ctx context.Context, product string, sum kt.Hash) (leaf *kt.MapLeaf, err error) {
	label := kt.ReleaseLabel(product, sum)
	var got proto.LogEntryResponse
	if err := c.callAnon(ctx, proto.LogEntry, &proto.LogEntryRequest{Kind: uint8(kt.KindRelease), Label: label}, &got); err != nil {
		return nil, err
	}
	k, err := c.logUpTo(ctx, got.Proof.Epoch)
	if err != nil {
		return nil, err
	}
	err = c.step(ctx, func(t *tx) error {
		leaf = nil
		lie := &SafetyError{
			Reason: "what the server shows of its log about its releases is not true",
			Fix:    "take no new version from it; tell the server's operator",
		}
		e, found, err := t.logEpochAt(got.Proof.Epoch)
		if err != nil {
			return err
		}
		proof, err := labelProof(got.Proof.Map, got.Proof.VRF, got.Proof.Openings)
		if err != nil || !found {
			return lie
		}
		l, err := proof.Verify(k.VRF, kt.KindRelease, label, e.Record.MapRoot, got.Values)
		if err != nil {
			return lie
		}
		if len(got.Values) == 1 && bytes.Equal(got.Values[0], sum[:]) {
			leaf = l
		}
		return nil
	})
	return leaf, err
}
