package rpc

import (
	"encoding/hex"

	"codeberg.org/huis/huis/internal/client"
)

var bundleStates = map[client.Release]BundleState{
	client.ReleaseUnlogged: BundleUnlogged, client.ReleaseOlder: BundleOlder,
	client.ReleaseUnvouched: BundleUnvouched, client.ReleaseGood: BundleGood,
}

// checkBundle is asked by a page that runs before it takes over another: what is
// offered has no say in it.
func (c *Core) checkBundle(k *Call, q *CheckBundle) (*BundleChecked, error) {
	offered, ok := hash(q.Offered)
	used, ok2 := hash(q.Used)
	if !ok || !ok2 {
		return nil, &Error{Code: CodeBadRequest, Text: "this is no hash of a manifest"}
	}
	c.mu.Lock()
	device := c.client
	c.mu.Unlock()
	if device == nil {
		return &BundleChecked{BundleUnknown}, nil
	}
	r, err := device.CheckWebRelease(k.Ctx, offered, used)
	if err != nil {
		return nil, err
	}
	return &BundleChecked{bundleStates[r]}, nil
}

func hash(text string) (h [32]byte, ok bool) {
	b, err := hex.DecodeString(text)
	if err != nil || len(b) != len(h) {
		return h, false
	}
	return [32]byte(b), true
}
