package epochs

import (
	"context"
	"errors"

	"codeberg.org/huis/huis/kt"
)

// ErrNotOurs is returned for the end of a log that is not this one's.
var ErrNotOurs = errors.New("not the end of this log under a checkpoint it signed")

// GiveBack stores epochs that this log lost, under a checkpoint it signed. All
// of them or none: what is not exactly the log of that checkpoint is ErrNotOurs.
// Epochs it has are passed over.
func (l *Log) GiveBack(ctx context.Context, checkpoint []byte, lost []Epoch) error {
	signed, err := kt.VerifyCheckpoint(checkpoint, l.Signer.Public(), nil)
	if err != nil {
		return ErrNotOurs
	}
	l.writing.Lock()
	defer l.writing.Unlock()
	before, r := l.current.Size(), l.current
	versions := []kt.Replay{}
	var fresh []Epoch
	for _, e := range lost {
		if e.Record.N < before || r.Size() == signed.Size {
			continue
		}
		if r, err = r.Apply(e.Record, e.Batch); err != nil {
			return ErrNotOurs
		}
		versions, fresh = append(versions, r), append(fresh, e)
	}
	if r.Size() != signed.Size || r.Root() != signed.Root {
		if signed.Size < before {
			return nil
		}
		return ErrNotOurs
	}
	for i := range fresh {
		if err := l.Store.AddEpoch(ctx, fresh[i]); err != nil {
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

// Behind asks the witnesses whether one of them has cosigned more of this log
// than there is, and returns the largest size one of them named. heard is how
// many of them answered.
func (l *Log) Behind(ctx context.Context) (size uint64, heard int) {
	ctx, cancel := context.WithTimeout(ctx, l.Patience)
	defer cancel()
	l.mu.RLock()
	v := l.published
	l.mu.RUnlock()
	now := v.replay.Size()
	for _, w := range l.Witnesses {
		_, err := w.Cosign(ctx, l.Signer.Public(), now, nil, v.note)
		var elsewhere *StandsAt
		switch {
		case err == nil:
			heard++
		case errors.As(err, &elsewhere):
			heard, size = heard+1, max(size, elsewhere.Size)
		}
	}
	return size, heard
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
