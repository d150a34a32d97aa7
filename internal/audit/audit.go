// Package audit recomputes a server's log: every epoch by the log's rules, and
// the map from every batch. What it found it signs as a statement of its own,
// under a key and a name of its own, since a witness's cosignature says less
// (C2SP tlog-cosignature: a statement beyond append-only has another key).
//
// Open reads what was audited before; Step goes on to the newest checkpoint. A
// *Breach says that the log cannot be trusted, and has the file that proves it
// or reports it. It does no networking: a Source is handed in.
package audit

import (
	"context"
	"errors"
	"fmt"
	"time"

	"codeberg.org/huis/huis/internal/evidence"
	"codeberg.org/huis/huis/kt"
)

// Head is the newest checkpoint of a log and what leads to it.
type Head struct {
	Checkpoint  []byte    // signed note
	Consistency []kt.Hash // from the size asked from
}

// Source is the server under audit.
type Source interface {
	// Head returns the newest checkpoint to somebody who knows the log at size
	// from; ErrShorter if the log is not that long.
	Head(ctx context.Context, from uint64) (Head, error)
	// Epochs returns some epochs from a number on.
	Epochs(ctx context.Context, from uint64) ([]Epoch, error)
}

// Epoch is one epoch as the server gives it out.
type Epoch struct {
	Record kt.EpochRecord
	Batch  []kt.BatchEntry
}

// ErrShorter is returned by a Source whose log ends before the size asked for.
var ErrShorter = errors.New("the log is shorter than that")

// Breach says what is wrong with a log.
type Breach struct {
	Reason string
	File   []byte // evidence.Verify tells whether it is proof or a report
}

func (b *Breach) Error() string { return b.Reason }

// Keys are the log's keys, as somebody learned them by a safe way.
type Keys struct {
	Log kt.NoteKey
	VRF kt.VRFPublicKey
}

// Result is what a Step found.
type Result struct {
	Head      kt.TreeHead
	Epochs    uint64 // new ones
	Updates   uint64 // entries of their batches
	Labels    int    // in the map
	Statement []byte // the checkpoint, with the auditor's signature
}

// Auditor follows one log. It is not safe for concurrent use.
type Auditor struct {
	keys   Keys
	signer *kt.NoteSigner
	files  *files
	replay kt.Replay
	note   []byte // the newest checkpoint audited; nil: none
}

// Open resumes an audit kept in a folder, or begins one. A crash at any moment
// costs at most the step it happened in.
func Open(dir string, keys Keys, signer *kt.NoteSigner) (*Auditor, error) {
	f, err := openFiles(dir)
	if err != nil {
		return nil, err
	}
	a := &Auditor{keys: keys, signer: signer, files: f}
	if err := a.resume(); err != nil {
		return nil, errors.Join(err, f.close())
	}
	return a, nil
}

// Close lets go of the folder.
func (a *Auditor) Close() error { return a.files.close() }

// resume replays what stands below the newest checkpoint audited.
func (a *Auditor) resume() error {
	note, err := a.files.checkpoint()
	if err != nil || note == nil {
		return errors.Join(err, a.files.cut(0))
	}
	head, err := kt.VerifyCheckpoint(note, a.keys.Log, nil)
	if err != nil {
		return errors.New("this folder holds the audit of another log: give this one a folder of its own")
	}
	end, err := a.files.each(head.Size, func(e *Epoch) (err error) {
		a.replay, err = a.replay.Apply(e.Record, e.Batch)
		return err
	})
	if err != nil || a.replay.Size() != head.Size || a.replay.Root() != head.Root {
		return fmt.Errorf("what was audited before is damaged (%w); begin anew in an empty folder", errors.Join(err, errDamaged))
	}
	a.note = note
	return a.files.cut(end)
}

var errDamaged = errors.New("it is not the log of its checkpoint")

// Step audits up to the newest checkpoint and signs a statement on it.
func (a *Auditor) Step(ctx context.Context, src Source, now time.Time) (Result, error) {
	known := a.replay.Size()
	got, err := src.Head(ctx, known)
	if errors.Is(err, ErrShorter) {
		return Result{}, a.report(fmt.Sprintf("the log is shorter than the %d epochs audited before", known), nil)
	}
	if err != nil {
		return Result{}, err
	}
	signed, err := kt.VerifyCheckpoint(got.Checkpoint, a.keys.Log, nil)
	if err != nil {
		return Result{}, a.report("the log's checkpoint is not signed with its key", got.Checkpoint)
	}
	if kt.CheckConsistency(got.Consistency, known, a.replay.Root(), signed.Size, signed.Root) != nil {
		return Result{}, a.rewritten(ctx, src, got.Checkpoint, signed.TreeHead)
	}
	next, updates, err := a.follow(ctx, src, signed.TreeHead, got.Checkpoint)
	if err != nil {
		return Result{}, err
	}
	statement := append(append([]byte(nil), got.Checkpoint...), a.signer.Cosign(signed.Text(), now)...)
	if err := a.files.publish(got.Checkpoint, statement); err != nil {
		return Result{}, err
	}
	a.replay, a.note = next, got.Checkpoint
	return Result{Head: signed.TreeHead, Epochs: signed.Size - known, Updates: updates, Labels: next.Map().Len(), Statement: statement}, nil
}

// follow replays the epochs up to a checkpoint and keeps them.
func (a *Auditor) follow(ctx context.Context, src Source, to kt.TreeHead, note []byte) (r kt.Replay, updates uint64, err error) {
	r = a.replay
	defer func() {
		if err != nil {
			err = errors.Join(err, a.files.uncommit())
		}
	}()
	for r.Size() < to.Size {
		page, err := src.Epochs(ctx, r.Size())
		if err != nil {
			return r, 0, err
		}
		if len(page) == 0 {
			return r, 0, a.report("the server does not give out its whole log", note)
		}
		for i := range page[:min(uint64(len(page)), to.Size-r.Size())] {
			e := &page[i]
			next, err := r.Apply(e.Record, e.Batch)
			if err == nil && e.Record.VRFKeyHash != kt.HashVRFKey(a.keys.VRF) {
				return r, 0, a.report("the log was made with another VRF key than the server names", note)
			}
			if err != nil {
				return r, 0, a.falseEpoch(ctx, src, r, e, err)
			}
			if err := a.files.append(e); err != nil {
				return r, 0, err
			}
			r, updates = next, updates+uint64(len(e.Batch))
		}
	}
	if r.Root() != to.Root {
		return r, 0, a.report("the log does not consist of the epochs the server gives out", note)
	}
	return r, updates, nil
}

// report is a Breach that nothing proves to others.
func (a *Auditor) report(reason string, note []byte) *Breach {
	return &Breach{Reason: reason, File: evidence.Report(reason,
		"key of the log: "+a.keys.Log.LogText(),
		fmt.Sprintf("audited up to: size %d, root %s", a.replay.Size(), a.replay.Root().Hex()),
		fmt.Sprintf("audited checkpoint: %q", a.note), fmt.Sprintf("given by the server: %q", note))}
}

// proved is a Breach with a proof, if it holds.
func (a *Auditor) proved(reason, kind string, p kt.Proof, note []byte) *Breach {
	if p.Verify(a.keys.Log) != nil {
		return a.report(reason, note)
	}
	return &Breach{Reason: reason, File: kt.ArmorProof(kind, a.keys.Log, p)}
}
