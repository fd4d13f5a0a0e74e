package mirror

import (
	"errors"
	"time"

	"github.com/tppfaas/tppfaas/prewarm"
)

// Snapshot is what a mirror knows, in a form that can be written as JSON. Times are since its Epoch.
type Snapshot struct {
	Epoch time.Time `json:"epoch"`
	// Last is the time of the last event.
	Last prewarm.Time `json:"last"`
}

// Snapshot returns what the mirror knows: functions, containers and what is in flight.
func (m *Mirror) Snapshot() *Snapshot { return nil }

// Restore returns a mirror that knows what a snapshot has, and events that bring a new fleet of its Functions to that state, with what has passed
// until now. Options.Functions may have more functions than the snapshot; the functions of the snapshot that it has not are added. An error says what is wrong with
// the snapshot.
func Restore(o Options, s *Snapshot, now prewarm.Time) (*Mirror, []prewarm.Event, error) {
	return nil, nil, errors.ErrUnsupported
}
