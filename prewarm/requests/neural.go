package requests

import (
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/tppfaas/tppfaas/tpp"
	"github.com/tppfaas/tppfaas/tpp/dist"
	"github.com/tppfaas/tppfaas/tpp/neural"
)

// Training of the network: sequences of so many gaps, of which the last fifth is held out to stop by, in batches, for at most so many epochs.
const (
	neuralSequence  = 32
	neuralBatch     = 4
	neuralEpochs    = 60
	neuralContext   = 16
	neuralMixture   = 8
	neuralPoints    = (levels + neuralStride - 1) / neuralStride
	neuralStride    = 3
	neuralLeastGaps = 100
)

// neuralModel foretells the next gap from those before by a recurrent network, whose output is a mixture of log-normals (Shchur, Biloš and
// Günnemann, "Intensity-free learning of temporal point processes", 2020); what comes after the next gap is a renewal process.
type neuralModel struct {
	network *neural.Recurrent
	renewalModel
}

func fitNeural(gaps []float64) (candidate, error) {
	if len(gaps) < neuralLeastGaps {
		return nil, fmt.Errorf("%d gaps are too few for a network", len(gaps))
	}
	data := &tpp.Dataset{}
	for part := range slices.Chunk(gaps, neuralSequence) {
		data.Sequences = append(data.Sequences, sequenceOf(part).Sequences...)
	}
	split := len(data.Sequences) - max(len(data.Sequences)/5, 1)
	network, err := neural.Train(context.Background(),
		neural.Config{ContextSize: neuralContext, MarkEmbeddingSize: 1, NumComponents: neuralMixture, WithoutEnd: true, TimeUnit: "s", Resolution: minGap},
		&tpp.Dataset{Sequences: data.Sequences[:split]}, &tpp.Dataset{Sequences: data.Sequences[split:]},
		neural.TrainOptions{Seed: 1, BatchSize: neuralBatch, MaxEpochs: neuralEpochs, Workers: 1,
			WithoutCalibration: true}) // some ten gaps say nothing of it; experts beside the network are weighed by all that comes
	if err != nil {
		return nil, fmt.Errorf("network for requests: %w", err)
	}
	d, err := fitKernel(gaps)
	if err != nil {
		return nil, err
	}
	return &neuralModel{network, renewalModel{law: newLaw(d), meanLog: meanLog(gaps)}}, nil
}

func (m *neuralModel) fitted() expert { return &recurrent{neuralModel: m} }

// recurrent is a process that a network follows.
type recurrent struct {
	*neuralModel
	state tpp.State
	first float64 // request
	// survives has the survival of the next gap at every so many levels of the law of all gaps, if it is known.
	survives [neuralPoints]float64
	known    bool
}

func (r *recurrent) begin(float64) { r.state, r.known = nil, false }

func (r *recurrent) observe(at, _ float64) {
	if r.state == nil {
		r.first, r.state = at, r.network.NewState(0)
	}
	r.known = false
	// The network's time begins with the first request, and does not go back: no event is refused.
	_ = r.state.Observe(tpp.Event{Time: at - r.first})
}

// gap returns the distribution of the gap after the last request, nil before the first.
func (r *recurrent) gap() dist.Distribution {
	if r.state == nil {
		return nil
	}
	return r.state.Next(0).Time
}

// background is the weight of the law of all gaps beside the network, so that no gap is impossible.
const background = 0.01

func (r *recurrent) logDensity(gap float64) float64 {
	d := r.gap()
	if d == nil {
		return r.law.logDensity(gap)
	}
	return math.Log((1-background)*math.Exp(d.LogProb(gap)) + background*math.Exp(r.law.logDensity(gap)))
}

func (r *recurrent) logSurvival(elapsed float64) float64 {
	d := r.gap()
	if d == nil {
		return r.law.logSurvival(elapsed)
	}
	if s := (1-background)*math.Exp(d.LogSurvival(elapsed)) + background*r.law.survival(elapsed); s > 0 {
		return math.Log(s)
	}
	return math.Log(background) + r.law.logSurvival(elapsed)
}

func (r *recurrent) forecast(elapsed, weight float64, f *Forecast) {
	b := f.add(renewalBranch, weight)
	if b == nil {
		return
	}
	b.rest = rest{gaps: r.sums, scale: 1}
	if r.gap() == nil || elapsed >= r.law.x[levels-1] {
		b.first.set(r.law, 1, elapsed)
		return
	}
	if !r.known {
		for i := range r.survives {
			r.survives[i] = math.Exp(r.logSurvival(r.law.x[i*neuralStride]))
		}
		r.known = true
	}
	w := &b.first
	w.at[0], w.survives[0], w.n, w.tail = 0, 1, 1, r.law.tail
	s := math.Exp(r.logSurvival(elapsed))
	for i, at := range r.survives {
		if t := r.law.x[i*neuralStride] - elapsed; t > 0 && at < s*w.survives[w.n-1] {
			w.at[w.n], w.survives[w.n] = t, at/s
			w.n++
		}
	}
}
