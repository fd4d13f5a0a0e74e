package classical

import (
	"errors"

	"github.com/tppfaas/tppfaas/tpp"
)

// startRow stands for the mark of the last event where there is none yet; in tables it has the row behind the marks.
const startRow = -1

// records are a dataset as the classical models see it: each event by the mark of the one before.
type records struct {
	numMarks int
	gaps     []gapRecord
	ends     []int // complete sequences by the mark of their last event
	open     []openRecord
	complete bool // there are complete sequences, from which ends can be learned
}

// gapRecord is a scored event.
type gapRecord struct {
	from, to int
	gap      float64
}

// openRecord is a sequence that was still running when one stopped looking: nothing came for the time waited.
type openRecord struct {
	from   int // startRow if nothing came in the whole window
	waited float64
}

// newRecords checks options and dataset.
func newRecords(d *tpp.Dataset, opts *FitOptions) (*records, error) {
	if err := opts.validate(); err != nil {
		return nil, err
	}
	if err := d.Validate(); err != nil {
		return nil, err
	}
	r := &records{numMarks: d.NumMarks(), ends: make([]int, d.NumMarks())}
	for i := range d.Sequences {
		s := &d.Sequences[i]
		from := startRow
		for j := range s.Len() {
			if gap, ok := s.GapBefore(j); ok {
				r.gaps = append(r.gaps, gapRecord{from, s.Mark(j), gap})
			}
			from = s.Mark(j)
		}
		if waited, open := s.Waited(); !open {
			r.ends[from]++
			r.complete = true
		} else if waited > 0 {
			r.open = append(r.open, openRecord{from, waited})
		}
	}
	if len(r.gaps) == 0 {
		return nil, errors.New("no sequence has an event to score")
	}
	return r, nil
}

// numEnds is the number of complete sequences.
func (r *records) numEnds() int {
	n := 0
	for _, e := range r.ends {
		n += e
	}
	return n
}

// markShares are the shares of the marks among the scored events, as if one more had come that had 1/NumMarks of each:
// none is impossible.
func (r *records) markShares() []float64 {
	p := make([]float64, r.numMarks)
	for _, g := range r.gaps {
		p[g.to]++
	}
	for m := range p {
		p[m] = (p[m] + 1/float64(len(p))) / float64(len(r.gaps)+1)
	}
	return p
}
