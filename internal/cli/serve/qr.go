package serve

import (
	"strings"

	"rsc.io/qr"
)

// quiet is the width of the light border a QR code needs, in modules
// (ISO/IEC 18004, Section 6.3.8).
const quiet = 4

// DrawQR draws text as a QR code of half blocks, dark on light by its own
// colours, so that it reads on any terminal. Empty if the text is too long.
func DrawQR(text string) string {
	code, err := qr.Encode(text, qr.L)
	if err != nil {
		return ""
	}
	const darkOnLight, reset = "\x1b[30;107m", "\x1b[0m"
	var b strings.Builder
	for y := -quiet; y < code.Size+quiet; y += 2 {
		b.WriteString(darkOnLight)
		for x := -quiet; x < code.Size+quiet; x++ {
			b.WriteRune(halfBlock(code.Black(x, y), y+1 < code.Size+quiet && code.Black(x, y+1)))
		}
		b.WriteString(reset + "\n")
	}
	return b.String()
}

// halfBlock is the character with its upper and lower half inked so.
func halfBlock(upper, lower bool) rune {
	switch {
	case upper && lower:
		return '█'
	case upper:
		return '▀'
	case lower:
		return '▄'
	}
	return ' '
}
