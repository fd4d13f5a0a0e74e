package classical

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/tppfaas/tppfaas/tpp"
	"github.com/tppfaas/tppfaas/tpp/dist"
	"github.com/tppfaas/tppfaas/tpp/internal/unfitted"
)

// Renewal is a renewal process that may end: gaps are independent draws from one mixture of log-normals, marks are
// independent draws from fixed proportions, and after each event the sequence is over with a fixed probability. The
// last mark has no influence; see MarkovRenewal. A Renewal is made by FitRenewal or NewRenewal, or read from a file; the
// zero value is not valid.
type Renewal struct {
	rowModel
	mix        *dist.LogNormMix // of the gaps, nil for any other distribution
	parameters renewalParameters
}

// renewalParameters are the parameters as stored in the file.
type renewalParameters struct {
	weights, mu, sigma []float64 // of the components
	marks              []float64
	end                float64
}

// FitRenewal fits a renewal process by EM. Gaps count at the clock's resolution; the gap after the last event of a
// sequence with a TEnd is right-censored, unless the sequence was over. When ctx is done, it returns the error of ctx.
func FitRenewal(ctx context.Context, d *tpp.Dataset, opts FitOptions) (*Renewal, error) {
	opts = opts.withDefaults()
	opts.Components = cmp.Or(opts.Components, 16)
	r, err := newRecords(d, &opts)
	if err != nil {
		return nil, fmt.Errorf("renewal process: %w", err)
	}
	if err := checkMarks(r.numMarks, tpp.MaxMarks); err != nil {
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
	g.empty = newOpenGaps(empty)
	if err := g.fit(ctx, opts.MaxIterations); err != nil {
		return nil, fmt.Errorf("renewal process: fit stopped: %w", err)
	}
	p := renewalParameters{marks: r.markShares(), end: g.end}
	for _, c := range g.classes[0].components {
		p.weights, p.mu, p.sigma = append(p.weights, c.weight), append(p.mu, c.mu), append(p.sigma, c.sigma)
	}
	return newRenewal(newClassical(KindRenewal, d, opts), p)
}

// newRenewal returns the model with the given parameters, rounded to float32.
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
	if len(m.rows) == 0 {
		return unfitted.Err
	}
	if m.mix == nil {
		return errors.New("renewal process: a file holds gaps of a mixture of log-normals, and not of another distribution")
	}
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
	return asModel(newRenewal(classical{h}, p))
}

// Fingerprint returns a hash of the model's file.
func (m *Renewal) Fingerprint() uint64 { return fileFingerprint(m) }
