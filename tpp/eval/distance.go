package eval

import (
	"math"
	"slices"

	"github.com/tppfaas/tppfaas/tpp"
)

// Distance returns the optimal-transport distance between two lists of events (Mei, Qin and Eisner 2019, Imputing Missing
// Events in Continuous-Time Event Streams, section 5): the least cost of turning one into the other, where moving an
// event costs |Δt|, and taking one away or putting one in costs edit ≥ 0 each. A mark cannot be changed: each mark is
// transported by itself. So two events of one mark are matched only if they are at most 2·edit apart. It is a metric, in
// the unit of time, 0 for equal lists and at most edit times the number of all events. HoTPP (Karpukhin, Shipilov and Savchenko
// 2024, arXiv 2406.14341) takes it of a number of next events, with costs of insertion and deletion that are equal: 1 each for
// StackOverflow and Amazon, 15 each for Retweet.
//
// The events may come in any order. It is exact, in O(Σₘ nₘ·n′ₘ) time for nₘ and n′ₘ events of mark m.
func Distance(a, b []tpp.Event, edit float64) float64 {
	a, b = byMark(a), byMark(b)
	total := 0.0
	var row []float64
	for len(a) > 0 || len(b) > 0 {
		mark := 0
		if len(b) == 0 || len(a) > 0 && a[0].Mark <= b[0].Mark {
			mark = a[0].Mark
		} else {
			mark = b[0].Mark
		}
		i, j := countMark(a, mark), countMark(b, mark)
		var cost float64
		cost, row = transport(a[:i], b[:j], edit, row)
		total += cost
		a, b = a[i:], b[j:]
	}
	return total
}

// byMark returns the events ordered by mark, then time.
func byMark(events []tpp.Event) []tpp.Event {
	events = slices.Clone(events)
	slices.SortStableFunc(events, func(a, b tpp.Event) int {
		switch {
		case a.Mark != b.Mark:
			return a.Mark - b.Mark
		case a.Time < b.Time:
			return -1
		case a.Time > b.Time:
			return 1
		}
		return 0
	})
	return events
}

// countMark returns how many events at the beginning have the mark.
func countMark(events []tpp.Event, mark int) int {
	n := 0
	for n < len(events) && events[n].Mark == mark {
		n++
	}
	return n
}

// transport returns the cost between events of one mark in the order of their times. Matches that cross can be uncrossed at no
// cost, since |Δt| is convex, so it is an alignment: row[j] is the cost of the events of a so far and the first j of b.
func transport(a, b []tpp.Event, edit float64, row []float64) (float64, []float64) {
	row = row[:0]
	for j := range len(b) + 1 {
		row = append(row, float64(j)*edit)
	}
	for _, x := range a {
		diagonal := row[0]
		row[0] += edit
		for j, y := range b {
			cost := min(row[j+1]+edit, row[j]+edit, diagonal+math.Abs(x.Time-y.Time))
			diagonal, row[j+1] = row[j+1], cost
		}
	}
	return row[len(b)], row
}
