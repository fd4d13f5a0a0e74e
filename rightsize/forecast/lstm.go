package forecast

import (
	"context"
	"math"
	"math/rand/v2"

	"github.com/tppfaas/tppfaas/internal/seed"
)

// Settings of the LSTM that forecasts quantiles.
const (
	lstmEpochs = 10
	lstmBatch  = 32
	lstmRows   = 2000
)

// LSTM forecasts the last value plus a quantile of the residual, by the network of the published model with a quantile at each of its outputs, trained on
// the pinball loss: an LSTM of 64 units over the last three samples of the resource in standard score. It is corrected as Boosted is. It is
// fitted to a horizon when that is first asked for, and again when 240 samples were seen, twice as many, and so on.
type LSTM struct {
	learner
	recent [paperSteps]float64 // the last known values, the earliest first
	seed   uint64
}

// NewLSTM returns a forecaster that is fitted on the last window samples. It forecasts up to a 24th of the window. The same seed and samples give the
// same forecasts.
func NewLSTM(window int, seed uint64) *LSTM {
	l := &LSTM{learner: newLearner(window, 0, 2), seed: seed}
	l.learner.fit = l.fit
	return l
}

// Observe takes the next sample; NaN where it is missing.
func (l *LSTM) Observe(value float64) {
	if !math.IsNaN(value) {
		copy(l.recent[:], l.recent[1:])
		l.recent[paperSteps-1] = value
	}
	l.observe(value)
}

func (l *LSTM) fit(values []float64, steps int) model {
	if steps > len(values)/leastSpans {
		return nil
	}
	var rows [][paperSteps]float64
	var residuals []float64
	largest := Largest(values, steps)
	stride := (len(values) + lstmRows - 1) / lstmRows
	for i := paperSteps - 1; i < len(values); i += stride {
		row := [paperSteps]float64(values[i-paperSteps+1 : i+1])
		if math.IsNaN(row[0]+row[1]+row[2]) || math.IsNaN(largest[i]) {
			continue
		}
		rows, residuals = append(rows, row), append(residuals, largest[i]-values[i])
	}
	n := int(fitShare * float64(len(rows)))
	if n < 4*boostLeaf {
		return nil
	}
	m := &lstmModel{recent: &l.recent}
	var flat []float64
	for _, row := range rows[:n] {
		flat = append(flat, row[:]...)
	}
	m.mean, m.deviation = moments(flat)
	_, m.unit = moments(residuals[:n])
	purpose := func(of string) *rand.Rand { return rand.New(seed.Stream(l.seed+uint64(steps), of)) }
	m.network = newNetwork[float32](1, paperSteps, paperUnits, len(Levels), purpose("weights"))
	var x, y []float32
	for i, row := range rows {
		x = append(x, m.scored(row)...)
		if i < n {
			for range Levels {
				y = append(y, float32(residuals[i]/m.unit))
			}
		}
	}
	o := trainOptions{epochs: lstmEpochs, batch: lstmBatch}
	if m.network.train(context.Background(), x[:n*paperSteps], y, o, purpose("batches"), pinball[float32](Levels)) != nil {
		return nil
	}
	out := m.network.forward(x[n*paperSteps:])
	rest := make([]float64, len(rows)-n)
	for j, level := range Levels {
		for i := range rest {
			rest[i] = residuals[n+i] - m.unit*float64(out[i*len(Levels)+j])
		}
		m.moved = append(m.moved, conform(rest, level))
	}
	return m
}

// lstmModel is the network of a horizon, and how its numbers are scaled.
type lstmModel struct {
	recent                *[paperSteps]float64
	network               *network[float32]
	mean, deviation, unit float64
	moved                 []float64
}

func (m *lstmModel) scored(row [paperSteps]float64) []float32 {
	x := make([]float32, paperSteps)
	for i, v := range row {
		x[i] = float32((v - m.mean) / m.deviation)
	}
	return x
}

func (m *lstmModel) quantiles(out []float64) {
	for i, v := range m.network.forward(m.scored(*m.recent)) {
		out[i] = m.unit*float64(v) + m.moved[i]
	}
}

// pinball is the pinball loss of a batch, as absolute is the absolute error: rows × levels.
func pinball[F interface{ float32 | float64 }](levels []float64) func(out, targets []F) float64 {
	return func(out, targets []F) float64 {
		sum, scale := 0.0, 1/float64(len(out))
		for i := range out {
			level := levels[i%len(levels)]
			sum += Pinball(level, float64(out[i]), float64(targets[i]))
			if out[i] < targets[i] {
				out[i] = F(-level * scale)
			} else {
				out[i] = F((1 - level) * scale)
			}
		}
		return sum / float64(len(levels))
	}
}
