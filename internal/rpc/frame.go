package rpc

import (
	"encoding/binary"
	"encoding/json"
	"errors"
)

// Kind is what a frame is.
type Kind string

// The kinds of frames.
const (
	KindCall   Kind = "call"
	KindOK     Kind = "ok"
	KindErr    Kind = "err"
	KindEvent  Kind = "event"
	KindCancel Kind = "cancel"
)

// Frame is the unit of both directions. Bytes travel raw beside it: transferred
// buffers between threads, and behind the JSON over a socket.
type Frame struct {
	ID      uint32          `json:"id"`
	Kind    Kind            `json:"kind"`
	Method  string          `json:"method,omitempty"`
	Payload json.RawMessage `json:"payload,omitempty"`
	Bytes   []byte          `json:"-"`
}

// maxHeader bounds the JSON of a frame, in bytes; a page of 200 messages of
// full length fits.
const maxHeader = 32 << 20

var errFrame = errors.New("rpc: malformed frame")

// Encode gives the frame as one message of a socket: the length of the JSON in
// four bytes, most significant first, the JSON, the bytes.
func (f *Frame) Encode() ([]byte, error) {
	head, err := json.Marshal(f)
	if err != nil {
		return nil, err
	}
	b := make([]byte, 0, 4+len(head)+len(f.Bytes))
	b = binary.BigEndian.AppendUint32(b, uint32(len(head)))
	return append(append(b, head...), f.Bytes...), nil
}

// ParseFrame reads Encode. Bytes is a part of b.
func ParseFrame(b []byte) (f Frame, err error) {
	if len(b) < 4 {
		return f, errFrame
	}
	n := int(binary.BigEndian.Uint32(b))
	if n > maxHeader || n > len(b)-4 {
		return f, errFrame
	}
	if json.Unmarshal(b[4:4+n], &f) != nil || !f.Kind.known() {
		return f, errFrame
	}
	if rest := b[4+n:]; len(rest) > 0 {
		f.Bytes = rest
	}
	return f, nil
}

func (k Kind) known() bool {
	switch k {
	case KindCall, KindOK, KindErr, KindEvent, KindCancel:
		return true
	}
	return false
}
