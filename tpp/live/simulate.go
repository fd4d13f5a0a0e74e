package live

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"

	"github.com/tppfaas/tppfaas/internal/num"
	"github.com/tppfaas/tppfaas/internal/starts"
	"github.com/tppfaas/tppfaas/tpp"
)

// SimulateOptions configures Simulate. The zero value is usable with a model that predicts the end of sequences: a zero
// field takes the default stated at the field.
type SimulateOptions struct {
	// Start is the start of the observation window (default 0). The first event is drawn from the initial context, which a
	// model has learnt only if it was trained on sequences with a TStart.
	Start float64
	// Beginnings, if not empty, replace Start: sequence i begins with the events of Beginnings[i mod len(Beginnings)] and
	// continues after the last of them; if the beginning has a TEnd, given that no event came until then. Marks are
	// numbered as the model's. A model whose times are starts (tpp.StartTimesModel) takes them at their starts.
	Beginnings []tpp.Sequence
	// Window is the length of the observation window, from Start or the start of the beginning, in the model's unit of time
	// (default +Inf: until the sequence is over, which needs a model that predicts the end of sequences).
	Window float64
	// Resolution is the tick of a clock to which inter times are rounded, in the model's unit of time, for a model that was
	// trained at that resolution (default 0: not rounded).
	Resolution float64
	// MaxEvents is the maximum number of events in one sequence; more are an error (default 100000).
	MaxEvents int
	// Seed seeds the random numbers: the same seed gives the same sequences, whatever the number of workers.
	Seed uint64
	// Workers is the number of goroutines (default: GOMAXPROCS).
	Workers int
	// Covariates appends the covariates of an event to dst, in the model's order, and returns it. It may be called from
	// several goroutines at once. Nil uses typical values, as in ForecastOptions.
	Covariates func(dst []float64, time float64, mark int) []float64
}

func (o SimulateOptions) withDefaults() SimulateOptions {
	o.Window = cmp.Or(o.Window, math.Inf(1))
	o.MaxEvents = cmp.Or(o.MaxEvents, 100_000)
	o.Workers = cmp.Or(o.Workers, runtime.GOMAXPROCS(0))
	return o
}

func (o *SimulateOptions) validate(m tpp.Model, n int) error {
	switch {
	case n < 0:
		return fmt.Errorf("%d sequences", n)
	case math.IsNaN(o.Start) || math.IsInf(o.Start, 0):
		return fmt.Errorf("the start is %v, which is no time", o.Start)
	case !(o.Window > 0):
		return fmt.Errorf("a window of the length %v", o.Window)
	case !(o.Resolution >= 0) || math.IsInf(o.Resolution, 1):
		return fmt.Errorf("the resolution is %v, it must not be negative", o.Resolution)
	case o.MaxEvents < 1:
		return fmt.Errorf("a limit of %d events a sequence", o.MaxEvents)
	case o.Workers < 1:
		return fmt.Errorf("%d workers", o.Workers)
	}
	if e, ok := m.(tpp.EndModel); ok && !e.KnowsEnd() && math.IsInf(o.Window, 1) {
		return errors.New("the model knows no end of sequences: give a window")
	}
	for i := range o.Beginnings {
		s := &o.Beginnings[i]
		if err := s.Validate(max(len(m.MarkNames()), 1)); err != nil {
			return fmt.Errorf("beginning %d: %w", i, err)
		}
		if end := s.Start() + o.Window; lastTime(s) > end || s.TEnd != nil && *s.TEnd > end {
			return fmt.Errorf("beginning %d is longer than the window of %v", i, o.Window)
		}
	}
	return nil
}

// Simulate draws n sequences from a model, event by event, by inverting the distribution function of the next event. The
// sequences therefore have the model's distribution exactly, and take time linear in their length.
//
// A sequence has a TStart if its first event was drawn or if its beginning has one. If the model draws its end within the
// window, it has no TEnd; otherwise the end of the window is its TEnd. A sequence may have no event at all; one that is over
// before its first event has no TEnd either, and a dataset cannot hold it: leave it out. Where the model's times are starts, so
// are the sequence's. A model that observes starts (tpp.StartedModel) is an error. The error names the sequence.
func Simulate(ctx context.Context, m tpp.Model, n int, opts SimulateOptions) ([]tpp.Sequence, error) {
	if m == nil {
		return nil, fmt.Errorf("simulate: %w", errNoModel)
	}
	if err := checkUntold(m); err != nil {
		return nil, fmt.Errorf("simulate: %w", err)
	}
	opts = opts.withDefaults()
	if err := opts.validate(m, n); err != nil {
		return nil, fmt.Errorf("simulate: %w", err)
	}
	begun, err := starts.SeenDataset(m, &tpp.Dataset{Sequences: opts.Beginnings})
	if err != nil {
		return nil, fmt.Errorf("simulate: beginnings: %w", err)
	}
	opts.Beginnings = begun.Sequences
	out := make([]tpp.Sequence, n)
	err = inParallel(ctx, min(opts.Workers, n), n, func(int) func(i int) error {
		s := simulator{model: m, names: m.CovariateNames(), opts: &opts}
		return func(i int) error {
			if err := s.sequence(ctx, &out[i], i); err != nil {
				return fmt.Errorf("sequence %d: %w", i, err)
			}
			return nil
		}
	})
	if err != nil {
		return nil, fmt.Errorf("simulate: %w", err)
	}
	return out, nil
}

// lastTime returns when the last event came, or the watch began if there is none.
func lastTime(s *tpp.Sequence) float64 {
	if n := s.Len(); n > 0 {
		return s.ArrivalTimes[n-1]
	}
	return s.Start()
}

// simulator draws one sequence after another.
type simulator struct {
	model tpp.Model
	names []string // of the covariates
	opts  *SimulateOptions
	next  tpp.Drawer
	known []float64 // covariates of one event
}

// sequence draws sequence i into s.
func (g *simulator) sequence(ctx context.Context, s *tpp.Sequence, i int) error {
	src := rand.NewPCG(g.opts.Seed, uint64(i))
	last := g.opts.Start // time of the last event, or the start
	now := last          // no event came from last until now
	end := last + g.opts.Window
	var state tpp.State
	if b := g.opts.Beginnings; len(b) > 0 {
		var err error
		begun := &b[i%len(b)]
		if state, err = g.begin(s, begun); err != nil {
			return err
		}
		last = lastTime(begun)
		now, end = last, begun.Start()+g.opts.Window
		if begun.TEnd != nil {
			now = *begun.TEnd
		}
	} else {
		s.TStart = new(last)
		state = g.model.NewState(last)
	}
	if s.Marks == nil && len(g.model.MarkNames()) > 0 {
		s.Marks = []int{}
	}
	for {
		g.next.Reset(state.Next(now))
		tau, mark, over := g.next.Draw(num.Uniform(src), num.Uniform(src))
		if over {
			return nil
		}
		at := g.onTick(last, now, tau)
		if !(at <= end) {
			s.TEnd = new(end)
			return nil
		}
		if math.IsInf(at, 1) {
			return nil // an infinite gap is an end too
		}
		if s.Len() >= g.opts.MaxEvents {
			return fmt.Errorf("it has more than %d events: give a shorter window, or allow for more", g.opts.MaxEvents)
		}
		if s.Len()%1024 == 1023 {
			if err := ctx.Err(); err != nil {
				return err
			}
		}
		e := g.event(state, at, mark)
		if err := state.Observe(e); err != nil {
			return err
		}
		g.append(s, e)
		last, now = at, at
	}
}

// onTick returns the time of an event tau after now, rounded to a whole number of ticks after the last event.
func (g *simulator) onTick(last, now, tau float64) float64 {
	tick := g.opts.Resolution
	if tick == 0 {
		return now + tau
	}
	gap := math.RoundToEven((now-last+tau)/tick) * tick
	return max(last+gap, now)
}

// begin copies the events of a beginning to s and returns the state after them.
func (g *simulator) begin(s, begun *tpp.Sequence) (tpp.State, error) {
	state := g.model.NewState(begun.Start())
	if begun.TStart != nil {
		s.TStart = new(*begun.TStart)
	}
	for j := range begun.Len() {
		e := begun.Event(j, g.names, g.known)
		g.known = e.Covariates
		if err := state.Observe(e); err != nil {
			return nil, fmt.Errorf("its beginning: event %d: %w", j, err)
		}
		g.append(s, e)
	}
	return state, nil
}

// event returns a drawn event with its covariates, which are valid until the next call.
func (g *simulator) event(state tpp.State, at float64, mark int) tpp.Event {
	switch t, ok := state.(tpp.TypicalState); {
	case g.opts.Covariates != nil:
		g.known = g.opts.Covariates(g.known[:0], at, mark)
	case ok:
		g.known = t.TypicalCovariates(g.known[:0])
	default:
		g.known = g.known[:0]
	}
	return tpp.Event{Time: at, Mark: mark, Covariates: g.known}
}

func (g *simulator) append(s *tpp.Sequence, e tpp.Event) {
	s.ArrivalTimes = append(s.ArrivalTimes, e.Time)
	if len(g.model.MarkNames()) > 0 {
		s.Marks = append(s.Marks, e.Mark)
	}
	for j, name := range g.names {
		if s.Covariates == nil {
			s.Covariates = make(map[string][]float64, len(g.names))
		}
		if j < len(e.Covariates) {
			s.Covariates[name] = append(s.Covariates[name], e.Covariates[j])
		}
	}
}
