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
	// Conditions are what must come before it, of which it is not known whether it comes: when one arrives, it will be known better whether this one does.
	Conditions [mostConditions]Condition
}

// Condition is an invocation without which another one does not come. Without a probability there is none.
type Condition struct {
	// Probability is the probability that it comes, Lead how many seconds before the other one it then does, and Spread the standard deviation of that.
	Probability, Lead, Spread float64
}

// mostConditions is how many conditions of a demand are told: of more those that are known first.
const mostConditions = 3

// conditions sets the conditions of one of what is expected. Chances are how likely each of the list is to come.
func (d *Demand) conditions(list []expected, chances []float64, at int) {
	lead, variance, n := 0.0, 0.0, 0
	for list[at].parent >= 0 {
		gap := &list[at].gap
		sd := gap.Deviation()
		lead, variance = lead+gap.Mean(), variance+sd*sd
		at = int(list[at].parent)
		if chances[at] > almostSure {
			return
		}
		if above := list[at].parent; above >= 0 && chances[above] <= chances[at]*sameChance {
			continue // the one above says the same, and earlier
		}
		if n == mostConditions {
			copy(d.Conditions[:], d.Conditions[1:])
			n--
		}
		d.Conditions[n] = Condition{chances[at], lead, math.Sqrt(variance)}
		n++
	}
}

// almostSure is the probability from which on nothing is learned when it happens, and sameChance the ratio up to which two probabilities are the same.
const almostSure, sameChance = 0.97, 1.03

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
