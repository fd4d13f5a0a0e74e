package localwhisk

import "time"

// Activation is the record of an invocation. Its times mean what OpenWhisk's mean, in whole milliseconds:
// Arrival + WaitTime = Start, Start + InitTime is the start of the run, Start + Duration = End.
type Activation struct {
	// ID is the activation id: 32 hexadecimal digits.
	ID string
	// Name is the function's.
	Name string
	// Params is what it was invoked with.
	Params any
	// Cause is the ID of the activation that sent this invocation; "" if it came from outside.
	Cause string
	// Start is when the container began to work: with /init if it was cold, with /run if it was warm.
	Start time.Time
	// End is when the run ended.
	End time.Time
	// Duration is End − Start; it includes InitTime.
	Duration time.Duration
	// WaitTime runs from the controller's receipt of the invocation to Start: dispatch, queue, creation, unpausing.
	WaitTime time.Duration
	// InitTime is the duration of /init; 0 exactly if there was none: the container was warm, or could not be created.
	InitTime time.Duration
	// Container numbers the container, from 1.
	Container int
	// Err says why the activation failed, nil if it succeeded.
	Err error
}

// Arrival returns when the controller received the invocation: Start − WaitTime.
func (a Activation) Arrival() time.Time { return a.Start.Add(-a.WaitTime) }

// Cold reports whether the invocation initialised its container.
func (a Activation) Cold() bool { return a.InitTime > 0 }
