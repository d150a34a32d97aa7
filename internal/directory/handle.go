package directory

// ValidHandle tells whether a name has 2 to 32 of the letters a to z, digits,
// dots and dashes (design.md, 3).
func ValidHandle(h string) bool {
	if len(h) < 2 || len(h) > 32 {
		return false
	}
	for _, c := range []byte(h) {
		switch {
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9', c == '.', c == '-':
		default:
			return false
		}
	}
	return true
}
