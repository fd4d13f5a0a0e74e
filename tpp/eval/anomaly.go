package eval

import (
	"errors"
	"fmt"
	"iter"
	"math"
	"slices"

	"github.com/tppfaas/tppfaas/internal/starts"
	"github.com/tppfaas/tppfaas/tpp"
	"github.com/tppfaas/tppfaas/tpp/dist"
)

// Suspicion is how unlikely a gap of a sequence was to a model that had followed the sequence until then, in nats. The gap is
// the silence before an event, or the one after the last event. A value is NaN where the model says nothing about it.
type Suspicion struct {
	// Late is −log P(silence so far), at the end of the silence: 0 for an event that comes at once, log 2 for one that comes at its median. The
	// probability that the event would have come by then is 1 − exp(−Late).
	//
	// Of a State that is no LatenessState it is the survival of the next event, whichever it is. After the last event of a complete sequence
	// the silence lasts for ever: Late is then −log of the probability that the sequence was over. Of a LatenessState it is the largest over
	// the marks: of the mark that came that of its whole wait, of others what this gap adds to their wait, so that an event that
	// never comes makes the gap suspicious in which it should have come, but not all that follow.
	Late float64
	// Mark is −log P(mark), given when it came, of the event that ended the gap, and that the sequence goes on; after the last event of
	// a complete sequence −log P(over). It sees what comes instead of something else, and where something is left out.
	Mark float64
	// Surprise is −log P(mark, tick) of the event that ended the gap, the joint probability at the clock's resolution and that the sequence goes
	// on; after the last event of a complete sequence −log P(over). It sees all of that, and what comes too early, but also every tick that is rare.
	Surprise float64
}

// Suspicions are what a model makes of a sequence.
type Suspicions struct {
	// Gaps has an entry for each event, for the gap before it, and one for the silence after the last.
	Gaps []Suspicion
	// Waits has the lateness, in nats, of everything that was waited for, when that wait was over: as many alarms would a
	// threshold have raised as there are waits that reach it. Of a State that is no LatenessState each gap is a wait.
	Waits []float64
}

// Suspect follows a sequence with a model, whose marks the sequence must have. Resolution is the tick of the clock: an event counts as
// late as it was when its tick began. The error names the event.
func Suspect(m tpp.Model, s *tpp.Sequence, resolution float64) (Suspicions, error) {
	if m == nil || s == nil {
		return Suspicions{}, errors.New("suspicion: no model or no sequence")
	}
	if !(resolution > 0) || math.IsInf(resolution, 0) {
		return Suspicions{}, fmt.Errorf("suspicion: the resolution is %v, it must be above 0", resolution)
	}
	if err := s.Validate(max(len(m.MarkNames()), 1)); err != nil && s.Len() > 0 {
		return Suspicions{}, fmt.Errorf("suspicion: %w", err)
	}
	s, err := starts.Seen(m, s)
	if err != nil {
		return Suspicions{}, fmt.Errorf("suspicion: %w", err)
	}
	out := Suspicions{Gaps: make([]Suspicion, 0, s.Len()+1)}
	last := s.Start() // the time of the last event or start
	state := m.NewState(last)
	waits := newWaits(state, last)
	teller, err := starts.NewTeller(m, state, s)
	if err != nil {
		return Suspicions{}, fmt.Errorf("suspicion: %w", err)
	}
	var quiet silence // from the last event to the last start since then
	started := func(time float64) {
		quiet.add(state.Next(last), time-last)
		last = time
	}
	covariates := m.CovariateNames()
	var values []float64
	for i := range s.Len() {
		quiet = silence{}
		if err := teller.Tell(s.ArrivalTimes[i], started); err != nil {
			return Suspicions{}, err
		}
		gap := s.ArrivalTimes[i] - last
		silence := max(gap-resolution/2, 0)
		suspicion := unknown()
		if _, known := s.GapBefore(i); known {
			suspicion = suspect(state.Next(last), silence, gap, s.Mark(i), resolution).after(quiet)
			if waits != nil {
				suspicion.Late = waits.until(last+silence, s.Mark(i))
			} else if !math.IsNaN(suspicion.Late) {
				out.Waits = append(out.Waits, suspicion.Late)
			}
		}
		out.Gaps = append(out.Gaps, suspicion)
		last = s.ArrivalTimes[i]
		event := s.Event(i, covariates, values)
		values = event.Covariates
		if err := state.Observe(event); err != nil {
			return Suspicions{}, fmt.Errorf("event %d: %w", i, err)
		}
		teller.Arrived(i)
		if waits != nil {
			out.Waits = waits.observed(last, out.Waits)
		}
	}
	quiet = silence{}
	if err := teller.Tell(math.Inf(1), started); err != nil {
		return Suspicions{}, err
	}
	suspicion := suspectEnd(m, state.Next(last), s, last).after(quiet)
	if waits != nil {
		until := math.Inf(1)
		if s.TEnd != nil {
			until = *s.TEnd
		}
		suspicion.Late = waits.until(until, -1)
		out.Waits = waits.over(out.Waits)
	} else if !math.IsNaN(suspicion.Late) {
		out.Waits = append(out.Waits, suspicion.Late)
	}
	out.Gaps = append(out.Gaps, suspicion)
	return out, nil
}

// unknown returns a suspicion that says nothing.
func unknown() Suspicion { return Suspicion{math.NaN(), math.NaN(), math.NaN()} }

// after returns the suspicion of a whole gap, where s is that of what was left of it after the last start.
func (s Suspicion) after(quiet silence) Suspicion {
	s.Late -= quiet.any
	s.Surprise -= quiet.any
	return s
}

func suspect(n *tpp.Next, silence, gap float64, mark int, resolution float64) Suspicion {
	s := unknown()
	goesOn := 0 - math.Log1p(-n.End)
	s.Mark = goesOn - n.LogMark(gap, mark)
	if n.Time != nil && dist.HasDensity(n.Time) {
		s.Late = 0 - n.LogSurvival(silence)
		s.Surprise = goesOn - n.LogResolution(gap, resolution, mark)
	}
	return s
}

// suspectEnd returns the suspicion of the silence after the last event or start. A model that does not predict ends says nothing of it.
func suspectEnd(m tpp.Model, n *tpp.Next, s *tpp.Sequence, last float64) Suspicion {
	out := unknown()
	density := n.Time != nil && dist.HasDensity(n.Time)
	if s.TEnd != nil {
		if density {
			out.Late = 0 - n.LogSurvival(*s.TEnd-last)
			out.Surprise = out.Late
		}
		return out
	}
	if e, ok := m.(tpp.EndModel); ok && e.KnowsEnd() {
		out.Mark = 0 - math.Log(n.End)
		if density {
			out.Late, out.Surprise = out.Mark, out.Mark
		}
	}
	return out
}

// waits follows the lateness of everything that is due.
type waits struct {
	state tpp.LatenessState
	// before is the lateness by mark after the last event, now that at the end of the gap that is open, both as probabilities.
	before, now []float64
}

// newWaits returns nil for a state that is no LatenessState.
func newWaits(state tpp.State, start float64) *waits {
	l, ok := state.(tpp.LatenessState)
	if !ok {
		return nil
	}
	return &waits{state: l, before: l.Lateness(start, nil)}
}

// until ends a gap at a time, with the mark that came then, −1 for none, and returns its Suspicion.Late.
func (w *waits) until(time float64, mark int) float64 {
	w.now = w.state.Lateness(time, w.now[:0])
	late := 0.0
	for m, p := range w.now {
		wait := inNats(p)
		if m != mark && m < len(w.before) && w.before[m] > 0 {
			if wait = wait - inNats(w.before[m]); math.IsNaN(wait) { // certainly late already
				wait = 0
			}
		}
		late = max(late, wait)
	}
	return late
}

// observed appends the waits that an event at a time has ended: those of marks that are less late after it than before.
func (w *waits) observed(time float64, ended []float64) []float64 {
	w.before = w.state.Lateness(time, w.before[:0])
	for m, p := range w.now {
		if m < len(w.before) && w.before[m] < p {
			ended = append(ended, inNats(p))
		}
	}
	w.now = w.now[:0]
	return ended
}

// over appends the waits that the end of the sequence has ended.
func (w *waits) over(ended []float64) []float64 {
	for _, p := range w.now {
		if p > 0 {
			ended = append(ended, inNats(p))
		}
	}
	return ended
}

// inNats returns −log(1 − p).
func inNats(p float64) float64 { return 0 - math.Log1p(-p) }

// Labelled is a sequence with anomalies as a model sees it.
type Labelled struct {
	Suspicions
	// Anomalous says of each of the Gaps whether it ended as it did because of an anomaly.
	Anomalous []bool
}

// Detection says how well one number tells anomalous sequences from normal ones. A sequence is as suspicious as its most suspicious gap
// or, by lateness, its longest wait.
type Detection struct {
	// AUC is the probability that an anomalous sequence is more suspicious than a normal one, GapAUC the same of an anomalous gap and a gap of a
	// normal sequence. Equal ones count as half (see AUC).
	AUC, GapAUC float64
	// FalseAlarms90 is the number of alarms per normal sequence at the highest threshold that at least 90 % of the anomalous sequences reach.
	FalseAlarms90 float64
}

// Detections say how well a model tells anomalous sequences from normal ones. Scores that no sequence gives are NaN.
type Detections struct {
	Anomalous, Normal int // numbers of sequences
	// Late, Mark and Surprise are the detections by each of the values of a Suspicion alone.
	Late, Mark, Surprise Detection
	// Caught99 is the share of anomalous sequences with a wait whose lateness is at least 0.99, as a probability, and FalseAlarms99 the number of
	// such waits per normal sequence: a right model has one in a hundred waits.
	Caught99, FalseAlarms99 float64
}

// All returns the scores with their names, in the order of the fields.
func (d Detections) All() iter.Seq2[string, float64] {
	return func(yield func(string, float64) bool) {
		for _, score := range [...]struct {
			name  string
			value float64
		}{
			{"anomalous", float64(d.Anomalous)}, {"normal", float64(d.Normal)},
			{"auc_late", d.Late.AUC}, {"gap_auc_late", d.Late.GapAUC}, {"false_alarms_90_late", d.Late.FalseAlarms90},
			{"auc_mark", d.Mark.AUC}, {"gap_auc_mark", d.Mark.GapAUC}, {"false_alarms_90_mark", d.Mark.FalseAlarms90},
			{"auc_surprise", d.Surprise.AUC}, {"gap_auc_surprise", d.Surprise.GapAUC}, {"false_alarms_90_surprise", d.Surprise.FalseAlarms90},
			{"caught_99", d.Caught99}, {"false_alarms_99", d.FalseAlarms99},
		} {
			if !yield(score.name, score.value) {
				return
			}
		}
	}
}

// Detect compares what a model makes of sequences with anomalies and of normal ones. Gaps of anomalous sequences that are not labelled
// count neither as anomalous nor as normal.
func Detect(anomalous []Labelled, normal []Suspicions) Detections {
	d := Detections{Anomalous: len(anomalous), Normal: len(normal), Caught99: math.NaN(), FalseAlarms99: math.NaN()}
	waits := func(s Suspicions) []float64 { return s.Waits }
	each := func(of func(Suspicion) float64) func(Suspicions) []float64 {
		return func(s Suspicions) []float64 {
			out := make([]float64, len(s.Gaps))
			for i, g := range s.Gaps {
				out[i] = of(g)
			}
			return out
		}
	}
	late := func(s Suspicion) float64 { return s.Late }
	mark := func(s Suspicion) float64 { return s.Mark }
	surprise := func(s Suspicion) float64 { return s.Surprise }
	d.Late = detect(anomalous, normal, late, waits)
	d.Mark = detect(anomalous, normal, mark, each(mark))
	d.Surprise = detect(anomalous, normal, surprise, each(surprise))
	if math.IsNaN(d.Late.AUC) {
		return d // no lateness, and so no waits
	}
	certain := inNats(0.99)
	caught := 0
	for _, s := range anomalous {
		if slices.ContainsFunc(s.Waits, func(wait float64) bool { return wait >= certain }) {
			caught++
		}
	}
	d.Caught99 = float64(caught) / float64(len(anomalous))
	d.FalseAlarms99 = alarms(normal, waits, certain)
	return d
}

// detect compares gaps by a number, and sequences by the largest of the numbers that alarmed returns, of which each that reaches a threshold
// is an alarm.
func detect(anomalous []Labelled, normal []Suspicions, of func(Suspicion) float64, alarmed func(Suspicions) []float64) Detection {
	var traces, gaps [2][]float64 // of normal and of anomalous ones
	most := func(s Suspicions) float64 {
		top := math.NaN()
		for _, v := range alarmed(s) {
			if math.IsNaN(top) || v > top {
				top = v
			}
		}
		if math.IsNaN(top) { // nothing was waited for
			for _, g := range s.Gaps {
				if v := of(g); math.IsNaN(top) || v > top {
					top = v
				}
			}
		}
		return top
	}
	add := func(list *[]float64, v float64) {
		if !math.IsNaN(v) {
			*list = append(*list, v)
		}
	}
	for _, s := range normal {
		add(&traces[0], most(s))
		for _, g := range s.Gaps {
			add(&gaps[0], of(g))
		}
	}
	for _, s := range anomalous {
		add(&traces[1], most(s.Suspicions))
		for i, g := range s.Gaps {
			if i < len(s.Anomalous) && s.Anomalous[i] {
				add(&gaps[1], of(g))
			}
		}
	}
	d := Detection{AUC: AUC(traces[1], traces[0]), GapAUC: AUC(gaps[1], gaps[0]), FalseAlarms90: math.NaN()}
	if n := len(traces[1]); n > 0 {
		slices.Sort(traces[1])
		d.FalseAlarms90 = alarms(normal, alarmed, traces[1][n/10]) // n/10 of them, rounded down, are below
	}
	return d
}

// alarms returns the number of alarms at a threshold per sequence.
func alarms(sequences []Suspicions, alarmed func(Suspicions) []float64, threshold float64) float64 {
	n := 0
	for _, s := range sequences {
		for _, v := range alarmed(s) {
			if v >= threshold {
				n++
			}
		}
	}
	return float64(n) / float64(len(sequences))
}

// AUC returns the area under the receiver operating characteristic: the probability that a positive is larger than a negative, if one of each
// is drawn at random, where equal ones count as half (Hanley and McNeil 1982). It is NaN if there are none of either, or if one is NaN.
func AUC(positives, negatives []float64) float64 {
	if len(positives) == 0 || len(negatives) == 0 {
		return math.NaN()
	}
	isNaN := func(v float64) bool { return math.IsNaN(v) }
	if slices.ContainsFunc(positives, isNaN) || slices.ContainsFunc(negatives, isNaN) {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(negatives))
	sum := 0.0
	for _, v := range positives {
		below, _ := slices.BinarySearch(sorted, v)
		upTo, _ := slices.BinarySearchFunc(sorted, v, func(element, target float64) int {
			if element <= target {
				return -1
			}
			return 1
		})
		sum += float64(below) + float64(upTo-below)/2
	}
	return sum / float64(len(positives)) / float64(len(negatives))
}
