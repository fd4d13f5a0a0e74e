package prewarm

// Expected is an invocation that is still to come of a request in flight.
type Expected struct {
	// Function is an index into Fleet.Functions.
	Function int
	// Probability is the probability that it comes at all.
	Probability float64
	// Lower, Median and Upper are the times by which it has come with a probability of 5, 50 and 95 %, if it comes.
	Lower, Median, Upper Time
}

// Expecter is a policy that says what it expects of requests in flight. Who runs it can then compare that with what comes.
type Expecter interface {
	// Expected appends to list what the policy expects of a request, as of the last event, and returns it: nothing, if it does not know the request.
	Expected(trace ID, list []Expected) []Expected
}
