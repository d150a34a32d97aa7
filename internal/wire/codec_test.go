package wire

import (
	"bytes"
	"errors"
	"testing"
)

type sample struct {
	A    uint8
	B    uint16
	C    uint32
	D    uint64
	Flag bool
	Key  [4]byte
	Body []byte
	Name string
	List []uint16
	Next *sample
}

func (s *sample) wire(c *Codec) {
	Uint8(c, &s.A)
	Uint16(c, &s.B)
	Uint32(c, &s.C)
	Uint64(c, &s.D)
	Bool(c, &s.Flag)
	Fixed(c, s.Key[:])
	Opaque(c, &s.Body)
	String(c, &s.Name, 100)
	Vector(c, &s.List, func(v *uint16, c *Codec) { Uint16(c, v) })
	Optional(c, &s.Next, (*sample).wire)
}

func example() *sample {
	inner := &sample{Body: bytes.Repeat([]byte{7}, 70), Name: "inner"}
	return &sample{A: 1, B: 2, C: 3, D: 4, Flag: true, Key: [4]byte{9, 9}, Body: []byte{}, List: []uint16{5, 6}, Next: inner}
}

func TestRoundTripKeepsEveryField(t *testing.T) {
	first, err := Encode(example().wire)
	if err != nil {
		t.Fatal(err)
	}
	var got sample
	if err := Decode(first, got.wire); err != nil {
		t.Fatal(err)
	}
	second, err := Encode(got.wire)
	if err != nil || !bytes.Equal(first, second) {
		t.Fatalf("re-encoded to %x, %v; want %x", second, err, first)
	}
	if got.Next == nil || got.Next.Name != "inner" || got.List[1] != 6 || !got.Flag {
		t.Fatalf("decoded %+v", got)
	}
}

func TestEveryStrictPrefixIsRefused(t *testing.T) {
	b := MustEncode(example().wire)
	for n := range b {
		var s sample
		if err := Decode(b[:n], s.wire); !errors.Is(err, ErrSyntax) {
			t.Fatalf("prefix of %d bytes: %v", n, err)
		}
	}
	var s sample
	if err := Decode(append(b, 0), s.wire); !errors.Is(err, ErrSyntax) {
		t.Fatalf("trailing byte: %v", err)
	}
}

func TestVectorHeaders(t *testing.T) {
	for _, n := range []int{0, 1, 63, 64, 65, 16383, 16384, 70000} {
		body := bytes.Repeat([]byte{1}, n)
		b := MustEncode(func(c *Codec) { Opaque(c, &body) })
		var got []byte
		if err := Decode(b, func(c *Codec) { Opaque(c, &got) }); err != nil || len(got) != n {
			t.Errorf("%d bytes: %d, %v", n, len(got), err)
		}
	}
	for _, bad := range []string{"\xc0", "\x40\x01x", "\x80\x00\x00\x01x", "\x80\x00\x3f\xff", "\xbf\xff\xff\xff", "\x02x"} {
		var got []byte
		if err := Decode([]byte(bad), func(c *Codec) { Opaque(c, &got) }); !errors.Is(err, ErrSyntax) {
			t.Errorf("%x accepted", bad)
		}
	}
}

func TestBoundsAreKept(t *testing.T) {
	long := []byte("longer than four")
	if _, err := Encode(func(c *Codec) { OpaqueMax(c, &long, 4) }); err == nil {
		t.Error("encoded above the bound")
	}
	b := MustEncode(func(c *Codec) { Opaque(c, &long) })
	var got []byte
	if err := Decode(b, func(c *Codec) { OpaqueMax(c, &got, 4) }); err == nil {
		t.Error("decoded above the bound")
	}
	var none []struct{}
	if err := Decode([]byte{1, 0}, func(c *Codec) { Vector(c, &none, func(*struct{}, *Codec) {}) }); err == nil {
		t.Error("items without bytes do not end")
	}
}

func FuzzDecodeReencodes(f *testing.F) {
	f.Add(MustEncode(example().wire))
	f.Fuzz(func(t *testing.T, b []byte) {
		var s sample
		if Decode(b, s.wire) != nil {
			return
		}
		if again, err := Encode(s.wire); err != nil || !bytes.Equal(again, b) {
			t.Fatalf("%x re-encodes to %x, %v", b, again, err)
		}
	})
}
