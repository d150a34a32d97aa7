package proto

import "codeberg.org/huis/huis/internal/wire"

// MaxPolicy bounds an encoded witness policy, in bytes.
const MaxPolicy = 32 << 10

// PolicyPutRequest puts a kt.SignedPolicy into the log: the first of a server's
// chain, or the next. It is got back by log_entry.
type PolicyPutRequest struct {
	Session SessionID
	Policy  []byte
}

// Wire codes the request.
func (r *PolicyPutRequest) Wire(c *wire.Codec) {
	r.Session.Wire(c)
	wire.OpaqueMax(c, &r.Policy, MaxPolicy)
}
