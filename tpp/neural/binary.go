package neural

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"math"

	"github.com/tppfaas/tppfaas/internal/nn"
)

// Fingerprint is a hash of the configuration, the names, the normalisation and the parameters. A model has the same one
// after it was written and read.
func (m *Recurrent) Fingerprint() uint64 {
	m.print.once.Do(func() {
		h := fnv.New64a()
		text, err := json.Marshal(m.cfg.fileForm())
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
	if events > math.MaxInt32 {
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
