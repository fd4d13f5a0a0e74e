package eval

import (
	"cmp"
	"errors"
	"fmt"
	"iter"
	"math"
	"slices"

	"github.com/tppfaas/tppfaas/tpp"
)

// ForecastOptions says which forecasts of several events are scored, and how. The zero value asks for none.
type ForecastOptions struct {
	// Horizon is how far ahead forecasts look that are scored by their T-mAP (see TMAP), in the unit of time: an event counts that
	// comes less than Horizon after the last known one. Default 0: no T-mAP. DefaultHorizon proposes one. Forecasts that
	// reach beyond the TEnd of a sequence are not scored, as what came is not known. The confidences of all detections are
	// kept until the end, 8 bytes each.
	Horizon float64
	// Tolerance is how far a predicted event may be from the one that came, in the unit of time (default: a fifth of
	// Horizon, as HoTPP has it for StackOverflow and Amazon).
	Tolerance float64
	// NextEvents is the number of next events whose forecasts are scored by their optimal-transport distance (see Distance):
	// fewer where the sequence ends. Default: 10 with a Horizon, else 0, no distance. Predicted events count that come
	// with a probability of at least a half.
	NextEvents int
	// EditCost is what an event too many or too few costs in it, in the unit of time (default: half the Tolerance, so that
	// both scores match events that are as far apart at most).
	EditCost float64
	// Prefix is the number of events that the first forecast of a sequence knows (default 1), PrefixStep the number of
	// events from one forecast to the next (default 1). The last forecast may know all events of a complete sequence: what is right then
	// is to expect none.
	Prefix, PrefixStep int
	// MaxEvents limits the events of a forecast (default 100): a model may expect infinitely many.
	MaxEvents int
	// Continue makes the forecasts (default: ModelContinuation).
	Continue Continuation
}

// wanted reports whether forecasts are scored at all.
func (o *ForecastOptions) wanted() bool { return o.Horizon > 0 || o.NextEvents > 0 }

func (o *ForecastOptions) withDefaults() error {
	if o.Horizon > 0 {
		o.Tolerance = cmp.Or(o.Tolerance, o.Horizon/5)
		o.NextEvents = cmp.Or(o.NextEvents, 10)
		o.EditCost = cmp.Or(o.EditCost, o.Tolerance/2)
	}
	o.Prefix = cmp.Or(o.Prefix, 1)
	o.PrefixStep = cmp.Or(o.PrefixStep, 1)
	o.MaxEvents = cmp.Or(o.MaxEvents, 100)
	if o.Continue == nil {
		o.Continue = ModelContinuation
	}
	above0 := func(v float64) bool { return v > 0 && !math.IsInf(v, 0) }
	switch {
	case o.Horizon != 0 && !above0(o.Horizon):
		return fmt.Errorf("the horizon of forecasts is %v, it must be above 0", o.Horizon)
	case o.NextEvents < 0:
		return fmt.Errorf("forecasts of %d events", o.NextEvents)
	case o.Horizon > 0 && !above0(o.Tolerance):
		return fmt.Errorf("the tolerance of forecasts is %v, it must be above 0", o.Tolerance)
	case o.NextEvents > 0 && !above0(o.EditCost):
		return fmt.Errorf("the edit cost of forecasts is %v, it must be above 0", o.EditCost)
	case o.Prefix < 1 || o.PrefixStep < 1:
		return fmt.Errorf("forecasts after %d events and then every %d, both must be at least 1", o.Prefix, o.PrefixStep)
	case o.MaxEvents < 1:
		return fmt.Errorf("forecasts of at most %d events", o.MaxEvents)
	}
	return nil
}

// after reports whether a forecast is made after n events of a sequence.
func (o *ForecastOptions) after(n int) bool { return n >= o.Prefix && (n-o.Prefix)%o.PrefixStep == 0 }

// horizonGaps is the number of mean gaps in a default horizon: so many events come within one, far from the ends of sequences.
const horizonGaps = 10

// DefaultHorizon returns ten times the mean gap of the sequences, as a horizon for forecasts. It returns an error, beside those
// that the stream yields, if there is no gap above 0.
func DefaultHorizon(sequences iter.Seq2[*tpp.Sequence, error]) (float64, error) {
	if sequences == nil {
		return 0, errors.New("no sequences")
	}
	sum, n := 0.0, 0
	for s, err := range sequences {
		if err != nil {
			return 0, err
		}
		if length := s.Len(); length > 1 {
			sum += s.ArrivalTimes[length-1] - s.ArrivalTimes[0]
			n += length - 1
		}
	}
	if !(sum > 0) || math.IsInf(sum, 0) {
		return 0, errors.New("no gap above 0, from which a horizon could be derived")
	}
	return horizonGaps * sum / float64(n), nil
}

// forecaster scores forecasts. It reuses its buffers.
type forecaster struct {
	m         tpp.Model
	opts      ForecastOptions
	copied    tpp.State // on which a forecast is made
	predicted []tpp.PredictedEvent
	marks     []float64 // of the predicted events, one after the other
	times     []float64 // likewise
	came      []tpp.Event
	likely    []tpp.Event
}

// forecastSums are sums over forecasts.
type forecastSums struct {
	detections detections
	distance   float64
	distances  int
}

func (s *forecastSums) merge(o *forecastSums) {
	s.detections.merge(&o.detections)
	s.distance += o.distance
	s.distances += o.distances
}

// score adds the scores of the forecast after event i of s, of which state is the history.
func (f *forecaster) score(state tpp.State, s *tpp.Sequence, i int, sums *forecastSums) error {
	now := s.ArrivalTimes[i]
	left := s.Len() - 1 - i
	next := f.opts.NextEvents
	if s.TEnd != nil && left < next {
		next = 0
	}
	horizon := f.opts.Horizon
	if s.TEnd != nil && *s.TEnd < now+horizon {
		horizon = 0
	}
	if horizon == 0 && next == 0 {
		return nil
	}
	if err := f.predict(state, now, now+horizon, next); err != nil {
		return fmt.Errorf("forecast: %w", err)
	}
	f.came = f.came[:0]
	for j := i + 1; j < s.Len(); j++ {
		f.came = append(f.came, tpp.Event{Time: s.ArrivalTimes[j], Mark: s.Mark(j)})
		if s.ArrivalTimes[j] >= now+horizon && j-i >= next {
			break
		}
	}
	if next > 0 {
		f.likely = f.likely[:0]
		for _, p := range f.predicted {
			if len(f.likely) < next && expected(p) {
				f.likely = append(f.likely, tpp.Event{Time: p.Time, Mark: p.Mark})
			}
		}
		sums.distance += Distance(f.likely, f.came[:min(next, len(f.came))], f.opts.EditCost)
		sums.distances++
	}
	if horizon > 0 {
		predicted, came := f.predicted, f.came
		for n := len(predicted); n > 0 && predicted[n-1].Time >= now+horizon; n-- {
			predicted = predicted[:n-1]
		}
		for n := len(came); n > 0 && came[n-1].Time >= now+horizon; n-- {
			came = came[:n-1]
		}
		sums.detections.add(predicted, came, f.opts.Tolerance)
	}
	return nil
}

// expected reports whether an event is likelier to come than not.
func expected(e tpp.PredictedEvent) bool { return e.Probability >= 0.5 }

// predict sets f.predicted to the events that are predicted after now: all until end, and at least next that are expected.
func (f *forecaster) predict(state tpp.State, now, end float64, next int) error {
	if c, ok := f.copied.(tpp.StateCopier); !ok || !c.CopyFrom(state) {
		f.copied = state.Clone()
	}
	f.predicted, f.marks, f.times = f.predicted[:0], f.marks[:0], f.times[:0]
	last := now
	for e, err := range f.opts.Continue(f.m, f.copied, now) {
		switch {
		case err != nil:
			return err
		case !(e.Time >= last) || math.IsInf(e.Time, 0):
			return fmt.Errorf("an event at %v follows one at %v", e.Time, last)
		case !(e.Probability >= 0 && e.Probability <= 1):
			return fmt.Errorf("an event comes with probability %v", e.Probability)
		case e.Mark < 0:
			return fmt.Errorf("an event has mark %d", e.Mark)
		}
		if e.Time >= end && next <= 0 {
			return nil
		}
		last = e.Time
		if e.Marks != nil {
			from := len(f.marks)
			f.marks = append(f.marks, e.Marks...)
			e.Marks = slices.Clip(f.marks[from:])
		}
		if e.Times != nil {
			from := len(f.times)
			f.times = append(f.times, e.Times...)
			e.Times = slices.Clip(f.times[from:])
		}
		f.predicted = append(f.predicted, e)
		if expected(e) {
			next--
		}
		if len(f.predicted) == f.opts.MaxEvents {
			return nil
		}
	}
	return nil
}
