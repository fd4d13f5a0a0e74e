package classical

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"math"

	"github.com/tppfaas/tppfaas/tpp"
	"github.com/tppfaas/tppfaas/tpp/dist"
	"github.com/tppfaas/tppfaas/tpp/internal/unfitted"
)

// MarkovRenewal is a Markov renewal process (semi-Markov process; Pyke 1961) whose states are the marks: the next
// mark, or the end, depends on the mark of the last event, and the gap on both marks, with a mixture of log-normals
// for each pair. The longer no event comes, the likelier are marks with long gaps. A MarkovRenewal is made by
// FitMarkovRenewal or read from a file; the zero value is not valid.
type MarkovRenewal struct {
	rowModel
	parameters markovRenewalParameters
}

// markovRenewalParameters are the parameters as stored in the file. Rows are indexed by the mark of the last event;
// the last row is for the first event of a sequence.
type markovRenewalParameters struct {
	transition         []float64 // (marks + 1, marks + 1): of each mark to come and, in the last column, the end
	weights, mu, sigma []float64 // (marks + 1, marks, components); a component that is not there has the weight 0
	components         int
}

// FitMarkovRenewal fits a Markov renewal process, each row by EM as in FitRenewal. The outcomes after a mark are
// smoothed by one event divided equally among the marks and the end. When ctx is done, it returns the error of ctx.
func FitMarkovRenewal(ctx context.Context, d *tpp.Dataset, opts FitOptions) (*MarkovRenewal, error) {
	opts = opts.withDefaults()
	opts.Components = cmp.Or(opts.Components, 4)
	r, err := newRecords(d, &opts)
	if err != nil {
		return nil, fmt.Errorf("fit of a Markov renewal process: %w", err)
	}
	marks := r.numMarks
	if err := checkMarks(marks, maxPairMarks); err != nil {
		return nil, fmt.Errorf("fit of a Markov renewal process: %w", err)
	}
	all := make([]logGap, len(r.gaps))
	pairs := make([][]logGap, (marks+1)*marks)
	for i, g := range r.gaps {
		all[i] = newLogGap(g.gap, opts.Resolution)
		pair := rowOf(g.from, marks)*marks + g.to
		pairs[pair] = append(pairs[pair], all[i])
	}
	open := make([][]float64, marks+1)
	for _, o := range r.open {
		row := rowOf(o.from, marks)
		open[row] = append(open[row], o.waited)
	}
	background := backgroundOf(all)
	k := opts.Components + 1
	p := markovRenewalParameters{components: k, transition: make([]float64, 0, (marks+1)*(marks+1))}
	for row := range marks + 1 {
		ends, knowsEnd := 0, false
		if row < marks {
			ends, knowsEnd = r.ends[row], r.complete
		}
		classes := make([]gapClass, marks)
		for m := range classes {
			classes[m] = newGapClass(pairs[row*marks+m], opts.Components, background)
		}
		g := newGapMixtures(classes, ends, knowsEnd, open[row])
		if err := g.fit(ctx, opts.MaxIterations); err != nil {
			return nil, fmt.Errorf("fit of a Markov renewal process stopped: %w", err)
		}
		p.addRow(g)
	}
	return newMarkovRenewal(newClassical(KindMarkovRenewal, d, opts), p)
}

// rowOf returns the row of the mark of the last event, or the last row for startRow.
func rowOf(from, marks int) int {
	if from == startRow {
		return marks
	}
	return from
}

// addRow appends the fitted row of one mark.
func (p *markovRenewalParameters) addRow(g *gapMixtures) {
	for i := range g.classes {
		c := &g.classes[i]
		p.transition = append(p.transition, c.share)
		for k := range p.components {
			v := component{0, 0, 1}
			if k < len(c.components) {
				v = c.components[k]
			}
			p.weights, p.mu, p.sigma = append(p.weights, v.weight), append(p.mu, v.mu), append(p.sigma, v.sigma)
		}
	}
	p.transition = append(p.transition, g.end)
}

// newMarkovRenewal returns the model with the given parameters, rounded to float32.
func newMarkovRenewal(c classical, p markovRenewalParameters) (*MarkovRenewal, error) {
	p = markovRenewalParameters{roundAll32(p.transition), roundAll32(p.weights), roundAll32(p.mu), roundAll32(p.sigma), p.components}
	m := &MarkovRenewal{rowModel{c, make([]tpp.Next, c.head.NumMarks+1)}, p}
	for row := range m.rows {
		if err := m.prepareRow(row); err != nil {
			return nil, fmt.Errorf("row %d: %w", row, err)
		}
	}
	return m, nil
}

func (m *MarkovRenewal) prepareRow(row int) error {
	marks, k, p := m.head.NumMarks, m.parameters.components, &m.parameters
	follows, err := normalised(p.transition[row*(marks+1):][:marks+1])
	if err != nil {
		return err
	}
	end := follows[marks]
	if err := checkEnd(end); err != nil {
		return err
	}
	joint := &pairMixtures{of: make([]dist.LogNormMix, marks), logShare: make([]float64, marks)}
	all := &dist.LogNormMix{}
	shares := make([]float64, marks)
	for i := range marks {
		at := (row*marks + i) * k
		mix, err := logNormalOf(p.weights[at:at+k], p.mu[at:at+k], p.sigma[at:at+k])
		if err != nil {
			return fmt.Errorf("mark %d: %w", i, err)
		}
		shares[i] = follows[i] / (1 - end)
		joint.of[i], joint.logShare[i] = *mix, math.Log(shares[i])
		if shares[i] > 0 {
			for _, lw := range mix.LogWeights {
				all.LogWeights = append(all.LogWeights, lw+joint.logShare[i])
			}
			all.Mu, all.Sigma = append(all.Mu, mix.Mu...), append(all.Sigma, mix.Sigma...)
		}
	}
	m.rows[row] = tpp.Next{Time: all, Marks: shares, End: end, GapFloor: m.gapFloor(), Joint: joint}
	return nil
}

// pairMixtures is the Joint after one mark: a mixture of log-normals and a share for each next mark. Their weighted
// sum is the distribution of the time.
type pairMixtures struct {
	of       []dist.LogNormMix // by the mark to come
	logShare []float64
}

func (p *pairMixtures) LogProbMark(tau float64, mark int) float64 {
	return p.logShare[mark] + p.of[mark].LogProb(tau)
}

func (p *pairMixtures) LogIntervalMark(a, b float64, mark int) float64 {
	return p.logShare[mark] + p.of[mark].LogInterval(a, b)
}

// Encode writes the model to w.
func (m *MarkovRenewal) Encode(w io.Writer) error {
	if len(m.rows) == 0 {
		return unfitted.Err
	}
	n, p := m.head.NumMarks, &m.parameters
	mixtures := []int{n + 1, n, p.components}
	return tpp.EncodeModel(w, classicalDescription{ModelHeader: m.head, Components: p.components}, map[string]tpp.Tensor{
		"transition": {Shape: []int{n + 1, n + 1}, Data: p.transition},
		"weight":     {Shape: mixtures, Data: p.weights},
		"mu":         {Shape: mixtures, Data: p.mu},
		"sigma":      {Shape: mixtures, Data: p.sigma},
	})
}

func readMarkovRenewal(f *tpp.ModelFile) (tpp.Model, error) {
	h := f.Header
	d, err := parseClassical(f)
	if err != nil {
		return nil, err
	}
	n, k := h.NumMarks, d.Components
	p := markovRenewalParameters{
		transition: f.Tensor("transition", n+1, n+1),
		weights:    f.Tensor("weight", n+1, n, k), mu: f.Tensor("mu", n+1, n, k), sigma: f.Tensor("sigma", n+1, n, k),
		components: k,
	}
	if err := f.Finish(); err != nil {
		return nil, err
	}
	return asModel(newMarkovRenewal(classical{h}, p))
}

// Fingerprint returns a hash of the model's file.
func (m *MarkovRenewal) Fingerprint() uint64 { return fileFingerprint(m) }
