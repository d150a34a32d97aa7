// Package deps holds the dependency set while packages are being written.
package deps

import (
	_ "github.com/alecthomas/kong"
	_ "github.com/caddyserver/certmagic"
	_ "github.com/coder/websocket"
	_ "github.com/fxamacker/cbor/v2"
	_ "github.com/pressly/goose/v3"
	_ "github.com/rogpeppe/go-internal/testscript"
	_ "golang.org/x/crypto/argon2"
	_ "golang.org/x/crypto/chacha20poly1305"
	_ "golang.org/x/sys/unix"
	_ "golang.org/x/term"
	_ "golang.org/x/time/rate"
	_ "golang.org/x/text/unicode/norm"
	_ "modernc.org/sqlite"
	_ "pgregory.net/rapid"
	_ "rsc.io/qr"
	_ "github.com/cheggaaa/pb/v3"
	_ "golang.org/x/net/http2"
)
