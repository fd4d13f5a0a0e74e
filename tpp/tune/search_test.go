package tune

import (
	"context"
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"go.uber.org/goleak"
	"pgregory.net/rapid"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var space = Space{
	{Name: "rate", Low: 1e-3, High: 1, Log: true},
	{Name: "size", Low: 1, High: 9, Integer: true},
	{Name: "kind", Choices: []string{"a", "b", "c"}},
}

// valley is a loss that is least at a rate of 0.1, the more clearly the larger the budget.
func valley(_ context.Context, r Run) (float64, error) {
	rate, err := strconv.ParseFloat(r.Values["rate"], 64)
	if err != nil {
		return 0, err
	}
	loss := math.Abs(math.Log(rate/0.1)) + 1/float64(r.Budget)
	if r.Values["kind"] == "c" {
		return math.NaN(), nil // fails
	}
	return loss, nil
}

// TestSearchHalves checks which trials go on: of each rung the best, and that the last one has the best of all.
func TestSearchHalves(t *testing.T) {
	var rungs [][]Result
	found, err := Search(t.Context(), space, Options{Trials: 27, MaxBudget: 90, Seed: 4, Rung: func(_ int, r []Result) { rungs = append(rungs, r) }}, valley)
	if err != nil {
		t.Fatal(err)
	}
	var sizes, budgets []int
	for i, r := range rungs {
		sizes, budgets = append(sizes, len(r)), append(budgets, r[0].Budget)
		if !slices.IsSortedFunc(r, func(a, b Result) int {
			if a.Loss < b.Loss {
				return -1
			}
			if a.Loss > b.Loss {
				return 1
			}
			return 0
		}) {
			t.Errorf("rung %d is not in the order of losses", i)
		}
		if i > 0 {
			for _, one := range r {
				at := slices.IndexFunc(rungs[i-1], func(b Result) bool { return b.Trial == one.Trial })
				if at < 0 || at >= len(r) || one.Rung != i || !reflect.DeepEqual(rungs[i-1][at].Values, one.Values) {
					t.Errorf("rung %d has trial %d, which was number %d of the rung before", i, one.Trial, at)
				}
			}
		}
	}
	if !slices.Equal(sizes, []int{27, 9, 3, 1}) || !slices.Equal(budgets, []int{3, 10, 30, 90}) {
		t.Errorf("rungs of %v trials with the budgets %v", sizes, budgets)
	}
	if found.Best.Trial != rungs[0][0].Trial || found.Runs != 40 || found.Recalled != 0 {
		t.Errorf("found %+v, the best of the first rung is %+v", found, rungs[0][0])
	}
	// Of 27 rates in three decades one is close to the best.
	if rate, _ := strconv.ParseFloat(found.Best.Values["rate"], 64); rate < 0.05 || rate > 0.2 {
		t.Errorf("the best rate is %v", rate)
	}
}

// TestSearchIsRepeatable checks that the number of workers and an interruption anywhere do not change what is found.
func TestSearchIsRepeatable(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		opts := Options{
			Trials: rapid.IntRange(1, 12).Draw(rt, "trials"), Factor: rapid.IntRange(2, 4).Draw(rt, "factor"),
			MaxBudget: rapid.IntRange(1, 50).Draw(rt, "budget"), Seed: rapid.Uint64().Draw(rt, "seed"), Workers: 1,
			First: map[string]string{"kind": "a"},
		}
		want, err := Search(t.Context(), space, opts, valley)
		if err != nil {
			rt.Fatal(err)
		}
		stopAt := rapid.IntRange(0, want.Runs-1).Draw(rt, "stop after")
		type key struct{ trial, rung int }
		known := map[key]float64{}
		opts.Workers = rapid.IntRange(1, 5).Draw(rt, "workers")
		opts.Recall = func(r Run) (float64, bool) { loss, ok := known[key{r.Trial, r.Rung}]; return loss, ok }
		stopped := errors.New("stopped")
		opts.Done = func(r Result) error {
			if len(known) == stopAt {
				return stopped
			}
			known[key{r.Trial, r.Rung}] = r.Loss
			return nil
		}
		if _, err := Search(t.Context(), space, opts, valley); !errors.Is(err, stopped) {
			rt.Fatalf("error %v", err)
		}
		kept := len(known)
		opts.Done = nil
		got, err := Search(t.Context(), space, opts, valley)
		if err != nil {
			rt.Fatal(err)
		}
		if !reflect.DeepEqual(got.Best, want.Best) || got.Recalled != kept || got.Runs+got.Recalled != want.Runs {
			rt.Errorf("found %+v, without interruption %+v; %d runs were kept", got, want, kept)
		}
	})
}

// TestSearchBreaksTies checks that of equal losses the trial with the lower number is better, whatever the rung before said.
func TestSearchBreaksTies(t *testing.T) {
	found, err := Search(t.Context(), space, Options{Trials: 6, Factor: 3}, func(_ context.Context, r Run) (float64, error) {
		if r.Rung == 0 {
			return -float64(r.Trial), nil
		}
		return 1, nil
	})
	if err != nil || found.Best.Trial != 4 { // 5 and 4 go on
		t.Errorf("found %+v, error %v", found, err)
	}
}

// TestSearchSharesWorkers checks that all workers are used where there are fewer runs, and no more are.
func TestSearchSharesWorkers(t *testing.T) {
	var most, now atomic.Int64
	_, err := Search(t.Context(), space, Options{Trials: 9, Workers: 7, MaxBudget: 9}, func(ctx context.Context, r Run) (float64, error) {
		used := now.Add(int64(r.Workers))
		defer now.Add(int64(-r.Workers))
		for {
			m := most.Load()
			if used <= m || most.CompareAndSwap(m, used) {
				break
			}
		}
		if r.Rung == 2 && r.Workers != 7 {
			return 0, fmt.Errorf("%d workers for the only run", r.Workers)
		}
		return float64(r.Trial), nil
	})
	if err != nil || most.Load() > 7 {
		t.Errorf("%d workers at a time, error %v", most.Load(), err)
	}
}

// TestSearchStops checks errors of runs and of options, and a context that is done.
func TestSearchStops(t *testing.T) {
	done, cancel := context.WithCancel(t.Context())
	cancel()
	failing := func(_ context.Context, r Run) (float64, error) {
		if r.Trial == 2 {
			return 0, errors.New("no disk")
		}
		return 1, nil
	}
	for want, err := range map[string]error{
		"trial 2: no disk":         second(Search(t.Context(), space, Options{Workers: 3}, failing)),
		"context canceled":         second(Search(done, space, Options{}, valley)),
		"every run failed":         second(Search(t.Context(), Space{{Name: "kind", Choices: []string{"c"}}, {Name: "rate", Low: 1, High: 1}}, Options{}, valley)),
		"nothing to run":           second(Search(t.Context(), space, Options{}, nil)),
		"-1 trials":                second(Search(t.Context(), space, Options{Trials: -1}, valley)),
		"a factor of 1":            second(Search(t.Context(), space, Options{Factor: 1}, valley)),
		"a budget of -1":           second(Search(t.Context(), space, Options{MaxBudget: -1}, valley)),
		"-2 workers":               second(Search(t.Context(), space, Options{Workers: -2}, valley)),
		"x stands twice":           second(Search(t.Context(), Space{{Name: "x"}, {Name: "x"}}, Options{}, valley)),
		"x: from 2 to 1":           second(Search(t.Context(), Space{{Name: "x", Low: 2, High: 1}}, Options{}, valley)),
		"it must begin above 0":    second(Search(t.Context(), Space{{Name: "x", High: 1, Log: true}}, Options{}, valley)),
		"bounds of whole numbers":  second(Search(t.Context(), Space{{Name: "x", High: 1.5, Integer: true}}, Options{}, valley)),
		"both choices and bounds":  second(Search(t.Context(), Space{{Name: "x", High: 1.5, Choices: []string{"a"}}}, Options{}, valley)),
		"a parameter has no name":  second(Search(t.Context(), Space{{}}, Options{}, valley)),
		"x: from NaN to 0 is no r": second(Search(t.Context(), Space{{Name: "x", Low: math.NaN()}}, Options{}, valley)),
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
}

func second[T any](_ T, err error) error { return err }

// TestDraw checks that values lie in their ranges, that all of them occur, and that ranges that are logarithmic have as much below their geometric mean as
// above.
func TestDraw(t *testing.T) {
	below, sizes, kinds := 0, map[string]int{}, map[string]int{}
	const n = 3000
	for trial := range n {
		v := space.Draw(1, trial)
		rate, err := strconv.ParseFloat(v["rate"], 64)
		if err != nil || rate < 1e-3 || rate > 1 {
			t.Fatalf("a rate of %s", v["rate"])
		}
		if rate < math.Sqrt(1e-3) {
			below++
		}
		sizes[v["size"]]++
		kinds[v["kind"]]++
	}
	if below < n*45/100 || below > n*55/100 || len(sizes) != 9 || len(kinds) != 3 || kinds["b"] < n/4 || sizes["1"] < n/14 || sizes["9"] < n/14 {
		t.Errorf("%d of %d rates are in the lower half; sizes %v, kinds %v", below, n, sizes, kinds)
	}
	if reflect.DeepEqual(space.Draw(1, 0), space.Draw(2, 0)) || !reflect.DeepEqual(space.Draw(1, 5), space.Draw(1, 5)) {
		t.Error("seeds do not tell draws apart")
	}
}

// FuzzParseParameter checks that what is read is valid and is read again from what it prints.
func FuzzParseParameter(f *testing.F) {
	for _, text := range []string{"rate=0.001..0.1", "kind=a,b", "x=-1..1", "x=1..", "=", "x=,", "x=NaN..1", "x=a..b,c"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		p, err := ParseParameter(text)
		if err != nil {
			return
		}
		if err := (Space{p}).Validate(); err != nil {
			t.Fatalf("%q is read as %+v: %v", text, p, err)
		}
		again, err := ParseParameter(p.String())
		if err != nil || !reflect.DeepEqual(again, p) {
			t.Errorf("%q is read as %+v, and %q as %+v (error %v)", text, p, p.String(), again, err)
		}
		Space{p}.Draw(1, 1)
	})
}

// TestParseParameter checks what is read, and what is refused.
func TestParseParameter(t *testing.T) {
	for text, want := range map[string]Parameter{
		"rate=0.001..0.1": {Name: "rate", Low: 0.001, High: 0.1, Log: true},
		"x=0..1":          {Name: "x", High: 1},
		"kind=a,b":        {Name: "kind", Choices: []string{"a", "b"}},
	} {
		if got, err := ParseParameter(text); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s is %+v, error %v", text, got, err)
		}
	}
	for text, want := range map[string]string{
		"rate": "is not NAME=", "=1": "is not NAME=", "x=": "is not NAME=", "x=a..b": "no range of numbers", "x=3..1": "from 3 to 1", "x=a,,b": "an empty value",
	} {
		if _, err := ParseParameter(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want %q", text, err, want)
		}
	}
}
