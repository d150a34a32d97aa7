package cli

import (
	"fmt"
	"strings"
	"time"

	"codeberg.org/huis/huis/internal/client"
)

// logState is how far this device has replayed the server's log, and who
// cosigned it when.
type logState struct {
	Size      uint64        `json:"size"` // epochs
	Root      string        `json:"root"`
	Witnesses []witnessSeen `json:"witnesses"` // none: the log is unwitnessed
	Policy    string        `json:"policy"`    // "none", or how many witnesses are wanted of how many
	Witnessed bool          `json:"witnessed"` // the quorum is there and not older than a day
}

type witnessSeen struct {
	Name string  `json:"name"`
	Time *string `json:"time"` // of its cosignature
}

func newLogState(s client.LogStatus) logState {
	out := logState{Size: s.Size, Root: s.Root, Policy: s.Policy, Witnessed: s.Witnessed, Witnesses: []witnessSeen{}}
	for _, w := range s.Witnesses {
		out.Witnesses = append(out.Witnesses, witnessSeen{w.Name, stamp(w.Time)})
	}
	return out
}

// logWords says it to a person.
func logWords(s client.LogStatus) string {
	text := fmt.Sprintf("%d epochs checked, ", s.Size)
	if s.Policy == "none" {
		return text + "unwitnessed: nobody outside vouches for it"
	}
	var names []string
	var oldest time.Time
	for _, w := range s.Witnesses {
		names = append(names, w.Name)
		if oldest.IsZero() || w.Time.Before(oldest) {
			oldest = w.Time
		}
	}
	switch {
	case s.Witnessed:
		return text + fmt.Sprintf("witnessed by %s (%s wanted), %s", strings.Join(names, ", "), s.Policy, local(oldest))
	case len(names) > 0:
		return text + fmt.Sprintf("not witnessed now: %s of %s, last %s", strings.Join(names, ", "), s.Policy, local(oldest))
	}
	return text + "not witnessed: " + s.Policy + " witnesses are wanted, none has vouched"
}
