package kt

import (
	"reflect"
	"strings"
	"testing"
)

func witnessKey(name string, b byte) NoteKey { return NoteKey{Name: name, Key: [32]byte{b}} }

func TestWitnessSetsAsText(t *testing.T) {
	a, b, c := witnessKey("a.example", 1), witnessKey("b.example", 2), witnessKey("c.example/witness", 3)
	log := NoteKey{Name: "log.example", Key: [32]byte{9}}
	text := "# who looks after us\nlog " + log.LogText() + " https://log.example\n" +
		"witness A " + a.WitnessText() + " https://a.example\nwitness B " + b.WitnessText() + "\nwitness C " + c.WitnessText() + "\n" +
		"group two 2 A B C # any two\n\nquorum two\n"
	set, err := ParseWitnessSet(text)
	if err != nil {
		t.Fatal(err)
	}
	want := WitnessSet{[]NoteKey{a, b, c}, []WitnessGroup{{"two", 2, []string{a.Name, b.Name, c.Name}}}, "two", []NoteKey{log}}
	if !reflect.DeepEqual(set, want) {
		t.Fatalf("read %+v", set)
	}
	again, err := ParseWitnessSet(set.Text())
	if err != nil || !reflect.DeepEqual(again, want) {
		t.Errorf("written and read: %+v, %v", again, err)
	}
	for what, bad := range map[string]string{
		"no quorum":            "witness A " + a.WitnessText() + "\n",
		"two quorums":          "quorum none\nquorum none\n",
		"an unknown quorum":    "quorum A\n",
		"an unknown member":    "group g 1 A\nquorum g\n",
		"a group above all":    "witness A " + a.WitnessText() + "\ngroup g 2 A\nquorum g\n",
		"a threshold of none":  "witness A " + a.WitnessText() + "\ngroup g 0 A\nquorum g\n",
		"a name twice":         "witness A " + a.WitnessText() + "\nwitness A " + b.WitnessText() + "\nquorum A\n",
		"a key twice":          "witness A " + a.WitnessText() + "\nwitness B " + a.WitnessText() + "\nquorum A\n",
		"a log's key":          "witness A " + a.LogText() + "\nquorum A\n",
		"a group called none":  "witness A " + a.WitnessText() + "\ngroup none any A\nquorum A\n",
		"a member twice":       "witness A " + a.WitnessText() + "\ngroup g 1 A A\nquorum g\n",
		"something else":       "frobnicate\nquorum none\n",
		"more than one reads":  strings.Repeat("#", 65<<10),
		"a damaged key":        "witness A " + a.WitnessText()[:20] + "\nquorum A\n",
		"a group within later": "witness A " + a.WitnessText() + "\ngroup g any h\ngroup h any A\nquorum g\n",
	} {
		if _, err := ParseWitnessSet(bad); err == nil {
			t.Errorf("%s was read", what)
		}
	}
}

func FuzzParseWitnessSet(f *testing.F) {
	f.Add("witness A " + witnessKey("a", 1).WitnessText() + "\ngroup g all A\nquorum g\n")
	f.Fuzz(func(t *testing.T, text string) {
		set, err := ParseWitnessSet(text)
		if err != nil {
			return
		}
		again, err := ParseWitnessSet(set.Text())
		if err != nil || again.Text() != set.Text() {
			t.Fatalf("%q: %v", set.Text(), err)
		}
	})
}
