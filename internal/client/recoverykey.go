package client

import (
	"context"
	"errors"
	"time"

	"codeberg.org/huis/huis/internal/wire"
	"codeberg.org/huis/huis/kt"
)

// Records of the recovery key. Its text is kept, sealed as all records are, only
// until a person has been shown it.
//
//	recovery/show   text that nobody has seen yet
//	recovery/next   text of a key whose SET_RECOVERY has an open outcome
const (
	showRecoveryKey = "recovery/show"
	nextRecoveryKey = "recovery/next"
)

// showRecovery keeps a recovery key's text until RecoveryKeyShown.
func (t *tx) showRecovery(text string) error {
	t.put(showRecoveryKey, []byte(text))
	return nil
}

// sealTo keeps what backups are sealed to for a recovery key.
func (t *tx) sealTo(text string) error {
	r, err := kt.ParseRecoveryKey(text)
	if err != nil {
		return err
	}
	k, err := sealingKeyOf(r)
	if err != nil {
		return err
	}
	return t.save(sealingKeyKey, k.wire)
}

// RecoveryKeyToShow returns the recovery key's text if no person has been shown
// it yet, such as after a crash at that moment; else "".
func (c *Client) RecoveryKeyToShow(ctx context.Context) (text string, err error) {
	err = c.step(ctx, func(t *tx) error {
		b, err := t.get(showRecoveryKey)
		text = string(b)
		return err
	})
	return text, err
}

// RecoveryKeyShown forgets the recovery key's text. It is called when the text
// stands before a person.
func (c *Client) RecoveryKeyShown(ctx context.Context) error {
	return c.step(ctx, func(t *tx) error {
		if b, err := t.get(showRecoveryKey); err != nil || b == nil {
			return err
		}
		t.del(showRecoveryKey)
		return nil
	})
}

// NewRecoveryKey replaces the account's recovery key and returns its text, which
// RecoveryKeyToShow returns as well until it was shown. The one before lets
// nobody in any more, and opens no backup made from now on. After an error the
// same call again ends what was begun.
func (c *Client) NewRecoveryKey(ctx context.Context) (text string, err error) {
	err = c.step(ctx, func(t *tx) error {
		b, err := t.get(nextRecoveryKey)
		if err != nil {
			return err
		}
		if text = string(b); text == "" {
			text = kt.GenerateRecoveryKey().Text()
			t.put(nextRecoveryKey, []byte(text))
		}
		return nil
	})
	if err != nil {
		return "", err
	}
	key, err := kt.ParseRecoveryKey(text)
	if err != nil {
		return "", err
	}
	err = c.appendLink(ctx, func(chain kt.Chain, me *identity, now time.Time) ([]byte, error) {
		if set, ok := chain.Recovery(); ok && set == key.Public() {
			return nil, nil
		}
		return chain.SetRecovery(now, me.signer(), key.Public())
	})
	if err != nil {
		return "", err
	}
	err = c.step(ctx, func(t *tx) error {
		t.del(nextRecoveryKey)
		t.del(backupMadeKey)
		// What the old key could find and open is uploaded anew.
		return errors.Join(t.showRecovery(text), t.sealTo(text), t.delAll(partPrefix))
	})
	if err != nil {
		return "", err
	}
	if err := c.backUpNow(ctx); err != nil {
		c.cfg.Log.Warn("the backup for the new recovery key is made later", "why", err)
	}
	if err := c.shareSealingKey(ctx); err != nil {
		c.cfg.Log.Warn("the other devices are told later", "why", err)
	}
	return text, nil
}

// ParseRecoveryKey reads a recovery key as a person types it.
func ParseRecoveryKey(text string) (kt.RecoveryKey, error) { return kt.ParseRecoveryKey(text) }

// ownSealingKey is what a device keeps that was given the recovery key itself.
func ownSealingKey(r kt.RecoveryKey) (func(*wire.Codec), error) {
	k, err := sealingKeyOf(r)
	return k.wire, err
}

// backUpNow writes the backup whoever makes them, after one that is being written.
func (c *Client) backUpNow(ctx context.Context) error {
	done, err := c.backup.take(ctx)
	if err != nil {
		return err
	}
	defer done()
	return c.writeBackup(ctx, true)
}
