package kt

import (
	"fmt"
	"math"
	"strings"
)

// plot draws two panels over the logarithm of the number of accounts: what grows
// as it does is a straight line. The line on the left is the structure's.
func plot(p primitives, all []figure) string {
	var b strings.Builder
	b.WriteString(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 760 300" font-family="sans-serif" font-size="12" fill="#555">` + "\n")
	b.WriteString("<title>A lookup's bytes and time grow with the logarithm of the number of accounts</title>\n")
	left := panel{x: 60, title: "bytes of a lookup", top: 1200, from: 3, to: 9}
	left.frame(&b)
	left.line(&b, "#888", func(e float64) float64 { return bytesFrom(math.Pow(10, e)) })
	for i := range all {
		left.dot(&b, "#0a6", all[i].n, all[i].bytes)
	}
	left.note(&b, 8, bytesFrom(1e8), fmt.Sprintf("%.0f at 10⁸", bytesFrom(1e8)))
	most := 0.
	for i := range all {
		most = max(most, us(all[i].prove), us(all[i].known), us(all[i].update))
	}
	right := panel{x: 440, title: "µs of a", top: math.Ceil(most*1.1/5) * 5, from: 3, to: 9}
	right.frame(&b)
	for i, c := range [][2]string{{"#0a6", "proof"}, {"#06c", "check"}, {"#c33", "update"}} {
		fmt.Fprintf(&b, `<text x="%d" y="24" fill="%s">%s</text>`+"\n", 490+i*50, c[0], c[1])
	}
	for i := range all {
		f := &all[i]
		right.dot(&b, "#0a6", f.n, us(f.prove))
		right.dot(&b, "#06c", f.n, us(f.known))
		right.dot(&b, "#c33", f.n, us(f.update))
	}
	hash := us(p.Hash)
	right.line(&b, "#888", func(e float64) float64 { return hash * (e*math.Log2(10) + 1./3 + 1) })
	right.note(&b, 8, hash*(8*math.Log2(10)+1.33), "floor of the check")
	b.WriteString("</svg>\n")
	return b.String()
}

// panel is a chart of 280 by 220 with powers of ten below.
type panel struct {
	x, top   float64 // top of the scale; it begins at 0
	title    string
	from, to float64
}

const (
	width, height = 280., 220.
	base          = 260. // y of the axis
)

func (p *panel) at(e, v float64) (x, y float64) {
	return p.x + (e-p.from)/(p.to-p.from)*width, base - v/p.top*height
}

func (p *panel) frame(b *strings.Builder) {
	fmt.Fprintf(b, `<text x="%.0f" y="24">%s</text>`+"\n", p.x, p.title)
	for i := range 5 {
		v := p.top * float64(i) / 4
		x, y := p.at(p.from, v)
		fmt.Fprintf(b, `<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" stroke="#ccc"/><text x="%.1f" y="%.1f" text-anchor="end">%g</text>`+"\n", x, y, x+width, y, x-6, y+4, math.Round(v*10)/10)
	}
	for e := p.from; e <= p.to; e++ {
		x, _ := p.at(e, 0)
		fmt.Fprintf(b, `<text x="%.1f" y="%.0f" text-anchor="middle">%s</text>`+"\n", x, base+18, power(int(math.Pow(10, e))))
	}
	fmt.Fprintf(b, `<text x="%.1f" y="%.0f" text-anchor="middle">accounts</text>`+"\n", p.x+width/2, base+34)
}

func (p *panel) line(b *strings.Builder, colour string, f func(e float64) float64) {
	x1, y1 := p.at(p.from, f(p.from))
	x2, y2 := p.at(p.to, f(p.to))
	fmt.Fprintf(b, `<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" stroke="%s" stroke-dasharray="4 3"/>`+"\n", x1, y1, x2, y2, colour)
}

func (p *panel) dot(b *strings.Builder, colour string, n int, v float64) {
	x, y := p.at(math.Log10(float64(n)), v)
	fmt.Fprintf(b, `<circle cx="%.1f" cy="%.1f" r="4" fill="%s"/>`+"\n", x, y, colour)
}

func (p *panel) note(b *strings.Builder, e, v float64, text string) {
	x, y := p.at(e, v)
	fmt.Fprintf(b, `<text x="%.1f" y="%.1f" text-anchor="end">%s</text>`+"\n", x, y-6, text)
}
