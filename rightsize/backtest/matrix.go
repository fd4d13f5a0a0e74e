package backtest

import (
	"context"
	"fmt"
	"math"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/tppfaas/tppfaas/rightsize"
	"github.com/tppfaas/tppfaas/rightsize/recommend"
)

// Series is usage to run recommenders on. Series of a name are repetitions, by seed.
type Series struct {
	Name string
	Seed uint64 // 0 where there is none
	// Usage returns it. It may be called by several goroutines.
	Usage func() (*rightsize.Usage, error)
}

// Matrix is what is run: every recommender on every series.
type Matrix struct {
	Series       []Series
	Recommenders []string // as recommend.Kinds names them
	Options      Options
	Workers      int            // 0: as many as there are processors
	Progress     func(done int) // called in no particular order, by one goroutine at a time; may be nil
}

// Cell is what a recommender did on a series.
type Cell struct {
	Series      string `json:"series"`
	Seed        uint64 `json:"seed,omitempty"`
	Recommender string `json:"recommender"`
	Measures
}

// Run runs the matrix. Cells come series by series, in the order of the matrix, whatever the number of workers. An error names the series.
func Run(ctx context.Context, m Matrix) ([]Cell, error) {
	for _, name := range m.Recommenders {
		if _, err := recommend.New(name, recommend.Options{}); err != nil {
			return nil, err
		}
	}
	if m.Workers < 1 {
		m.Workers = runtime.GOMAXPROCS(0)
	}
	width := len(m.Recommenders)
	cells := make([]Cell, len(m.Series)*width)
	errs := make([]error, len(m.Series))
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	jobs := make(chan int)
	var mutex sync.Mutex
	done := 0
	var group sync.WaitGroup
	for range min(m.Workers, len(m.Series)) {
		group.Go(func() {
			for i := range jobs {
				errs[i] = m.series(ctx, i, cells[i*width:(i+1)*width], func() {
					mutex.Lock()
					defer mutex.Unlock()
					if done++; m.Progress != nil {
						m.Progress(done)
					}
				})
				if errs[i] != nil {
					cancel()
				}
			}
		})
	}
	for i := range m.Series {
		select {
		case jobs <- i:
		case <-ctx.Done():
		}
	}
	close(jobs)
	group.Wait()
	for _, err := range errs {
		if err != nil && err != context.Canceled {
			return nil, err
		}
	}
	return cells, context.Cause(ctx)
}

// series runs all recommenders on a series.
func (m *Matrix) series(ctx context.Context, i int, cells []Cell, done func()) error {
	s := m.Series[i]
	u, err := s.Usage()
	if err != nil {
		return err
	}
	warmup := m.Options.Warmup
	if warmup == 0 {
		warmup = DefaultWarmup
	}
	if n := u.Len(); n < 2 || u.Time(n-1).Sub(u.Time(0)) <= warmup {
		length := time.Duration(0)
		if n > 0 {
			length = u.Time(n - 1).Sub(u.Time(0))
		}
		return fmt.Errorf("%s: %v of usage: a backtest needs more than the warm-up of %v", s.Name, length, warmup)
	}
	if !slices.ContainsFunc(u.Memory, func(v float64) bool { return !math.IsNaN(v) }) {
		return fmt.Errorf("%s: there is no usage of memory", s.Name)
	}
	for j, name := range m.Recommenders {
		if err := ctx.Err(); err != nil {
			return err
		}
		r, err := recommend.New(name, recommend.Options{MemoryFloor: MemoryFloor, CPUFloor: CPUFloor, MaxChanges: m.Options.MaxChanges})
		if err != nil {
			return err
		}
		cells[j] = Cell{Series: s.Name, Seed: s.Seed, Recommender: name, Measures: run(u, r, m.Options)}
		done()
	}
	return nil
}
