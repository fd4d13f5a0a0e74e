package race

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/tppfaas/tppfaas/tpp"
	"pgregory.net/rapid"
)

// parseGraph returns the graph of lines such as "main: a b|c (a≠d)", and the names of its marks in the order in which they occur.
func parseGraph(text string) (*Graph, []string) {
	var names []string
	mark := func(name string) int {
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
		return slices.Index(names, name)
	}
	slots, exclusive := map[int][]Slot{}, map[int][][2]int{}
	for line := range strings.Lines(text) {
		parent, children, ok := strings.Cut(strings.TrimSpace(line), ":")
		if !ok {
			continue
		}
		p := mark(parent)
		for _, child := range strings.Fields(children) {
			if a, b, ok := strings.Cut(strings.Trim(child, "()"), "≠"); ok {
				exclusive[p] = append(exclusive[p], [2]int{mark(a), mark(b)})
				continue
			}
			var s Slot
			for _, name := range strings.Split(child, "|") {
				s.Marks = append(s.Marks, mark(name))
			}
			slots[p] = append(slots[p], s)
		}
	}
	g := &Graph{Slots: make([][]Slot, len(names)), Exclusive: make([][][2]int, len(names))}
	for m := range names {
		g.Slots[m], g.Exclusive[m] = slots[m], exclusive[m]
	}
	return g, names
}

// showDue returns what is due as text, such as "main>a first@0, main>b|c next@15".
func showDue(t *tracker, names []string) string {
	var out []string
	for i := range t.due {
		p := &t.due[i]
		var marks []string
		for k, m := range t.graph.Slots[p.parent][p.slot].Marks {
			if p.alive>>k&1 == 1 {
				marks = append(marks, names[m])
			}
		}
		parent := "start"
		if int(p.parent) < len(names) {
			parent = names[p.parent]
		}
		kind := [...]string{"first", "next", "later", "over", "started"}[p.kind]
		out = append(out, fmt.Sprintf("%s>%s %s@%v", parent, strings.Join(marks, "|"), kind, p.anchor))
	}
	return strings.Join(out, ", ")
}

// TestTrackerStories follows sequences event by event. Each line of a story is a time and an event, then which event made it due, since when
// it was, and what is due after it. "start a" is the start of the execution of the last event a.
func TestTrackerStories(t *testing.T) {
	for _, c := range []struct {
		name, graph string
		medians     map[string]float64 // of the delays, by "parent>child"
		mayNotCome  string             // slots, as "parent>child"
		stale       float64
		begun       bool // "main" is the root
		story       string
	}{
		{
			name: "a fan-out comes in order", graph: "main: a b c",
			story: `
				0 main: given; main>a first@0, main>b first@0, main>c first@0
				10 a: main after 10; main>b next@10, main>c later@10
				25 b: main after 15; main>c next@25
				40 c: main after 15;`,
		}, {
			name: "a sibling is overtaken", graph: "main: a b c",
			story: `
				0 main: given; main>a first@0, main>b first@0, main>c first@0
				10 b: main after 10; main>a over@10, main>c next@10
				12 c: main after 2; main>a over@12
				50 a: main after 38;`,
		}, {
			name: "one overtaken stays so when an earlier sibling comes", graph: "main: a b c",
			story: `
				0 main: given; main>a first@0, main>b first@0, main>c first@0
				10 c: main after 10; main>a over@10, main>b over@10
				20 a: main after 10; main>b over@10
				21 b: main after 11;`,
		}, {
			name: "a loop makes the same due again", graph: "main: a\na: a|done",
			story: `
				0 main: given; main>a first@0
				5 a: main after 5; a>a|done first@5
				15 a: a after 10; a>a|done first@15
				30 a: a after 15; a>a|done first@30
				31 done: a after 1;`,
		}, {
			name: "of a choice one comes", graph: "main: pay|backorder log\npay: ship",
			story: `
				0 main: given; main>pay|backorder first@0, main>log first@0
				7 pay: main after 7; main>log next@7, pay>ship first@7
				9 log: main after 2; pay>ship first@7
				9 backorder: nothing after 0; pay>ship first@7`,
		}, {
			name: "marks that exclude each other", graph: "main: a b|c d (a≠b) (b≠d)",
			story: `
				0 main: given; main>a first@0, main>b|c first@0, main>d first@0
				3 a: main after 3; main>c next@3, main>d later@3
				4 d: main after 1; main>c over@4`,
		}, {
			name: "next is what follows behind slots that are excluded", graph: "main: f x y g h (f≠x) (f≠y)",
			story: `
				0 main: given; main>f first@0, main>x first@0, main>y first@0, main>g first@0, main>h first@0
				10 f: main after 10; main>g next@10, main>h later@10
				25 g: main after 15; main>h next@25`,
		}, {
			name: "next is not what follows behind a slot that has come", graph: "main: a b c d",
			story: `
				0 main: given; main>a first@0, main>b first@0, main>c first@0, main>d first@0
				10 b: main after 10; main>a over@10, main>c next@10, main>d later@10
				20 a: main after 10; main>c later@20, main>d later@20`,
		}, {
			name: "a slot goes with its last alternative", graph: "main: a b (a≠b)",
			story: `
				0 main: given; main>a first@0, main>b first@0
				3 b: main after 3;`,
		}, {
			name: "of two that are due the one that is later compared with its median comes", graph: "main: a b\na: x\nb: x",
			medians: map[string]float64{"a>x": 100, "b>x": 10},
			story: `
				0 main: given; main>a first@0, main>b first@0
				0 a: main after 0; main>b next@0, a>x first@0
				5 b: main after 5; a>x first@0, b>x first@5
				20 x: b after 15; a>x first@0
				98 x: a after 98;`,
		}, {
			name: "of two that are equally late the first", graph: "main: x x",
			story: `
				0 main: given; main>x first@0, main>x first@0
				8 x: main after 8; main>x next@8
				9 x: main after 1;`,
		}, {
			name: "nothing explains an event", graph: "main: a\nstranger: a\na:",
			medians: map[string]float64{"stranger>a": 50},
			story: `
				0 main: given; main>a first@0
				4 stranger: nothing after 4; main>a first@0, stranger>a first@4
				6 a: main after 6; stranger>a first@4
				7 a: stranger after 3;
				8 a: nothing after 1;`,
		}, {
			name: "a sequence is joined in the middle", graph: "main: a b\na: c\nb: d",
			story: `
				100 b: given; b>d first@100
				110 c: nothing after 10; b>d first@100
				120 d: b after 20;`,
		}, {
			name: "the beginning is known", graph: "main: a b", begun: true,
			story: `
				5 main: start after 5; main>a first@5, main>b first@5
				9 a: main after 4; main>b next@9`,
		}, {
			name: "the beginning is known, and the root comes late", graph: "main: a\na:", begun: true,
			story: `
				5 a: nothing after 5; start>main first@0
				6 main: start after 6; main>a first@6`,
		}, {
			name: "what may not come is forgotten, what must come is not", graph: "main: a b c\na: a", mayNotCome: "main>b", stale: 1000,
			story: `
				0 main: given; main>a first@0, main>b first@0, main>c first@0
				10 a: main after 10; main>b next@10, main>c later@10, a>a first@10
				1010 a: a after 1000; main>b next@10, main>c later@10, a>a first@1010
				1011 a: a after 1; main>c later@10, a>a first@1011`,
		}, {
			name: "a start sets the clock of what has not been told by a sibling", graph: "main: a b\na: c",
			story: `
				0 main: given; main>a first@0, main>b first@0
				30 start main: main>a started@30, main>b started@30
				40 a: main after 10; main>b next@40, a>c first@40
				41 start main: main>b next@40, a>c first@40
				50 start a: main>b next@40, a>c started@50
				60 c: a after 10; main>b next@40`,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			g, names := parseGraph(c.graph)
			var roots []Slot
			if c.begun {
				roots = []Slot{{Marks: []int{slices.Index(names, "main")}}}
			}
			s := newStructure(g, roots, len(names), 1)
			for parent, slots := range g.Slots {
				for k, slot := range slots {
					for i, m := range slot.Marks {
						name := names[parent] + ">" + names[m]
						s.skipped[parent][k] = s.skipped[parent][k] || name == c.mayNotCome
						for kind := range numKinds {
							class := &s.classes[int(s.first[parent][k])+i*int(numKinds)+int(kind)]
							class.median = c.medians[name]
							if c.stale > 0 {
								class.stale = c.stale
							}
						}
					}
				}
			}
			tr := &tracker{structure: s}
			tr.reset(0)
			if c.begun {
				tr.begin(nil)
			}
			last := map[string]int{}
			for line := range strings.Lines(strings.TrimSpace(c.story)) {
				line = strings.TrimSpace(line)
				what, expected, _ := strings.Cut(line, ": ")
				number, name, _ := strings.Cut(what, " ")
				time, err := strconv.ParseFloat(number, 64)
				if err != nil {
					t.Fatal(err)
				}
				if started, ok := strings.CutPrefix(name, "start "); ok {
					tr.started(time, last[started], 3, 2)
					if got := showDue(tr, names); got != expected {
						t.Errorf("%s\nis due after it: %s", line, got)
					}
					continue
				}
				mark := slices.Index(names, name)
				a := tr.find(time, mark)
				explained := fmt.Sprintf("nothing after %v", a.delay)
				switch {
				case a.slot >= 0 && int(tr.due[a.slot].parent) == s.start():
					explained = fmt.Sprintf("start after %v", a.delay)
				case a.slot >= 0:
					explained = fmt.Sprintf("%s after %v", names[tr.due[a.slot].parent], a.delay)
				case tr.events == 0 && !c.begun:
					explained = "given"
				}
				last[name] = tr.events
				tr.arrive(time, mark, a, nil)
				if got := strings.TrimSpace(explained + "; " + showDue(tr, names)); got != expected {
					t.Errorf("%s\nit was %s", line, got)
				}
			}
			want := strings.Count(c.story, "nothing after")
			if tr.unexplained != want {
				t.Errorf("%d events unexplained, want %d", tr.unexplained, want)
			}
		})
	}
}

// TestTrackerForgetsTheOldest checks that what has been due for longest is forgotten where too much is due.
func TestTrackerForgetsTheOldest(t *testing.T) {
	g, names := parseGraph("main: never a b")
	tr := &tracker{structure: newStructure(g, nil, len(names), 1), width: 1}
	tr.reset(0)
	for i := range 2 * maxDue {
		tr.arrive(float64(i), 0, tr.find(float64(i), 0), []float64{float64(i)})
	}
	if len(tr.due) != maxDue || len(tr.covariates) != maxDue {
		t.Fatalf("%d are due with %d covariates", len(tr.due), len(tr.covariates))
	}
	for i, p := range tr.due {
		back := maxDue - 1 - i // so many became due after it, three at a time
		if want := 2*maxDue - 1 - back/3; p.event != want || p.anchor != float64(want) || tr.covariates[i] != float64(want) {
			t.Fatalf("entry %d is of event %d since %v with covariate %v, want %d", i, p.event, p.anchor, tr.covariates[i], want)
		}
	}
}

// checkTracker reports what must hold of a tracker at any time.
func checkTracker(t interface{ Fatalf(string, ...any) }, tr *tracker, now float64) {
	switch {
	case len(tr.due) > maxDue || len(tr.covariates) != tr.width*len(tr.due):
		t.Fatalf("%d are due with %d covariates", len(tr.due), len(tr.covariates))
	case cap(tr.due) > 4*maxDue || cap(tr.covariates) > 4*maxDue*tr.width:
		t.Fatalf("memory for %d that are due", cap(tr.due))
	case tr.unexplained > tr.events:
		t.Fatalf("%d of %d events are unexplained", tr.unexplained, tr.events)
	}
	for i := range tr.due {
		p := &tr.due[i]
		if p.alive == 0 || p.anchor > now || p.event >= tr.events {
			t.Fatalf("at %v, after %d events: %+v is due", now, tr.events, *p)
		}
	}
}

// TestTrackerInvariants follows random sequences of random graphs.
func TestTrackerInvariants(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 12))
		w := randomWorld(rng, rapid.SampledFrom([]Regime{Arrivals, Starts}).Draw(t, "regime"), 3, rapid.IntRange(someBegun, noneBegun).Draw(t, "begun"))
		s := randomSequence(rng, w.model.cfg.Graph, rapid.IntRange(1, 300).Draw(t, "events"))
		e := w.model.encoder
		tr := &tracker{structure: e.structure}
		e.walk(&s, tr, stepsOf(&s, e.regime, nil), func(step *step, a arrival) {
			checkTracker(t, tr, tr.last)
			if step == nil || step.started {
				return
			}
			if !(a.delay >= 0) {
				t.Fatalf("a delay of %v", a.delay)
			}
			if a.slot >= 0 {
				p := &tr.due[a.slot]
				if p.alive>>a.alternative&1 == 0 || e.mark(p, a.alternative) != s.Marks[step.event] {
					t.Fatalf("event %d of mark %d fills alternative %d of %+v", step.event, s.Marks[step.event], a.alternative, *p)
				}
			}
		})
	})
}

// TestLongSequence checks that a state stays small however many events it has seen, and predicts at the end.
func TestLongSequence(t *testing.T) {
	w := randomWorld(rand.New(rand.NewPCG(2, 13)), Starts, 3, allBegun)
	rng := rand.New(rand.NewPCG(3, 13))
	s := w.model.NewState(0).(*state)
	now, size := 0.0, 0
	for i := range 100_000 {
		now += float64(rng.IntN(30))
		if err := s.Observe(tpp.Event{Time: now, Mark: rng.IntN(w.model.numMarks), Covariates: []float64{rng.NormFloat64()}}); err != nil {
			t.Fatal(err)
		}
		if i%3 == 0 {
			now += float64(rng.IntN(30))
			if err := s.ObserveStart(now, i-rng.IntN(min(i+1, 2*maxRecent)), 10, 0); err != nil {
				t.Fatal(err)
			}
		}
		if i%1000 == 0 {
			checkTracker(t, &s.tracker, now)
		}
		if i == 10_000 {
			size = s.Size()
		}
	}
	if s.Size() > size || size > 1<<16 {
		t.Errorf("the state has %d bytes after 10,000 events and %d after 100,000", size, s.Size())
	}
	sum := 0.0
	for _, p := range s.Next(now).Marks {
		sum += p
	}
	if !near(sum, 1, 0, 1e-6) || !(s.Next(now).Median() >= 0) {
		t.Errorf("after 100,000 events the marks add up to %v, the median is %v", sum, s.Next(now).Median())
	}
}
