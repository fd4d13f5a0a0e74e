package newsvendor

import "math"

// expected is an invocation that is still to come of a trace, in delay-free time.
type expected struct {
	// mark is its function, as an index in the application.
	mark int32
	// cause is the invocation of the trace that is about to call it, −1 if that has not come itself. parent is then the index in the same
	// list of the one that must come before it, otherwise −1. Where both are −1, it counts from the last invocation.
	cause, parent int32
	// slot groups those of the same cause or parent of which at most one comes.
	slot int32
	// order is how many calls of the same caller come before it.
	order int32
	// probability is that it comes, given that its caller has.
	probability float64
	// certain says that it, or another in its place, was never seen not to come.
	certain bool
	// gap is the time from the start of the caller's run to its arrival, in seconds.
	gap Times
}

// follower follows one trace in delay-free time. It is a model's view of it.
type follower interface {
	// reset begins a new trace.
	reset()
	// observe is told of the next invocation: its mark, the index of its caller among those observed, −1 if it has none or that is not
	// known, and its time in seconds, which is not below the one before.
	observe(mark, caller int, time float64) error
	// expect appends what is still to come, as seen at the last invocation, to list: callers before what they call.
	expect(list []expected) []expected
}

// forecaster makes followers that may share memory: only one of them is used at a time.
type forecaster interface {
	newFollower() follower
}

// never is the time of what does not come.
var never = math.Inf(1)
