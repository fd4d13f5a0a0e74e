package classical

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"

	"github.com/tppfaas/tppfaas/tpp"
	"github.com/tppfaas/tppfaas/tpp/dist"
	"github.com/tppfaas/tppfaas/tpp/internal/unfitted"
)

// rowModel is the common part of models whose next event depends only on the mark of the last one.
type rowModel struct {
	classical
	rows []tpp.Next // as in rowState
}

// NewState returns the state before the first event.
func (m *rowModel) NewState(start float64) tpp.State {
	if len(m.rows) == 0 {
		return unfitted.State()
	}
	return &rowState{rows: m.rows, row: len(m.rows) - 1, last: start}
}

// rowState is the state of a rowModel.
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
	return s.next.Conditional(now - s.last)
}

func (s *rowState) Clone() tpp.State { return &rowState{rows: s.rows, row: s.row, last: s.last} }

// CopyFrom copies the history of another state of the same model.
func (s *rowState) CopyFrom(src tpp.State) bool {
	o, ok := src.(*rowState)
	if !ok || &o.rows[0] != &s.rows[0] {
		return false
	}
	s.row, s.last = o.row, o.last
	return true
}

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

// independentRows returns the rows of a model whose times, marks and ends are independent of each other and of the
// past. Before the first event the probability of the end is 0.
func independentRows(c classical, time dist.Distribution, marks []float64, end float64) ([]tpp.Next, error) {
	if err := checkEnd(end); err != nil {
		return nil, err
	}
	p, err := normalised(marks)
	if err != nil {
		return nil, fmt.Errorf("probabilities of the marks: %w", err)
	}
	rows := slices.Repeat([]tpp.Next{{Time: time, Marks: p, End: end, GapFloor: c.gapFloor()}}, c.head.NumMarks+1)
	rows[c.head.NumMarks].End = 0
	return rows, nil
}
