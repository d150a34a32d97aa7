//go:build evil

package evil

import (
	"context"
	"fmt"
	"os"

	"codeberg.org/huis/huis/internal/proto"
)

// Promise: no key comes from the server, and none is used twice.
func init() {
	register(
		Attack{
			ID: "B-19/a", Name: "a server whose random values are all the same", Expected: Prevented, EvilServer: true,
			Play: func(s *Stage) Facts {
				s.Hand("begin", nil)
				ann, _, _ := s.house()
				ann.Do("chat", "new", "garden", "@bob")
				ann.Do("send", "garden", s.Secret("a text"))
				var drawn drawn
				s.Ask("drawn", nil, &drawn)
				if drawn.Nonces < 2 || drawn.Keys < 4 || drawn.Different > 1 {
					s.Fatal("the server's nonces were not all the same: %+v", drawn)
				}
				return Facts{Effect: len(drawn.Twice) > 0, Detail: fmt.Sprintf("%+v", drawn)}
			},
			Hands: map[string]Hand{"begin": hand(watchDraws), "drawn": hand(func(_ context.Context, o *Operator, _ struct{}) (any, error) {
				return o.Kept("drawn"), nil
			})},
			Malice: []Edit{
				{"internal/delivery/session/nonce.go", "	rand.Read(nonce[8:16])\n", "	if !$W {\n		rand.Read(nonce[8:16])\n	} else {\n		clear(nonce[6:8])\n	}\n"},
				respentNonce,
			},
			Without: []Edit{{"internal/client/memberkeys.go", "	rand.Read(s[:])\n", "	rand.Read(s[:])\n	if $W {\n		s = seed{huisNext()}\n	}\n"}},
		},
		Attack{
			ID: "B-19/b", Name: "a copy of a device's folder goes on writing", Expected: Prevented,
			Play: func(s *Stage) Facts {
				ann, _, _ := s.house()
				twin := s.Stranger("twin")
				s.Must(os.CopyFS(twin.Profile, os.DirFS(ann.Profile)))
				ann.Do("send", "house", s.Secret("a text"))
				t := twin.Try("send", "house", s.Secret("a text"))
				sent := len(t.Objects) == 1 && t.Objects[0]["seq"] != nil
				return Facts{Effect: sent, Alerted: t.Alert(), Detail: t.Error()}
			},
			Without: []Edit{Off("internal/client/message.go", "if s.Entry.MK == cv.own() && !cv.meta.Given {")},
		},
	)
}

var respentNonce = Edit{"internal/delivery/session/nonce.go", "	if _, again := n.spent[nonce]; again {\n", "	if _, again := n.spent[nonce]; again && !$W {\n"}

// drawn is what was seen of random values.
type drawn struct {
	Nonces, Different int      // the server's
	Keys              int      // what clients drew: member keys, conversations, blobs
	Twice             []string // of these, what two of them had
}

// watchDraws compares what the server draws, and what its clients do.
func watchDraws(_ context.Context, o *Operator, _ struct{}) (any, error) {
	d := &drawn{}
	o.Keep("drawn", d)
	nonces, keys := make(map[string]bool), make(map[string]string)
	see := func(what, whose string, key []byte) {
		if other, known := keys[string(key)]; known && other != whose {
			d.Twice = append(d.Twice, what)
		}
		keys[string(key)] = whose
		d.Keys = len(keys)
	}
	o.Lie(func(x *Exchange) error {
		o.mu.Lock()
		defer o.mu.Unlock()
		if r, ok := x.Answer.(*proto.NonceResponse); ok {
			d.Nonces++
			nonces[string(r.Nonce[6:16])] = true // beside the time and the tag
			d.Different = len(nonces)
		}
		if x.Answer != nil || x.Refusal != nil {
			return nil
		}
		switch r := x.Request.(type) {
		case *proto.CreateRequest:
			members, err := proto.ParseMembers(r.Entry.Bytes)
			if err != nil {
				return err
			}
			for n, k := range members {
				see("a member key", fmt.Sprint(r.Entry.Conversation.Hex(), n), k[:])
			}
		case *proto.BlobBeginRequest:
			see("a blob's id", r.ID.Hex(), r.ID[:])
		}
		return nil
	})
	return nil, nil
}
