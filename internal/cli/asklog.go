package cli

import (
	"bytes"
	"errors"
	"slices"
	"time"

	"codeberg.org/huis/huis/internal/client"
	"codeberg.org/huis/huis/internal/httpapi/dial"
	"codeberg.org/huis/huis/internal/proto"
	"codeberg.org/huis/huis/internal/wire"
	"codeberg.org/huis/huis/kt"
)

// logAnswer is what a server's log says of a release, to somebody who names no
// account.
type logAnswer struct {
	Holds     bool
	Origin    string
	Key       string
	Size      uint64
	Witnesses int  // who cosigned that size
	Vouched   bool // they are as many as the log's newest policy wants, not longer than a day ago
}

// vouchAge is how old cosignatures may be.
const vouchAge = 24 * time.Hour

// askLog asks a server's log for a release, and verifies what it answers; a
// *client.SafetyError with that fix says that it is not true.
func askLog(e *env, ref client.ServerRef, label []byte, sum kt.Hash, fix string) (a logAnswer, err error) {
	server, err := dial.New(ref)
	if err != nil {
		return a, err
	}
	call := func(m proto.Method, req, resp proto.Message) error {
		return server.Call(e.ctx, client.Anonymous, m, req, resp)
	}
	var info proto.InfoResponse
	if err := call(proto.Info, new(proto.InfoRequest), &info); err != nil {
		return a, err
	}
	log := kt.NoteKey{Name: info.Origin, Key: info.LogKey}
	if known := new(verifyCommand).pinned(e, log); known != nil && !*known && e.ofProfile(ref) {
		return a, &client.SafetyError{Reason: "the server shows another log key than this device pinned", Fix: fix}
	}
	for range 3 { // the log may grow in between
		var head proto.LogHeadResponse
		var entry, policies proto.LogEntryResponse
		err := errors.Join(
			call(proto.LogEntry, &proto.LogEntryRequest{Kind: uint8(kt.KindRelease), Label: label}, &entry),
			call(proto.LogEntry, &proto.LogEntryRequest{Kind: uint8(kt.KindPolicy), Label: []byte(kt.PolicyLabel)}, &policies),
			call(proto.LogHead, new(proto.LogHeadRequest), &head))
		if err != nil {
			return a, err
		}
		record, err := kt.ParseEpochRecord(head.Record)
		if err != nil {
			return a, err
		}
		if entry.Proof.Epoch != record.N || policies.Proof.Epoch != record.N {
			continue
		}
		vrf := kt.VRFPublicKey(info.VRFKey)
		err = errors.Join(a.verify(log, vrf, record, &head, &policies), entryHolds(vrf, kt.KindRelease, label, record, &entry))
		if err != nil {
			return a, &client.SafetyError{Reason: "what the server shows of its log is not true: " + printable(err.Error()), Fix: fix}
		}
		a.Holds = slices.ContainsFunc(entry.Values, func(v []byte) bool { return bytes.Equal(v, sum[:]) })
		return a, nil
	}
	return a, &hinted{errors.New("the server's log grows faster than it can be read"), "try again"}
}

// ofProfile tells whether the profile is of that server.
func (e *env) ofProfile(ref client.ServerRef) bool {
	c, err := e.open()
	if err != nil {
		return false
	}
	defer func() { _ = c.Close() }() // only read
	return c.Server().URL == ref.URL
}

// verify checks what the server shows of its newest epoch.
func (a *logAnswer) verify(log kt.NoteKey, vrf kt.VRFPublicKey, r kt.EpochRecord, head *proto.LogHeadResponse, policies *proto.LogEntryResponse) error {
	if err := entryHolds(vrf, kt.KindPolicy, []byte(kt.PolicyLabel), r, policies); err != nil {
		return err
	}
	var policy *kt.Policy
	var witnesses []kt.NoteKey
	if n := len(policies.Values); n > 0 {
		last, err := kt.ParseSignedPolicy(policies.Values[n-1])
		if err != nil {
			return err
		}
		policy, witnesses = &last.Policy, last.Policy.Witnesses
	}
	signed, err := kt.VerifyCheckpoint(head.Checkpoint, log, witnesses)
	if err != nil {
		return err
	}
	proof := make([]kt.Hash, len(head.Inclusion))
	for i, h := range head.Inclusion {
		proof[i] = kt.Hash(h)
	}
	if err := kt.CheckInclusion(proof, signed.Size, signed.Root, r.N, r.LeafHash()); err != nil {
		return err
	}
	a.Origin, a.Key, a.Size, a.Witnesses = log.Name, log.LogText(), signed.Size, len(signed.Cosignatures)
	a.Vouched = policy == nil || policy.Unwitnessed() || policy.Satisfied(signed.Cosignatures, time.Now(), vouchAge)
	return nil
}

func entryHolds(vrf kt.VRFPublicKey, kind kt.MapKind, label []byte, r kt.EpochRecord, got *proto.LogEntryResponse) error {
	p := kt.LabelProof{VRF: got.Proof.VRF}
	for _, o := range got.Proof.Openings {
		p.Openings = append(p.Openings, o)
	}
	if err := wire.Decode(got.Proof.Map, p.Map.Wire); err != nil {
		return err
	}
	_, err := p.Verify(vrf, kind, label, r.MapRoot, got.Values)
	return err
}
