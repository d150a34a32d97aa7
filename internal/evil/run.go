//go:build evil

package evil

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"codeberg.org/huis/huis/internal/e2e/canary"
)

// Row is what came of an attack, as it is printed.
type Row struct {
	ID       string  `json:"id"`
	Name     string  `json:"name"`
	Expected Outcome `json:"expected"`
	Outcome  Outcome `json:"outcome"`
	OK       bool    `json:"ok"`
	Seconds  float64 `json:"seconds"`
	Within   string  `json:"within,omitempty"`  // of DETECTED
	Control  Outcome `json:"control,omitempty"` // with the defences off
	Told     string  `json:"told,omitempty"`    // what an honest person was told
	Figures  string  `json:"figures,omitempty"` // what was measured
	Why      string  `json:"why,omitempty"`     // of a row that is not ok
}

// Runner plays attacks.
type Runner struct {
	Huis     string // the program of the people
	Dir      string // for the stages
	Parallel int
	Long     bool
	Keep     bool // leave the stages' folders

	weakened string
	weakErr  error
	bad      map[string]error // of single attacks
}

// Prepare builds the weakened program.
func (r *Runner) Prepare(ctx context.Context) {
	r.weakened, r.bad, r.weakErr = weaken(ctx, r.Dir)
}

// Run plays the attacks, some at a time, and calls done with each row in the
// order of the attacks.
func (r *Runner) Run(ctx context.Context, attacks []Attack, done func(Row)) {
	rows := make([]chan Row, len(attacks))
	slots := make(chan struct{}, max(r.Parallel, 1))
	var all sync.WaitGroup
	for i := range attacks {
		rows[i] = make(chan Row, 1)
	}
	go func() {
		for i := range attacks {
			if attacks[i].Judge != nil {
				continue
			}
			slots <- struct{}{}
			all.Go(func() {
				rows[i] <- r.row(ctx, &attacks[i])
				<-slots
			})
		}
	}()
	var others, weakened []Row
	for i := range rows {
		if attacks[i].Judge != nil {
			continue
		}
		row := <-rows[i]
		others = append(others, row)
		if row.Outcome = row.Control; row.Control != "" {
			weakened = append(weakened, row)
		}
		done(others[len(others)-1])
	}
	all.Wait()
	for i := range attacks {
		if attacks[i].Judge != nil {
			done(judged(&attacks[i], others, weakened))
		}
	}
}

// judged is the row of an attack that looks at the others. Of the rows with
// their defences off it has to find some.
func judged(a *Attack, others, weakened []Row) Row {
	facts, control := a.Judge(others), a.Judge(weakened)
	row := Row{ID: a.ID, Name: a.Name, Expected: a.Expected, Outcome: facts.Outcome(), Control: control.Outcome(), Why: facts.Detail}
	switch {
	case len(others) < len(table)/2:
		row.Outcome, row.Why = NotPlayed, "it looks at all the others: play them with it"
	case row.Outcome == a.Expected && !control.Effect:
		row.Why = "control did not turn red"
	case row.Outcome == a.Expected:
		row.OK, row.Why = true, ""
	}
	return row
}

// row plays one attack and, if that went as expected, its control.
func (r *Runner) row(ctx context.Context, a *Attack) Row {
	began := time.Now()
	row := Row{ID: a.ID, Name: a.Name, Expected: a.Expected, Within: a.Within}
	facts, err := r.play(ctx, a, false)
	row.Told, row.Figures = facts.Alerted, facts.Figures
	switch row.Outcome = facts.Outcome(); {
	case err != nil:
		row.Outcome, row.Why = NotPlayed, err.Error()
	case a.Expected == Residual && row.Outcome == Succeeded:
		row.Outcome, row.OK = Residual, true
	case row.Outcome != a.Expected:
		row.Why = strings.TrimSpace(facts.Alerted + " " + facts.Detail)
	default:
		row.OK = true
	}
	if row.OK && len(a.Without) > 0 {
		r.control(ctx, a, &row)
	}
	row.Seconds = time.Since(began).Round(10 * time.Millisecond).Seconds()
	return row
}

// control plays the attack against the weakened program. It has to succeed.
func (r *Runner) control(ctx context.Context, a *Attack, row *Row) {
	facts, err := r.play(ctx, a, true)
	switch row.Control = facts.Outcome(); {
	case err != nil:
		row.Control, row.OK, row.Why = NotPlayed, false, "control: "+err.Error()
	case !facts.Effect || row.Control == a.Expected:
		row.OK, row.Why = false, "control did not turn red: "+strings.TrimSpace(facts.Alerted+" "+facts.Detail)
	}
}

// play sets a stage and plays an attack on it.
func (r *Runner) play(ctx context.Context, a *Attack, weak bool) (facts Facts, err error) {
	weakErr := errors.Join(r.weakErr, r.bad[a.ID])
	if weakErr != nil && (weak || len(a.Malice) > 0) {
		return facts, weakErr
	}
	dir, err := os.MkdirTemp(r.Dir, strings.NewReplacer("/", "-").Replace(a.ID)+"-")
	if err != nil {
		return facts, err
	}
	s := &Stage{
		Dir: dir, Scan: new(canary.Scanner), Long: r.Long, attack: a, ctx: ctx, huis: r.Huis, crafty: r.weakened, weakErr: weakErr, weak: weak,
		env: []string{"HOME=" + dir, "XDG_CONFIG_HOME=" + dir, "TMPDIR=" + filepath.Join(dir, "tmp")},
	}
	if weak {
		s.env = append(s.env, withoutKey+"="+a.ID)
	}
	if err := os.Mkdir(filepath.Join(dir, "tmp"), 0o700); err != nil {
		return facts, err
	}
	if err := s.open(); err != nil {
		return facts, errors.Join(err, s.close())
	}
	over := make(chan struct{})
	go func() {
		defer close(over) // also when the play ends itself
		facts = a.Play(s)
	}()
	<-over
	err = s.broken
	if err == nil {
		err = s.order("", "told", nil, nil) // what went wrong in the operator's hands
	}
	if err := errors.Join(err, s.close()); err != nil {
		return Facts{}, fmt.Errorf("%w (in %s)", err, filepath.Base(dir))
	}
	if !r.Keep {
		err = os.RemoveAll(dir)
	}
	return facts, err
}
