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
	bar.Set("prefix", printable(name)+" ")
	bar.SetWriter(io.Discard)
	if size >= largeFile && e.onTerminal() {
		bar.SetWriter(e.std.Err)
		return bar.Start()
	}
	return bar
}

// watched is a file that moves a bar as it is read.
type watched struct {
	*os.File
	bar *pb.ProgressBar
}

func (e *env) watchRead(f *os.File, name string, size int64) io.ReadSeekCloser {
	return &watched{f, e.bar(name, size)}
}

func (w *watched) Read(p []byte) (int, error) {
	n, err := w.File.Read(p)
	w.bar.Add(n)
	return n, err
}

func (w *watched) Seek(offset int64, whence int) (int64, error) {
	at, err := w.File.Seek(offset, whence)
	w.bar.SetCurrent(at)
	return at, err
}

func (w *watched) Close() error {
	w.bar.Finish()
	return w.File.Close()
}
