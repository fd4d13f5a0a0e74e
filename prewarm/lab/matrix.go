package lab

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
)

// NamedPolicy is a policy of a matrix.
type NamedPolicy struct {
	// Name is the policy as it was given, such as keepalive:600.
	Name string
	New  NewPolicy
	// Bound is the oracle that is computed in place of a run; nil if it is a policy.
	Bound *Bound
}

// Cell is a combination of a matrix with its result.
type Cell struct {
	StoredResult
	Workload *Workload
	// Run has what was not stored; nil if the result is from a results file, or an oracle's.
	Run *Run
	// Explanations and Traces are lines of JSON; see Matrix.
	Explanations, Traces []byte

	stored bool // in the results file already
}

// Matrix is workloads × policies × seeds.
type Matrix struct {
	Workloads []*Workload
	// Policies returns the policies for a workload. They are the same for all, but for prices that are chosen by workload.
	Policies func(w *Workload) []NamedPolicy
	Seeds    []uint64
	Setting  Setting
	// Workers is the number of runs at once; 0 stands for the number of processors. The results do not depend on it.
	Workers int
	// Journal keeps results, and has those that need not be computed again; it may be nil. Runs whose decisions or traces are wanted are
	// computed anyway.
	Journal *Journal
	// Explain and Trace say that decisions and traces are wanted, TimePolicy that the time is measured which policies take.
	Explain, Trace, TimePolicy bool
	// Each is called with every result: in the order of workloads, policies and seeds, by one goroutine at a time.
	Each func(c *Cell) error
	// Progress is called with the number of runs that have ended whenever one has; it may be nil.
	Progress func(done int)
}

// job is a run that is yet to be made.
type job struct {
	workload *Workload
	policy   NamedPolicy
	seed     uint64
}

// Run makes all runs. If one fails, or ctx is done before, the runs that are complete are in the journal, and Each has been called for those before
// the first that is missing.
func (m *Matrix) Run(ctx context.Context) error {
	var jobs []job
	for _, w := range m.Workloads {
		for _, p := range m.Policies(w) {
			for _, s := range m.Seeds {
				jobs = append(jobs, job{workload: w, policy: p, seed: s})
			}
		}
	}
	inner, cancel := context.WithCancel(ctx)
	defer cancel()
	workers := m.Workers
	if workers <= 0 {
		workers = runtime.GOMAXPROCS(0)
	}
	o := &orderly{matrix: m, cells: make([]*Cell, len(jobs)), left: map[*Workload]int{}}
	for i := range jobs {
		o.left[jobs[i].workload]++
	}
	var group sync.WaitGroup
	for range min(workers, len(jobs)) {
		group.Go(func() {
			for {
				i, ok := o.take()
				if !ok || inner.Err() != nil {
					return
				}
				cell, err := m.run(inner, &jobs[i])
				if err == nil {
					err = o.put(i, cell)
				} else {
					err = fmt.Errorf("%s on %s, %s, seed %d: %w", jobs[i].policy.Name, jobs[i].workload.App, jobs[i].workload.Load, jobs[i].seed, err)
				}
				if err != nil {
					o.fail(i, err)
					cancel()
					return
				}
			}
		})
	}
	group.Wait()
	kept := o.keepRest()
	if err := ctx.Err(); err != nil {
		return errors.Join(kept, fmt.Errorf("after %d of %d runs: %w", o.count, len(jobs), err))
	}
	return o.err // what could not be kept then is not worth a second error
}

// run makes one run, unless the journal has it.
func (m *Matrix) run(ctx context.Context, j *job) (*Cell, error) {
	c := &Cell{Workload: j.workload}
	c.Settings = Settings(j.workload, m.Setting)
	c.Result = Result{App: j.workload.App, Load: j.workload.Load, Policy: j.policy.Name, Seed: j.seed}
	if !m.Explain && !m.Trace && !m.TimePolicy {
		if r := m.Journal.find(c.id()); r != nil {
			c.StoredResult, c.stored = *r, true
			return c, nil
		}
	}
	if j.policy.Bound != nil {
		var err error
		c.Measures, err = j.workload.bound(ctx, m.Setting, j.seed, j.policy.Bound)
		return c, err
	}
	var e *explainer
	o := Observer{TimePolicy: m.TimePolicy}
	if m.Explain {
		e = newExplainer(c)
		o.Decided = e.add
	}
	run, err := j.workload.Run(ctx, m.Setting, j.seed, j.policy.New, o)
	if err != nil {
		return nil, err
	}
	c.Run, c.Measures, c.Functions = run, run.Measures, run.Functions
	if e != nil {
		if c.Explanations, err = e.lines(); err != nil {
			return nil, err
		}
	}
	if m.Trace {
		if c.Traces, err = run.traces(c); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// Settings returns what a run depends on beside its application, load, policy and seed, as a word.
func Settings(w *Workload, s Setting) string {
	words := []string{fmt.Sprintf("n=%d", w.options.Requests)}
	if w.options.MemoryMB > 0 {
		words = append(words, fmt.Sprintf("memory=%d", w.options.MemoryMB))
	}
	if w.options.Warmup != Unscored {
		words = append(words, fmt.Sprintf("warmup=%d", w.options.Warmup))
	}
	for _, option := range []struct {
		set  bool
		word string
	}{
		{w.options.Fixed, "fixed"}, {w.options.Stock, "stock"}, {s.Own, "own"}, {s.NoGiveBack, "no-giveback"}, {s.NoGiveBack && s.Renew, "renew"}, {s.IdleTimeout > 0, fmt.Sprintf("idle-timeout=%v", s.IdleTimeout)}, {s.StartsOnly, "starts-only"},
		{s.FirstCall, "first-call"}, {s.WarmedLast, "warmed-last"},
	} {
		if option.set {
			words = append(words, option.word)
		}
	}
	return strings.Join(words, ",")
}

// orderly hands out jobs in order, and passes their results on in order.
type orderly struct {
	matrix *Matrix
	mu     sync.Mutex
	next   int     // the next job
	told   int     // results that were passed on
	count  int     // jobs that are done
	cells  []*Cell // by job, nil if it is not done or was passed on
	left   map[*Workload]int
	err    error
	failed int // the job of err
}

func (o *orderly) take() (int, bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.next == len(o.cells) {
		return 0, false
	}
	o.next++
	return o.next - 1, true
}

// put takes the result of a job, and passes on those that are next.
func (o *orderly) put(i int, c *Cell) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.cells[i] = c
	o.count++
	if o.left[c.Workload]--; o.left[c.Workload] == 0 {
		c.Workload.forget()
	}
	if o.matrix.Progress != nil {
		o.matrix.Progress(o.count)
	}
	for o.told < len(o.cells) && o.cells[o.told] != nil {
		c := o.cells[o.told]
		o.cells[o.told] = nil
		o.told++
		if err := o.pass(c); err != nil {
			return err
		}
		if o.matrix.Each != nil {
			if err := o.matrix.Each(c); err != nil {
				return err
			}
		}
	}
	return nil
}

// pass keeps a result in the journal.
func (o *orderly) pass(c *Cell) error {
	if c.stored {
		return nil
	}
	return o.matrix.Journal.add(&c.StoredResult)
}

// fail notes the error of a job; that of the first job in order stays.
func (o *orderly) fail(i int, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.err == nil || i < o.failed {
		o.err, o.failed = err, i
	}
}

// keepRest keeps the results that wait for earlier ones.
func (o *orderly) keepRest() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, c := range o.cells {
		if c != nil {
			if err := o.pass(c); err != nil {
				return err
			}
		}
	}
	return nil
}
