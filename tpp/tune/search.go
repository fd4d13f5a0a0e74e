package tune

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"
	"slices"
	"sync"
)

// Options configures Search. A zero field takes the default that its comment gives.
type Options struct {
	// Trials is the number of settings of the first rung (default 27).
	Trials int
	// Factor is by how much the trials become fewer, and the budget of each larger, from rung to rung (default 3).
	Factor int
	// MaxBudget is the budget of a run of the last rung, such as a number of epochs (default 1). Those before have a Factor-th of the next one, at
	// least 1.
	MaxBudget int
	// Seed determines the values of all trials.
	Seed uint64
	// Workers is the number of runs at a time (default: GOMAXPROCS). The result does not depend on it.
	Workers int
	// First are the values of trial 0 that are not drawn, such as the defaults that are known to be good.
	First map[string]string
	// Recall, if not nil, returns the loss of a run that was made earlier, so that a search goes on where it was interrupted. It is called in the
	// order of the trials in the first rung, and in that of their losses in the one before in the others.
	Recall func(Run) (loss float64, ok bool)
	// Done, if not nil, is called after each run that was made now, by one goroutine at a time. Its error ends the search.
	Done func(Result) error
	// Rung, if not nil, is called with the results of each rung, best first, when all its runs are done or recalled.
	Rung func(rung int, results []Result)
}

// Run is a trial at a budget.
type Run struct {
	Trial  int // its number, from 0 on
	Rung   int // from 0 on
	Budget int
	// Values are those of the parameters, by name.
	Values map[string]string
	// Workers is the number of goroutines that the run may use, so that all runs under way use no more than Options.Workers.
	Workers int
}

// Result is a run and its loss, of which less is better. A loss that is not a number counts as +Inf: the run failed.
type Result struct {
	Run
	Loss float64
}

// Found is the result of a search.
type Found struct {
	// Best is the best run of the last rung.
	Best Result
	// Runs is the number of runs that were made, and Recalled that of those which were not made again.
	Runs, Recalled int
}

func (o Options) withDefaults() Options {
	o.Trials = cmp.Or(o.Trials, 27)
	o.Factor = cmp.Or(o.Factor, 3)
	o.MaxBudget = cmp.Or(o.MaxBudget, 1)
	o.Workers = cmp.Or(o.Workers, runtime.GOMAXPROCS(0))
	return o
}

func (o *Options) validate() error {
	switch {
	case o.Trials < 1:
		return fmt.Errorf("%d trials", o.Trials)
	case o.Factor < 2:
		return fmt.Errorf("a factor of %d, it must be at least 2", o.Factor)
	case o.MaxBudget < 1:
		return fmt.Errorf("a budget of %d", o.MaxBudget)
	case o.Workers < 1:
		return fmt.Errorf("%d workers", o.Workers)
	}
	return nil
}

// Rungs returns the number of trials and the budget of each rung: at last there are fewer trials than Factor.
func (o Options) Rungs() (trials, budgets []int) {
	o = o.withDefaults()
	if o.validate() != nil {
		return nil, nil
	}
	for n := o.Trials; ; n = (n + o.Factor - 1) / o.Factor {
		trials = append(trials, n)
		if n < o.Factor {
			break
		}
	}
	budgets = make([]int, len(trials))
	budget := float64(o.MaxBudget)
	for i := len(budgets) - 1; i >= 0; i-- {
		budgets[i] = max(int(math.Round(budget)), 1)
		budget /= float64(o.Factor)
	}
	return trials, budgets
}

// ErrFailed is the error of a search in which every run of the last rung failed.
var ErrFailed = errors.New("every run failed")

// Search draws trials from the space, runs all of them at the budget of the first rung, the best at that of the second, and so on, and returns the best
// of the last. Of equal losses the trial with the lower number is better. When ctx is done, or a run returns an error, it returns the error; runs
// that fail by their own fault should return a loss of NaN or +Inf instead.
func Search(ctx context.Context, space Space, opts Options, run func(context.Context, Run) (loss float64, err error)) (*Found, error) {
	opts = opts.withDefaults()
	if err := opts.validate(); err != nil {
		return nil, fmt.Errorf("search: %w", err)
	}
	if err := space.Validate(); err != nil {
		return nil, fmt.Errorf("search: %w", err)
	}
	if run == nil {
		return nil, errors.New("search: nothing to run")
	}
	s := search{opts: opts, run: run}
	left := make([]Run, opts.Trials)
	for i := range left {
		left[i] = Run{Trial: i, Values: space.Draw(opts.Seed, i)}
		if i == 0 {
			for name, v := range opts.First {
				left[i].Values[name] = v
			}
		}
	}
	trials, budgets := opts.Rungs()
	var results []Result
	for rung, n := range trials {
		for i := range left[:n] {
			left[i].Rung, left[i].Budget = rung, budgets[rung]
		}
		var err error
		if results, err = s.rung(ctx, left[:n]); err != nil {
			return nil, fmt.Errorf("search: %w", err)
		}
		slices.SortStableFunc(results, func(a, b Result) int { return cmp.Or(cmp.Compare(a.Loss, b.Loss), cmp.Compare(a.Trial, b.Trial)) })
		if opts.Rung != nil {
			opts.Rung(rung, slices.Clone(results))
		}
		left = left[:0]
		for _, r := range results {
			left = append(left, r.Run)
		}
	}
	s.found.Best = results[0]
	if math.IsInf(s.found.Best.Loss, 1) {
		return nil, fmt.Errorf("search: %w", ErrFailed)
	}
	return &s.found, nil
}

// search is a search under way.
type search struct {
	opts  Options
	run   func(context.Context, Run) (float64, error)
	found Found
}

// rung makes the runs of a rung that were not made earlier, several at a time, and returns the results in the order of the runs.
func (s *search) rung(ctx context.Context, runs []Run) ([]Result, error) {
	results := make([]Result, len(runs))
	var todo []int
	for i, r := range runs {
		results[i] = Result{r, math.Inf(1)}
		if s.opts.Recall != nil {
			if loss, ok := s.opts.Recall(r); ok {
				results[i].Loss = finite(loss)
				s.found.Recalled++
				continue
			}
		}
		todo = append(todo, i)
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var (
		mu     sync.Mutex
		wg     sync.WaitGroup
		failed error
		next   int
	)
	workers := min(s.opts.Workers, len(todo))
	take := func() (int, bool) {
		mu.Lock()
		defer mu.Unlock()
		if failed != nil || next == len(todo) {
			return 0, false
		}
		next++
		return todo[next-1], true
	}
	finish := func(i int, loss float64, err error) {
		mu.Lock()
		defer mu.Unlock()
		if err == nil {
			results[i].Loss = finite(loss)
			s.found.Runs++
			if s.opts.Done != nil {
				err = s.opts.Done(results[i])
			}
		}
		if err != nil {
			if failed == nil {
				failed = err
			}
			stop()
		}
	}
	for worker := range workers {
		share := s.opts.Workers / workers
		if worker < s.opts.Workers%workers {
			share++
		}
		wg.Go(func() {
			for {
				i, ok := take()
				if !ok {
					return
				}
				if err := ctx.Err(); err != nil {
					finish(i, 0, err)
					return
				}
				r := results[i].Run
				r.Workers = share
				loss, err := s.run(ctx, r)
				if err != nil {
					err = fmt.Errorf("trial %d: %w", r.Trial, err)
				}
				finish(i, loss, err)
			}
		})
	}
	wg.Wait()
	return results, failed
}

// finite returns a loss, +Inf in place of NaN.
func finite(loss float64) float64 {
	if math.IsNaN(loss) {
		return math.Inf(1)
	}
	return loss
}
