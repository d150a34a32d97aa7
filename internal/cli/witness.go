package cli

import (
	"strings"

	"codeberg.org/huis/huis/internal/cli/serve"
)

// addresses reads the values of a flag that names servers.
func addresses(flag string, all []string) (out []serve.Address, err error) {
	for _, s := range all {
		a, err := serve.ParseAddress(s)
		if err != nil {
			return nil, usagef("write it as "+flag+" https://HOST, with #PIN if the certificate is its own", "%v", err)
		}
		out = append(out, a)
	}
	return out, nil
}

// witnessCommand runs a witness.
type witnessCommand struct {
	Listen string   `placeholder:"ADDR" help:"Where to listen: host:port (default 127.0.0.1:8443, or another port if that is taken; with --host :443). Port 0 draws one and keeps it."`
	Host   string   `placeholder:"NAME" help:"Public name of the witness; its certificate is got by ACME, which needs port 443 reachable under NAME."`
	Data   string   `default:"./huis-witness" placeholder:"DIR" help:"Folder of what the witness remembers (default ./huis-witness). Never put an older copy of it back."`
	Name   string   `placeholder:"NAME" help:"What the witness is called in its key (default: where it listens); chosen once."`
	Log    []string `sep:"none" placeholder:"KEY-OR-URL" help:"A log to look after: its key, or the address of its server; may be repeated."`

	Enrol        bool `help:"Look after any log whose server gives out its key under the log's name, checked by its public certificate."`
	EnrolPrivate bool `help:"With --enrol: hosts with private addresses too, for a network of your own."`
	MaxLogs      int  `default:"10000" placeholder:"N" help:"How many logs are enrolled at most (default 10000)."`

	Cert          string `placeholder:"FILE" help:"Certificate (PEM) to serve instead of an own one; read again when it is renewed."`
	Key           string `placeholder:"FILE" help:"Key (PEM) of --cert."`
	ACMEDirectory string `name:"acme-directory" placeholder:"URL" help:"ACME authority to use instead of Let's Encrypt."`
	ACMEEmail     string `name:"acme-email" placeholder:"ADDRESS" help:"Where the ACME authority may write to."`
	ACMERoots     string `name:"acme-ca" placeholder:"FILE" help:"Certificates (PEM) that the ACME authority's own must come from."`
}

// Run looks after logs until the program is told to stop.
func (k *witnessCommand) Run(e *env) error {
	switch {
	case (k.Cert == "") != (k.Key == ""):
		return usagef("write both, as --cert FILE --key FILE", "--cert and --key belong together")
	case k.Cert != "" && k.Host == "":
		return usagef("say the name in the certificate: --host NAME", "--cert needs the name that servers call the witness by")
	case strings.ContainsAny(k.Host, ":/ "):
		return usagef("write it as --host witness.example.org", "%q is not a host's name", k.Host)
	case len(k.Log) == 0 && !k.Enrol:
		return usagef("name logs with --log KEY-OR-URL, or take any with --enrol", "a witness needs logs to look after")
	case k.MaxLogs < 1:
		return usagef("leave --max-logs away for 10000", "--max-logs %d enrols nothing", k.MaxLogs)
	}
	roots, err := certificates(k.ACMERoots)
	if err != nil {
		return err
	}
	out := &serveOutput{env: e}
	err = serve.RunWitness(e.ctx, serve.WitnessConfig{
		Data: k.Data, Listen: k.Listen, Host: k.Host, Cert: k.Cert, Key: k.Key, Name: k.Name, Logs: k.Log,
		ACME:  serve.ACME{Directory: k.ACMEDirectory, Email: k.ACMEEmail, Roots: roots},
		Enrol: k.Enrol, Private: k.EnrolPrivate, MaxLogs: k.MaxLogs, Event: out.witnessEvent, Log: e.serverLog(),
	})
	if err == nil {
		err = out.err
	}
	return err
}

// witnessEvent tells the states of a witness.
func (o *serveOutput) witnessEvent(ev serve.Event) {
	if o.JSON || ev.Event != "ready" {
		o.event(ev)
		return
	}
	_, err := o.std.Out.Write([]byte("the witness is ready; servers ask it with\n\n    huis serve --witness '" + ev.URL + "'\n\nand policies name its key:\n\n    witness " +
		strings.SplitN(ev.Key, "+", 2)[0] + " " + ev.Key + "\n"))
	if o.err == nil {
		o.err = err
	}
}
