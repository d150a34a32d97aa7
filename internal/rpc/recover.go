package rpc

import (
	"errors"

	"codeberg.org/huis/huis/internal/client"
	"codeberg.org/huis/huis/internal/proto"
)

// recover makes this the newest device of an account, by its recovery key. The
// conversations come back one after the other, as others let this device in.
func (c *Core) recover(k *Call, q *RecoverRequest) (*Recovered, error) {
	server, err := c.server(q.Server)
	if err != nil {
		return nil, err
	}
	key, err := client.ParseRecoveryKey(q.Key)
	if err != nil {
		return nil, &Error{Code: CodeBadRecovery, Text: err.Error(), Hint: "it has twelve groups of five letters and figures"}
	}
	var r client.Recovered
	s, err := c.make(k.Ctx, func(conf client.Config) (device *client.Client, err error) {
		opt := client.RecoverOptions{WithoutBackup: q.WithoutBackup, EndOthers: q.EndOthers}
		device, r, err = client.Recover(k.Ctx, conf, server, bare(q.Handle), key, opt)
		return device, err
	})
	if errors.Is(err, proto.NoAccount) {
		return nil, &Error{Code: CodeBadRecovery, Text: "the server knows no account of this recovery key", Hint: "was it replaced by a newer one? compare it with what you wrote down"}
	}
	if err != nil {
		return nil, err
	}
	return &Recovered{State: *s, Backup: millis(r.Backup), Others: r.Others}, nil
}
