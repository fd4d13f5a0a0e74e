package eval

import (
	"math"
	"slices"

	"github.com/tppfaas/tppfaas/tpp"
)

// Window is what a model expected from some time on up to a horizon, and what came in that time.
type Window struct {
	Predicted []tpp.PredictedEvent
	Came      []tpp.Event
}

// TMAP returns the temporal mean average precision of forecasts, from 0 to 1 (Karpukhin, Shipilov and Savchenko 2024, HoTPP
// Benchmark: Are We Good at the Long Horizon Events Forecasting?, arXiv 2406.14341): the mean over marks of the average
// precision with which events of the mark are detected.
//
// For a mark, every predicted event is a detection whose confidence is the probability that the event comes and has the
// mark, times the probability that it then comes within the tolerance, where the prediction says that (PredictedEvent.Near). In each window detections are matched with the events of the mark that came, one to one and at most tolerance apart,
// so that among the detections above any threshold of confidence as many as possible are matched. Matched detections are
// right, others wrong, and events that came and are not matched were missed, in all windows together. The average precision is
// ∑ₙ Pₙ (Rₙ − Rₙ₋₁) with precision P and recall R at each threshold, from the highest confidence to the lowest.
//
// Details differ from the authors' program (hotpp/metrics/tmap.py of ivan-chai/hotpp-benchmark, commit 02515f1). A mark of which no event came
// has no average precision, and does not count; there it counts as 0, as does a mark whose detections are all right. Detections of
// equal confidence pass a threshold together, so that their order makes no difference. And as many as possible are matched whatever
// the confidences are; there a match that costs more than a bound may be given up.
//
// Detections with a confidence below 1e-4 are left out: with many marks nearly all are such. TMAP is NaN if nothing came.
func TMAP(windows []Window, tolerance float64) float64 {
	var d detections
	for _, w := range windows {
		d.add(w.Predicted, w.Came, tolerance)
	}
	return d.meanAveragePrecision()
}

// minConfidence is the confidence below which a detection is left out.
const minConfidence = 1e-4

// detections are the outcomes of the detections of all windows, by mark.
type detections struct {
	marks []markDetections
	match matcher
}

// markDetections are the confidences of the right and wrong detections of one mark, and the number of its events that came.
type markDetections struct {
	right, wrong []float64
	came         int
}

func (d *detections) ofMark(mark int) *markDetections {
	for len(d.marks) <= mark {
		d.marks = append(d.marks, markDetections{})
	}
	return &d.marks[mark]
}

// add adds a window.
func (d *detections) add(predicted []tpp.PredictedEvent, came []tpp.Event, tolerance float64) {
	marks := 0
	for i := range predicted {
		marks = max(marks, len(predicted[i].Marks), predicted[i].Mark+1)
	}
	for _, e := range came {
		marks = max(marks, e.Mark+1)
	}
	for mark := range marks {
		d.match.reset()
		for i := range predicted {
			p := predicted[i].ProbabilityOf(mark)
			if p >= minConfidence {
				p *= predicted[i].Near(tolerance)
			}
			if p >= minConfidence {
				d.match.detections = append(d.match.detections, detection{predicted[i].Time, p})
			}
		}
		for _, e := range came {
			if e.Mark == mark {
				d.match.times = append(d.match.times, e.Time)
			}
		}
		if len(d.match.detections) == 0 && len(d.match.times) == 0 {
			continue
		}
		to := d.ofMark(mark)
		to.came += len(d.match.times)
		d.match.all(tolerance, to)
	}
}

// merge adds the detections of other windows.
func (d *detections) merge(o *detections) {
	for mark := range o.marks {
		from, to := &o.marks[mark], d.ofMark(mark)
		to.right = append(to.right, from.right...)
		to.wrong = append(to.wrong, from.wrong...)
		to.came += from.came
	}
}

// meanAveragePrecision returns the mean over the marks of which events came, NaN if there is none.
func (d *detections) meanAveragePrecision() float64 {
	sum, n := 0.0, 0.0
	for i := range d.marks {
		if d.marks[i].came > 0 {
			sum += d.marks[i].averagePrecision()
			n++
		}
	}
	return sum / n
}

func (d *markDetections) averagePrecision() float64 {
	descending := func(a, b float64) int {
		switch {
		case a > b:
			return -1
		case a < b:
			return 1
		}
		return 0
	}
	slices.SortFunc(d.right, descending)
	slices.SortFunc(d.wrong, descending)
	ap := 0.0
	wrong := 0
	for first := 0; first < len(d.right); {
		threshold := d.right[first]
		last := first
		for last < len(d.right) && d.right[last] == threshold {
			last++
		}
		for wrong < len(d.wrong) && d.wrong[wrong] >= threshold {
			wrong++
		}
		precision := float64(last) / float64(last+wrong)
		ap += precision * float64(last-first) / float64(d.came)
		first = last
	}
	return ap
}

// detection is a predicted event as seen by one mark.
type detection struct{ time, confidence float64 }

// matcher matches the detections of one mark in one window with the events that came.
type matcher struct {
	detections []detection
	times      []float64 // of the events that came
	owner      []int     // of each event: the detection matched with it, or −1
	tried      []int     // of each event: the last detection for which an augmenting path tried it, plus 1
}

func (m *matcher) reset() { m.detections, m.times = m.detections[:0], m.times[:0] }

// all matches detections in the order of their confidence, each by an augmenting path (Kuhn's algorithm). A detection that has
// been matched stays so, with another event perhaps. The sets of detections that can be matched are the independent sets of
// a transversal matroid, in which this greedy order is best at every threshold at once: it is the assignment with the
// greatest confidence.
func (m *matcher) all(tolerance float64, to *markDetections) {
	slices.SortStableFunc(m.detections, func(a, b detection) int {
		switch {
		case a.confidence > b.confidence:
			return -1
		case a.confidence < b.confidence:
			return 1
		}
		return 0
	})
	m.owner, m.tried = m.owner[:0], m.tried[:0]
	for range m.times {
		m.owner, m.tried = append(m.owner, -1), append(m.tried, 0)
	}
	for i, d := range m.detections {
		if m.augment(i, i+1, tolerance) {
			to.right = append(to.right, d.confidence)
		} else {
			to.wrong = append(to.wrong, d.confidence)
		}
	}
}

// augment finds an event for a detection, if need be by giving the detection that has it another event.
func (m *matcher) augment(detection, attempt int, tolerance float64) bool {
	for j, t := range m.times {
		if m.tried[j] == attempt || !(math.Abs(t-m.detections[detection].time) <= tolerance) {
			continue
		}
		m.tried[j] = attempt
		if m.owner[j] < 0 || m.augment(m.owner[j], attempt, tolerance) {
			m.owner[j] = detection
			return true
		}
	}
	return false
}
