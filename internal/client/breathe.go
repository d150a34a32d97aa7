package client

import "io"

// In a browser one thread does everything: while the core computes, nobody is
// answered. Long work is cut into pieces of some ten milliseconds there, and breathes
// between them.

// breath is how many bytes of a file are sealed or opened between two breaths:
// hashing them four times takes some 20 ms in a browser.
const breath = 256 << 10

// stepEntries is how many entries of a log one step applies where nothing else can
// run meanwhile. An entry takes some 2 ms there.
const stepEntries = 16

// breathe lets others run between two pieces of long work.
func (c *Client) breathe() {
	if c.cfg.Breathe != nil {
		c.cfg.Breathe()
	}
}

// perStep is how many entries one step applies.
func (c *Client) perStep() int {
	if c.cfg.Breathe != nil {
		return stepEntries
	}
	return readMax
}

// breather counts the bytes that pass.
type breather struct {
	c *Client
	n int
}

func (b *breather) passed(n int) {
	if b.n += n; b.n >= breath {
		b.n = 0
		b.c.breathe()
	}
}

// breathingSource is a file that is read for long.
type breathingSource struct {
	io.ReadSeekCloser
	b breather
}

func (s *breathingSource) Read(p []byte) (int, error) {
	n, err := s.ReadSeekCloser.Read(p)
	s.b.passed(n)
	return n, err
}

// breathingSink is what a long file is written to.
type breathingSink struct {
	io.Writer
	b breather
}

func (s *breathingSink) Write(p []byte) (int, error) {
	n, err := s.Writer.Write(p)
	s.b.passed(n)
	return n, err
}
