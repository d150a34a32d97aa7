package cli

import (
	"errors"

	"codeberg.org/huis/huis/internal/client"
)

type vetoCommand struct {
	Yes bool `help:"Do not ask."`
}

// Run refuses the account that is to have this one's name.
func (k *vetoCommand) Run(e *env) error {
	return e.with(func(c *client.Client, stale error) error {
		if errors.Is(stale, client.ErrUnreachable) {
			return stale
		}
		if !e.JSON && !k.Yes && !e.confirm("Somebody made your account anew under your name. Object only if that was not you: your contacts will refuse that account. Object?") {
			return &hinted{errors.New("nothing was changed"), "the new account counts in about a day; until then huis veto stops it"}
		}
		refused, err := c.Veto(e.ctx)
		if err != nil {
			return orHint(err, "huis status shows how your account stands")
		}
		return e.print(struct {
			Refused string `json:"refused"`
		}{refused}, "The other account is refused, and your name is yours. Ask the server's admin who asked for it.")
	})
}
