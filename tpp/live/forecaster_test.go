package live

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"strings"
	"sync"
	"testing"

	"github.com/tppfaas/tppfaas/tpp"
	"github.com/tppfaas/tppfaas/tpp/internal/modeltest"
	"github.com/tppfaas/tppfaas/tpp/internal/tpptest"
)

func newForecaster(t testing.TB, m tpp.Model, opts ForecasterOptions) *Forecaster[string] {
	t.Helper()
	f, err := NewForecaster[string](m, opts)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// TestForecasterFollowsEveryTrace checks that traces that share memory and are observed in turn are predicted as each alone.
func TestForecasterFollowsEveryTrace(t *testing.T) {
	for _, m := range modeltest.Carriers(t) {
		f := newForecaster(t, m, ForecasterOptions{})
		alone := map[string]tpp.State{}
		keys := []string{"x", "y", "z"}
		for j := range 30 {
			key := keys[(j*j+j/4)%3]
			e := tpp.Event{Time: 100 + 7*float64(j), Mark: (j * 5) % 3}
			if alone[key] == nil {
				alone[key] = m.NewState(e.Time)
			}
			if c, ok := alone[key].(tpp.TypicalState); ok {
				e.Covariates = c.TypicalCovariates(nil)
			}
			if err := f.Observe(key, e); err != nil {
				t.Fatal(err)
			}
			if err := alone[key].Observe(e); err != nil {
				t.Fatal(err)
			}
			for _, key := range keys {
				if alone[key] == nil {
					continue
				}
				want := fmt.Sprint(summary(alone[key].Next(e.Time + 3)))
				got := ""
				if !f.Next(key, e.Time+3, func(n *tpp.Next) { got = fmt.Sprint(summary(n)) }) || got != want {
					t.Fatalf("%s: event %d: trace %s is predicted %s, alone %s", m.Kind(), j, key, got, want)
				}
			}
		}
		copied, ok := f.State("y")
		if !ok || !tpptest.SameNext(copied, alone["y"], 400) {
			t.Errorf("%s: the copy of a trace's state predicts otherwise", m.Kind())
		}
		if f.Len() != 3 {
			t.Errorf("%s: %d traces in flight, want 3", m.Kind(), f.Len())
		}
	}
}

// summary returns the values by which tests compare predictions.
func summary(n *tpp.Next) []float64 {
	return append([]float64{n.End, n.Time.CDF(20), n.Time.LogSurvival(500)}, n.Marks...)
}

func TestForecasterRefusesBadEvents(t *testing.T) {
	m := modeltest.Random(t, modeltest.Variants[1], 1)
	f := newForecaster(t, m, ForecasterOptions{})
	if err := f.Observe("new", tpp.Event{Time: 1, Mark: 7}); err == nil || !strings.Contains(err.Error(), "trace new: event at 1: mark 7: the model knows 3 marks") {
		t.Errorf("got error %v", err)
	}
	if f.Len() != 0 {
		t.Error("an event that was refused began a trace")
	}
	if err := f.Observe("old", tpp.Event{Time: 100, Mark: 0}); err != nil {
		t.Fatal(err)
	}
	before, _ := f.State("old")
	for _, e := range []tpp.Event{{Time: 99}, {Time: 101, Mark: 3}, {Time: 101, Mark: -1}, {Time: math.NaN()}} {
		if err := f.Observe("old", e); err == nil {
			t.Errorf("event %+v was observed", e)
		}
	}
	if after, _ := f.State("old"); !tpptest.SameNext(before, after, 120) {
		t.Error("refused events changed the trace")
	}
	if s := f.Stats(); s.Events != 1 || s.Rejected != 5 {
		t.Errorf("got %+v", s)
	}
	if f.Next("none", 1, func(*tpp.Next) { t.Error("there is no such trace") }) {
		t.Error("a trace that nobody began is in flight")
	}
	if _, err := f.Forecast(t.Context(), "none", 1, 1, ForecastOptions{}); !errors.Is(err, ErrNoTrace) {
		t.Errorf("got error %v, want ErrNoTrace", err)
	}
	if _, ok := f.State("none"); ok || f.End("none") {
		t.Error("a trace that nobody began is in flight")
	}
}

// TestForecasterInfersTheEnd checks when a silent trace counts as over, against the closed form of a Poisson process with ends.
func TestForecasterInfersTheEnd(t *testing.T) {
	const rate = 0.02
	for _, c := range []struct {
		name  string
		end   float64
		opts  ForecasterOptions
		after float64 // the last event, when the trace is dropped
	}{
		{"by the end's probability", 0.1, ForecasterOptions{EndProbability: 0.9}, -math.Log(0.1/0.9*0.1/0.9) / rate},
		{"at once", 0.95, ForecasterOptions{EndProbability: 0.9}, 0},
		{"as idle", 0, ForecasterOptions{IdleSurvival: 1e-3}, math.Log(1e3) / rate},
		{"after the longest silence", 0, ForecasterOptions{MaxIdle: 77}, 77},
	} {
		f := newForecaster(t, poisson{rate: rate, share: 0.5, end: c.end}, c.opts)
		for i, at := range []float64{1000, 2000} {
			if err := f.Observe(fmt.Sprint("trace ", i), tpp.Event{Time: at}); err != nil {
				t.Fatal(err)
			}
		}
		if c.after > 0 {
			if n := f.Expire(1000 + c.after*(1-1e-9)); n != 0 {
				t.Errorf("%s: dropped too early", c.name)
			}
		}
		if n := f.Expire(1000 + c.after*(1+1e-9)); n != 1 {
			t.Errorf("%s: %d traces dropped, want the first", c.name, n)
		}
		if f.Next("trace 0", 3000, func(*tpp.Next) {}) || !f.Next("trace 1", 3000, func(*tpp.Next) {}) {
			t.Errorf("%s: the wrong trace was dropped", c.name)
		}
		if s := f.Stats(); s.Traces != 1 || s.Expired != 1 {
			t.Errorf("%s: got %+v", c.name, s)
		}
		if !f.End("trace 1") || f.Len() != 0 || f.Stats().Ended != 1 {
			t.Errorf("%s: the second trace was not ended", c.name)
		}
	}
}

// TestForecasterDoesNotDropPointPredictions checks that a trace does not expire because a single predicted time has passed.
func TestForecasterDoesNotDropPointPredictions(t *testing.T) {
	f := newForecaster(t, modeltest.Random(t, modeltest.Variants[4], 1), ForecasterOptions{MaxIdle: 1e6})
	if err := f.Observe("x", tpp.Event{Time: 0}); err != nil {
		t.Fatal(err)
	}
	if f.Expire(9e5) != 0 || f.Expire(1e6) != 1 {
		t.Error("the trace was not dropped after the longest silence")
	}
}

func TestForecasterHasRoomForSoMany(t *testing.T) {
	f := newForecaster(t, poisson{rate: 1e-9, share: 0.5}, ForecasterOptions{MaxTraces: 3})
	for i, key := range []string{"a", "b", "c", "a", "d", "e"} {
		if err := f.Observe(key, tpp.Event{Time: float64(i)}); err != nil {
			t.Fatal(err)
		}
	}
	for key, want := range map[string]bool{"a": true, "b": false, "c": false, "d": true, "e": true} {
		if _, ok := f.State(key); ok != want {
			t.Errorf("trace %s is in flight: %t, want %t", key, ok, want)
		}
	}
	if s := f.Stats(); s.Traces != 3 || s.Evicted != 2 || s.Events != 6 {
		t.Errorf("got %+v", s)
	}
	// What is over makes room before what is only silent.
	f = newForecaster(t, poisson{rate: 1, share: 0.5}, ForecasterOptions{MaxTraces: 2, MaxIdle: 50})
	for _, e := range []struct {
		key string
		at  float64
	}{{"silent", 0}, {"alive", 1}, {"new", 100}} {
		if err := f.Observe(e.key, tpp.Event{Time: e.at}); err != nil {
			t.Fatal(err)
		}
	}
	if s := f.Stats(); s.Traces != 1 || s.Expired != 2 || s.Evicted != 0 {
		t.Errorf("got %+v", s)
	}
}

// TestForecastAllAddsUp compares the forecast of independent Poisson processes with that of one with the sum of the rates.
func TestForecastAllAddsUp(t *testing.T) {
	m := poisson{rate: 0.002, share: 0.25}
	f := newForecaster(t, m, ForecasterOptions{})
	const traces, horizon, paths = 20, 50.0, 2000
	for i := range traces {
		if err := f.Observe(fmt.Sprint(i), tpp.Event{Time: float64(i)}); err != nil {
			t.Fatal(err)
		}
	}
	// Some of the traces have had their last event only after now.
	const now = 10.0
	got, err := f.ForecastAll(t.Context(), now, horizon, ForecastOptions{Paths: paths, Seed: 4})
	if err != nil {
		t.Fatal(err)
	}
	exposure := 0.0
	for i := range traces {
		exposure += horizon - max(float64(i)-now, 0)
	}
	if got.Sequences != traces || got.Paths != paths {
		t.Errorf("got %+v", got)
	}
	for name, c := range map[string]struct {
		got  MarkForecast
		mean float64
	}{
		"any": {got.Any, m.rate * exposure}, "a": {got.Marks[0], 0.75 * m.rate * exposure}, "b": {got.Marks[1], 0.25 * m.rate * exposure},
	} {
		within := -math.Expm1(-c.mean)
		if math.Abs(c.got.Count-c.mean) > 4*math.Sqrt(c.mean/paths) || math.Abs(c.got.Probability-within) > 4*math.Sqrt(within*(1-within)/paths) {
			t.Errorf("%s: got %+v, want %v events, one with probability %v", name, c.got, c.mean, within)
		}
	}
	again, err := f.ForecastAll(t.Context(), now, horizon, ForecastOptions{Paths: paths, Seed: 4, Workers: 1})
	if err != nil || !reflect.DeepEqual(again, got) {
		t.Errorf("one worker forecasts %+v (error %v), several %+v", again, err, got)
	}
	late := newForecaster(t, poisson{rate: 0.05}, ForecasterOptions{})
	if err := late.Observe("late", tpp.Event{Time: 40}); err != nil {
		t.Fatal(err)
	}
	got, err = late.ForecastAll(t.Context(), 0, 50, ForecastOptions{Paths: paths, Quantiles: []float64{0, 1}})
	if err != nil || math.Abs(got.Any.Count-0.5) > 4*math.Sqrt(0.5/paths) || got.Any.When[0] < 40 || got.Any.When[1] > 50 {
		t.Errorf("of a trace whose last event is 40 from now the forecast for 50 is %+v (error %v)", got, err)
	}
	empty, err := newForecaster(t, m, ForecasterOptions{}).ForecastAll(t.Context(), 0, 10, ForecastOptions{})
	if err != nil || empty.Any.Probability != 0 || empty.Any.Count != 0 || empty.Sequences != 0 {
		t.Errorf("of no traces the forecast is %+v (error %v)", empty, err)
	}
}

// TestForecastAllSeedsDoNotOverlap checks that a forecast with one seed says nothing of one with another: the paths of the trace
// that began as the second one are not those that the first one has with the next seed.
func TestForecastAllSeedsDoNotOverlap(t *testing.T) {
	m := modeltest.Random(t, modeltest.Variants[0], 3)
	opts := ForecastOptions{Paths: 64}
	event := tpp.Event{Time: 10, Mark: 1}
	if c, ok := m.NewState(0).(tpp.TypicalState); ok {
		event.Covariates = c.TypicalCovariates(nil)
	}
	forecastOf := func(number int, seed uint64) *Forecast {
		f := newForecaster(t, m, ForecasterOptions{})
		for i := range number {
			if err := f.Observe("x", event); err != nil {
				t.Fatal(err)
			}
			if i < number-1 {
				f.End("x")
			}
		}
		opts.Seed = seed
		got, err := f.ForecastAll(t.Context(), 20, 500, opts)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	if a, b := forecastOf(1, 7), forecastOf(1, 7); !reflect.DeepEqual(a, b) {
		t.Error("the same seed gives another forecast")
	}
	if a, b := forecastOf(1, 2), forecastOf(2, 1); reflect.DeepEqual(a.Any, b.Any) {
		t.Error("trace 1 with seed 2 has the paths of trace 2 with seed 1")
	}
	seen := map[uint64]bool{}
	for seed := range uint64(100) {
		for id := range uint64(100) {
			seen[traceSeed(seed, id)] = true
		}
	}
	if len(seen) != 100*100 {
		t.Errorf("%d pairs of a seed and a trace have %d seeds", 100*100, len(seen))
	}
}

// TestForecastAllOfOneIsItsForecast checks that the forecast of all traces is that of the only one.
func TestForecastAllOfOneIsItsForecast(t *testing.T) {
	m := modeltest.Random(t, modeltest.Variants[2], 3)
	f := newForecaster(t, m, ForecasterOptions{})
	if err := f.Observe("x", tpp.Event{Time: 10, Mark: 1}); err != nil {
		t.Fatal(err)
	}
	all, err := f.ForecastAll(t.Context(), 20, 500, ForecastOptions{Paths: 100, Seed: 4})
	if err != nil {
		t.Fatal(err)
	}
	one, err := f.Forecast(t.Context(), "x", 20, 500, ForecastOptions{Paths: 100, Seed: traceSeed(4, 1)})
	if err != nil || !reflect.DeepEqual(one, all) {
		t.Errorf("alone %+v (error %v), all together %+v", one, err, all)
	}
}

// TestForecasterIsSafe has readers and writers at it at once, for the race detector, and then counts.
func TestForecasterIsSafe(t *testing.T) {
	f := newForecaster(t, modeltest.Random(t, modeltest.Variants[1], 1), ForecasterOptions{MaxTraces: 4096, MaxIdle: 1e9})
	const writers, keys, events = 4, 20, 10
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for j := range events {
				for k := range keys {
					if err := f.Observe(fmt.Sprint(w, k), tpp.Event{Time: float64(10 * j), Mark: j % 3}); err != nil {
						t.Error(err)
					}
				}
			}
		})
		wg.Go(func() {
			for j := range events {
				key := fmt.Sprint((w+1)%writers, j)
				f.Next(key, 1e3, func(n *tpp.Next) { n.Within(10) })
				if _, err := f.Forecast(t.Context(), key, 1e3, 10, ForecastOptions{}); err != nil && !errors.Is(err, ErrNoTrace) {
					t.Error(err)
				}
				if _, err := f.ForecastAll(t.Context(), 1e3, 10, ForecastOptions{Paths: 2}); err != nil {
					t.Error(err)
				}
				f.Expire(0)
				f.Stats()
			}
		})
	}
	wg.Wait()
	if s := f.Stats(); s.Traces != writers*keys || s.Events != writers*keys*events {
		t.Errorf("got %+v", s)
	}
}

func TestForecasterOptions(t *testing.T) {
	for _, c := range []struct {
		opts   ForecasterOptions
		reason string
	}{
		{ForecasterOptions{MaxTraces: -1}, "forecaster: room for -1 traces"},
		{ForecasterOptions{EndProbability: 1.5}, "the end probability is 1.5"},
		{ForecasterOptions{IdleSurvival: math.NaN()}, "the idle survival is NaN"},
		{ForecasterOptions{MaxIdle: -1}, "the longest silence is -1"},
	} {
		if _, err := NewForecaster[int](poisson{rate: 1}, c.opts); err == nil || !strings.Contains(err.Error(), c.reason) {
			t.Errorf("got error %v, want one that says %q", err, c.reason)
		}
	}
}

func ExampleForecaster() {
	type request struct{ id uint64 } // any comparable type will do for a key
	model := poisson{rate: 0.01, share: 0.5, end: 0.3}
	f, err := NewForecaster[request](model, ForecasterOptions{EndProbability: 0.99})
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := f.Observe(request{17}, tpp.Event{Time: 0, Mark: 0}); err != nil {
		fmt.Println(err)
		return
	}
	f.Next(request{17}, 50, func(next *tpp.Next) {
		fmt.Printf("no event for 50 ms: over with probability %.2f\n", next.End)
	})
	fmt.Println("after 300 ms", f.Expire(300), "over; after 600 ms", f.Expire(600), "over")
	// Output:
	// no event for 50 ms: over with probability 0.41
	// after 300 ms 0 over; after 600 ms 1 over
}
