package newsvendor

import (
	"math"

	"github.com/tppfaas/tppfaas/prewarm"
)

// Demand is an invocation that is expected. It is a value, without pointers, so that who predicts and who decides may be apart.
type Demand struct {
	// Trace is the request in flight that it belongs to; 0 if the request itself is only foreseen.
	Trace prewarm.ID
	// Function is the index of its function, and Key tells apart what a trace demands of one.
	Function int
	Key      uint32
	// Probability is the probability that it comes at all.
	Probability float64
	// Times say when it arrives, if it comes: moments in seconds since the epoch.
	Times Times
	// Busy is for how many seconds it is expected to keep its container.
	Busy float64
	// Notice is how many seconds before its arrival it will be known that its request is in flight: +Inf if that is known already, 0 for a
	// root that is only foreseen.
	Notice float64
	// Spread is the standard deviation in seconds of its arrival, as seen when its request is in flight.
	Spread float64
	// Slack is by how many seconds its start may be delayed without delaying the end of its request.
	Slack float64
}

// known reports whether the request of the demand is in flight.
func (d *Demand) known() bool { return math.IsInf(d.Notice, 1) }

// Supply is what a decider tells of the containers of its function, so that predictions know how long an invocation will wait.
type Supply struct {
	Function int
	// Free says that a container is idle.
	Free bool
	// Asked is when the creation of the container was asked for which will be ready first, in seconds since the epoch; NaN if none is being
	// started.
	Asked float64
	// Fresh says that the container which will serve the next invocation has served none.
	Fresh bool
	// Start is the distribution of start times, in seconds.
	Start Times
}
