package sim

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"codeberg.org/huis/huis/internal/client"
	"codeberg.org/huis/huis/internal/proto"
)

// Faults is how bad the network is. Probabilities are per request.
type Faults struct {
	Drop       float64 // the request never arrives
	LoseAnswer float64 // it is executed and the answer never arrives
	Duplicate  float64 // it is executed twice; the second answer arrives
	Late       float64 // it is executed, and once more up to LateBy afterwards
	LateBy     time.Duration
	DelayMin   time.Duration // of each direction; reorders what is under way together
	DelayMax   time.Duration
	Timeout    time.Duration // until a caller gives up
}

// Calm is a network that only takes its time.
var Calm = Faults{DelayMin: time.Millisecond, DelayMax: 40 * time.Millisecond, Timeout: 10 * time.Second}

// Rough loses and repeats about one request in ten.
var Rough = Faults{
	Drop: 0.04, LoseAnswer: 0.04, Duplicate: 0.03, Late: 0.03, LateBy: 3 * time.Minute,
	DelayMin: time.Millisecond, DelayMax: 2 * time.Second, Timeout: 10 * time.Second,
}

// Network carries the requests of all devices to one server and watches them.
type Network struct {
	Faults Faults
	Seals  *Seals
	// Liar alters answers on their way, nil = nobody does.
	Liar func(device string, m proto.Method, req, resp proto.Message) error

	// Slow adds to the time a request is under way, nil = nothing.
	Slow func(device string, m proto.Method) time.Duration
	// Unseen is a device the liar answers: what it is told is no evidence.
	Unseen string

	sched *Sched
	seen  *observer
	exec  func(ctx context.Context, remote netip.Addr, m proto.Method, body []byte) ([]byte, error)
	calls int
}

// Line is one process's client.Transport.
type Line struct {
	net    *Network
	device string
	volume *Volume
	cut    *bool // the device has no network at all
}

// Call implements client.Transport.
func (l *Line) Call(ctx context.Context, lane client.Lane, m proto.Method, req, resp proto.Message) error {
	if l.volume.Dead || ctx.Err() != nil {
		return fmt.Errorf("%w: the process ends", client.ErrUnreachable)
	}
	if wantLane(m) != lane && !eitherLane(m) {
		panic(fmt.Sprintf("sim: %s travels on lane %d", m, lane)) // a bug that links accounts to conversations
	}
	l.net.calls++
	hold := fetchWait(req)
	body, err := proto.Encode(req)
	if err != nil {
		return err
	}
	l.net.leaves(l.device, req)
	answer, err := l.deliver(ctx, m, req, body)
	if err != nil {
		l.trace(m, body, err)
		return err
	}
	decoded(answer, resp)
	if hold > 0 && nothingFetched(resp) {
		l.net.sched.Sleep(hold) // what a long poll would have waited
	}
	if l.net.Liar != nil {
		err = l.net.Liar(l.device, m, req, resp)
	}
	if read, ok := resp.(*proto.ReadResponse); ok && err == nil && l.device != l.net.Unseen {
		l.net.seen.reached(l.device, read)
	}
	l.trace(m, body, err)
	return err
}

// deliver takes the request to the server and the answer back, or not.
func (l *Line) deliver(ctx context.Context, m proto.Method, req proto.Message, body []byte) ([]byte, error) {
	n, f := l.net, l.net.Faults
	under := n.sched.Between(f.DelayMin, f.DelayMax)
	if n.Slow != nil {
		under += n.Slow(l.device, m)
	}
	n.sched.Sleep(under)
	if *l.cut || n.sched.Chance(f.Drop) {
		return nil, l.timeout("request lost")
	}
	answer, err := n.execute(ctx, l.device, m, req, body)
	if n.sched.Chance(f.Duplicate) {
		n.sched.Trace.Add(l.device, "%s arrives twice", m)
		answer, err = n.execute(ctx, l.device, m, req, body)
	}
	if n.sched.Chance(f.Late) {
		n.late(l.device, m, req, body)
	}
	n.sched.Sleep(n.sched.Between(f.DelayMin, f.DelayMax))
	if errors.Is(err, client.ErrUnreachable) || *l.cut || n.sched.Chance(f.LoseAnswer) {
		return nil, l.timeout("answer lost")
	}
	return answer, err
}

// late executes a copy of the request some time from now.
func (n *Network) late(device string, m proto.Method, req proto.Message, body []byte) {
	wait := n.sched.Between(0, n.Faults.LateBy)
	n.sched.Go("late "+string(m), func() {
		n.sched.Sleep(wait)
		n.sched.Trace.Add(device, "%s arrives once more", m)
		_, _ = n.execute(context.Background(), device, m, req, body)
	}, nil)
}

func (l *Line) timeout(why string) error {
	l.net.sched.Sleep(l.net.Faults.Timeout)
	return fmt.Errorf("%w: %s", client.ErrUnreachable, why)
}

// execute runs the request on the server and notes a positive answer: from then
// on the server is bound by it, whether it arrives or not.
func (n *Network) execute(ctx context.Context, device string, m proto.Method, req proto.Message, body []byte) ([]byte, error) {
	answer, err := n.exec(ctx, remoteOf(device), m, body)
	if err == nil && device != n.Unseen {
		n.seen.executed(device, req, answer)
	}
	return answer, err
}

// leaves records the ciphertexts that go out with a request.
func (n *Network) leaves(device string, req proto.Message) {
	switch r := req.(type) {
	case *proto.CommitRequest:
		n.Seals.Left(device, r.Entry.Bytes)
	case *proto.AppendRequest:
		n.Seals.Left(device, r.Entry.Bytes)
	}
}

func (l *Line) trace(m proto.Method, body []byte, err error) {
	sum := sha256.Sum256(body)
	if err != nil {
		l.net.sched.Trace.Add(l.device, "%s %x: %v", m, sum[:3], err)
		return
	}
	l.net.sched.Trace.Add(l.device, "%s %x", m, sum[:3])
}

// hintEvery is how often Listen wakes its client: in a simulation nobody pushes.
const hintEvery = 5 * time.Second

// Listen implements client.Transport: it hints each session now and then,
// which is all a client may rely on, since hints may be lost.
func (l *Line) Listen(ctx context.Context, lane client.Lane, sub proto.Subscribe, hint func(proto.Hint)) error {
	for {
		l.net.sched.Sleep(hintEvery)
		if l.volume.Dead || ctx.Err() != nil {
			return fmt.Errorf("%w: the process ends", client.ErrUnreachable)
		}
		for _, s := range sub.Sessions {
			hint(proto.Hint{Session: s})
		}
	}
}

// wantLane is the lane protocol, section 14, puts a method on.
func wantLane(m proto.Method) client.Lane {
	switch m {
	case proto.Info, proto.GetNonce, proto.InviteCheck, proto.Register, proto.MailboxPost, proto.MailboxFetch,
		proto.LogHead, proto.LogEntry, proto.Recover, proto.GiveLog, proto.GiveAccount:
		return client.Anonymous
	case proto.AccountOpen, proto.Invite, proto.ChainAppend, proto.Veto, proto.NamePlace, proto.Rename, proto.Lookup, proto.ChainProof, proto.LogEpochs, proto.Publish,
		proto.PackageCount, proto.Claim, proto.InboxPost, proto.InboxFetch, proto.InboxAck, proto.CreateToken,
		proto.PolicyPut, proto.ReleasePut, proto.BackupGet, proto.BackupSet, proto.GiveDone:
		return client.Account
	}
	return client.Conversations
}

// eitherLane are the requests every lane needs: info and nonces, and blobs,
// which an account has for its backup.
func eitherLane(m proto.Method) bool {
	switch m {
	case proto.Info, proto.GetNonce, proto.BlobBegin, proto.BlobPut, proto.BlobStat, proto.BlobFinish, proto.BlobGet, proto.Pin, proto.Unpin:
		return true
	}
	return false
}

// longestPoll is what a server waits at most.
const longestPoll = 30 * time.Second

// fetchWait takes the long poll out of a request, since the server would wait in
// real time, and returns how long it was to be.
func fetchWait(req proto.Message) time.Duration {
	var ms *uint32
	switch r := req.(type) {
	case *proto.MailboxFetchRequest:
		ms = &r.WaitMillis
	case *proto.InboxFetchRequest:
		ms = &r.WaitMillis
	default:
		return 0
	}
	wait := min(time.Duration(*ms)*time.Millisecond, longestPoll)
	*ms = 0
	return wait
}

func nothingFetched(resp proto.Message) bool {
	switch r := resp.(type) {
	case *proto.MailboxFetchResponse:
		return len(r.Items) == 0
	case *proto.InboxFetchResponse:
		return len(r.Items) == 0
	}
	return false
}
