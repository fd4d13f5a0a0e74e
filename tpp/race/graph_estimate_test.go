package race

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/tppfaas/tppfaas/tpp"
	"github.com/tppfaas/tppfaas/tpp/dataset"
	"pgregory.net/rapid"
)

func TestEstimateGraphFindsTheProcess(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := drawProcess(t, false)
		p.waits = true
		d, want := p.dataset(600), p.graph()
		if len(want.Slots) < 2 {
			return
		}
		for i := range d.Sequences {
			d.Sequences[i].Parents = nil
		}
		got, report, err := EstimateGraph(d)
		if err != nil {
			t.Fatal(err)
		}
		if err := got.Validate(d.NumMarks()); err != nil {
			t.Fatal(err)
		}
		for m := range want.Slots {
			if fmt.Sprint(marksBelow(got, m)) != fmt.Sprint(marksBelow(want, m)) {
				t.Errorf("mark %d: slots %v, want %v; %+v", m, got.Slots[m], want.Slots[m], report.Marks)
			}
			// Some that are exclusive may seem to be together by a wrong parent.
			truth := excluded(want, m)
			for _, pair := range excluded(got, m) {
				if !slices.Contains(truth, pair) {
					t.Errorf("mark %d: %v are exclusive, slots %v, want %v", m, pair, got.Slots[m], want.Slots[m])
				}
			}
		}
	})
}

// wrongParents compares the parents that were found for each mark with those of a graph, and returns what is wrong as CHILD: PARENT for
// TRUE PARENT. Wrong parents of which the report does not say that they are ambiguous are errors.
func wrongParents(t *testing.T, want *Graph, report GraphReport, names []string) []string {
	t.Helper()
	parents := make([][]int, len(names))
	for p := range want.Slots {
		for _, m := range marksBelow(want, p) {
			if !slices.Contains(parents[m], p) {
				parents[m] = append(parents[m], p)
			}
		}
	}
	var wrong []string
	for c, r := range report.Marks {
		got := slices.Sorted(slices.Values(r.Parents))
		if slices.Equal(got, parents[c]) {
			continue
		}
		text := fmt.Sprintf("%s: %v for %v", names[c], got, parents[c])
		wrong = append(wrong, text)
		if len(got) != 1 || len(parents[c]) != 1 || !slices.Contains(r.Ambiguous, parents[c][0]) {
			t.Errorf("%s, and the report does not doubt it: %+v", text, r)
		}
	}
	return wrong
}

// TestEstimateGraphOfSampledData estimates the graphs of datasets of this repository without their parents. At low load, of two functions
// whose calls come at the same time, and which hardly ever waited, either may be the parent of what follows.
func TestEstimateGraphOfSampledData(t *testing.T) {
	mistakes := map[string]int{"low_checkout_rand": 1}
	datasets := sampled(t)
	for _, name := range slices.Sorted(maps.Keys(datasets)) {
		if !strings.HasSuffix(name, "_small_rand") && !strings.Contains(name, "checkout") && name != "high_tree_large_rand" {
			continue // the others are like these
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := datasets[name]
			want, err := GraphFromParents(d)
			if err != nil {
				t.Fatal(err)
			}
			got, report, err := EstimateGraph(d)
			if err != nil {
				t.Fatal(err)
			}
			wrong := wrongParents(t, want, report, d.MarkNames)
			if len(wrong) > mistakes[name] {
				t.Errorf("wrong: %s", strings.Join(wrong, "; "))
			}
			if len(wrong) == 0 && !reflect.DeepEqual(got, want) {
				t.Errorf("the parents are right, but the graph is\n%swant\n%s", show(got, d.MarkNames, ""), show(want, d.MarkNames, ""))
			}
			if !report.Waits || report.Events != d.NumEvents()-len(d.Sequences) || 100*report.Unexplained > report.Events {
				t.Errorf("waits %v, %d events, %d unexplained", report.Waits, report.Events, report.Unexplained)
			}
		})
	}
}

// TestEstimateGraphOfRecordedData estimates the graphs of recordings of a cluster, which do not say what caused what.
func TestEstimateGraphOfRecordedData(t *testing.T) {
	if testing.Short() {
		t.Skip("much work in one goroutine")
	}
	text, err := os.ReadFile("../../../shared/reference/applications.json")
	if os.IsNotExist(err) {
		t.Skip("no ../shared/reference/applications.json beside the repository")
	}
	if err != nil {
		t.Fatal(err)
	}
	var reference struct {
		Applications map[string]map[string]struct {
			Invokes []string `json:"invokes"`
		} `json:"applications"`
	}
	if err := json.Unmarshal(text, &reference); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob("../../../shared/data/*.json.gz")
	if err != nil || len(files) == 0 {
		t.Fatalf("%d files, error %v", len(files), err)
	}
	found := 0
	for _, f := range files {
		name := strings.TrimSuffix(filepath.Base(f), ".json.gz")
		d, err := dataset.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		app := application(name)
		successors := map[string]Successors{}
		for function, of := range reference.Applications[app] {
			var s Successors
			for _, next := range of.Invokes {
				s.Slots = append(s.Slots, []string{app + "-dev-" + next})
			}
			successors[app+"-dev-"+function] = s
		}
		want, err := GraphFromNames(d.MarkNames, successors)
		if err != nil {
			t.Fatal(err)
		}
		got, report, err := EstimateGraph(d)
		if err != nil {
			t.Fatal(err)
		}
		wrong := wrongParents(t, want, report, d.MarkNames)
		if len(wrong) == 0 {
			found++
			if !reflect.DeepEqual(got, want) {
				t.Errorf("%s: the parents are right, but the graph is\n%swant\n%s", name, show(got, d.MarkNames, ""), show(want, d.MarkNames, ""))
			}
			continue
		}
		t.Logf("%s: %s", name, strings.Join(wrong, "; "))
		if !strings.HasPrefix(name, "low_") || len(wrong) > 2 {
			t.Errorf("%s: %s", name, strings.Join(wrong, "; "))
		}
	}
	t.Logf("%d of %d graphs found", found, len(files))
	if 5*found < 4*len(files) {
		t.Errorf("%d of %d graphs found", found, len(files))
	}
}

// chain returns sequences of marks 0, 1, 2, each 100 to 110 after the one before.
func chain(n int) *tpp.Dataset {
	rng := rand.New(rand.NewPCG(1, 1))
	d := &tpp.Dataset{MarkNames: []string{"a", "b", "c"}}
	for range n {
		s := tpp.Sequence{ArrivalTimes: []float64{0}, Marks: []int{0, 1, 2}}
		for i := range 2 {
			s.ArrivalTimes = append(s.ArrivalTimes, s.ArrivalTimes[i]+float64(100+rng.IntN(11)))
		}
		d.Sequences = append(d.Sequences, s)
	}
	return d
}

func TestEstimateGraphWithoutWaits(t *testing.T) {
	got, report, err := EstimateGraph(chain(200))
	if err != nil {
		t.Fatal(err)
	}
	if text := show(got, []string{"a", "b", "c"}, ""); text != "a: b\nb: c\n" || report.Waits {
		t.Errorf("%s%+v", text, report)
	}
}

// TestEstimateGraphOfOtherUnits checks that the graph does not depend on the unit of the times, nor on when a sequence began.
func TestEstimateGraphOfOtherUnits(t *testing.T) {
	want, wantReport, err := EstimateGraph(chain(200))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ unit, start float64 }{{0.001, 0}, {1000, 0}, {1, 1.62e12}, {0.001, 1.62e9}} {
		d := chain(200)
		for _, s := range d.Sequences {
			for i := range s.ArrivalTimes {
				s.ArrivalTimes[i] = c.start + s.ArrivalTimes[i]*c.unit
			}
		}
		got, report, err := EstimateGraph(d)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, want) || !reflect.DeepEqual(report, wantReport) {
			t.Errorf("unit %v from %v: %+v, want %+v", c.unit, c.start, got, want)
		}
	}
}

func TestEstimateGraphRefuses(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	random := &tpp.Dataset{MarkNames: []string{"a", "b", "c", "d"}}
	for range 200 {
		var s tpp.Sequence
		now := 0.
		for range 20 {
			now += rng.ExpFloat64() * 100
			s.ArrivalTimes, s.Marks = append(s.ArrivalTimes, now), append(s.Marks, rng.IntN(4))
		}
		random.Sequences = append(random.Sequences, s)
	}
	for _, c := range []struct {
		name string
		d    *tpp.Dataset
		says string
	}{
		{"nothing", nil, "graph: no dataset"},
		{"no sequences", &tpp.Dataset{}, "graph: no sequence has two events"},
		{"single events", &tpp.Dataset{Sequences: []tpp.Sequence{{ArrivalTimes: []float64{1}}}}, "graph: no sequence has two events"},
		{"an invalid sequence", &tpp.Dataset{Sequences: []tpp.Sequence{{ArrivalTimes: []float64{1, 0}}}}, "graph: sequence 0: "},
		{"too little", chain(2), "graph: it cannot be estimated: of 4 events that need a cause, 4 have none"},
		{"random events", random, "graph: it cannot be estimated: of 3800 events that need a cause, "},
		{"one time", &tpp.Dataset{Sequences: []tpp.Sequence{{ArrivalTimes: []float64{1, 1, 1}}}}, "graph: it cannot be estimated"},
	} {
		g, _, err := EstimateGraph(c.d)
		if g != nil || err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %+v, %v, want it to say %q", c.name, g, err, c.says)
		}
	}
}

// TestEstimatorBoundsWhatItLooksAt checks how many events are taken of many sequences, and of long ones.
func TestEstimatorBoundsWhatItLooksAt(t *testing.T) {
	long := func(n int) (s tpp.Sequence) {
		for i := range n {
			s.ArrivalTimes, s.Marks = append(s.ArrivalTimes, float64(i)), append(s.Marks, i%2)
		}
		return s
	}
	for _, c := range []struct {
		name             string
		d                *tpp.Dataset
		least, sequences int
	}{
		{"all", chain(30), 90, 30},
		{"some of many", chain(1000), 99, 33},
		{"the beginning of a long one", &tpp.Dataset{MarkNames: []string{"a", "b"}, Sequences: []tpp.Sequence{long(1000)}}, 100, 1},
		{"three of four", &tpp.Dataset{MarkNames: []string{"a", "b"}, Sequences: []tpp.Sequence{long(60), long(3), long(60), long(60)}}, 100, 3},
	} {
		e := newEstimator(c.d, 100)
		n := 0
		for _, of := range e.events {
			n += of
		}
		if n < c.least || n > 100 || len(e.sequences) != c.sequences {
			t.Errorf("%s: %d events of %d sequences, want %d to 100 of %d", c.name, n, len(e.sequences), c.least, c.sequences)
		}
	}
}

func TestEstimateGraphOfOneLongSequence(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	d := &tpp.Dataset{MarkNames: []string{"a", "b"}, Sequences: make([]tpp.Sequence, 1)}
	s := &d.Sequences[0]
	now := 0.
	for range 1000 {
		s.ArrivalTimes, s.Marks = append(s.ArrivalTimes, now, now+float64(100+rng.IntN(10))), append(s.Marks, 0, 1)
		now += 110 + rng.ExpFloat64()*2000
	}
	got, report, err := EstimateGraph(d)
	if err != nil {
		t.Fatal(err)
	}
	if text := show(got, d.MarkNames, ""); !strings.HasPrefix(text, "a: b") || report.Marks[1].Unexplained > 0 {
		t.Errorf("%s%+v", text, report)
	}
}

func TestSurpriseOfDelays(t *testing.T) {
	d := delays{values: []float64{5, 5, 5, 5, 5, 5, 9, 9, 9, 9}}
	d.prepare(10)
	var order []float64
	for _, x := range []float64{5, 9, 7, 20, 1000, -1000} {
		order = append(order, d.surprise(x))
	}
	if !slices.IsSortedFunc(order[:5], cmp.Compare[float64]) || order[5] < order[3] || order[0] < 0 {
		t.Errorf("surprises %v", order)
	}
}

// fanOut returns sequences in which mark 0 calls the others after 200 to 400, gap after each other with a jitter, all of which wait long now
// and then but for mark 2; without waits they have none.
func fanOut(numMarks int, gap float64, jitter int, waits bool) *tpp.Dataset {
	rng := rand.New(rand.NewPCG(1, 1))
	d := &tpp.Dataset{}
	for m := range numMarks {
		d.MarkNames = append(d.MarkNames, fmt.Sprint(m))
	}
	for range 500 {
		type call struct{ time, wait, mark float64 }
		calls := []call{{}}
		for m := range numMarks {
			wait := float64(4 + rng.IntN(2))
			if waits && m != 2 && rng.IntN(40) == 0 {
				wait = 2000
			}
			if m == 0 {
				calls[0].wait = wait
				calls[0].time = -wait - float64(200+rng.IntN(200))
				continue
			}
			calls = append(calls, call{gap*float64(m) + float64(rng.IntN(jitter)), wait, float64(m)})
		}
		slices.SortStableFunc(calls, func(a, b call) int { return cmp.Compare(a.time, b.time) })
		var s tpp.Sequence
		for _, c := range calls {
			s.ArrivalTimes, s.Marks = append(s.ArrivalTimes, c.time), append(s.Marks, int(c.mark))
			if waits {
				s.WaitTimes = append(s.WaitTimes, c.wait)
			}
		}
		d.Sequences = append(d.Sequences, s)
	}
	return d
}

func TestEstimateGraphOfSiblings(t *testing.T) {
	for _, c := range []struct {
		name string
		d    *tpp.Dataset
		want string
	}{
		{"one never waited", fanOut(6, 15, 3, true), "0: 1 2 3 4 5\n"},
		{"swapped now and then, without waits", fanOut(3, 8, 10, false), "0: 1 2\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			g, report, err := EstimateGraph(c.d)
			if err != nil {
				t.Fatal(err)
			}
			if got := show(g, c.d.MarkNames, ""); got != c.want {
				t.Errorf("%swant %s%+v", got, c.want, report)
			}
		})
	}
}
