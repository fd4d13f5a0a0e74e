package classical

import (
	"errors"
	"fmt"

	"github.com/tppfaas/tppfaas/tpp"
)

// startRow is used as the mark of the last event before the first event. In tables its row follows those of the marks.
const startRow = -1

// records holds the gaps of a dataset with the marks before and after them, the ends and the censored gaps.
type records struct {
	numMarks int
	gaps     []gapRecord
	ends     []int // complete sequences by the mark of their last event
	open     []openRecord
	complete bool // there are complete sequences, so ends can be estimated
}

// gapRecord is a scored event: its gap, and the marks of the event before (or startRow) and of the event.
type gapRecord struct {
	from, to int
	gap      float64
}

// openRecord is a sequence with a TEnd: no event came in the time waited after its last event.
type openRecord struct {
	from   int // startRow if nothing came in the whole window
	waited float64
}

// newRecords returns the records of a dataset. It returns an error if options or dataset are not valid or if there is
// no event to score.
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

// maxPairMarks is the largest number of marks for models that have parameters for each pair of marks: beyond it, a fit would take
// gigabytes for pairs of which hardly one occurs.
const maxPairMarks = 2048

// checkMarks returns an error if a dataset has more marks than a kind of model can take.
func checkMarks(marks, most int) error {
	if marks <= most {
		return nil
	}
	if most < tpp.MaxMarks {
		return fmt.Errorf("the dataset has %d marks, and this kind of model, which has parameters for each pair of them, takes at most %d: merge rare marks, or fit another kind", marks, most)
	}
	return fmt.Errorf("the dataset has %d marks, a model takes at most %d: merge rare marks", marks, most)
}

// numEnds returns the number of complete sequences.
func (r *records) numEnds() int {
	n := 0
	for _, e := range r.ends {
		n += e
	}
	return n
}

// markShares returns the shares of the marks among the scored events, smoothed by one event divided equally among the
// marks.
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
