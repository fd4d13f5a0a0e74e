// Package recommend says what a function's containers should request, and what they may use at most.
package recommend

// Limits are the resources of a container, as OpenFaaS and Kubernetes have them. 0 is none.
type Limits struct {
	MemoryRequest, MemoryLimit float64 // bytes
	CPURequest, CPULimit       float64 // cores
}

// Sample is what a function used at a time.
type Sample struct {
	Time   int64   // ms since 1970
	Memory float64 // bytes; NaN where it is not known
	CPU    float64 // cores; NaN where it is not known
	Killed bool    // a container was killed since the sample before because it used more memory than its limit
}

// Recommender follows the samples of one function, and says which limits it should have. Implementations keep bounded memory, and are for one
// goroutine.
type Recommender interface {
	// Observe takes the next sample; times increase.
	Observe(s Sample)

	// Recommend returns the limits from the last sample on, given those that are set; it returns these where nothing should change.
	Recommend(set Limits) Limits
}
