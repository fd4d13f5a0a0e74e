package figure

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/tppfaas/tppfaas/tpp"
	"github.com/tppfaas/tppfaas/tpp/dist"
)

// foretelling is a model whose states expect the same arrivals whatever has come.
type foretelling struct {
	fixed
	arrivals []tpp.ExpectedArrival
}

func (m foretelling) NewState(float64) tpp.State             { return m }
func (m foretelling) Clone() tpp.State                       { return m }
func (m foretelling) Arrivals(float64) []tpp.ExpectedArrival { return m.arrivals }

// timesOf returns the quantiles of a distribution at the middles of n equal shares.
func timesOf(d dist.Distribution, n int) []float64 {
	times := make([]float64, n)
	for i := range times {
		times[i] = d.Quantile((float64(i) + 0.5) / float64(n))
	}
	return times
}

// shop returns a model of a sequence that has come as far as its third event, and the sequence.
func shop(marks []string) (foretelling, *tpp.Sequence) {
	soon, late := timesOf(dist.Exponential{Rate: 0.02}, 64), timesOf(dist.Exponential{Rate: 0.002}, 64)
	for i := range late {
		late[i] += 100
	}
	m := foretelling{fixed: fixed{time: dist.Exponential{Rate: 1}, names: marks, marks: certain(len(marks), 0)}}
	m.arrivals = []tpp.ExpectedArrival{
		{Mark: 3, Probability: 0.9, Parent: -1, Slot: 0, Steps: 1, Times: soon},
		{Mark: 4, Probability: 0.09, Parent: -1, Slot: 0, Steps: 1, Times: soon},
		{Mark: 1, Probability: 0.6, Parent: -1, Slot: 1, Steps: 1, Times: late},
		{Mark: 5, Probability: 0.7, Parent: -1, Slot: 2, Steps: 1, Times: late},
		{Mark: 6, Probability: 0.005, Parent: -1, Slot: 3, Steps: 1, Times: late},
	}
	return m, &tpp.Sequence{ArrivalTimes: []float64{1000, 1010, 1200, 1250, 1300, 1700}, Marks: []int{0, 1, 2, 4, 1, 1}}
}

func TestDuePicture(t *testing.T) {
	for name, marks := range map[string][]string{"due": names(7), "due with long names": longNames(7)} {
		m, s := shop(marks)
		f, err := Due(m, s, 2, name)
		if err != nil {
			t.Fatal(err)
		}
		write(t, name, f)
		l := layout(f)
		for _, words := range []string{"90 %", "9 %", "60 %", "70 %", "after 50 ms", "after 100, 500 ms"} {
			if _, found := l.Find(words); !found {
				t.Errorf("%s: nothing says %q", name, words)
			}
		}
		never := 0
		for _, text := range l.Texts {
			if text.Text == "never" {
				never++
			}
		}
		if never != 2 { // marks 3 and 5
			t.Errorf("%s: %d functions never came", name, never)
		}
		if !marked(f, "% later") {
			t.Errorf("%s: nothing says that densities are cut off", name)
		}
	}
	m, s := shop(names(7))
	s.TEnd = new(2000.0)
	f, err := Due(m, s, 2, "running")
	if err != nil {
		t.Fatal(err)
	}
	if _, found := layout(f).Find("not yet"); !found {
		t.Error("of a running sequence nothing says that something has not come yet")
	}
	for event := range s.Len() {
		if f, err = Due(m, s, event, "every event"); err != nil {
			t.Fatal(err)
		}
		write(t, "due after an event", f)
	}
	once := &tpp.Sequence{ArrivalTimes: []float64{5}, Marks: []int{0}}
	m.arrivals = nil
	if f, err = Due(m, once, 0, "over"); err != nil {
		t.Fatal(err)
	}
	write(t, "nothing is due", f)
	m, s = shop(names(100))
	s.ArrivalTimes, s.Marks = nil, nil
	for i := range 100 {
		s.ArrivalTimes, s.Marks = append(s.ArrivalTimes, float64(i)), append(s.Marks, i)
	}
	s.TEnd = nil
	if f, err = Due(m, s, 50, "many"); err != nil {
		t.Fatal(err)
	}
	if _, found := layout(f).Find("40 more functions are not drawn"); !found {
		t.Error("nothing says that lanes are left out")
	}
}

func TestDueLanes(t *testing.T) {
	m, s := shop(names(7))
	d := newDue(namer(m.names), s, 2, m.arrivals)
	var order []int
	for _, l := range d.lanes {
		order = append(order, l.mark)
	}
	// 0, 1 and 2 have come; 3 and 4 are expected at 35 ms, when mark 4 comes 15 ms later; 6 is too unlikely to be drawn.
	if want := []int{0, 1, 2, 3, 4, 5}; !slices.Equal(order, want) {
		t.Errorf("lanes of %v, want %v", order, want)
	}
	if d.now != 200 || d.end < 700 {
		t.Errorf("now is %v, the axis ends at %v", d.now, d.end)
	}
	one := d.lanes[1]
	if !slices.Equal(one.seen, []float64{10}) || !slices.Equal(one.came, []float64{300, 700}) || math.Abs(one.probability-0.6) > 1e-9 {
		t.Errorf("lane of mark 1: %+v", one)
	}
}

// TestRidgeIsTheDensity compares ridges with the distributions whose quantiles the times are.
func TestRidgeIsTheDensity(t *testing.T) {
	const now, end = 300.0, 1200.0
	for name, d := range map[string]dist.Distribution{
		"exponential": dist.Exponential{Rate: 0.01}, "narrow": &dist.LogNormMix{LogWeights: []float64{0}, Mu: []float64{6}, Sigma: []float64{0.02}},
		"two": &dist.LogNormMix{LogWeights: []float64{0, 0}, Mu: []float64{4, 6.3}, Sigma: []float64{0.1, 0.1}},
	} {
		st := ridgeOf([]tpp.ExpectedArrival{{Mark: 1, Probability: 0.3, Times: timesOf(d, 64)}, {Mark: 2, Probability: 1, Times: []float64{5}}}, 1, now, end)
		if later := 1 - d.CDF(end-now); math.Abs(st.later-later) > 0.01 {
			t.Errorf("%s: %v lies after the axis, want %v", name, st.later, later)
		}
		whole := 0.0
		for _, v := range st.mass {
			whole += v
		}
		below, width := 0.0, end/timelineCells
		for c, v := range st.mass {
			at := float64(c) * width
			if want := d.CDF(at-now) / d.CDF(end-now); math.Abs(below/whole-want) > 0.05 {
				t.Errorf("%s: %v lies before %v, want %v", name, below/whole, at, want)
				break
			}
			below += v
		}
		if top := slices.Max(st.mass); top != 1 {
			t.Errorf("%s: the highest point is %v", name, top)
		}
	}
}

func TestDueErrors(t *testing.T) {
	m, s := shop(names(7))
	for _, c := range []struct {
		model tpp.Model
		event int
		says  string
	}{
		{m, -1, "no event -1"},
		{m, 6, "no event 6, the sequence has 6"},
		{m.fixed, 0, "a fixed predicts the next event alone"},
	} {
		if _, err := Due(c.model, s, c.event, ""); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("event %d: got error %v, want it to say %q", c.event, err, c.says)
		}
	}
}
