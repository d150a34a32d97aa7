package client

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Texts are compared without case, accents and ligatures: each letter becomes
// its plain form in lower case. A search for "strasse" finds "Straße", one for
// "eleve" finds "Élève".

// plainLatin has the plain letter of each of U+00C0 to U+024F, plainMore of each
// of U+1E00 to U+1EFF; a dot stands for none.
const (
	plainLatin = "aaaaaa.ceeeeiiiidnooooo.ouuuuy..aaaaaa.ceeeeiiiidnooooo.ouuuuy.y" +
		"aaaaaaccccccccddddeeeeeeeeeegggggggghhhhiiiiiiiiii..jjkkklllllll" +
		"lllnnnnnn.nnoooooo..rrrrrrssssssssttttttuuuuuuuuuuuuwwyyyzzzzzzs" +
		"b................ff....ikkl.....oo.............uu....zz........." +
		".............aaiioouuuuuuuuuu.aaaa..ggggkkoooo..j...gg..nnaa...." +
		"aaaaeeeeiiiioooorrrruuuusstt..hh....zzaaeeooooooooyy.........l.." +
		"...b............"
	plainMore = "aabbbbbbccddddddddddeeeeeeeeeeffgghhhhhhhhhhiiiikkkkkkllllllllmm" +
		"mmmmnnnnnnnnoooooooopppprrrrrrrrssssssssssttttttttuuuuuuuuuuvvvv" +
		"wwwwwwwwwwxxxxyyzzzzzzhtwy......aaaaaaaaaaaaaaaaaaaaaaaaeeeeeeee" +
		"eeeeeeeeiiiioooooooooooooooooooooooouuuuuuuuuuuuuuyyyyyyyy......"
)

// ligatures are the letters that become two.
var ligatures = map[rune]string{'ß': "ss", 'ẞ': "ss", 'æ': "ae", 'œ': "oe", 'ĳ': "ij", 'þ': "th", 'ﬁ': "fi", 'ﬂ': "fl"}

// others are letters of other scripts that people write with and without marks.
var others = map[rune]rune{
	'ά': 'α', 'έ': 'ε', 'ή': 'η', 'ί': 'ι', 'ϊ': 'ι', 'ΐ': 'ι', 'ό': 'ο', 'ύ': 'υ', 'ϋ': 'υ', 'ΰ': 'υ', 'ώ': 'ω', 'ς': 'σ',
	'ё': 'е', 'й': 'и', 'ї': 'і', 'ў': 'у', 'ґ': 'г',
}

// fold appends the plain form of r to b; nothing for a mark of its own.
func fold(b []byte, r rune) []byte {
	if r < utf8.RuneSelf {
		if 'A' <= r && r <= 'Z' {
			r += 'a' - 'A'
		}
		return append(b, byte(r))
	}
	r = unicode.ToLower(r)
	if two, ok := ligatures[r]; ok {
		return append(b, two...)
	}
	plain := byte('.')
	switch {
	case 0xC0 <= r && r <= 0x24F:
		plain = plainLatin[r-0xC0]
	case 0x1E00 <= r && r <= 0x1EFF:
		plain = plainMore[r-0x1E00]
	case 0x300 <= r && r <= 0x36F: // combining
		return b
	}
	if plain != '.' {
		return append(b, plain)
	}
	if other, ok := others[r]; ok {
		r = other
	}
	return utf8.AppendRune(b, r)
}

// Fold returns the form of s in which texts are compared.
func Fold(s string) string {
	b := make([]byte, 0, len(s))
	for _, r := range s {
		b = fold(b, r)
	}
	return string(b)
}

// Find returns where the words, in the form Fold gives, stand in s: begin and
// end of each place in bytes of s, in order.
func Find(s string, words []string) (found [][2]int) {
	var plain []byte
	var from []int // for each byte of plain, where its letter begins in s
	for i, r := range s {
		n := len(plain)
		plain = fold(plain, r)
		for range len(plain) - n {
			from = append(from, i)
		}
	}
	text := string(plain)
	end := func(i int) int { // of the letter that byte i of plain is of, with its marks
		at := from[i]
		for j := i + 1; j < len(from); j++ {
			if from[j] != at {
				return from[j]
			}
		}
		return len(s)
	}
	for at := 0; at < len(text); {
		best, length := -1, 0
		for _, w := range words {
			if i := strings.Index(text[at:], w); w != "" && i >= 0 && (best < 0 || at+i < best || at+i == best && len(w) > length) {
				best, length = at+i, len(w)
			}
		}
		if best < 0 {
			break
		}
		found = append(found, [2]int{from[best], end(best + length - 1)})
		at = best + length
	}
	return found
}
