package kt

import (
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"
)

func TestNoteKeysAreThoseOfSignedNote(t *testing.T) {
	for i := range 40 { // some keys have a plus in their base64
		k := signer(t, "example.org/huis", byte(i)).Public()
		v, err := note.NewVerifier(k.LogText())
		if err != nil || v.Name() != k.Name || v.KeyHash() != k.keyHash(algLog) {
			t.Fatalf("%s: %v", k.LogText(), err)
		}
		if got, err := ParseLogKey(k.LogText()); err != nil || got != k {
			t.Fatal(err)
		}
		if got, err := ParseWitnessKey(k.WitnessText()); err != nil || got != k {
			t.Fatal(err)
		}
		if _, err := ParseLogKey(k.WitnessText()); err == nil {
			t.Error("a witness's key taken for a log's")
		}
	}
	good := signer(t, "example.org/huis", 1).Public().LogText()
	for _, bad := range []string{"", "a+b", strings.Replace(good, "example", "exomple", 1), good + "A", strings.ToUpper(good)} {
		if _, err := ParseLogKey(bad); err == nil {
			t.Errorf("%q accepted", bad)
		}
	}
}
