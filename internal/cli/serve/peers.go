package serve

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"codeberg.org/huis/huis/internal/directory/epochs"
	"codeberg.org/huis/huis/internal/httpapi/dial"
	"codeberg.org/huis/huis/internal/witness"
	"codeberg.org/huis/huis/kt"
)

// Address is where a witness or another server is: https://HOST[:PORT][/PATH],
// after # the pin of its own certificate, if it has such a one.
type Address struct {
	URL string // without a slash at the end
	Pin []byte // SHA-256 of the certificate's public key; empty: a public authority vouches
}

// ParseAddress reads what Address.String gave.
func ParseAddress(s string) (Address, error) {
	u, err := url.Parse(strings.TrimSpace(s))
	if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" {
		return Address{}, fmt.Errorf("%q is not an address of the form https://HOST[:PORT][/PATH][#PIN]", s)
	}
	pin, err := base64.RawURLEncoding.DecodeString(u.Fragment)
	if len(u.Fragment) == 64 { // as servers print it
		pin, err = hex.DecodeString(u.Fragment)
	}
	if err != nil || len(pin) != 0 && len(pin) != 32 {
		return Address{}, fmt.Errorf("the part after # of %q is not a fingerprint", s)
	}
	return Address{URL: strings.TrimSuffix("https://"+u.Host+u.EscapedPath(), "/"), Pin: pin}, nil
}

func (a Address) String() string {
	if len(a.Pin) == 0 {
		return a.URL
	}
	return a.URL + "#" + base64.RawURLEncoding.EncodeToString(a.Pin)
}

// maxKeyText bounds a key as text, in bytes.
const maxKeyText = 1 << 10

// fetchText gets a short text.
func fetchText(ctx context.Context, c *http.Client, url string) (string, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	res, err := c.Do(r)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(io.LimitReader(res.Body, maxKeyText))
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("it answers %s", res.Status)
	}
	return strings.TrimSpace(string(b)), err
}

// remoteWitness is a witness this server asks. Its key is fetched from it: which
// witnesses count, and under which keys, is for the clients' policy to say.
type remoteWitness struct {
	address Address
	http    *http.Client

	mu  sync.Mutex
	key kt.NoteKey // as it said last; zero: not asked yet
}

func newRemoteWitness(a Address) *remoteWitness {
	return &remoteWitness{address: a, http: dial.HTTP(a.Pin)}
}

// Key implements epochs.Witness; before the first answer it has the address for
// a name.
func (w *remoteWitness) Key() kt.NoteKey {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.key.Name == "" {
		return kt.NoteKey{Name: w.address.URL}
	}
	return w.key
}

// Cosign implements epochs.Witness.
func (w *remoteWitness) Cosign(ctx context.Context, log kt.NoteKey, old uint64, proof []kt.Hash, checkpoint []byte) ([]byte, error) {
	key, err := w.fetchKey(ctx)
	if err != nil {
		return nil, err
	}
	c := witness.Client{URL: w.address.URL, Key: key, HTTP: w.http}
	line, err := c.AddCheckpoint(ctx, log, old, proof, checkpoint)
	var conflict *witness.ConflictError
	switch {
	case errors.As(err, &conflict):
		return nil, &epochs.StandsAt{Size: conflict.Size}
	case err != nil && !errors.Is(err, witness.ErrUnreachable):
		w.mu.Lock()
		w.key = kt.NoteKey{} // perhaps it has another one now
		w.mu.Unlock()
	}
	return line, err
}

func (w *remoteWitness) fetchKey(ctx context.Context) (kt.NoteKey, error) {
	w.mu.Lock()
	known := w.key
	w.mu.Unlock()
	if known.Name != "" {
		return known, nil
	}
	text, err := fetchText(ctx, w.http, w.address.URL+"/key")
	if err != nil {
		return known, err
	}
	key, err := kt.ParseWitnessKey(text)
	if err != nil {
		return known, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.key = key
	return key, nil
}

// namedLogs finds the keys of logs at addresses the operator named. A key found
// is pinned by the witness that asked, with what it remembers of the log.
type namedLogs struct {
	hosts []Address

	mu    sync.Mutex
	found map[string]kt.NoteKey // by origin
	asked time.Time
}

// namedPause bounds how often all the addresses are asked for an origin that
// none of them had.
const namedPause = 5 * time.Second

var errNotNamed = errors.New("no log of that origin is at the addresses named")

func (n *namedLogs) find(ctx context.Context, origin string) (kt.NoteKey, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if k, ok := n.found[origin]; ok {
		return k, nil
	}
	if time.Since(n.asked) < namedPause || len(n.hosts) == 0 {
		return kt.NoteKey{}, errNotNamed
	}
	n.asked = time.Now()
	n.found = map[string]kt.NoteKey{}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	var keys sync.Map
	var all sync.WaitGroup
	for _, a := range n.hosts {
		all.Go(func() {
			text, err := fetchText(ctx, dial.HTTP(a.Pin), a.URL+"/log/key")
			if err != nil {
				return
			}
			if k, err := kt.ParseLogKey(text); err == nil {
				keys.Store(k.Name, k)
			}
		})
	}
	all.Wait()
	keys.Range(func(name, key any) bool {
		n.found[name.(string)] = key.(kt.NoteKey)
		return true
	})
	if k, ok := n.found[origin]; ok {
		return k, nil
	}
	return kt.NoteKey{}, errNotNamed
}

// witnesses are those the log is shown to: witnesses proper and the peers'.
func (s *server) witnesses() (all []epochs.Witness) {
	for _, a := range s.Witnesses {
		all = append(all, newRemoteWitness(a))
	}
	for _, a := range s.Peers {
		a.URL += "/witness"
		all = append(all, newRemoteWitness(a))
	}
	return all
}

// openWitness opens the witness inside this server, which knows the logs of
// peers alone. Its key lies beside what it remembers and in no backup: a witness
// that has forgotten what it signed must not go on under the same key.
func (s *server) openWitness(origin string) error {
	dir := filepath.Join(s.Data, witnessFolder)
	signer, err := witnessSigner(filepath.Join(dir, witnessKeyFile), "", origin+"/witness")
	if err != nil {
		return err
	}
	named := &namedLogs{hosts: s.Peers}
	s.witness, err = witness.New(witness.Config{
		Dir: dir, Signer: signer, Now: s.Clock.Now, Enrol: named.find,
	})
	return err
}

// witnessText is the key of the witness inside, told to who has peers.
func (s *server) witnessText() string {
	if len(s.Peers) == 0 {
		return ""
	}
	return s.witness.Signer.Public().WitnessText()
}
