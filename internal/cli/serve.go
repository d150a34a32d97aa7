package cli

import (
	"crypto/x509"
	"fmt"
	"log/slog"
	"os"
	"strings"

	"codeberg.org/huis/huis/internal/cli/serve"
)

// serveCommand runs a server.
type serveCommand struct {
	Listen string `placeholder:"ADDR" help:"Where to listen: host:port (default 127.0.0.1:8443, or another port if that is taken; with --host :443). Port 0 draws one and keeps it."`
	Host   string `placeholder:"NAME" help:"Public name of the server; its certificate is got by ACME, which needs port 443 reachable under NAME."`
	Data   string `default:"./huis-data" placeholder:"DIR" help:"Folder of everything the server keeps (default ./huis-data)."`

	Cert          string `placeholder:"FILE" help:"Certificate (PEM) to serve instead of an own one; read again when it is renewed."`
	Key           string `placeholder:"FILE" help:"Key (PEM) of --cert."`
	OperatorKey   string `placeholder:"FILE" help:"The key that seals names in the database (default: in the data folder)."`
	RetentionDays int    `default:"30" placeholder:"N" help:"How long messages stay on the server (default 30 days)."`

	NoWeb   bool     `name:"no-web" help:"Do not serve the web app."`
	Witness []string `sep:"none" placeholder:"URL" help:"A witness that is asked to cosign the log, as huis witness prints it; may be repeated."`
	Peer    []string `sep:"none" placeholder:"URL" help:"Another huis server: each cosigns the other's log (say it on both); with an own certificate URL#PIN; may be repeated."`

	ACMEDirectory string `name:"acme-directory" placeholder:"URL" help:"ACME authority to use instead of Let's Encrypt."`
	ACMEEmail     string `name:"acme-email" placeholder:"ADDRESS" help:"Where the ACME authority may write to."`
	ACMERoots     string `name:"acme-ca" placeholder:"FILE" help:"Certificates (PEM) that the ACME authority's own must come from."`
}

// Run serves until the program is told to stop.
func (k *serveCommand) Run(e *env) error {
	switch {
	case (k.Cert == "") != (k.Key == ""):
		return usagef("write both, as --cert FILE --key FILE", "--cert and --key belong together")
	case k.Cert != "" && k.Host == "":
		return usagef("say the name in the certificate: --host NAME", "--cert needs the name that clients call the server by")
	case strings.ContainsAny(k.Host, ":/ "):
		return usagef("write it as --host chat.example.org", "%q is not a host's name", k.Host)
	}
	if k.RetentionDays < 1 || k.RetentionDays > 3650 {
		return usagef("a month is --retention-days 30", "messages stay between 1 and 3650 days")
	}
	roots, err := certificates(k.ACMERoots)
	if err != nil {
		return err
	}
	witnesses, err := addresses("--witness", k.Witness)
	if err != nil {
		return err
	}
	peers, err := addresses("--peer", k.Peer)
	if err != nil {
		return err
	}
	out := &serveOutput{env: e}
	err = serve.Run(e.ctx, serve.Config{
		Data: k.Data, Listen: k.Listen, Host: k.Host, Cert: k.Cert, Key: k.Key,
		ACME:        serve.ACME{Directory: k.ACMEDirectory, Email: k.ACMEEmail, Roots: roots},
		OperatorKey: k.OperatorKey, RetentionDays: k.RetentionDays, NoWeb: k.NoWeb, Version: e.version,
		Witnesses: witnesses, Peers: peers,
		Event: out.event, Log: e.serverLog(),
	})
	if err == nil {
		err = out.err
	}
	return err
}

// serverLog is quiet on success: warnings and errors, without identifiers.
func (e *env) serverLog() *slog.Logger {
	level := slog.LevelWarn
	if e.Verbose {
		level = slog.LevelDebug
	}
	return slog.New(slog.NewTextHandler(e.std.Err, &slog.HandlerOptions{Level: level}))
}

// certificates reads a PEM file into a pool; nil for no file.
func certificates(path string) (*x509.CertPool, error) {
	if path == "" {
		return nil, nil
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(b) {
		return nil, &hinted{fmt.Errorf("%s holds no certificate", path), "--acme-ca names a PEM file"}
	}
	return pool, nil
}

// serveOutput tells the states of a server.
type serveOutput struct {
	*env
	err error // of the first line that could not be written
}

func (o *serveOutput) event(ev serve.Event) {
	var err error
	if o.JSON {
		err = writeJSON(o.std.Out, ev)
	} else {
		err = o.tell(ev)
	}
	if o.err == nil {
		o.err = err
	}
}

func (o *serveOutput) tell(ev serve.Event) error {
	text := ""
	switch ev.Event {
	case "ready":
		text = "huis is ready at " + ev.URL + "\n"
		if ev.Fingerprint != "" {
			text += "fingerprint " + ev.Fingerprint + "\n"
		}
		if ev.Log != "" {
			text += "new log " + ev.Log + "\n"
		}
		text += o.invitation(ev.Invite)
		if ev.Web != "" {
			if ev.Invite == "" {
				text += "\n"
			}
			text += "In a browser on this computer:\n\n    " + ev.Web + "\n\n"
		}
	case "certificate":
		text = "the certificate is in place\n"
	case "stopping":
		text = "stopping…\n"
	}
	_, err := o.std.Out.Write([]byte(text))
	return err
}

// invitation shows the first invitation, also as a QR code.
func (o *serveOutput) invitation(link string) string {
	if link == "" {
		return ""
	}
	return "\nNobody has joined yet. The first one who does is the admin:\n\n    huis join '" + link + "' --handle NAME\n\n" +
		serve.DrawQR(link) + "\n"
}
