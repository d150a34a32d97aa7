package canary

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf16"
)

func scanner(t *testing.T, secret string) *Scanner {
	t.Helper()
	var s Scanner
	if err := s.Add("canary", []byte(secret)); err != nil {
		t.Fatal(err)
	}
	return &s
}

func compressed(w func(io.Writer) io.WriteCloser, b []byte) []byte {
	var out bytes.Buffer
	z := w(&out)
	z.Write(b)
	z.Close()
	return out.Bytes()
}

// The positive control of every full-dump check: each way a plaintext could be
// left behind is found, in the middle of noise and across a read boundary.
func TestEveryEncodingIsFound(t *testing.T) {
	secret := New()
	wide := func(order int) []byte {
		var b []byte
		for _, u := range utf16.Encode([]rune(secret)) {
			pair := []byte{byte(u), byte(u >> 8)}
			b = append(b, pair[order], pair[1-order])
		}
		return b
	}
	sum := sha256.Sum256([]byte(secret))
	json := []byte(`{"body":"` + secret + `","n":1}`)
	gz := func(w io.Writer) io.WriteCloser { return gzip.NewWriter(w) }
	zl := func(w io.Writer) io.WriteCloser { return zlib.NewWriter(w) }
	fl := func(w io.Writer) io.WriteCloser { f, _ := flate.NewWriter(w, 9); return f }
	leaks := map[string][]byte{
		"raw":             json,
		"utf16 le":        wide(0),
		"utf16 be":        wide(1),
		"hex":             []byte(hex.EncodeToString(json)),
		"HEX":             []byte(strings.ToUpper(hex.EncodeToString(json))),
		"base64 0":        []byte(base64.StdEncoding.EncodeToString([]byte("123" + secret + "x"))),
		"base64 1":        []byte(base64.StdEncoding.EncodeToString([]byte("1" + secret + "x"))),
		"base64url 2":     []byte(base64.RawURLEncoding.EncodeToString([]byte("12" + secret + "x"))),
		"sha256":          sum[:],
		"sha256 hex":      []byte(hex.EncodeToString(sum[:])),
		"sha256 base64":   []byte(base64.RawURLEncoding.EncodeToString(sum[:])),
		"gzip":            compressed(gz, json),
		"zlib":            compressed(zl, json),
		"deflate":         compressed(fl, json),
		"hex in gzip":     compressed(gz, []byte(hex.EncodeToString(json))),
		"zlib in gzip":    compressed(gz, compressed(zl, json)),
		"log line":        []byte("level=INFO msg=\"got " + secret + "\"\n"),
		"percent-encoded": []byte("GET /?q=%22" + secret + "%22"),
	}
	s := scanner(t, secret)
	noise := make([]byte, 20_000)
	rand.Read(noise)
	if len(s.Bytes("noise", noise)) > 0 {
		t.Fatal("found in noise")
	}
	for name, leak := range leaks {
		for _, before := range []int{0, 7_777} {
			noise := bytes.Clone(noise)
			copy(noise[before:], leak)
			if len(s.Bytes("planted", noise)) == 0 {
				t.Errorf("%s at %d is not found", name, before)
			}
		}
	}
}

func TestReadBoundariesHideNothing(t *testing.T) {
	secret := New()
	s := scanner(t, secret)
	for _, before := range []int{window - 30, window - 20, window - 1, window, 2*window - 5} {
		b := make([]byte, 2*window+100)
		copy(b[before:], secret)
		if found := s.Bytes("planted", b); len(found) != 1 {
			t.Errorf("at %d: %v", before, found)
		}
	}
}

func TestFileNamesAndFilesAreSearched(t *testing.T) {
	secret, dir := New(), t.TempDir()
	s := scanner(t, secret)
	if err := os.WriteFile(filepath.Join(dir, "clean"), []byte("nothing"), 0o600); err != nil {
		t.Fatal(err)
	}
	if found, files, _, err := s.Tree(dir); err != nil || files != 1 || len(found) > 0 {
		t.Fatalf("%v, %d files, %v", found, files, err)
	}
	if err := os.WriteFile(filepath.Join(dir, "x-"+secret), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if found, _, _, _ := s.Tree(dir); len(found) != 1 {
		t.Fatalf("file name: %v", found)
	}
}

func TestShortSecretsAreRefused(t *testing.T) {
	var s Scanner
	if s.Add("short", []byte("hello")) == nil {
		t.Fatal("a secret found by chance is accepted")
	}
}

func BenchmarkScan(b *testing.B) {
	var s Scanner
	for range 1000 {
		if err := s.Add("c", []byte(New())); err != nil {
			b.Fatal(err)
		}
	}
	noise := make([]byte, 16<<20)
	rand.Read(noise)
	b.SetBytes(int64(len(noise)))
	for b.Loop() {
		s.Bytes("noise", noise)
	}
}
