package webapp

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"

	"github.com/andybalholm/brotli"
)

// maxFile bounds a file of a bundle as it is, in bytes.
const maxFile = 64 << 20

// Decode undoes what the Content-Encoding of an answer names, for those who
// check what a server gives to browsers.
func Decode(encoding string, b []byte) ([]byte, error) {
	var r io.Reader = bytes.NewReader(b)
	switch encoding {
	case "":
		return b, nil
	case "br":
		r = brotli.NewReader(r)
	case "gzip":
		z, err := gzip.NewReader(r)
		if err != nil {
			return nil, err
		}
		r = z
	default:
		return nil, fmt.Errorf("unknown encoding %q", encoding)
	}
	out, err := io.ReadAll(io.LimitReader(r, maxFile+1))
	if err == nil && len(out) > maxFile {
		err = fmt.Errorf("larger than %d bytes", maxFile)
	}
	return out, err
}
