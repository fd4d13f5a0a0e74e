package live

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/tppfaas/tppfaas/internal/starts"
	"github.com/tppfaas/tppfaas/tpp"
	"github.com/tppfaas/tppfaas/tpp/dist"
)

// IntensityPoint is the conditional intensity of a model at a time of a sequence, given what had come before.
type IntensityPoint struct {
	// Time is the time, in the model's unit. At that of an event there are two points, one just before it and one just after.
	Time float64
	// Events is how many events of the sequence had come. The point just before an event does not count it.
	Events int
	// Marks are the intensities by mark, per time unit.
	Marks []float64
	// Total is their sum.
	Total float64
	// Compensator is the integral of Total from the start of observation to Time: the negative sum of the log survivals of the gaps. Under the true
	// model it grows by an exponential time of mean 1 from event to event.
	Compensator float64
}

// IntensityOptions configures Intensity. The zero value is usable.
type IntensityOptions struct {
	// Points is the number of times, at equal distances from the start of observation to its end (default 1000), beside those of the events.
	Points int
}

// Intensity returns the conditional intensities of a model along a sequence, from its start, which is its first event if it has no TStart, to its
// TEnd or last event. They are known for every model whose next event has a density; of a model that predicts single times it is an error. The
// sequence's marks must be numbered as the model's (see tpp.Dataset.WithMarks). A model that observes starts is told of them as they come.
func Intensity(ctx context.Context, m tpp.Model, s *tpp.Sequence, opts IntensityOptions) ([]IntensityPoint, error) {
	opts.Points = cmp.Or(opts.Points, 1000)
	switch {
	case m == nil:
		return nil, fmt.Errorf("intensity: %w", errNoModel)
	case s == nil:
		return nil, errors.New("intensity: no sequence")
	case opts.Points < 2:
		return nil, fmt.Errorf("intensity: %d points, there must be at least 2", opts.Points)
	}
	if err := s.Validate(max(len(m.MarkNames()), 1)); err != nil {
		return nil, fmt.Errorf("intensity: %w", err)
	}
	s, err := starts.Seen(m, s)
	if err != nil {
		return nil, fmt.Errorf("intensity: %w", err)
	}
	w := intensityWalk{ctx: ctx, state: m.NewState(s.Start()), kind: m.Kind(), from: s.Start(), first: s.Start(), end: lastTime(s), points: opts.Points}
	if s.TEnd != nil {
		w.end = *s.TEnd
	}
	if err := w.follow(m, s); err != nil {
		return nil, fmt.Errorf("intensity: %w", err)
	}
	return w.out, nil
}

// intensityWalk follows a sequence and collects points.
type intensityWalk struct {
	ctx        context.Context
	state      tpp.State
	kind       string  // of the model
	from       float64 // until where points were collected
	first, end float64 // of the grid
	points     int     // of the grid
	next       int     // index of the next time of the grid
	events     int     // that have come
	spent      float64 // compensator at from
	out        []IntensityPoint
}

// grid returns a time of the grid.
func (w *intensityWalk) grid(i int) float64 {
	return w.first + (w.end-w.first)*float64(i)/float64(w.points-1)
}

// until collects points from where the last ones end to a time, until which the state does not change.
func (w *intensityWalk) until(to float64) error {
	if err := w.ctx.Err(); err != nil {
		return err
	}
	next := w.state.Next(w.from)
	if next.Time != nil && !dist.HasDensity(next.Time) {
		return fmt.Errorf("a %s predicts a single time, it has no intensity", w.kind)
	}
	at := func(t float64) {
		p := IntensityPoint{Time: t, Events: w.events, Marks: next.Intensity(t-w.from, nil), Compensator: w.spent - next.LogSurvival(t-w.from)}
		for _, v := range p.Marks {
			p.Total += v
		}
		w.out = append(w.out, p)
	}
	at(w.from)
	for ; w.next < w.points && w.grid(w.next) < to; w.next++ {
		if t := w.grid(w.next); t > w.from {
			at(t)
		}
	}
	if to > w.from {
		at(to)
		w.from = to
	}
	w.spent = w.out[len(w.out)-1].Compensator // of a tie it is above 0 where gaps are 0 with some probability
	if math.IsInf(w.spent, 0) || math.IsNaN(w.spent) {
		return fmt.Errorf("the model holds it for impossible that nothing comes until %v", to)
	}
	return nil
}

// follow goes through the events, and the starts that the model is told of.
func (w *intensityWalk) follow(m tpp.Model, s *tpp.Sequence) error {
	teller, err := starts.NewTeller(m, w.state, s)
	if err != nil {
		return err
	}
	covariates := m.CovariateNames()
	var values []float64
	var failed error
	before := func(t float64) {
		if failed == nil && t > w.from {
			failed = w.until(t)
		}
	}
	tell := func(until float64) error {
		if err := teller.Tell(until, before); err != nil {
			return err
		}
		return failed
	}
	for i := range s.Len() {
		at := s.ArrivalTimes[i]
		if err := tell(at); err != nil {
			return err
		}
		if i > 0 || s.TStart != nil {
			if err := w.until(at); err != nil {
				return fmt.Errorf("event %d: %w", i, err)
			}
		}
		e := s.Event(i, covariates, values)
		values = e.Covariates
		if err := w.state.Observe(e); err != nil {
			return fmt.Errorf("event %d: %w", i, err)
		}
		w.events++
		teller.Arrived(i)
		if err := tell(at); err != nil {
			return err
		}
	}
	if err := tell(w.end); err != nil {
		return err
	}
	return w.until(w.end)
}
