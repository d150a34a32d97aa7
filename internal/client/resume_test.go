package client

import (
	"bytes"
	"context"
	"math/rand/v2"
	"testing"

	"codeberg.org/huis/huis/internal/proto"
)

func noiseOf(seed byte, size int) []byte {
	b := make([]byte, size)
	rand.NewChaCha8([32]byte{seed}).Read(b)
	return b
}

func TestAnUploadGoesOnInAnotherProcess(t *testing.T) {
	for name, again := range map[string]struct {
		file []byte
		most int // parts put by the second process
	}{
		"the same file":                {noiseOf(1, 8<<20), 6},
		"other bytes of the same size": {noiseOf(2, 8<<20), 9},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			alice, bob := w.person("alice"), w.person("bob")
			if _, err := alice.NewChat(t.Context(), "house", []string{"bob"}); err != nil {
				t.Fatal(err)
			}
			ctx, die := context.WithCancel(t.Context())
			puts := 0
			count := func(m proto.Method) error {
				if m == proto.BlobPut {
					puts++
				}
				return nil
			}
			alice.net.set(func(n *wireTo) {
				n.after = func(m proto.Method) error {
					if count(m); puts == 4 {
						die()
						return ErrUnreachable
					}
					return nil
				}
			})
			if _, err := alice.Send(ctx, "house", Draft{Files: []File{file("plan", noiseOf(1, 8<<20))}}); err == nil {
				t.Fatal("sent after the end")
			}
			puts = 0
			alice.net.set(func(n *wireTo) { n.after = count })
			alice.restart()
			if _, err := alice.Send(t.Context(), "house", Draft{Files: []File{file("plan", again.file)}}); err != nil {
				t.Fatal(err)
			}
			if puts == 0 || puts > again.most {
				t.Errorf("%d parts were put again", puts)
			}
			bob.sync()
			if got, err := bob.saved(bob.last("house"), 0); err != nil || !bytes.Equal(got, again.file) {
				t.Errorf("%d bytes arrived, not those sent last: %v", len(got), err)
			}
			// Once it is through, the same file is a new one.
			puts = 0
			if _, err := alice.Send(t.Context(), "house", Draft{Files: []File{file("plan", again.file)}}); err != nil || puts < 8 {
				t.Errorf("%d parts for another message, %v", puts, err)
			}
		})
	}
}
