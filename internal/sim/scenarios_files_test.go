package sim

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"math/rand/v2"
	"time"

	"codeberg.org/huis/huis/internal/client"
)

func init() {
	scenarios = append(scenarios, scenario{name: "attachments", tell: func(p *play) {
		p.people("ann", "bob", "cal")
		p.chat("ann/1", "house", "bob", "cal")
		p.Net.Faults = Rough
		p.Server.WriteFaults = 0.02
		for _, d := range p.Devices() {
			d.WriteFaults = 0.02
		}
		want := make(map[string]string) // body → SHA-256 of the attachment
		for i := range 6 {
			d := p.dev([]string{"ann/1", "bob/1"}[i%2])
			text, file := p.text(d), p.file(1+p.Sched.Rand.IntN(3<<20))
			want[text] = sum(file)
			p.tolerate(d.Tell("send a file", p.sendingFile(d, "house", text, file)))
			p.rest(time.Minute)
		}
		p.must(p.Settle(3 * time.Hour))
		p.everyFile(want)
		if p.Seals.Chunks() < 20 {
			p.t.Errorf("%d chunks of files were seen being sealed", p.Seals.Chunks())
		}
	}})
}

// file is n bytes that are nobody else's, from the seed.
func (p *play) file(n int) []byte {
	var key [32]byte
	for i := range key {
		key[i] = byte(p.Sched.Rand.Uint32())
	}
	b := make([]byte, n)
	if _, err := io.ReadFull(rand.NewChaCha8(key), b); err != nil {
		p.t.Fatal(err)
	}
	return b
}

func sum(b []byte) string {
	h := sha256.Sum256(b)
	return hex.EncodeToString(h[:])
}

func (p *play) sendingFile(d *Device, chat, text string, b []byte) func(context.Context, *client.Client) error {
	return func(ctx context.Context, c *client.Client) error {
		sent, err := c.Send(ctx, chat, client.Draft{Text: text, Files: []client.File{{
			Name: "notes.bin", Size: int64(len(b)),
			Open: func() (io.ReadSeekCloser, error) { return nopCloser{bytes.NewReader(b)}, nil },
		}}})
		if err == nil {
			p.promises = append(p.promises, Promise{Device: d.Name, Message: sent.ID, Body: text})
		}
		return err
	}
}

type nopCloser struct{ *bytes.Reader }

func (nopCloser) Close() error { return nil }

// everyFile saves every attachment on every device and compares its bytes.
func (p *play) everyFile(want map[string]string) {
	p.t.Helper()
	for _, d := range p.Devices() {
		found := 0
		p.must(p.Do(d, "save all files", func(ctx context.Context, c *client.Client) error {
			for m, err := range c.Messages(ctx, "house", 0) {
				if err != nil {
					return err
				}
				if len(m.Attachments) == 0 {
					continue
				}
				var b bytes.Buffer
				if err := c.SaveAttachment(ctx, m.ID, 0, &b, nil); err != nil {
					return err
				}
				if got := sum(b.Bytes()); got != want[m.Body] || got != m.Attachments[0].SHA256 {
					return fmt.Errorf("the file of %q came with other bytes", m.Body)
				}
				found++
			}
			return nil
		}))
		if found == 0 {
			p.t.Errorf("%s holds no attachment: nothing was tested", d.Name)
		}
	}
}
