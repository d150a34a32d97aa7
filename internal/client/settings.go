package client

import (
	"context"
	"fmt"
	"strings"
)

// Bounds of what an interface may keep here.
const (
	maxSettings = 1000
	maxSetting  = 4 << 10 // bytes, name and value each
)

// Settings returns what SetSettings kept on this device.
func (c *Client) Settings(ctx context.Context) (values map[string]string, err error) {
	err = c.step(ctx, func(t *tx) error {
		values = map[string]string{}
		all, err := t.list(settingPrefix, "", 0)
		for _, rec := range all {
			values[strings.TrimPrefix(rec.Key, settingPrefix)] = string(rec.Value)
		}
		return err
	})
	return values, err
}

// SetSettings keeps values on this device, beside those there are; an empty one
// is forgotten.
func (c *Client) SetSettings(ctx context.Context, values map[string]string) error {
	return c.step(ctx, func(t *tx) error {
		for k, v := range values {
			if k == "" || len(k) > maxSetting || len(v) > maxSetting {
				return fmt.Errorf("%w: a setting has at most %d bytes", ErrTooLarge, maxSetting)
			}
			if v == "" {
				t.del(settingPrefix + k)
			} else {
				t.put(settingPrefix+k, []byte(v))
			}
		}
		all, err := t.list(settingPrefix, "", 0)
		if err == nil && len(all) > maxSettings {
			err = fmt.Errorf("%w: there are at most %d settings", ErrTooLarge, maxSettings)
		}
		return err
	})
}

// Setting returns one value, "" if there is none.
func (c *Client) Setting(ctx context.Context, name string) (value string) {
	_ = c.step(ctx, func(t *tx) error {
		b, err := t.get(settingPrefix + name)
		value = string(b)
		return err
	})
	return value
}
