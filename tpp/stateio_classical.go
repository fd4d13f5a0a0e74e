package tpp

import (
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"math"
	"slices"
)

// fileFingerprint is a hash of the model's file.
func fileFingerprint(m FileModel) uint64 {
	h := fnv.New64a()
	if err := m.Encode(h); err != nil {
		panic("tpp: a model that was fitted or read cannot be written: " + err.Error())
	}
	return h.Sum64()
}

// Fingerprint is a hash of everything that the model's file says.
func (m *Poisson) Fingerprint() uint64 { return fileFingerprint(m) }

// Fingerprint is a hash of everything that the model's file says.
func (m *Renewal) Fingerprint() uint64 { return fileFingerprint(m) }

// Fingerprint is a hash of everything that the model's file says.
func (m *MarkRenewal) Fingerprint() uint64 { return fileFingerprint(m) }

// Fingerprint is a hash of everything that the model's file says.
func (h *Hawkes) Fingerprint() uint64 { return fileFingerprint(h) }

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

// MarshalBinary writes the time and the mark of the last event, and the excitations.
func (s *hawkesState) MarshalBinary() ([]byte, error) {
	b := binary.LittleEndian.AppendUint64(nil, math.Float64bits(s.last))
	b = binary.LittleEndian.AppendUint64(b, uint64(s.mark+1))
	for _, v := range s.excited {
		b = binary.LittleEndian.AppendUint64(b, math.Float64bits(v))
	}
	return b, nil
}

func (s *hawkesState) UnmarshalBinary(data []byte) error {
	last, rest, err := readLastTime(data, 8+8*len(s.excited))
	if err != nil {
		return err
	}
	mark := binary.LittleEndian.Uint64(rest)
	if mark > uint64(s.h.head.NumMarks) {
		return fmt.Errorf("mark %d: the model knows %d marks", mark-1, s.h.head.NumMarks)
	}
	excited := slices.Clone(s.excited)
	for i := range excited {
		excited[i] = math.Float64frombits(binary.LittleEndian.Uint64(rest[8+8*i:]))
		if !(excited[i] >= 0) || math.IsInf(excited[i], 0) || mark == 0 && excited[i] != 0 {
			return fmt.Errorf("excitation %d is %v", i, excited[i])
		}
	}
	s.last, s.mark, s.excited, s.fresh = last, int(mark)-1, excited, false
	return nil
}
