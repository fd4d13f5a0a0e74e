package recommend

import "math"

// The histograms of the Vertical Pod Autoscaler (pkg/recommender/util): buckets that grow by 5 %, and weights that halve in 24 h.
const (
	bucketRatio = 1.05
	// emptyWeight is the weight below which a bucket counts as empty.
	emptyWeight      = 1e-4
	halfLife         = day
	maxDecayExponent = 100
)

type decayingHistogram struct {
	first   float64 // size of the first bucket
	weights []float64
	total   float64
	// lowest and highest bucket that is not empty; crossed where all are.
	lowest, highest int

	reference int64 // ms since 1970, a multiple of 24 h, at which a sample weighs as it is given
	referred  bool  // reference is set
}

// newHistogram returns one with buckets up to a largest value.
func newHistogram(first, largest float64) *decayingHistogram {
	n := int(math.Ceil(bucketLog(largest*(bucketRatio-1)/first+1))) + 1
	return &decayingHistogram{first: first, weights: make([]float64, n), lowest: n - 1}
}

func bucketLog(x float64) float64 { return math.Log(x) / math.Log(bucketRatio) }

// bucket returns the bucket of a value; what lies beyond the last is in it.
func (h *decayingHistogram) bucket(value float64) int {
	if value < h.first {
		return 0
	}
	return min(int(bucketLog(value*(bucketRatio-1)/h.first+1)), len(h.weights)-1)
}

// start returns where a bucket starts.
func (h *decayingHistogram) start(bucket int) float64 {
	if bucket == 0 {
		return 0
	}
	return h.first * (math.Pow(bucketRatio, float64(bucket)) - 1) / (bucketRatio - 1)
}

func (h *decayingHistogram) add(value, weight float64, time int64) {
	weight *= h.decay(time)
	b := h.bucket(value)
	h.weights[b] += weight
	h.total += weight
	if h.weights[b] >= emptyWeight {
		h.lowest, h.highest = min(h.lowest, b), max(h.highest, b)
	}
}

func (h *decayingHistogram) subtract(value, weight float64, time int64) {
	weight *= h.decay(time)
	b := h.bucket(value)
	h.total, h.weights[b] = subtractWeight(h.total, weight), subtractWeight(h.weights[b], weight)
	h.narrow()
}

func subtractWeight(from, weight float64) float64 {
	if from -= weight; from < emptyWeight {
		return 0
	}
	return from
}

func (h *decayingHistogram) narrow() {
	last := len(h.weights) - 1
	for h.weights[h.lowest] < emptyWeight && h.lowest < last {
		h.lowest++
	}
	for h.weights[h.highest] < emptyWeight && h.highest > 0 {
		h.highest--
	}
}

// decay returns what a sample of a time weighs, against one at the reference. The reference moves to it where that would be too much.
func (h *decayingHistogram) decay(time int64) float64 {
	if !h.referred || time > h.reference+maxDecayExponent*halfLife {
		moved := (time + halfLife/2) / halfLife * halfLife // to the nearest midnight
		if h.referred {
			factor := math.Ldexp(1, int(math.Floor(float64(h.reference-moved)/float64(halfLife)+0.5)))
			for b := h.lowest; b <= h.highest; b++ {
				h.weights[b] *= factor
			}
			h.total *= factor
			h.narrow()
		}
		h.reference, h.referred = moved, true
	}
	return math.Exp2(float64(time-h.reference) / float64(halfLife))
}

// percentile returns the upper edge of the bucket in which the weights reach a share of the total, 0 of an empty histogram.
func (h *decayingHistogram) percentile(p float64) float64 {
	if h.weights[h.lowest] < emptyWeight {
		return 0
	}
	sum, threshold := 0.0, p*h.total
	b := h.lowest
	for ; b < h.highest; b++ {
		if sum += h.weights[b]; sum >= threshold {
			break
		}
	}
	return h.start(min(b+1, len(h.weights)-1))
}
