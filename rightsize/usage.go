package rightsize

import (
	"fmt"
	"time"
)

// Resource is what a container is given some of.
type Resource int

// The resources, with the units of their values.
const (
	Memory Resource = iota // bytes
	CPU                    // cores
)

// Resources are all of them.
var Resources = []Resource{Memory, CPU}

// String returns the resource's name in files and options: "memory", "cpu".
func (r Resource) String() string {
	if r == CPU {
		return "cpu"
	}
	return "memory"
}

// Usage is what the containers of one function used, sampled over time. Of several containers at a time it holds the largest value: a limit
// holds for each of them.
type Usage struct {
	Function string
	Times    []int64   // ms since 1970, increasing
	Memory   []float64 // bytes at these times; NaN where it is not known
	CPU      []float64 // cores, over the time before; NaN where it is not known
}

// NewUsage returns the usage of a function, which refers to the slices. An error names the first sample that is wrong: lengths that differ, times
// that do not increase, values that are negative, or more than Kubernetes can write: 2^63.
func NewUsage(function string, times []int64, memory, cpu []float64) (*Usage, error) {
	u := &Usage{Function: function, Times: times, Memory: memory, CPU: cpu}
	if len(memory) != len(times) || len(cpu) != len(times) {
		return nil, fmt.Errorf("usage of %s: %d times, %d values of memory, %d of CPU", function, len(times), len(memory), len(cpu))
	}
	for i, t := range times {
		if i > 0 && t <= times[i-1] {
			return nil, fmt.Errorf("usage of %s: sample %d is at %d ms, the one before at %d: times must increase", function, i+1, t, times[i-1])
		}
		for _, r := range Resources {
			if v := u.Of(r)[i]; v < 0 || v >= 1<<63 {
				return nil, fmt.Errorf("usage of %s: sample %d: %s %g", function, i+1, r, v)
			}
		}
	}
	return u, nil
}

// Of returns the values of one resource, not a copy.
func (u *Usage) Of(r Resource) []float64 {
	if r == CPU {
		return u.CPU
	}
	return u.Memory
}

// Len returns the number of samples.
func (u *Usage) Len() int { return len(u.Times) }

// Time returns when sample i was taken.
func (u *Usage) Time(i int) time.Time { return time.UnixMilli(u.Times[i]).UTC() }

// Slice returns samples i to j−1, which share the memory of u.
func (u *Usage) Slice(i, j int) *Usage {
	return &Usage{Function: u.Function, Times: u.Times[i:j], Memory: u.Memory[i:j], CPU: u.CPU[i:j]}
}
