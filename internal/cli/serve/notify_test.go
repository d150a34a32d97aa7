package serve

import (
	"net"
	"path/filepath"
	"testing"
)

func TestSystemdIsTold(t *testing.T) {
	path := filepath.Join(t.TempDir(), "notify")
	l, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Skip("needs local sockets: ", err)
	}
	defer l.Close()
	t.Setenv("NOTIFY_SOCKET", path)
	start(t, Config{Data: t.TempDir()}).stop()
	buf := make([]byte, 100)
	for _, want := range []string{"READY=1", "STOPPING=1"} {
		n, err := l.Read(buf)
		if err != nil || string(buf[:n]) != want {
			t.Errorf("got %q, want %q, %v", buf[:n], want, err)
		}
	}
}
