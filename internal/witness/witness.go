// Package witness looks after other servers' logs: it cosigns a checkpoint only
// if the log it belongs to continues the newest one it cosigned of that origin,
// so that nobody can show two histories to people who ask for its signature
// (C2SP tlog-witness, tlog-cosignature).
//
// New opens a Witness on a folder; Handler serves it; Client asks one. A
// cosignature says that the log is append-only and when that was seen, and
// nothing of what stands in it: recomputing the map is an auditor's work.
package witness

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"codeberg.org/huis/huis/kt"
)

// What AddCheckpoint refuses. A refusal changes nothing.
var (
	ErrUnknownLog = errors.New("witness: the log is not known here")
	ErrSignature  = errors.New("witness: the log's key did not sign the checkpoint")
	ErrMalformed  = errors.New("witness: malformed request")
	ErrProof      = errors.New("witness: the log does not continue the one cosigned before")
)

// ConflictError says that the witness stands at another size than the request
// said, or at another root for the same size.
type ConflictError struct{ Size uint64 }

func (e *ConflictError) Error() string {
	return fmt.Sprintf("witness: stands at size %d", e.Size)
}

// Config is what a Witness stands on.
type Config struct {
	Dir    string // one file for each origin; made if missing
	Signer *kt.NoteSigner
	Now    func() time.Time
	Logs   []kt.NoteKey // known from the start
	// Enrol finds the key of a log that is not known yet, for instance by
	// asking the host its origin names. nil: unknown logs are refused.
	Enrol func(ctx context.Context, origin string) (kt.NoteKey, error)
	// MaxLogs bounds the logs enrolled by asking, 0: 10,000.
	MaxLogs int
}

// Witness cosigns checkpoints. Safe for concurrent use.
type Witness struct {
	Config
	// mu orders everything: a checkpoint is compared with the newest one,
	// recorded durably and only then cosigned.
	mu     sync.Mutex
	states map[string]*state // by origin
}

// New opens the folder. A damaged file is an error: a witness that has
// forgotten what it signed must be retired, not restarted.
func New(c Config) (*Witness, error) {
	if c.MaxLogs == 0 {
		c.MaxLogs = 10_000
	}
	states, err := load(c.Dir)
	if err != nil {
		return nil, err
	}
	w := &Witness{Config: c, states: states}
	for _, k := range c.Logs {
		if s, ok := states[k.Name]; ok && s.Log != k {
			return nil, fmt.Errorf("witness: the log %s was enrolled with another key than the one given now; a log that changes its key is another log and needs another name", k.Name)
		}
		if _, ok := states[k.Name]; !ok {
			states[k.Name] = &state{Log: k}
		}
	}
	return w, nil
}

// AddCheckpoint verifies a checkpoint that continues the log of size old, by a
// consistency proof, and returns the cosignature line. Errors are those above
// or *ConflictError; any other is the witness's own trouble.
func (w *Witness) AddCheckpoint(ctx context.Context, old uint64, proof []kt.Hash, checkpoint []byte) ([]byte, error) {
	text, err := kt.NoteText(checkpoint)
	if err != nil {
		return nil, ErrMalformed
	}
	head, err := kt.ParseTreeHead(text)
	if err != nil || old > head.Size {
		return nil, ErrMalformed
	}
	if err := w.know(ctx, head.Origin); err != nil {
		return nil, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	s, ok := w.states[head.Origin]
	if !ok {
		return nil, ErrUnknownLog
	}
	if _, err := kt.VerifyCheckpoint(checkpoint, s.Log, nil); err != nil {
		return nil, ErrSignature
	}
	next, err := s.advance(old, proof, head, checkpoint)
	if err != nil {
		w.keepConflict(s, head, checkpoint)
		return nil, err
	}
	if next.Head != s.Head {
		if err := next.save(w.Dir); err != nil {
			return nil, err
		}
		w.states[head.Origin] = next
	}
	return w.Signer.Cosign(text, w.Now()), nil
}

// Logs returns what is known of each log, in no order.
func (w *Witness) Logs() []kt.TreeHead {
	w.mu.Lock()
	defer w.mu.Unlock()
	all := make([]kt.TreeHead, 0, len(w.states))
	for origin, s := range w.states {
		h := s.Head
		h.Origin = origin
		all = append(all, h)
	}
	return all
}

// know enrols an unknown log. The question to its host is asked without the
// lock, so that a slow host holds up nobody else.
func (w *Witness) know(ctx context.Context, origin string) error {
	w.mu.Lock()
	_, known := w.states[origin]
	full := len(w.states) >= w.MaxLogs
	w.mu.Unlock()
	if known {
		return nil
	}
	if w.Enrol == nil || full {
		return ErrUnknownLog
	}
	key, err := w.Enrol(ctx, origin)
	if err != nil || key.Name != origin {
		return ErrUnknownLog
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, known := w.states[origin]; known || len(w.states) >= w.MaxLogs {
		return nil
	}
	s := &state{Log: key}
	if err := s.save(w.Dir); err != nil {
		return err
	}
	w.states[origin] = s
	return nil
}
