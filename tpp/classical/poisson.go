package classical

import (
	"context"
	"fmt"
	"io"
	"math"

	"github.com/tppfaas/tppfaas/tpp"
	"github.com/tppfaas/tppfaas/tpp/dist"
	"github.com/tppfaas/tppfaas/tpp/internal/unfitted"
)

// Poisson is a homogeneous Poisson process with independent marks that may end: after each event the sequence is over
// with a fixed probability, otherwise the next event comes after an exponential time, with a mark drawn from fixed
// proportions. Time, mark and end are independent of each other and of the past. If all sequences have a TEnd it is
// the plain Poisson process, whose rate is the number of events over the observed time. A Poisson is made by
// FitPoisson or NewPoisson, or read from a file; the zero value is not valid.
type Poisson struct {
	rowModel
	rate  float64
	marks []float64
	end   float64
}

// FitPoisson fits a Poisson process by maximum likelihood: rate = number of gaps/Σ gap, where a gap counts as at least
// half a tick of the clock. EM accounts for sequences that were over before their TEnd. The shares of marks and ends
// are smoothed by one event. When ctx is done, it returns the error of ctx.
func FitPoisson(ctx context.Context, d *tpp.Dataset, opts FitOptions) (*Poisson, error) {
	opts = opts.withDefaults()
	r, err := newRecords(d, &opts)
	if err != nil {
		return nil, fmt.Errorf("Poisson process: %w", err)
	}
	if err := checkMarks(r.numMarks, tpp.MaxMarks); err != nil {
		return nil, fmt.Errorf("Poisson process: %w", err)
	}
	watched := 0.0
	for _, g := range r.gaps {
		watched += max(g.gap, opts.Resolution/2)
	}
	rate, end := float64(len(r.gaps))/watched, 0.0
	if r.complete {
		end = (float64(r.numEnds()) + 0.5) / float64(len(r.gaps)+r.numEnds()+1)
	}
	for range opts.MaxIterations {
		if err := ctx.Err(); err != nil {
			return nil, fmt.Errorf("Poisson process: fit stopped: %w", err)
		}
		if len(r.open) == 0 {
			break
		}
		over, waited, decisions := 0.0, 0.0, 0 // expected: sequences that were over, time watched of those that were not
		for _, o := range r.open {
			alive := (1 - end) * math.Exp(-rate*o.waited)
			p := 0.0
			if o.from != startRow {
				decisions++
			}
			if end > 0 && o.from != startRow {
				p = end / (end + alive)
			}
			over += p
			waited += (1 - p) * o.waited
		}
		before := rate
		rate = float64(len(r.gaps)) / (watched + waited)
		if r.complete {
			end = (float64(r.numEnds()) + over + 0.5) / float64(len(r.gaps)+r.numEnds()+decisions+1)
		}
		if math.Abs(rate-before) <= 1e-12*rate {
			break
		}
	}
	return newPoisson(newClassical(KindPoisson, d, opts), rate, r.markShares(), end)
}

// newPoisson returns the model with the given parameters, rounded to float32.
func newPoisson(c classical, rate float64, marks []float64, end float64) (*Poisson, error) {
	m := &Poisson{rowModel{classical: c}, round32(rate), roundAll32(marks), round32(end)}
	time := dist.Exponential{Rate: m.rate}
	if err := time.Validate(); err != nil {
		return nil, err
	}
	rows, err := independentRows(c, time, m.marks, m.end)
	m.rows = rows
	return m, err
}

// Rate returns the rate of events while the sequence is not over, per time unit.
func (m *Poisson) Rate() float64 { return m.rate }

// Encode writes the model to w.
func (m *Poisson) Encode(w io.Writer) error {
	if len(m.rows) == 0 {
		return unfitted.Err
	}
	return tpp.EncodeModel(w, classicalDescription{ModelHeader: m.head}, map[string]tpp.Tensor{
		"rate": vector(m.rate), "marks": vector(m.marks...), "end": vector(m.end),
	})
}

func readPoisson(f *tpp.ModelFile) (tpp.Model, error) {
	h := f.Header
	rate, marks, end := f.Number("rate"), f.Tensor("marks", h.NumMarks), f.Number("end")
	if err := f.Finish(); err != nil {
		return nil, err
	}
	return asModel(newPoisson(classical{h}, rate, marks, end))
}

// Fingerprint returns a hash of the model's file.
func (m *Poisson) Fingerprint() uint64 { return fileFingerprint(m) }
