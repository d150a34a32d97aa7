package kt

import (
	"reflect"
	"slices"
	"testing"
)

// TestRestoreVerifiesAllButSignatures: what was verified comes back as it was; what
// breaks another rule than a signature's is refused all the same, and what is
// appended afterwards is verified whole.
func TestRestoreVerifiesAllButSignatures(t *testing.T) {
	signatures := 0
	for _, c := range refusals(t) {
		var whole Chain
		if len(c.before) > 0 {
			verified, err := Verify(c.before)
			if err != nil {
				t.Fatal(err)
			}
			if whole, err = Restore(c.before); err != nil || !reflect.DeepEqual(whole, verified) {
				t.Fatalf("%s: what was verified is restored as another chain: %v", c.name, err)
			}
		}
		_, err := whole.Append(c.link)
		wantRule(t, c.name+", appended", err, c.rule)
		_, err = Restore(append(slices.Clone(c.before), c.link))
		if c.rule == "signature" || c.rule == "proof" {
			signatures++
			continue
		}
		wantRule(t, c.name+", restored", err, c.rule)
	}
	if signatures == 0 {
		t.Fatal("no refusal is about a signature")
	}
	if _, err := Restore(nil); err == nil {
		t.Error("no links are a chain")
	}
}
