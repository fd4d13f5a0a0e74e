package container

import (
	"encoding/binary"
	"errors"
)

// What platform and warden tell each other: one message a packet.
type opcode byte

const (
	opStart    opcode = 'S' // to the warden: start a process; a is its memory in MiB, text its directory; comes with descriptors
	opPause    opcode = 'P' // to the warden
	opUnpause  opcode = 'U' // to the warden
	opKill     opcode = 'K' // to the warden: kill it and whatever descends from it
	opStarted  opcode = 's' // to the platform: a is the process id, b the time of its start; or text says why there is none
	opExited   opcode = 'x' // to the platform: the process is gone with all that descends from it; a has flags
	headerSize        = 1 + 3*8
	maxMessage        = 8 << 10
)

// Flags of opExited.
const exhausted = 1 // it was killed because it took too much memory

type message struct {
	op   opcode
	id   uint64 // of the process, chosen by the platform
	a, b int64
	text string
}

func (m message) encode() []byte {
	b := make([]byte, 0, headerSize+len(m.text))
	b = append(b, byte(m.op))
	b = binary.LittleEndian.AppendUint64(b, m.id)
	b = binary.LittleEndian.AppendUint64(b, uint64(m.a))
	b = binary.LittleEndian.AppendUint64(b, uint64(m.b))
	return append(b, m.text...)
}

func decodeMessage(b []byte) (message, error) {
	if len(b) < headerSize {
		return message{}, errors.New("a message is too short")
	}
	return message{
		op: opcode(b[0]), id: binary.LittleEndian.Uint64(b[1:]), a: int64(binary.LittleEndian.Uint64(b[9:])),
		b: int64(binary.LittleEndian.Uint64(b[17:])), text: string(b[headerSize:]),
	}, nil
}
