package learn

import "github.com/tppfaas/tppfaas/prewarm"

// ModelState is a model in use, and how well its probabilities agree with what came.
type ModelState struct {
	// Name is that of its file, or "learned", and Kind its kind: table, or a kind of package tpp.
	Name, Kind string
	// Application is the name of the function that its requests begin with.
	Application string
	// Functions are those that it predicts, as indices into Fleet.Functions.
	Functions []int
	// Since is when it was taken over, and Traces the number of requests that it was trained on.
	Since  prewarm.Time
	Traces int
	// Predicted is the number of invocations that was expected of the last requests when they came, and Came how many have come. Agrees is false if
	// they differ more than by chance, and Reason says so.
	Predicted, Came float64
	Agrees          bool
	Reason          string
}
