//go:build evil

package evil

import (
	"reflect"
	"testing"

	"codeberg.org/huis/huis/internal/proto"
)

// TestEveryRequestThatTakesANameIsTried by somebody without an account.
func TestEveryRequestThatTakesANameIsTried(t *testing.T) {
	used := make(map[proto.Method]bool)
	for _, w := range tried {
		used[w.Method] = true
	}
	for _, c := range proto.Calls() {
		r := reflect.TypeOf(c.Request()).Elem()
		for _, field := range []string{"Handle", "Label", "Name"} {
			if _, takes := r.FieldByName(field); takes && !used[c.Method] {
				t.Errorf("%s takes a name (%s) and is not tried", c.Method, field)
			}
		}
	}
}
