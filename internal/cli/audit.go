package cli

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"codeberg.org/huis/huis/internal/audit"
	"codeberg.org/huis/huis/internal/client"
	"codeberg.org/huis/huis/internal/evidence"
	"codeberg.org/huis/huis/internal/proto"
	"codeberg.org/huis/huis/kt"
)

type auditCommand struct {
	URL    string   `arg:"" optional:"" help:"The server (default: that of the profile, which has to be a member's)."`
	Data   string   `placeholder:"DIR" help:"Where the audit is kept (default: the folder audit in the profile)."`
	Name   string   `placeholder:"NAME" help:"Under what name its statements are signed, such as example.org; kept from the first time on (default: the name of this machine)."`
	Once   bool     `help:"Audit up to the newest checkpoint and end."`
	Every  duration `default:"1m" placeholder:"D" help:"How often to look while following (default 1m)."`
	Listen string   `placeholder:"ADDR" help:"Serve the newest statement and the key it is signed with, at /statement and /key."`
}

// audited is one line for a program.
type audited struct {
	Event     string `json:"event"` // statement
	Origin    string `json:"origin"`
	Size      uint64 `json:"size"`
	Root      string `json:"root"`
	Labels    int    `json:"labels"`
	Updates   uint64 `json:"updates"`
	Key       string `json:"key"`
	Statement string `json:"statement"`
}

// statementName is the end of an auditor's name: what its signature says.
const statementName = "/huis-recomputed-map"

// Run follows the log, or goes through it once.
func (k *auditCommand) Run(e *env) (err error) {
	c, err := e.open()
	if err != nil {
		return orHint(err, "batches of the log go to members: join the server with an invitation first")
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	if k.URL != "" && strings.TrimSuffix(k.URL, "/") != strings.TrimSuffix(c.Server().URL, "/") {
		return &hinted{fmt.Errorf("this profile is of %s", c.Server().URL), "batches of a log go to members: join that server, into a folder of its own (--profile DIR)"}
	}
	if k.Data == "" {
		dir, err := e.profile()
		if err != nil {
			return err
		}
		k.Data = filepath.Join(dir, "audit")
	}
	return k.audit(e, c)
}

func (k *auditCommand) audit(e *env, c *client.Client) (err error) {
	src := source{c}
	if _, err := src.Head(e.ctx, 0); err != nil { // pins the keys, or finds them changed
		return err
	}
	log, vrf, _, err := c.PinnedLog(e.ctx)
	if err != nil {
		return err
	}
	signer, err := k.signer()
	if err != nil {
		return err
	}
	a, err := audit.Open(k.Data, audit.Keys{Log: log, VRF: vrf}, signer)
	if err != nil {
		return orHint(err, "say another folder for this audit: --data DIR")
	}
	defer func() { err = errors.Join(err, a.Close()) }()
	if k.Listen != "" {
		stop, err := k.serve(signer)
		if err != nil {
			return err
		}
		defer stop()
	}
	return k.follow(e, a, src, signer)
}

// follow audits until ctx ends, or once. While following, a server that is away
// is waited for.
func (k *auditCommand) follow(e *env, a *audit.Auditor, src source, signer *kt.NoteSigner) error {
	first := true
	for {
		r, err := a.Step(e.ctx, src, time.Now())
		var breach *audit.Breach
		switch {
		case errors.As(err, &breach):
			return k.breach(breach)
		case e.ctx.Err() != nil && !first:
			return nil
		case err != nil && (k.Once || !errors.Is(err, client.ErrUnreachable)):
			return err
		case err != nil:
			e.note("huis: warning: %s", printable(err.Error()))
		case first || r.Epochs > 0:
			if err := k.say(e, r, signer); err != nil {
				return err
			}
			first = false
		}
		if k.Once {
			return nil
		}
		select {
		case <-e.ctx.Done():
			return nil
		case <-time.After(k.Every.std()):
		}
	}
}

func (k *auditCommand) say(e *env, r audit.Result, signer *kt.NoteSigner) error {
	path := filepath.Join(k.Data, "statement")
	return e.print(audited{
		Event: "statement", Origin: r.Head.Origin, Size: r.Head.Size, Root: r.Head.Root.Hex(), Labels: r.Labels,
		Updates: r.Updates, Key: signer.Public().WitnessText(), Statement: path,
	}, "%s: all %d epochs recomputed, %d of them new; the map has %d labels. Signed: %s",
		printable(r.Head.Origin), r.Head.Size, r.Epochs, r.Labels, path)
}

// breach keeps what proves or reports it, and stops for safety.
func (k *auditCommand) breach(b *audit.Breach) error {
	name := "evidence"
	if evidence.IsReport(b.File) {
		name = "report"
	}
	path := filepath.Join(k.Data, fmt.Sprintf("%s-%s.txt", name, time.Now().UTC().Format("20060102-150405")))
	if name == "evidence" {
		path = strings.TrimSuffix(path, ".txt") + ".huis"
	}
	return errors.Join(&client.SafetyError{
		Reason: b.Reason, Fix: "tell the server's members, and show them the file", Evidence: path,
	}, os.WriteFile(path, b.File, 0o600))
}

// signer returns the audit's key, made at the first time.
func (k *auditCommand) signer() (*kt.NoteSigner, error) {
	path := filepath.Join(k.Data, "auditor.key")
	b, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		if b, err = k.newKey(path); err != nil {
			return nil, err
		}
	}
	if err != nil {
		return nil, err
	}
	name, seed, _ := strings.Cut(strings.TrimSpace(string(b)), "\n")
	raw, err := hex.DecodeString(seed)
	if err != nil {
		return nil, &hinted{fmt.Errorf("%s is damaged", path), "remove it: a new key is made, and those who know the old one have to be told"}
	}
	if k.Name != "" && k.Name+statementName != name {
		return nil, &hinted{fmt.Errorf("this audit signs as %s", name), "leave --name away, or begin another audit: --data DIR"}
	}
	return kt.NewNoteSigner(name, raw)
}

func (k *auditCommand) newKey(path string) ([]byte, error) {
	name := k.Name
	if name == "" {
		if name, _ = os.Hostname(); name == "" {
			name = "auditor"
		}
	}
	var seed [32]byte
	rand.Read(seed[:])
	b := fmt.Appendf(nil, "%s%s\n%x\n", name, statementName, seed)
	if _, err := kt.NewNoteSigner(name+statementName, seed[:]); err != nil {
		return nil, &hinted{err, "choose a name without spaces: --name NAME"}
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	return b, os.WriteFile(path, b, 0o600)
}

// serve shows the newest statement to anybody until stop is called.
func (k *auditCommand) serve(signer *kt.NoteSigner) (stop func(), err error) {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /key", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintln(w, signer.Public().WitnessText())
	})
	mux.HandleFunc("GET /statement", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		http.ServeFile(w, r, filepath.Join(k.Data, "statement"))
	})
	l, err := net.Listen("tcp", k.Listen)
	if err != nil {
		return nil, &hinted{err, "say a free address: --listen HOST:PORT"}
	}
	s := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second, WriteTimeout: 10 * time.Second, MaxHeaderBytes: 8 << 10}
	go func() { _ = s.Serve(l) }()
	return func() { _ = s.Close() }, nil
}

// source is the server as a member sees it.
type source struct{ c *client.Client }

func (s source) Head(ctx context.Context, from uint64) (h audit.Head, err error) {
	h.Checkpoint, h.Consistency, err = s.c.AuditHead(ctx, from)
	if errors.Is(err, proto.Future) {
		err = audit.ErrShorter
	}
	return h, err
}

func (s source) Epochs(ctx context.Context, from uint64) (all []audit.Epoch, err error) {
	err = s.c.AuditEpochs(ctx, from, func(r kt.EpochRecord, b []kt.BatchEntry) {
		all = append(all, audit.Epoch{Record: r, Batch: b})
	})
	return all, err
}
