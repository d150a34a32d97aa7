package client

import (
	"encoding/hex"
	"fmt"

	"codeberg.org/huis/huis/internal/proto"
)

func parseConversation(s string) (id proto.ConversationID, err error) {
	return id, parseHex(id[:], s)
}

// parseHex fills id from exactly as many bytes in hex.
func parseHex(id []byte, s string) error {
	b, err := hex.DecodeString(s)
	if err != nil || len(b) != len(id) {
		return fmt.Errorf("not %d bytes in hexadecimal", len(id))
	}
	copy(id, b)
	return nil
}
