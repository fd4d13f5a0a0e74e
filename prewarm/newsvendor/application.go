package newsvendor

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/tppfaas/tppfaas/prewarm"
	"github.com/tppfaas/tppfaas/prewarm/requests"
	"github.com/tppfaas/tppfaas/tpp"
)

// Application is what was learned of an application: a model of its requests in flight, and one of when they come. It does not change, and may be used
// by several policies.
type Application struct {
	name      string
	functions []int
	history   *history
	table     *table
	model     tpp.Model        // nil if the table predicts
	weights   map[call]float64 // of its shares; nil unless its states know all that is to come
	kind      string
	traces    int
	requests  requests.Model // nil if nothing is known of when requests come
	seed      uint64
	most      int     // invocations of a trace that is drawn
	longer    float64 // in milliseconds: the longest time between two of them
}

// TrainOptions say how an application is learned.
type TrainOptions struct {
	// Model is the kind of the model, one of Models (default race).
	Model string
	// Given is a model that was trained elsewhere, to be used as it is; its marks are those of the recording. Nil trains one.
	Given tpp.Model
	// Requests is a model of when requests come, to be used as it is. Nil fits one to the gaps of the recording.
	Requests requests.Model
	// Functions is the number of functions of the platform.
	Functions int
	// Seed is that of the training, and Workers the number of its goroutines (0: as many as there are processors).
	Seed    uint64
	Workers int
	// Remember keeps the model in the memory of the process, for others that train the same one on the same recording.
	Remember bool
}

// Train learns an application from what was recorded of it, of which it keeps nothing.
func Train(ctx context.Context, recording *prewarm.Recording, o TrainOptions) (*Application, error) {
	if o.Model == "" {
		o.Model = DefaultModel
	}
	h, err := newHistory(recording, o.Functions)
	if err != nil {
		return nil, err
	}
	a := &Application{
		name: recording.Name, functions: recording.Functions, history: h, table: newTable(h), kind: o.Model, traces: len(h.traces),
		requests: o.Requests, seed: o.Seed, model: o.Given,
	}
	for i := range h.traces {
		times := h.traces[i].times
		a.most = max(a.most, 2*len(times))
		a.longer = max(a.longer, 2*milliseconds*times[len(times)-1])
	}
	switch {
	case o.Given != nil:
		a.kind = o.Given.Kind()
	case o.Model == Table:
	case o.Remember:
		a.model, err = trained.get(ctx, o.Model, h, o.Seed)
	default:
		a.model, err = train(ctx, o.Model, h, o.Seed, o.Workers)
	}
	if err == nil && a.requests == nil && len(recording.Gaps) > 0 {
		a.requests, err = requests.Fit(recording.Gaps)
	}
	if err != nil {
		return nil, fmt.Errorf("application %s: %w", recording.Name, err)
	}
	if a.model != nil {
		if _, ok := a.model.NewState(0).(tpp.ForecastingState); ok {
			a.weights = newShares(newForecasts(a.model), h).weights
		}
	}
	h.traces, h.app = nil, &prewarm.Recording{Name: recording.Name, Functions: recording.Functions}
	return a, nil
}

// Kind returns the kind of the model: Table, or a kind of package tpp.
func (a *Application) Kind() string { return a.kind }

// Functions returns the functions of the application, by mark.
func (a *Application) Functions() []int { return slices.Clone(a.functions) }

// Root returns the function that requests begin with.
func (a *Application) Root() int { return a.functions[a.history.root] }

// Traces returns the number of requests from which it was learned.
func (a *Application) Traces() int { return a.traces }

// Model returns the model of requests in flight, nil if that is the table.
func (a *Application) Model() tpp.Model { return a.model }

// Requests returns the model of when requests come, nil if nothing is known of that.
func (a *Application) Requests() requests.Model { return a.requests }

// WithRequests returns the application with another model of when its requests come.
func (a *Application) WithRequests(m requests.Model) *Application {
	b := *a
	b.requests = m
	return &b
}

// forecaster returns what follows traces by the application's model, for one policy.
func (a *Application) forecaster() forecaster {
	if a.model == nil {
		return a.table
	}
	if a.weights != nil {
		return &shares{forecaster: newForecasts(a.model), weights: a.weights}
	}
	return newPaths(a)
}

// Replace has an application predict from now on: in place of those that it shares functions with, and for all requests that come. Those in flight are
// followed by what has followed them so far. Recent are the arrivals of the last requests, which say when the next one comes. The fleet is nil
// before the first event.
func (p *Policy) Replace(a *Application, fleet *prewarm.Fleet, recent []prewarm.Time) error {
	if fleet != nil {
		p.Grow(fleet.Functions)
	}
	if err := p.install(a, fleet, recent); err != nil {
		return fmt.Errorf("newsvendor: application %s: %w", a.name, err)
	}
	return nil
}

// install makes an application the one of its functions. Fleet is nil before the first event.
func (p *Policy) install(a *Application, fleet *prewarm.Fleet, recent []prewarm.Time) error {
	for _, f := range a.functions {
		if f >= len(p.deciders) {
			return fmt.Errorf("there is no function %d", f)
		}
	}
	h := a.history
	app := &application{
		history: h, forecaster: a.forecaster(), certain: a.table.certain, groups: a.table.groups, firstCall: slices.Clone(h.firstCall), variance: slices.Clone(h.variance),
	}
	if p.platform.FirstCall {
		clear(app.firstCall)
	}
	if app.slack = h.slack; p.everyWait {
		app.slack = make([]float64, len(h.slack))
	}
	r, err := newRoots(app, h.root, a.requests)
	if err != nil {
		return err
	}
	p.retire(a.functions)
	place := p.predictor.place(app)
	for int(place) >= len(p.roots) {
		p.roots = append(p.roots, nil)
	}
	p.roots[place], r.place = r, place
	for m, f := range a.functions {
		p.predictor.appOf[f] = place
		p.learned(app, m, f, fleet)
	}
	r.begin(p.at, recent)
	return nil
}

// learned tells the decider of a function what is known of it now.
func (p *Policy) learned(app *application, mark, function int, fleet *prewarm.Fleet) {
	h, d := app.history, p.deciders[function]
	if d.added == 0 {
		for _, s := range h.starts[mark] {
			d.started(0, time.Duration(s*float64(time.Second)))
		}
	}
	d.ringed = false // what is in the ring was added as it was known before
	d.busy = h.busy[mark]
	d.first = 0
	if h.first[mark].n > 0 {
		d.first = app.firstCall[mark]
	}
	d.dirty = true
	if d.known || fleet == nil {
		d.known = true
		return
	}
	d.known = true
	d.runs.clear()
	for _, c := range fleet.Containers(function, prewarm.StateBusy) {
		began := seconds(c.LastRun)
		if !c.Ready {
			began = max(began, seconds(c.Asked)+d.mean)
		}
		d.begin(c.ID, began)
	}
	d.sample(fleet.Creating())
	p.predictor.supplies[function] = d.supply(fleet)
}

// retire takes functions from the applications that they are of: these begin no requests any more, and what they foresaw is forgotten.
func (p *Policy) retire(functions []int) {
	for _, f := range functions {
		old := p.predictor.appOf[f]
		if old < 0 {
			continue
		}
		p.roots[old] = &roots{}
		p.endStreams(old)
		for _, other := range p.predictor.apps[old].history.app.Functions {
			if p.predictor.appOf[other] != old {
				continue
			}
			d := p.deciders[other]
			p.predictor.appOf[other] = -1
			d.ringed, d.foreseen, d.dirty = false, d.foreseen[:0], true
			d.known = d.known && slices.Contains(functions, other)
		}
	}
}

// place returns the index of a new application: that of one which is not in use any more, if there is such a one.
func (p *predictor) place(app *application) int32 {
	used := make([]bool, len(p.apps))
	for _, a := range p.appOf {
		if a >= 0 {
			used[a] = true
		}
	}
	for _, t := range p.traces {
		if t != nil {
			used[t.app] = true
		}
	}
	at := slices.Index(used, false)
	if at < 0 {
		p.apps = append(p.apps, app)
		return int32(len(p.apps) - 1)
	}
	p.apps[at] = app
	return int32(at)
}

// Grow makes room for functions that were added to the fleet. Handle and Replace do it too.
func (p *Policy) Grow(functions []prewarm.Function) {
	if len(functions) <= len(p.deciders) {
		return
	}
	p.starts.Grow(len(functions))
	for f := len(p.deciders); f < len(functions); f++ {
		d := newDecider(f, functions[f].MemoryMB, p.price, p.platform, p.starts, p.work)
		d.creation, d.patience = p.startCost, p.predictor.patience
		p.deciders = append(p.deciders, d)
	}
	p.predictor.grow(len(functions))
}

// Forget forgets the start times of a function, because its code has changed.
func (p *Policy) Forget(function int) {
	if function < 0 || function >= len(p.deciders) {
		return
	}
	p.starts.Forget(function)
	d := p.deciders[function]
	d.added++
	d.dirty = true
}

// EachStart calls f for each start time of a function that is known, with how many other containers were being created.
func (p *Policy) EachStart(function int, f func(load int, took time.Duration)) {
	if function >= 0 && function < len(p.deciders) {
		p.starts.Each(function, f)
	}
}

// AddStart adds a start time of a function that was measured before.
func (p *Policy) AddStart(function, load int, took time.Duration) {
	p.deciders[function].started(load, took)
}

// Demands appends what is still to come of a request in flight, as it was seen last, to list.
func (p *Policy) Demands(trace prewarm.ID, list []Demand) []Demand {
	t := p.predictor.of(trace)
	if t == nil {
		return list
	}
	for _, f := range p.predictor.apps[t.app].history.app.Functions {
		d := p.deciders[f]
		head, ok := d.heads.Get(trace)
		for ok && head >= 0 {
			list = append(list, d.entries[head].Demand)
			head = d.entries[head].next
		}
	}
	return list
}

// newRoots returns what foresees the requests of an application that begin with a mark.
func newRoots(app *application, root int, model requests.Model) (*roots, error) {
	r := &roots{app: app, model: model}
	f := app.forecaster.newFollower()
	f.reset()
	if err := f.observe(root, -1, 0); err != nil {
		return nil, err
	}
	r.unfold(root, f.expect(nil))
	return r, nil
}
