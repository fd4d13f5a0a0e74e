package lab

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/tppfaas/tppfaas/internal/localwhisk"
	"github.com/tppfaas/tppfaas/internal/seed"
	"github.com/tppfaas/tppfaas/prewarm"
)

// Options are what a workload has besides its applications and its load.
type Options struct {
	// Requests is the number of requests of each application in a run, of which the first Warmup do not count (0 stands for Unscored).
	Requests, Warmup int
	// MemoryMB is the memory for containers in MiB; 0 stands for that of the platform, 52 containers of 256 MiB.
	MemoryMB int
	// Fixed says that functions work for their durations, instead of times drawn from their gamma distributions.
	Fixed bool
	// Stock adds a stock of stem cells, which take any function, to the functions. It is the last one, and is empty unless a policy fills it.
	Stock bool
}

// stockName is the name of the stock of stem cells.
const stockName = "stem cells"

// Unscored is the number of requests of an application at the beginning of a run that do not count.
const Unscored = 5

// Numbers of what is recorded of each application beforehand.
const (
	warmRecorded = 400
	coldRecorded = 40
	gapsRecorded = 400
)

// Workload is one application, or several that share a platform, with the load of each. Its methods may be called by several goroutines.
type Workload struct {
	// App and Load are as they were given.
	App, Load string
	// Functions are those of all its applications.
	Functions []prewarm.Function

	options Options
	apps    []*application
	bases   []int // of each application, the index of its first function
	load    load
	// config is that of the platform.
	config localwhisk.Config

	knowledge func() (prewarm.Knowledge, error)
	starts    startCosts // set by knowledge
	mu        sync.Mutex
	plans     map[uint64]func() (*Plan, error)
}

// NewWorkload returns a workload: applications such as "sequence", "sequence~0.6" (whose requests differ by a log-normal factor of σ 0.6) or
// "sequence+tree_small" (which share a platform), and a load such as "poisson:1200", see Loads.
func NewWorkload(app, loadSpec string, o Options) (*Workload, error) {
	w := &Workload{App: app, Load: loadSpec, options: o, plans: map[uint64]func() (*Plan, error){}}
	if o.Warmup == 0 {
		o.Warmup, w.options.Warmup = Unscored, Unscored
	}
	if o.Warmup < 0 || o.Requests <= o.Warmup {
		return nil, fmt.Errorf("%d requests: at least %d are needed, of which the first %d do not count", o.Requests, o.Warmup+1, o.Warmup)
	}
	w.config = localwhisk.DefaultConfig()
	w.config.StemCells = 0
	if o.MemoryMB > 0 {
		w.config.MemoryMB = o.MemoryMB
	}
	if w.config.MemoryMB < w.config.FunctionMemoryMB {
		return nil, fmt.Errorf("%d MiB of memory, of which a container takes %d: there is no room for one", w.config.MemoryMB, w.config.FunctionMemoryMB)
	}
	if err := w.config.Validate(); err != nil {
		return nil, err
	}
	var err error
	if w.apps, err = parseApplications(app); err != nil {
		return nil, err
	}
	if w.load, err = parseLoad(loadSpec); err != nil {
		return nil, err
	}
	for _, a := range w.apps {
		w.bases = append(w.bases, len(w.Functions))
		for _, f := range a.Functions {
			w.Functions = append(w.Functions, prewarm.Function{Name: a.DeployedName(f.Name), MemoryMB: w.config.FunctionMemoryMB, Application: a.Name})
		}
	}
	if o.Stock {
		w.Functions = append(w.Functions, prewarm.Function{Name: stockName, MemoryMB: w.config.FunctionMemoryMB, StemCell: true})
	}
	w.knowledge = sync.OnceValues(w.record)
	return w, nil
}

// Plan is what is drawn for a run before it begins.
type Plan struct {
	// Requests are those of all applications, in the order of their arrival.
	Requests []Request
	// Begin is the arrival of the first request that is scored, from which on memory counts, and End until when it counts.
	Begin, End prewarm.Time
	// Scored is the number of requests that are scored.
	Scored int
}

// Plan returns the plan of a seed. It must not be changed.
func (w *Workload) Plan(ctx context.Context, number uint64) (*Plan, error) {
	w.mu.Lock()
	get := w.plans[number]
	if get == nil {
		get = sync.OnceValues(func() (*Plan, error) { return w.plan(ctx, number) })
		w.plans[number] = get
	}
	w.mu.Unlock()
	return get()
}

// forget frees the memory of all plans.
func (w *Workload) forget() {
	w.mu.Lock()
	defer w.mu.Unlock()
	clear(w.plans)
}

// Charges of memory after the last request.
const (
	leastCharge = 60 * time.Second
	mostCharge  = 1800 * time.Second
)

func (w *Workload) plan(ctx context.Context, number uint64) (*Plan, error) {
	p := &Plan{}
	for k, a := range w.apps {
		d, err := a.newDrawer(number, w.options.Fixed)
		if err != nil {
			return nil, err
		}
		arrivals := w.load.arrivals(w.options.Requests, rand.New(seed.Stream(a.seed(number), "arrivals")))
		if len(arrivals) <= w.options.Warmup {
			return nil, fmt.Errorf("load %s has %d requests: at least %d are needed", w.Load, len(arrivals), w.options.Warmup+1)
		}
		for i, at := range arrivals {
			r := Request{Application: k, At: at, Calls: d.next(), Scored: i >= w.options.Warmup}
			for j := range r.Calls {
				r.Calls[j].Function += w.bases[k]
			}
			p.Requests = append(p.Requests, r)
		}
	}
	slices.SortStableFunc(p.Requests, func(a, b Request) int { return int(min(max(a.At-b.At, -1), 1)) })
	for i := range p.Requests {
		if r := &p.Requests[i]; r.Scored {
			if p.Scored == 0 {
				p.Begin = r.At
			}
			p.Scored++
		}
	}
	mean := time.Duration(min(w.load.mean, mostCharge.Seconds()) * float64(time.Second))
	p.End = p.Requests[len(p.Requests)-1].At + max(mean, leastCharge)
	warm, err := w.allWarm(ctx, p.Requests, number)
	if err != nil {
		return nil, fmt.Errorf("the run with everything warm: %w", err)
	}
	for i := range warm {
		p.Requests[i].Warm, p.Requests[i].warm = warm[i].end()-warm[i].records[0].arrival, warm[i].trace()
	}
	return p, nil
}

// sequentially sends one request after the other, the next one pause after the last end of the one before, and returns what became of them.
func (e *engine) sequentially(ctx context.Context, requests []Request, pause time.Duration) ([]*pending, error) {
	var all []*pending
	e.done = func(p *pending) {
		all = append(all, p)
		if len(all) < len(requests) {
			e.after(pause, func() { e.send(&requests[len(all)]) })
		} else {
			e.halt()
		}
	}
	e.after(pause, func() { e.send(&requests[0]) })
	if err := e.run(ctx); err != nil {
		return nil, err
	}
	if len(all) < len(requests) {
		return nil, errors.New("a request does not end")
	}
	return all, nil
}

// allWarm runs requests one at a time on a platform without limits, where every container has been started and has made its first call.
func (w *Workload) allWarm(ctx context.Context, requests []Request, number uint64) ([]*pending, error) {
	most := make([]int, len(w.Functions)) // how many containers of each function a request can need at once
	total := 0
	for i := range requests {
		count := make([]int, len(w.Functions))
		for _, c := range requests[i].Calls {
			count[c.Function]++
			if count[c.Function] > most[c.Function] {
				most[c.Function]++
				total++
			}
		}
	}
	config := w.config
	config.MemoryMB = (total + 1) * config.FunctionMemoryMB
	config.Capacity = 0
	config.IdleTimeout = time.Duration(mostVirtual) * time.Second
	config.WarmFirstCall = true
	e, err := newEngine(config, w.Functions, seed.Stream(number, "all warm").Uint64())
	if err != nil {
		return nil, err
	}
	for f, n := range most {
		for range n {
			if _, err := e.platform.StartContainer(e.names[f]); err != nil {
				return nil, err
			}
		}
	}
	all, err := e.sequentially(ctx, requests, time.Minute)
	if err != nil {
		return nil, err
	}
	for _, p := range all {
		for i := range p.records {
			if p.records[i].kind != prewarm.Warm {
				return nil, fmt.Errorf("an invocation of %s was not warm", e.names[p.request.Calls[i].Function])
			}
		}
	}
	return all, nil
}

// recordingSeed is the seed of what is recorded beforehand; those of runs are others.
const recordingSeed = 0x5eed0f7ec0d1295

// Knowledge returns what every policy is told beforehand, for all runs the same: of each application 400 requests that found everything warm, 40
// that found no container, and 400 gaps of the load. It must not be changed.
func (w *Workload) Knowledge() (prewarm.Knowledge, error) { return w.knowledge() }

func (w *Workload) record() (prewarm.Knowledge, error) {
	var k prewarm.Knowledge
	var waits, calls [2]average // of warm and cold invocations
	for i, a := range w.apps {
		r := prewarm.Recording{Name: a.Name, Gaps: w.load.gaps(gapsRecorded, rand.New(seed.Stream(a.seed(recordingSeed), "arrivals")))}
		for j := range a.Functions {
			r.Functions = append(r.Functions, w.bases[i]+j)
		}
		d, err := a.newDrawer(recordingSeed, w.options.Fixed)
		if err != nil {
			return k, err
		}
		requests := make([]Request, warmRecorded+coldRecorded)
		for n := range requests {
			requests[n] = Request{Application: i, Calls: d.next()}
			for j := range requests[n].Calls {
				requests[n].Calls[j].Function += w.bases[i]
			}
		}
		warm, err := w.allWarm(context.Background(), requests[:warmRecorded], recordingSeed)
		if err != nil {
			return k, fmt.Errorf("recording warm requests of %s: %w", a.Name, err)
		}
		e, err := newEngine(w.config, w.Functions, seed.Stream(recordingSeed, "recording").Uint64())
		if err != nil {
			return k, err
		}
		// By then no container is left.
		cold, err := e.sequentially(context.Background(), requests[warmRecorded:], w.config.IdleTimeout+time.Minute)
		if err != nil {
			return k, fmt.Errorf("recording cold requests of %s: %w", a.Name, err)
		}
		for _, p := range warm {
			r.Warm = append(r.Warm, p.trace())
		}
		for _, p := range cold {
			r.Cold = append(r.Cold, p.trace())
		}
		for c, all := range [2][]*pending{warm, cold} {
			for _, p := range all {
				p.overheads(&waits[c], &calls[c])
			}
		}
		k.Applications = append(k.Applications, r)
	}
	w.starts = startCosts{start: waits[1].mean() - waits[0].mean(), firstCall: max(calls[1].mean()-calls[0].mean(), 0)}
	return k, nil
}

// average is the mean of what was added.
type average struct {
	sum float64
	n   int
}

func (a *average) add(v float64) {
	a.sum += v
	a.n++
}

// mean returns the mean, 0 of nothing.
func (a *average) mean() float64 { return a.sum / float64(max(a.n, 1)) }

// overheads adds, for each invocation of a request, how long it waited, and how long its first call took to arrive. The request must be one
// whose containers were all warm or all cold.
func (p *pending) overheads(waits, calls *average) {
	for i := range p.records {
		r, planned := &p.records[i], &p.request.Calls[i]
		waits.add((r.start - r.arrival).Seconds())
		if len(planned.Invokes) > 0 {
			calls.add((p.records[planned.Invokes[0]].arrival - r.start - planned.Sleep).Seconds())
		}
	}
}
