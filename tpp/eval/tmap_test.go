package eval

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/tppfaas/tppfaas/tpp"
	"github.com/tppfaas/tppfaas/tpp/internal/tpptest"
)

func TestTMAPByHand(t *testing.T) {
	certain := func(time float64, mark int, p float64) tpp.PredictedEvent {
		return tpp.PredictedEvent{Time: time, Mark: mark, Probability: p}
	}
	for _, c := range []struct {
		name    string
		windows []Window
		want    float64
	}{
		{"nothing came", []Window{{Predicted: []tpp.PredictedEvent{certain(1, 0, 1)}}}, math.NaN()},
		{"nothing was predicted", []Window{{Came: []tpp.Event{{Time: 1}}}}, 0},
		{"as far as the tolerance", []Window{{[]tpp.PredictedEvent{certain(3, 0, 0.5)}, []tpp.Event{{Time: 1}}}}, 1},
		{"farther", []Window{{[]tpp.PredictedEvent{certain(3.01, 0, 0.5)}, []tpp.Event{{Time: 1}}}}, 0},
		{"the mark of another", []Window{{[]tpp.PredictedEvent{certain(1, 1, 1)}, []tpp.Event{{Time: 1}}}}, 0},
		{"one for two", []Window{{[]tpp.PredictedEvent{certain(1, 0, 1)}, []tpp.Event{{Time: 1}, {Time: 1}}}}, 0.5},
		{"two for one", []Window{{[]tpp.PredictedEvent{certain(1, 0, 1), certain(2, 0, 1)}, []tpp.Event{{Time: 1}}}}, 0.5},
		{"the second was less sure", []Window{{[]tpp.PredictedEvent{certain(1, 0, 1), certain(2, 0, 0.9)}, []tpp.Event{{Time: 1}}}}, 1},
		{"the first was less sure", []Window{{[]tpp.PredictedEvent{certain(5, 0, 0.9), certain(1, 0, 0.8)}, []tpp.Event{{Time: 1}}}}, 0.5},
		// The surer detection takes the event at 1 alone, and leaves it to the other one for that at 4.
		{"making room", []Window{{[]tpp.PredictedEvent{certain(2.5, 0, 0.9), certain(0, 0, 0.8)}, []tpp.Event{{Time: 1}, {Time: 4}}}}, 1},
		// Mark 0: right. Mark 1: wrong at 0.9, then right at 0.6: 1/2. Mark 2 was predicted and never came.
		{"the mean over marks that came", []Window{
			{[]tpp.PredictedEvent{certain(1, 0, 1), certain(1, 1, 0.9)}, []tpp.Event{{Time: 1}}},
			{[]tpp.PredictedEvent{certain(1, 1, 0.6), certain(2, 2, 1)}, []tpp.Event{{Time: 1, Mark: 1}}},
		}, 0.75},
		// Each event is a detection of every mark: mark 0 at 0.72 and 0.08, mark 1 at 0.08 and 0.72 of 0.8.
		{"uncertain marks", []Window{{
			[]tpp.PredictedEvent{{Time: 1, Mark: 0, Probability: 0.8, Marks: []float64{0.9, 0.1}}, {Time: 2, Mark: 1, Probability: 0.8, Marks: []float64{0.1, 0.9}}},
			[]tpp.Event{{Time: 1, Mark: 0}, {Time: 2, Mark: 0}},
		}}, 1},
	} {
		if got := TMAP(c.windows, 2); !same(got, c.want, 1e-12) {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

// TestTMAPOfTheAuthors takes the example of the tests of HoTPP (tests/metrics/test_metric.py): two windows of two marks, of
// which it finds 0 and 1/2 at a tolerance of 0, 1 and 3/4 at 1. There every mark counts, here those that came.
func TestTMAPOfTheAuthors(t *testing.T) {
	event := func(time, p0, p1 float64) tpp.PredictedEvent {
		return tpp.PredictedEvent{Time: time, Probability: 1, Marks: []float64{p0, p1}}
	}
	windows := []Window{
		{[]tpp.PredictedEvent{event(2, 0, 0.9), event(0, 0.05, 0.05), event(1, 0, 1)}, []tpp.Event{{Time: -1, Mark: 0}, {Time: 2, Mark: 1}}},
		{[]tpp.PredictedEvent{event(4, 0, 0.8), event(8, 0, 0.09)}, []tpp.Event{{Time: 8, Mark: 1}}},
	}
	for tolerance, want := range map[float64]float64{0: (0 + 0.5) / 2, 1: (1 + 0.75) / 2} {
		if got := TMAP(windows, tolerance); !tpptest.Near(got, want, 1e-12) {
			t.Errorf("with a tolerance of %v: %v, want %v", tolerance, got, want)
		}
	}
}

// bruteTMAP is TMAP by its definition: at each threshold, the largest of all matchings.
func bruteTMAP(windows []Window, tolerance float64, marks int) float64 {
	var most func(detections, came []float64) int
	most = func(detections, came []float64) int {
		if len(detections) == 0 {
			return 0
		}
		best := most(detections[1:], came)
		for j, y := range came {
			if math.Abs(detections[0]-y) <= tolerance {
				best = max(best, 1+most(detections[1:], slices.Delete(slices.Clone(came), j, j+1)))
			}
		}
		return best
	}
	sum, n := 0.0, 0.0
	for mark := range marks {
		var thresholds []float64
		total := 0
		for _, w := range windows {
			for _, p := range w.Predicted {
				thresholds = append(thresholds, p.ProbabilityOf(mark))
			}
			for _, e := range w.Came {
				if e.Mark == mark {
					total++
				}
			}
		}
		if total == 0 {
			continue
		}
		slices.Sort(thresholds)
		slices.Reverse(thresholds)
		ap, recall := 0.0, 0.0
		for _, threshold := range slices.Compact(thresholds) {
			right, detected := 0, 0
			for _, w := range windows {
				var detections, came []float64
				for _, p := range w.Predicted {
					if p.ProbabilityOf(mark) >= threshold {
						detections = append(detections, p.Time)
					}
				}
				for _, e := range w.Came {
					if e.Mark == mark {
						came = append(came, e.Time)
					}
				}
				right += most(detections, came)
				detected += len(detections)
			}
			r := float64(right) / float64(total)
			ap += float64(right) / float64(detected) * (r - recall)
			recall = r
		}
		sum += ap
		n++
	}
	return sum / n
}

// drawWindows draws windows of two marks with confidences of few values, so that there are ties.
func drawWindows(t *rapid.T) []Window {
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) Window {
		w := Window{Came: drawEvents(t, "came")}
		for i := range w.Came {
			w.Came[i].Mark %= 2
		}
		for range rapid.IntRange(0, 6).Draw(t, "predicted") {
			p := float64(rapid.IntRange(1, 9).Draw(t, "p")) / 10
			w.Predicted = append(w.Predicted, tpp.PredictedEvent{
				Time: float64(rapid.IntRange(0, 40).Draw(t, "time")), Probability: float64(rapid.IntRange(1, 4).Draw(t, "presence")) / 4, Marks: []float64{p, 1 - p},
			})
		}
		return w
	}), 1, 3).Draw(t, "windows")
}

func TestTMAPIsTheBestMatchingAtEachThreshold(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		windows := drawWindows(t)
		tolerance := float64(rapid.IntRange(0, 12).Draw(t, "tolerance"))
		if got, want := TMAP(windows, tolerance), bruteTMAP(windows, tolerance, 2); !same(got, want, 1e-9) {
			t.Errorf("T-mAP of %+v within %v is %v, by all matchings %v", windows, tolerance, got, want)
		}
	})
}

func TestTMAPOfPerfectForecastsIsOne(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		windows := drawWindows(t)
		came := 0
		for i := range windows {
			w := &windows[i]
			w.Predicted = nil
			for _, e := range w.Came {
				w.Predicted = append(w.Predicted, tpp.PredictedEvent{Time: e.Time, Mark: e.Mark, Probability: rapid.Float64Range(0.01, 1).Draw(t, "p")})
			}
			came += len(w.Came)
		}
		if got := TMAP(windows, 0); came > 0 && !tpptest.Near(got, 1, 1e-9) {
			t.Errorf("T-mAP is %v", got)
		}
	})
}

func TestTMAPInvariance(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		windows := drawWindows(t)
		want := TMAP(windows, 5)
		rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1))
		other := make([]Window, len(windows))
		for i, w := range windows {
			other[i] = Window{slices.Clone(w.Predicted), slices.Clone(w.Came)}
			for j := range other[i].Predicted {
				// Another origin and unit of time, confidences in the same order, and one more wrong detection of the lowest confidence.
				p := &other[i].Predicted[j]
				p.Time = 1000 + 3*p.Time
				p.Marks = []float64{p.ProbabilityOf(0), p.ProbabilityOf(1)}
				p.Probability = 0.5
			}
			for j := range other[i].Came {
				other[i].Came[j].Time = 1000 + 3*other[i].Came[j].Time
			}
			other[i].Predicted = append(other[i].Predicted, tpp.PredictedEvent{Time: 1e6, Mark: 1, Probability: 0.001})
			rng.Shuffle(len(other[i].Predicted), func(a, b int) {
				p := other[i].Predicted
				p[a], p[b] = p[b], p[a]
			})
			rng.Shuffle(len(other[i].Came), func(a, b int) { c := other[i].Came; c[a], c[b] = c[b], c[a] })
		}
		rng.Shuffle(len(other), func(a, b int) { other[a], other[b] = other[b], other[a] })
		if got := TMAP(other, 15); !same(got, want, 1e-9) {
			t.Errorf("T-mAP is %v, was %v", got, want)
		}
	})
}

// TestTMAPOfNothing checks that odd windows do not panic.
func TestTMAPOfNothing(t *testing.T) {
	odd := Window{[]tpp.PredictedEvent{{}, {Time: math.NaN(), Mark: -1, Probability: math.NaN()}, {Mark: -3, Probability: 1, Marks: []float64{}}}, []tpp.Event{{Time: math.NaN()}, {Mark: -2}}}
	for _, tolerance := range []float64{math.NaN(), -1, 0, math.Inf(1)} {
		TMAP([]Window{odd}, tolerance)
		if got := TMAP(nil, tolerance); !math.IsNaN(got) {
			t.Errorf("T-mAP of no windows is %v", got)
		}
	}
}

// BenchmarkTMAP scores 200 windows of ten events of ten marks.
func BenchmarkTMAP(b *testing.B) {
	rng := rand.New(rand.NewPCG(1, 2))
	windows := make([]Window, 200)
	for i := range windows {
		for range 10 {
			marks := make([]float64, 10)
			for m := range marks {
				marks[m] = 0.1
			}
			windows[i].Predicted = append(windows[i].Predicted, tpp.PredictedEvent{Time: 1000 * rng.Float64(), Probability: rng.Float64(), Marks: marks})
			windows[i].Came = append(windows[i].Came, tpp.Event{Time: 1000 * rng.Float64(), Mark: rng.IntN(10)})
		}
	}
	for b.Loop() {
		TMAP(windows, 200)
	}
}
