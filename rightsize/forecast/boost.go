package forecast

import (
	"math"
	"slices"
)

// Settings of the boosted trees. Few samples are the rule, so trees are small and few.
const (
	boostTrees  = 30
	boostRate   = 0.1
	boostDepth  = 3
	boostBins   = 32  // intervals of a feature
	boostLeaf   = 20  // samples in a leaf at least
	boostBack   = 240 // samples that features look back
	boostNear   = 20  // samples of the nearer extremes
	numFeatures = 12
	numInner    = 1<<boostDepth - 1
	numLeaves   = 1 << boostDepth
)

// Boosted forecasts the last value plus a quantile of the residual, which gradient boosting of small trees says from what stood before: how long the value has
// stood, how it lies to earlier values, means and extremes, and the time of day. Each quantile is then moved by what the newest quarter of the window, which
// the trees have not seen, says is missing. It is fitted to a horizon when that is first asked for, and again when 240 samples were seen, 1.5 times as many, and so
// on, and at least daily.
type Boosted struct {
	learner
	features features
}

// NewBoosted returns a forecaster that is fitted on the last window samples, of which day make a day; 0 where there is none. It forecasts up to a 24th of
// the window, and interpolates between Levels.
func NewBoosted(window, day int) *Boosted {
	b := &Boosted{learner: newLearner(window, day, 1.5), features: newFeatures(day)}
	b.learner.fit = b.fit
	return b
}

// Observe takes the next sample; NaN where it is missing.
func (b *Boosted) Observe(value float64) {
	b.features.observe(value)
	b.observe(value)
}

// fit returns the trees of a horizon.
func (b *Boosted) fit(values []float64, steps int) model {
	if steps > len(values)/leastSpans {
		return nil
	}
	largest := Largest(values, steps)
	f := newFeatures(b.features.day)
	f.seen = b.seen - len(values)
	stride := (len(values) + learnerRows - 1) / learnerRows
	var rows [][numFeatures]float64
	var residuals []float64
	for i, v := range values {
		f.observe(v)
		if i%stride != 0 || i < boostNear || math.IsNaN(v) || math.IsNaN(largest[i]) {
			continue
		}
		var x [numFeatures]float64
		f.write(x[:])
		rows, residuals = append(rows, x), append(residuals, largest[i]-v)
	}
	n := int(fitShare * float64(len(rows)))
	if n < 4*boostLeaf {
		return nil
	}
	binned := newBinned(rows[:n])
	ms := &boostModels{features: &b.features}
	rest := make([]float64, len(rows)-n)
	for _, level := range Levels {
		m := binned.fit(residuals[:n], level)
		for i := range rest {
			rest[i] = residuals[n+i] - m.at(rows[n+i][:])
		}
		m.base += conform(rest, level)
		ms.levels = append(ms.levels, m)
	}
	return ms
}

// boostModels are the models of a horizon, one for each of Levels.
type boostModels struct {
	features *features
	levels   []*boostModel
}

func (m *boostModels) quantiles(out []float64) {
	var x [numFeatures]float64
	m.features.write(x[:])
	for i := range out {
		out[i] = m.levels[i].at(x[:])
	}
}

// features are what is known of a series at its last sample.
type features struct {
	day         int
	ring        [boostBack]float64 // the last known values
	seen        int
	last        float64
	sinceChange int
	means       [3]float64 // exponentially weighted
}

var meanKeep = [3]float64{0.8, 0.95, 0.99}

func newFeatures(day int) features { return features{day: day, last: math.NaN()} }

func (f *features) observe(v float64) {
	f.sinceChange++
	if !math.IsNaN(v) {
		if math.IsNaN(f.last) {
			for i := range f.ring {
				f.ring[i] = v
			}
			for i := range f.means {
				f.means[i] = v
			}
		}
		if v != f.last {
			f.sinceChange = 0
		}
		f.last = v
		for i := range f.means {
			f.means[i] += (1 - meanKeep[i]) * (v - f.means[i])
		}
	}
	f.ring[f.seen%boostBack] = f.last // where a sample is missing the last one stands: trees need some number
	f.seen++
}

func (f *features) back(i int) float64 { return f.ring[((f.seen-1-i)%boostBack+boostBack)%boostBack] }

// write writes the numFeatures numbers to x.
func (f *features) write(x []float64) {
	v := f.last
	high, low, highest := v, v, v
	for i := range boostBack {
		w := f.back(i)
		if i < boostNear {
			high, low = max(high, w), min(low, w)
		}
		highest = max(highest, w)
	}
	x[0], x[1], x[2], x[3], x[4] = v, float64(f.sinceChange), v-f.back(1), v-f.back(2), v-f.back(5)
	x[5], x[6], x[7] = v-f.means[0], v-f.means[1], v-f.means[2]
	x[8], x[9], x[10] = v-high, v-low, v-highest
	x[11] = 0
	if f.day > 0 {
		x[11] = float64(f.seen % f.day)
	}
}

// boostModel is a quantile: a number and what the trees add to it.
type boostModel struct {
	base  float64
	trees []boostTree
}

type boostTree struct {
	feature [numInner]int
	cut     [numInner]float64
	leaf    [numLeaves]float64
}

func (m *boostModel) at(x []float64) float64 {
	q := m.base
	for i := range m.trees {
		t := &m.trees[i]
		n := 0
		for n < numInner {
			n = t.next(n, x)
		}
		q += t.leaf[n-numInner]
	}
	return q
}

// next returns the node below n, to the left where the feature is at most the cut.
func (t *boostTree) next(n int, x []float64) int {
	if x[t.feature[n]] <= t.cut[n] {
		return 2*n + 1
	}
	return 2*n + 2
}

// binned are rows of features, and the interval of each feature that each lies in.
type binned struct {
	rows [][numFeatures]float64
	cuts [numFeatures][]float64 // the upper ends of the intervals but the last
	bins [][numFeatures]uint8
}

func newBinned(rows [][numFeatures]float64) *binned {
	b := &binned{rows: rows, bins: make([][numFeatures]uint8, len(rows))}
	column := make([]float64, len(rows))
	for f := range numFeatures {
		for i := range rows {
			column[i] = rows[i][f]
		}
		slices.Sort(column)
		for k := 1; k < boostBins; k++ {
			if c := column[k*len(rows)/boostBins]; c < column[len(rows)-1] && (len(b.cuts[f]) == 0 || c > b.cuts[f][len(b.cuts[f])-1]) {
				b.cuts[f] = append(b.cuts[f], c)
			}
		}
		for i := range rows {
			at, _ := slices.BinarySearch(b.cuts[f], rows[i][f])
			b.bins[i][f] = uint8(at)
		}
	}
	return b
}

// gradients are the sum of the gradients of the pinball loss over rows, and their number.
type gradients struct{ sum, n float64 }

// fit boosts trees for the quantile of y at a level: each splits where the squared mean gradient of the pinball loss falls most, and its leaves
// move by the quantile of what is left in them.
func (b *binned) fit(y []float64, level float64) *boostModel {
	ascending := slices.Sorted(slices.Values(y))
	m := &boostModel{base: rankOf(ascending, level)}
	q, node := make([]float64, len(y)), make([]int, len(y))
	for i := range q {
		q[i] = m.base
	}
	for range boostTrees {
		var t boostTree
		clear(node)
		for depth := range boostDepth {
			b.split(&t, 1<<depth-1, node, y, q, level)
			for i := range node {
				node[i] = t.next(node[i], b.rows[i][:])
			}
		}
		var left [numLeaves][]float64
		for i, n := range node {
			left[n-numInner] = append(left[n-numInner], y[i]-q[i])
		}
		for k, rest := range left {
			if len(rest) >= boostLeaf {
				slices.Sort(rest)
				t.leaf[k] = boostRate * rankOf(rest, level)
			}
		}
		for i, n := range node {
			q[i] += t.leaf[n-numInner]
		}
		m.trees = append(m.trees, t)
	}
	return m
}

// split sets the features and cuts of the nodes of one depth, of which first is the first.
func (b *binned) split(t *boostTree, first int, node []int, y, q []float64, level float64) {
	count := first + 1
	sums := make([][numFeatures][boostBins]gradients, count)
	totals := make([]gradients, count)
	for i := range node {
		g := level
		if y[i] <= q[i] {
			g = level - 1
		}
		k := node[i] - first
		totals[k].sum += g
		totals[k].n++
		for f, bin := range b.bins[i] {
			s := &sums[k][f][bin]
			s.sum += g
			s.n++
		}
	}
	for k := range count {
		t.cut[first+k] = math.Inf(1)
		best := 0.0
		for f := range numFeatures {
			var left gradients
			for bin, cut := range b.cuts[f] {
				left.sum += sums[k][f][bin].sum
				left.n += sums[k][f][bin].n
				right := gradients{totals[k].sum - left.sum, totals[k].n - left.n}
				if left.n < boostLeaf || right.n < boostLeaf {
					continue
				}
				if gain := left.sum*left.sum/left.n + right.sum*right.sum/right.n; gain > best {
					best, t.feature[first+k], t.cut[first+k] = gain, f, cut
				}
			}
		}
	}
}
