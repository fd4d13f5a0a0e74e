package sampler

import (
	"math"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/tppfaas/tppfaas/tpp"
)

// anyTraces draws n traces of up to five events, some of them cold. The first arrival time identifies a trace.
func anyTraces(t *rapid.T, label string, n int, base float64, cold float64, names []string) *tpp.Dataset {
	d := &tpp.Dataset{MarkNames: names}
	for i := range n {
		length := rapid.IntRange(1, 5).Draw(t, label)
		s := tpp.Sequence{InitTimes: make([]float64, length)}
		for j := range length {
			s.ArrivalTimes = append(s.ArrivalTimes, base+float64(i*10+j))
			s.Marks = append(s.Marks, rapid.IntRange(0, len(names)-1).Draw(t, "mark"))
			if rapid.Float64Range(0, 1).Draw(t, "cold") < cold {
				s.InitTimes[j] = 100
			}
		}
		d.Sequences = append(d.Sequences, s)
	}
	return d
}

// TestMix checks that a mixture has as many traces as the low load, each once and from one of the two datasets; that its counts are right;
// that marks keep their names; and that the same seed gives the same mixture.
func TestMix(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		low := anyTraces(t, "low", rapid.IntRange(1, 30).Draw(t, "low traces"), 0, 0.05, []string{"a", "b", "c"})
		bursts := anyTraces(t, "bursts", rapid.IntRange(1, 30).Draw(t, "bursts traces"), 1e6, 0.9, []string{"c", "a", "b"})
		cold, seed := rapid.Float64Range(0, 1).Draw(t, "share"), rapid.Uint64().Draw(t, "seed")
		mixed, m, err := Mix(low, bursts, cold, seed)
		if err != nil {
			if !strings.Contains(err.Error(), "these datasets give") {
				t.Fatal(err)
			}
			return
		}
		if math.Abs(m.ColdShare()-cold) > 0.01 {
			t.Fatalf("a share of %v for %v", m.ColdShare(), cold)
		}
		if len(mixed.Sequences) != len(low.Sequences) || m.Traces != len(low.Sequences) {
			t.Fatalf("%d traces of %d", len(mixed.Sequences), len(low.Sequences))
		}
		seen := map[float64]bool{}
		var counted Mixture
		counted.Traces = m.Traces
		for i := range mixed.Sequences {
			s := &mixed.Sequences[i]
			first := s.ArrivalTimes[0]
			if seen[first] {
				t.Fatalf("trace %v is there twice", first)
			}
			seen[first] = true
			counted.count(s, 1)
			from, at := low, i
			if first >= 1e6 {
				counted.Replaced++
				from, at = bursts, int(first-1e6)/10
			}
			for j := range s.Len() {
				if got, want := mixed.MarkNames[s.Mark(j)], from.MarkNames[from.Sequences[at].Mark(j)]; got != want {
					t.Fatalf("trace %v, event %d: %s, want %s", first, j, got, want)
				}
			}
		}
		if counted != m {
			t.Fatalf("%+v is said of %+v", m, counted)
		}
		again, _, err := Mix(low, bursts, cold, seed)
		if err != nil || !slices.EqualFunc(mixed.Sequences, again.Sequences, func(a, b tpp.Sequence) bool { return a.ArrivalTimes[0] == b.ArrivalTimes[0] }) {
			t.Fatal("the same seed gives another mixture")
		}
	})
}

func TestMixesThatCannotBe(t *testing.T) {
	trace := func(inits ...float64) tpp.Sequence {
		s := tpp.Sequence{InitTimes: inits}
		for i := range inits {
			s.ArrivalTimes = append(s.ArrivalTimes, float64(i))
			s.Marks = append(s.Marks, 0)
		}
		return s
	}
	dataset := func(name string, traces ...tpp.Sequence) *tpp.Dataset {
		return &tpp.Dataset{MarkNames: []string{name}, Sequences: traces}
	}
	warm, hot := dataset("f", trace(0, 0), trace(0, 0)), dataset("f", trace(1, 0))
	unknown := tpp.Sequence{ArrivalTimes: []float64{1}, Marks: []int{0}}
	for _, test := range []struct {
		low, bursts *tpp.Dataset
		cold        float64
		want        string
	}{
		{warm, hot, 0.3, "no number of traces makes 30.0 % cold starts: these datasets give 0.0 to 25.0 %"},
		{warm, hot, -0.1, "from 0 to 1"},
		{warm, hot, math.NaN(), "from 0 to 1"},
		{warm, dataset("g", trace(1)), 0.3, "of different functions: f; g"},
		{warm, dataset("f"), 0.3, "the bursts has no traces"},
		{dataset("f"), hot, 0.3, "the low load has no traces"},
		{warm, dataset("f", unknown), 0.3, "the bursts, sequence 0: it has no init_times"},
		{dataset("f", unknown), hot, 0.3, "the low load, sequence 0: it has no init_times"},
	} {
		if _, _, err := Mix(test.low, test.bursts, test.cold, 1); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%v, want %q", err, test.want)
		}
	}
}
