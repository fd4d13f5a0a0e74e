package race

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/tppfaas/tppfaas/tpp"
	"github.com/tppfaas/tppfaas/tpp/internal/tpptest"
)

// TestAncestry follows a fan-out: what its last sibling makes due knows how late the first one was, though that one itself came in time.
func TestAncestry(t *testing.T) {
	// Mark 0 makes 1 and 2 due, and 2 makes 3 due, 3 makes 4 due; medians are 100 but for what comes after a sibling, 15.
	g := &Graph{Slots: [][]Slot{{{Marks: []int{1}}, {Marks: []int{2}}}, nil, {{Marks: []int{3}}}, {{Marks: []int{4}}}, nil}}
	s := newStructure(g, nil, 5, 1)
	for i := range s.classes {
		s.classes[i].median = 100
		if kind(i%int(numKinds)) == kindNext {
			s.classes[i].median = 15
		}
	}
	tr := &tracker{structure: s}
	tr.reset(0)
	for _, step := range []struct {
		time float64
		mark int
		want []ancestry // of what is due afterwards
	}{
		{0, 0, []ancestry{{}, {}}},
		{2100, 1, []ancestry{{}}},
		{2118, 2, []ancestry{{2003, 0}}}, // 3 ms late since its sibling, which was 2 s late
		{2208, 3, []ancestry{{-10, 2003}}},
		{2300, 0, []ancestry{{-10, 2003}, {}, {}}}, // nothing explains it
		{2308, 4, []ancestry{{}, {}}},
	} {
		tr.arrive(step.time, step.mark, tr.find(step.time, step.mark), nil)
		var got []ancestry
		for i := range tr.due {
			got = append(got, tr.due[i].before)
		}
		if !slices.Equal(got, step.want) {
			t.Errorf("after mark %d at %v the ancestors of what is due were late by %v, not %v", step.mark, step.time, got, step.want)
		}
	}
}

// TestAncestorsByDefault checks of how many ancestors a model is told, and that its file says so: without any it is as if there were no such thing.
func TestAncestorsByDefault(t *testing.T) {
	short, long := slices.Repeat([]float64{70}, 70), slices.Repeat([]float64{70}, 70)
	for i := range 30 {
		short[i], long[i] = 100, float64(1000*i)
	}
	informed := []string{"x"}
	branches := func(after []Slot) *Graph {
		return &Graph{Slots: [][]Slot{{{Marks: []int{1}}, {Marks: []int{2}}}, nil, after}}
	}
	due := branches([]Slot{{Marks: []int{1}}})
	for _, c := range []struct {
		name   string
		cfg    Config
		delays []float64
		want   int
	}{
		{"long delays, covariates and a branch that goes on", Config{Covariates: informed, Graph: due}, long, 2},
		{"branches that end", Config{Covariates: informed, Graph: branches(nil)}, long, -1},
		{"a chain", Config{Covariates: informed}, long, -1},
		{"given ones", Config{Ancestors: 1}, short, 1},
		{"given ones of long delays", Config{Covariates: informed, Ancestors: 1, Graph: due}, long, 1},
		{"none", Config{Covariates: informed, Ancestors: -7, Graph: due}, long, -1},
		{"no covariates", Config{Graph: due}, long, -1},
		{"short delays", Config{Covariates: informed, Graph: due}, short, -1},
		{"given scales", Config{Covariates: informed, Graph: due, Scales: []float64{20, 200, 3000}}, long, -1},
	} {
		d := chains(c.delays...)
		d.MarkNames = append(d.MarkNames, "third")
		for i := range d.Sequences {
			d.Sequences[i].Covariates = map[string][]float64{"x": {float64(i % 2), 0}}
		}
		m, err := Train(t.Context(), c.cfg, d, nil, TrainOptions{Epochs: 1})
		if err != nil {
			t.Fatal(err)
		}
		if got := m.Config().Ancestors; got != c.want {
			t.Errorf("%s: %d ancestors, not %d", c.name, got, c.want)
		}
		if got := reread(t, m).Config().Ancestors; got != c.want {
			t.Errorf("%s: %d ancestors in the file, not %d", c.name, got, c.want)
		}
		if got := strings.Contains(tpptest.Encoded(t, m), `ancestors`); got != (c.want > 0) {
			t.Errorf("%s: whether the file names ancestors is %v", c.name, got)
		}
	}
	if _, err := Train(t.Context(), Config{Ancestors: 3}, chains(1, 2), nil, TrainOptions{Epochs: 1}); err == nil || !strings.Contains(err.Error(), "3 ancestors") {
		t.Errorf("3 ancestors: error %v", err)
	}
}

// TestAncestorsTravel checks that a state which is told of ancestors predicts the same once it was written and read, also after more events.
func TestAncestorsTravel(t *testing.T) {
	cfg := small
	cfg.Ancestors = 2
	m := untrained(t, cfg, tpptest.Calls(1, 60))
	for events := range 6 {
		s := tpptest.Observed(t, m, events)
		read := m.NewState(0)
		if err := read.(tpp.BinaryState).UnmarshalBinary(marshalled(t, s)); err != nil {
			t.Fatal(err)
		}
		for i := range 3 {
			if !tpptest.SameNext(s, read, 200) {
				t.Errorf("%d events and %d more: a state that was read predicts something else", events, i)
			}
			e := tpp.Event{Time: s.(*state).last + 700, Mark: i}
			if s.Observe(e) != nil || read.Observe(e) != nil {
				t.Fatal("an event was refused")
			}
		}
	}
	broken := marshalled(t, tpptest.Observed(t, m, 1))
	at := stateHead + 4*m.net.context + dueSize
	for i := range 3 {
		data := slices.Clone(broken)
		copy(data[at+8*i:], "\x00\x00\x00\x00\x00\x00\xf0\x7f")
		if err := m.NewState(0).(tpp.BinaryState).UnmarshalBinary(data); err == nil || !strings.Contains(err.Error(), "late by") {
			t.Errorf("number %d: error %v", i, err)
		}
	}
}

// TestAncestrySums checks in random graphs with siblings, choices, loops and what excludes each other that the inputs of training are those of a state, also of one that was written
// and read, and that what is due is told the sums, over the siblings of an ancestor that came until it did, of how late each was.
func TestAncestrySums(t *testing.T) {
	told := 0
	for seed := range uint64(100) {
		rng := rand.New(rand.NewPCG(seed, 12))
		w := worldOf(rng, Config{Regime: []Regime{Arrivals, Starts}[seed%2], Ancestors: int(seed / 2 % 3)}, 4, someBegun)
		m := w.model
		if seed%4 > 1 {
			for i := range m.encoder.classes {
				m.encoder.classes[i].stale = math.Floor(2000 * rng.Float64())
			}
		}
		for i := range w.data.Sequences {
			s := &w.data.Sequences[i]
			if s.TStart != nil && !m.KnowsStart() || s.TStart == nil && m.KnowsStart() {
				continue // a state does not know which
			}
			x, err := newExample[float32](m.encoder, m.background, s)
			if err != nil {
				t.Fatal(err)
			}
			late := map[int]float64{-1: 0} // by event, of it and its siblings until then
			sum := map[int]float64{}       // of what an event made due, so far
			parents := map[int]int{}       // by event that something explains
			at, columns := 0, m.encoder.rowColumns
			follow(t, m, s, func(st *state, step *step) {
				for k := range st.due {
					p := &st.due[k]
					var want ancestry
					for n, event := 0, p.event; n < maxAncestors; n++ {
						parent, explained := parents[event]
						if !explained {
							break
						}
						want[n], event = late[event], parent
					}
					if p.before != want || p.late != sum[p.event] {
						t.Fatalf("seed %d, sequence %d, due after event %d: ancestors were late by %v and siblings by %v, not %v and %v", seed, i, p.event, p.before, p.late, want, sum[p.event])
					}
					if want[1] != 0 {
						told++
					}
				}
				if st.events > 0 || s.TStart != nil {
					_, want, _ := appendRows[float32](m.encoder, &st.tracker, nil, nil, nil)
					if got := x.feats[int(x.start[at])*columns : int(x.start[at+1])*columns]; !slices.Equal(got, want) {
						t.Fatalf("seed %d, sequence %d, step %d: training has %v, the state %v", seed, i, at, got, want)
					}
					read := m.NewState(0).(*state)
					if err := read.UnmarshalBinary(marshalled(t, st)); err != nil {
						t.Fatal(err)
					}
					if _, got, _ := appendRows[float32](m.encoder, &read.tracker, nil, nil, nil); !slices.Equal(got, want) {
						t.Fatalf("seed %d, sequence %d, step %d: a state that was read has %v, the one before %v", seed, i, at, got, want)
					}
					at++
				}
				if step == nil || step.started {
					return
				}
				if a := st.find(step.time, s.Mark(step.event)); a.slot >= 0 && (st.events > 0 || s.TStart != nil) {
					parent := st.due[a.slot].event
					sum[parent] += a.excess
					late[step.event], parents[step.event] = sum[parent], parent
				}
			})
		}
	}
	if told < 100 {
		t.Errorf("only %d were told of two ancestors", told)
	}
}
