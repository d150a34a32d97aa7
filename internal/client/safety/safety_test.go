package safety

import (
	"slices"
	"strings"
	"testing"
)

func TestTheListIsFitForReadingAloud(t *testing.T) {
	if len(list) != listed || !slices.IsSorted(list) || len(slices.Compact(slices.Clone(list))) != listed {
		t.Fatalf("%d words, or not each once in order", len(list))
	}
	for _, w := range list {
		if len(w) < 4 || len(w) > 9 || strings.Trim(w, "abcdefghijklmnopqrstuvwxyz") != "" {
			t.Errorf("%q is no word of four to nine letters", w)
		}
	}
	for i, a := range list {
		for _, b := range list[:i] {
			if oneLetter(a, b) {
				t.Errorf("%q and %q differ by one letter", a, b)
			}
		}
	}
}

// oneLetter tells whether one letter changed, added or left out makes b of a.
func oneLetter(a, b string) bool {
	if len(a) > len(b) {
		a, b = b, a
	}
	i := 0
	for i < len(a) && a[i] == b[i] {
		i++
	}
	switch len(b) - len(a) {
	case 0:
		return a[min(i+1, len(a)):] == b[min(i+1, len(b)):]
	case 1:
		return a[i:] == b[i+1:]
	}
	return false
}

func TestBothPeopleSeeTheSame(t *testing.T) {
	a, b, other := [32]byte{1}, [32]byte{2}, [32]byte{3}
	x, err := Compare(a, b)
	if err != nil {
		t.Fatal(err)
	}
	y, _ := Compare(b, a)
	z, _ := Compare(a, other)
	if !slices.Equal(x.Words, y.Words) || x.Digits != y.Digits {
		t.Error("two people see different words")
	}
	if len(x.Words) != 2*words || len(strings.Fields(x.Digits)) != 2*groups {
		t.Errorf("%d words, digits %q", len(x.Words), x.Digits)
	}
	if slices.Equal(x.Words[words:], z.Words[words:]) && slices.Equal(x.Words[:words], z.Words[:words]) || x.Digits == z.Digits {
		t.Error("other accounts have the same words")
	}
	said := strings.ToUpper(strings.Join(x.Words, ", "))
	if !x.Same(said) || !x.Same(x.Digits) || x.Same(strings.Join(z.Words, " ")) || x.Same(strings.Join(x.Words[:6], " ")) || x.Same("") {
		t.Error("what was said is compared wrongly")
	}
	// Pinned: devices of different versions have to agree.
	if got := strings.Join(x.Words, " ") + " / " + x.Digits; got != pinned {
		t.Errorf("the words changed: %s", got)
	}
}

const pinned = "worm willow match midnight olive perfume chalk eclair hive scallop beret truffle / 75195 35995 40113 95352 83504 92989 52893 19088"
