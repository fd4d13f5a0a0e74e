package apps

import (
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// TestInvokeAsJSON checks that what is written as JSON is read again.
func TestInvokeAsJSON(t *testing.T) {
	for _, v := range []Invoke{
		{Function: "f1"},
		{Choice: []Option{{"f1", 0.75}, {"", 0.25}}},
		{Function: "f1", Loop: Loop{0.4, 3}},
		{Function: "f1", Loop: Loop{0, 1}},
	} {
		text, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		var got Invoke
		if err := json.Unmarshal(text, &got); err != nil || fmt.Sprint(got) != fmt.Sprint(v) || got.Loop != v.Loop {
			t.Errorf("%+v becomes %s, and that %+v, %v", v, text, got, err)
		}
	}
	for _, text := range []string{`1`, `[]`, `{}`, `{"choice":{"a":1},"loop":{"a":1,"max":1}}`, `{"loop":{"a":1,"b":1,"max":2}}`, `{"loop":{"max":2}}`, `{"loop":{"a":1,"max":1.5}}`, `{"branch":{"a":1}}`, `{"choice":{"a":"1"}}`} {
		if err := json.Unmarshal([]byte(text), &Invoke{}); err == nil {
			t.Errorf("%s was taken", text)
		}
	}
}

// TestValidateBranches checks branches that are built in code.
func TestValidateBranches(t *testing.T) {
	for _, c := range []struct {
		invoke Invoke
		want   string // in the error; "" for none
	}{
		{Invoke{Choice: []Option{{"f1", 0.5}, {"", 0.5}}}, ""},
		{Invoke{Function: "f1", Loop: Loop{1, 1}}, ""},
		{Invoke{Function: "f1", Loop: Loop{0.5, 0}}, "must have a max between 1 and 10000, not 0"},
		{Invoke{Function: "f1", Loop: Loop{math.NaN(), 2}}, "must be between 0 and 1, not NaN"},
		{Invoke{Function: "f1", Choice: []Option{{"f1", 1}}}, "a choice, or a function, not both"},
		{Invoke{Choice: []Option{}}, "must add up to 1, not 0"},
		{Invoke{Choice: []Option{{"f1", math.NaN()}}}, "must be above 0 and at most 1, not NaN"},
		{Invoke{}, `main invokes "", which is no function`},
	} {
		app := Application{"x", []Function{{Name: Main, Invokes: []Invoke{c.invoke, {Function: "f1"}}}, {Name: "f1", Gamma: Gamma{1, 1}}}}
		if err := app.Validate(); (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v, want %q", c.invoke, err, c.want)
		}
	}
	app := Application{"x", []Function{{Name: Main, Invokes: []Invoke{{Function: "max", Loop: Loop{0.5, 2}}}}, {Name: "max", Gamma: Gamma{1, 1}}}}
	if err := app.Validate(); err == nil || !strings.Contains(err.Error(), "a function called max cannot be repeated") {
		t.Errorf("a loop of max: %v", err)
	}
}

// follow checks that the calls below call i are what the graph allows, and returns how often each function runs.
func follow(t *rapid.T, app *Application, calls []Call, i int, runs map[string]int) {
	f := app.Functions[calls[i].Function]
	runs[f.Name]++
	rest := calls[i].Invokes
	take := func() string {
		name := app.Functions[calls[rest[0]].Function].Name
		rest = rest[1:]
		return name
	}
	for _, v := range f.Invokes {
		switch {
		case v.Choice != nil:
			if len(rest) == 0 || !slices.Contains(v.Functions(), app.Functions[calls[rest[0]].Function].Name) {
				if !slices.Contains(v.Choice, Option{"", 1 - v.Choice[0].Probability}) {
					t.Fatalf("%s: nothing of %v", f.Name, v)
				}
				continue
			}
			follow(t, app, calls, calls[i].Invokes[len(calls[i].Invokes)-len(rest)], runs)
			take()
		default:
			if len(rest) == 0 {
				t.Fatalf("%s: %v is not invoked", f.Name, v)
			}
			at := rest[0]
			if got := take(); got != v.Function {
				t.Fatalf("%s: %s in place of %v", f.Name, got, v)
			}
			for k := 1; ; k++ {
				below := calls[at].Invokes
				if k >= v.Loop.Max || len(below) != 1 || calls[below[0]].Function != calls[at].Function {
					break
				}
				runs[v.Function]++
				at = below[0]
			}
			follow(t, app, calls, at, runs)
		}
	}
	if len(rest) != 0 {
		t.Fatalf("%s invokes %d functions more than the graph", f.Name, len(rest))
	}
}

// TestDrawnCallsFollowTheGraph checks that each request takes one way through the branches, with all functions of the way and no others, and
// that callers stand before those they call.
func TestDrawnCallsFollowTheGraph(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		app := drawApplication(t)
		d, err := NewDrawer(app, Variation{RandomDurations: rapid.Bool().Draw(t, "random")}, rapid.Uint64().Draw(t, "number"))
		if err != nil {
			t.Fatal(err)
		}
		for range 5 {
			calls, _, _ := d.Next()
			runs := map[string]int{}
			follow(t, app, calls, 0, runs)
			total := 0
			for _, n := range runs {
				total += n
			}
			if total != len(calls) || len(calls) > app.Invocations() {
				t.Fatalf("%d calls, of which %d are reached from main; at most %d are possible", len(calls), total, app.Invocations())
			}
			for i, c := range calls {
				for _, j := range c.Invokes {
					if j <= i {
						t.Fatalf("call %d invokes call %d", i, j)
					}
				}
			}
		}
	})
}

// TestBranchFrequencies checks how often the functions of checkout run against the probabilities of its graph, within six standard
// deviations.
func TestBranchFrequencies(t *testing.T) {
	app, err := Load("checkout")
	if err != nil {
		t.Fatal(err)
	}
	d, err := NewDrawer(app, Variation{}, 7)
	if err != nil {
		t.Fatal(err)
	}
	const n = 20000
	runs, banks := map[string]int{}, make([]int, 4)
	for range n {
		calls, _, _ := d.Next()
		bank := 0
		for _, c := range calls {
			name := app.Functions[c.Function].Name
			runs[name]++
			if name == "bank" {
				bank++
			}
		}
		banks[bank]++
	}
	check := func(what string, got int, p float64) {
		t.Helper()
		if math.Abs(float64(got)-n*p) > 6*math.Sqrt(n*p*(1-p)) {
			t.Errorf("%s: %d of %d, want %.0f", what, got, n, n*p)
		}
	}
	for name, p := range map[string]float64{"pay": 0.7, "backorder": 0.25, "receipt": 0.63, "ship": 0.63, "notify": 0.25 + 0.07} {
		check(name, runs[name], p)
	}
	for k, p := range []float64{0.3, 0.7 * 0.7, 0.7 * 0.3 * 0.7, 0.7 * 0.3 * 0.3} {
		check(fmt.Sprintf("%d runs of bank", k), banks[k], p)
	}
	for _, name := range []string{Main, "cart", "price", "stock"} {
		if runs[name] != n {
			t.Errorf("%s runs %d times in %d requests", name, runs[name], n)
		}
	}
}

// TestBranchesAreAStreamOfTheirOwn checks that random durations and anomalies do not change the branches, and that the same number draws
// the same requests.
func TestBranchesAreAStreamOfTheirOwn(t *testing.T) {
	app, err := Load("checkout")
	if err != nil {
		t.Fatal(err)
	}
	draw := func(v Variation) (texts []string) {
		d, err := NewDrawer(app, v, 3)
		if err != nil {
			t.Fatal(err)
		}
		for range 100 {
			calls, _, _ := d.Next()
			texts = append(texts, text(app, calls, 0))
		}
		return texts
	}
	want := draw(Variation{})
	for _, v := range []Variation{{}, {RandomDurations: true}, {Anomalies: 2, RandomDurations: true}} {
		if got := draw(v); !reflect.DeepEqual(got, want) {
			t.Errorf("%+v: other branches", v)
		}
	}
	if all := slices.Compact(slices.Sorted(slices.Values(want))); len(all) < 5 {
		t.Errorf("all requests are among %q", all)
	}
}

// TestMissingFunctionsOfBranches checks that what a missing function would have invoked is invoked in its place, in a loop too.
func TestMissingFunctionsOfBranches(t *testing.T) {
	app, err := Load("checkout")
	if err != nil {
		t.Fatal(err)
	}
	d, err := NewDrawer(app, Variation{}, 1)
	if err != nil {
		t.Fatal(err)
	}
	seen := false
	for range 200 {
		calls, _, _ := d.Next()
		if strings.Contains(text(app, calls, 0), "pay(bank(bank(receipt(ship()))))") {
			seen = true
			if got := text(app, d.prune(calls, []int{app.Index("bank")}), 0); !strings.Contains(got, "pay(receipt(ship()))") {
				t.Errorf("without bank: %s", got)
			}
		}
	}
	if !seen {
		t.Error("no request in which bank runs twice")
	}
}
