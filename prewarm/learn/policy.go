package learn

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/tppfaas/tppfaas/internal/seed"
	"github.com/tppfaas/tppfaas/prewarm"
	"github.com/tppfaas/tppfaas/prewarm/newsvendor"
)

// Policy is a newsvendor that learns from what it is told. Its methods are used by one goroutine at a time.
type Policy struct {
	options    Options
	newsvendor *newsvendor.Policy
	recorder   *recorder
	library    *library
	functions  []prewarm.Function // those of the fleet
	now        prewarm.Time
	ctx        context.Context
	worker     *worker // nil where events wait for the training
	warnings   []string
	demands    []newsvendor.Demand
	replaced   bool
	asked      bool // there will be a Woken with keyOver
	// loaded are applications that were saved, and wait for their functions; savedStarts has what was saved of these.
	loaded      []*savedApplication
	savedStarts *saved
	waiting     bool // an application may be due that is not being trained
}

// The time between two looks at a model whose application has many requests, and between two trainings of one that is not stale.
const (
	leastBetweenLooks     = 10 * time.Second
	leastBetweenTrainings = 10 * time.Minute
)

// keyOver is the key of the time at which a request may be over; smaller ones are those of the newsvendor.
const keyOver = 100

// defaultBytes is the memory for requests where nothing is said.
const defaultBytes = 64 << 20

// New returns a policy. The context is that of the training, now and later. An error names a function that two models predict, and what is wrong with
// a model or a recording.
func New(ctx context.Context, o Options) (*Policy, error) {
	p, err := newPolicy(ctx, o)
	if err != nil {
		return nil, fmt.Errorf("learn: %w", err)
	}
	return p, nil
}

func newPolicy(ctx context.Context, o Options) (*Policy, error) {
	if o.MaxBytes < 0 {
		return nil, fmt.Errorf("%d bytes for requests, must not be negative", o.MaxBytes)
	}
	if o.MaxBytes == 0 {
		o.MaxBytes = defaultBytes
	}
	if err := overlap(o.Models, o.Functions); err != nil {
		return nil, err
	}
	n, err := newsvendor.New(ctx, newsvendor.Options{
		Price: o.Price, EveryWait: o.EveryWait, StartCost: o.StartCost, Patience: o.Patience, Model: o.Model, Platform: o.Platform, Functions: o.Functions, Seed: o.Seed,
	})
	if err != nil {
		return nil, err
	}
	p := &Policy{
		options: o, newsvendor: n, recorder: newRecorder(o.Platform), functions: o.Functions, ctx: ctx,
		library: &library{most: o.MaxBytes, rng: rand.New(seed.Stream(o.Seed, "requests that are kept"))},
	}
	p.recorder.over = p.over
	for i := range o.Models {
		if err := p.give(&p.options.Models[i]); err != nil {
			return nil, err
		}
	}
	for i := range o.Knowledge.Applications {
		if err := p.know(&o.Knowledge.Applications[i]); err != nil {
			return nil, err
		}
	}
	if o.Background {
		p.worker = newWorker(ctx)
	}
	return p, nil
}

// give begins an application with a model that was trained elsewhere.
func (p *Policy) give(m *Model) error {
	present, err := m.Application(p.ctx, len(p.functions), p.options.Seed)
	if err != nil {
		return err
	}
	a := &application{given: m, functions: slices.Sorted(slices.Values(m.Functions)), present: present, due: firstTraining}
	return p.begin(a)
}

// know begins an application with what was recorded of it.
func (p *Policy) know(r *prewarm.Recording) error {
	present, err := newsvendor.Train(p.ctx, r, newsvendor.TrainOptions{
		Model: p.options.Model, Functions: len(p.functions), Seed: p.options.Seed, Remember: true,
	})
	if err != nil {
		return err
	}
	a := &application{functions: slices.Sorted(slices.Values(r.Functions)), present: present}
	for _, list := range [2][]prewarm.Trace{r.Cold, r.Warm} {
		for _, t := range list {
			p.library.keep(a, slices.Clone(t))
			a.seen++
		}
	}
	a.unseen, a.checked, a.due = a.count, a.count, nextTraining(a.seen)
	gaps := p.recorder.arrivalsOf(present.Root())
	for _, g := range r.Gaps {
		gaps.addGap(g)
	}
	return p.begin(a)
}

// begin adds an application that has a model. An error names a function that another one has.
func (p *Policy) begin(a *application) error {
	p.library.grow(len(p.functions))
	for _, f := range a.functions {
		if p.library.of[f] != nil {
			return fmt.Errorf("function %s is of two models or recordings", p.functions[f].Name)
		}
		p.library.of[f] = a
	}
	p.library.apps = append(p.library.apps, a)
	if a.present == nil {
		return nil
	}
	return p.newsvendor.Replace(a.present, nil, nil)
}

// Handle implements prewarm.Policy.
func (p *Policy) Handle(e *prewarm.Event, fleet *prewarm.Fleet, d *prewarm.Decisions) {
	p.now = e.At
	if len(fleet.Functions) != len(p.functions) {
		p.arrivedFunctions(fleet.Functions)
	}
	p.newsvendor.Handle(e, fleet, d)
	if f := p.recorder.observe(e, fleet); f != nil {
		f.expected, f.variance = p.expect(f.id, e.Function)
	}
	if e.Kind == prewarm.Woken && e.Key == keyOver {
		p.asked = false
	}
	if at := p.recorder.next(); at != prewarm.Never && !p.asked {
		p.asked = true
		d.Wake(at, keyOver)
	}
	if p.worker != nil {
		p.pickUp(fleet)
	} else if p.waiting {
		p.waiting = false
		for _, a := range p.library.apps {
			if a.training {
				p.take(p.job(a).run(p.ctx), fleet)
			}
		}
	}
	if p.replaced {
		// What the new model expects is decided on at once.
		p.replaced = false
		p.newsvendor.Handle(&prewarm.Event{Kind: prewarm.Woken, At: e.At, Key: newsvendor.KeyAgain}, fleet, d)
	}
}

// expect returns how many invocations are expected of a request that has just come, and the variance of that; NaN if its function has no model.
func (p *Policy) expect(trace prewarm.ID, function int) (sum, variance float64) {
	if function >= len(p.library.of) || p.library.of[function] == nil || p.library.of[function].present == nil {
		return nan, nan
	}
	p.demands = p.newsvendor.Demands(trace, p.demands[:0])
	for i := range p.demands {
		q := p.demands[i].Probability
		sum, variance = sum+q, variance+q*(1-q)
	}
	return sum, variance
}

// over keeps a request that is over, and sees whether a model should be looked at.
func (p *Policy) over(f *flight) {
	a := p.library.add(f)
	if a == nil {
		return
	}
	a.compare(f)
	if a.training || p.options.Fixed && a.given == nil {
		return
	}
	due := a.seen >= a.due && (a.seen <= 200 || a.trained == 0 || p.now-a.trained >= leastBetweenTrainings)
	look := a.count >= a.checked+window && a.count >= a.unseen+window && (a.seen <= 200 || p.now-a.looked >= leastBetweenLooks)
	gaps := a.present != nil && a.seen >= a.gapsDue
	if due || look || gaps {
		a.training, p.waiting = true, true
	}
}

// job returns the job of looking at an application's model.
func (p *Policy) job(a *application) *job {
	j := &job{
		app: a, functions: slices.Clone(a.functions), given: a.given, present: a.comparable(), previous: a.previous,
		unseen: a.unseen, reference: a.reference, due: a.seen >= a.due, gapsDue: a.seen >= a.gapsDue, fixed: p.options.Fixed, model: p.options.Model, platform: len(p.functions),
		seed: p.options.Seed + a.count,
	}
	if j.model == "" {
		j.model = newsvendor.DefaultModel
	}
	if p.worker != nil {
		j.workers = 1
	}
	j.traces = a.all()
	total := 0
	for _, s := range j.traces {
		total += len(s.trace)
	}
	memory := make(prewarm.Trace, 0, total)
	for i := range j.traces {
		begin := len(memory)
		memory = append(memory, j.traces[i].trace...)
		j.traces[i].trace = memory[begin:len(memory):len(memory)]
	}
	j.root = mostOften(j.traces)
	j.gaps = p.recorder.arrivalsOf(j.root).inOrder()
	j.streams = p.streamsOf(a, j.root)
	j.name = p.functions[j.root].Name
	a.checked, a.looked = a.count, p.now
	if j.gapsDue {
		a.gapsDue = nextGaps(a.seen)
	}
	return j
}

// take acts on what came of a job.
func (p *Policy) take(v verdict, fleet *prewarm.Fleet) {
	a := v.app
	a.training = false
	if !slices.Contains(p.library.apps, a) {
		return // it has become part of another
	}
	if v.due || v.stale {
		a.trained = p.now
		a.due = nextTraining(a.seen)
	}
	a.stale = v.stale && v.chosen == nil
	if v.looked {
		a.reference = v.reference
	}
	if v.err == nil && v.chosen != nil {
		v.err = p.newsvendor.Replace(v.chosen, fleet, p.recorder.arrivalsOf(v.chosen.Root()).recent(mostGaps))
	}
	if v.err == nil && v.streams != nil {
		a.streams = v.streams
	}
	if v.err != nil {
		if !errors.Is(v.err, context.Canceled) {
			p.warn(v.err.Error())
		}
		return
	}
	if v.chosen == nil {
		p.foreseen(a)
		return
	}
	if a.present == nil || v.chosen.Model() != a.present.Model() || v.chosen.Model() == nil && v.unseen != a.unseen {
		a.previous, a.since, a.agreed = a.present, p.now, 0
	}
	a.present, a.joined, a.unseen, a.reference = v.chosen, false, v.unseen, v.reference
	if v.recent {
		p.library.forget(a, v.begin)
		a.previous = nil
		a.due = nextTraining(a.seen)
	}
	p.foreseen(a)
	p.replaced = true
}

// mostWarnings is how many warnings are kept.
const mostWarnings = 20

func (p *Policy) warn(message string) {
	if len(p.warnings) == mostWarnings {
		p.warnings = slices.Delete(p.warnings, 0, 1)
	}
	p.warnings = append(p.warnings, message)
}

// Warnings returns what has gone wrong since the last call, in words: models that could not be trained, files that could not be read.
func (p *Policy) Warnings() []string {
	w := p.warnings
	p.warnings = nil
	return w
}

// Close ends the training in the background, and waits until nothing of it runs any more.
func (p *Policy) Close() error {
	if p.worker != nil {
		p.worker.close()
	}
	return nil
}

// Forget forgets the start times of a function, because its code has changed. What it calls, and when, is still taken to be as before.
func (p *Policy) Forget(function int) { p.newsvendor.Forget(function) }

// Models returns the models in use, in the order of their first functions.
func (p *Policy) Models() []ModelState {
	var list []ModelState
	for _, a := range p.library.apps {
		if a.present == nil {
			continue
		}
		s := ModelState{
			Name: "learned", Kind: a.present.Kind(), Application: p.functions[a.present.Root()].Name, Functions: a.present.Functions(),
			Since: a.since, Traces: a.present.Traces(),
		}
		slices.Sort(s.Functions)
		if a.given != nil && a.present.Model() == a.given.Model {
			s.Name = a.given.Name
		}
		s.Predicted, s.Came, s.Agrees = a.agree()
		switch {
		case !s.Agrees:
			s.Reason = fmt.Sprintf("of the last %d requests %.0f invocations were expected, and %.0f have come", min(a.agreed, mostAgreement), s.Predicted, s.Came)
		case a.stale:
			s.Reason = "the newest requests are unlike those that it was trained on, and none that was trained on them foretells them better"
		}
		list = append(list, s)
	}
	slices.SortFunc(list, func(a, b ModelState) int { return a.Functions[0] - b.Functions[0] })
	return list
}

// Expected implements prewarm.Expecter.
func (p *Policy) Expected(trace prewarm.ID, list []prewarm.Expected) []prewarm.Expected {
	begin := len(list)
	p.demands = p.newsvendor.Demands(trace, p.demands[:0])
	for i := range p.demands {
		d := &p.demands[i]
		list = append(list, prewarm.Expected{
			Function: d.Function, Probability: d.Probability,
			Lower: momentOf(d.Times.Quantile(0.05)), Median: momentOf(d.Times.Quantile(0.5)), Upper: momentOf(d.Times.Quantile(0.95)),
		})
	}
	slices.SortStableFunc(list[begin:], func(a, b prewarm.Expected) int { return int(min(max(a.Median-b.Median, -1), 1)) })
	return list
}

// momentOf converts seconds to a moment.
func momentOf(s float64) prewarm.Time {
	if s >= prewarm.Never.Seconds() {
		return prewarm.Never
	}
	return time.Duration(s * float64(time.Second))
}
