package client

import (
	"context"
	"crypto/sha256"
	"fmt"

	"codeberg.org/huis/huis/internal/proto"
)

// putBlob uploads a small blob through the conversation's session. Doing it
// again with the same bytes changes nothing.
func (c *Client) putBlob(ctx context.Context, conv proto.ConversationID, id proto.BlobID, b []byte) error {
	return putParts(c.inConv(ctx, conv), id, b)
}

// caller makes requests of the session it belongs to.
type caller func(proto.Method, func(proto.SessionID) proto.Message, proto.Message) error

// inConv calls in the conversation's session.
func (c *Client) inConv(ctx context.Context, id proto.ConversationID) caller {
	return func(m proto.Method, build func(proto.SessionID) proto.Message, resp proto.Message) error {
		return c.callConv(ctx, id, m, build, resp)
	}
}

// putParts uploads what of a blob is not there yet.
func putParts(call caller, id proto.BlobID, b []byte) error {
	err := call(proto.BlobBegin, func(s proto.SessionID) proto.Message {
		return &proto.BlobBeginRequest{Session: s, ID: id, Size: uint64(len(b)), Hash: sha256.Sum256(b)}
	}, &proto.Empty{})
	if err != nil {
		return err
	}
	var stat proto.BlobStatResponse
	err = call(proto.BlobStat, func(s proto.SessionID) proto.Message {
		return &proto.BlobStatRequest{Session: s, ID: id}
	}, &stat)
	if err != nil || stat.Done {
		return err
	}
	for n := 0; n*proto.MaxBlobPart < len(b); n++ {
		if stat.Has(uint32(n)) {
			continue
		}
		part := b[n*proto.MaxBlobPart : min(len(b), (n+1)*proto.MaxBlobPart)]
		err := call(proto.BlobPut, func(s proto.SessionID) proto.Message {
			return &proto.BlobPutRequest{Session: s, ID: id, Part: uint32(n), Bytes: part}
		}, &proto.Empty{})
		if err != nil {
			return err
		}
	}
	return call(proto.BlobFinish, func(s proto.SessionID) proto.Message {
		return &proto.BlobFinishRequest{Session: s, ID: id}
	}, &proto.Empty{})
}

// getBlob reads a whole blob of exactly size bytes, at most max, into memory.
func (c *Client) getBlob(ctx context.Context, id proto.BlobID, size uint64, max int) ([]byte, error) {
	return c.getBlobOn(ctx, Conversations, id, size, max)
}

func (c *Client) getBlobOn(ctx context.Context, lane Lane, id proto.BlobID, size uint64, max int) ([]byte, error) {
	if size > uint64(max) {
		return nil, fmt.Errorf("%w: blob of %d bytes", ErrTooLarge, size)
	}
	b := make([]byte, 0, min(size, 1<<20))
	for uint64(len(b)) < size {
		var got proto.BlobGetResponse
		n := min(size-uint64(len(b)), proto.MaxBlobPart)
		err := c.call(ctx, lane, proto.BlobGet, &proto.BlobGetRequest{ID: id, Offset: uint64(len(b)), Length: uint32(n)}, &got)
		if err != nil {
			return nil, err
		}
		if got.Size != size || len(got.Bytes) == 0 || uint64(len(got.Bytes)) > n {
			return nil, fmt.Errorf("blob of another size than announced")
		}
		b = append(b, got.Bytes...)
	}
	return b, nil
}
