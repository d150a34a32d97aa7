package content

import (
	"bytes"
	"testing"

	"github.com/fxamacker/cbor/v2"
)

// FuzzSameAsTheLibrary compares the encoding with that of a library: both take
// the same bytes for a message, and write the same for it.
func FuzzSameAsTheLibrary(f *testing.F) {
	write, err := cbor.CoreDetEncOptions().EncMode()
	if err != nil {
		f.Fatal(err)
	}
	read, err := cbor.DecOptions{
		DupMapKey: cbor.DupMapKeyEnforcedAPF, IndefLength: cbor.IndefLengthForbidden, TagsMd: cbor.TagsForbidden,
		ExtraReturnErrors: cbor.ExtraDecErrorUnknownField, MaxNestedLevels: 8, MaxArrayElements: maxLibrary, MaxMapPairs: 64,
	}.DecMode()
	if err != nil {
		f.Fatal(err)
	}
	for _, m := range []*Message{
		text("hello"),
		{Version: 1, ID: NewID(), Kind: Reply, Time: 1 << 40, Body: "é", Targets: []ID{NewID()}, Parents: []ID{NewID(), NewID()}, Expiry: 70000},
		{Version: 1, ID: NewID(), Kind: System, Event: &Event{Type: "x", Data: bytes.Repeat([]byte{7}, 300)}},
		{Version: 1, ID: NewID(), Kind: Attachment, Attachments: []AttachmentPart{part(), part()}},
		{Version: 1, ID: NewID(), Kind: Receipt, Targets: make([]ID, 30), Read: true},
	} {
		b, err := Marshal(m)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var own, theirs Message
		err := Unmarshal(b, &own)
		libraryErr := read.Unmarshal(b, &theirs)
		again, _ := write.Marshal(&theirs)
		if (err == nil) != (libraryErr == nil && bytes.Equal(again, b)) {
			t.Fatalf("own: %v, library: %v", err, libraryErr)
		}
		if err != nil {
			return
		}
		if mine, err := Marshal(&own); err != nil || !bytes.Equal(mine, b) {
			t.Fatalf("written as %x, %v", mine, err)
		}
		if mine, _ := write.Marshal(&own); !bytes.Equal(mine, b) {
			t.Fatal("the library writes what was read otherwise")
		}
	})
}

const maxLibrary = 1024
