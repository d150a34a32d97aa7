package store

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"codeberg.org/huis/huis/internal/proto"
)

func TestOperatorKeySealsForOnePurposeAndRow(t *testing.T) {
	k := NewOperatorKey()
	sealed := k.Seal("handle", []byte("row"), []byte("alice"))
	if got, err := k.Open("handle", []byte("row"), sealed); err != nil || string(got) != "alice" {
		t.Fatalf("%q, %v", got, err)
	}
	flipped := append([]byte{}, sealed...)
	flipped[len(flipped)-1] ^= 1
	for name, open := range map[string]func() ([]byte, error){
		"another purpose": func() ([]byte, error) { return k.Open("stamp", []byte("row"), sealed) },
		"another row":     func() ([]byte, error) { return k.Open("handle", []byte("other"), sealed) },
		"another key":     func() ([]byte, error) { return NewOperatorKey().Open("handle", []byte("row"), sealed) },
		"a flipped bit":   func() ([]byte, error) { return k.Open("handle", []byte("row"), flipped) },
		"too short":       func() ([]byte, error) { return k.Open("handle", []byte("row"), sealed[:10]) },
	} {
		if _, err := open(); !errors.Is(err, ErrOperatorKey) {
			t.Errorf("%s: %v", name, err)
		}
	}
	alice, same := k.Lookup("handle", "alice"), k
	if alice != same.Lookup("handle", "alice") || alice == k.Lookup("other", "alice") || alice == k.Lookup("handle", "bob") ||
		alice == NewOperatorKey().Lookup("handle", "alice") {
		t.Error("a lookup is not that of key, purpose and value")
	}
}

func TestOperatorKeyDoesNotPrint(t *testing.T) {
	k := OperatorKey{0xab, 0xcd}
	if s := fmt.Sprintf("%v %x %#v %s %d", k, k, k, k, k); strings.Contains(strings.ToLower(s), "abcd") || strings.Contains(s, "171") {
		t.Error(s)
	}
}

func TestDaysAndMinutesRoundDown(t *testing.T) {
	at := time.Date(2026, 3, 1, 23, 59, 59, 999, time.UTC)
	if DayOf(at) != DayOf(at.Add(-23*time.Hour)) || DayOf(at)+1 != DayOf(at.Add(time.Second)) || MinuteOf(at)+1 != MinuteOf(at.Add(time.Second)) {
		t.Error("not rounded down")
	}
	if DayOf(time.Unix(-5, 0)) != 0 || MinuteOf(time.Unix(-5, 0)) != 0 {
		t.Error("before 1970 is not 1970")
	}
}

func TestFloorFollowsRemovals(t *testing.T) {
	l := Log{Epoch: 1, Floor: 1}
	for _, want := range []struct {
		removes      bool
		epoch, floor uint64
	}{{false, 2, 1}, {false, 3, 1}, {false, 4, 1}, {false, 5, 2}, {true, 6, 6}, {false, 7, 6}, {false, 8, 6}, {false, 9, 6}, {false, 10, 7}} {
		if l = l.EndEpoch(100, want.removes); l.Epoch != want.epoch || l.Floor != want.floor {
			t.Fatalf("epoch %d, floor %d, want %+v", l.Epoch, l.Floor, want)
		}
	}
}

func TestAdmitDecidesByMinuteAndSecond(t *testing.T) {
	l := Log{Epoch: 5, Floor: 2, Ended: [3]Minute{100, 99, 50}}
	for _, c := range []struct {
		epoch, recent uint64
		now           Minute
		want          error
	}{
		{6, 0, 100, proto.Future}, {5, 0, 100, nil}, {4, 0, 100, nil}, {4, 0, 101, proto.Stale}, {4, 4, 101, nil}, {4, 3, 101, nil},
		{3, 4, 100, proto.Stale}, {3, 3, 100, nil}, {3, 3, 101, proto.Stale}, {2, 2, 101, proto.Stale}, {1, 1, 100, proto.Stale},
		{4, 4, 99, proto.Stale}, // the clock went back
	} {
		s := &Submission{Entry: &proto.Entry{Kind: proto.KindApplication, Epoch: c.epoch}, Now: c.now, Recent: c.recent}
		if err := l.Admit(s); !errors.Is(err, c.want) {
			t.Errorf("epoch %d at minute %d, recent %d: %v, want %v", c.epoch, c.now, c.recent, err, c.want)
		}
	}
}
