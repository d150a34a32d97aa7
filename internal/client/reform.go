package client

import "codeberg.org/huis/huis/internal/proto"

// applyReform records that the conversation goes on as another.
func (t *tx) applyReform(cv *conversation, s *proto.Stamped, n *proto.Notice) error { return nil }

// predecessor checks a conversation that says which one it continues.
func (t *tx) predecessor(cv *conversation) error { return nil }

// reformNotice returns the notice that a planned successor puts into its
// predecessor's log, nil if it continues none.
func (t *tx) reformNotice(cv *conversation) (*proto.Entry, error) { return nil, nil }
