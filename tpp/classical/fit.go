package classical

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/tppfaas/tppfaas/tpp"
)

// The kinds of classical models.
const (
	KindPoisson      = "poisson"
	KindRenewal      = "renewal"
	KindMarkRenewal  = "markov"
	KindHawkes       = "hawkes"
	KindLookupMark   = "lookup-mark"
	KindLookupMarks3 = "lookup-marks3"
	KindLookupSet    = "lookup-set"
)

// FitOptions says how a classical model is fitted. The zero value is good for times in whole milliseconds: every field
// left zero takes the default that its comment gives.
type FitOptions struct {
	// TimeUnit names the unit of all times (default ms).
	TimeUnit string
	// Resolution is the tick of the clock that took the times (default 1). A gap is known up to half a tick, and no gap
	// is taken to be shorter than that.
	Resolution float64
	// Components is the largest number of log-normal components of a gap's distribution (default 16 for a Renewal, 4 for
	// each pair of marks of a MarkRenewal). There is at most one for every 20 gaps.
	Components int
	// DecayPerPair gives a Hawkes process a rate of decay for each pair of marks. Without, all pairs share one.
	DecayPerPair bool
	// MaxIterations limits the iterations of a fit (default 500).
	MaxIterations int
}

func (o FitOptions) withDefaults() FitOptions {
	o.TimeUnit = cmp.Or(o.TimeUnit, "ms")
	o.Resolution = cmp.Or(o.Resolution, 1)
	o.MaxIterations = cmp.Or(o.MaxIterations, 500)
	return o
}

func (o *FitOptions) validate() error {
	switch {
	case !(o.Resolution > 0) || math.IsInf(o.Resolution, 0):
		return fmt.Errorf("the resolution is %v, it must be above 0", o.Resolution)
	case o.Components < 0 || o.Components > maxComponents:
		return fmt.Errorf("the number of components is %d, it must be from 1 to %d", o.Components, maxComponents)
	case o.MaxIterations < 0:
		return fmt.Errorf("a limit of %d iterations", o.MaxIterations)
	}
	return nil
}

// kind is a kind of classical model.
type kind struct {
	name string
	fit  func(ctx context.Context, d *tpp.Dataset, opts FitOptions) (tpp.FileModel, error)
	read tpp.ModelReader
}

// kinds are all of them: a new one takes a row here.
func kinds() []kind {
	return []kind{
		{KindPoisson, asFileModel(func(_ context.Context, d *tpp.Dataset, opts FitOptions) (*Poisson, error) { return FitPoisson(d, opts) }), readPoisson},
		{KindRenewal, asFileModel(FitRenewal), readRenewal},
		{KindMarkRenewal, asFileModel(FitMarkRenewal), readMarkRenewal},
		{KindHawkes, asFileModel(FitHawkes), readHawkes},
		{KindLookupMark, fitLookupBy(LastMark), readLookup},
		{KindLookupMarks3, fitLookupBy(LastThreeMarks), readLookup},
		{KindLookupSet, fitLookupBy(LastMarkAndSet), readLookup},
	}
}

func init() {
	for _, k := range kinds() {
		tpp.Register(k.name, k.read)
	}
}

// asFileModel is a fit whose model, nil or not, is returned as a FileModel.
func asFileModel[M tpp.FileModel](fit func(context.Context, *tpp.Dataset, FitOptions) (M, error)) func(context.Context, *tpp.Dataset, FitOptions) (tpp.FileModel, error) {
	return func(ctx context.Context, d *tpp.Dataset, opts FitOptions) (tpp.FileModel, error) {
		m, err := fit(ctx, d, opts)
		if err != nil {
			return nil, err
		}
		return m, nil
	}
}

// maxComponents is the largest number of components that a fit or a file may ask for.
const maxComponents = 1 << 16

// ClassicalKinds are the kinds that Fit knows.
func ClassicalKinds() []string {
	var names []string
	for _, k := range kinds() {
		names = append(names, k.name)
	}
	return names
}

// Fit fits the classical model of a kind. Done sooner than a recurrent model is trained, and content with less data, they
// are what that has to beat. When ctx is done Fit returns its error.
func Fit(ctx context.Context, kind string, d *tpp.Dataset, opts FitOptions) (tpp.FileModel, error) {
	for _, k := range kinds() {
		if k.name == kind {
			return k.fit(ctx, d, opts)
		}
	}
	return nil, fmt.Errorf("unknown kind of classical model %q, it is one of %s", kind, strings.Join(ClassicalKinds(), ", "))
}

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
	from   int
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
		if s.TEnd == nil {
			r.ends[from]++
			r.complete = true
		} else if waited := *s.TEnd - s.ArrivalTimes[s.Len()-1]; waited > 0 {
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

// rowState is the state of a model whose next event depends on nothing but the mark of the last one.
type rowState struct {
	rows []tpp.Next // by the mark of the last event; the last row is for the first event
	row  int
	last float64
	next tpp.Next
}

func (s *rowState) Observe(e tpp.Event) error {
	if err := tpp.CheckEvent(e, s.last, len(s.rows)-1); err != nil {
		return err
	}
	s.last, s.row = e.Time, e.Mark
	return nil
}

func (s *rowState) Next(now float64) *tpp.Next {
	s.next.CopyFrom(&s.rows[s.row])
	return s.next.Given(now - s.last)
}

func (s *rowState) Clone() tpp.State { return &rowState{rows: s.rows, row: s.row, last: s.last} }

// CopyFrom takes over the history of another state of the same model.
func (s *rowState) CopyFrom(src tpp.State) bool {
	o, ok := src.(*rowState)
	if !ok || &o.rows[0] != &s.rows[0] {
		return false
	}
	s.row, s.last = o.row, o.last
	return true
}

// rowModel is what models share whose next event depends on nothing but the mark of the last one.
type rowModel struct {
	classical
	rows []tpp.Next // as in rowState
}

// NewState is the state before the first event.
func (m *rowModel) NewState(start float64) tpp.State {
	return &rowState{rows: m.rows, row: len(m.rows) - 1, last: start}
}

// classical is what every classical model knows of its data.
type classical struct{ head tpp.ModelHeader }

func newClassical(kind string, d *tpp.Dataset, opts FitOptions) classical {
	return classical{tpp.ModelHeader{
		Format: tpp.ModelFormat, Kind: kind, NumMarks: d.NumMarks(), Marks: slices.Clone(d.MarkNames),
		TimeUnit: opts.TimeUnit, Resolution: opts.Resolution,
	}}
}

// Kind is the kind of the model, as Fit and model files name it.
func (c *classical) Kind() string { return c.head.Kind }

// MarkNames names the marks by index; empty for an unmarked model.
func (c *classical) MarkNames() []string { return c.head.Marks }

// CovariateNames is empty: classical models know times and marks only.
func (c *classical) CovariateNames() []string { return nil }

// TimeUnit names the unit of all times.
func (c *classical) TimeUnit() string { return c.head.TimeUnit }

// Resolution is the tick of the clock that took the times, in the time unit.
func (c *classical) Resolution() float64 { return c.head.Resolution }

// gapFloor is the shortest gap that the clock can tell from 0.
func (c *classical) gapFloor() float64 { return c.head.Resolution / 2 }

// MarshalBinary writes the time and the mark of the last event.
func (s *rowState) MarshalBinary() ([]byte, error) {
	b := binary.LittleEndian.AppendUint64(nil, math.Float64bits(s.last))
	return binary.LittleEndian.AppendUint64(b, uint64(s.row)), nil
}

func (s *rowState) UnmarshalBinary(data []byte) error {
	last, rest, err := readLastTime(data, 8)
	if err != nil {
		return err
	}
	row := binary.LittleEndian.Uint64(rest)
	if row >= uint64(len(s.rows)) {
		return fmt.Errorf("mark %d: the model knows %d marks", row, len(s.rows)-1)
	}
	s.last, s.row = last, int(row)
	return nil
}

// readLastTime reads the time of the last event, and checks that size bytes follow.
func readLastTime(data []byte, size int) (last float64, rest []byte, err error) {
	if len(data) != 8+size {
		return 0, nil, fmt.Errorf("%d bytes, it must be %d", len(data), 8+size)
	}
	last = math.Float64frombits(binary.LittleEndian.Uint64(data))
	if math.IsNaN(last) || math.IsInf(last, 0) {
		return 0, nil, fmt.Errorf("the last event at %v", last)
	}
	return last, data[8:], nil
}
