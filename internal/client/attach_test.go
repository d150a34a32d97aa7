package client

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	"codeberg.org/huis/huis/internal/proto"
)

// noise returns bytes that look random and are the same each time.
func noise(n int) []byte {
	b := make([]byte, n)
	rand.NewChaCha8([32]byte{byte(n), byte(n >> 8)}).Read(b)
	return b
}

type readSeekNopCloser struct{ io.ReadSeeker }

func (readSeekNopCloser) Close() error { return nil }

func file(name string, b []byte) File {
	return File{Name: name, Size: int64(len(b)), Open: func() (io.ReadSeekCloser, error) {
		return readSeekNopCloser{bytes.NewReader(b)}, nil
	}}
}

// last returns the newest message of a conversation.
func (d *device) last(chat string) (last Message) {
	d.w.t.Helper()
	for m, err := range d.Messages(d.w.t.Context(), chat, 0) {
		if err != nil {
			d.w.t.Fatal(err)
		}
		last = m
	}
	return last
}

func (d *device) saved(m Message, n int) ([]byte, error) {
	var b bytes.Buffer
	err := d.SaveAttachment(d.w.t.Context(), m.ID, n, &b, nil)
	return b.Bytes(), err
}

func TestAttachmentsArrive(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.person("alice"), w.person("bob")
	small, large := noise(100), noise(3<<20+17)
	// The first message of a conversation that is not on the server yet.
	s, err := alice.Send(t.Context(), "@bob", Draft{Text: "two files", Files: []File{file("dir/small.txt", small), file(`C:\large.bin`, large), file("none", nil)}})
	if err != nil || s.Seq == nil {
		t.Fatalf("%+v, %v", s, err)
	}
	bob.sync()
	m := bob.last("@alice")
	if m.Body != "two files" || len(m.Attachments) != 3 || m.Attachments[0].Name != "small.txt" || m.Attachments[1].Name != "large.bin" {
		t.Fatalf("%+v", m)
	}
	for i, want := range [][]byte{small, large, nil} {
		for _, d := range []*device{bob, alice} {
			got, err := d.saved(m, i)
			if err != nil || !bytes.Equal(got, want) {
				t.Errorf("%s, file %d: %d bytes, %v", d.name, i, len(got), err)
			}
		}
	}
	for _, n := range []int{-1, 3} {
		if _, err := bob.saved(m, n); err == nil {
			t.Errorf("attachment %d", n)
		}
	}
	for _, id := range []string{"", "zz", strings.Repeat("0", 32)} {
		if _, err := bob.saved(Message{ID: id}, 0); err == nil {
			t.Errorf("message %q", id)
		}
	}
	if s, err := alice.Send(t.Context(), "@bob", Draft{Files: []File{file("only.txt", small)}}); err != nil || s.Seq == nil {
		t.Fatal(err)
	}
	bob.sync()
	if m := bob.last("@alice"); m.Kind != "attachment" || m.Body != "" {
		t.Errorf("%+v", m)
	}
}

func TestAnUploadGoesOnAfterTheServerWasAway(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.person("alice"), w.person("bob")
	alice.send("@bob", "hello")
	large, calls := noise(20<<20), 0
	flaky := func(m proto.Method) error {
		if calls++; calls%3 != 0 && strings.HasPrefix(string(m), "blob") {
			return errCut
		}
		return nil
	}
	alice.net.set(func(n *wireTo) { n.before = flaky })
	if _, err := alice.Send(t.Context(), "@bob", Draft{Files: []File{file("large", large)}}); err != nil {
		t.Fatal(err)
	}
	bob.sync()
	m := bob.last("@alice")
	bob.net.set(func(n *wireTo) { n.after = flaky })
	if got, err := bob.saved(m, 0); err != nil || !bytes.Equal(got, large) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}

func TestFilesWaitInTheOutbox(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.person("alice"), w.person("bob")
	alice.send("@bob", "hello")
	alice.net.set(func(n *wireTo) { n.before = func(proto.Method) error { return errCut } })
	small := noise(2 << 20)
	s, err := alice.Send(t.Context(), "@bob", Draft{Text: "later", Files: []File{file("a", small), file("b", small[:10])}})
	if err != nil || s.Seq != nil {
		t.Fatalf("%+v, %v", s, err)
	}
	_, err = alice.Send(t.Context(), "@bob", Draft{Files: []File{file("large", noise(maxSpool+1))}})
	wantIs(t, err, ErrUnreachable)
	alice.restart()
	alice.net.set(func(n *wireTo) { n.before = nil })
	alice.sync()
	if left, _ := alice.store.List(t.Context(), "spool/", "", 0); len(left) != 0 {
		t.Errorf("%d files still wait", len(left))
	}
	bob.sync()
	m := bob.last("@alice")
	if got, err := bob.saved(m, 0); m.Body != "later" || err != nil || !bytes.Equal(got, small) {
		t.Errorf("%q, %d bytes, %v", m.Body, len(got), err)
	}
}

func TestFilesThatCannotBeSent(t *testing.T) {
	w := newWorld(t)
	alice := w.person("alice")
	w.person("bob")
	alice.send("@bob", "hello")
	broken := File{Name: "x", Size: 10, Open: func() (io.ReadSeekCloser, error) { return nil, errors.New("no such file") }}
	wrong := file("x", noise(10))
	wrong.Size = 11
	large := file("x", nil)
	large.Size = MaxAttachment + 1
	for name, c := range map[string]struct {
		file File
		want string
	}{
		"missing": {broken, "no such file"}, "of another size": {wrong, "changed"}, "too large": {large, "16 GiB"},
	} {
		if _, err := alice.Send(t.Context(), "@bob", Draft{Files: []File{c.file}}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	_, err := alice.Send(t.Context(), "@bob", Draft{Files: make([]File, 65)})
	wantIs(t, err, ErrTooLarge)
	if s, _ := alice.Status(t.Context()); s.Outbox != 0 {
		t.Errorf("%d messages wait", s.Outbox)
	}
}

func TestAServerThatAltersAFile(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.person("alice"), w.person("bob")
	if _, err := alice.Send(t.Context(), "@bob", Draft{Files: []File{file("x", noise(200_000))}}); err != nil {
		t.Fatal(err)
	}
	bob.sync()
	m := bob.last("@alice")
	for name, tamper := range map[string]func(*proto.BlobGetResponse){
		"bit flip": func(r *proto.BlobGetResponse) { r.Bytes[70_000] ^= 1 },
		"cut":      func(r *proto.BlobGetResponse) { r.Bytes = nil },
		"longer":   func(r *proto.BlobGetResponse) { r.Bytes = append(r.Bytes, make([]byte, 2<<20)...) },
	} {
		bob.net.set(func(n *wireTo) {
			n.tamper = func(_ proto.Method, m proto.Message) {
				if r, ok := m.(*proto.BlobGetResponse); ok {
					tamper(r)
				}
			}
		})
		var safety *SafetyError
		if _, err := bob.saved(m, 0); !errors.As(err, &safety) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestPlainFileName(t *testing.T) {
	for in, want := range map[string]string{
		"a.txt": "a.txt", "/etc/passwd": "passwd", `..\..\x`: "x", "..": "file", "": "file", "/": "file",
		"a\x00b\nc": "a_b_c", "exe\u202efdp": "exe_fdp", "\xff": "_", "日本": "日本",
	} {
		if got := plainFileName(in); got != want {
			t.Errorf("%q becomes %q, want %q", in, got, want)
		}
	}
	if got := plainFileName(strings.Repeat("é", 200)); len(got) > 255 || !strings.HasPrefix(got, "éé") {
		t.Errorf("a long name becomes %d bytes", len(got))
	}
}
