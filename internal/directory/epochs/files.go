package epochs

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/mod/sumdb/tlog"
)

// tileHeight is fixed by C2SP tlog-tiles.
const tileHeight = 8

// writeFiles writes the tiles and entry bundles that changed since the log had
// the size before, as static files (C2SP tlog-tiles). They hold nothing that is
// not in the store and are made again when missing; so they need no fsync.
func (l *Log) writeFiles(before uint64) error {
	if l.Dir == "" {
		return nil
	}
	size := int64(l.current.Size())
	for _, t := range tlog.NewTiles(tileHeight, int64(before), size) {
		data, err := tlog.ReadTileData(t, l.hashes)
		if err != nil {
			return err
		}
		if err := l.writeFile(tilePath(t), data); err != nil {
			return err
		}
		if t.L > 0 {
			continue
		}
		if err := l.writeBundle(t); err != nil {
			return err
		}
	}
	return nil
}

// tilePath is t.Path without the height, which tlog-tiles leaves out.
func tilePath(t tlog.Tile) string {
	return strings.Replace(t.Path(), fmt.Sprintf("tile/%d/", tileHeight), "tile/", 1)
}

// writeBundle writes the epoch records under a tile of level 0.
func (l *Log) writeBundle(t tlog.Tile) error {
	from := uint64(t.N) << tileHeight
	var data []byte
	for n := 0; n < t.W; {
		page, err := l.Store.Epochs(context.Background(), from+uint64(n), t.W-n)
		if err != nil {
			return err
		}
		if len(page) == 0 {
			return errors.New("an epoch is missing")
		}
		for i := range page {
			b := page[i].Record.Encode()
			data = binary.BigEndian.AppendUint16(data, uint16(len(b)))
			data = append(data, b...)
		}
		n += len(page)
	}
	return l.writeFile(strings.Replace(tilePath(t), "tile/0/", "tile/entries/", 1), data)
}

// writeFile replaces a file as a whole, so that no reader sees half of one.
func (l *Log) writeFile(path string, data []byte) error {
	if l.Dir == "" {
		return nil
	}
	name := filepath.Join(l.Dir, filepath.FromSlash(path))
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		return err
	}
	next := name + ".new"
	if err := os.WriteFile(next, data, 0o600); err != nil {
		return err
	}
	return os.Rename(next, name)
}
