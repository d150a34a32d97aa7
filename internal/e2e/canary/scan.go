package canary

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
)

const (
	window      = 1 << 20 // bytes read at a time
	maxInflated = 1 << 26 // bytes looked at in one compressed stream
	maxDepth    = 3       // compressed inside compressed
	maxRaw      = 1 << 22 // files up to this size are tried as raw deflate at each byte
)

// Bytes searches b; where names it in the findings.
func (s *Scanner) Bytes(where string, b []byte) []Finding {
	found, err := s.reader(place{where, "", 0}, bytes.NewReader(b), int64(len(b)))
	if err != nil { // a bytes.Reader does not fail
		panic(err)
	}
	return found
}

// File searches one file in memory that does not grow with it.
func (s *Scanner) File(name string) ([]Finding, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	return s.reader(place{name, "", 0}, f, info.Size())
}

// Tree searches every file below dir, and the files' names. It reports how many
// files and bytes it saw, so that a test can tell a clean tree from an empty one.
func (s *Scanner) Tree(dir string) (found []Finding, files int, size int64, err error) {
	err = filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // deleted while we look
		} else if err != nil {
			return err
		}
		rel, _ := filepath.Rel(dir, name)
		found = append(found, s.Bytes("the name of "+rel, []byte(rel))...)
		if !d.Type().IsRegular() {
			return nil
		}
		in, err := s.File(name)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		found = append(found, in...)
		if info, e := d.Info(); e == nil {
			files, size = files+1, size+info.Size()
		}
		return err
	})
	return found, files, size, err
}

// place is what a search goes through: a file or a stream inside it.
type place struct {
	name, in string
	depth    int
}

func (p place) finding(n needle, at int64) Finding {
	return Finding{n.secret, n.encoding + p.in, fmt.Sprintf("%s:%d", p.name, at)}
}

func (s *Scanner) reader(p place, r io.ReaderAt, size int64) ([]Finding, error) {
	var found []Finding
	buf := make([]byte, min(size, int64(window+max(s.longest, prefix))))
	by := idleInflaters.Get().(*inflaters)
	defer idleInflaters.Put(by)
	for base := int64(0); base < size; base += window {
		n, err := r.ReadAt(buf, base)
		if err != nil && err != io.EOF {
			return found, err
		}
		for i := range min(n, window) {
			at := base + int64(i)
			for _, hit := range s.match(buf[i:n]) {
				found = append(found, p.finding(hit, at))
			}
			found = append(found, s.inflate(p, buf[i:n], r, at, size, by)...)
		}
	}
	return found, nil
}

// inflaters are reused for the many places that could begin a stream.
type inflaters struct {
	raw, zlib io.ReadCloser
	gzip      *gzip.Reader
}

var idleInflaters = sync.Pool{New: func() any { return newInflaters() }}

func newInflaters() *inflaters {
	empty := bytes.NewReader([]byte{0x78, 0x9c, 3, 0, 0, 0, 0, 1})
	z, err := zlib.NewReader(empty)
	if err != nil {
		panic("canary: " + err.Error()) // the empty stream above is one
	}
	return &inflaters{flate.NewReader(empty), z, new(gzip.Reader)}
}

// inflate searches the compressed streams that may begin at head.
func (s *Scanner) inflate(p place, head []byte, r io.ReaderAt, at, size int64, by *inflaters) []Finding {
	if p.depth >= maxDepth || len(head) < 3 {
		return nil
	}
	rest := func() io.Reader { return io.NewSectionReader(r, at, size-at) }
	switch {
	case head[0] == 0x1f && head[1] == 0x8b && head[2] == 8:
		if by.gzip.Reset(rest()) == nil {
			return s.stream(p, "gzip", by.gzip, at)
		}
	case head[0] == 0x78 && (uint(head[0])<<8|uint(head[1]))%31 == 0:
		if by.zlib.(zlib.Resetter).Reset(rest(), nil) == nil {
			return s.stream(p, "zlib", by.zlib, at)
		}
	case size <= maxRaw && (head[0]>>1&3 == 1 || head[0]>>1&3 == 2): // fixed or dynamic codes
		by.raw.(flate.Resetter).Reset(bytes.NewReader(head), nil)
		return s.stream(p, "deflate", by.raw, at)
	}
	return nil
}

// stream searches what z gives before it ends or turns out to be no stream.
func (s *Scanner) stream(p place, kind string, z io.Reader, at int64) []Finding {
	var first [4 * minNeedle]byte
	n, err := io.ReadFull(z, first[:])
	out := first[:n]
	if err == nil {
		rest, _ := io.ReadAll(io.LimitReader(z, maxInflated))
		out = append(bytes.Clone(out), rest...)
	}
	if len(out) < minNeedle {
		return nil
	}
	inner := place{fmt.Sprintf("%s:%d", p.name, at), ", in " + kind + p.in, p.depth + 1}
	if kind == "deflate" {
		inner.depth = maxDepth // a chance decoding is not worth a second look
	}
	found, _ := s.reader(inner, bytes.NewReader(out), int64(len(out)))
	return found
}
