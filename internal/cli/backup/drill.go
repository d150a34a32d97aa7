package backup

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"codeberg.org/huis/huis/internal/delivery/store"
	"codeberg.org/huis/huis/internal/delivery/store/sqlite"
	"codeberg.org/huis/huis/internal/proto"
	"codeberg.org/huis/huis/internal/wire"
	"codeberg.org/huis/huis/kt"
)

// Check is one thing a drill looked at.
type Check struct {
	Name  string `json:"name"`
	Count int    `json:"count"`
	Error string `json:"error,omitempty"`
}

// Report is the outcome of a drill.
type Report struct {
	Restored
	Checks []Check `json:"checks"`
	OK     bool    `json:"ok"`
}

// Drill puts a backup into a temporary folder below dir, "" for the system's,
// checks everything that can be checked without clients, and removes it again.
// The error says why it could not be put back; what is wrong with it stands in
// the report. operatorKey names the key's file if it is not in the backup, ""
// leaves out what needs it.
func Drill(ctx context.Context, from, dir, operatorKey string, s Secret) (r Report, err error) {
	began := time.Now()
	temp, err := os.MkdirTemp(dir, "huis-drill-")
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(temp)) }()
	if err := unpack(ctx, from, temp, s, &r.Restored); err != nil {
		return r, err
	}
	d := &drill{ctx: ctx, dir: temp}
	if operatorKey == "" {
		operatorKey = filepath.Join(temp, operatorFile)
	}
	err = d.run(operatorKey)
	r.Checks, r.Seconds = d.checks, time.Since(began).Seconds()
	r.OK = err == nil
	for _, c := range r.Checks {
		r.OK = r.OK && c.Error == ""
	}
	return r, err
}

// drill is the folder that is looked at.
type drill struct {
	ctx    context.Context
	dir    string
	db     *sqlite.Store
	key    *store.OperatorKey
	keys   []proto.StampKey
	checks []Check
}

// check runs one check and notes how it went. A cancelled drill ends.
func (d *drill) check(name string, f func() (int, error)) error {
	n, err := f()
	if errors.Is(err, context.Canceled) {
		return err
	}
	c := Check{Name: name, Count: n}
	if err != nil {
		c.Error = err.Error()
	}
	d.checks = append(d.checks, c)
	return nil
}

func (d *drill) run(operatorKey string) (err error) {
	if err := d.check("database opens", d.open); err != nil || d.db == nil {
		return err
	}
	defer func() { err = errors.Join(err, d.db.Close()) }()
	for _, c := range []struct {
		name string
		f    func() (int, error)
	}{
		{"database is whole", func() (int, error) { return 1, d.db.Check(d.ctx) }},
		{"operator's key and stamp keys", func() (int, error) { return d.stampKeys(operatorKey) }},
		{"accounts' chains", d.accounts},
		{"log of the accounts", d.log},
		{"conversations' logs", d.conversations},
		{"files", d.blobs},
	} {
		if err := d.check(c.name, c.f); err != nil {
			return err
		}
	}
	return nil
}

func (d *drill) open() (int, error) {
	db, err := sqlite.Open(d.ctx, filepath.Join(d.dir, databaseFile))
	d.db = db
	return 1, err
}

// stampKeys opens the newest stamp key with the operator's, if that is there.
func (d *drill) stampKeys(operatorKey string) (int, error) {
	keys, err := d.db.StampKeys(d.ctx)
	if err != nil {
		return 0, err
	}
	for _, k := range keys {
		d.keys = append(d.keys, k.StampKey)
	}
	b, err := os.ReadFile(operatorKey)
	if err != nil {
		return len(keys), fmt.Errorf("the operator's key is not in the backup: name its file with --operator-key FILE")
	}
	var key store.OperatorKey
	if len(b) != len(key) {
		return len(keys), store.ErrOperatorKey
	}
	copy(key[:], b)
	for _, k := range keys {
		if _, err := key.Open("stamp key", k.KID[:], k.Sealed); err != nil {
			return len(keys), err
		}
	}
	d.key = &key
	return len(keys), nil
}

// accounts verifies every chain, and that each name opens.
func (d *drill) accounts() (n int, err error) {
	err = d.db.EachAccount(d.ctx, func(a store.Account, links [][]byte) error {
		n++
		chain, err := kt.Verify(links)
		switch {
		case err != nil:
			return fmt.Errorf("a chain does not verify: %w", err)
		case proto.AccountID(chain.Account()) != a.ID, uint32(len(links)) != a.Links:
			return errors.New("an account has another chain than its own")
		}
		if d.key != nil {
			handle, err := d.key.Open("handle", a.ID[:], a.Handle)
			if err != nil || d.key.Lookup("handle", string(handle)) != a.Lookup {
				return errors.New("an account's name does not open")
			}
		}
		return nil
	})
	return n, err
}

// log replays every epoch by the log's rules.
func (d *drill) log() (int, error) {
	var r kt.Replay
	for {
		page, err := d.db.Epochs(d.ctx, r.Size(), 1000)
		if err != nil || len(page) == 0 {
			return int(r.Size()), errors.Join(err, d.logKeys(r))
		}
		for _, e := range page {
			if r, err = applyEpoch(r, e); err != nil {
				return int(r.Size()), fmt.Errorf("epoch %d: %w", e.N, err)
			}
		}
	}
}

func applyEpoch(r kt.Replay, e store.LogEpoch) (kt.Replay, error) {
	record, err := kt.ParseEpochRecord(e.Record)
	if err != nil {
		return r, err
	}
	var batch []kt.BatchEntry
	if err := wire.Decode(e.Batch, func(c *wire.Codec) { wire.Vector(c, &batch, (*kt.BatchEntry).Wire) }); err != nil {
		return r, err
	}
	return r.Apply(record, batch)
}

// logKeys compares the key the map was made with to the operator's.
func (d *drill) logKeys(r kt.Replay) error {
	last, ok := r.Last()
	if d.key == nil || !ok {
		return nil
	}
	if last.VRFKeyHash != kt.HashVRFKey(kt.NewVRFKey(d.key.Seed("vrf")).Public()) {
		return errors.New("it was made with another operator's key")
	}
	return nil
}

// conversations verifies signatures, stamps and the chain of every entry.
func (d *drill) conversations() (n int, err error) {
	var last struct {
		id    proto.ConversationID
		seq   uint64
		chain proto.Hash
	}
	err = d.db.EachLog(d.ctx, func(e *proto.Stamped) error {
		if d.ctx.Err() != nil {
			return d.ctx.Err()
		}
		chain, err := d.stamp(e)
		if err != nil {
			return err
		}
		if last.id == e.Entry.Conversation && (e.Receipt.Seq != last.seq+1 || e.Receipt.ChainPrev != last.chain) {
			return errors.New("a conversation's log has a gap")
		}
		n, last.id, last.seq, last.chain = n+1, e.Entry.Conversation, e.Receipt.Seq, chain
		return nil
	}, func(id proto.ConversationID, seq uint64, chain proto.Hash) error {
		if last.id == id && (last.seq != seq || last.chain != chain) {
			return errors.New("a conversation's log does not end where it should")
		}
		return nil
	})
	return n, err
}

// stamp verifies one entry, and returns the chain up to it.
func (d *drill) stamp(e *proto.Stamped) (proto.Hash, error) {
	if err := e.Entry.Verify(); err != nil {
		return proto.Hash{}, fmt.Errorf("an entry's signature: %w", err)
	}
	for _, k := range d.keys {
		if k.KID == e.Receipt.KID && k.Generation == e.Receipt.Generation {
			return e.Receipt.Verify(&e.Entry, k)
		}
	}
	return proto.Hash{}, errors.New("an entry is stamped with a key that is not there")
}

// blobs compares the bytes of every file with its hash.
func (d *drill) blobs() (n int, err error) {
	err = d.db.EachBlob(d.ctx, func(b store.Blob) error {
		n++
		h := b.ID.Hex()
		f, err := os.Open(filepath.Join(d.dir, blobsFolder, h[:2], h))
		if err != nil {
			return errors.New("a file is missing")
		}
		defer f.Close()
		sum := sha256.New()
		size, err := io.Copy(sum, &interruptible{d.ctx, f})
		if err == nil && (uint64(size) != b.Size || !bytes.Equal(sum.Sum(nil), b.Hash[:])) {
			err = errors.New("a file has other bytes than it should")
		}
		return err
	})
	return n, err
}
