package eval

import (
	"context"
	"fmt"
	"math"

	"github.com/tppfaas/tppfaas/internal/starts"
	"github.com/tppfaas/tppfaas/tpp"
)

// ArrivalCalibration says how well the distributions of events to come agree with when these came, for all predictions that were made
// equally many steps ahead.
type ArrivalCalibration struct {
	// Expected is the sum of the probabilities of the events that were expected, Came the number of those that came.
	Expected float64 `json:"expected"`
	Came     int     `json:"came"`
	// PIT is the histogram of the probability integral transform of the times of the events that came: how far up in the distribution of
	// its time each came. Its bins add up to 1, and are equal where the distributions are right.
	PIT [PITBins]float64 `json:"pit"`
	// Coverage50 and Coverage90 are the shares of events that came within the central intervals of 50 and 90 %.
	Coverage50 float64 `json:"coverage_50"`
	Coverage90 float64 `json:"coverage_90"`
}

// Deviation returns the largest distance between the distribution of the transforms and the uniform one, at the bounds of the bins: 0
// where the distributions are right, or nothing came.
func (c *ArrivalCalibration) Deviation() float64 {
	largest, below := 0.0, 0.0
	for i, share := range c.PIT {
		below += share
		if c.Came > 0 {
			largest = max(largest, math.Abs(below-float64(i+1)/PITBins))
		}
	}
	return largest
}

// ArrivalStepNames name the entries of CalibrateArrivals.
func ArrivalStepNames() [ArrivalSteps]string {
	return [ArrivalSteps]string{"next", "second", "third or later"}
}

// ExpectsArrivals reports whether the states of a model are ForecastingStates.
func ExpectsArrivals(m tpp.Model) bool {
	_, ok := m.NewState(0).(tpp.ForecastingState)
	return ok
}

// ArrivalSteps is the number of entries that CalibrateArrivals returns.
const ArrivalSteps = 3

// CalibrateArrivals follows complete sequences with a model whose states are ForecastingStates. After each event it compares, for each mark,
// the distribution of the time until the first event with the mark that is still to come (tpp.ArrivalsWithin) with when that came. Entry
// 0 is about events that were expected to come next, entry 1 about those expected as the second, entry 2 about those expected as the third or
// later. The forecast itself says which, by how many others it expects before the event's median time, to the nearest, and at least as
// many as must come before it. It is not counted how many came: an event that others have overtaken is one that came late, and among those
// the right distributions are not uniform. Sequences that were still running are left out. The error names the sequence.
func CalibrateArrivals(ctx context.Context, m tpp.Model, d *tpp.Dataset) ([ArrivalSteps]ArrivalCalibration, error) {
	var out [ArrivalSteps]ArrivalCalibration
	if d == nil {
		return out, errNoDataset
	}
	d, err := d.WithMarks(m.MarkNames())
	if err != nil {
		return out, err
	}
	resolution := 1.0
	if c, ok := m.(tpp.Clocked); ok {
		resolution = c.Resolution()
	}
	var sums [ArrivalSteps]pitSums
	for i := range d.Sequences {
		s := &d.Sequences[i]
		if err := ctx.Err(); err != nil {
			return out, fmt.Errorf("calibration stopped: %w", err)
		}
		if s.TEnd != nil || s.Len() == 0 {
			continue
		}
		if err := calibrateSequence(m, s, resolution, &out, &sums); err != nil {
			return out, fmt.Errorf("sequence %d: %w", i, err)
		}
	}
	for i := range out {
		if n := float64(out[i].Came); n > 0 {
			for b, v := range sums[i].histogram {
				out[i].PIT[b] = v / n
			}
			out[i].Coverage50, out[i].Coverage90 = sums[i].inner50/n, sums[i].inner90/n
		}
	}
	return out, nil
}

func calibrateSequence(m tpp.Model, s *tpp.Sequence, resolution float64, out *[ArrivalSteps]ArrivalCalibration, sums *[ArrivalSteps]pitSums) error {
	s, err := starts.Seen(m, s)
	if err != nil {
		return err
	}
	state, ok := m.NewState(s.Start()).(tpp.ForecastingState)
	if !ok {
		return fmt.Errorf("a model of kind %s does not say which events it expects", m.Kind())
	}
	teller, err := starts.NewTeller(m, state, s)
	if err != nil {
		return err
	}
	names := m.CovariateNames()
	var event tpp.Event
	var memory []float64
	within := func(arrivals []tpp.ExpectedArrival, mark int, t float64) (p float64) {
		p, memory = tpp.ArrivalsWithin(arrivals, mark, t, memory)
		return p
	}
	first := make([]int, max(len(m.MarkNames()), 1)) // the arrival of each mark that is expected first, −1 for others
	var apart []bool
	for i := range s.Len() {
		if err := teller.Tell(s.ArrivalTimes[i], nil); err != nil {
			return err
		}
		event = s.Event(i, names, event.Covariates)
		if err := state.Observe(event); err != nil {
			return err
		}
		teller.Arrived(i)
		arrivals := state.Arrivals(event.Time)
		for mark := range first {
			first[mark] = -1
		}
		for j := range arrivals {
			a := &arrivals[j]
			if a.Probability > 0 && (first[a.Mark] < 0 || median(a) < median(&arrivals[first[a.Mark]])) {
				first[a.Mark] = j
			}
		}
		for mark, j := range first {
			if j < 0 {
				continue
			}
			var before float64
			before, apart = expectedBefore(arrivals, j, apart)
			k := int(min(max(math.Round(before), 0), ArrivalSteps-1))
			ever := within(arrivals, mark, math.Inf(1))
			out[k].Expected += ever
			at := i + 1
			for at < s.Len() && s.Mark(at) != mark {
				at++
			}
			if at == s.Len() {
				continue
			}
			out[k].Came++
			gap := s.ArrivalTimes[at] - event.Time
			c := pitInterval{upper: within(arrivals, mark, gap+resolution/2) / ever}
			if from := gap - resolution/2; from > 0 {
				c.lower = min(within(arrivals, mark, from)/ever, c.upper)
			}
			sums[k].add(c)
		}
	}
	return nil
}

func median(a *tpp.ExpectedArrival) float64 { return a.Times[len(a.Times)/2] }

// expectedBefore returns how many events are expected before the median time of arrival i, given that it comes. Apart is scratch memory.
func expectedBefore(arrivals []tpp.ExpectedArrival, i int, apart []bool) (float64, []bool) {
	// Of the slots of the arrival and of those above it nothing else comes, and what is below it comes later.
	apart = append(apart[:0], make([]bool, len(arrivals))...)
	for j := i + 1; j < len(arrivals) && arrivals[j].Steps > arrivals[i].Steps; j++ {
		apart[j] = true
	}
	for at := i; at >= 0; at = arrivals[at].Parent {
		for j := range arrivals {
			if arrivals[j].Parent == arrivals[at].Parent && arrivals[j].Slot == arrivals[at].Slot {
				apart[j] = true
			}
		}
	}
	before, t := float64(arrivals[i].Steps-1), median(&arrivals[i])
	for j := range arrivals {
		if a := &arrivals[j]; !apart[j] {
			before += a.Probability * a.Within(t)
		}
	}
	return before, apart
}
