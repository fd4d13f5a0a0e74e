package tpp

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"hash/fnv"
	"maps"
	"math"
	"slices"
	"sync"

	"github.com/tppfaas/tppfaas/internal/nn"
)

// The binary form of a state: the magic, the format, the model's fingerprint, what the state wrote, and a checksum of all
// that. Numbers are little endian.
const (
	stateMagic    = "TPPS"
	stateFormat   = 1
	stateHeader   = len(stateMagic) + 1 + 8
	stateChecksum = 4
)

// MarshalState writes a state of the model in a binary form, from which UnmarshalState makes it again in another process.
// It is an error if the state is not a BinaryState.
func MarshalState(m Model, s State) ([]byte, error) {
	b, ok := s.(BinaryState)
	if !ok {
		return nil, fmt.Errorf("state of a %s: it has no binary form", m.Kind())
	}
	if o, ok := s.(OwnedState); ok && o.Model() != m {
		return nil, errors.New("the state belongs to another model")
	}
	content, err := b.MarshalBinary()
	if err != nil {
		return nil, fmt.Errorf("state of a %s: %w", m.Kind(), err)
	}
	out := make([]byte, 0, stateHeader+len(content)+stateChecksum)
	out = append(append(out, stateMagic...), stateFormat)
	out = binary.LittleEndian.AppendUint64(out, fingerprint(m))
	out = append(out, content...)
	return binary.LittleEndian.AppendUint32(out, crc32.ChecksumIEEE(out)), nil
}

// UnmarshalState makes a state of the model from what MarshalState wrote. It is strict: what is cut off, damaged, or of
// another model is an error.
func UnmarshalState(m Model, data []byte) (State, error) {
	if len(data) < stateHeader+stateChecksum || string(data[:len(stateMagic)]) != stateMagic {
		return nil, errors.New("not the binary form of a state")
	}
	if format := data[len(stateMagic)]; format != stateFormat {
		return nil, fmt.Errorf("state: format %d, this program reads %d", format, stateFormat)
	}
	body := data[:len(data)-stateChecksum]
	if crc32.ChecksumIEEE(body) != binary.LittleEndian.Uint32(data[len(body):]) {
		return nil, errors.New("state: it is damaged, its checksum is wrong")
	}
	if binary.LittleEndian.Uint64(data[len(stateMagic)+1:]) != fingerprint(m) {
		return nil, errors.New("state: it belongs to another model")
	}
	s, ok := m.NewState(0).(BinaryState)
	if !ok {
		return nil, fmt.Errorf("state of a %s: it has no binary form", m.Kind())
	}
	if err := s.UnmarshalBinary(body[stateHeader:]); err != nil {
		return nil, fmt.Errorf("state of a %s: %w", m.Kind(), err)
	}
	return s, nil
}

func fingerprint(m Model) uint64 {
	if f, ok := m.(Fingerprinter); ok {
		return f.Fingerprint()
	}
	h := fnv.New64a()
	fmt.Fprintf(h, "%q %q %q", m.Kind(), m.MarkNames(), m.CovariateNames())
	return h.Sum64()
}

// lazyFingerprint is computed when it is asked for first.
type lazyFingerprint struct {
	once  sync.Once
	value uint64
}

// Fingerprint is a hash of the configuration, the names, the normalisation and the parameters. A model has the same one
// after it was written and read.
func (m *Recurrent) Fingerprint() uint64 {
	m.print.once.Do(func() {
		h := fnv.New64a()
		text, err := json.Marshal(m.cfg)
		if err != nil {
			panic("tpp: a configuration that was validated is no JSON: " + err.Error())
		}
		fmt.Fprintf(h, "%s %q %d %v", text, m.markNames, m.numMarks, m.norm)
		var b [4]byte
		for _, v := range m.params {
			binary.LittleEndian.PutUint32(b[:], math.Float32bits(v))
			h.Write(b[:])
		}
		m.print.value = h.Sum64()
	})
	return m.print.value
}

// MarshalBinary writes the number of events, the time of the last one, and the encoder's state.
func (s *recurrentState) MarshalBinary() ([]byte, error) {
	b := make([]byte, 0, 16+4*len(s.hidden))
	b = binary.LittleEndian.AppendUint64(b, uint64(s.events))
	b = binary.LittleEndian.AppendUint64(b, math.Float64bits(s.last))
	for _, v := range s.hidden {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(v))
	}
	return b, nil
}

func (s *recurrentState) UnmarshalBinary(data []byte) error {
	if want := 16 + 4*len(s.hidden); len(data) != want {
		return fmt.Errorf("%d bytes, it must be %d", len(data), want)
	}
	events := binary.LittleEndian.Uint64(data)
	last := math.Float64frombits(binary.LittleEndian.Uint64(data[8:]))
	if events > maxEvents {
		return fmt.Errorf("%d events", events)
	}
	if math.IsNaN(last) || math.IsInf(last, 0) {
		return fmt.Errorf("the last event at %v", last)
	}
	hidden := nn.Resize[float32](nil, len(s.hidden))
	for i := range hidden {
		hidden[i] = math.Float32frombits(binary.LittleEndian.Uint32(data[16+4*i:]))
		if v := float64(hidden[i]); math.IsNaN(v) || math.IsInf(v, 0) {
			return fmt.Errorf("unit %d is %v", i, v)
		}
		if events == 0 && hidden[i] != 0 {
			return fmt.Errorf("unit %d is %v before the first event", i, hidden[i])
		}
	}
	s.events, s.last, s.hidden = int(events), last, hidden
	s.forget()
	return nil
}

// maxEvents is more than anybody observes.
const maxEvents = 1<<31 - 1

// Fingerprint is a hash of the key, the names, and what was counted.
func (l *Lookup) Fingerprint() uint64 {
	h := fnv.New64a()
	fmt.Fprintf(h, "%s %q %d", l.Kind(), l.head.Marks, l.head.NumMarks)
	for _, key := range slices.Sorted(maps.Keys(l.cells)) {
		next := &l.cells[key].next
		fmt.Fprintf(h, " %x %x %x", key, next.Marks, next.End)
		for _, q := range []float64{0.05, 0.25, 0.5, 0.75, 0.95} {
			fmt.Fprintf(h, " %x", next.Time.Quantile(q))
		}
	}
	return h.Sum64()
}

// MarshalBinary writes the time of the last event, the number of events, the last marks, and the set of those seen.
func (s *lookupState) MarshalBinary() ([]byte, error) {
	b := binary.LittleEndian.AppendUint64(nil, math.Float64bits(s.last))
	b = binary.LittleEndian.AppendUint64(b, uint64(s.history.events))
	for _, m := range s.history.last {
		b = binary.LittleEndian.AppendUint32(b, uint32(m))
	}
	return append(b, s.history.set...), nil
}

func (s *lookupState) UnmarshalBinary(data []byte) error {
	const fixed = 8 + 8 + 3*4
	if len(data) < fixed {
		return fmt.Errorf("%d bytes, it must be at least %d", len(data), fixed)
	}
	last := math.Float64frombits(binary.LittleEndian.Uint64(data))
	events := binary.LittleEndian.Uint64(data[8:])
	set := data[fixed:]
	if math.IsNaN(last) || math.IsInf(last, 0) {
		return fmt.Errorf("the last event at %v", last)
	}
	if events > maxEvents {
		return fmt.Errorf("%d events", events)
	}
	history := lookupHistory{events: int(events), set: slices.Clone(set)}
	seen := func(mark int) bool { return mark/8 < len(set) && set[mark/8]&(1<<(mark%8)) != 0 }
	for i := range history.last {
		mark := int(binary.LittleEndian.Uint32(data[16+4*i:]))
		if mark < 0 || i < history.events && !(mark < s.l.head.NumMarks && seen(mark)) || i >= history.events && mark != 0 {
			return fmt.Errorf("mark %d, %d events ago", mark, i+1)
		}
		history.last[i] = mark
	}
	count := 0
	for mark := range 8 * len(set) {
		if seen(mark) {
			count++
			if mark >= s.l.head.NumMarks {
				return fmt.Errorf("mark %d was seen: the model knows %d marks", mark, s.l.head.NumMarks)
			}
		}
	}
	if count > history.events || len(set) > 0 && set[len(set)-1] == 0 {
		return fmt.Errorf("%d marks seen in %d events", count, events)
	}
	s.last, s.history = last, history
	return nil
}
