package audit

import (
	"bufio"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"

	"codeberg.org/huis/huis/internal/wire"
	"codeberg.org/huis/huis/kt"
)

// files keep an audit:
//
//	epochs       frames: length[4] ‖ CRC-32C[4] ‖ record and batch
//	checkpoint   the newest checkpoint audited; what stands in epochs beyond it
//	             is a step that did not end
//	statement    the checkpoint with the auditor's signature
type files struct {
	dir    string
	epochs *os.File
	end    int64 // of the frames below the checkpoint
	w      *bufio.Writer
}

const maxFrame = kt.MaxBatch*kt.BatchEntrySize + 1<<10

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func openFiles(dir string) (*files, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(filepath.Join(dir, "epochs"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	return &files{dir: dir, epochs: f, w: bufio.NewWriterSize(f, 1<<16)}, nil
}

func (f *files) close() error { return f.epochs.Close() }

// checkpoint returns the newest one audited, nil if there is none.
func (f *files) checkpoint() ([]byte, error) {
	b, err := os.ReadFile(filepath.Join(f.dir, "checkpoint"))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	return b, err
}

// cut ends the epochs at a place in the file.
func (f *files) cut(end int64) error {
	if err := f.epochs.Truncate(end); err != nil {
		return err
	}
	f.end = end
	return f.uncommit()
}

// uncommit drops what was appended since the last checkpoint.
func (f *files) uncommit() error {
	f.w.Reset(f.epochs)
	if err := f.epochs.Truncate(f.end); err != nil {
		return err
	}
	_, err := f.epochs.Seek(f.end, io.SeekStart)
	return err
}

func (e *Epoch) wire(c *wire.Codec) {
	e.Record.Wire(c)
	wire.Vector(c, &e.Batch, (*kt.BatchEntry).Wire)
}

// append writes one epoch; it is not durable before publish.
func (f *files) append(e *Epoch) error {
	b := wire.MustEncode(e.wire)
	head := binary.BigEndian.AppendUint32(nil, uint32(len(b)))
	head = binary.BigEndian.AppendUint32(head, crc32.Checksum(b, castagnoli))
	_, err := f.w.Write(append(head, b...))
	return err
}

// each calls fn with the first n epochs and returns where they end in the file.
func (f *files) each(n uint64, fn func(*Epoch) error) (end int64, err error) {
	if err := f.w.Flush(); err != nil {
		return 0, err
	}
	r := bufio.NewReaderSize(io.NewSectionReader(f.epochs, 0, 1<<62), 1<<16)
	for range n {
		var head [8]byte
		if _, err := io.ReadFull(r, head[:]); err != nil {
			return end, err
		}
		size := binary.BigEndian.Uint32(head[:])
		if size > maxFrame {
			return end, errDamaged
		}
		b := make([]byte, size)
		if _, err := io.ReadFull(r, b); err != nil {
			return end, err
		}
		var e Epoch
		if crc32.Checksum(b, castagnoli) != binary.BigEndian.Uint32(head[4:]) || wire.Decode(b, e.wire) != nil {
			return end, errDamaged
		}
		if err := fn(&e); err != nil {
			return end, err
		}
		end += int64(len(head)) + int64(size)
	}
	return end, nil
}

// publish makes the appended epochs durable, and then the checkpoint over them.
func (f *files) publish(checkpoint, statement []byte) error {
	if err := errors.Join(f.w.Flush(), f.epochs.Sync()); err != nil {
		return err
	}
	if err := f.replace("checkpoint", checkpoint); err != nil {
		return err
	}
	end, err := f.epochs.Seek(0, io.SeekCurrent)
	if err != nil {
		return err
	}
	f.end = end
	return f.replace("statement", statement)
}

// replace writes a file so that after a crash it is the old or the new one.
func (f *files) replace(name string, b []byte) error {
	path := filepath.Join(f.dir, name)
	tmp, err := os.OpenFile(path+".new", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = tmp.Write(b)
	if err := errors.Join(err, tmp.Sync(), tmp.Close()); err != nil {
		return err
	}
	if err := os.Rename(path+".new", path); err != nil {
		return err
	}
	d, err := os.Open(f.dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
