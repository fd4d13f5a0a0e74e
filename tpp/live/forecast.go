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

// ForecastOptions says how a forecast is made. Every field left zero takes the default that its comment gives.
type ForecastOptions struct {
	// Paths is the number of ways in which the future is played through (default 64). Errors of probabilities fall with
	// its square root.
	Paths int
	// Seed makes the forecast repeatable: the same seed gives the same one, whatever the number of workers.
	Seed uint64
	// Workers is the number of goroutines that compute (default: GOMAXPROCS). Paths are dealt out in blocks of 64.
	Workers int
	// Quantiles are the levels of the quantiles of when an event comes (default 0.05, 0.5 and 0.95).
	Quantiles []float64
	// MaxEvents is how many events one path may have; more are an error (default 10000). It guards against horizons that
	// are endless for a model that knows no end.
	MaxEvents int
	// Covariates appends the covariates of a future event to dst, in the model's order, and returns it. It may be called
	// from several goroutines at once. Nil stands for what is typical: for a recurrent model 0 of a categorical covariate
	// (a warm start) and the mean of a real one, for other models no covariates.
	Covariates func(dst []float64, time float64, mark int) []float64
}

func (o ForecastOptions) withDefaults() ForecastOptions {
	o.Paths = cmp.Or(o.Paths, 64)
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
	case o.Paths < 1 || o.Paths > 1<<24:
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

// Outlook is a forecast: what comes after now, within the horizon. Times count from now.
type Forecast struct {
	// Horizon is how far ahead the forecast looks, in the model's unit of time.
	Horizon float64
	// Paths is the number of simulated futures that it was made from.
	Paths int
	// Sequences is the number of sequences that it is about.
	Sequences int
	// Over is the expected number of the sequences that are over by the horizon: for one sequence, the probability.
	Over float64
	// Marks are the events of each mark, by its index.
	Marks []MarkForecast
	// Any is all events, whatever their mark.
	Any MarkForecast
}

// MarkOutlook is what is to come of one mark.
type MarkForecast struct {
	// Probability is that of at least one event within the horizon.
	Probability float64
	// Count is the expected number of events within the horizon.
	Count float64
	// When are the quantiles of the time until the first event, given that one comes within the horizon, at the levels of
	// the options. Nil where none came on any path.
	When []float64
}

// Forecast plays the future of a sequence through on many paths, given that no event came since its last one until now,
// which must not be before it. It is exact but for the finite number of paths: each path is drawn from the model itself,
// event after event, to the end of the sequence or the horizon, which may be +Inf for a model that knows ends. The state
// is left as it is.
func NewForecast(ctx context.Context, state tpp.State, now, horizon float64, opts ForecastOptions) (*Forecast, error) {
	opts = opts.withDefaults()
	if err := opts.validate(now, horizon); err != nil {
		return nil, fmt.Errorf("forecast: %w", err)
	}
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
		p := newPlayer(states[worker], &opts)
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

// pathBlock is the number of paths that are drawn together, whatever the number of workers.
const pathBlock = 64

// player draws blocks of paths in memory of its own.
type player struct{ rollout }

func newPlayer(state tpp.State, opts *ForecastOptions) *player {
	return &player{rollout{f: newFollower(state), maxEvents: opts.MaxEvents, covariates: opts.Covariates}}
}

// play adds a block of paths to the tally.
func (p *player) play(state tpp.State, now, horizon float64, t *tally, src rand.Source) error {
	return p.playFrom(state, now, now, horizon, t, src)
}

// playFrom is like play, but now may be before the sequence's last event; the paths then start at that event.
func (p *player) playFrom(state tpp.State, last, now, horizon float64, t *tally, src rand.Source) error {
	from := max(last, now)
	over, err := p.run(state, from, horizon-(from-now), t.paths, src, func(path int, at float64, mark int) {
		t.event(path, from-now+at, mark)
	})
	t.over += over
	return err
}

// tally is what paths have in common with what is asked. The last mark stands for any.
type tally struct {
	paths int
	first []float64 // marks+1 × paths: when the first event of the mark comes, +Inf if none does
	count []int     // marks+1: events on all paths
	over  int
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

// merge adds the events of other sequences on the same paths.
func (t *tally) merge(o *tally) {
	t.over += o.over
	for m, n := range o.count {
		t.count[m] += n
	}
	for i, at := range o.first {
		t.first[i] = min(t.first[i], at)
	}
}

// outlook sums up tallies of different paths.
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

// sortedQuantile returns the quantile of a sorted sample by linear interpolation between its order statistics (Hyndman and
// Fan 1996, Sample quantiles in statistical packages, definition 7).
func sortedQuantile(sorted []float64, q float64) float64 {
	at := q * float64(len(sorted)-1)
	i := min(int(at), len(sorted)-1)
	j := min(i+1, len(sorted)-1)
	return sorted[i] + (at-float64(i))*(sorted[j]-sorted[i])
}

// inParallel calls the function that begin returns to a worker for every i below n, until one fails or ctx is done. The
// error is that of the smallest i that failed, or ctx's.
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
