// Package recommend says what a function's containers should request, and what they may use at most.
//
//	r, err := recommend.New("forecast", recommend.Options{})
//	if err != nil {
//		return err
//	}
//	for i := range usage.Len() {
//		r.Observe(recommend.Sample{Time: usage.Times[i], Memory: usage.Memory[i], CPU: usage.CPU[i]})
//	}
//	limits := recommend.Round(r.Recommend(set))
package recommend

import (
	"fmt"
	"slices"
	"time"
)

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

	// Recommend returns the limits from the last sample on, given those that are set; it returns these where nothing should change, or where
	// there was no sample yet.
	Recommend(set Limits) Limits
}

// Reasons say why the limits are what they are, in a line each.
type Reasons struct{ Memory, CPU string }

// Reasoned is implemented by recommenders that can say why.
type Reasoned interface {
	// Reasons returns those of the last recommendation.
	Reasons() Reasons
}

// Options are those of all recommenders.
type Options struct {
	// MemoryFloor (bytes) and CPUFloor (cores) are below everything that is recommended; 0 leaves a recommender its own.
	MemoryFloor, CPUFloor float64
	// MaxChanges is how often limits may change in a day (UTC), for recommenders that keep to it; 0 is 6.
	MaxChanges int
}

func (o Options) withDefaults(memory, cpu float64) Options {
	if o.MemoryFloor == 0 {
		o.MemoryFloor = memory
	}
	if o.CPUFloor == 0 {
		o.CPUFloor = cpu
	}
	if o.MaxChanges == 0 {
		o.MaxChanges = RestartChanges
	}
	return o
}

// Changes that are allowed in a day, by what a change costs.
const (
	RestartChanges = 6  // a change restarts the container
	InPlaceChanges = 48 // a change is made while the container runs
)

var kinds = []struct {
	name, help string
	make       func(Options) Recommender
}{
	{"forecast", "the current usage and a quantile of how far it rises, chosen by validation; else KRR's rule", func(o Options) Recommender { return NewForecast(o) }},
	{"krr", "KRR: memory 1.15 × the maximum of up to 14 days, CPU request their 95th percentile, no CPU limit; daily", func(o Options) Recommender { return NewKRR(0.15, o) }},
	{"krr-5", "the same with 1.05 × the maximum", func(o Options) Recommender { return NewKRR(0.05, o) }},
	{"vpa", "the Vertical Pod Autoscaler of Kubernetes, recommender and updater", func(o Options) Recommender { return NewVPA(o) }},
	{"fixed", "the maximum so far + 20 %, set once, and anew after a kill", func(o Options) Recommender { return NewFixed(o) }},
}

// Kinds returns the names of all recommenders and what each does, in the order of tables.
func Kinds() [][2]string {
	var out [][2]string
	for _, k := range kinds {
		out = append(out, [2]string{k.name, k.help})
	}
	return out
}

// New returns a recommender by its name.
func New(name string, o Options) (Recommender, error) {
	for _, k := range kinds {
		if k.name == name {
			return k.make(o), nil
		}
	}
	return nil, fmt.Errorf("no recommender is called %q", name)
}

// milliseconds of what is often needed.
const (
	minute = int64(time.Minute / time.Millisecond)
	hour   = 60 * minute
	day    = 24 * hour
)

// budget counts changes of a day (UTC).
type budget struct {
	most  int
	times []int64 // of changes, in order
}

// left returns how many changes may be made at a time.
func (b *budget) left(now int64) int {
	b.times = slices.DeleteFunc(b.times, func(t int64) bool { return t/day != now/day })
	return b.most - len(b.times)
}

// spend notes a change; it reports whether there was one left.
func (b *budget) spend(now int64) bool {
	if b.left(now) <= 0 {
		return false
	}
	b.times = append(b.times, now)
	return true
}
