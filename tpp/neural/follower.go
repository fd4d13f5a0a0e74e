package neural

import (
	"fmt"
	"math"

	"github.com/tppfaas/tppfaas/internal/nn"
	"github.com/tppfaas/tppfaas/internal/num"
	"github.com/tppfaas/tppfaas/tpp"
)

// NewFollower returns a follower that advances many paths at once, or nil if the model does not predict a mixture.
func (s *recurrentState) NewFollower() tpp.Follower {
	if _, ok := s.work.predictor.(*mixturePredictor); !ok {
		return nil
	}
	return &mixtureFollower{m: s.m, root: s.m.newState(s.last)}
}

// TypicalCovariates appends 0 for each categorical covariate, which for the cold-start feature means a warm start, and the
// mean for each real one.
func (s *recurrentState) TypicalCovariates(dst []float64) []float64 {
	for _, c := range s.m.cfg.Covariates {
		if c.Levels > 0 {
			dst = append(dst, 0)
		} else {
			dst = append(dst, c.Mean)
		}
	}
	return dst
}

// mixtureFollower advances paths from a state of a recurrent model with a log-normal mixture, with one matrix product per
// step for all paths. It computes the weights of the mixture, and location and scale only of the component drawn.
type mixtureFollower struct {
	m     *Recurrent
	root  *recurrentState
	next  tpp.Drawer // of the root, until the first advance
	later bool
	first float64 // time from the last event until now, which belongs to the first gap

	h, c           []float32 // rows × D: hidden and cell states
	gates          []float32 // rows × G·D
	weights, marks []float32 // rows × K, rows × classes: probabilities; with a markTime, weights are logits whatever the mark
	weightTotal    []float64 // rows: sum of the weights
	last           []int     // rows: marks of the last events
	markTime       followedMarkTime
	values         []float32
	stepper        nn.Stepper[float32]
}

func (f *mixtureFollower) Start(state tpp.State, now float64, rows int) error {
	if !f.root.CopyFrom(state) {
		return fmt.Errorf("a state of another model")
	}
	f.next.Reset(f.root.Next(now))
	f.later = false
	f.first = max(now-f.root.last, 0)
	net, s := f.m.net, f.root.hidden
	d := net.cfg.ContextSize
	f.h, f.gates = nn.Resize(f.h, rows*d), nn.Resize(f.gates, rows*net.rnn.Gates())
	f.weights, f.marks = nn.Resize(f.weights, rows*net.cfg.NumComponents), nn.Resize(f.marks, rows*net.mark.Out)
	f.weightTotal = nn.Resize(f.weightTotal, rows)
	if len(s) > d {
		f.c = nn.Resize(f.c, rows*d)
	}
	f.last = nn.Resize(f.last, rows)
	for row := range rows {
		f.last[row] = f.root.mark
		copy(f.h[row*d:(row+1)*d], s[:d])
		if len(s) > d {
			copy(f.c[row*d:(row+1)*d], s[d:])
		}
	}
	return nil
}

func (f *mixtureFollower) Draw(row int, u, v float64) (tau float64, mark int, over bool) {
	if !f.later {
		return f.next.Draw(u, v)
	}
	net := f.m.net
	marks := f.marks[row*net.mark.Out : (row+1)*net.mark.Out]
	if n := f.m.numMarks; len(marks) > n {
		end := float64(marks[n])
		if u < end {
			return 0, 0, true
		}
		marks, u = marks[:n], (u-end)/(1-end)
	}
	mark, _ = num.DrawIndex(marks, nn.Sum(marks), u)
	k, d := net.cfg.NumComponents, net.cfg.ContextSize
	weights, total := f.weights[row*k:(row+1)*k], f.weightTotal[row]
	if net.markTime != nil {
		weights, total = f.markTime.given(net.markTime, f.m.params, weights, row, mark)
	}
	i, rest := num.DrawIndex(weights, total, v)
	h := f.h[row*d : (row+1)*d]
	mu := float64(net.time.ForwardAt(f.m.params, h, i))
	scale := math.Exp(float64(net.time.ForwardAt(f.m.params, h, k+i)))
	norm := f.m.norm
	return num.DrawLogNormal(norm.Mean+norm.Std*mu, norm.Std*nn.ClampScale(scale), rest), mark, false
}

func (f *mixtureFollower) Observe(dst, row int, tau float64, mark int, covariates []float64) error {
	net := f.m.net
	d, g := net.cfg.ContextSize, net.rnn.Gates()
	if dst != row {
		copy(f.h[dst*d:(dst+1)*d], f.h[row*d:(row+1)*d])
		if f.c != nil {
			copy(f.c[dst*d:(dst+1)*d], f.c[row*d:(row+1)*d])
		}
	}
	gap := tau
	if !f.later {
		gap += f.first
		if f.root.events == 0 {
			gap = 0
		}
	}
	if len(covariates) != len(net.cfg.Covariates) {
		return fmt.Errorf("%d covariates, the model takes %d", len(covariates), len(net.cfg.Covariates))
	}
	var err error
	if f.values, err = net.appendFeatures(f.values[:0], gap, mark, covariates); err != nil {
		return err
	}
	f.last[dst] = mark
	net.input.Forward(f.gates[dst*g:(dst+1)*g], f.values)
	return nil
}

func (f *mixtureFollower) Advance(rows int) {
	f.later = true
	net, params := f.m.net, f.m.params
	k, classes := net.cfg.NumComponents, net.mark.Out
	net.rnn.StepRows(params, f.h, f.c, f.gates, rows, &f.stepper)
	net.time.ForwardColumns(f.weights, params, f.h, rows, 2*k, k)
	net.mark.Forward(f.marks, params, f.h, rows)
	if f.m.table != nil {
		for row := range rows {
			f.m.table.mix(f.marks[row*classes:(row+1)*classes], f.last[row])
		}
	}
	if net.markTime != nil {
		f.markTime.project(net.markTime, params, f.h, rows)
	} else {
		nn.SoftmaxRows(f.weights[:rows*k], k, f.weightTotal)
	}
	nn.SoftmaxRows(f.marks[:rows*classes], classes, nil)
}

func (f *mixtureFollower) TypicalCovariates(dst []float64) []float64 {
	return f.root.TypicalCovariates(dst)
}
