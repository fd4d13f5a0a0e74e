package classical

import (
	"cmp"
	"context"
	"fmt"
	"io"

	"github.com/tppfaas/tppfaas/tpp"
	"github.com/tppfaas/tppfaas/tpp/dist"
)

// Renewal is a renewal process that may end: gaps are independent draws from one mixture of log-normals, marks are
// independent draws in fixed proportions, and after each event the sequence is over with one probability. What it does
// not know is which mark came last: MarkovRenewal does.
type Renewal struct {
	rowModel
	mix        *dist.LogNormMix
	parameters renewalParameters
}

// renewalParameters are the parameters as a file holds them.
type renewalParameters struct {
	weights, mu, sigma []float64 // of the components
	marks              []float64
	end                float64
}

// FitRenewal fits a renewal process by the EM algorithm, with the gaps at the clock's resolution and the gap in which a
// sequence was still running at its TEnd taken as longer than that, or the end. When ctx is done it returns its error.
func FitRenewal(ctx context.Context, d *tpp.Dataset, opts FitOptions) (*Renewal, error) {
	opts = opts.withDefaults()
	opts.Components = cmp.Or(opts.Components, 16)
	r, err := newRecords(d, &opts)
	if err != nil {
		return nil, fmt.Errorf("renewal process: %w", err)
	}
	gaps := make([]logGap, len(r.gaps))
	for i, g := range r.gaps {
		gaps[i] = newLogGap(g.gap, opts.Resolution)
	}
	var open, empty []float64
	for _, o := range r.open {
		if o.from == startRow {
			empty = append(empty, o.waited)
		} else {
			open = append(open, o.waited)
		}
	}
	class := newGapClass(gaps, opts.Components, backgroundOf(gaps))
	g := newGapMixtures([]gapClass{class}, r.numEnds(), r.complete, open)
	g.empty = empty
	if err := g.fit(ctx, opts.MaxIterations); err != nil {
		return nil, fmt.Errorf("renewal process: fit stopped: %w", err)
	}
	p := renewalParameters{marks: r.markShares(), end: g.end}
	for _, c := range g.classes[0].components {
		p.weights, p.mu, p.sigma = append(p.weights, c.weight), append(p.mu, c.mu), append(p.sigma, c.sigma)
	}
	return newRenewal(newClassical(KindRenewal, d, opts), p)
}

// newRenewal makes the model of parameters as a file holds them.
func newRenewal(c classical, p renewalParameters) (*Renewal, error) {
	p = renewalParameters{roundAll32(p.weights), roundAll32(p.mu), roundAll32(p.sigma), roundAll32(p.marks), round32(p.end)}
	mix, err := logNormalOf(p.weights, p.mu, p.sigma)
	if err != nil {
		return nil, err
	}
	rows, err := independentRows(c, mix, p.marks, p.end)
	return &Renewal{rowModel{c, rows}, mix, p}, err
}

// Encode writes the model to w.
func (m *Renewal) Encode(w io.Writer) error {
	p := &m.parameters
	return tpp.EncodeModel(w, classicalDescription{ModelHeader: m.head, Components: len(p.weights)}, map[string]tpp.Tensor{
		"weight": vector(p.weights...), "mu": vector(p.mu...), "sigma": vector(p.sigma...),
		"marks": vector(p.marks...), "end": vector(p.end),
	})
}

func readRenewal(f *tpp.ModelFile) (tpp.Model, error) {
	h := f.Header
	d, err := parseClassical(f)
	if err != nil {
		return nil, err
	}
	k := d.Components
	p := renewalParameters{
		weights: f.Tensor("weight", k), mu: f.Tensor("mu", k), sigma: f.Tensor("sigma", k),
		marks: f.Tensor("marks", h.NumMarks), end: f.Number("end"),
	}
	if err := f.Finish(); err != nil {
		return nil, err
	}
	return model(newRenewal(classical{h}, p))
}

// Fingerprint is a hash of everything that the model's file says.
func (m *Renewal) Fingerprint() uint64 { return fileFingerprint(m) }
