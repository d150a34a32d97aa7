package proto

import "codeberg.org/huis/huis/internal/wire"

// ReleasePutRequest enters a release of the program into the log, by the SHA-256
// of its SHA256SUMS: admins may. It is got back by log_entry.
type ReleasePutRequest struct {
	Session SessionID
	Sum     Hash
}

// Wire codes the request.
func (r *ReleasePutRequest) Wire(c *wire.Codec) {
	r.Session.Wire(c)
	r.Sum.Wire(c)
}
