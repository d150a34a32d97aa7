package epochs

import (
	"context"
	"errors"
	"sync"

	"codeberg.org/huis/huis/kt"
)

// ErrNotOurs is returned for the end of a log that is not this one's.
var ErrNotOurs = errors.New("not the end of this log under a checkpoint it signed")

// GiveBack stores epochs that this log lost, under a checkpoint it signed. All
// of them or none: what is not exactly the log of that checkpoint, or by the proof
// what that one continues, is ErrNotOurs. Epochs it has are passed over.
func (l *Log) GiveBack(ctx context.Context, checkpoint []byte, lost []Epoch, proof []kt.Hash) error {
	signed, err := kt.VerifyCheckpoint(checkpoint, l.Signer.Public(), nil)
	if err != nil {
		return ErrNotOurs
	}
	l.writing.Lock()
	defer l.writing.Unlock()
	if err := l.settle(ctx); err != nil {
		return err
	}
	before := l.current.Size()
	if signed.Size < before {
		return nil
	}
	versions, fresh, err := l.continued(lost, signed.Size)
	if err != nil {
		return err
	}
	r := l.current
	if len(versions) > 0 {
		r = versions[len(versions)-1]
	}
	if kt.CheckConsistency(proof, r.Size(), r.Root(), signed.Size, signed.Root) != nil {
		return ErrNotOurs
	}
	for i := range fresh {
		if err := l.Store.AddEpoch(ctx, fresh[i]); err != nil {
			l.doubt = true
			return err
		}
		if err := l.advance(versions[i]); err != nil {
			return err
		}
	}
	if err := l.writeFiles(before); err != nil {
		l.Log.Error("the log's static files could not be written", "error", err)
	}
	l.publish(l.signed())
	return nil
}

// continued replays what of the epochs is new, up to a size: the log after each.
func (l *Log) continued(lost []Epoch, size uint64) (versions []kt.Replay, fresh []Epoch, err error) {
	before, r := l.current.Size(), l.current
	for _, e := range lost {
		if e.Record.N < before || r.Size() == size {
			continue
		}
		if r, err = r.Apply(e.Record, e.Batch); err != nil {
			return nil, nil, ErrNotOurs
		}
		versions, fresh = append(versions, r), append(fresh, e)
	}
	return versions, fresh, nil
}

// Held tells whether nothing may be written yet.
func (l *Log) Held() bool { return l.held.Load() }

// Resume ends what Config.Held began.
func (l *Log) Resume(ctx context.Context) error {
	l.held.Store(false)
	if l.running.Load() {
		l.Wake()
		return nil
	}
	return l.Step(ctx)
}

// Heard is what a witness says of this log: the size it has cosigned, if it
// answered.
type Heard struct {
	Witness  kt.NoteKey
	Answered bool
	Size     uint64 // 0 or this log's size or less: it knows no more
}

// Hear asks all witnesses at once whether they have cosigned more of this log
// than there is. What they say is their word alone.
func (l *Log) Hear(ctx context.Context) []Heard {
	ctx, cancel := context.WithTimeout(ctx, l.Patience)
	defer cancel()
	l.mu.RLock()
	v := l.published
	l.mu.RUnlock()
	now := v.replay.Size()
	all := make([]Heard, len(l.Witnesses))
	var asked sync.WaitGroup
	for i, w := range l.Witnesses {
		all[i].Witness = w.Key()
		asked.Go(func() {
			_, err := w.Cosign(ctx, l.Signer.Public(), now, nil, v.note)
			var elsewhere *StandsAt
			if all[i].Answered = err == nil || errors.As(err, &elsewhere); elsewhere != nil {
				all[i].Size = elsewhere.Size
			}
		})
	}
	asked.Wait()
	return all
}

// Known tells whether the newest version of the map has an index.
func (l *Log) Known(x kt.Index) bool {
	_, ok := l.Has(x)
	return ok
}

// Has returns what the newest version of the map has under an index.
func (l *Log) Has(x kt.Index) (kt.MapLeaf, bool) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.published.replay.Map().Get(x)
}
