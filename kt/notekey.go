package kt

import (
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// LogText returns the key in the text form of C2SP signed-note, as the key of a
// log: NAME+HASH+KEY.
func (k NoteKey) LogText() string { return k.text(algLog) }

// WitnessText returns the key in the same form, as the key of a witness.
func (k NoteKey) WitnessText() string { return k.text(algCosignature) }

func (k NoteKey) text(alg byte) string {
	return fmt.Sprintf("%s+%08x+%s", k.Name, k.keyHash(alg), base64.StdEncoding.EncodeToString(append([]byte{alg}, k.Key[:]...)))
}

// ParseLogKey reads what LogText gave.
func ParseLogKey(text string) (NoteKey, error) { return parseNoteKey(text, algLog) }

// ParseWitnessKey reads what WitnessText gave.
func ParseWitnessKey(text string) (NoteKey, error) { return parseNoteKey(text, algCosignature) }

func parseNoteKey(text string, alg byte) (NoteKey, error) {
	parts := strings.SplitN(text, "+", 3) // the key itself may have a plus
	if len(parts) != 3 || checkKeyName(parts[0]) != nil {
		return NoteKey{}, errors.New("kt: not a key of the form NAME+HASH+KEY")
	}
	hash, err := strconv.ParseUint(parts[1], 16, 32)
	b, err2 := base64.StdEncoding.Strict().DecodeString(parts[2])
	if err != nil || err2 != nil || len(parts[1]) != 8 || len(b) != 1+ed25519.PublicKeySize {
		return NoteKey{}, errors.New("kt: not a key of the form NAME+HASH+KEY")
	}
	k := NoteKey{Name: parts[0], Key: [ed25519.PublicKeySize]byte(b[1:])}
	switch {
	case b[0] != alg:
		return NoteKey{}, fmt.Errorf("kt: the key of %s is for another use", k.Name)
	case uint32(hash) != k.keyHash(alg):
		return NoteKey{}, fmt.Errorf("kt: the key of %s has a typing mistake", k.Name)
	}
	return k, nil
}

func checkKeyName(name string) error {
	if name == "" || len(name) > maxOrigin || strings.ContainsAny(name, " +\n\r\t") {
		return errors.New("kt: the name of a note key must not be empty or have spaces or plus signs")
	}
	return nil
}
