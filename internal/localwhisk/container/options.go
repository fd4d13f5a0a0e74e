package container

import (
	"errors"
	"log/slog"
)

// Options says how containers are run. The zero value is ready for use.
type Options struct {
	// Dir is where a directory for code and the containers' own directories is made; "" stands for the system's for temporary files.
	Dir string
	// CodeBytes bounds the code of one action, unpacked; 0 stands for 512 MiB.
	CodeBytes int64
	// IdleCodeBytes bounds the unpacked codes that are kept though no container uses them; 0 stands for 256 MiB.
	IdleCodeBytes int64
	// UID and GID, where they are not 0, are the user and the group that actions run as; only root can ask for it.
	UID, GID int
	// HidePlatform keeps processes of the same user, as actions are, from reading this process's memory, environment and
	// descriptors through /proc. It holds for the process as a whole, and takes away core dumps and debuggers.
	HidePlatform bool
	// Log is told what goes wrong; nil discards it.
	Log *slog.Logger

	noControlGroups bool // for tests, which run as root too
	noSpare         bool // for tests that count processes
}

func (o *Options) defaults() {
	if o.CodeBytes == 0 {
		o.CodeBytes = 512 << 20
	}
	if o.IdleCodeBytes == 0 {
		o.IdleCodeBytes = 256 << 20
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
}

var errClosed = errors.New("the platform's containers are closed")
