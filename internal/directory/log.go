package directory

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"codeberg.org/huis/huis/internal/delivery/store"
	"codeberg.org/huis/huis/internal/directory/epochs"
	"codeberg.org/huis/huis/internal/proto"
	"codeberg.org/huis/huis/internal/wire"
	"codeberg.org/huis/huis/kt"
)

// How the log is kept in time.
const (
	gather   = 100 * time.Millisecond // changes wait that long for others
	patience = 2 * time.Second        // witnesses may take that long
	askFor   = 10 * time.Second       // one request to a witness
	retry    = 2 * time.Second        // a witness that gave nothing is asked again; more seldom as time goes on
	refresh  = time.Hour              // the newest checkpoint is cosigned anew
)

// openLog opens the server's log. Its keys are derived from the operator's, so
// that whoever restores that restores them.
func openLog(ctx context.Context, c *Config, p *lastPolicies) (*epochs.Log, error) {
	seed := logSeed(c.Key, c.LogName)
	signer, err := kt.NewNoteSigner(c.Origin, seed[:])
	if err != nil {
		return nil, err
	}
	return epochs.Open(ctx, epochs.Config{
		Store: logStore{c.Store}, Signer: signer, VRF: kt.NewVRFKey(c.Key.Seed("vrf")), Now: c.Clock.Now,
		Witnesses: c.Witnesses, Gather: gather, Patience: patience, Enough: p.enough, AskFor: askFor, Refresh: refresh, Retry: retry, Dir: c.LogDir, Log: c.Log,
		Held: c.Restoration != nil,
	})
}

// logSeed is of the key of a log: another for each that is begun.
func logSeed(key store.OperatorKey, name string) [32]byte {
	if name == "" {
		return key.Seed("log")
	}
	return key.Seed("log " + name)
}

// logStore is the log's view of the store.
type logStore struct{ rows store.Epochs }

func batchWire(b *[]kt.BatchEntry) func(*wire.Codec) {
	return func(c *wire.Codec) { wire.Vector(c, b, (*kt.BatchEntry).Wire) }
}

func (s logStore) Epochs(ctx context.Context, from uint64, max int) ([]epochs.Epoch, error) {
	rows, err := s.rows.Epochs(ctx, from, max)
	if err != nil {
		return nil, err
	}
	all := make([]epochs.Epoch, len(rows))
	for i, row := range rows {
		if all[i].Record, err = kt.ParseEpochRecord(row.Record); err == nil {
			err = wire.Decode(row.Batch, batchWire(&all[i].Batch))
		}
		if err != nil {
			return nil, fmt.Errorf("%w: epoch %d of the log: %v", store.ErrDamaged, row.N, err)
		}
	}
	return all, nil
}

func (s logStore) Pending(ctx context.Context, max int) ([]epochs.Pending, error) {
	rows, err := s.rows.PendingValues(ctx, max)
	all := make([]epochs.Pending, len(rows))
	for i, v := range rows {
		all[i] = epochs.Pending{Kind: kt.MapKind(v.Kind), Index: v.Index, Seq: v.Seq, Commitment: v.Commitment}
	}
	return all, err
}

func (s logStore) AddEpoch(ctx context.Context, e epochs.Epoch) error {
	row := store.LogEpoch{N: e.Record.N, Record: e.Record.Encode(), Batch: wire.MustEncode(batchWire(&e.Batch))}
	for _, b := range e.Batch {
		row.Taken = append(row.Taken, store.LogKey{Index: b.Index, Seq: b.Seq})
	}
	return s.rows.AddEpoch(ctx, row)
}

// values are the log's values for links of a handle's account, from number
// from on.
func (s *Service) values(handle string, links [][]byte, from uint32) []store.LogValue {
	x, _ := s.log.Index(kt.KindAccount, []byte(handle))
	all := make([]store.LogValue, len(links))
	for i, l := range links {
		all[i] = s.logValue(kt.KindAccount, []byte(handle), x, from+uint32(i), l)
	}
	return all
}

func (s *Service) logValue(kind kt.MapKind, label []byte, x kt.Index, seq uint32, value []byte) store.LogValue {
	o := s.opening(x, seq, value)
	v := store.LogValue{Kind: uint8(kind), Index: x, Seq: seq, Opening: o, Commitment: kt.Commit(o, kt.MapLabel(kind, label), seq, value), Value: value}
	if seq == 0 {
		v.Label, v.Place = s.sealPlace(kind, label)
	}
	return v
}

// logged waits until a value of a handle is in the log.
func (s *Service) logged(ctx context.Context, handle string, value []byte) error {
	x, _ := s.log.Index(kt.KindAccount, []byte(handle))
	values, err := s.nameValues(ctx, x)
	if err != nil {
		return err
	}
	n := slices.IndexFunc(values, func(v []byte) bool { return bytes.Equal(v, value) })
	if n < 0 {
		return fmt.Errorf("%w: a change of an account is not among the log's values", store.ErrDamaged)
	}
	_, err = s.log.Wait(ctx, x, uint32(n))
	return err
}

// handle opens an account's name.
func (s *Service) handle(ctx context.Context, id proto.AccountID) (string, error) {
	a, err := s.Store.Account(ctx, id)
	if err != nil {
		return "", err
	}
	b, err := s.Key.Open("handle", id[:], a.Handle)
	return string(b), err
}

// LogKeys returns the keys under which the log verifies.
func (s *Service) LogKeys() (kt.NoteKey, kt.VRFPublicKey) {
	return s.log.Signer.Public(), s.log.VRF.Public()
}

// AddToLog puts a label of the server's own into the log, such as a stamp key;
// again it changes nothing. It waits as a link does.
func (s *Service) AddToLog(ctx context.Context, kind kt.MapKind, label, value []byte) error {
	if s.log.Held() {
		s.addLater(kind, label, value)
		return nil
	}
	x, _ := s.log.Index(kind, label)
	there, err := s.Store.Values(ctx, x, 0, 1)
	if err != nil {
		return err
	}
	if len(there) == 0 && s.log.Known(x) { // the log has it, and the backup did not
		return s.putBack(ctx, kind, label, x, value)
	}
	if len(there) == 0 {
		if err := s.Store.AddValue(ctx, s.logValue(kind, label, x, 0, value)); err != nil {
			return err
		}
	}
	_, err = s.log.Wait(ctx, x, 0)
	return err
}

// RunLog writes the log until ctx ends. Without it each change writes its own
// epoch.
func (s *Service) RunLog(ctx context.Context) { s.log.Run(ctx) }

// LogHead returns the newest checkpoint; future if the caller knows more.
func (s *Service) LogHead(ctx context.Context, r *proto.LogHeadRequest) (*proto.LogHeadResponse, error) {
	if err := s.log.Daily(ctx); err != nil {
		return nil, err
	}
	h, err := s.log.Head(r.From)
	if err != nil && s.restoration.on.Load() {
		return nil, proto.Refuse(proto.Restoring)
	}
	if err != nil {
		return nil, proto.Refuse(proto.Future)
	}
	return &proto.LogHeadResponse{Checkpoint: h.Checkpoint, Consistency: hashes(h.Consistency), Record: h.Record.Encode(), Inclusion: hashes(h.Inclusion)}, nil
}

func ktHashes(in []proto.Hash) []kt.Hash {
	out := make([]kt.Hash, len(in))
	for i, h := range in {
		out[i] = kt.Hash(h)
	}
	return out
}

func hashes(in []kt.Hash) []proto.Hash {
	out := make([]proto.Hash, len(in))
	for i, h := range in {
		out[i] = proto.Hash(h)
	}
	return out
}

// LogEpochs returns epochs to replay.
func (s *Service) LogEpochs(ctx context.Context, r *proto.LogEpochsRequest) (*proto.LogEpochsResponse, error) {
	if _, err := s.Sessions.Device(r.Session); err != nil {
		return nil, err
	}
	rows, err := s.Store.Epochs(ctx, r.From, proto.MaxLogEpochs)
	if err != nil {
		return nil, err
	}
	answer, size := &proto.LogEpochsResponse{}, 0
	for _, row := range rows {
		if size += len(row.Batch); size > proto.MaxLogBytes && len(answer.Epochs) > 0 {
			break
		}
		answer.Epochs = append(answer.Epochs, proto.LogEpoch{Record: row.Record, Batch: row.Batch})
	}
	return answer, nil
}

// ChainProof returns what the log says of an account; unknown_account; gone for
// a version of the map that is not kept.
func (s *Service) ChainProof(ctx context.Context, r *proto.ChainProofRequest) (*proto.ChainProofResponse, error) {
	if _, err := s.Sessions.Device(r.Session); err != nil {
		return nil, err
	}
	handle, err := s.shownAs(ctx, r.Account, r.Handle)
	if err != nil {
		return nil, unknown(err)
	}
	links, proof, err := s.prove(ctx, kt.KindAccount, []byte(handle), r.At)
	return &proto.ChainProofResponse{Handle: handle, Links: links, Proof: proof}, err
}

// LogEntry returns what the log says of a label that is no account's.
func (s *Service) LogEntry(ctx context.Context, r *proto.LogEntryRequest) (*proto.LogEntryResponse, error) {
	if kt.MapKind(r.Kind) == kt.KindAccount {
		return nil, proto.Refuse(proto.Forbidden)
	}
	values, proof, err := s.prove(ctx, kt.MapKind(r.Kind), r.Label, 0)
	return &proto.LogEntryResponse{Values: values, Proof: proof}, err
}

// prove returns the values of a label that stand in one version of the map,
// and the proof of them: of none, if the label is not there.
func (s *Service) prove(ctx context.Context, kind kt.MapKind, label []byte, at uint64) (values [][]byte, p proto.LogProof, err error) {
	x, pi, err := s.place(ctx, kind, label)
	if err != nil {
		return nil, p, err
	}
	m, n := s.log.Prove(x)
	if at != 0 {
		if m, err = s.log.ProveAt(x, at); err != nil {
			return nil, p, &proto.Error{Code: proto.Gone}
		}
		n = at
	}
	p = proto.LogProof{VRF: pi, Map: wire.MustEncode(m.Wire), Epoch: n}
	if m.Leaf == nil || m.Leaf.Index != x {
		return nil, p, nil
	}
	rows, err := s.Store.Values(ctx, x, 0, int(m.Leaf.Seq)+1)
	if err == nil && len(rows) <= int(m.Leaf.Seq) { // lost, and not given back yet
		return nil, p, proto.Refuse(proto.UnknownAccount)
	}
	for _, v := range rows {
		values, p.Openings = append(values, v.Value), append(p.Openings, v.Opening)
	}
	return values, p, err
}

func orDiscard(l *slog.Logger) *slog.Logger {
	if l == nil {
		return slog.New(slog.DiscardHandler)
	}
	return l
}
