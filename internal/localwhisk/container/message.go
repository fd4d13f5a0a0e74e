package container

import (
	"encoding/binary"
	"errors"
)

// opcode says what a message means. The platform and its supervisor exchange one message per packet, over a SOCK_SEQPACKET socket.
type opcode byte

const (
	// From the platform to the supervisor.

	opStart   opcode = 'S' // start a launcher; a is its memory limit in MiB, and four descriptors come with the message
	opPause   opcode = 'P' // stop the process and its descendants
	opUnpause opcode = 'U' // continue them
	opKill    opcode = 'K' // kill the process and its descendants

	// From the supervisor to the platform.

	opStarted opcode = 's' // a is the process id times two, plus one in a control group; b the start time; text the error, if there is one
	opExited  opcode = 'x' // the process and all its descendants are gone; a has flags
)

// flagOutOfMemory in opExited says that the process was killed because it exceeded its memory limit.
const flagOutOfMemory = 1

const (
	headerSize = 1 + 3*8
	maxMessage = 8 << 10
)

// message is a command to the supervisor, or a report from it.
type message struct {
	op   opcode
	id   uint64 // names the process; chosen by the platform
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
