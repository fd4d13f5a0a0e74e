package prewarm

// Knowledge is what a policy is told before it begins: what was recorded of the applications that it is for. A policy that needs no model uses
// none of it.
type Knowledge struct {
	Applications []Recording
}

// Recording is what was recorded of one application. Times are in seconds.
type Recording struct {
	// Name is the name of the application.
	Name string
	// Functions are its functions, as indices into Fleet.Functions; the marks of its models are indices into this slice.
	Functions []int
	// Warm are traces of requests all of whose containers were warm, Cold those of requests that found no containers.
	Warm, Cold []Trace
	// Gaps are the times between the arrivals of successive requests, in the order in which they came; they tell of the load.
	Gaps []float64
}

// Trace has all invocations of a request, callers before those that they have called.
type Trace []Invocation

// Invocation is an invocation of a recorded trace. Times are in seconds since the arrival of the root.
type Invocation struct {
	// Function is an index into Fleet.Functions.
	Function int
	// Parent is the index in the trace of the invocation that has sent it, −1 for the root.
	Parent int
	// Arrival is when it arrived, Start when its run started, End when that ended.
	Arrival, Start, End float64
	// Init is how long its container was initialised for it, 0 if it was warm.
	Init float64
	// Fresh says that the first call which its container made was yet to come, although nobody waited for its initialisation: it was started for
	// nobody.
	Fresh bool
}
