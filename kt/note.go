package kt

import (
	"crypto/ed25519"
	"fmt"

	"golang.org/x/mod/sumdb/note"
)

// SignNote signs a text that is no checkpoint (C2SP signed-note, Ed25519); it
// ends with a line break. A key that does so signs no log.
func (s *NoteSigner) SignNote(text string) []byte {
	return appendSignature([]byte(text+"\n"), s.name, s.Public().keyHash(algLog), ed25519.Sign(s.key, []byte(text)))
}

// VerifyNote returns the text of a note of at most 1 MB that the key signed.
// Signatures by other keys are passed over.
func VerifyNote(msg []byte, by NoteKey) (text string, err error) {
	n, err := note.Open(msg, note.VerifierList(&noteVerifier{key: by, alg: algLog}))
	if err != nil {
		return "", fmt.Errorf("kt: a signed note: %w", err)
	}
	return n.Text, nil
}
