package live

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/tppfaas/tppfaas/tpp"
)

// ForecastOptions configures NewForecast. The zero value is ready to use: a zero field takes the default stated at the field.
type ForecastOptions struct {
	// Paths is the number of simulated futures. The error of probabilities falls with its square root. The default is not to simulate where
	// the model's states know what is to come (tpp.ForecastingState, as those of a race), and 64 for other models.
	Paths int
	// Seed seeds the random numbers: the same seed gives the same forecast, whatever the number of workers. Without paths there is nothing
	// random.
	Seed uint64
	// Workers is the number of goroutines (default: GOMAXPROCS). Each computes blocks of 64 paths.
	Workers int
	// Quantiles are the levels of the quantiles in MarkForecast.When (default 0.05, 0.5 and 0.95).
	Quantiles []float64
	// MaxEvents is the maximum number of events on one path; more are an error (default 10000). It guards against an
	// infinite horizon with a model that does not predict the end of sequences.
	MaxEvents int
	// Covariates appends the covariates of a future event to dst, in the model's order, and returns it. It may be called
	// from several goroutines at once. Nil uses typical values: for a recurrent model 0 for a categorical covariate
	// (a warm start) and the mean for a real one; for other models no covariates. A forecast with Covariates always simulates.
	Covariates func(dst []float64, time float64, mark int) []float64
}

func (o ForecastOptions) withDefaults() ForecastOptions {
	o.Workers = cmp.Or(o.Workers, runtime.GOMAXPROCS(0))
	o.MaxEvents = cmp.Or(o.MaxEvents, 10_000)
	if o.Quantiles == nil {
		o.Quantiles = []float64{0.05, 0.5, 0.95}
	}
	return o
}

func (o *ForecastOptions) validate(now, horizon float64) error {
	switch {
	case math.IsNaN(now) || math.IsInf(now, 0):
		return fmt.Errorf("now is %v, which is no time", now)
	case !(horizon >= 0):
		return fmt.Errorf("the horizon is %v, it must not be negative", horizon)
	case o.Paths < 0 || o.Paths > 1<<24:
		return fmt.Errorf("%d paths, there must be from 1 to %d", o.Paths, 1<<24)
	case o.Workers < 1:
		return fmt.Errorf("%d workers", o.Workers)
	case o.MaxEvents < 1:
		return fmt.Errorf("a limit of %d events a path", o.MaxEvents)
	}
	for _, q := range o.Quantiles {
		if !(q >= 0 && q <= 1) {
			return fmt.Errorf("quantile %v, it must be from 0 to 1", q)
		}
	}
	return nil
}

// Forecast is a prediction of all events after now and within the horizon. Times count from now.
type Forecast struct {
	// Horizon is how far ahead the forecast looks, in the model's unit of time.
	Horizon float64
	// Paths is the number of simulated futures, 0 for a forecast that needed none.
	Paths int
	// Sequences is the number of sequences that the forecast covers.
	Sequences int
	// Over is the expected number of sequences that are over by the horizon, so that no event comes after it; for one sequence, the
	// probability of that.
	Over float64
	// Marks holds the forecast of each mark, by its index.
	Marks []MarkForecast
	// Any is the forecast of all events, whatever their mark.
	Any MarkForecast
}

// MarkForecast is the forecast of the events of one mark.
type MarkForecast struct {
	// Probability is the probability of at least one event within the horizon.
	Probability float64
	// Count is the expected number of events within the horizon.
	Count float64
	// When holds the quantiles of the time until the first event, given that one comes within the horizon, at the levels
	// of ForecastOptions.Quantiles. It is nil if none is to come, or no path has an event of the mark.
	When []float64
}

// NewForecast forecasts the rest of a sequence, given that no event has come between its last one and now, which must not be before
// that. The horizon may be +Inf for a model that predicts the end of sequences. The state is not changed, but for what it computes.
//
// If the state knows what is to come (tpp.ForecastingState), the forecast is computed from that, without any simulation: the
// probabilities and times of marks by tpp.ArrivalsWithin, counts by adding up what is expected, Any but for its count from the distribution of the
// next event, and Over by tpp.ArrivalsOver. What such a state does not expect has no probability.
//
// For all others, and with ForecastOptions.Paths, NewForecast simulates many futures (paths) and returns what they have in common. The only
// approximation is the finite number of paths: each is drawn from the model itself, event by event, up to the end of the sequence or the
// horizon. That is an error for a model that observes starts (tpp.StartedModel): nobody knows when drawn events start.
func NewForecast(ctx context.Context, state tpp.State, now, horizon float64, opts ForecastOptions) (*Forecast, error) {
	opts = opts.withDefaults()
	if err := opts.validate(now, horizon); err != nil {
		return nil, fmt.Errorf("forecast: %w", err)
	}
	if state == nil {
		return nil, fmt.Errorf("forecast: %w", errNoState)
	}
	if s := opts.ownForecast(state); s != nil {
		if err := ctx.Err(); err != nil {
			return nil, fmt.Errorf("forecast: %w", err)
		}
		return forecastArrivals(s, now, horizon, opts.Quantiles), nil
	}
	if s, ok := state.(tpp.OwnedState); ok {
		if err := checkUntold(s.Model()); err != nil {
			return nil, fmt.Errorf("forecast: %w", err)
		}
	}
	opts.Paths = cmp.Or(opts.Paths, defaultPaths)
	marks := len(state.Next(now).Marks)
	blocks := (opts.Paths + pathBlock - 1) / pathBlock
	tallies := make([]*tally, blocks)
	workers := min(opts.Workers, blocks)
	states := make([]tpp.State, workers)
	for i := range states {
		if states[i] = state; i > 0 {
			states[i] = state.Clone()
		}
	}
	err := inParallel(ctx, workers, blocks, func(worker int) func(i int) error {
		p := newPathSimulator(states[worker], &opts)
		return func(block int) error {
			t := newTally(marks, min(pathBlock, opts.Paths-block*pathBlock))
			tallies[block] = t
			return p.play(states[worker], now, horizon, t, rand.NewPCG(opts.Seed, uint64(block)))
		}
	})
	if err != nil {
		return nil, fmt.Errorf("forecast: %w", err)
	}
	return summarise(tallies, 1, horizon, opts.Quantiles), nil
}

// defaultPaths is the number of paths where futures are drawn and the options do not say how many.
const defaultPaths = 64

// pathBlock is the number of paths that are drawn together. It does not depend on the number of workers, so that a
// forecast does not either.
const pathBlock = 64

// pathSimulator draws blocks of paths. It reuses its buffers, so each goroutine needs its own.
type pathSimulator struct{ rollout }

func newPathSimulator(state tpp.State, opts *ForecastOptions) *pathSimulator {
	return &pathSimulator{rollout{f: newFollower(state), maxEvents: opts.MaxEvents, covariates: opts.Covariates}}
}

// play draws a block of t.paths paths that start at now and adds them to the tally.
func (p *pathSimulator) play(state tpp.State, now, horizon float64, t *tally, src rand.Source) error {
	return p.playFrom(state, now, now, horizon, t, src)
}

// playFrom does what play does, but allows now to be before the sequence's last event; the paths then start at that event.
func (p *pathSimulator) playFrom(state tpp.State, last, now, horizon float64, t *tally, src rand.Source) error {
	from := max(last, now)
	over, err := p.run(state, from, horizon-(from-now), t.paths, src, func(path int, at float64, mark int) {
		t.event(path, from-now+at, mark)
	})
	t.over += over
	return err
}

// tally accumulates the events of simulated paths by mark. The index after the last mark counts events of any mark.
type tally struct {
	paths int
	first []float64 // (marks+1) × paths: time of the first event of the mark, +Inf if there is none
	count []int     // marks+1: number of events on all paths
	over  int       // number of paths on which the sequence ended
}

func newTally(marks, paths int) *tally {
	t := &tally{paths: paths, first: make([]float64, (marks+1)*paths), count: make([]int, marks+1)}
	for i := range t.first {
		t.first[i] = math.Inf(1)
	}
	return t
}

func (t *tally) event(path int, at float64, mark int) {
	for _, m := range [2]int{mark, len(t.count) - 1} {
		t.count[m]++
		if first := &t.first[m*t.paths+path]; at < *first {
			*first = at
		}
	}
}

// merge adds the tally of other sequences, on the same paths.
func (t *tally) merge(o *tally) {
	t.over += o.over
	for m, n := range o.count {
		t.count[m] += n
	}
	for i, at := range o.first {
		t.first[i] = min(t.first[i], at)
	}
}

// summarise turns the tallies of disjoint sets of paths into a forecast.
func summarise(tallies []*tally, sequences int, horizon float64, levels []float64) *Forecast {
	o := &Forecast{Horizon: horizon, Sequences: sequences}
	over := 0
	for _, t := range tallies {
		o.Paths += t.paths
		over += t.over
	}
	o.Over = float64(over) / float64(o.Paths)
	marks := len(tallies[0].count) - 1
	o.Marks = make([]MarkForecast, marks)
	var times []float64
	for m := range marks + 1 {
		times = times[:0]
		count := 0
		for _, t := range tallies {
			count += t.count[m]
			for _, at := range t.first[m*t.paths : (m+1)*t.paths] {
				if !math.IsInf(at, 1) {
					times = append(times, at)
				}
			}
		}
		to := &o.Any
		if m < marks {
			to = &o.Marks[m]
		}
		to.Probability = float64(len(times)) / float64(o.Paths)
		to.Count = float64(count) / float64(o.Paths)
		if len(times) > 0 {
			slices.Sort(times)
			to.When = make([]float64, len(levels))
			for i, q := range levels {
				to.When[i] = sortedQuantile(times, q)
			}
		}
	}
	return o
}

// sortedQuantile returns the q-quantile of a sorted sample by linear interpolation between its order statistics (Hyndman
// and Fan 1996, Sample quantiles in statistical packages, definition 7).
func sortedQuantile(sorted []float64, q float64) float64 {
	at := q * float64(len(sorted)-1)
	i := min(int(at), len(sorted)-1)
	j := min(i+1, len(sorted)-1)
	return sorted[i] + (at-float64(i))*(sorted[j]-sorted[i])
}

// inParallel calls a function for every i from 0 to n−1 on the given number of goroutines, until a call fails or ctx is
// done. Each goroutine calls begin once for its function, so that it can have buffers of its own. inParallel returns the
// error of ctx or of the smallest i that failed.
func inParallel(ctx context.Context, workers, n int, begin func(worker int) func(i int) error) error {
	if workers <= 1 {
		do := begin(0)
		for i := range n {
			if err := ctx.Err(); err != nil {
				return err
			}
			if err := do(i); err != nil {
				return err
			}
		}
		return nil
	}
	errs := make([]error, n)
	var next atomic.Int64
	var failed atomic.Bool
	var wg sync.WaitGroup
	for worker := range workers {
		wg.Go(func() {
			do := begin(worker)
			for ctx.Err() == nil && !failed.Load() {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				if errs[i] = do(i); errs[i] != nil {
					failed.Store(true)
				}
			}
		})
	}
	wg.Wait()
	if err := ctx.Err(); err != nil {
		return err
	}
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
