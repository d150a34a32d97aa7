// Command stage plays the other people of bench/web: real clients with stores in
// memory that speak to a real server. It reads one order a line from standard input
// and answers each with one line of JSON:
//
//	join LINK N          the host and N-1 others join; the link must allow it
//	invite               a link for one more person
//	group NAME ME        a group of all of them and of the person ME
//	few NAME ME          a group of the host, the first four others and ME
//	say CHAT N EVERY     the host writes N messages, one each EVERY ms
//	fill CHAT N          the host and those four write N messages as fast as the server
//	                     lets them
//	watch NAME           a further person, measured, is added to NAME
//	meter                what the measured person's meter saw, after a sync
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"codeberg.org/huis/huis/bench/web/meter"
	"codeberg.org/huis/huis/internal/client"
	"codeberg.org/huis/huis/internal/client/store/mem"
	"codeberg.org/huis/huis/internal/httpapi/dial"
	"codeberg.org/huis/huis/internal/proto"
)

func main() {
	s := &stage{ctx: context.Background()}
	in := bufio.NewScanner(os.Stdin)
	for in.Scan() {
		began := time.Now()
		answer, err := s.obey(strings.Fields(in.Text()))
		if err != nil {
			fmt.Fprintf(os.Stderr, "stage: %s: %v\n", in.Text(), err)
			os.Exit(1)
		}
		answer["seconds"] = time.Since(began).Seconds()
		if err := json.NewEncoder(os.Stdout).Encode(answer); err != nil {
			os.Exit(1)
		}
	}
}

type answer = map[string]any

type stage struct {
	ctx    context.Context
	host   *client.Client
	adders []*client.Client // the first of the others
	others []string         // handles
	meter  *meter.Meter
	seen   *client.Client // with the meter
}

var errOrder = errors.New("no such order")

func (s *stage) obey(words []string) (answer, error) {
	if len(words) == 0 {
		return nil, errOrder
	}
	order, args := words[0], words[1:]
	switch {
	case order == "join" && len(args) == 2:
		return s.join(args[0], number(args[1]))
	case order == "invite":
		inv, err := s.host.Invite(s.ctx, 1, time.Hour)
		return answer{"invite": inv.String()}, err
	case order == "group" && len(args) == 2:
		return answer{}, s.group(args[0], args[1])
	case order == "few" && len(args) == 2:
		_, err := s.host.NewChat(s.ctx, args[0], append(s.others[:len(s.adders):len(s.adders)], args[1]))
		return answer{}, err
	case order == "say" && len(args) == 3:
		return answer{}, s.say(args[0], number(args[1]), time.Duration(number(args[2]))*time.Millisecond)
	case order == "fill" && len(args) == 2:
		return answer{}, s.fill(args[0], number(args[1]))
	case order == "watch" && len(args) == 1:
		return answer{}, s.watch(args[0])
	case order == "meter":
		err := s.seen.Sync(s.ctx)
		return answer{"meter": s.meter.Take()}, err
	}
	return nil, errOrder
}

func number(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil {
		return 0
	}
	return n
}

// config is a client's with a store in memory.
func config() client.Config {
	return client.Config{
		Store: mem.New(), Dial: few, SendFor: 10 * time.Minute,
		Jitter: func(d time.Duration) time.Duration { return d - 1 },
	}
}

// few is dial.New with four key packages for each device: making fifty for each of a
// thousand would be most of the work, and nobody needs them.
func few(r client.ServerRef) (client.Transport, error) {
	t, err := dial.New(r)
	return frugal{t}, err
}

type frugal struct{ client.Transport }

func (t frugal) Call(ctx context.Context, lane client.Lane, m proto.Method, req, resp proto.Message) error {
	err := t.Transport.Call(ctx, lane, m, req, resp)
	if r, ok := resp.(*proto.InfoResponse); ok {
		r.PackagePool = 4
	}
	return err
}

// join makes the host and the others, several at once; their clients are let go.
func (s *stage) join(link string, n int) (answer, error) {
	inv, err := client.ParseInvitation(link)
	if err != nil {
		return nil, err
	}
	if s.host, _, err = client.Join(s.ctx, config(), inv, "host"); err != nil {
		return nil, err
	}
	if inv, err = s.host.Invite(s.ctx, n, time.Hour); err != nil {
		return nil, err
	}
	errs, room := make([]error, n), make(chan struct{}, 4)
	s.adders = make([]*client.Client, min(4, n-1))
	var all sync.WaitGroup
	for i := 1; i < n; i++ {
		name := fmt.Sprintf("p%04d", i)
		s.others = append(s.others, name)
		all.Go(func() {
			room <- struct{}{}
			defer func() { <-room }()
			c, _, err := client.Join(s.ctx, config(), inv, name)
			if errs[i] = err; i <= len(s.adders) {
				s.adders[i-1] = c
			}
		})
	}
	all.Wait()
	return answer{"people": n}, errors.Join(errs...)
}

// share is how many people one member adds: the server lets an account claim 300 key
// packages at once.
const share = 250

// group has the host make a group, and some of its first members add the rest, ME
// last, so that whoever measures joins a group that is complete.
func (s *stage) group(name, me string) error {
	rest := s.others
	next := func() (part []string) {
		part, rest = rest[:min(share, len(rest))], rest[min(share, len(rest)):]
		return part
	}
	if _, err := s.host.NewChat(s.ctx, name, next()); err != nil {
		return err
	}
	if err := s.host.Sync(s.ctx); err != nil {
		return err
	}
	for _, c := range s.adders {
		if len(rest) == 0 {
			break
		}
		if err := c.Sync(s.ctx); err != nil {
			return err
		}
		if err := c.AddMembers(s.ctx, name, next()); err != nil {
			return err
		}
	}
	if err := s.host.Sync(s.ctx); err != nil {
		return err
	}
	return s.host.AddMembers(s.ctx, name, []string{me})
}

func text(i int) string {
	return fmt.Sprintf("Message %d. The key hangs in the kitchen beside the door, as always.", i)
}

// say writes with pauses, so that each message comes alone.
func (s *stage) say(chat string, n int, every time.Duration) error {
	next := time.NewTicker(max(every, 1))
	defer next.Stop()
	for i := range n {
		<-next.C
		if err := s.post(s.host, chat, i, i+1); err != nil {
			return err
		}
	}
	return nil
}

// batch is how many messages wait in the outbox before it is emptied.
const batch = 32

func (s *stage) fill(chat string, n int) error {
	writers := append([]*client.Client{s.host}, s.adders...)
	var given atomic.Int64
	errs := make([]error, len(writers))
	var all sync.WaitGroup
	for i, c := range writers {
		all.Go(func() {
			if errs[i] = c.Sync(s.ctx); errs[i] != nil {
				return
			}
			for errs[i] == nil {
				from := int(given.Add(batch)) - batch
				if from >= n {
					return
				}
				errs[i] = s.post(c, chat, from, min(from+batch, n))
			}
		})
	}
	all.Wait()
	return errors.Join(errs...)
}

func (s *stage) post(c *client.Client, chat string, from, to int) error {
	for i := from; i < to; i++ {
		if _, err := c.Post(s.ctx, chat, client.Compose{Draft: client.Draft{Text: text(i + 1)}}); err != nil {
			return err
		}
	}
	return c.Deliver(s.ctx, chat)
}

// watch is the same as a browser does, natively: the figures to compare with.
func (s *stage) watch(chat string) error {
	if s.seen == nil {
		inv, err := s.host.Invite(s.ctx, 1, time.Hour)
		if err != nil {
			return err
		}
		s.meter = meter.New()
		if s.seen, _, err = client.Join(s.ctx, s.meter.Wrap(config()), inv, "watcher"); err != nil {
			return err
		}
	}
	return s.host.AddMembers(s.ctx, chat, []string{"watcher"})
}
