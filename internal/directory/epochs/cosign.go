package epochs

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"time"

	"codeberg.org/huis/huis/kt"
)

// asking is what the log knows of one witness, guarded by Log.mu.
type asking struct {
	stands  uint64 // the size it has seen
	busy    bool   // a request is on its way
	failing bool   // its last answer was none
}

// answer is what came of asking witness i; line is nil if it gave none.
type answer struct {
	i        int
	line     []byte
	reliable bool // it gave one the last time
}

// signed is the current epoch with the log's own signature, and with the
// cosignatures there are if it was published already.
func (l *Log) signed() version {
	v := version{replay: l.current, note: l.Signer.SignCheckpoint(l.current.Size(), l.current.Root()), lines: make([][]byte, len(l.Witnesses))}
	l.mu.RLock()
	defer l.mu.RUnlock()
	if l.published.lines != nil && l.published.replay.Size() == l.current.Size() {
		v.lines = slices.Clone(l.published.lines)
	}
	return v.assembled()
}

// with is v with another cosignature.
func (v version) with(a answer) version {
	v.lines = slices.Clone(v.lines)
	v.lines[a.i] = a.line
	return v.assembled()
}

func (v version) assembled() version {
	v.checkpoint, v.witnessed = bytes.Clone(v.note), 0
	for _, line := range v.lines {
		if line != nil {
			v.checkpoint = append(v.checkpoint, line...)
			v.witnessed++
		}
	}
	return v
}

// cosign asks all witnesses at once about the newest checkpoint and publishes
// it with what they gave. It waits for them as long as Patience, a quarter of
// that once there are Enough, and for those who gave nothing the last time: one
// that is away must not hold up every change. What comes later is added when it
// comes.
func (l *Log) cosign(ctx context.Context) {
	l.asked, l.retries = l.Now(), 0
	v := l.signed()
	answers := make(chan answer, len(l.Witnesses))
	open, reliable := l.askAll(ctx, v, answers, func(asking) bool { return true })
	patience, short := time.NewTimer(l.Patience), time.NewTimer(l.Patience/4)
	defer patience.Stop()
	defer short.Stop()
	for late := false; open > 0 && (!late || reliable > 0 && !l.enough(v)); {
		select {
		case a := <-answers:
			open--
			if a.reliable {
				reliable--
			}
			if a.line != nil {
				v = v.with(a)
			}
			continue
		case <-short.C:
			late = true
			continue
		case <-patience.C:
		}
		break
	}
	l.publish(v)
	l.writeCheckpoint()
	if open > 0 {
		go l.addLate(v.replay.Size(), answers, open)
	}
}

// enough tells whether who cosigned a version suffices.
func (l *Log) enough(v version) bool {
	if l.Enough == nil {
		return false
	}
	var keys []kt.NoteKey
	for i, line := range v.lines {
		if line != nil {
			keys = append(keys, l.Witnesses[i].Key())
		}
	}
	return l.Enough(keys)
}

// askAll starts asking those witnesses that are not being asked already; open
// is how many answers will come, reliable how many of witnesses that gave one
// the last time.
func (l *Log) askAll(ctx context.Context, v version, answers chan<- answer, which func(asking) bool) (open, reliable int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range l.asking {
		a := &l.asking[i]
		if a.busy || !which(*a) {
			continue
		}
		a.busy = true
		open++
		if !a.failing {
			reliable++
		}
		go func(was asking) {
			ctx, cancel := context.WithTimeout(ctx, l.AskFor)
			defer cancel()
			line, err := l.ask(ctx, i, was.stands, v)
			l.answered(i, err)
			answers <- answer{i, line, !was.failing}
		}(*a)
	}
	return open, reliable
}

// answered keeps how a witness did, and tells the operator when that changes.
func (l *Log) answered(i int, err error) {
	l.mu.Lock()
	a := &l.asking[i]
	was := a.failing
	a.busy, a.failing = false, err != nil
	l.mu.Unlock()
	name := l.Witnesses[i].Key().Name
	switch {
	case err != nil && !was && !errors.Is(err, context.Canceled):
		l.Log.Warn("a witness does not cosign the log; it is asked again", "witness", name, "why", err)
	case err == nil && was:
		l.Log.Warn("a witness cosigns the log again", "witness", name)
	}
}

// addLate adds what witnesses give after everybody was answered.
func (l *Log) addLate(size uint64, answers <-chan answer, open int) {
	for range open {
		if a := <-answers; a.line != nil && l.add(size, a) {
			l.writeCheckpoint()
		}
	}
}

// add adds a cosignature to the published checkpoint, if that is still of the
// size that was cosigned.
func (l *Log) add(size uint64, a answer) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.published.replay.Size() != size {
		return false
	}
	l.published = l.published.with(a)
	return true
}

func (l *Log) anyFailing() bool {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return slices.ContainsFunc(l.asking, func(a asking) bool { return a.failing })
}

// retryFailing asks those again who gave nothing, if that is all there is to do
// now; a witness that comes back is brought up to date by a consistency proof.
func (l *Log) retryFailing(ctx context.Context) bool {
	l.writing.Lock()
	defer l.writing.Unlock()
	if l.newDay() || l.Now().Sub(l.asked) >= l.Refresh || !l.anyFailing() {
		return false
	}
	l.retries++
	v := l.signed()
	answers := make(chan answer, len(l.Witnesses))
	open, _ := l.askAll(ctx, v, answers, func(a asking) bool { return a.failing })
	go l.addLate(v.replay.Size(), answers, open)
	return true
}

// writeCheckpoint writes the published checkpoint as a static file.
func (l *Log) writeCheckpoint() {
	l.files.Lock()
	defer l.files.Unlock()
	l.mu.RLock()
	b := l.published.checkpoint
	l.mu.RUnlock()
	if err := l.writeFile("checkpoint", b); err != nil {
		l.Log.Error("the checkpoint could not be written", "error", err)
	}
}

// errAheadOfUs is said of a witness that has seen a longer log than this one: it
// was put back to an older state, and the witness is right to refuse.
var errAheadOfUs = errors.New("it has seen a longer log than this server has; was an old state of the server put back?")

// ask returns witness i's line for a version. One that stands at another size
// than remembered says at which, and is asked again from there.
func (l *Log) ask(ctx context.Context, i int, old uint64, v version) ([]byte, error) {
	size := v.replay.Size()
	for range 2 {
		proof, err := l.consistency(old, size)
		if err != nil {
			return nil, errAheadOfUs
		}
		line, err := l.Witnesses[i].Cosign(ctx, l.Signer.Public(), old, proof, v.note)
		var elsewhere *StandsAt
		if errors.As(err, &elsewhere) {
			old = elsewhere.Size
			continue
		}
		if err == nil {
			l.mu.Lock()
			l.asking[i].stands = size
			l.mu.Unlock()
		}
		return line, err
	}
	return nil, errors.New("it stands at another size each time it is asked")
}
