package rpc

import (
	"encoding/binary"
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
	ID      uint32 `json:"id"`
	Kind    Kind   `json:"kind"`
	Method  string `json:"method,omitempty"`
	Payload []byte `json:"payload,omitempty"` // JSON
	Bytes   []byte `json:"-"`
}

// maxHeader bounds the JSON of a frame, in bytes; a page of 200 messages of
// full length fits.
const maxHeader = 32 << 20

var errFrame = errors.New("rpc: malformed frame")

// Encode gives the frame as one message of a socket: the length of the JSON in
// four bytes, most significant first, the JSON, the bytes.
func (f *Frame) Encode() []byte {
	head := encode(f)
	b := make([]byte, 0, 4+len(head)+len(f.Bytes))
	b = binary.BigEndian.AppendUint32(b, uint32(len(head)))
	return append(append(b, head...), f.Bytes...)
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
	if f, err = ParseJSON(b[4 : 4+n]); err != nil {
		return f, err
	}
	if rest := b[4+n:]; len(rest) > 0 {
		f.Bytes = rest
	}
	return f, nil
}

// JSON gives the frame without Bytes.
func (f *Frame) JSON() []byte { return encode(f) }

// ParseJSON reads JSON.
func ParseJSON(b []byte) (f Frame, err error) {
	if decode(b, &f) != nil || !f.Kind.known() {
		return f, errFrame
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
