package race

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/tppfaas/tppfaas/tpp"
)

// families returns a sequence for each list of children of an event with mark 0, which come one after the other.
func families(numMarks int, children ...[]int) *tpp.Dataset {
	d := &tpp.Dataset{MarkNames: make([]string, numMarks)}
	for m := range d.MarkNames {
		d.MarkNames[m] = fmt.Sprint(m)
	}
	for _, of := range children {
		s := tpp.Sequence{ArrivalTimes: []float64{0}, Marks: []int{0}, Parents: []int{-1}}
		for i, m := range of {
			s.ArrivalTimes = append(s.ArrivalTimes, float64(100+10*i))
			s.Marks, s.Parents = append(s.Marks, m), append(s.Parents, 0)
		}
		d.Sequences = append(d.Sequences, s)
	}
	return d
}

// repeat returns the lists of children n times.
func repeat(n int, children ...[]int) [][]int { return slices.Repeat(children, n) }

func TestGraphFromParents(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	// skips are calls of 1 and 2, each replaced by 3 and 4 in one of twenty.
	var skips, optional, rare [][]int
	for range 1000 {
		a, b := 1, 2
		if rng.IntN(20) == 0 {
			a = 3
		}
		if rng.IntN(20) == 0 {
			b = 4
		}
		skips = append(skips, []int{a, b})
		var missing []int
		for m := 1; m <= 3; m++ {
			if rng.IntN(20) > 0 {
				missing = append(missing, m)
			}
		}
		optional = append(optional, missing)
		var few []int
		for m := 1; m <= 60; m++ {
			if rng.IntN(100) == 0 {
				few = append(few, m)
			}
		}
		rare = append(rare, few)
	}
	for _, c := range []struct {
		name     string
		d        *tpp.Dataset
		graph    string // without the number of the only parent; "" if each mark has a slot of its own
		numMarks int
	}{
		{"nothing", families(1, []int{}), "-", 1},
		{"order of arrival", families(4, repeat(5, []int{3, 1, 2})...), "3 1 2", 4},
		{"the usual order", families(3, append(repeat(5, []int{2, 1}), []int{1, 2}, []int{1, 2})...), "2 1", 3},
		{"twice", families(3, append(repeat(5, []int{1, 2}), []int{1, 2, 1})...), "1 2 1", 3},
		{"twice, or another", families(3, repeat(50, []int{1, 1}, []int{1, 2})...), "1 1|2", 3},
		{"a choice", families(4, repeat(20, []int{1}, []int{2}, []int{2}, []int{3})...), "1|2|3", 4},
		{"a choice or nothing", families(3, repeat(20, []int{1}, []int{2}, nil)...), "1|2", 3},
		{"one or two", families(4, repeat(20, []int{1}, []int{2, 3})...), "1|2 3 (1≠3)", 4},
		{"one or two of the same", families(3, repeat(20, []int{1, 1}, []int{2})...), "1|2 1 (1≠2)", 3},
		{"two choices", families(5, repeat(20, []int{1, 3}, []int{1, 4}, []int{2, 3}, []int{2, 4})...), "1|2 3|4", 5},
		{"too few for a choice", families(3, repeat(4, []int{1}, []int{2})...), "1 2", 3},
		{"replaced where one is skipped", families(5, skips...), "1|3 2|4", 5},
		{"missing now and then", families(4, optional...), "1 2 3", 4},
		{"many that are rare", families(61, rare...), "", 61},
	} {
		t.Run(c.name, func(t *testing.T) {
			g, err := GraphFromParents(c.d)
			if err != nil {
				t.Fatal(err)
			}
			if c.graph == "" {
				if len(g.Slots[0]) != c.numMarks-1 || len(g.Exclusive[0]) > 0 {
					t.Errorf("%d slots of %d marks, exclusive %v", len(g.Slots[0]), c.numMarks, g.Exclusive[0])
				}
				return
			}
			got := strings.TrimSuffix(strings.TrimPrefix(show(g, c.d.MarkNames, ""), "0: "), "\n")
			if got == "" {
				got = "-"
			}
			if got != c.graph {
				t.Errorf("%s, want %s", got, c.graph)
			}
		})
	}
}

// TestGraphOfAChoiceOfMany checks that outcomes are alternatives of which no two are common enough to prove that they exclude each other.
func TestGraphOfAChoiceOfMany(t *testing.T) {
	for _, numMarks := range []int{51, 201} {
		var children [][]int
		for m := 1; m < numMarks; m++ {
			children = append(children, repeat(20, []int{m})...)
		}
		g, err := GraphFromParents(families(numMarks, children...))
		if err != nil {
			t.Fatal(err)
		}
		outcomes := numMarks - 1
		if len(g.Slots[0]) != (outcomes+MaxAlternatives-1)/MaxAlternatives || len(excluded(g, 0)) != outcomes*(outcomes-1)/2 {
			t.Errorf("%d outcomes: %d slots, %d pairs that exclude each other", outcomes, len(g.Slots[0]), len(excluded(g, 0)))
		}
		if err := g.Validate(numMarks); err != nil {
			t.Error(err)
		}
	}
}

func TestGraphFromParentsIgnoresWhatSaysNothing(t *testing.T) {
	d := families(3, repeat(3, []int{1})...)
	d.Sequences = append(d.Sequences,
		tpp.Sequence{ArrivalTimes: []float64{0, 1}, Marks: []int{0, 2}},
		tpp.Sequence{ArrivalTimes: []float64{0, 1}, Marks: []int{2, 0}, Parents: []int{1, -1}}, // the child came first
	)
	g, err := GraphFromParents(d)
	if err != nil {
		t.Fatal(err)
	}
	if got := show(g, d.MarkNames, ""); got != "0: 1\n" {
		t.Errorf("got %s", got)
	}
}

func TestGraphFromParentsRefuses(t *testing.T) {
	end := 1.
	for _, c := range []struct {
		name string
		d    *tpp.Dataset
		says string
	}{
		{"nothing", nil, "graph: no dataset"},
		{"no sequences", &tpp.Dataset{}, "graph: no sequence says which event caused which"},
		{"no parents", &tpp.Dataset{Sequences: []tpp.Sequence{{ArrivalTimes: []float64{1, 2}}}}, "graph: no sequence says which event caused which"},
		{"an empty window", &tpp.Dataset{Sequences: []tpp.Sequence{{TStart: new(float64), TEnd: &end, Parents: []int{}}}}, "graph: no sequence says"},
		{"no such parent", &tpp.Dataset{Sequences: []tpp.Sequence{{ArrivalTimes: []float64{1, 2}, Parents: []int{-1, 5}}}}, "graph: sequence 0: parents[1] = 5"},
	} {
		g, err := GraphFromParents(c.d)
		if g != nil || err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %+v, %v, want it to say %q", c.name, g, err, c.says)
		}
	}
}

func TestGraphFromNames(t *testing.T) {
	marks := []string{"a", "b", "c", "d"}
	for _, c := range []struct {
		name       string
		marks      []string
		successors map[string]Successors
		graph      string
		says       string
	}{
		{"all", marks, map[string]Successors{
			"a": {Slots: [][]string{{"c", "b"}, {"d"}}, Exclusive: [][2]string{{"d", "b"}, {"b", "c"}}},
		}, "a: c|b d (b≠d)\n", ""},
		{"what was never seen", marks, map[string]Successors{
			"a": {Slots: [][]string{{"x"}, {"b", "x"}, {"c"}}, Exclusive: [][2]string{{"x", "c"}}},
			"x": {Slots: [][]string{{"d"}}},
		}, "a: b c\n", ""},
		{"an unknown mark", marks, map[string]Successors{"a": {Slots: [][]string{{"b"}, {"c"}}}}, "", `it does not know the marks "d"`},
		{"both sides", marks, map[string]Successors{"a": {Slots: [][]string{{"b"}, {"e"}}}}, "",
			`it does not know the marks "c", "d"; it knows "e", which are no marks`},
		{"another application", []string{"a", "b", "c", "d", "e", "f", "g"}, map[string]Successors{"x": {}}, "", `"d", "e" and 2 more; it knows "x"`},
		{"no names", nil, map[string]Successors{"a": {}}, "", "have no names"},
		{"two of a name", []string{"a", "a"}, map[string]Successors{"a": {}}, "", `marks 0 and 1 are both called "a"`},
		{"twice in a slot", []string{"a"}, map[string]Successors{"a": {Slots: [][]string{{"a", "a"}}}}, "", "has mark 0 twice"},
		{"excludes itself", []string{"a"}, map[string]Successors{"a": {Slots: [][]string{{"a"}, {"a"}}, Exclusive: [][2]string{{"a", "a"}}}}, "", "cannot be exclusive"},
	} {
		t.Run(c.name, func(t *testing.T) {
			g, err := GraphFromNames(c.marks, c.successors)
			if c.says != "" {
				if g != nil || err == nil || !strings.Contains(err.Error(), c.says) || !strings.HasPrefix(err.Error(), "graph: ") {
					t.Errorf("%+v, %v, want it to say %q", g, err, c.says)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := show(g, c.marks, ""); got != c.graph {
				t.Errorf("%s, want %s", got, c.graph)
			}
		})
	}
}
