package client

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"
)

// TestFiftyMembersChangeAllAtOnce: adds, removals and key updates from several
// devices at the same time end in one epoch for all; a removed member reads
// nothing after its removal, a new one nothing before its joining.
func TestFiftyMembersChangeAllAtOnce(t *testing.T) {
	n := 50
	if testing.Short() {
		n = 12
	}
	w := newWorld(t)
	all := make([]*device, n)
	for i := range all {
		all[i] = w.person(fmt.Sprintf("p%02d", i))
	}
	late := []*device{w.person("late1"), w.person("late2")}
	var names []string
	for _, d := range all[1:] {
		names = append(names, d.name)
	}
	all[0].newChat("all", names...)
	all[0].send("all", "before")
	for _, d := range all[1:] {
		d.cfg.Jitter = func(d time.Duration) time.Duration { return d - 1 } // keys are replaced later, by hand
		d.sync()
	}
	gone := all[n-2:]
	jobs := []func(context.Context) error{
		func(ctx context.Context) error {
			return all[0].RemoveMembers(ctx, "all", []string{gone[0].name, gone[1].name})
		},
		func(ctx context.Context) error { return all[1].AddMembers(ctx, "all", []string{"late1"}) },
		func(ctx context.Context) error { return all[2].AddMembers(ctx, "all", []string{"late2"}) },
	}
	for _, d := range all[3:8] {
		jobs = append(jobs, func(ctx context.Context) error {
			d.at("all", func(tx *tx, cv *conversation) error { cv.meta.ReplaceAt = 0; return tx.saveMeta(cv) })
			return d.Sync(ctx)
		})
	}
	errs := make([]error, len(jobs))
	var wait sync.WaitGroup
	for i, job := range jobs {
		wait.Go(func() { errs[i] = job(t.Context()) })
	}
	wait.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	all[0].send("all", "after")
	members := append(all[:n-2:n-2], late...)
	w.agree("all", members...)
	for _, d := range members {
		got := d.read("all")
		if len(got) == 0 || got[len(got)-1] != "p00: after" {
			t.Errorf("%s has %q", d.name, got)
		}
	}
	for _, d := range late {
		if got := d.read("all"); len(got) != 1 {
			t.Errorf("%s, who is new, has %q", d.name, got)
		}
	}
	for _, d := range gone {
		d.sync()
		if got := d.read("all"); len(got) != 1 || got[0] != "p00: before" {
			t.Errorf("%s, who was removed, has %q", d.name, got)
		}
	}
	if n := len(all[0].inspect1("all").Leaves); n != len(members) {
		t.Errorf("%d devices, want %d", n, len(members))
	}
}
