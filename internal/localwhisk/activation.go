package localwhisk

import "time"

// Activation is the record of an invocation. Its times are defined as OpenWhisk's, in whole milliseconds:
// Arrival + WaitTime = Start, Start + InitTime is the start of the run, Start + Duration = End.
type Activation struct {
	// ID is the activation id: 32 hexadecimal digits.
	ID string
	// Name is the name of the function.
	Name string
	// Params are the parameters of the invocation.
	Params any
	// Cause is the ID of the activation that sent this invocation; "" if it came from outside.
	Cause string
	// Start is when the container began to work: with /init in a cold start, with /run in a warm one.
	Start time.Time
	// End is when the run ended.
	End time.Time
	// Duration is End − Start; it includes InitTime.
	Duration time.Duration
	// WaitTime is the time from the arrival at the controller to Start: dispatch, queueing, creation of a container, unpausing.
	WaitTime time.Duration
	// InitTime is the duration of /init. It is 0 only if there was none, because the container was warm or could not be created.
	InitTime time.Duration
	// Container is the number of the container, from 1.
	Container int
	// Err is the reason why the activation failed, nil if it succeeded.
	Err error
}

// Arrival returns when the controller received the invocation: Start − WaitTime.
func (a Activation) Arrival() time.Time { return a.Start.Add(-a.WaitTime) }

// Cold reports whether the invocation initialised its container.
func (a Activation) Cold() bool { return a.InitTime > 0 }
