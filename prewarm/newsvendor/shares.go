package newsvendor

// shares makes the probabilities of a model agree on the average with how often what it expected was recorded to come. A model that learns
// from few hundred traces stops learning early, and what it then takes to be the share of a rare branch may be half of what it is; a price is
// weighed by exactly that share. How the shares differ from trace to trace stays the model's: its odds are multiplied by constants.
type shares struct {
	forecaster
	weights map[call]float64
	calls   []call // of the trace under way
}

// call is the nth call of a function by the same run of another one, by their marks; with none, that nothing comes of the slot of
// alternatives of which that call is the first.
type call struct {
	caller, mark, n int32
	none            bool
}

// newShares measures how a model's probabilities compare with what came.
func newShares(f forecaster, h *history) *shares {
	s := &shares{forecaster: f, weights: map[call]float64{}}
	own := f.newFollower()
	said, came := map[call]float64{}, map[call]float64{}
	var list []expected
	var calls []call
	for i := range h.traces {
		t := &h.traces[i]
		own.reset()
		for k, mark := range t.marks {
			if own.observe(mark, t.parents[k], t.times[k]) != nil {
				break
			}
			list = own.expect(list[:0])
			made := map[int]int{}
			for j := k + 1; j < len(t.marks); j++ {
				if t.parents[j] == k {
					made[t.marks[j]]++
				}
			}
			calls = callsOf(calls, list, k, mark)
			for j := range list {
				c := calls[j]
				if c.caller < 0 {
					continue
				}
				p, is := list[j].probability, 0.0
				if made[int(c.mark)] > int(c.n) {
					is = 1
				}
				said[c] += p
				came[c] += is
				c = calls[firstOf(list, j)]
				c.none = true
				said[c] -= p
				came[c] -= is
				if firstOf(list, j) == j {
					said[c]++
					came[c]++
				}
			}
		}
	}
	for c, p := range said {
		s.weights[c] = (max(came[c], 0) + 1) / (max(p, 0) + 1) // as if one more had come, as said: a little is not known
	}
	return s
}

// firstOf returns the index of the first of the alternatives of a call.
func firstOf(list []expected, i int) int {
	for j := range list[:i] {
		if list[j].alternative(&list[i]) {
			return j
		}
	}
	return i
}

// callsOf sets calls to the calls that those of a list are which the invocation with an index is about to make; those of others have caller −1.
func callsOf(calls []call, list []expected, cause, caller int) []call {
	calls = calls[:0]
	for i := range list {
		e := &list[i]
		c := call{caller: -1, mark: e.mark}
		if int(e.cause) == cause && e.parent < 0 {
			c.caller = int32(caller)
			for j := range list[:i] {
				if o := calls[j]; o.caller >= 0 && o.mark == c.mark {
					c.n++
				}
			}
		}
		calls = append(calls, c)
	}
	return calls
}

func (s *shares) newFollower() follower {
	return &sharesFollower{follower: s.forecaster.newFollower(), s: s}
}

// sharesFollower is a trace followed by a model whose shares are corrected.
type sharesFollower struct {
	follower
	s     *shares
	marks []int
}

func (f *sharesFollower) reset() {
	f.follower.reset()
	f.marks = f.marks[:0]
}

func (f *sharesFollower) observe(mark, caller int, time float64) error {
	if err := f.follower.observe(mark, caller, time); err != nil {
		return err
	}
	f.marks = append(f.marks, mark)
	return nil
}

func (f *sharesFollower) expect(list []expected) []expected {
	first := len(list)
	list = f.follower.expect(list)
	own := list[first:]
	f.s.calls = f.callsOf(f.s.calls, own, first)
	for i := range own {
		if f.s.calls[i].caller >= 0 && own[i].probability < 1 && firstOf(own, i) == i {
			f.correct(own, i)
		}
	}
	return list
}

// callsOf sets calls to the calls that those of a list are, which counts from the index first; those of which the caller is not known have caller −1.
func (f *sharesFollower) callsOf(calls []call, list []expected, first int) []call {
	calls = calls[:0]
	for i := range list {
		e := &list[i]
		c := call{caller: -1, mark: e.mark}
		switch {
		case e.parent >= 0:
			c.caller = list[int(e.parent)-first].mark
		case e.cause >= 0:
			c.caller = int32(f.marks[e.cause])
		}
		for j := range list[:i] {
			if o := &list[j]; o.mark == e.mark && o.parent == e.parent && o.cause == e.cause {
				c.n++
			}
		}
		calls = append(calls, c)
	}
	return calls
}

// correct multiplies the odds of the alternatives of which the first is i.
func (f *sharesFollower) correct(list []expected, i int) {
	none := f.s.calls[i]
	none.none = true
	left, total := 1.0, 0.0
	for j := i; j < len(list); j++ {
		if list[j].alternative(&list[i]) {
			left -= list[j].probability
		}
	}
	if left > 1e-6 {
		total = left * f.weight(none)
	}
	for j := i; j < len(list); j++ {
		if e := &list[j]; e.alternative(&list[i]) {
			e.probability *= f.weight(f.s.calls[j])
			total += e.probability
		}
	}
	for j := i; j < len(list) && total > 0; j++ {
		if e := &list[j]; e.alternative(&list[i]) {
			e.probability /= total
		}
	}
}

func (f *sharesFollower) weight(c call) float64 {
	if w, ok := f.s.weights[c]; ok {
		return w
	}
	return 1
}
