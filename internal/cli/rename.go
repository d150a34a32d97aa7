package cli

import (
	"errors"

	"codeberg.org/huis/huis/internal/client"
	"codeberg.org/huis/huis/internal/proto"
)

type renameCommand struct {
	Name string `arg:"" name:"NAME" help:"What you are to be called."`
	Yes  bool   `help:"Do not ask."`
}

// Run gives the account another name.
func (k *renameCommand) Run(e *env) error {
	return e.with(func(c *client.Client, stale error) error {
		var pin *client.PinError
		if errors.Is(stale, client.ErrUnreachable) || errors.As(stale, &pin) {
			return stale
		}
		if !e.JSON && !k.Yes && !e.confirm("Everybody sees the new name, and who knows you the old one as well. Nobody else gets the old one any more. Change it?") {
			return &hinted{errors.New("nothing was changed"), "huis rename NAME --yes does not ask"}
		}
		r, err := c.ChangeName(e.ctx, k.Name)
		switch {
		case errors.Is(err, proto.NameTaken):
			return &hinted{errors.New("this name is or was somebody else's on the server"), "choose another: huis rename NAME"}
		case errors.Is(err, proto.Forbidden):
			return &hinted{errors.New("your name is being given to another account just now"), "huis status says since when; huis veto stops it if it was not you"}
		case err != nil:
			return err
		}
		return e.print(struct {
			Handle string `json:"handle"`
			Before string `json:"before"`
		}{r.To, r.From}, "You are @%s now. Who writes to @%s still finds you.", r.To, r.From)
	})
}
