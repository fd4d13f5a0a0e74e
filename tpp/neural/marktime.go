package neural

import (
	"math"

	"github.com/tppfaas/tppfaas/internal/nn"
	"github.com/tppfaas/tppfaas/internal/simd"
	"github.com/tppfaas/tppfaas/tpp/dist"
)

// markTime makes the gap depend on the mark that comes: for each mark, a hidden layer of the context and the mark shifts the logits of the
// components. Locations and scales are common to all marks, so that the gap whatever the mark has the same components, with the mean of their weights.
type markTime[F nn.Float] struct {
	shift    *nn.ClassShift[F]
	k        int // components
	numMarks int
}

// newMarkTime returns the layer of the configuration, nil if time and mark are independent of each other.
func newMarkTime[F nn.Float](l *nn.Layout, cfg *Config, numMarks int) *markTime[F] {
	if cfg.MarkTimeSize == 0 {
		return nil
	}
	return &markTime[F]{
		shift: nn.NewClassShift[F](l, "mark_time", cfg.ContextSize, cfg.MarkTimeSize, cfg.NumComponents, numMarks),
		k:     cfg.NumComponents, numMarks: numMarks,
	}
}

// markTimeMemory is the scratch memory of a markTime.
type markTimeMemory[F nn.Float] struct {
	projected []F // rows × hidden: the part of the hidden layer that is common to all marks, later its gradient
	hidden    []F // rows × hidden: the hidden layer of the marks that came; for the mean over all marks, marks × hidden
	scratch   []F
	weights   []F       // marks × components: the weights given each mark
	marks     []float64 // the probabilities of the marks
	mean      []float64 // components: the mean weights
	all       []int     // 0, 1, …
}

// project computes what the hidden layers of all marks have in common, for each context.
func (m *markTime[F]) project(params, h []F, rows int, ws *markTimeMemory[F]) []F {
	ws.projected = nn.Resize(ws.projected, headChunk*m.shift.Hidden)
	m.shift.Project(ws.projected, params, h, rows)
	return ws.projected[:rows*m.shift.Hidden]
}

// given adds to the outputs of the time layer (rows × 3K) what they are given the marks that came.
func (m *markTime[F]) given(params, timeOut, projected []F, marks []int, ws *markTimeMemory[F]) {
	r := m.shift.Hidden
	ws.hidden = nn.Resize(ws.hidden, max(headChunk, m.numMarks)*r)
	for row, mark := range marks {
		m.shift.Activate(ws.hidden[row*r:(row+1)*r], params, projected[row*r:(row+1)*r], mark)
	}
	m.shift.Add(timeOut[2*m.k:], 3*m.k, ws.hidden, len(marks))
}

// backward adds the gradients of the layer, given that of the outputs of given, and replaces projected by its gradient.
func (m *markTime[F]) backward(grad, params, timeOut, projected []F, marks []int, ws *markTimeMemory[F]) {
	r := m.shift.Hidden
	ws.scratch = nn.Resize(ws.scratch, max(headChunk, m.numMarks)*r)
	m.shift.Backward(grad, params, timeOut[2*m.k:], 3*m.k, ws.hidden, marks, ws.scratch)
	copy(projected, ws.hidden[:len(marks)*r])
}

// mean replaces the logits of one row of outputs (3K) by the log weights whatever the mark: Σₘ p(m) w(k | m), with the probabilities of the marks
// from their logits.
func (m *markTime[F]) mean(params, timeOut, markOut, projected []F, ws *markTimeMemory[F]) {
	r, k, logits := m.shift.Hidden, m.k, timeOut[2*m.k:]
	ws.hidden, ws.weights = nn.Resize(ws.hidden, max(headChunk, m.numMarks)*r), nn.Resize(ws.weights, m.numMarks*k)
	ws.marks, ws.mean = nn.Resize(ws.marks, m.numMarks), nn.Resize(ws.mean, k)
	probabilities(ws.marks, markOut[:m.numMarks])
	for mark := range m.numMarks {
		m.shift.Activate(ws.hidden[mark*r:(mark+1)*r], params, projected[:r], mark)
		copy(ws.weights[mark*k:(mark+1)*k], logits)
	}
	m.shift.Add(ws.weights, k, ws.hidden, m.numMarks)
	clear(ws.mean)
	for mark, p := range ws.marks {
		weights := ws.weights[mark*k : (mark+1)*k]
		simd.Softmax(weights, weights)
		for i, w := range weights {
			ws.mean[i] += p * float64(w)
		}
	}
	for i, w := range ws.mean {
		logits[i] = F(math.Log(max(w, leastWeight)))
	}
}

// leastWeight keeps the logarithm of a mean weight finite.
const leastWeight = 1e-30

// meanBackward adds the gradients of the layer and of the logits of the marks, given that of the log weights that mean has computed, which it replaces
// by that of the logits before, and replaces projected (hidden) by its gradient.
func (m *markTime[F]) meanBackward(grad, params, timeOut, dMarks, projected []F, ws *markTimeMemory[F]) {
	r, k, dLogits := m.shift.Hidden, m.k, timeOut[2*m.k:]
	for len(ws.all) < m.numMarks {
		ws.all = append(ws.all, len(ws.all))
	}
	// The gradient of each weight's logit given a mark, in the place of the weight.
	total := 0.0
	for mark, p := range ws.marks {
		weights := ws.weights[mark*k : (mark+1)*k]
		sum := 0.0
		for i, w := range weights {
			sum += float64(dLogits[i]) * p * float64(w) / max(ws.mean[i], leastWeight)
		}
		for i, w := range weights {
			weights[i] = F(float64(w) * (float64(dLogits[i])*p/max(ws.mean[i], leastWeight) - sum))
		}
		dMarks[mark] += F(sum)
		total += sum
	}
	for mark, p := range ws.marks {
		dMarks[mark] -= F(p * total)
	}
	clear(dLogits)
	for mark := range m.numMarks {
		simd.AddScaled(dLogits, dLogits, 1, ws.weights[mark*k:(mark+1)*k])
	}
	ws.scratch = nn.Resize(ws.scratch, max(headChunk, m.numMarks)*r)
	m.shift.Backward(grad, params, ws.weights, k, ws.hidden, ws.all[:m.numMarks], ws.scratch)
	clear(projected[:r])
	for mark := range m.numMarks {
		simd.AddScaled(projected[:r], projected[:r], 1, ws.hidden[mark*r:(mark+1)*r])
	}
}

// markTimeJoint is the joint distribution of time and mark that a markTime predicts: given a mark, the time is a mixture with weights of its own, and
// the locations and scales of the mixture whatever the mark.
type markTimeJoint struct {
	mix     *dist.LogNormMix // whatever the mark
	marks   []float64        // probabilities of the marks
	memory  *markTimeMemory[float32]
	given   dist.LogNormMix // given a mark
	density []float64       // components: relative densities
}

func newMarkTimeJoint(mix *dist.LogNormMix, marks []float64, memory *markTimeMemory[float32]) *markTimeJoint {
	return &markTimeJoint{
		mix: mix, marks: marks, memory: memory, density: make([]float64, len(mix.Mu)),
		given: dist.LogNormMix{LogWeights: make([]float64, len(mix.Mu)), Mu: mix.Mu, Sigma: mix.Sigma},
	}
}

// weights returns the weights of the components given a mark.
func (j *markTimeJoint) weights(mark int) []float32 {
	k := len(j.mix.Mu)
	return j.memory.weights[mark*k : (mark+1)*k]
}

// givenMark returns the distribution of the time given a mark. It is valid until the next call.
func (j *markTimeJoint) givenMark(mark int) *dist.LogNormMix {
	for i, w := range j.weights(mark) {
		j.given.LogWeights[i] = math.Log(float64(w))
	}
	return &j.given
}

// GivenMark returns the distribution of the time given a mark.
func (j *markTimeJoint) GivenMark(mark int) dist.Distribution { return j.givenMark(mark) }

// LogProbMark returns the log density of an event with the mark at tau.
func (j *markTimeJoint) LogProbMark(tau float64, mark int) float64 {
	return math.Log(j.marks[mark]) + j.givenMark(mark).LogProb(tau)
}

// LogIntervalMark returns the log probability that the event has the mark and comes in (a, b].
func (j *markTimeJoint) LogIntervalMark(a, b float64, mark int) float64 {
	return math.Log(j.marks[mark]) + j.givenMark(mark).LogInterval(a, b)
}

// MarksAt fills dst with the probabilities of the marks of an event at tau and returns it. At 0 and +Inf it takes the limit for the nearest
// number.
func (j *markTimeJoint) MarksAt(tau float64, dst []float64) []float64 {
	x := math.Log(min(max(tau, math.SmallestNonzeroFloat64), math.MaxFloat64))
	top := math.Inf(-1)
	for i, sigma := range j.mix.Sigma {
		z := (x - j.mix.Mu[i]) / sigma
		j.density[i] = -z*z/2 - math.Log(sigma)
		if j.mix.LogWeights[i] > math.Log(2*leastWeight) {
			top = max(top, j.density[i])
		}
	}
	for i, v := range j.density {
		j.density[i] = math.Exp(min(v-top, maxExponent))
	}
	total := 0.0
	for mark, p := range j.marks {
		sum := 0.0
		for i, w := range j.weights(mark) {
			sum += float64(w) * j.density[i]
		}
		dst[mark] = p * sum
		total += dst[mark]
	}
	if !(total > 0) || math.IsInf(total, 0) {
		copy(dst, j.marks)
		return dst
	}
	for mark := range dst {
		dst[mark] /= total
	}
	return dst
}

// maxExponent keeps the relative density of a component that has no weight finite.
const maxExponent = 600

// followedMarkTime draws components given marks for the rows of a follower.
type followedMarkTime struct {
	projected       []float32 // rows × hidden
	hidden, weights []float32 // of one row
}

func (f *followedMarkTime) project(m *markTime[float32], params, h []float32, rows int) {
	f.projected = nn.Resize(f.projected, rows*m.shift.Hidden)
	m.shift.Project(f.projected, params, h, rows)
}

// given returns the weights of the components of a row given the mark, and their sum, from the logits whatever the mark.
func (f *followedMarkTime) given(m *markTime[float32], params, logits []float32, row, mark int) (weights []float32, total float64) {
	r := m.shift.Hidden
	f.hidden, f.weights = nn.Resize(f.hidden, r), nn.Resize(f.weights, m.k)
	copy(f.weights, logits)
	m.shift.Activate(f.hidden, params, f.projected[row*r:(row+1)*r], mark)
	m.shift.Add(f.weights, m.k, f.hidden, 1)
	simd.Softmax(f.weights, f.weights)
	return f.weights, nn.Sum(f.weights)
}

// probabilities sets dst to the softmax of logits.
func probabilities[F nn.Float](dst []float64, logits []F) {
	top, total := math.Inf(-1), 0.0
	for _, v := range logits {
		top = max(top, float64(v))
	}
	for i, v := range logits {
		dst[i] = math.Exp(float64(v) - top)
		total += dst[i]
	}
	for i := range dst {
		dst[i] /= total
	}
}
