package client

import "codeberg.org/huis/huis/internal/proto"

// applyReform records that the conversation goes on as another.
func (t *tx) applyReform(cv *conversation, s *proto.Stamped, n *proto.Notice) error { return nil }

// predecessor checks a conversation that says which one it continues.
func (t *tx) predecessor(cv *conversation) error { return nil }
