package policy

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/tppfaas/tppfaas/prewarm"
)

// stemCells keeps the stocks of stem cells of Apache OpenWhisk: containers of a runtime and a memory size that belong to no function yet. A stock is
// a function of the fleet with StemCell. The parameters, with the values that OpenWhisk ships for nodejs:20:
//
//   - initial (2) containers at the beginning;
//   - min (1), max (4), threshold (1), increment (1): at each check with k ≥ 1 cold starts since the last one, of functions with just that runtime
//     and memory, ⌊k/threshold⌋·increment containers are wanted, at least min and at most max; with none min. What is missing is started, what is
//     there and what is starting counts;
//   - ttl (120 s): at each check those are removed that have been ready for so long, the oldest first, at most limit (100);
//   - interval (600 s), variance (10 s): the first check is after interval, and then there is one each interval and U{0, …, variance−1} s, which is
//     drawn once from the seed;
//   - reactive=no leaves out the checks.
//
// A stem cell that an invocation has taken is replaced at once. After the loss of one there are min again, or initial without checks. Containers are
// started only where there is room. Those that are too many go only by their age.
type stemCells struct {
	reactive                    bool
	initial, least, most        int
	threshold, increment, limit int
	unbounded                   bool // whether there is room does not matter
	counted                     bool // cold starts are counted by the policy, which takes stem cells itself
	ttl, first, interval        time.Duration
	begun                       bool
	stocks                      []stock
}

// stock is one of the stocks.
type stock struct {
	function int // of the fleet
	cold     int // starts since the last check that did not get a stem cell
	taken    int // stem cells whose invocation has not been seen
}

// checkKey is that of the Woken for checks.
const checkKey = 1

func newStemCells(a *Args, o Options) stemCells {
	const most = 1000000
	s := stemCells{
		reactive: a.Choice("reactive", "yes", "no") == "yes",
		initial:  int(a.Option("initial", 2, 0, most)),
		least:    int(a.Option("min", 1, 0, most)), most: int(a.Option("max", 4, 0, most)),
		ttl:       a.Seconds("ttl", 2*time.Minute),
		threshold: int(a.Option("threshold", 1, 1, most)), increment: int(a.Option("increment", 1, 1, most)),
		first: max(a.Seconds("interval", 10*time.Minute), time.Second),
		limit: int(a.Option("limit", 100, 1, most)),
	}
	s.interval = s.first
	if variance := int(a.Option("variance", 10, 0, 3600)); variance > 0 {
		s.interval += time.Duration(rand.New(rand.NewPCG(o.Seed, 0)).IntN(variance)) * time.Second
	}
	for i, f := range o.Functions {
		if f.StemCell {
			s.stocks = append(s.stocks, stock{function: i})
		}
	}
	return s
}

// of returns the stock for a function, nil if there is none: that of its runtime and of just its memory.
func (s *stemCells) of(f *prewarm.Function, fleet *prewarm.Fleet) *stock {
	for i := range s.stocks {
		g := &fleet.Functions[s.stocks[i].function]
		if g.Kind == f.Kind && g.MemoryMB == f.MemoryMB {
			return &s.stocks[i]
		}
	}
	return nil
}

// handle is told of all events.
func (s *stemCells) handle(e *prewarm.Event, fleet *prewarm.Fleet, d *prewarm.Decisions) {
	if len(s.stocks) == 0 {
		return
	}
	switch e.Kind {
	case prewarm.Woken:
		switch {
		case !s.begun:
			s.begun = true
			used := fleet.UsedMB
			for i := range s.stocks {
				s.fill(&s.stocks[i], s.initial, 0, &used, "stem cells at the beginning", fleet, d)
			}
			if s.reactive {
				d.Wake(e.At+s.first, checkKey)
			}
		case e.Key == checkKey:
			s.check(fleet, d)
			d.Wake(e.At+s.interval, checkKey)
		}
	case prewarm.Placed:
		s.started(e, e.Start == prewarm.Cold, fleet)
	case prewarm.Started:
		if !fleet.Platform.Arrivals {
			s.started(e, e.Init > 0, fleet)
		}
	case prewarm.Idle:
		if fleet.Functions[e.Function].StemCell {
			d.Hold(fleet.Container(e.Container), prewarm.Never, prewarm.Why{Rule: "a stem cell"})
		}
	case prewarm.Removed:
		s.removed(e, fleet, d)
	}
}

// started counts a start that was cold and did not get a stem cell.
func (s *stemCells) started(e *prewarm.Event, cold bool, fleet *prewarm.Fleet) {
	k := s.of(&fleet.Functions[e.Function], fleet)
	switch {
	case k == nil || !cold || s.counted:
	case k.taken > 0:
		k.taken--
	default:
		k.cold++
	}
}

// removed replaces a stem cell that is gone.
func (s *stemCells) removed(e *prewarm.Event, fleet *prewarm.Fleet, d *prewarm.Decisions) {
	if !fleet.Functions[e.Function].StemCell || e.By == prewarm.ByPolicy {
		return
	}
	k := s.of(&fleet.Functions[e.Function], fleet)
	used := fleet.UsedMB
	if e.By == prewarm.ByPlatform {
		k.taken++
		used += fleet.Functions[e.Function].MemoryMB // of the container that it has become
		there := len(fleet.Containers(k.function, prewarm.StateIdle)) + fleet.StartingForNobody(k.function)
		s.fill(k, there+1, 0, &used, "a stem cell was taken", fleet, d)
		return
	}
	wanted := s.least
	if !s.reactive {
		wanted = s.initial
	}
	s.fill(k, wanted, 0, &used, "a stem cell was lost", fleet, d)
}

// check removes the stem cells that are too old, and starts what the cold starts since the last check ask for.
func (s *stemCells) check(fleet *prewarm.Fleet, d *prewarm.Decisions) {
	var expired []*prewarm.Container
	for i := range s.stocks {
		for _, c := range fleet.Containers(s.stocks[i].function, prewarm.StateIdle) {
			if c.Since+s.ttl <= fleet.Now {
				expired = append(expired, c)
			}
		}
	}
	slices.SortStableFunc(expired, func(a, b *prewarm.Container) int { return cmp.Compare(a.Since, b.Since) })
	expired = expired[:min(len(expired), s.limit)]
	used := fleet.UsedMB
	for _, c := range expired {
		d.GiveBack(c, prewarm.Why{Rule: "a stem cell is too old"})
		used -= fleet.Functions[c.Function].MemoryMB
	}
	for i := range s.stocks {
		k := &s.stocks[i]
		gone := 0
		for _, c := range expired {
			if c.Function == k.function {
				gone++
			}
		}
		s.fill(k, s.wanted(k.cold), gone, &used, "stem cells for cold starts", fleet, d)
		k.cold = 0
	}
}

// wanted returns the number of stem cells for a number of cold starts since the last check.
func (s *stemCells) wanted(cold int) int {
	if cold == 0 {
		return s.least
	}
	return max(min(cold/s.threshold*s.increment, s.most), s.least)
}

// fill starts the stem cells that are missing, as far as there is room beyond the memory used, to which it adds them. Of those that are there, some
// are going.
func (s *stemCells) fill(k *stock, wanted, going int, used *int, rule string, fleet *prewarm.Fleet, d *prewarm.Decisions) {
	missing := wanted - (len(fleet.Containers(k.function, prewarm.StateIdle)) - going + fleet.StartingForNobody(k.function))
	memory := fleet.Functions[k.function].MemoryMB
	n := 0
	for n < missing && (s.unbounded || fleet.Platform.MemoryMB == 0 || *used+memory <= fleet.Platform.MemoryMB) {
		*used += memory
		n++
	}
	if n > 0 {
		d.Start(k.function, n, prewarm.Why{Rule: rule})
	}
}
