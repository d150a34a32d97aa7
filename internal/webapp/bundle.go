package webapp

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"
	"sync"

	"github.com/andybalholm/brotli"

	"codeberg.org/huis/huis/web"
)

// Names of files with a part of their own.
const (
	indexFile    = "index.html"
	workerFile   = "sw.js" // the service worker; it has to stand at the root
	manifestFile = "manifest.json"
	coreFile     = "core.wasm"
	packedCore   = "core/core.wasm.br"
	startFile    = "wasm_exec.js"
)

// Manifest names every file of a bundle, the core included.
type Manifest struct {
	Files map[string]string `json:"files"` // path to SHA-256, lower-case hex
}

// Bundle is one built interface.
type Bundle struct {
	Manifest []byte // canonical JSON of Manifest
	Hash     string // SHA-256 of Manifest, lower-case hex
	Built    bool   // the core for browsers is part of it

	files map[string]*file
}

// file is one file, and its compressed forms once somebody asked for them.
type file struct {
	name   string
	raw    []byte
	packed []byte // brotli as it was built; raw is nil then

	once       sync.Once
	br, zipped []byte
}

// Load reads what is built into the program.
func Load() (*Bundle, error) { return load(web.Files) }

func load(built fs.FS) (*Bundle, error) {
	b := &Bundle{files: map[string]*file{}}
	err := fs.WalkDir(built, "dist", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name = strings.TrimPrefix(name, "dist/")
		if name == manifestFile { // made from the rest
			return nil
		}
		raw, err := fs.ReadFile(built, path.Join("dist", name))
		b.files[name] = &file{name: name, raw: raw}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("the interface in the program: %w", err)
	}
	if b.files[indexFile] == nil {
		return nil, errors.New("the interface in the program has no index.html")
	}
	if err := b.addCore(built); err != nil {
		return nil, err
	}
	return b, b.seal()
}

// addCore adds the core and what starts it, if both were built.
func (b *Bundle) addCore(built fs.FS) error {
	packed, err := fs.ReadFile(built, packedCore)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	start, err := fs.ReadFile(built, "core/"+startFile)
	if err != nil {
		return fmt.Errorf("the core in the program: %w", err)
	}
	b.files[coreFile] = &file{name: coreFile, packed: packed}
	b.files[startFile] = &file{name: startFile, raw: start}
	b.Built = true
	return nil
}

// seal makes the manifest.
func (b *Bundle) seal() error {
	m := Manifest{Files: map[string]string{}}
	for name, f := range b.files {
		h := sha256.New()
		if _, err := io.Copy(h, f.reader()); err != nil {
			return fmt.Errorf("%s in the program: %w", name, err)
		}
		m.Files[name] = hex.EncodeToString(h.Sum(nil))
	}
	var err error
	if b.Manifest, err = json.MarshalIndent(m, "", " "); err != nil {
		return err
	}
	b.Manifest = append(b.Manifest, '\n')
	sum := sha256.Sum256(b.Manifest)
	b.Hash = hex.EncodeToString(sum[:])
	b.files[manifestFile] = &file{name: manifestFile, raw: b.Manifest}
	return nil
}

// reader reads the file as it is.
func (f *file) reader() io.Reader {
	if f.raw == nil {
		return brotli.NewReader(bytes.NewReader(f.packed))
	}
	return bytes.NewReader(f.raw)
}

// minPacked is from how many bytes on a file is worth compressing.
const minPacked = 512

// compressed gives both compressed forms, made once; nil where they would gain
// nothing.
func (f *file) compressed() (br, zipped []byte) {
	f.once.Do(func() {
		if f.raw == nil {
			f.br = f.packed
			f.zipped = gzipped(f.reader(), gzip.BestSpeed)
			return
		}
		if len(f.raw) < minPacked || !compresses(f.name) {
			return
		}
		var b bytes.Buffer
		w := brotli.NewWriterLevel(&b, 9)
		if _, err := w.Write(f.raw); err == nil && w.Close() == nil && b.Len() < len(f.raw) {
			f.br = b.Bytes()
		}
		f.zipped = gzipped(f.reader(), gzip.BestCompression)
	})
	return f.br, f.zipped
}

func gzipped(r io.Reader, level int) []byte {
	var b bytes.Buffer
	w, err := gzip.NewWriterLevel(&b, level)
	if err != nil {
		return nil
	}
	if _, err := io.Copy(w, r); err != nil || w.Close() != nil {
		return nil
	}
	return b.Bytes()
}

// compresses tells whether a file of that name is not compressed already.
func compresses(name string) bool {
	switch path.Ext(name) {
	case ".woff2", ".png", ".jpg", ".webp":
		return false
	}
	return true
}

// types are the media types of what a bundle may hold; the system's own table
// differs from machine to machine.
var types = map[string]string{
	".html": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".mjs": "text/javascript; charset=utf-8",
	".css": "text/css; charset=utf-8", ".json": "application/json", ".webmanifest": "application/manifest+json",
	".svg": "image/svg+xml", ".png": "image/png", ".ico": "image/x-icon", ".webp": "image/webp", ".jpg": "image/jpeg",
	".woff2": "font/woff2", ".wasm": "application/wasm", ".txt": "text/plain; charset=utf-8",
}

func mediaType(name string) string {
	if t, ok := types[path.Ext(name)]; ok {
		return t
	}
	return "application/octet-stream"
}
