package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/tppfaas/tppfaas/apps"
	"github.com/tppfaas/tppfaas/sampler"
	"github.com/tppfaas/tppfaas/tpp"
	"github.com/tppfaas/tppfaas/tpp/dataset"
	"github.com/tppfaas/tppfaas/tpp/eval"
)

// Kinds of anomalies. A dataset does not say where its anomalies are, but its name says how it was sampled, and a sampling draws the same
// for the same seed: its plan, beside that of the same sampling without anomalies, is the truth.
const (
	slow    = "slow"    // a function slept longer than it would have
	fast    = "fast"    // or shorter
	missing = "missing" // a function was left out, its successors were invoked in its place
	anyKind = "any"
)

func anomalyKinds() []string { return []string{anyKind, slow, fast, missing} }

// truth says, by kind of anomaly, which gaps of a sequence end as they do because of one: an entry for each event, for the gap before it,
// and one for the silence after the last. A kind that the arrivals cannot show is not there, such as a slow function that invokes nothing.
type truth map[string][]bool

func (t truth) mark(kind string, gaps, gap int) {
	for _, k := range []string{kind, anyKind} {
		if t[k] == nil {
			t[k] = make([]bool, gaps)
		}
		t[k][gap] = true
	}
}

// planted is what is known of the anomalies that a sampling has planted in a dataset.
type planted struct {
	// normal has the same requests without anomalies.
	normal *tpp.Dataset
	truths []truth // by sequence
}

// readPlanted returns nil for a dataset whose name is none of a sampling with anomalies. The same sampling without anomalies is
// read from the same folder or, if it is not there, made in virtual time.
func readPlanted(ctx context.Context, path string, d *tpp.Dataset) (*planted, error) {
	name, config, err := sampler.ParseFileName(path)
	if err != nil || config.Anomalies == 0 && config.Missing == 0 {
		return nil, nil
	}
	app, err := apps.Load(name)
	if err != nil {
		return nil, err
	}
	plain := config
	plain.Anomalies, plain.Missing = 0, 0
	normal, err := readNormal(filepath.Dir(path), app, plain)
	if errors.Is(err, fs.ErrNotExist) {
		normal, err = sampleNormal(ctx, app, plain, d)
	}
	if err != nil {
		return nil, err
	}
	truths, err := truthsOf(app, config, d, normal)
	if err != nil {
		return nil, err
	}
	return &planted{normal, truths}, nil
}

func readNormal(folder string, app *apps.Application, config sampler.Config) (*tpp.Dataset, error) {
	path := filepath.Join(folder, sampler.FileName(app.Name, config))
	if _, err := os.Stat(path); err != nil {
		path += ".gz"
	}
	normal, err := dataset.ReadFile(path)
	if err != nil {
		return nil, err
	}
	if normal, err = normal.WithMarks(sampler.MarkNames(app)); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return normal, nil
}

// sampleNormal samples in virtual time, and checks that d was sampled so too: its first request came as the first one here.
func sampleNormal(ctx context.Context, app *apps.Application, config sampler.Config, d *tpp.Dataset) (*tpp.Dataset, error) {
	target, err := sampler.NewLocal(config.Seed)
	if err != nil {
		return nil, err
	}
	result, err := sampler.Sample(ctx, target, app, config, nil)
	if err != nil {
		return nil, err
	}
	first := func(d *tpp.Dataset) (out [3]float64) {
		if len(d.Sequences) > 0 {
			if s := d.Sequences[0]; s.Len() > 0 && s.WaitTimes != nil && s.InitTimes != nil {
				out = [3]float64{s.ArrivalTimes[0], s.WaitTimes[0], s.InitTimes[0]}
			}
		}
		return out
	}
	if first(d) != first(result.Dataset) {
		return nil, fmt.Errorf("it was not sampled in virtual time by this version with the usual overheads: put the same sampling without anomalies, %s, beside it",
			sampler.FileName(app.Name, config))
	}
	return result.Dataset, nil
}

// truthsOf draws the plans of both samplings, and finds the calls in the sequences.
func truthsOf(app *apps.Application, config sampler.Config, d, normal *tpp.Dataset) ([]truth, error) {
	if len(d.Sequences) != config.Requests || len(normal.Sequences) != config.Requests {
		return nil, fmt.Errorf("%d traces with anomalies and %d without, want all %d of the sampling: which of them are missing is not known",
			len(d.Sequences), len(normal.Sequences), config.Requests)
	}
	d, err := d.WithMarks(sampler.MarkNames(app))
	if err != nil {
		return nil, err
	}
	planner, err := sampler.NewPlanner(app, config)
	if err != nil {
		return nil, err
	}
	config.Anomalies, config.Missing = 0, 0
	plain, err := sampler.NewPlanner(app, config)
	if err != nil {
		return nil, err
	}
	var truths []truth
	for i := range d.Sequences {
		with, _ := planner.Next()
		without, _ := plain.Next()
		t, err := truthOf(with, without, &d.Sequences[i], &normal.Sequences[i])
		if err != nil {
			return nil, fmt.Errorf("sequence %d: %w", i, err)
		}
		truths = append(truths, t)
	}
	return truths, nil
}

// truthOf labels the gaps of a request's sequence s, beside the one of the same request without anomalies. An anomaly of a duration
// is in the gap before the first call of its function; of a missing function in the gap before the first call that was made in its
// place or, where it invokes nothing, in the gap in which it would have come.
func truthOf(with, without sampler.Request, s, normal *tpp.Sequence) (truth, error) {
	events, err := eventsOf(with.Calls, s)
	if err != nil {
		return nil, err
	}
	normalEvents, err := eventsOf(without.Calls, normal)
	if err != nil {
		return nil, fmt.Errorf("without anomalies: %w", err)
	}
	kept, missed := prune(without.Calls, with.Missing)
	if !slices.EqualFunc(kept, with.Calls, func(k int, c apps.Call) bool { return without.Calls[k].Function == c.Function }) {
		return nil, errors.New("its plans with and without anomalies do not have the same calls")
	}
	t := truth{}
	gaps := s.Len() + 1
	for _, m := range missed {
		if m.first < m.last {
			t.mark(missing, gaps, events[m.first])
			continue
		}
		delay := normal.ArrivalTimes[normalEvents[m.call]] - normal.ArrivalTimes[normalEvents[kept[m.caller]]]
		due := s.ArrivalTimes[events[m.caller]] + delay
		gap := 0
		for gap < s.Len() && s.ArrivalTimes[gap] <= due {
			gap++
		}
		t.mark(missing, gaps, gap)
	}
	for i, call := range with.Calls {
		if !slices.Contains(with.Anomalies, call.Function) || len(call.Invokes) == 0 {
			continue
		}
		change := call.Sleep - without.Calls[kept[i]].Sleep
		switch {
		case change >= time.Millisecond: // what the clock of a dataset can show
			t.mark(slow, gaps, events[call.Invokes[0]])
		case change <= -time.Millisecond:
			t.mark(fast, gaps, events[call.Invokes[0]])
		}
	}
	return t, nil
}

// missed is a call of a missing function.
type missed struct {
	call   int // as it would have been without anomalies
	caller int // who would have made it, or was called in place of who would have: an index into the calls that are left
	// first and last bound the calls that were made in its place: first ≤ index < last.
	first, last int
}

// prune returns which calls are left without the functions that are missing, in the order in which a plan has them, and those that are not.
func prune(calls []apps.Call, without []int) (kept []int, gone []missed) {
	kept = []int{0}
	for i := 0; i < len(kept); i++ {
		var descend func(call int)
		descend = func(call int) {
			if !slices.Contains(without, calls[call].Function) {
				kept = append(kept, call)
				return
			}
			m := missed{call: call, caller: i, first: len(kept)}
			for _, next := range calls[call].Invokes {
				descend(next)
			}
			m.last = len(kept)
			gone = append(gone, m)
		}
		for _, call := range calls[kept[i]].Invokes {
			descend(call)
		}
	}
	return kept, gone
}

// eventsOf returns for each call of a request the index of its event: calls of one function by one caller come in the order in which
// they are made.
func eventsOf(calls []apps.Call, s *tpp.Sequence) ([]int, error) {
	if s.Parents == nil {
		return nil, errors.New("it has no parents, which tell its calls apart")
	}
	if s.Len() != len(calls) {
		return nil, fmt.Errorf("%d invocations, by its plan there are %d", s.Len(), len(calls))
	}
	events := make([]int, len(calls))
	taken := make([]bool, s.Len())
	find := func(parent, function int) (int, error) {
		for i, p := range s.Parents {
			if p == parent && !taken[i] && s.Mark(i) == function {
				taken[i] = true
				return i, nil
			}
		}
		return 0, fmt.Errorf("no invocation of mark %d by event %d, which its plan has", function, parent)
	}
	var err error
	if events[0], err = find(-1, calls[0].Function); err != nil {
		return nil, err
	}
	for i, call := range calls {
		for _, next := range call.Invokes {
			if events[next], err = find(events[i], calls[next].Function); err != nil {
				return nil, err
			}
		}
	}
	return events, nil
}

// detection returns the scores of a model that was trained on normal traces, by kind of anomaly: how well it tells the anomalous
// sequences of a test part from the same requests without anomalies. Sequences whose anomalies the arrivals cannot show are left out.
func (d *planted) detection(ctx context.Context, m tpp.Model, test []int, sequences *tpp.Dataset) (map[string]scores, error) {
	resolution := 1.0
	if c, ok := m.(tpp.Clocked); ok {
		resolution = c.Resolution()
	}
	suspect := func(data *tpp.Dataset) ([]eval.Suspicions, error) {
		data, err := data.Subset(test).WithMarks(m.MarkNames())
		if err != nil {
			return nil, err
		}
		var out []eval.Suspicions
		for i := range data.Sequences {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			s, err := eval.Suspect(m, &data.Sequences[i], resolution)
			if err != nil {
				return nil, fmt.Errorf("sequence %d: %w", test[i], err)
			}
			out = append(out, s)
		}
		return out, nil
	}
	normal, err := suspect(d.normal)
	if err != nil {
		return nil, fmt.Errorf("without anomalies: %w", err)
	}
	suspicions, err := suspect(sequences)
	if err != nil {
		return nil, err
	}
	out := map[string]scores{}
	for _, kind := range anomalyKinds() {
		var labelled []eval.Labelled
		for i, s := range suspicions {
			if gaps := d.truths[test[i]][kind]; gaps != nil {
				labelled = append(labelled, eval.Labelled{Suspicions: s, Anomalous: gaps})
			}
		}
		if len(labelled) > 0 {
			out[kind] = scores{}
			for name, v := range eval.Detect(labelled, normal).All() {
				out[kind][name] = v
			}
		}
	}
	return out, nil
}

// partsOf returns the indices of the sequences of each part of a split.
func partsOf(n int, seed uint64) (training, validation, test []int) {
	numbered := &tpp.Dataset{Sequences: make([]tpp.Sequence, n)}
	for i := range numbered.Sequences {
		numbered.Sequences[i].ArrivalTimes = []float64{float64(i)}
	}
	indices := func(d *tpp.Dataset) (out []int) {
		for i := range d.Sequences {
			out = append(out, int(d.Sequences[i].ArrivalTimes[0]))
		}
		return out
	}
	a, b, c := numbered.Split(seed)
	return indices(a), indices(b), indices(c)
}
