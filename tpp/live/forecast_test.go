package live

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/tppfaas/tppfaas/tpp"
	"github.com/tppfaas/tppfaas/tpp/dataset"
	"github.com/tppfaas/tppfaas/tpp/dist"
	"github.com/tppfaas/tppfaas/tpp/internal/modeltest"
	"github.com/tppfaas/tppfaas/tpp/neural"
)

// poisson is a model for tests: events come at a rate per unit of time, whatever has been, with mark 1 in a share of the
// cases and mark 0 in the others, and after each event the sequence is over with the probability end.
type poisson struct{ rate, share, end float64 }

func (poisson) Kind() string                    { return "poisson of the tests" }
func (poisson) MarkNames() []string             { return []string{"a", "b"} }
func (poisson) CovariateNames() []string        { return nil }
func (p poisson) NewState(at float64) tpp.State { return &poissonState{p, at} }

type poissonState struct {
	poisson
	last float64
}

func (s *poissonState) Observe(e tpp.Event) error {
	if !(e.Time >= s.last) {
		return tpp.CheckEvent(e, s.last, 2)
	}
	s.last = e.Time
	return nil
}
func (s *poissonState) Clone() tpp.State { c := *s; return &c }
func (s *poissonState) Next(now float64) *tpp.Next {
	n := &tpp.Next{Time: dist.Exponential{Rate: s.rate}, Marks: []float64{1 - s.share, s.share}, End: s.end}
	return n.Conditional(now - s.last)
}

// TestForecastAgreesWithPoisson compares counts, probabilities and times with the closed forms of a Poisson process.
func TestForecastAgreesWithPoisson(t *testing.T) {
	m := poisson{rate: 0.02, share: 0.25}
	const horizon, paths = 100.0, 20_000
	state := m.NewState(0)
	got, err := NewForecast(t.Context(), state, 30, horizon, ForecastOptions{Paths: paths, Seed: 1, Quantiles: []float64{0.1, 0.5}})
	if err != nil {
		t.Fatal(err)
	}
	check := func(name string, o MarkForecast, rate float64) {
		within := -math.Expm1(-rate * horizon)
		// Four standard errors, of independent paths: stratified ones vary less.
		if se := math.Sqrt(within * (1 - within) / paths); math.Abs(o.Probability-within) > 4*se {
			t.Errorf("%s: probability %v, want %v ± %v", name, o.Probability, within, se)
		}
		if se := math.Sqrt(rate * horizon / paths); math.Abs(o.Count-rate*horizon) > 4*se {
			t.Errorf("%s: count %v, want %v ± %v", name, o.Count, rate*horizon, se)
		}
		for i, q := range []float64{0.1, 0.5} {
			// F(t)/F(horizon) = q; its standard error by the density there.
			at := -math.Log1p(-q*within) / rate
			se := math.Sqrt(q*(1-q)/(paths*within)) * within / (rate * math.Exp(-rate*at))
			if math.Abs(o.When[i]-at) > 4*se {
				t.Errorf("%s: quantile %v is %v, want %v ± %v", name, q, o.When[i], at, se)
			}
		}
	}
	check("any", got.Any, m.rate)
	check("a", got.Marks[0], m.rate*(1-m.share))
	check("b", got.Marks[1], m.rate*m.share)
	if got.Over != 0 || got.Paths != paths || got.Horizon != horizon || got.Sequences != 1 {
		t.Errorf("got %+v", got)
	}
}

// TestForecastStopsAtTheEnd checks that with an end after each event the number of events still to come is geometric, less likely any
// the longer nothing came.
func TestForecastStopsAtTheEnd(t *testing.T) {
	m := poisson{rate: 0.02, share: 1, end: 0.2}
	const paths = 20_000
	for _, waited := range []float64{0, 60} {
		got, err := NewForecast(t.Context(), m.NewState(0), waited, math.Inf(1), ForecastOptions{Paths: paths, Seed: 2})
		if err != nil {
			t.Fatal(err)
		}
		s := math.Exp(-m.rate * waited)
		another := (1 - m.end) * s / (m.end + (1-m.end)*s)
		count := another / m.end // one, and from then on (1 − e)/e more on average
		if se := math.Sqrt(another * (1 - another) / paths); math.Abs(got.Any.Probability-another) > 4*se {
			t.Errorf("after %v: probability %v, want %v", waited, got.Any.Probability, another)
		}
		if math.Abs(got.Any.Count-count) > 0.15 {
			t.Errorf("after %v: count %v, want %v", waited, got.Any.Count, count)
		}
		if got.Over != 1 || got.Marks[0].Count != 0 || got.Marks[0].When != nil {
			t.Errorf("after %v: got %+v", waited, got)
		}
	}
}

// TestStrataVaryLess checks that stratified paths vary less than independent ones, so that few of them are enough.
func TestStrataVaryLess(t *testing.T) {
	m := poisson{rate: 0.01, share: 0.5}
	const runs, horizon, paths = 400, 100.0, 64
	within := -math.Expm1(-m.rate * horizon)
	var deviation float64
	for seed := range uint64(runs) {
		o, err := NewForecast(t.Context(), m.NewState(0), 0, horizon, ForecastOptions{Paths: paths, Seed: seed})
		if err != nil {
			t.Fatal(err)
		}
		deviation += (o.Any.Probability - within) * (o.Any.Probability - within)
	}
	if independent := within * (1 - within) / paths; deviation/runs > independent/10 {
		t.Errorf("the variance of a probability is %v, that of independent paths is %v", deviation/runs, independent)
	}
}

func TestForecastDoesNotDependOnWorkers(t *testing.T) {
	for _, m := range []tpp.Model{
		poisson{rate: 0.02, share: 0.5, end: 0.1}, modeltest.Random(t, modeltest.Variants[1], 1), modeltest.Random(t, modeltest.Variants[5], 1), modeltest.Races(t)[2],
	} {
		state := m.NewState(0)
		forecast := func(seed uint64, workers int) *Forecast {
			o, err := NewForecast(t.Context(), state, 3, 1000, ForecastOptions{Paths: 300, Seed: seed, Workers: workers})
			if err != nil {
				t.Fatal(err)
			}
			return o
		}
		want := forecast(5, 1)
		for _, workers := range []int{2, 7} {
			if got := forecast(5, workers); !reflect.DeepEqual(got, want) {
				t.Errorf("%s: %d workers forecast %+v, one %+v", m.Kind(), workers, got, want)
			}
		}
		if got := forecast(6, 1); m.Kind() != string(neural.TruncNorm) && reflect.DeepEqual(got, want) {
			t.Errorf("%s: another seed makes the same forecast", m.Kind())
		}
	}
}

// plain hides from a forecast that there is a faster way than through the State of every path.
type plain struct{ s tpp.State }

func (p plain) Observe(e tpp.Event) error  { return p.s.Observe(e) }
func (p plain) Next(now float64) *tpp.Next { return p.s.Next(now) }
func (p plain) Clone() tpp.State           { return plain{p.s.Clone()} }
func (p plain) TypicalCovariates(dst []float64) []float64 {
	return p.s.(tpp.TypicalState).TypicalCovariates(dst)
}

// TestBatchedForecastIsTheSame checks that rolling all paths on in one product draws the very paths that single states do.
func TestBatchedForecastIsTheSame(t *testing.T) {
	for i, v := range modeltest.Variants {
		if v.Kind != neural.LogNormMix {
			continue
		}
		t.Run(v.String(), func(t *testing.T) {
			m := modeltest.Random(t, v, uint64(i))
			for _, events := range []int{0, 3} {
				state := m.NewState(10)
				for j := range events {
					e := tpp.Event{Time: 20 + 30*float64(j), Mark: j % 3, Covariates: state.(tpp.TypicalState).TypicalCovariates(nil)}
					if err := state.Observe(e); err != nil {
						t.Fatal(err)
					}
				}
				last := 10.0
				if events > 0 {
					last = 20 + 30*float64(events-1)
				}
				for _, waited := range []float64{0, 25, 1e6} {
					type event struct {
						path, mark int
						at         float64
					}
					play := func(s tpp.State) (events []event, over int) {
						p := newPathSimulator(s, &ForecastOptions{MaxEvents: 1000})
						over, err := p.run(s, last+waited, 500, 100, rand.NewPCG(7, 7), func(path int, at float64, mark int) {
							events = append(events, event{path, mark, at})
						})
						if err != nil {
							t.Fatal(err)
						}
						return events, over
					}
					want, wantOver := play(plain{state})
					got, over := play(state)
					if len(want) < 50 && waited < 1e6 {
						t.Fatalf("only %d events to compare", len(want))
					}
					if len(got) != len(want) || over != wantOver {
						t.Fatalf("after %v: %d events, %d paths over; path by path %d and %d", waited, len(got), over, len(want), wantOver)
					}
					for k := range want {
						if got[k].path != want[k].path || got[k].mark != want[k].mark || math.Abs(got[k].at-want[k].at) > 1e-3*(1+want[k].at) {
							t.Fatalf("after %v: event %d is %+v, path by path %+v", waited, k, got[k], want[k])
						}
					}
				}
			}
		})
	}
}

// TestForecastAgreesWithItsNext checks that what a forecast says of the first event is what Next says in closed form.
func TestForecastAgreesWithItsNext(t *testing.T) {
	var models []tpp.Model
	for i, v := range modeltest.Variants {
		if v.Kind == neural.LogNormMix {
			models = append(models, modeltest.Random(t, v, uint64(i)))
		}
	}
	models = append(models, modeltest.Races(t)[2])
	for i, m := range models {
		v := fmt.Sprintf("model %d, %s,", i, m.Kind())
		state := m.NewState(0)
		if err := state.Observe(tpp.Event{Time: 5, Mark: 1, Covariates: state.(tpp.TypicalState).TypicalCovariates(nil)}); err != nil {
			t.Fatal(err)
		}
		for _, waited := range []float64{0, 40} {
			const horizon, paths = 60, 6400
			o, err := NewForecast(t.Context(), state, 5+waited, horizon, ForecastOptions{Paths: paths, Seed: 3, Quantiles: []float64{0.5}})
			if err != nil {
				t.Fatal(err)
			}
			next := state.Next(5 + waited)
			within := next.Within(horizon)
			if se := math.Sqrt(within * (1 - within) / paths); math.Abs(o.Any.Probability-within) > 4*se+1e-4 {
				t.Errorf("%s after %v: an event comes with probability %v, Next says %v", v, waited, o.Any.Probability, within)
			}
			if half := next.Time.CDF(o.Any.When[0]) / next.Time.CDF(horizon); math.Abs(half-0.5) > 4*0.5/math.Sqrt(paths*within) {
				t.Errorf("%s after %v: half of the first events come before %v, Next says %v of them", v, waited, o.Any.When[0], half)
			}
		}
	}
}

func TestForecastErrors(t *testing.T) {
	state := poisson{rate: 1, share: 0.5}.NewState(100)
	for _, c := range []struct {
		now, horizon float64
		opts         ForecastOptions
		reason       string
	}{
		{math.NaN(), 1, ForecastOptions{}, "forecast: now is NaN"},
		{100, -1, ForecastOptions{}, "the horizon is -1"},
		{100, math.NaN(), ForecastOptions{}, "the horizon is NaN"},
		{100, 1, ForecastOptions{Paths: -1}, "-1 paths"},
		{100, 1, ForecastOptions{Workers: -1}, "-1 workers"},
		{100, 1, ForecastOptions{MaxEvents: -2}, "a limit of -2 events"},
		{100, 1, ForecastOptions{Quantiles: []float64{2}}, "quantile 2"},
		{100, math.Inf(1), ForecastOptions{MaxEvents: 10}, "a path has more than 10 events"},
	} {
		if _, err := NewForecast(t.Context(), state, c.now, c.horizon, c.opts); err == nil || !strings.Contains(err.Error(), c.reason) {
			t.Errorf("got error %v, want one that says %q", err, c.reason)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := NewForecast(ctx, state, 100, 1, ForecastOptions{}); !errors.Is(err, context.Canceled) {
		t.Errorf("got error %v, want the context's", err)
	}
}

// TestForecastAsksForCovariates checks that a forecast uses the covariates of future events that the caller gives.
func TestForecastAsksForCovariates(t *testing.T) {
	m := modeltest.Random(t, modeltest.Variants[3], 4)
	state := m.NewState(0)
	forecast := func(load float64) *Forecast {
		o, err := NewForecast(t.Context(), state, 0, 500, ForecastOptions{Covariates: func(dst []float64, at float64, mark int) []float64 {
			if at < 0 || at > 500 || mark < 0 || mark > 2 {
				t.Errorf("asked for covariates at %v of mark %d", at, mark)
			}
			return append(dst, 0, load)
		}})
		if err != nil {
			t.Fatal(err)
		}
		return o
	}
	usual, err := NewForecast(t.Context(), state, 0, 500, ForecastOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if got := forecast(m.Config().Covariates[1].Mean); !reflect.DeepEqual(got, usual) {
		t.Errorf("with the typical covariates the forecast is %+v, without any %+v", got, usual)
	}
	if reflect.DeepEqual(forecast(500), usual) {
		t.Error("the covariates make no difference")
	}
	_, err = NewForecast(t.Context(), state, 0, 500, ForecastOptions{Covariates: func(dst []float64, _ float64, _ int) []float64 { return dst }})
	if err == nil || !strings.Contains(err.Error(), "0 covariates, the model takes 2") {
		t.Errorf("got error %v", err)
	}
}

func ExampleForecast() {
	// A process of 2 events a minute, whose sequences go on for ever.
	model := poisson{rate: 2. / 60, share: 0.5}
	state := model.NewState(0)
	outlook, err := NewForecast(context.Background(), state, 0, 60, ForecastOptions{Paths: 1 << 14, Seed: 1})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%.1f events within a minute; with probability %.2f one comes, half the time within %.0f s\n",
		outlook.Any.Count, outlook.Any.Probability, outlook.Any.When[1])
	// Output: 2.0 events within a minute; with probability 0.86 one comes, half the time within 17 s
}

// TestForecastsOfRealTraces checks that, for traces that the model has not seen, forecasts from the middle expect as many events
// as come, and hardly any for traces that are over.
func TestForecastsOfRealTraces(t *testing.T) {
	const path = "../../../shared/data/low_sequence_rand.json.gz"
	if _, err := os.Stat(path); err != nil {
		t.Skip("the real traces are not here: ", err)
	}
	d, err := dataset.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	training, validation, test := d.Split(1)
	m, err := neural.Train(t.Context(), modeltest.Small, training, validation, neural.TrainOptions{Seed: 1, MaxEpochs: 150, LearningRate: 5e-3})
	if err != nil {
		t.Fatal(err)
	}
	var foreseen, came, phantoms float64
	for i := range test.Sequences {
		s := &test.Sequences[i]
		state := m.NewState(s.Start())
		middle := s.Len() / 2
		for j := range s.Len() {
			if err := state.Observe(s.Event(j, m.CovariateNames(), nil)); err != nil {
				t.Fatal(err)
			}
			if j != middle && j != s.Len()-1 {
				continue
			}
			o, err := NewForecast(t.Context(), state, s.ArrivalTimes[j], math.Inf(1), ForecastOptions{Seed: uint64(i)})
			if err != nil {
				t.Fatal(err)
			}
			if j == middle {
				foreseen += o.Any.Count
				came += float64(s.Len() - 1 - j)
			} else {
				phantoms += o.Any.Count
			}
		}
	}
	n := float64(len(test.Sequences))
	t.Logf("per trace %.3f events foreseen, %.3f came, %.3f foreseen of traces that were over", foreseen/n, came/n, phantoms/n)
	if math.Abs(foreseen-came) > 0.1*came || phantoms > 0.1*n {
		t.Errorf("per trace %.3f events were foreseen, %.3f came; %.3f were foreseen of traces that were over", foreseen/n, came/n, phantoms/n)
	}
}
