package container

import (
	"errors"
	"log/slog"
)

// Options configures a ProcessRuntime. The zero value is ready for use.
type Options struct {
	// Dir is where the runtime creates its directory; "" means the system's directory for temporary files.
	Dir string
	// CodeBytes is the maximum size of an action's unpacked code; 0 means 512 MiB.
	CodeBytes int64
	// IdleCodeBytes is the maximum size of all unpacked codes that are kept while no container uses them; 0 means 256 MiB.
	IdleCodeBytes int64
	// UID and GID are the user and the group that actions run as; 0 means those of this process. Only root can set them.
	UID, GID int
	// HidePlatform keeps processes of the same user, as actions are, from reading this process's memory, environment and descriptors through
	// /proc. It applies to the whole process, and disables core dumps and debuggers.
	HidePlatform bool
	// Log receives errors and the removal of what earlier platforms have left; nil discards them.
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
