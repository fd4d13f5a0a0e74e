package eval

import (
	"math"

	"github.com/tppfaas/tppfaas/tpp/dist"
)

// PITBins is the number of bins of a histogram of the probability integral transform.
const PITBins = 20

// pitInterval is the probability integral transform of an inter time that a clock rounded: anywhere from Lower to Upper,
// 0 ≤ Lower ≤ Upper ≤ 1.
type pitInterval struct{ lower, upper float64 }

// pitCell returns the probability integral transform F(τ) of a gap, by the distribution that was predicted for it. If the
// model is right, F(τ) is uniform on [0, 1]; but a clock with ticks of the given resolution Δ says no more than that it
// lies between F(τ − Δ/2) and F(τ + Δ/2), which for a gap of few ticks, and for one of zero above all, is far from a
// point. Spread evenly over that interval the transform is uniform again (Czado, Gneiting and Held 2009, Predictive
// Model Assessment for Count Data, section 2.1).
func pitCell(d dist.Distribution, gap, resolution float64) pitInterval {
	c := pitInterval{upper: d.CDF(gap + resolution/2)}
	if from := gap - resolution/2; from > 0 {
		c.lower = min(d.CDF(from), c.upper)
	}
	return c
}

// after returns the interval of a transform, where c is that of what was left of a gap of which a part with the log survival had
// passed.
func (c pitInterval) after(logSurvival float64) pitInterval {
	if logSurvival == 0 {
		return c
	}
	left := math.Exp(logSurvival)
	return pitInterval{1 - left*(1-c.lower), 1 - left*(1-c.upper)}
}

// at returns the point at a share v of the interval.
func (c pitInterval) at(v float64) float64 { return c.lower + v*(c.upper-c.lower) }

// within returns the fraction of the interval that lies between a and b.
func (c pitInterval) within(a, b float64) float64 {
	if width := c.upper - c.lower; width > 0 {
		return max(min(c.upper, b)-max(c.lower, a), 0) / width
	}
	if a <= c.lower && c.lower < b || c.lower == 1 && b == 1 {
		return 1
	}
	return 0
}

// pitSums are sums over the transforms of events.
type pitSums struct {
	histogram        [PITBins]float64
	inner50, inner90 float64
}

// add adds the transform of an event. One that is no number leaves no coverage: it is the model that is wrong.
func (p *pitSums) add(c pitInterval) {
	if !(c.lower >= 0 && c.upper <= 1) {
		p.inner50, p.inner90 = math.NaN(), math.NaN()
		return
	}
	first, last := int(c.lower*PITBins), min(int(c.upper*PITBins), PITBins-1)
	for i := min(first, PITBins-1); i <= last; i++ {
		p.histogram[i] += c.within(float64(i)/PITBins, float64(i+1)/PITBins)
	}
	p.inner50 += c.within(0.25, 0.75)
	p.inner90 += c.within(0.05, 0.95)
}

func (p *pitSums) merge(q *pitSums) {
	for i, mass := range q.histogram {
		p.histogram[i] += mass
	}
	p.inner50 += q.inner50
	p.inner90 += q.inner90
}

// ksCells is the number of cells of [0, 1] in which rescaled times are counted: the statistic is exact to 1/ksCells,
// whatever their number, in memory that does not grow.
const ksCells = 1 << 16

// ksCell returns the cell of a rescaled time.
func ksCell(z float64) uint16 { return uint16(min(int(z*ksCells), ksCells-1)) }

// ksCounts counts rescaled times z = 1 − exp(−∫λ) = F(τ), each drawn from within its pitInterval: under the right model
// they are independent and uniform.
type ksCounts struct {
	cells []int
	n     int
}

func (k *ksCounts) add(cells []uint16) {
	if k.cells == nil {
		k.cells = make([]int, ksCells)
	}
	for _, c := range cells {
		k.cells[c]++
	}
	k.n += len(cells)
}

// statistic returns the largest distance between the share of times below a point and the point, over the bounds of cells.
func (k *ksCounts) statistic() float64 {
	if k.n == 0 {
		return math.NaN()
	}
	largest, below := 0.0, 0
	for i, count := range k.cells {
		below += count
		largest = max(largest, math.Abs(float64(below)/float64(k.n)-float64(i+1)/ksCells))
	}
	return largest
}

// ksPValue returns the probability that the Kolmogorov-Smirnov statistic of n independent draws from the distribution itself
// is at least d, 0 ≤ d ≤ 1: Kolmogorov's limit 2 Σ (−1)^(j−1) exp(−2 j² λ²) at Stephens' λ = (√n + 0.12 + 0.11/√n) d
// (Stephens 1970, Use of the Kolmogorov-Smirnov … Statistics without Extensive Tables). For n ≥ 5 it is right to about
// 0.01 where it is below 0.2. It is NaN without draws.
func ksPValue(d float64, n int) float64 {
	if n <= 0 || math.IsNaN(d) {
		return math.NaN()
	}
	root := math.Sqrt(float64(n))
	lambda := (root + 0.12 + 0.11/root) * d
	if lambda < 0.2 {
		return 1 // to 1e-12, where the alternating series would need ever more terms
	}
	sum, sign := 0.0, 1.0
	for j := 1.0; j <= 100; j++ {
		term := math.Exp(-2 * j * j * lambda * lambda)
		sum += sign * term
		sign = -sign
		if term < 1e-17 {
			break
		}
	}
	return min(max(2*sum, 0), 1)
}

// CalibrationBins is the number of bins of the predicted probability, of equal width.
const CalibrationBins = 15

// CalibrationBin is the events whose likeliest mark had a probability within one part of [0, 1].
type CalibrationBin struct {
	Events int
	// Confidence is the mean predicted probability of the likeliest mark, Accuracy the share of events whose mark it was;
	// NaN without events.
	Confidence, Accuracy float64
}

func addCalibration(bins *[CalibrationBins]CalibrationBin, confidence float64, correct bool) {
	b := CalibrationBin{Events: 1, Confidence: confidence}
	if correct {
		b.Accuracy = 1
	}
	bins[max(min(int(confidence*CalibrationBins), CalibrationBins-1), 0)].merge(b) // the first for a confidence that is no number
}

// merge adds up bins of sums.
func (b *CalibrationBin) merge(c CalibrationBin) {
	b.Events += c.Events
	b.Confidence += c.Confidence
	b.Accuracy += c.Accuracy
}

// expectedCalibrationError returns the mean distance between confidence and accuracy over bins, weighted by their events
// (Guo et al. 2017, On Calibration of Modern Neural Networks, equation 3). It is NaN without events.
func expectedCalibrationError(bins []CalibrationBin) float64 {
	events, sum := 0, 0.0
	for _, b := range bins {
		if b.Events > 0 {
			events += b.Events
			sum += float64(b.Events) * math.Abs(b.Accuracy-b.Confidence)
		}
	}
	return sum / float64(events)
}
