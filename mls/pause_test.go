package mls

import "testing"

func TestJoiningALargeTreePauses(t *testing.T) {
	suite := SupportedSuites()[0]
	alice := newDevice(t, suite, "alice")
	alice.create("large")
	var last *device
	opt := CommitOptions{NoPath: true}
	const members = 3*pauseEvery + 1
	for range members - 1 {
		last = newDevice(t, suite, "member")
		opt.Proposals = append(opt.Proposals, add(last.keyPackage()))
	}
	c := alice.commit(opt)
	pauses := 0
	o := last.opt
	o.Pause = func() { pauses++ }
	tree, err := ParseRatchetTree(alice.group.RatchetTree())
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := Join(c.Welcomes()[len(c.Welcomes())-1], last.bundle, JoinOptions{RatchetTree: tree}, o); err != nil {
		t.Fatal(err)
	}
	if pauses != members/pauseEvery {
		t.Errorf("%d pauses in a tree of %d, want %d", pauses, members, members/pauseEvery)
	}
}
