package live

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"hash/fnv"

	"github.com/tppfaas/tppfaas/tpp"
)

// The binary form of a state is the magic, the format version (1 byte), the model's fingerprint (8 bytes), the state's own
// encoding, and the CRC-32 of all that (4 bytes). Numbers are little endian.
const (
	stateMagic    = "TPPS"
	stateFormat   = 1
	stateHeader   = len(stateMagic) + 1 + 8
	stateChecksum = 4
)

// MarshalState returns the binary form of a state of the model, which UnmarshalState decodes, also in another process. It
// returns an error if the state is not a tpp.BinaryState or belongs to another model.
func MarshalState(m tpp.Model, s tpp.State) ([]byte, error) {
	switch {
	case m == nil:
		return nil, errNoModel
	case s == nil:
		return nil, errNoState
	}
	b, ok := s.(tpp.BinaryState)
	if !ok {
		return nil, fmt.Errorf("state of a %s: it has no binary form", m.Kind())
	}
	if o, ok := s.(tpp.OwnedState); ok && o.Model() != m {
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

// UnmarshalState decodes a state of the model from the output of MarshalState. Data that is truncated, damaged, or of
// another model is an error.
func UnmarshalState(m tpp.Model, data []byte) (tpp.State, error) {
	if m == nil {
		return nil, errNoModel
	}
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
	s, ok := m.NewState(0).(tpp.BinaryState)
	if !ok {
		return nil, fmt.Errorf("state of a %s: it has no binary form", m.Kind())
	}
	if err := s.UnmarshalBinary(body[stateHeader:]); err != nil {
		return nil, fmt.Errorf("state of a %s: %w", m.Kind(), err)
	}
	return s, nil
}

// fingerprint identifies a model: by its own Fingerprint if it has one, otherwise by its kind, marks and covariates.
func fingerprint(m tpp.Model) uint64 {
	if f, ok := m.(tpp.Fingerprinter); ok {
		return f.Fingerprint()
	}
	h := fnv.New64a()
	fmt.Fprintf(h, "%q %q %q", m.Kind(), m.MarkNames(), m.CovariateNames())
	return h.Sum64()
}
