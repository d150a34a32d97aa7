//go:build !evil

// Command huis is the server, the client and the tools around them.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"codeberg.org/huis/huis/internal/cli"
)

var version = "development" // set when a release is linked

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := cli.Main(ctx, version, os.Args[1:], cli.Standard())
	stop()
	os.Exit(code)
}
