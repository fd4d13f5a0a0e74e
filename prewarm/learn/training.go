package learn

import (
	"cmp"
	"context"
	"slices"

	"github.com/tppfaas/tppfaas/prewarm"
	"github.com/tppfaas/tppfaas/prewarm/newsvendor"
	"github.com/tppfaas/tppfaas/prewarm/requests"
)

const (
	// firstTraining is from how many requests on a table serves, and leastTraining how many are needed for a model of package tpp.
	firstTraining = 5
	leastTraining = 40
	// mostHeldOut is how many of the newest requests candidates are compared on at most.
	mostHeldOut = 100
	// enoughHeldOut is on how many of the newest requests a model that was trained elsewhere must be worse than another to make room for it.
	enoughHeldOut = 20
	// window is how many of the newest requests tell whether the model in use is stale.
	window = 20
	// firstGaps is how many times between requests are needed to say when the next one comes.
	firstGaps = 4
	// manyGaps is from how many on a model of them is compared with that in use.
	manyGaps = 40
)

// job is a look at the model of an application, and if it is due or stale the training of another one.
type job struct {
	app       *application // only to find it again
	functions []int
	name      string    // of the application
	traces    []stored  // a copy
	gaps      []float64 // between requests that begin with the root
	root      int
	streams   map[int][]float64 // the same of those that begin with other functions, by function
	given     *Model
	present   *newsvendor.Application
	previous  *newsvendor.Application
	unseen    uint64 // number of the first trace that present has not seen
	reference moments
	due       bool
	gapsDue   bool // when requests come is learned again, whatever else is
	fixed     bool
	model     string
	platform  int // number of functions
	seed      uint64
	workers   int
}

// verdict is what came of a job.
type verdict struct {
	app *application
	// chosen is the application to be used from now on, nil if that in use stays; back says that it is the one that was in use before.
	chosen *newsvendor.Application
	back   bool
	// recent says that the requests before number unseen − … are of another kind, and begin the number of the first that is not.
	recent bool
	begin  uint64
	// unseen is the number of the first request that it was not trained on, and reference how likely those that it was chosen by are.
	unseen    uint64
	reference moments
	looked    bool // reference is set
	stale     bool
	due       bool
	streams   map[int]requests.Model // nil if they stay as they are
	err       error
}

// run does a job. It does not change anything that the job shares with others.
func (j *job) run(ctx context.Context) verdict {
	v := verdict{app: j.app, due: j.due}
	v.err = j.decide(ctx, &v)
	if v.err == nil && v.due {
		v.streams, v.err = j.foreseeing(ctx)
	}
	return v
}

func (j *job) decide(ctx context.Context, v *verdict) error {
	fresh := len(j.traces) // the first that the present one has not seen
	if j.present != nil {
		fresh, _ = slices.BinarySearchFunc(j.traces, j.unseen, func(s stored, n uint64) int { return cmp.Compare(s.number, n) })
	}
	all := j.recording(j.functions, j.traces)
	if j.present != nil && len(j.traces)-fresh >= window {
		sample, err := newsvendor.NewSample(all, len(j.traces)-window, j.platform)
		if err != nil {
			return err
		}
		now := momentsOf(j.present.Score(sample))
		if j.reference.N < window {
			v.reference, v.looked = now, true
		} else {
			v.stale = now.below(&j.reference)
		}
	}
	if !v.due && !v.stale {
		if j.gapsDue && j.present != nil {
			return j.regap(v)
		}
		return nil
	}
	if j.fixed || j.given != nil {
		if err := j.refresh(ctx, v); err != nil || j.fixed {
			return err
		}
	}
	return j.compete(ctx, v, all, fresh)
}

// regap learns again when requests come, and nothing else.
func (j *job) regap(v *verdict) error {
	m, err := j.requests(j.gaps)
	if err == nil && m != j.present.Requests() {
		v.chosen = j.present.WithRequests(m)
		v.unseen = j.unseen
		if !v.looked {
			v.reference = j.reference
		}
	}
	return err
}

// refresh learns again what a given model does not say.
func (j *job) refresh(ctx context.Context, v *verdict) error {
	if j.given == nil {
		return nil
	}
	var kept []stored
	for _, s := range j.traces {
		if t := restrict(s.trace, j.given.Functions); len(t) > 0 {
			kept = append(kept, stored{t, s.number})
		}
	}
	if len(kept) < firstTraining {
		return nil
	}
	r := j.recording(j.given.Functions, kept)
	m, err := j.requests(r.Gaps)
	if err != nil {
		return err
	}
	app, err := newsvendor.Train(ctx, r, newsvendor.TrainOptions{Given: j.given.Model, Requests: m, Functions: j.platform, Seed: j.seed})
	if err != nil {
		return err
	}
	app = app.WithRequests(m)
	if j.present == nil || j.present.Model() == j.given.Model {
		// What it predicts is the same, so it needs no comparison.
		j.present, v.chosen = app, app
		v.unseen, v.reference = j.unseen, j.reference
	}
	return nil
}

// compete trains candidates on all but the newest requests, and compares them with the present one on those.
func (j *job) compete(ctx context.Context, v *verdict, all *prewarm.Recording, fresh int) error {
	n := len(j.traces)
	held := min(n/5, mostHeldOut)
	if j.given != nil {
		held = min(n/2, mostHeldOut)
	}
	if j.present != nil {
		held = min(max(held, 1), n-fresh)
		if held == 0 {
			return nil
		}
	}
	if v.stale && j.given == nil {
		held = min(held, window/4)
	}
	if j.present == nil && n-held < firstTraining {
		held = 0 // there is nothing to compare with
	}
	older := n - held
	var candidates []candidate
	for _, from := range []int{0, n - window} {
		if from > 0 && !v.stale || from < 0 {
			continue
		}
		list, err := j.candidates(ctx, from, older)
		if err != nil {
			return err
		}
		candidates = append(candidates, list...)
		if from == 0 && n == window {
			break
		}
	}
	if j.previous != nil {
		candidates = append(candidates, candidate{app: j.previous, from: -1})
	}
	best, scores := candidate{app: j.present}, []float64(nil)
	if held > 0 {
		sample, err := newsvendor.NewSample(all, older, j.platform)
		if err != nil {
			return err
		}
		var own candidate // the best of the candidates
		var of []float64
		for _, c := range candidates {
			if s := c.app.Score(sample); of == nil || newsvendor.Better(s, of) {
				own, of = c, s
			}
		}
		if j.present != nil {
			scores = j.present.Score(sample)
		}
		if own.app != nil && (scores == nil || j.better(&own, of, scores)) {
			best, scores = own, of
		}
	} else if len(candidates) > 0 {
		best = candidates[0]
	}
	m, err := j.requests(all.Gaps)
	if err != nil {
		return err
	}
	switch {
	case best.app == nil:
		return nil
	case best.app != j.present:
		v.chosen, v.back = best.app.WithRequests(m), best.from < 0
		v.reference = momentsOf(scores)
		v.unseen = j.traces[n-1].number + 1
		if older < n {
			v.unseen = j.traces[older].number
		}
		if best.from > 0 {
			v.recent, v.begin = true, j.traces[best.from].number
		}
	case m != best.app.Requests():
		v.chosen = best.app.WithRequests(m)
		v.unseen, v.reference = j.unseen, j.reference
	}
	return nil
}

// better reports whether a candidate takes the place of the application in use, by their scores. A model that was trained elsewhere knows more than the few
// requests that are compared: another takes its place only where many show it. Where the candidate has seen many more requests, that it is worse must be
// shown: how often a rare branch is taken hardly tells in the scores of a few requests, and more requests tell it better.
func (j *job) better(c *candidate, of, present []float64) bool {
	switch {
	case j.given != nil && j.present.Model() == j.given.Model:
		return newsvendor.ClearlyBetter(of, present, enoughHeldOut)
	case c.from == 0 && 2*c.app.Traces() >= 3*j.present.Traces():
		return !newsvendor.ClearlyBetter(present, of, 0)
	}
	return newsvendor.Better(of, present)
}

// candidate is a model that was trained on the requests from a place on; it is −1 for the one that was in use before.
type candidate struct {
	app  *newsvendor.Application
	from int
}

// candidates trains models on the requests between two places.
func (j *job) candidates(ctx context.Context, from, to int) (list []candidate, err error) {
	kinds := []string{newsvendor.Table}
	if to-from >= leastTraining && j.model != newsvendor.Table {
		kinds = append(kinds, j.model)
	}
	if to-from < firstTraining {
		return nil, nil
	}
	r := j.recording(j.functions, j.traces[from:to])
	r.Gaps = nil
	for _, kind := range kinds {
		app, err := newsvendor.Train(ctx, r, newsvendor.TrainOptions{Model: kind, Functions: j.platform, Seed: j.seed, Workers: j.workers})
		if err != nil {
			if ctx.Err() != nil || kind == newsvendor.Table {
				return nil, err
			}
			continue // a model that cannot be trained on these requests is none of the candidates
		}
		list = append(list, candidate{app, from})
	}
	return list, nil
}

// requests returns the model of when requests come: one that is fitted to the older gaps, if it foretells the newest ones better than that in use. Where
// gaps are few, none is left out: a fit to all of them knows most.
func (j *job) requests(gaps []float64) (requests.Model, error) {
	var present requests.Model
	if j.present != nil {
		present = j.present.Requests()
	}
	if len(gaps) < firstGaps {
		return present, nil
	}
	if present == nil || len(gaps) < manyGaps && j.given == nil {
		return requests.Fit(gaps)
	}
	held := max(len(gaps)/5, 1)
	m, err := requests.Fit(gaps[:len(gaps)-held])
	if err != nil {
		return nil, err
	}
	if newsvendor.Better(m.Score(gaps, len(gaps)-held), present.Score(gaps, len(gaps)-held)) {
		return m, nil
	}
	return present, nil
}

// mostOften returns the function that most of the requests begin with.
func mostOften(traces []stored) int {
	count := map[int]int{}
	best := -1
	for _, s := range traces {
		f := s.trace[0].Function
		if count[f]++; best < 0 || count[f] > count[best] {
			best = f
		}
	}
	return best
}

// recording returns requests as a recording, in their order; only the first is moved there that begins with the root, which says what the
// requests are that are foreseen.
func (j *job) recording(functions []int, traces []stored) *prewarm.Recording {
	r := &prewarm.Recording{Name: j.name, Functions: functions, Gaps: j.gaps}
	for _, s := range traces {
		r.Warm = append(r.Warm, s.trace)
	}
	if i := slices.IndexFunc(r.Warm, func(t prewarm.Trace) bool { return t[0].Function == j.root }); i > 0 {
		t := r.Warm[i]
		copy(r.Warm[1:i+1], r.Warm[:i])
		r.Warm[0] = t
	}
	return r
}

// restrict returns what a request has of some functions: invocations of others are left out, and those that they called are called by who called them.
// It is empty if its root is left out.
func restrict(t prewarm.Trace, functions []int) prewarm.Trace {
	if !slices.Contains(functions, t[0].Function) {
		return nil
	}
	place := make([]int, len(t)) // of each, or of the caller that is kept
	var out prewarm.Trace
	for i, v := range t {
		if v.Parent >= 0 {
			v.Parent = place[v.Parent]
		}
		if !slices.Contains(functions, v.Function) {
			place[i] = v.Parent
			continue
		}
		place[i] = len(out)
		out = append(out, v)
	}
	return out
}

// nextGaps returns from how many requests on it is learned again when requests come: often as long as each says much.
func nextGaps(seen int) int { return seen + max(seen/2, 1) }

// nextTraining returns from how many requests on a model is trained again.
func nextTraining(seen int) int {
	for _, n := range []int{firstTraining, 10, 20, 30, 50, 100, 200} {
		if seen < n {
			return n
		}
	}
	return seen + 200
}
