package cli

import (
	"io"
	"os"

	"github.com/cheggaaa/pb/v3"
)

// largeFile is the size from which a person is shown a bar, in bytes.
const largeFile = 1 << 20

// bar shows how far a file is, on a terminal; elsewhere it shows nothing.
func (e *env) bar(name string, size int64) *pb.ProgressBar {
	bar := pb.New64(size)
	bar.Set(pb.Bytes, true)
	prefix(bar, name)
	bar.SetWriter(io.Discard)
	if size >= largeFile && e.onTerminal() {
		bar.SetWriter(e.std.Err)
		return bar.Start()
	}
	return bar
}

func prefix(bar *pb.ProgressBar, text string) { bar.Set("prefix", printable(text)+" ") }

// watched is a file that moves a bar as it is read. It is read twice: for its
// digest, and again from the beginning to be sent.
type watched struct {
	*os.File
	name string
	bar  *pb.ProgressBar
}

func (e *env) watchRead(f *os.File, name string, size int64) io.ReadSeekCloser {
	return &watched{f, name, e.bar("checking "+name, size)}
}

func (w *watched) Read(p []byte) (int, error) {
	n, err := w.File.Read(p)
	w.bar.Add(n)
	return n, err
}

func (w *watched) Seek(offset int64, whence int) (int64, error) {
	at, err := w.File.Seek(offset, whence)
	w.bar.SetCurrent(at)
	prefix(w.bar, "sending "+w.name)
	return at, err
}

func (w *watched) Close() error {
	w.bar.Finish()
	return w.File.Close()
}
