package witness

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"codeberg.org/huis/huis/kt"
)

// maxRequest bounds an add-checkpoint request, in bytes: 63 hashes and a
// checkpoint with the signatures of many.
const maxRequest = 64 << 10

const (
	pathAdd  = "/add-checkpoint"
	pathKey  = "/key"
	sizeType = "text/x.tlog.size"
)

// Handler serves POST /add-checkpoint of C2SP tlog-witness and GET /key, the
// witness's key as text.
func (w *Witness) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST "+pathAdd, w.serveAdd)
	mux.HandleFunc("GET "+pathKey, func(rw http.ResponseWriter, r *http.Request) {
		rw.Header().Set("Content-Type", "text/plain; charset=utf-8")
		fmt.Fprintln(rw, w.Signer.Public().WitnessText())
	})
	return mux
}

func (w *Witness) serveAdd(rw http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(rw, r.Body, maxRequest))
	if err != nil {
		http.Error(rw, "request too large", http.StatusRequestEntityTooLarge)
		return
	}
	old, proof, checkpoint, err := parseRequest(body)
	if err != nil {
		http.Error(rw, err.Error(), http.StatusBadRequest)
		return
	}
	line, err := w.AddCheckpoint(r.Context(), old, proof, checkpoint)
	var conflict *ConflictError
	switch {
	case err == nil:
		_, _ = rw.Write(line)
	case errors.As(err, &conflict):
		rw.Header().Set("Content-Type", sizeType)
		rw.WriteHeader(http.StatusConflict)
		fmt.Fprintf(rw, "%d\n", conflict.Size)
	default:
		http.Error(rw, err.Error(), statusOf(err))
	}
}

func statusOf(err error) int {
	switch {
	case errors.Is(err, ErrMalformed):
		return http.StatusBadRequest
	case errors.Is(err, ErrUnknownLog):
		return http.StatusNotFound
	case errors.Is(err, ErrSignature):
		return http.StatusForbidden
	case errors.Is(err, ErrProof):
		return http.StatusUnprocessableEntity
	}
	return http.StatusInternalServerError
}

// parseRequest reads "old N", the proof's hashes, an empty line, the note.
func parseRequest(body []byte) (old uint64, proof []kt.Hash, checkpoint []byte, err error) {
	head, checkpoint, found := bytes.Cut(body, []byte("\n\n"))
	lines := strings.Split(string(head), "\n")
	size, isOld := strings.CutPrefix(lines[0], "old ")
	old, err = strconv.ParseUint(size, 10, 63)
	if !found || !isOld || err != nil || strconv.FormatUint(old, 10) != size || len(lines)-1 > kt.MaxProof {
		return 0, nil, nil, ErrMalformed
	}
	for _, l := range lines[1:] {
		b, err := base64.StdEncoding.Strict().DecodeString(l)
		if err != nil || len(b) != len(kt.Hash{}) {
			return 0, nil, nil, ErrMalformed
		}
		proof = append(proof, kt.Hash(b))
	}
	return old, proof, checkpoint, nil
}

func formatRequest(old uint64, proof []kt.Hash, checkpoint []byte) []byte {
	b := fmt.Appendf(nil, "old %d\n", old)
	for _, h := range proof {
		b = fmt.Appendf(b, "%s\n", base64.StdEncoding.EncodeToString(h[:]))
	}
	return append(append(b, '\n'), checkpoint...)
}

// Client asks one witness. URL is the address before /add-checkpoint.
type Client struct {
	URL  string
	Key  kt.NoteKey
	HTTP *http.Client
}

// ErrUnreachable is in the chain of errors that leave the outcome open.
var ErrUnreachable = errors.New("witness: cannot be reached")

// AddCheckpoint asks for a cosignature of a checkpoint of log, which continues
// the log of size old. The line returned is verified. Errors are those of
// Witness.AddCheckpoint, or wrap ErrUnreachable.
func (c *Client) AddCheckpoint(ctx context.Context, log kt.NoteKey, old uint64, proof []kt.Hash, checkpoint []byte) ([]byte, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, strings.TrimSuffix(c.URL, "/")+pathAdd, bytes.NewReader(formatRequest(old, proof, checkpoint)))
	if err != nil {
		return nil, err
	}
	res, err := c.HTTP.Do(r)
	if err != nil {
		return nil, fmt.Errorf("%w: %v", ErrUnreachable, err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxRequest))
	if err != nil {
		return nil, fmt.Errorf("%w: %v", ErrUnreachable, err)
	}
	switch res.StatusCode {
	case http.StatusOK:
		return c.verify(log, checkpoint, body)
	case http.StatusConflict:
		size, err := strconv.ParseUint(strings.TrimSuffix(string(body), "\n"), 10, 63)
		if err != nil {
			return nil, ErrMalformed
		}
		return nil, &ConflictError{Size: size}
	}
	for _, known := range []error{ErrMalformed, ErrUnknownLog, ErrSignature, ErrProof} {
		if statusOf(known) == res.StatusCode {
			return nil, known
		}
	}
	return nil, fmt.Errorf("%w: it answers %s", ErrUnreachable, res.Status)
}

// verify picks the line of this witness, as answers may hold several, and
// checks it as a client would.
func (c *Client) verify(log kt.NoteKey, checkpoint, answer []byte) ([]byte, error) {
	for line := range bytes.Lines(answer) {
		note := append(bytes.Clone(checkpoint), line...)
		signed, err := kt.VerifyCheckpoint(note, log, []kt.NoteKey{c.Key})
		if err == nil && len(signed.Cosignatures) == 1 {
			return bytes.Clone(line), nil
		}
	}
	return nil, fmt.Errorf("witness: %s answered without its own valid cosignature", c.Key.Name)
}

// FetchKey asks host, over TLS that client checks, for the key of the log
// origin, which is the host's name, with a port if it has one and a path behind
// it if it likes. It is what Config.Enrol is for.
func FetchKey(ctx context.Context, client *http.Client, origin string) (kt.NoteKey, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	host, _, _ := strings.Cut(origin, "/")
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+host+"/log/key", nil)
	if err != nil {
		return kt.NoteKey{}, err
	}
	res, err := client.Do(r)
	if err != nil {
		return kt.NoteKey{}, err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(io.LimitReader(res.Body, 1024))
	if err != nil || res.StatusCode != http.StatusOK {
		return kt.NoteKey{}, fmt.Errorf("%s answers %s", host, res.Status)
	}
	return kt.ParseLogKey(strings.TrimSpace(string(b)))
}
