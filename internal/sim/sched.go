package sim

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"time"
)

// stuckAfter is how long, in real time, a task may run between two scheduling
// points before the run is called stuck. The slowest honest step is a large
// commit under the race detector, some seconds.
const stuckAfter = 2 * time.Minute

// Sched runs tasks one at a time on a fake clock. A task gives up control only
// in Sleep, Yield or by ending; which of the tasks that are due goes on is drawn
// from the seed. Nothing here may be used from a goroutine that is not the
// running task or, between runs, the test itself.
//
//	ready ──resume──▶ running ──Sleep──▶ sleeping ──time──▶ ready
//	                     │ return, Kill
//	                     ▼
//	                   ended
type Sched struct {
	Rand  *rand.Rand
	Trace *Trace

	now     time.Time
	tasks   []*Task
	running *Task
	nextID  int
}

// Task is one line of execution, such as one operation of one device.
type Task struct {
	Name string

	id     int
	wake   time.Time
	resume chan struct{}
	parked chan struct{} // capacity 0: the scheduler waits for it
	killed bool
	ended  bool
	onEnd  func(killed bool)
}

// NewSched starts the clock at start.
func NewSched(seed uint64, start time.Time) *Sched {
	return &Sched{
		Rand:  rand.New(rand.NewPCG(seed, 0x68756973)), // "huis": any constant
		Trace: NewTrace(start),
		now:   start,
	}
}

// Now is the true fake time.
func (s *Sched) Now() time.Time { return s.now }

// Go adds a task that is due at once. onEnd, if not nil, runs in the scheduler
// when it has ended, with killed telling whether it was killed.
func (s *Sched) Go(name string, body func(), onEnd func(killed bool)) *Task {
	s.nextID++
	t := &Task{Name: name, id: s.nextID, wake: s.now, resume: make(chan struct{}), parked: make(chan struct{}), onEnd: onEnd}
	s.tasks = append(s.tasks, t)
	go func() {
		defer func() {
			t.ended = true
			t.parked <- struct{}{}
		}()
		<-t.resume
		if !t.killed {
			body()
		}
	}()
	return t
}

// Sleep parks the running task for d of fake time. Outside a task it moves the
// clock. After Kill it does not return.
func (s *Sched) Sleep(d time.Duration) {
	t := s.running
	if t == nil {
		s.advance(s.now.Add(max(d, 0)))
		return
	}
	if t.killed { // a deferred call of a task that is being unwound
		return
	}
	t.wake = s.now.Add(max(d, 0))
	t.parked <- struct{}{}
	<-t.resume
	if t.killed {
		runtime.Goexit()
	}
}

// Yield lets another due task run first, perhaps.
func (s *Sched) Yield() { s.Sleep(0) }

// Kill ends a task where it stands, as kill -9 ends a process: none of its code
// runs any more but deferred calls. It may be the running one; then Kill does
// not return.
func (s *Sched) Kill(t *Task) {
	if t.ended || t.killed {
		return
	}
	t.killed = true
	if t == s.running {
		runtime.Goexit()
	}
	t.wake = s.now
}

// RunUntil steps tasks until done says so, or none is left, or fake time passes
// limit, which is an error.
func (s *Sched) RunUntil(done func() bool, limit time.Duration) error {
	end := s.now.Add(limit)
	for !done() {
		t := s.pick()
		if t == nil {
			return nil
		}
		if t.wake.After(end) {
			s.advance(end)
			return fmt.Errorf("sim: not done after %v of fake time; waiting: %s", limit, s.names())
		}
		s.advance(t.wake)
		if err := s.step(t); err != nil {
			return err
		}
	}
	return nil
}

// RunFor steps tasks for d of fake time and leaves the clock exactly there.
func (s *Sched) RunFor(d time.Duration) error {
	end := s.now.Add(d)
	for {
		t := s.pick()
		if t == nil || t.wake.After(end) {
			s.advance(end)
			return nil
		}
		s.advance(t.wake)
		if err := s.step(t); err != nil {
			return err
		}
	}
}

// pick draws one of the tasks that are due, or else returns the next to be due.
func (s *Sched) pick() *Task {
	var due []*Task
	var next *Task
	for _, t := range s.tasks {
		if !t.wake.After(s.now) {
			due = append(due, t)
		} else if next == nil || t.wake.Before(next.wake) {
			next = t
		}
	}
	if len(due) > 0 {
		return due[s.Rand.IntN(len(due))]
	}
	return next
}

func (s *Sched) step(t *Task) error {
	s.running = t
	t.resume <- struct{}{}
	timer := time.NewTimer(stuckAfter)
	defer timer.Stop()
	select {
	case <-t.parked:
	case <-timer.C:
		buf := make([]byte, 1<<20)
		return fmt.Errorf("sim: task %s did not come back in %v of real time\n%s", t.Name, stuckAfter, buf[:runtime.Stack(buf, true)])
	}
	s.running = nil
	if t.ended {
		s.tasks = slices.DeleteFunc(s.tasks, func(o *Task) bool { return o == t })
		if t.onEnd != nil {
			t.onEnd(t.killed)
		}
	}
	return nil
}

func (s *Sched) advance(to time.Time) {
	if to.After(s.now) {
		s.now = to
		s.Trace.now = to
	}
}

// Close kills every task and lets each unwind.
func (s *Sched) Close() error {
	for len(s.tasks) > 0 {
		t := s.tasks[0]
		t.killed, t.onEnd = true, nil
		if err := s.step(t); err != nil {
			return err
		}
	}
	return nil
}

func (s *Sched) names() string {
	var out string
	for _, t := range s.tasks {
		out += t.Name + " "
	}
	return out
}

// Chance is true with probability p.
func (s *Sched) Chance(p float64) bool { return p > 0 && s.Rand.Float64() < p }

// Between draws a duration in [lo, hi].
func (s *Sched) Between(lo, hi time.Duration) time.Duration {
	return lo + time.Duration(s.Rand.Int64N(int64(hi-lo)+1))
}
