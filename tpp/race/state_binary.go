package race

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/tppfaas/tppfaas/internal/nn"
	"github.com/tppfaas/tppfaas/internal/num"
	"github.com/tppfaas/tppfaas/tpp"
)

// The sizes of the parts of a state's binary form, in bytes.
const (
	stateHead = 7 * 8
	dueSize   = 4 + 4 + 8 + 8 + 1 + 4*8
	lateSize  = (1 + maxAncestors) * 8 // of how late siblings and ancestors of what is due were
)

// dueSize returns the size of what is due, without covariates, in the binary form of a state.
func (e *encoder) dueSize() int {
	if e.ancestors > 0 {
		return dueSize + lateSize
	}
	return dueSize
}

// MarshalBinary encodes, in little-endian order, the number of events, of those that nothing explained, the times of the start and of
// the last step, how many events something explained and how late those were, the number of what is due (8 bytes each), the context (4 each), what is due with
// the covariates of its parent, before which a model that is told of ancestors has how late siblings and those were, and, if the model observes starts,
// the marks of the last events (4 each): maxRecent of them, or all.
func (s *state) MarshalBinary() ([]byte, error) {
	le := binary.LittleEndian
	b := make([]byte, 0, stateHead+4*len(s.hidden)+len(s.due)*(s.m.encoder.dueSize()+8*s.width))
	float := func(v float64) { b = le.AppendUint64(b, math.Float64bits(v)) }
	b = le.AppendUint64(le.AppendUint64(b, uint64(s.events)), uint64(s.unexplained))
	float(s.start)
	float(s.last)
	b = le.AppendUint64(b, uint64(s.explained))
	float(s.late)
	b = le.AppendUint64(b, uint64(len(s.due)))
	for _, v := range s.hidden {
		b = le.AppendUint32(b, math.Float32bits(v))
	}
	for i := range s.due {
		p := &s.due[i]
		b = le.AppendUint32(le.AppendUint32(b, uint32(p.parent)), uint32(p.slot))
		b = append(le.AppendUint64(le.AppendUint64(b, uint64(p.event)), p.alive), byte(p.kind))
		for _, v := range []float64{p.anchor, p.excess, p.placed[0], p.placed[1]} {
			float(v)
		}
		if s.m.encoder.ancestors > 0 {
			float(p.late)
			for _, v := range p.before {
				float(v)
			}
		}
		for _, v := range s.tracker.covariates[i*s.width : (i+1)*s.width] {
			float(v)
		}
	}
	for _, mark := range s.recent[len(s.recent)-s.numRecent(s.events):] {
		b = le.AppendUint32(b, uint32(mark))
	}
	return b, nil
}

// numRecent returns the number of events whose marks are kept, of all.
func (s *state) numRecent(events int) int {
	if s.m.cfg.Regime != Starts {
		return 0
	}
	return min(events, maxRecent)
}

// UnmarshalBinary sets the state to one that MarshalBinary wrote.
func (s *state) UnmarshalBinary(data []byte) error {
	r := stateReader{data: data}
	head := stateHead + 4*len(s.hidden)
	if len(data) < head {
		return fmt.Errorf("%d bytes, it must be at least %d", len(data), head)
	}
	t := tracker{structure: s.structure, width: s.width, begun: s.m.KnowsStart()}
	events, unexplained := r.uint64(), r.uint64()
	if events > math.MaxInt32 || unexplained > events {
		return fmt.Errorf("%d events, of which nothing explains %d", events, unexplained)
	}
	t.events, t.unexplained = int(events), int(unexplained)
	if t.start, t.last = r.float64(), r.float64(); !(t.start <= t.last) || math.IsInf(t.last-t.start, 0) || math.IsInf(t.last, 0) {
		return fmt.Errorf("a start at %v and the last event at %v", t.start, t.last)
	}
	explained := r.uint64()
	if t.late = r.float64(); explained > events-unexplained || !(math.Abs(t.late) <= float64(explained)) {
		return fmt.Errorf("%d events that something explains, which were late by %v", explained, t.late)
	}
	t.explained = int(explained)
	count := r.uint64()
	if size := s.m.encoder.dueSize() + 8*t.width; count > maxDue || len(data) != head+int(count)*size+4*s.numRecent(t.events) {
		return fmt.Errorf("%d bytes, of which %d events are due", len(data), count)
	}
	hidden := nn.Resize[float32](nil, len(s.hidden))
	for i := range hidden {
		if hidden[i] = math.Float32frombits(r.uint32()); !(math.Abs(float64(hidden[i])) < 1.001) {
			return fmt.Errorf("unit %d is %v", i, hidden[i])
		}
	}
	for i := range int(count) {
		p, err := r.due(&t)
		if err != nil {
			return fmt.Errorf("event %d that is due: %w", i, err)
		}
		if s.m.encoder.ancestors > 0 {
			if err := r.late(&p); err != nil {
				return fmt.Errorf("event %d that is due: %w", i, err)
			}
		}
		t.due = append(t.due, p)
		for range t.width {
			v := r.float64()
			if !(math.Abs(v) <= num.MaxStandardised) {
				return fmt.Errorf("event %d that is due: a covariate of %v standard deviations", i, v)
			}
			t.covariates = append(t.covariates, v)
		}
	}
	var recent []int32
	for range s.numRecent(t.events) {
		mark := r.uint32()
		if mark >= uint32(s.m.numMarks) {
			return fmt.Errorf("an event with mark %d: the model knows %d marks", mark, s.m.numMarks)
		}
		recent = append(recent, int32(mark))
	}
	s.tracker, s.hidden, s.recent = t, hidden, recent
	s.invalidate()
	return nil
}

// stateReader takes numbers from the binary form of a state, which must be long enough.
type stateReader struct{ data []byte }

func (r *stateReader) uint32() uint32 {
	v := binary.LittleEndian.Uint32(r.data)
	r.data = r.data[4:]
	return v
}

func (r *stateReader) uint64() uint64 {
	v := binary.LittleEndian.Uint64(r.data)
	r.data = r.data[8:]
	return v
}

func (r *stateReader) float64() float64 { return math.Float64frombits(r.uint64()) }

// due returns an entry of what is due in t, whose other fields are known.
func (r *stateReader) due(t *tracker) (due, error) {
	var p due
	parent, slot := r.uint32(), r.uint32()
	if int64(parent) >= int64(len(t.graph.Slots)) || int64(slot) >= int64(len(t.graph.Slots[parent])) {
		return p, fmt.Errorf("the graph has no slot %d of parent %d", slot, parent)
	}
	event, alive := int64(r.uint64()), r.uint64()
	if first := int(parent) == t.structure.start(); first != (event == -1) || event < -1 || event >= int64(t.events) {
		return p, fmt.Errorf("its parent is event %d, there are %d", event, t.events)
	}
	if alternatives := len(t.graph.Slots[parent][slot].Marks); alive == 0 || alive&^(1<<alternatives-1) != 0 {
		return p, fmt.Errorf("the alternatives %b, there are %d", alive, alternatives)
	}
	state := kind(r.data[0])
	if r.data = r.data[1:]; state >= numKinds {
		return p, fmt.Errorf("kind %d of a delay, there are %d", state, numKinds)
	}
	p = due{parent: int32(parent), slot: int32(slot), event: int(event), alive: alive, kind: state}
	p.anchor, p.excess, p.placed = r.float64(), r.float64(), [2]float64{r.float64(), r.float64()}
	switch {
	case !(p.anchor >= t.start && p.anchor <= t.last):
		return p, fmt.Errorf("its delay began at %v, the sequence was seen from %v to %v", p.anchor, t.start, t.last)
	case math.IsNaN(p.excess) || math.IsInf(p.excess, 0):
		return p, fmt.Errorf("its parent was late by %v", p.excess)
	case !(p.placed[0] >= 0 && p.placed[1] >= 0) || math.IsInf(p.placed[0]+p.placed[1], 0):
		return p, fmt.Errorf("its parent waited %v and initialised %v", p.placed[0], p.placed[1])
	}
	return p, nil
}

// late reads how late siblings and ancestors of what is due were.
func (r *stateReader) late(p *due) error {
	p.late = r.float64()
	for i := range p.before {
		p.before[i] = r.float64()
	}
	for _, v := range append(p.before[:], p.late) {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return fmt.Errorf("siblings were late by %v, ancestors by %v", p.late, p.before)
		}
	}
	return nil
}

// TypicalCovariates appends the means of the training part to dst.
func (s *state) TypicalCovariates(dst []float64) []float64 { return append(dst, s.m.encoder.mean...) }

var (
	_ tpp.BinaryState  = (*state)(nil)
	_ tpp.TypicalState = (*state)(nil)
)
