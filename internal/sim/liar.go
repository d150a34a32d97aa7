package sim

import (
	"context"
	"crypto/ed25519"
	"slices"

	"codeberg.org/huis/huis/internal/proto"
)

// Liar is a server that lies to one device about one conversation's log. It
// holds the honest server's stamp key: what it says is well stamped.
type Liar struct {
	Victim       string
	Conversation proto.ConversationID
	// Lie alters what a read answers; nil tells the truth.
	Lie func(l *Liar, resp *proto.ReadResponse)
	// Told counts the answers that were lies.
	Told int

	stamp    ed25519.PrivateKey
	sessions map[proto.SessionID]bool // of the victim in that conversation
}

// NewLiar lies to victim with the server's own stamp key.
func (w *World) NewLiar(victim string, conv proto.ConversationID, lie func(*Liar, *proto.ReadResponse)) (*Liar, error) {
	keys, err := w.Server.store.StampKeys(context.Background())
	if err != nil {
		return nil, err
	}
	last := keys[len(keys)-1]
	seed, err := w.Server.key.Open("stamp key", last.KID[:], last.Sealed)
	if err != nil {
		return nil, err
	}
	l := &Liar{Victim: victim, Conversation: conv, Lie: lie, stamp: ed25519.NewKeyFromSeed(seed), sessions: make(map[proto.SessionID]bool)}
	w.Net.Liar = l.answer
	return l, nil
}

func (l *Liar) answer(device string, _ proto.Method, req, resp proto.Message) error {
	if device != l.Victim || l.Lie == nil {
		return nil
	}
	if open, ok := resp.(*proto.OpenResponse); ok && req.(*proto.OpenRequest).Conversation == l.Conversation {
		l.sessions[open.Session] = true
	}
	read, ok := resp.(*proto.ReadResponse)
	if !ok || !l.sessions[req.(*proto.ReadRequest).Session] {
		return nil
	}
	before := proto.ReadResponse{Entries: slices.Clone(read.Entries), HeadSeq: read.HeadSeq, Epoch: read.Epoch}
	l.Lie(l, read)
	if !sameAnswer(&before, read) {
		l.Told++
	}
	return nil
}

func sameAnswer(a, b *proto.ReadResponse) bool {
	x, errX := proto.Encode(a)
	y, errY := proto.Encode(b)
	return errX == nil && errY == nil && slices.Equal(x, y)
}

// restamp makes the entries follow each other from the first one's place on.
func (l *Liar) restamp(entries []proto.Stamped) {
	if len(entries) == 0 {
		return
	}
	seq, chain := entries[0].Receipt.Seq, entries[0].Receipt.ChainPrev
	for i := range entries {
		r := &entries[i].Receipt
		r.Seq, r.ChainPrev = seq, chain
		chain, _ = r.Sign(&entries[i].Entry, l.stamp)
		seq++
	}
}

// The lies. Each keeps well-formed what it can.

// LieDrop leaves out an entry from the middle and says nothing about it.
func LieDrop(_ *Liar, r *proto.ReadResponse) {
	if n := len(r.Entries); n >= 3 {
		r.Entries = slices.Delete(r.Entries, n/2, n/2+1)
	}
}

// LieSwap gives two entries in the wrong order.
func LieSwap(_ *Liar, r *proto.ReadResponse) {
	if n := len(r.Entries); n >= 2 {
		r.Entries[n-1], r.Entries[n-2] = r.Entries[n-2], r.Entries[n-1]
	}
}

// LieReplay gives the last entry a second time, stamped anew.
func LieReplay(l *Liar, r *proto.ReadResponse) {
	if n := len(r.Entries); n >= 1 && r.Entries[n-1].Entry.Kind == proto.KindApplication {
		r.Entries = append(r.Entries, r.Entries[n-1])
		l.restamp(r.Entries[n-1:])
		r.Entries[n].Receipt.Seq = r.Entries[n-1].Receipt.Seq + 1
		r.HeadSeq++
	}
}

// LieAlter flips one bit of an entry.
func LieAlter(_ *Liar, r *proto.ReadResponse) {
	if n := len(r.Entries); n >= 1 {
		e := &r.Entries[n-1].Entry
		e.Bytes = slices.Clone(e.Bytes)
		e.Bytes[len(e.Bytes)-1] ^= 1
	}
}

// LieRestamp flips one bit and stamps the result as its own.
func LieRestamp(l *Liar, r *proto.ReadResponse) {
	LieAlter(l, r)
	if n := len(r.Entries); n >= 1 {
		l.restamp(r.Entries[n-1:])
	}
}

// LieDamage flips one bit of a submitter's signature.
func LieDamage(_ *Liar, r *proto.ReadResponse) {
	if n := len(r.Entries); n >= 1 {
		r.Entries[n-1].Entry.Sig[9] ^= 1
	}
}

// LieUnsigned stamps an entry with a signature that is nobody's.
func LieUnsigned(l *Liar, r *proto.ReadResponse) {
	LieDamage(l, r)
	if n := len(r.Entries); n >= 1 {
		l.restamp(r.Entries[n-1:])
	}
}

// LieAttribute says that another entry's member key submitted the last one.
func LieAttribute(l *Liar, r *proto.ReadResponse) {
	n := len(r.Entries)
	if n < 2 {
		return
	}
	for i := range n - 1 {
		if mk := r.Entries[i].Entry.MK; mk != r.Entries[n-1].Entry.MK {
			r.Entries[n-1].Entry.MK = mk
			l.restamp(r.Entries[n-1:])
			return
		}
	}
}

// LieRollBack says that the log is shorter than it was.
func LieRollBack(_ *Liar, r *proto.ReadResponse) {
	r.Entries = nil
	r.HeadSeq = 1
}
