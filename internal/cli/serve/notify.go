package serve

import (
	"net"
	"os"
)

// notify tells systemd a state, such as READY=1, if it asked for it by
// NOTIFY_SOCKET (sd_notify(3)). The socket is a local one.
func notify(state string) {
	path := os.Getenv("NOTIFY_SOCKET")
	if path == "" {
		return
	}
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		return // the start does not depend on being told of
	}
	defer conn.Close()
	conn.Write([]byte(state))
}
