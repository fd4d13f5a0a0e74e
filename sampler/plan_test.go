package sampler

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/tppfaas/tppfaas/apps"
)

func load(t testing.TB, name string) *apps.Application {
	t.Helper()
	app, err := apps.Load(name)
	if err != nil {
		t.Fatal(err)
	}
	return app
}

// plan draws all requests.
func plan(t interface {
	Helper()
	Fatal(...any)
}, app *apps.Application, config Config) []Request {
	t.Helper()
	p, err := NewPlanner(app, config)
	if err != nil {
		t.Fatal(err)
	}
	var all []Request
	for {
		r, ok := p.Next()
		if !ok {
			return all
		}
		all = append(all, r)
	}
}

var anyApplication = rapid.Map(rapid.SampledFrom(apps.Embedded()), func(name string) *apps.Application {
	app, err := apps.Load(name)
	if err != nil {
		panic(err)
	}
	return app
})

func drawConfig(t *rapid.T, app *apps.Application) Config {
	most := time.Duration(rapid.Int64Range(0, int64(time.Minute)).Draw(t, "u"))
	c := Config{
		Requests:        rapid.IntRange(1, 60).Draw(t, "n"),
		MaxInterval:     most,
		MinInterval:     time.Duration(rapid.Int64Range(0, int64(most)).Draw(t, "l")),
		RandomDurations: rapid.Bool().Draw(t, "r"),
		Seed:            rapid.Uint64().Draw(t, "seed"),
	}
	if rapid.Bool().Draw(t, "batches") {
		c.BatchSize = rapid.IntRange(1, 20).Draw(t, "b")
		c.BatchPause = time.Duration(rapid.Int64Range(1, int64(time.Hour)).Draw(t, "w"))
	}
	c.Anomalies = rapid.IntRange(0, len(app.Functions)-1).Draw(t, "e")
	c.Missing = rapid.IntRange(0, len(app.Functions)-1-c.Anomalies).Draw(t, "m")
	return c
}

// tree formats the calls below call i as f1(f2 f3()), to compare.
func tree(app *apps.Application, calls []apps.Call, i int) string {
	var below []string
	for _, j := range calls[i].Invokes {
		below = append(below, tree(app, calls, j))
	}
	return app.Functions[calls[i].Function].Name + "(" + strings.Join(below, " ") + ")"
}

// graph formats the same from the graph itself: a missing function is replaced by what it invokes.
func graph(app *apps.Application, function int, missing []int) string {
	var below []string
	for _, s := range app.Functions[function].Successors() {
		below = append(below, graph(app, app.Index(s), missing))
	}
	inside := strings.TrimSpace(strings.Join(slices.DeleteFunc(below, func(s string) bool { return s == "" }), " "))
	if slices.Contains(missing, function) {
		return inside
	}
	return app.Functions[function].Name + "(" + inside + ")"
}

func TestPlan(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		app := anyApplication.Draw(t, "application")
		config := drawConfig(t, app)
		requests := plan(t, app, config)
		if len(requests) != config.Requests {
			t.Fatalf("%d requests, want %d", len(requests), config.Requests)
		}
		var before time.Duration
		for i, r := range requests {
			if r.Index != i {
				t.Fatalf("request %d has the index %d", i, r.Index)
			}
			gap := r.Time - before
			before = r.Time
			if i == 0 {
				if gap != 0 {
					t.Fatalf("the first request comes after %v", gap)
				}
			} else {
				if config.BatchSize > 0 && i%config.BatchSize == 0 {
					gap -= config.BatchPause
				}
				if gap < config.MinInterval || gap > config.MaxInterval {
					t.Fatalf("request %d comes %v after the one before, not within [%v, %v]", i, gap, config.MinInterval, config.MaxInterval)
				}
			}

			hit := append(slices.Clone(r.Anomalies), r.Missing...)
			if len(r.Anomalies) != config.Anomalies || len(r.Missing) != config.Missing {
				t.Fatalf("%d anomalies and %d missing, want %d and %d", len(r.Anomalies), len(r.Missing), config.Anomalies, config.Missing)
			}
			if slices.Contains(hit, app.Index(apps.Main)) {
				t.Fatal("main was hit")
			}
			slices.Sort(hit)
			if len(slices.Compact(hit)) != config.Anomalies+config.Missing {
				t.Fatalf("a function was hit twice: anomalies %v, missing %v", r.Anomalies, r.Missing)
			}

			// What is drawn of choices and loops is checked in package apps.
			if got, want := tree(app, r.Calls, 0), graph(app, app.Index(apps.Main), r.Missing); got != want && app.Name != "checkout" {
				t.Fatalf("without %v:\n got %s\nwant %s", r.Missing, got, want)
			}
			for j, c := range r.Calls {
				f := app.Functions[c.Function]
				switch {
				case slices.Contains(r.Anomalies, c.Function):
					if c.Sleep != apps.LongAnomaly && c.Sleep != apps.ShortAnomaly {
						t.Fatalf("the anomaly of %s sleeps %v", f.Name, c.Sleep)
					}
				case f.Name == apps.Main || !config.RandomDurations:
					if c.Sleep != f.Duration {
						t.Fatalf("%s sleeps %v, want %v", f.Name, c.Sleep, f.Duration)
					}
				case c.Sleep < 0:
					t.Fatalf("%s sleeps %v", f.Name, c.Sleep)
				}
				for _, k := range c.Invokes {
					if k <= j {
						t.Fatalf("call %d makes call %d", j, k)
					}
				}
			}
		}
	})
}

// TestStreamsAreSeparate checks that a longer sampling begins like a shorter one, and that varying one thing leaves the others unchanged.
func TestStreamsAreSeparate(t *testing.T) {
	app := load(t, "tree_large")
	base := Config{Requests: 50, MinInterval: time.Second, MaxInterval: 3 * time.Second, Seed: 5}
	plain := plan(t, app, base)
	longer := base
	longer.Requests = 80
	if got := plan(t, app, longer)[:50]; fmt.Sprint(got) != fmt.Sprint(plain) {
		t.Error("the first 50 of 80 requests are not the 50")
	}

	varied := base
	varied.Anomalies, varied.RandomDurations = 3, true
	anomalous := plan(t, app, varied)
	varied.Missing = 4
	both := plan(t, app, varied)
	varied.Anomalies, varied.Missing = 0, 0
	random := plan(t, app, varied)
	for i := range plain {
		if anomalous[i].Time != plain[i].Time || both[i].Time != plain[i].Time || random[i].Time != plain[i].Time {
			t.Fatalf("request %d is sent at another time because something else is varied", i)
		}
		if !slices.Equal(anomalous[i].Anomalies, both[i].Anomalies) {
			t.Fatalf("request %d: missing functions move the anomalies from %v to %v", i, anomalous[i].Anomalies, both[i].Anomalies)
		}
		sleeps := map[int]time.Duration{}
		for _, c := range random[i].Calls {
			sleeps[c.Function] = c.Sleep
		}
		for _, c := range both[i].Calls {
			if !slices.Contains(both[i].Anomalies, c.Function) && c.Sleep != sleeps[c.Function] {
				t.Fatalf("request %d: function %d sleeps %v instead of %v because others were hit", i, c.Function, c.Sleep, sleeps[c.Function])
			}
		}
	}

	other := base
	other.Seed = 6
	if fmt.Sprint(plan(t, app, other)) == fmt.Sprint(plain) {
		t.Error("another seed gives the same requests")
	}
}

// within fails the test unless a mean of n draws is within five standard errors of the expected one.
func within(t *testing.T, what string, mean, want, deviation float64, n int) {
	t.Helper()
	if allowed := 5 * deviation / math.Sqrt(float64(n)); math.Abs(mean-want) > allowed {
		t.Errorf("%s: mean of %d draws is %v, want %v ± %v", what, n, mean, want, allowed)
	}
}

func TestDistributionOfIntervals(t *testing.T) {
	const n = 20000
	requests := plan(t, load(t, "sequence"), Config{Requests: n + 1, MinInterval: 2 * time.Second, MaxInterval: 6 * time.Second, Seed: 3})
	var sum, squares float64
	for i := range n {
		x := (requests[i+1].Time - requests[i].Time).Seconds()
		sum += x
		squares += (x - 4) * (x - 4)
	}
	variance := 4. * 4 / 12 // of the uniform distribution: width²/12
	within(t, "interval", sum/n, 4, math.Sqrt(variance), n)
	// Var (X − μ)² = μ₄ − σ⁴ with μ₄ = width⁴/80.
	within(t, "squared deviation of the interval", squares/n, variance, math.Sqrt(256./80-variance*variance), n)
}

func TestDistributionOfDurations(t *testing.T) {
	const n = 4000
	app := load(t, "tree_large")
	sums, squares := make([]float64, len(app.Functions)), make([]float64, len(app.Functions))
	for _, r := range plan(t, app, Config{Requests: n, RandomDurations: true, Seed: 2}) {
		for _, c := range r.Calls {
			x := float64(c.Sleep) / float64(time.Millisecond)
			sums[c.Function] += x
			squares[c.Function] += x * x
		}
	}
	for i, f := range app.Functions {
		if f.Name == apps.Main {
			continue
		}
		mean, variance := f.Gamma.Mean(), f.Gamma.Shape/(f.Gamma.Rate*f.Gamma.Rate)
		within(t, f.Name+" sleeps", sums[i]/n, mean, math.Sqrt(variance), n)
		// The second moment, whose own variance is E X⁴ − (E X²)²; E Xᵏ = α(α+1)…(α+k−1)/βᵏ.
		a, b := f.Gamma.Shape, f.Gamma.Rate
		second, fourth := a*(a+1)/(b*b), a*(a+1)*(a+2)*(a+3)/(b*b*b*b)
		within(t, f.Name+" squared", squares[i]/n, second, math.Sqrt(fourth-second*second), n)
	}
}

func TestDistributionOfHits(t *testing.T) {
	const n = 8000
	app := load(t, "tree_small")
	long, anomalies, missing := 0, make([]int, len(app.Functions)), make([]int, len(app.Functions))
	for _, r := range plan(t, app, Config{Requests: n, Anomalies: 2, Missing: 3, Seed: 4}) {
		for _, f := range r.Anomalies {
			anomalies[f]++
		}
		for _, f := range r.Missing {
			missing[f]++
		}
		for _, c := range r.Calls {
			if slices.Contains(r.Anomalies, c.Function) && c.Sleep == apps.LongAnomaly {
				long++
			}
		}
	}
	within(t, "long anomalies", float64(long)/(2*n), 0.5, 0.5, 2*n)
	for i, f := range app.Functions {
		if f.Name == apps.Main {
			continue
		}
		within(t, f.Name+" anomalous", float64(anomalies[i])/n, 2./9, math.Sqrt(2./9*7/9), n)
		within(t, f.Name+" missing", float64(missing[i])/n, 3./9, math.Sqrt(3./9*6/9), n)
	}
}

// TestHugeSleepsAreBounded checks that no gamma distribution that an application may have leads to a sleep that overflows.
func TestHugeSleepsAreBounded(t *testing.T) {
	app := &apps.Application{Name: "x", Functions: []apps.Function{
		{Name: apps.Main, Invokes: apps.Always("f")},
		{Name: "f", Gamma: apps.Gamma{Shape: 1e-6, Rate: 1.25e-14}},
	}}
	for _, r := range plan(t, app, Config{Requests: 100_000, RandomDurations: true}) {
		if s := r.Calls[1].Sleep; s < 0 || s > apps.MaxDuration {
			t.Fatalf("a sleep of %v", s)
		}
	}
}

func TestValidate(t *testing.T) {
	app := load(t, "tree_small")
	good := Config{Requests: 10, MinInterval: time.Second, MaxInterval: 2 * time.Second, BatchSize: 3, BatchPause: time.Second, Anomalies: 4, Missing: 5}
	if err := good.Validate(app); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		change func(*Config)
		field  string
	}{
		{func(c *Config) { c.Requests = 0 }, "Requests"},
		{func(c *Config) { c.Requests = math.MaxInt }, "Requests"},
		{func(c *Config) { c.MinInterval = -1 }, "MinInterval"},
		{func(c *Config) { c.MaxInterval = time.Second - 1 }, "MaxInterval"},
		{func(c *Config) { c.MaxInterval = MaxSpan }, "Requests"},
		{func(c *Config) { c.BatchSize = 0 }, "BatchSize"},
		{func(c *Config) { c.BatchSize = -1 }, "BatchSize"},
		{func(c *Config) { c.BatchPause = 0 }, "BatchPause"},
		{func(c *Config) { c.BatchPause = -1 }, "BatchPause"},
		{func(c *Config) { c.BatchPause = MaxSpan }, "Requests"},
		{func(c *Config) { c.Anomalies = -1 }, "Anomalies"},
		{func(c *Config) { c.Missing = -1 }, "Missing"},
		{func(c *Config) { c.Missing = 6 }, "Anomalies"},
		{func(c *Config) { c.Anomalies, c.Missing = math.MaxInt, math.MaxInt }, "Anomalies"},
	} {
		config := good
		c.change(&config)
		var wrong *ConfigError
		if err := config.Validate(app); !errors.As(err, &wrong) || wrong.Field != c.field {
			t.Errorf("%+v: err = %v, want a ConfigError about %s", config, err, c.field)
		}
		if _, err := NewPlanner(app, config); !errors.As(err, &wrong) {
			t.Errorf("NewPlanner takes %+v", config)
		}
	}
}

func BenchmarkPlan(b *testing.B) {
	p, err := NewPlanner(load(b, "tree_large"), Config{Requests: math.MaxInt, Anomalies: 2, Missing: 2, RandomDurations: true})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		p.Next()
	}
}
