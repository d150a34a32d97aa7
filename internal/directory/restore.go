package directory

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"codeberg.org/huis/huis/internal/delivery/session"
	"codeberg.org/huis/huis/internal/delivery/store"
	"codeberg.org/huis/huis/internal/directory/epochs"
	"codeberg.org/huis/huis/internal/proto"
	"codeberg.org/huis/huis/internal/wire"
	"codeberg.org/huis/huis/kt"
)

// Restoration is what a server does that was put back from a backup (protocol.md,
// 12). Until it is over the server writes nothing but what it had acknowledged
// before:
//
//	restored ─► clients give back the log, chains, conversations' ends
//	         ─► every device said it is done, or the wait is over,
//	            and no witness knows more of the log ─► new generation, as always
type Restoration struct {
	// Hold is how long to wait for devices after the first one came.
	Hold time.Duration
	// Ended tells whether the operator ended the wait.
	Ended func(context.Context) (bool, error)
	// Release is called when it is over, before anything new is written.
	Release func(context.Context) error
}

// restoration is a Restoration under way. Who has given back is in memory only.
type restoration struct {
	Restoration
	on atomic.Bool // until it is over

	mu    sync.Mutex // guards what follows, and the release
	later []later    // what the server itself has for the log
	first time.Time  // when the first device said it is done; zero: none yet
	done  map[session.Device]bool
	told  time.Time // when the operator was last told of witnesses that know more
}

// later is a label of the server's own that waits for the log.
type later struct {
	kind         kt.MapKind
	label, value []byte
}

// addLater is AddToLog as long as the log may not go on.
func (s *Service) addLater(kind kt.MapKind, label, value []byte) {
	s.restoration.mu.Lock()
	defer s.restoration.mu.Unlock()
	s.restoration.later = append(s.restoration.later, later{kind, label, value})
}

// putBack stores the value of a label of the server's own that the log has. If it
// has another one there it stays without: the log cannot be changed.
func (s *Service) putBack(ctx context.Context, kind kt.MapKind, label []byte, x kt.Index, value []byte) error {
	values := []store.LogValue{s.logValue(kind, label, x, 0, value)}
	taken, err := s.vouched(ctx, kt.MapLabel(kind, label), x, [][]byte{value}, values)
	if errors.Is(err, proto.Forbidden) {
		return nil
	}
	if err != nil {
		return err
	}
	return s.Store.GiveBackValues(ctx, values, taken)
}

// begin starts a restoration if there is one.
func (r *restoration) begin(c *Restoration) {
	if c != nil {
		r.Restoration, r.done = *c, map[session.Device]bool{}
		r.on.Store(true)
	}
}

// Restoring tells whether the server may write nothing new yet.
func (s *Service) Restoring(ctx context.Context) bool {
	if !s.restoration.on.Load() {
		return false
	}
	over, err := s.restorationOver(ctx, false)
	if err != nil {
		s.Log.Error("the end of the restoring could not be established", "error", err)
	}
	return !over
}

// restorationOver releases the server if nothing is to be waited for any more.
// fresh says that a device has just been done.
func (s *Service) restorationOver(ctx context.Context, fresh bool) (bool, error) {
	r := &s.restoration
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.on.Load() {
		return true, nil
	}
	enough, err := s.enough(ctx, fresh)
	if err != nil || !enough {
		return false, err
	}
	if err := s.log.Resume(ctx); err != nil {
		return false, err
	}
	for _, l := range r.later {
		if err := s.AddToLog(ctx, l.kind, l.label, l.value); err != nil {
			return false, err
		}
	}
	if err := r.Release(ctx); err != nil {
		return false, err
	}
	r.on.Store(false)
	s.Log.Warn("what was given back is all there will be: the server goes on in a new generation", "devices", len(r.done))
	return true, nil
}

// enough tells whether the wait is over.
func (s *Service) enough(ctx context.Context, fresh bool) (bool, error) {
	r := &s.restoration
	if ended, err := r.Ended(ctx); ended || err != nil {
		return ended, err
	}
	if late := s.waited() >= r.Hold; !late {
		if !fresh {
			return false, nil
		}
		if all, err := s.allDone(ctx); !all || err != nil {
			return false, err
		}
	}
	return s.witnessesAgree(ctx), nil
}

// waited is for how long the server has waited since the first device came.
func (s *Service) waited() time.Duration {
	if s.restoration.first.IsZero() {
		return 0
	}
	return s.Clock.Now().Sub(s.restoration.first)
}

// witnessesAgree tells whether the log may go on for all its witnesses say. To go
// on without what they have seen would fork it, so as many of them as clients ask
// for are waited for until the operator says otherwise. Fewer, who may lie, and
// who can have made no client accept anything, are waited for as long once more
// as devices are.
func (s *Service) witnessesAgree(ctx context.Context) bool {
	if len(s.log.Witnesses) == 0 {
		return true
	}
	_, n := s.log.Prove(kt.Index{})
	var ahead, perhaps []kt.NoteKey // know more, or may
	for _, h := range s.log.Hear(ctx) {
		if h.Answered && h.Size > n+1 {
			ahead = append(ahead, h.Witness)
		}
		if !h.Answered || h.Size > n+1 {
			perhaps = append(perhaps, h.Witness)
		}
	}
	switch {
	case len(ahead) == 0:
		return len(perhaps) < len(s.log.Witnesses) // somebody was heard
	case s.asked.most(perhaps, len(s.log.Witnesses)):
		s.tellAhead(ahead, "as many as clients ask for: bring the device that has the rest of the log, or begin a new log (huis restore --new-log)")
		return false
	}
	s.tellAhead(ahead, "fewer than clients ask for: they are waited for as long once more as devices are")
	return s.waited() >= 2*s.restoration.Hold
}

// tellAhead tells the operator, once an hour, which witnesses hold the server up.
func (s *Service) tellAhead(ahead []kt.NoteKey, what string) {
	r := &s.restoration
	if now := s.Clock.Now(); r.told.IsZero() || now.Sub(r.told) >= time.Hour {
		r.told = now
		names := make([]string, len(ahead))
		for i, k := range ahead {
			names[i] = k.Name
		}
		s.Log.Warn("witnesses say that they know more of the log than was given back", "witnesses", names, "which are", what)
	}
}

// allDone tells whether every live device has given back, of every account the
// log knows.
func (s *Service) allDone(ctx context.Context) (bool, error) {
	ids, err := s.Store.AccountIDs(ctx)
	if err != nil || len(s.restoration.done) < len(ids) {
		return false, err
	}
	for _, id := range ids {
		chain, err := s.chain(ctx, id)
		if err != nil {
			return false, err
		}
		for _, d := range chain.Live() {
			if !s.restoration.done[session.Device{Account: id, Device: proto.DeviceID(d.ID)}] {
				return false, nil
			}
		}
	}
	named, err := s.countNames(ctx)
	if err != nil {
		return false, err
	}
	left, err := s.Store.LeftNames(ctx)
	return len(ids)+left >= named, err
}

// countNames counts the names in the log.
func (s *Service) countNames(ctx context.Context) (n int, err error) {
	return n, s.eachBatchEntry(ctx, func(_ uint64, b *kt.BatchEntry) bool {
		if b.Kind == kt.KindAccount && b.Seq == 0 {
			n++
		}
		return true
	})
}

// eachBatchEntry calls f for every change of the map, in order, until it returns
// false.
func (s *Service) eachBatchEntry(ctx context.Context, f func(epoch uint64, b *kt.BatchEntry) bool) error {
	for from := uint64(0); ; {
		page, err := logStore{s.Store}.Epochs(ctx, from, proto.MaxLogEpochs)
		if err != nil || len(page) == 0 {
			return err
		}
		for i := range page {
			for j := range page[i].Batch {
				if !f(page[i].Record.N, &page[i].Batch[j]) {
					return nil
				}
			}
			from = page[i].Record.N + 1
		}
	}
}

// GiveLog takes the end of the log back that the backup did not have. forbidden
// if it is not the end of this log.
func (s *Service) GiveLog(ctx context.Context, r *proto.GiveLogRequest) (*proto.Empty, error) {
	if !s.restoration.on.Load() {
		return &proto.Empty{}, nil // it has the log, or will never
	}
	lost := make([]epochs.Epoch, len(r.Epochs))
	for i, e := range r.Epochs {
		record, err := kt.ParseEpochRecord(e.Record)
		if err == nil {
			err = wire.Decode(e.Batch, batchWire(&lost[i].Batch))
		}
		if err != nil {
			return nil, proto.Refuse(proto.Malformed)
		}
		lost[i].Record = record
	}
	err := s.log.GiveBack(ctx, r.Checkpoint, lost, ktHashes(r.Consistency))
	if err == epochs.ErrNotOurs {
		return nil, proto.Refuse(proto.Forbidden)
	}
	if err != nil || len(r.Policies) == 0 {
		return &proto.Empty{}, err
	}
	return &proto.Empty{}, s.givePolicies(ctx, r.Policies)
}

// givePolicies takes the chain of witness policies back, if the log has exactly
// these as its first ones.
func (s *Service) givePolicies(ctx context.Context, policies [][]byte) error {
	if len(policies) > maxPolicies {
		return proto.Refuse(proto.TooLarge)
	}
	s.policies.Lock()
	defer s.policies.Unlock()
	label := []byte(kt.PolicyLabel)
	x, _ := s.log.Index(kt.KindPolicy, label)
	values := make([]store.LogValue, len(policies))
	for i, p := range policies {
		values[i] = s.logValue(kt.KindPolicy, label, x, uint32(i), p)
	}
	taken, err := s.vouched(ctx, kt.MapLabel(kt.KindPolicy, label), x, policies, values)
	if err != nil {
		return err
	}
	return s.Store.GiveBackValues(ctx, values, taken)
}

// GiveAccount takes an account's chain back, as far as the log vouches for it.
// forbidden if the log does not have exactly these links. It needs no session:
// the server itself put them into its log, and an account the backup does not
// have could not open one. So it tells nobody of a name: a server that was never
// restored looks at none, another answers who does not have the chain as if the
// name were not there.
func (s *Service) GiveAccount(ctx context.Context, r *proto.GiveAccountRequest) (*proto.Empty, error) {
	if s.Whole {
		return &proto.Empty{}, nil
	}
	if !ValidHandle(r.Handle) {
		return nil, proto.Refuse(proto.BadName)
	}
	after, err := kt.Verify(r.Links)
	if err != nil {
		return nil, proto.Refuse(proto.BadChain)
	}
	err = s.giveAccount(ctx, r, after)
	if err == errGoesOn {
		err = s.goOn(ctx, r, after)
	}
	return &proto.Empty{}, err
}

// errGoesOn: a chain continues what a log that was begun anew has of it.
var errGoesOn = errors.New("the chain goes on")

// continues tells whether links go on from what the log has under their name; or,
// under a name that the account took in the lost end, from what it has of the
// account.
func (s *Service) continues(ctx context.Context, id proto.AccountID, there, links [][]byte) bool {
	own, err := s.links(ctx, id) // read in either case: the time tells nothing of the name
	if len(there) == 0 {
		there = own
	}
	if err != nil {
		return false
	}
	return len(there) > 0 && len(there) < len(links) && slices.EqualFunc(there, links[:len(there)], bytes.Equal)
}

// goOn puts the rest of a chain into a log that was begun when its end was lost.
// The account's own devices signed it. forbidden for names between the one the
// log has and the last, which nobody tells.
func (s *Service) goOn(ctx context.Context, r *proto.GiveAccountRequest, after kt.Chain) error {
	id := proto.AccountID(after.Account())
	before, err := s.chain(ctx, id)
	if err != nil {
		return err
	}
	for _, encoded := range r.Links[min(before.Len(), len(r.Links)):] {
		link, err := kt.ParseLink(encoded)
		if err != nil {
			return proto.Refuse(proto.BadChain)
		}
		if err := s.takeOn(ctx, id, r.Handle, link, encoded); err != nil {
			return err
		}
	}
	return s.logged(ctx, r.Handle, r.Links[len(r.Links)-1])
}

// takeOn puts one link more into the log; to is the name after a RENAME.
func (s *Service) takeOn(ctx context.Context, id proto.AccountID, to string, link *kt.Link, encoded []byte) error {
	if link.Type == kt.TypeRename {
		err := s.rename(ctx, id, to, link, encoded)
		if errors.Is(err, proto.BadChain) {
			return proto.Refuse(proto.Forbidden)
		}
		return err
	}
	now, err := s.handle(ctx, id)
	if err != nil {
		return err
	}
	return s.extend(ctx, id, now, link, encoded)
}

func (s *Service) giveAccount(ctx context.Context, r *proto.GiveAccountRequest, after kt.Chain) error {
	lock := s.nameLock(r.Handle)
	lock.Lock()
	defer lock.Unlock()
	id := proto.AccountID(after.Account())
	x, _ := s.log.Index(kt.KindAccount, []byte(r.Handle))
	there, err := s.nameValues(ctx, x)
	switch missing := s.lacks(x, len(there)); {
	case err != nil:
		return err
	case !missing && stand(there, r.Links):
		return nil
	case !missing && s.LogName != "" && s.continues(ctx, id, there, r.Links):
		return errGoesOn
	case !missing: // before the whole log is searched for it
		return proto.Refuse(proto.Forbidden)
	}
	values := s.values(r.Handle, r.Links, 0)
	taken, err := s.vouched(ctx, kt.MapLabel(kt.KindAccount, []byte(r.Handle)), x, r.Links, values)
	if err != nil {
		return err
	}
	if after.Left(x) { // links and account are given with the name it has now
		if err := s.Store.GiveBackValues(ctx, values, taken); err != nil {
			return err
		}
		return s.Store.GiveBackLeft(ctx, s.lookup(r.Handle), id, store.DayOf(s.Clock.Now()))
	}
	joined := x
	if all := after.Renames(); len(all) > 0 {
		joined = all[0].From
	}
	first, err := s.firstName(ctx, joined)
	if err != nil {
		return err
	}
	var gone []proto.DeviceID
	for _, d := range after.Devices() {
		if d.Revoked {
			gone = append(gone, proto.DeviceID(d.ID))
		}
	}
	a := store.Account{ID: id, Lookup: s.lookup(r.Handle), Handle: s.Key.Seal("handle", id[:], []byte(r.Handle)), Admin: first}
	if err := s.Store.GiveBackRename(ctx, a, store.DayOf(s.Clock.Now())); err != nil && !errors.Is(err, proto.NoAccount) {
		return err
	}
	if err := s.Store.GiveBackAccount(ctx, a, r.Links, values, taken, gone); err != nil {
		return err
	}
	for _, d := range gone {
		s.Sessions.EndDevice(id, d)
	}
	return nil
}

// stand tells whether these links follow each other among the values of a name.
func stand(values, links [][]byte) bool {
	for n := 0; n+len(links) <= len(values); n++ {
		if slices.EqualFunc(values[n:n+len(links)], links, bytes.Equal) {
			return true
		}
	}
	return false
}

// vouched returns the epochs that have values as the first ones of a label;
// forbidden if the log does not. It sets the openings of those that are stored.
func (s *Service) vouched(ctx context.Context, label []byte, x kt.Index, raw [][]byte, values []store.LogValue) (taken []uint64, err error) {
	there, err := s.Store.Values(ctx, x, 0, len(raw))
	if err != nil {
		return nil, err
	}
	for i, v := range there {
		values[i].Opening = v.Opening
	}
	openings := make([]kt.Opening, len(values))
	for i := range values {
		openings[i] = values[i].Opening
	}
	want, err := kt.LabelHead(label, openings, raw)
	if err != nil {
		return nil, proto.Refuse(proto.Forbidden)
	}
	taken = make([]uint64, len(raw))
	found := false
	err = s.eachBatchEntry(ctx, func(n uint64, b *kt.BatchEntry) bool {
		if b.Index == x && int(b.Seq) < len(taken) {
			taken[b.Seq] = n
			found = int(b.Seq) == len(taken)-1 && b.NewHead == want
		}
		return !found
	})
	if err == nil && !found {
		err = proto.Refuse(proto.Forbidden)
	}
	return taken, err
}

// firstName tells whether a name is the first one of the log: its account was
// made first, and may invite.
func (s *Service) firstName(ctx context.Context, x kt.Index) (first bool, err error) {
	if s.LogName != "" { // the first epochs of such a log have all accounts there were
		return false, nil
	}
	return first, s.eachBatchEntry(ctx, func(_ uint64, b *kt.BatchEntry) bool {
		first = b.Index == x
		return b.Kind != kt.KindAccount
	})
}

// GiveDone notes that a device has given back all it has.
func (s *Service) GiveDone(ctx context.Context, r *proto.GiveDoneRequest) (*proto.GiveDoneResponse, error) {
	d, err := s.Sessions.Device(r.Session)
	if err != nil {
		return nil, err
	}
	d.Admin = false
	s.restoration.mu.Lock()
	if s.restoration.on.Load() {
		s.restoration.done[d] = true
		if s.restoration.first.IsZero() {
			s.restoration.first = s.Clock.Now()
		}
	}
	s.restoration.mu.Unlock()
	over, err := s.restorationOver(ctx, true)
	return &proto.GiveDoneResponse{Waiting: !over}, err
}

// lacks tells whether the log has more values under a name than the store: the
// rest is still to be given back.
func (s *Service) lacks(x kt.Index, there int) bool {
	leaf, ok := s.log.Has(x)
	return ok && int64(leaf.Seq)+1 > int64(there)
}

// opening hides a value from those who see only commitments. It follows from
// the operator's key, so that it is not lost with the database.
func (s *Service) opening(x kt.Index, seq uint32, value []byte) (o kt.Opening) {
	h := s.Key.Lookup("opening", string(slices.Concat(x[:], binary.BigEndian.AppendUint32(nil, seq), value)))
	copy(o[:], h[:])
	return o
}
