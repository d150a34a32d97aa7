package kt

import (
	"strings"
	"testing"
)

func TestFingerprintsAreOfOneLog(t *testing.T) {
	log, vrf := NoteKey{Name: "a.example", Key: [32]byte{1}}, VRFPublicKey{2}
	own := Fingerprint(log, vrf)
	if len(own) != 39 || !SameFingerprint(own, " "+strings.ToUpper(strings.ReplaceAll(own, "-", " "))+"\n") {
		t.Errorf("%q is not itself", own)
	}
	others := []string{
		Fingerprint(NoteKey{Name: "a.example/log-1", Key: log.Key}, vrf),
		Fingerprint(NoteKey{Name: log.Name, Key: [32]byte{3}}, vrf),
		Fingerprint(log, VRFPublicKey{3}),
		"", own[:34], own + "0",
	}
	for _, o := range others {
		if SameFingerprint(own, o) {
			t.Errorf("%q counts as %q", o, own)
		}
	}
}
