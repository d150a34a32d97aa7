package proto

import "codeberg.org/huis/huis/internal/wire"

// NamePlaceRequest asks where in the log's map a handle is that the session's
// account wants to be called.
type NamePlaceRequest struct {
	Session SessionID
	Handle  string
}

// Wire codes the request.
func (r *NamePlaceRequest) Wire(c *wire.Codec) {
	r.Session.Wire(c)
	wire.String(c, &r.Handle, MaxHandle)
}

// NamePlaceResponse proves the place.
type NamePlaceResponse struct {
	VRF [80]byte // kt.VRFProof of the handle's label
}

// Wire codes the answer.
func (r *NamePlaceResponse) Wire(c *wire.Codec) { wire.Fixed(c, r.VRF[:]) }

// RenameRequest gives the session's account another name.
type RenameRequest struct {
	Session SessionID
	Handle  string
	Link    []byte // RENAME from the place of the present handle to that of Handle
}

// Wire codes the request.
func (r *RenameRequest) Wire(c *wire.Codec) {
	r.Session.Wire(c)
	wire.String(c, &r.Handle, MaxHandle)
	wire.OpaqueMax(c, &r.Link, MaxLink)
}
