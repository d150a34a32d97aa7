package cli

import (
	"bufio"
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"time"

	"codeberg.org/huis/huis/internal/client"
	"codeberg.org/huis/huis/internal/rpc"
	"codeberg.org/huis/huis/internal/webapp"
)

type appCommand struct {
	Port int `default:"0" placeholder:"N" help:"Port on 127.0.0.1 (default: a free one)."`
}

// Run serves the interface until the program is told to stop. Its core is this
// program: nothing of it comes from a server.
func (k *appCommand) Run(e *env) (err error) {
	if k.Port < 0 || k.Port > 65535 {
		return usagef("leave --port away for a free one", "%d is not a port", k.Port)
	}
	bundle, err := webapp.Load()
	if err != nil {
		return err
	}
	listener, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: k.Port})
	if err != nil {
		return &hinted{err, "choose another port, or stop the program that uses it"}
	}
	core, err := rpc.NewCore(e.ctx, rpc.Config{
		Open:  func(_ context.Context, create bool) (client.Config, error) { return e.config(create) },
		Where: rpc.WhereLocal, Version: e.version,
	})
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	defer func() { err = errors.Join(err, core.Close()) }()
	local, err := webapp.NewLocal(e.ctx, bundle, core, listener.Addr().String(), e.version)
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	server := &http.Server{
		Handler: local, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 90 * time.Second, MaxHeaderBytes: 16 << 10,
		ErrorLog: log.New(io.Discard, "", 0),
	}
	defer context.AfterFunc(e.ctx, func() { server.Close() })()
	if err := e.showLink(local.Link()); err != nil {
		return errors.Join(err, listener.Close())
	}
	if !e.JSON {
		go e.renew(local)
	}
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

func (e *env) showLink(link string) error {
	return e.print(struct {
		Event string `json:"event"`
		URL   string `json:"url"`
	}{"ready", link}, "Open in a browser on this computer, once:\n\n    %s\n\nPress Enter for another link, Ctrl-C to stop.", link)
}

// renew prints another link for each line a person enters.
func (e *env) renew(local *webapp.Local) {
	for in := bufio.NewScanner(e.std.In); in.Scan(); {
		if e.showLink(local.Renew()) != nil {
			return
		}
	}
}
