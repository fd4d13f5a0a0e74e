package race

import (
	"iter"
	"math"
	"math/bits"
	"slices"

	"github.com/tppfaas/tppfaas/internal/nn"
	"github.com/tppfaas/tppfaas/internal/simd"
	"github.com/tppfaas/tppfaas/tpp"
)

// forecast is the scratch memory of Arrivals.
type forecast struct {
	arrivals []tpp.ExpectedArrival
	times    []float64 // of all arrivals, samples each
	filled   []float64 // of each slot that is due: when it is filled, whatever by
	groups   []uint8   // of all arrivals, by which they are recalibrated
	order    []int32
	instants []float64 // of the event that is continued with
	memory   [samples]float64
}

// Arrivals returns all events that are expected, given that none has come between the last one and now: those that are due, and below
// them those that they will make due. Nothing is drawn, and the network computes no more than for Next: when something that is due
// comes is its own distribution; when what lies below it comes is that plus an offset, whose distribution was learned from all the
// training part's sequences. Of the slots of one event that are due, the first one has its own distribution, and the others follow
// it by offsets. The result is valid until the next call of a method of any state that shares the workspace. Events that nothing explains
// are not among them.
func (s *state) Arrivals(now float64) []tpp.ExpectedArrival {
	now = max(now, s.last)
	s.predict(now)
	w := s.work
	f, p := &w.arrivals, &w.forecast
	f.arrivals, f.groups = f.arrivals[:0], f.groups[:0]
	f.times = nn.Resize(f.times, 0)
	f.filled = nn.Resize(f.filled, len(s.due)*samples)
	for i := range s.due {
		d := &s.due[i]
		filled := f.filled[i*samples : (i+1)*samples]
		var offsets []float32
		head := s.head(i)
		if head != i {
			offsets = s.m.offsets.between(int(d.parent), int(s.due[head].slot), int(d.slot), len(s.graph.Slots[d.parent]))
		}
		if offsets == nil {
			p.sampleSlot(filled, p.slots[i], p.slots[i+1]-p.slots[i], now-d.anchor)
			continue
		}
		for j := range filled {
			filled[j] = max(f.filled[head*samples+j]+float64(offsets[(j*37+11)%samples]), 0)
		}
		slices.Sort(filled)
	}
	p.survive(0)
	for i := range s.due {
		first, n := p.slots[i], p.slots[i+1]-p.slots[i]
		left := s.due[i].alive
		for r := first; r < first+n; r++ {
			alternative := bits.TrailingZeros64(left)
			left &= left - 1
			f.add(s.m, s.mark(&s.due[i], alternative), i, s.due[i].event, min(p.later[r], 1), s.lateness(), p.never)
		}
	}
	return f.arrivals
}

// rank returns how many of the slots that are due, but for one, are expected to be filled before t.
func (f *forecast) rank(slot int, t float64, never []float64) int {
	sum := 0.0
	for i := range never {
		if i != slot && f.filled[i*samples+samples/2] < t {
			sum += 1 - never[i]
		}
	}
	return int(math.Round(sum))
}

// head returns the index of the slot that slot i of what is due follows: the first one of the same event that has not been overtaken.
func (s *state) head(i int) int {
	if s.due[i].kind == kindOver {
		return i
	}
	for j := range i {
		if d := &s.due[j]; d.event == s.due[i].event && d.parent == s.due[i].parent && d.kind != kindOver {
			return j
		}
	}
	return i
}

// between returns samples of the time from the arrival of one slot of a mark with k slots to that of a later one, or nil.
func (o *offsets) between(parent, from, to, k int) []float32 {
	if own := o.siblings[parent]; len(own) > 0 && from < to {
		return own[from*k+to]
	}
	return nil
}

// add appends an event of a slot that an event has made due, with a probability, and all that is below it.
func (f *forecast) add(m *Race, mark, slot, cause int, probability float64, lateness int, never []float64) {
	root := len(f.arrivals)
	times := f.filled[slot*samples : (slot+1)*samples]
	due := f.take()
	copy(due, times)
	f.recalibrate(m, due, mark, group(1, f.rank(slot, times[samples/2], never)))
	f.arrivals = append(f.arrivals, tpp.ExpectedArrival{
		Mark: mark, Probability: probability, Parent: -1, Cause: cause, Slot: slot, Steps: 1, Times: due,
	})
	for i := range m.offsets.descendants[mark] {
		d := &m.offsets.descendants[mark][i]
		offsets := d.offsets[lateness*samples:][:samples]
		own := f.take()
		for j := range own {
			// Pairing by reversed bits spreads the offsets evenly over the times.
			own[j] = max(times[j]+float64(offsets[bits.Reverse8(uint8(j))>>2]), 0)
		}
		slices.Sort(own)
		f.recalibrate(m, own, int(d.mark), group(int(d.depth)+1, f.rank(slot, own[samples/2], never)))
		f.arrivals = append(f.arrivals, tpp.ExpectedArrival{
			Mark: int(d.mark), Probability: probability * d.probability, Parent: root + 1 + int(d.parent), Cause: -1, Slot: int(d.slot),
			Steps: int(d.depth) + 1, Times: own,
		})
	}
}

func (f *forecast) recalibrate(m *Race, times []float64, mark, group int) {
	f.groups = append(f.groups, uint8(group))
	m.recalibration.apply(times, mark, group, f.memory[:])
}

// take returns memory for the times of one more event.
func (f *forecast) take() []float64 {
	first := len(f.times)
	f.times = slices.Grow(f.times, samples)[:first+samples]
	return f.times[first:]
}

// sampleSlot fills dst with equally likely times from now until the slot whose rows are first to first+n−1 is filled, given that it is, in
// ascending order. Each component of a mixture has its share of them, and they are its quantiles, truncated to what is possible.
func (p *prediction) sampleSlot(dst []float64, first, n int, elapsed float64) {
	k := p.m.net.components
	e := p.m.encoder
	total := 0.0
	p.memory = nn.Resize(p.memory, n*k)
	for r := first; r < first+n; r++ {
		y := e.log(elapsed)
		for j := range k {
			u := float64(p.products[r*k+j]) - y*float64(p.precisions[r*k+j])
			p.memory[(r-first)*k+j] = float64(p.weights[r*k+j]) / (1 + math.Exp(-u))
			total += p.memory[(r-first)*k+j]
		}
	}
	if !(total > 0) {
		for i := range dst {
			dst[i] = 0
		}
		return
	}
	component, below := 0, 0.0
	var odds, y, precisions [samples]float32
	for i := range dst {
		at := (float64(i) + 0.5) / float64(len(dst)) * total
		for component < n*k-1 && below+p.memory[component] < at {
			below += p.memory[component]
			component++
		}
		own := p.memory[component]
		left := 1 - min(max((at-below)/own, 0), 1-1e-9) // of the component's survival
		j := first*k + component
		survival := own / float64(p.weights[j]) * left
		odds[i] = float32(min((1-survival)/survival, math.MaxFloat32))
		y[i], precisions[i] = p.products[j], p.precisions[j]
	}
	simd.Log(odds[:], odds[:])
	for i := range y {
		y[i] = min((y[i]+odds[i])/precisions[i], maxLogDelay)
	}
	simd.Exp(odds[:], y[:])
	for i, exp := range odds {
		dst[i] = max(e.scale*(float64(exp)-1/float64(exp))/2-elapsed, 0) // the hyperbolic sine
	}
	slices.Sort(dst)
}

// maxLogDelay bounds the logarithms of delays by what float32 can hold.
const maxLogDelay = 80

// Continue returns the events that are expected, in the order of the medians of their times.
func (s *state) Continue(now float64) iter.Seq[tpp.PredictedEvent] {
	return func(yield func(tpp.PredictedEvent) bool) {
		now := max(now, s.last)
		arrivals := s.Arrivals(now)
		order := s.work.arrivals.order[:0]
		for i := range arrivals {
			order = append(order, int32(i))
		}
		median := func(i int32) float64 { return arrivals[i].Times[samples/2] }
		slices.SortStableFunc(order, func(a, b int32) int {
			switch x, y := median(a), median(b); {
			case x < y:
				return -1
			case x > y:
				return 1
			}
			return 0
		})
		s.work.arrivals.order = order
		for _, i := range order {
			a := &arrivals[i]
			times := s.work.arrivals.instants[:0]
			for _, t := range a.Times {
				times = append(times, now+t)
			}
			s.work.arrivals.instants = times
			if !yield(tpp.PredictedEvent{Time: now + median(i), Mark: a.Mark, Probability: a.Probability, Times: times}) {
				return
			}
		}
	}
}
