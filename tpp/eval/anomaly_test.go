package eval

import (
	"math"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/tppfaas/tppfaas/tpp"
	"github.com/tppfaas/tppfaas/tpp/dist"
	"github.com/tppfaas/tppfaas/tpp/internal/tpptest"
)

func TestAUCByHand(t *testing.T) {
	inf := math.Inf(1)
	for _, c := range []struct {
		positives, negatives []float64
		want                 float64
	}{
		{[]float64{2, 3}, []float64{0, 1}, 1},
		{[]float64{0, 1}, []float64{2, 3}, 0},
		{[]float64{1, 3}, []float64{0, 2}, 0.75},                  // 1 > 0, 3 > 0, 3 > 2
		{[]float64{1, 1, 2}, []float64{1, 2}, (1 + 1 + 3) / 12.0}, // halves: 1=1 twice, 2=2; and 2 > 1
		{[]float64{inf, 0}, []float64{inf, 0}, 0.5},
		{nil, []float64{1}, math.NaN()},
		{[]float64{1}, nil, math.NaN()},
		{[]float64{1}, []float64{math.NaN()}, math.NaN()},
	} {
		if got := AUC(c.positives, c.negatives); got != c.want && !(math.IsNaN(got) && math.IsNaN(c.want)) {
			t.Errorf("AUC(%v, %v) = %v, want %v", c.positives, c.negatives, got, c.want)
		}
	}
}

// TestAUCIsTheShareOfPairs compares with the count over all pairs.
func TestAUCIsTheShareOfPairs(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		draw := rapid.SliceOfN(rapid.Map(rapid.IntRange(-3, 3), func(i int) float64 { return float64(i) }), 1, 20)
		a, b := draw.Draw(t, "positives"), draw.Draw(t, "negatives")
		sum := 0.0
		for _, x := range a {
			for _, y := range b {
				switch {
				case x > y:
					sum++
				case x == y:
					sum += 0.5
				}
			}
		}
		want := sum / float64(len(a)*len(b))
		if got := AUC(a, b); !tpptest.Near(got, want, 1e-12) {
			t.Fatalf("AUC is %v, of all pairs %v are right", got, want)
		}
		if back := AUC(b, a); !tpptest.Near(back, 1-want, 1e-12) {
			t.Fatalf("the other way round it is %v, want %v", back, 1-want)
		}
	})
}

// mortal is clockwork that predicts the end with probability 0.2.
type mortal struct{ tpptest.Clockwork }

func (mortal) KnowsEnd() bool             { return true }
func (mortal) NewState(float64) tpp.State { return mortal{} }
func (mortal) Clone() tpp.State           { return mortal{} }

func (e mortal) Next(now float64) *tpp.Next {
	n := e.Clockwork.Next(now)
	n.End = 0.2
	return n
}

// pointed is clockwork that predicts a single time.
type pointed struct{ tpptest.Clockwork }

func (pointed) NewState(float64) tpp.State { return pointed{} }
func (pointed) Clone() tpp.State           { return pointed{} }

func (p pointed) Next(now float64) *tpp.Next {
	n := p.Clockwork.Next(now)
	n.Time = dist.Point{Value: 10}
	return n
}

func TestSuspectByHand(t *testing.T) {
	s := tpp.Sequence{ArrivalTimes: []float64{100, 100, 120}, Marks: []int{0, 2, 1}}
	got, err := Suspect(mortal{}, &s, 1)
	if err != nil {
		t.Fatal(err)
	}
	cell := func(from, to float64) float64 { return math.Exp(-from/10) - math.Exp(-to/10) }
	want := []Suspicion{
		{math.NaN(), math.NaN(), math.NaN()}, // the first event is given
		{0, -math.Log(0.8 * 3 / 6), -math.Log(0.8 * 3 / 6 * cell(0, 0.5))},
		{-math.Log(0.2 + 0.8*math.Exp(-1.95)), -math.Log(0.8 * 2 / 6), -math.Log(0.8 * 2 / 6 * cell(19.5, 20.5))},
		{-math.Log(0.2), -math.Log(0.2), -math.Log(0.2)},
	}
	same := func(a, b float64) bool { return math.IsNaN(a) && math.IsNaN(b) || tpptest.Near(a, b, 1e-12) }
	for i, w := range want {
		if g := got.Gaps[i]; !same(g.Late, w.Late) || !same(g.Mark, w.Mark) || !same(g.Surprise, w.Surprise) {
			t.Errorf("gap %d: %+v, want %+v", i, g, w)
		}
	}
	if !slices.Equal(got.Waits, []float64{got.Gaps[1].Late, got.Gaps[2].Late, got.Gaps[3].Late}) {
		t.Errorf("waits are %v", got.Waits)
	}
	end := 150.0
	s.TEnd = &end
	open, err := Suspect(mortal{}, &s, 1)
	if late := -math.Log(0.2 + 0.8*math.Exp(-3)); err != nil || !tpptest.Near(open.Gaps[3].Late, late, 1e-12) {
		t.Errorf("30 after the last event: %+v, %v, want %v", open.Gaps[3], err, late)
	}
	s.TEnd = nil
	if without, err := Suspect(tpptest.Clockwork{}, &s, 1); err != nil || !math.IsNaN(without.Gaps[3].Late) || len(without.Waits) != 2 {
		t.Errorf("a model without ends: %+v, %v", without, err)
	}
	single, err := Suspect(pointed{}, &s, 1)
	if g := single.Gaps[2]; err != nil || !math.IsNaN(g.Late) || !math.IsNaN(g.Surprise) || !tpptest.Near(g.Mark, -math.Log(2./6), 1e-12) {
		t.Errorf("a model of single times: %+v, %v", g, err)
	}
	s.ArrivalTimes[2] = 666
	if _, err := Suspect(mortal{}, &s, 1); err == nil || !strings.HasPrefix(err.Error(), "event 2: ") {
		t.Errorf("got error %v", err)
	}
	if _, err := Suspect(mortal{}, &s, 0); err == nil {
		t.Error("a resolution of 0 is accepted")
	}
}

// due is a model in which an event with mark 0 makes one of mark 1 due, 10 later in the mean, and one of mark 2, 100 later.
type due struct {
	mortal
	since [3]float64 // when the events with each mark became due, NaN for none
}

func (*due) NewState(float64) tpp.State {
	return &due{since: [3]float64{math.NaN(), math.NaN(), math.NaN()}}
}

func (d *due) Clone() tpp.State { c := *d; return &c }

func (d *due) Observe(e tpp.Event) error {
	if e.Mark == 0 {
		d.since[1], d.since[2] = e.Time, e.Time
	}
	d.since[e.Mark] = math.NaN()
	return nil
}

func (d *due) Lateness(now float64, dst []float64) []float64 {
	for m, since := range d.since {
		p := 0.0
		if !math.IsNaN(since) {
			p = dist.Exponential{Rate: []float64{1, 0.1, 0.01}[m]}.CDF(now - since)
		}
		dst = append(dst, p)
	}
	return dst
}

func TestSuspectOfWhatIsDue(t *testing.T) {
	// Marks 1 and 2 are due from 100 on: 2 comes at 110, 1 at 120.5, and another 2, which is not due, at 130.
	s := tpp.Sequence{ArrivalTimes: []float64{100, 110, 120.5, 130}, Marks: []int{0, 0, 1, 1}}
	s.Marks[1], s.Marks[3] = 2, 2
	got, err := Suspect(&due{}, &s, 1)
	if err != nil {
		t.Fatal(err)
	}
	// Gap 1 ends with mark 2, which is 9.5/100 late; mark 1 is 9.5/10 late. Gap 2 ends with mark 1 after 20. In gap 3 nothing is due.
	for i, want := range []float64{math.NaN(), 0.95, 2, 0, 0} {
		if late := got.Gaps[i].Late; late != want && !tpptest.Near(late, want, 1e-12) && !(math.IsNaN(want) && math.IsNaN(late)) {
			t.Errorf("gap %d: late by %v nats, want %v", i, late, want)
		}
	}
	if len(got.Waits) != 2 || !tpptest.Near(got.Waits[0], 0.095, 1e-12) || !tpptest.Near(got.Waits[1], 2, 1e-12) {
		t.Errorf("waits are %v, want 0.095 and 2", got.Waits)
	}
	// Without mark 2 it is late at the end, for ever.
	missing := tpp.Sequence{ArrivalTimes: []float64{100, 110.5}, Marks: []int{0, 1}}
	if got, err = Suspect(&due{}, &missing, 1); err != nil || !math.IsInf(got.Gaps[2].Late, 1) || len(got.Waits) != 2 || !math.IsInf(got.Waits[1], 1) {
		t.Errorf("with an event that never comes: %+v, %v", got, err)
	}
	// Observed until 310.5 only, mark 2 is late by 2.105 in all, of which 2 in the last gap.
	end := 310.5
	missing.TEnd = &end
	if got, err = Suspect(&due{}, &missing, 1); err != nil || !tpptest.Near(got.Gaps[2].Late, 2, 1e-12) || !tpptest.Near(got.Waits[1], 2.105, 1e-12) {
		t.Errorf("with an event that has not come: %+v, %v", got, err)
	}
}

func TestDetectByHand(t *testing.T) {
	nan := math.NaN()
	sequence := func(values ...float64) Suspicions {
		var s Suspicions
		for _, v := range values {
			s.Gaps = append(s.Gaps, Suspicion{Late: v, Mark: v, Surprise: -v})
			if !math.IsNaN(v) {
				s.Waits = append(s.Waits, v)
			}
		}
		return s
	}
	normal := []Suspicions{sequence(nan, 1, 2), sequence(nan, 5, 5)}
	anomalous := []Labelled{
		{sequence(nan, 4, 1), []bool{false, true, false}},
		{sequence(nan, 0, 6), []bool{false, true, true}},
	}
	d := Detect(anomalous, normal)
	if d.Anomalous != 2 || d.Normal != 2 {
		t.Errorf("%+v", d)
	}
	// Largest: 4 and 6 against 2 and 5. Gaps 4, 0, 6 against 1, 2, 5, 5.
	want := Detection{AUC: 3. / 4, GapAUC: (2 + 0 + 4) / 12.}
	// All anomalous ones are caught at 4, which two of the gaps of normal ones reach.
	want.FalseAlarms90 = 1
	if d.Late != want {
		t.Errorf("by lateness %+v, want %+v", d.Late, want)
	}
	if d.Mark != want { // the same numbers
		t.Errorf("by mark %+v, want %+v", d.Mark, want)
	}
	// Largest surprises: −1 and 0 against −1 and −5.
	if d.Surprise.AUC != (1.5+2)/4 || d.Surprise.GapAUC != 1-want.GapAUC {
		t.Errorf("by surprise %+v", d.Surprise)
	}
	// A lateness of 0.99 is 4.6 nats.
	if d.Caught99 != 0.5 || d.FalseAlarms99 != 1 {
		t.Errorf("%v are caught at 0.99, with %v false alarms", d.Caught99, d.FalseAlarms99)
	}
	for name, v := range Detect(nil, normal).All() {
		if name != "normal" && name != "anomalous" && !math.IsNaN(v) {
			t.Errorf("without anomalies %s is %v", name, v)
		}
	}
	silent := Suspicions{Gaps: []Suspicion{unknown()}}
	for name, v := range Detect([]Labelled{{silent, []bool{true}}}, []Suspicions{silent}).All() {
		if name != "normal" && name != "anomalous" && !math.IsNaN(v) {
			t.Errorf("of a model that says nothing %s is %v", name, v)
		}
	}
}

// TestTenthOfTheAnomaliesMayBeMissed checks the threshold of FalseAlarms90 with ten anomalous sequences, of which one may stay below it.
func TestTenthOfTheAnomaliesMayBeMissed(t *testing.T) {
	one := func(v float64) Suspicions { return Suspicions{Gaps: []Suspicion{{v, v, v}}, Waits: []float64{v}} }
	var anomalous []Labelled
	for v := range 10 {
		anomalous = append(anomalous, Labelled{one(float64(v)), []bool{true}})
	}
	normal := []Suspicions{one(0), one(0.5), one(1), one(9)}
	if got := Detect(anomalous, normal).Late.FalseAlarms90; got != 0.5 {
		t.Errorf("%v false alarms, want those of 1 and 9 among four sequences", got)
	}
}
