package link

import (
	"slices"
	"strings"
)

// The years 2024 to 2049 as seconds since 1970. Counters do not come there.
const (
	earliest = 1704067200
	latest   = 2500000000
)

// clock guesses the unit of an integer that could be a time of our days.
func clock(v int64) Resolution {
	in := func(unit int64) bool { return v >= earliest/unit && v <= latest/unit }
	switch {
	case in(86400):
		return Day
	case in(60):
		return Minute
	case in(1), v >= earliest*1000:
		return Finer
	}
	return NoClock
}

func finer(a, b Resolution) Resolution {
	order := []Resolution{NoClock, Day, Minute, Finer}
	return order[max(slices.Index(order, a), slices.Index(order, b))]
}

// Clocks returns the columns that tell a time finer than a day and stand in a
// table whose rows can be tied to one of the accounts: with the minutes of a
// conversation's entries they would tell who spoke.
func (d *Disk) Clocks(acc, conv []Named) []Column {
	g := newGraph(d.Records, [2][]Named{acc, conv})
	tied := make(map[string]bool)
	for _, a := range acc {
		for i := range g.closure(a.ID).from {
			table, _, isRow := strings.Cut(d.Records[i].Source, " row ")
			if isRow {
				tied[table] = true
			}
		}
	}
	return slices.DeleteFunc(slices.Clone(d.Columns), func(c Column) bool {
		return !tied[c.Table] || c.Finest == NoClock || c.Finest == Day
	})
}
