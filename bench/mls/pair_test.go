package mls

import (
	"bytes"
	"testing"

	"codeberg.org/huis/huis/mls"
)

// TestTreesWrittenDownAreJoined holds the two writers of trees to each other: a
// group joins the tree this package wrote, and both members go on together.
func TestTreesWrittenDownAreJoined(t *testing.T) {
	for _, suite := range suites {
		for _, n := range []int{3, 8, 13} {
			for _, full := range []bool{true, false} {
				p := shape{suite, n, full}.pair(t)
				if got := len(p.committer.Members()); got != n {
					t.Errorf("%v: %d members", shape{suite, n, full}, got)
				}
				c := must(p.committer.Commit(now, mls.CommitOptions{}))
				staged := must(p.receiver.Process(now, c.Message()))
				must(p.committer.Merge(now, c))
				must(p.receiver.Merge(now, staged.Commit))
				if !bytes.Equal(p.committer.EpochAuthenticator(), p.receiver.EpochAuthenticator()) {
					t.Errorf("%v: members disagree", shape{suite, n, full})
				}
			}
		}
	}
}
