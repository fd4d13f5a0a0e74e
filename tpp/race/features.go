package race

import (
	"fmt"
	"math"
	"math/bits"

	"github.com/tppfaas/tppfaas/internal/nn"
	"github.com/tppfaas/tppfaas/internal/num"
	"github.com/tppfaas/tppfaas/tpp"
)

// encoder turns what a tracker knows into the inputs of the network.
type encoder struct {
	*structure
	regime      Regime
	covariates  []string
	mean, std   []float64 // of the covariates
	scales      []float64 // of differences between delays and medians, in ticks of the clock
	ancestors   int       // of which a row tells how late they were
	stepColumns int       // of a step, with its mark
	rowColumns  int       // of a row
}

// stepNames are the inputs of a step beside its mark: the logs of the gap before it, of the delay since its slot's anchor, and of the
// time since the sequence began. How the delay compares with the median of its class, at each scale, follows, and then whether a slot explains it.
var stepNames = []string{"gap", "delay", "since_start"}

func newEncoder(s *structure, c *Config) *encoder {
	e := &encoder{
		structure: s, regime: c.Regime, covariates: c.Covariates, scales: c.Scales, ancestors: max(c.Ancestors, 0),
		mean: make([]float64, len(c.Covariates)), std: make([]float64, len(c.Covariates)),
	}
	for i := range e.std {
		e.std[i] = 1
	}
	e.stepColumns = 1 + len(e.stepFeatures())
	// Of a row: the log of the delay so far, how it compares with the median of its class and how late the parent was, both at each scale, how late the
	// ancestors were at the coarse ones, and whether the delay has just begun.
	e.rowColumns = 2 + 2*len(e.scales) + e.ancestors*len(e.coarse()) + len(c.Covariates)
	if e.regime == Starts {
		e.rowColumns += 2
	}
	return e
}

// stepFeatures returns the inputs of a step beside its mark.
func (e *encoder) stepFeatures() []nn.Feature {
	var out []nn.Feature
	for _, name := range stepNames {
		out = append(out, nn.Feature{Name: name})
	}
	for i := range e.scales {
		out = append(out, nn.Feature{Name: fmt.Sprintf("excess_%d", i)})
	}
	out = append(out, nn.Feature{Name: "explained"})
	if e.regime == Starts {
		out = append(out, nn.Feature{Name: "wait"}, nn.Feature{Name: "initialisation"})
	}
	for _, name := range e.covariates {
		out = append(out, nn.Feature{Name: "covariate_" + name})
	}
	return out
}

// levels returns the number of categories of a step: the marks, the start of the sequence and, if starts are told, those of each mark.
func (e *encoder) levels() int {
	if e.regime == Starts {
		return 2*e.numMarks + 1
	}
	return e.numMarks + 1
}

// measure computes the mean and the standard deviation of the covariates. The error names one whose values are too far apart for numbers.
func (e *encoder) measure(d *tpp.Dataset) error {
	for i, name := range e.covariates {
		var values num.Moments
		for j := range d.Sequences {
			for k := range d.Sequences[j].Len() {
				values.Add(d.Sequences[j].Covariate(name, k))
			}
		}
		if e.mean[i], e.std[i] = values.Mean, values.Std(); math.IsNaN(e.mean[i]) || math.IsInf(e.mean[i], 0) || math.IsInf(e.std[i], 0) {
			return fmt.Errorf("covariate %q has the mean %v and the standard deviation %v", name, e.mean[i], e.std[i])
		}
	}
	return nil
}

// standardise appends the covariates of an event to dst.
func (e *encoder) standardise(dst, covariates []float64) []float64 {
	for i, v := range covariates {
		dst = append(dst, num.Standardised(v, e.mean[i], e.std[i]))
	}
	return dst
}

// squash returns how a difference compares with a scale, between −1 and 1.
func squash(difference, scale float64) float64 { return math.Tanh(difference / scale) }

func (e *encoder) appendExcess(dst []float64, excess float64) []float64 {
	return e.appendSquashed(dst, excess, e.scales)
}

func (e *encoder) appendSquashed(dst []float64, late float64, scales []float64) []float64 {
	for _, s := range scales {
		dst = append(dst, squash(late, s*e.tick))
	}
	return dst
}

// coarse returns the latter half of the scales, at which rows tell how late ancestors were: only long waits of theirs say more than the excess of the
// parent, and a small part has the fewer inputs to learn by heart.
func (e *encoder) coarse() []float64 { return e.scales[len(e.scales)/2:] }

// appendArrival appends the inputs of an event: its category and all others. standardised holds its covariates.
func (e *encoder) appendArrival(dst []float64, t *tracker, time float64, mark int, a arrival, standardised []float64) []float64 {
	dst = append(dst, float64(mark), e.log(time-t.last)/3, e.log(a.delay)/3, e.log(time-t.start)/5)
	dst = e.appendExcess(dst, a.excess)
	explained := 0.0
	if a.slot >= 0 {
		explained = 1
	}
	dst = append(dst, explained)
	if e.regime == Starts {
		dst = append(dst, 0, 0)
	}
	return append(dst, standardised...)
}

// appendStarted appends the inputs of the start of an event with the mark.
func (e *encoder) appendStarted(dst []float64, t *tracker, time float64, mark int, wait, initialisation float64) []float64 {
	dst = append(dst, float64(e.numMarks+1+mark), e.log(time-t.last)/3, 0, e.log(time-t.start)/5)
	for range e.scales {
		dst = append(dst, 0)
	}
	dst = append(dst, 0)
	dst = append(dst, e.log(wait)/3, e.log(initialisation)/3)
	for range e.covariates {
		dst = append(dst, 0)
	}
	return dst
}

// appendBegin appends the inputs of the start of a sequence.
func (e *encoder) appendBegin(dst []float64) []float64 {
	dst = append(dst, float64(e.numMarks))
	for range e.stepColumns - 1 {
		dst = append(dst, 0)
	}
	return dst
}

// appendRow appends the inputs of an alternative of a slot that is due, entry i of the tracker.
func (e *encoder) appendRow(dst []float64, t *tracker, i, class int) []float64 {
	p := &t.due[i]
	elapsed := t.last - p.anchor
	dst = append(dst, e.log(elapsed)/3)
	dst = e.appendExcess(dst, elapsed-e.classes[class].median)
	dst = e.appendExcess(dst, p.excess)
	just := 0.0
	if elapsed == 0 {
		just = 1
	}
	dst = append(dst, just)
	if e.regime == Starts {
		dst = append(dst, e.log(p.placed[0])/3, e.log(p.placed[1])/3)
	}
	for _, late := range p.before[:e.ancestors] {
		dst = e.appendSquashed(dst, late, e.coarse())
	}
	return append(dst, t.covariates[i*t.width:(i+1)*t.width]...)
}

// appendRows appends the rows of all that is due, and their inputs.
func appendRows[F nn.Float](e *encoder, t *tracker, rows []row[F], feats []F, memory []float64) ([]row[F], []F, []float64) {
	for i := range t.due {
		p := &t.due[i]
		first, skipped, elapsed := true, e.mayNotCome(p), F(e.log(t.last-p.anchor))
		for left := p.alive; left != 0; left &= left - 1 {
			c := e.classOf(p, bits.TrailingZeros64(left))
			rows = append(rows, row[F]{class: int32(c), first: first, skipped: skipped, elapsed: elapsed})
			memory = e.appendRow(memory[:0], t, i, c)
			for _, v := range memory {
				feats = append(feats, F(v))
			}
			first = false
		}
	}
	return rows, feats, memory
}

// rowOf returns the index of the row of an alternative of entry slot of what is due.
func (t *tracker) rowOf(slot, alternative int) int {
	n := 0
	for i := range slot {
		n += bits.OnesCount64(t.due[i].alive)
	}
	return n + bits.OnesCount64(t.due[slot].alive&(1<<alternative-1))
}
