//go:build evil

// The program with the command attack, which no release has.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"codeberg.org/huis/huis/internal/cli"
	"codeberg.org/huis/huis/internal/evil"
)

var version = "development, with attacks"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code, mine := evil.Main(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	if !mine {
		code = cli.Main(ctx, version, os.Args[1:], cli.Standard())
	}
	stop()
	os.Exit(code)
}
