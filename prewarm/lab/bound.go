package lab

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/tppfaas/tppfaas/prewarm/oracle"
)

// Bound is an oracle, which is computed from the plan of a run instead of being run; see package oracle.
type Bound struct {
	compute func(b *oracle.Bounds, s Setting) *oracle.Result
}

// boundPrice is the price λ of oracles that are given none.
const boundPrice = 2560

// Bounds returns the forms of the oracles with what they know.
func Bounds() [][2]string {
	return [][2]string{
		{"O1[:λ]", "knows all arrivals: the least memory without any wait for a container"},
		{"O2[:H[:λ]]", "knows each arrival H seconds (0) ahead, and the length of each gap when it begins"},
		{"O3[:hindsight[:λ]]", "knows the calls of a request and their durations once it has arrived; with hindsight also which gaps to keep containers over"},
		{"O4[:λ]", "the best keep-alive of each function, known afterwards"},
		{"O6[:λ]", "knows the distribution of each function's gaps"},
	}
}

// IsBound reports whether a policy is an oracle, by its name.
func IsBound(policy string) bool {
	return len(policy) >= 2 && policy[0] == 'O' && policy[1] >= '0' && policy[1] <= '9'
}

// ParseBound reads an oracle such as O1 or O2:1:2560. λ is 2560 where it is left out; O5, ski rental, is the policy ski.
func ParseBound(spec string) (*Bound, error) {
	name, rest, more := strings.Cut(spec, ":")
	var words []string
	if more {
		words = strings.Split(rest, ":")
	}
	hindsight := name == "O3" && len(words) > 0 && words[0] == "hindsight"
	if hindsight {
		words = words[1:]
	}
	numbers := []float64{boundPrice}
	if name == "O2" {
		numbers = []float64{0, boundPrice}
	}
	if len(words) > len(numbers) || name == "O3" && !hindsight && len(words) > 0 {
		return nil, fmt.Errorf("%s: %q is left over", spec, words[len(words)-1])
	}
	for i, word := range words {
		v, err := strconv.ParseFloat(word, 64)
		if err != nil || !(v >= 0 && v <= math.MaxInt32) {
			return nil, fmt.Errorf("%s: %q is not a number from 0 to %d", spec, word, math.MaxInt32)
		}
		numbers[i] = v
	}
	lambda := numbers[len(numbers)-1]
	var compute func(b *oracle.Bounds, s Setting) *oracle.Result
	switch name {
	case "O1":
		compute = func(b *oracle.Bounds, _ Setting) *oracle.Result { return b.Clairvoyant(lambda) }
	case "O2":
		compute = func(b *oracle.Bounds, _ Setting) *oracle.Result { return b.LookAhead(numbers[0], lambda) }
	case "O3":
		compute = func(b *oracle.Bounds, s Setting) *oracle.Result {
			return b.Chain(oracle.ChainOptions{AtStart: s.StartsOnly, Hindsight: hindsight}, lambda)
		}
	case "O4":
		compute = func(b *oracle.Bounds, _ Setting) *oracle.Result {
			r, _ := b.BestKeepAlive(lambda)
			return r
		}
	case "O6":
		compute = func(b *oracle.Bounds, _ Setting) *oracle.Result {
			r, _ := b.Known(lambda)
			return r
		}
	default:
		var forms []string
		for _, f := range Bounds() {
			forms = append(forms, f[0])
		}
		return nil, fmt.Errorf("there is no oracle %s; there are %s, and O5 is the policy ski", name, strings.Join(forms, ", "))
	}
	return &Bound{compute}, nil
}

// startCosts are what was measured of cold starts when the workload was recorded, in seconds.
type startCosts struct {
	// start is by how much longer a cold invocation waits than a warm one, firstCall by how much longer its first call takes, on average.
	start, firstCall float64
}

// bound computes an oracle on the plan of a seed. Start times are the mean of those that were recorded. Memory is that of all requests, also
// of those that are not scored.
func (w *Workload) bound(ctx context.Context, s Setting, number uint64, o *Bound) (Measures, error) {
	plan, err := w.Plan(ctx, number)
	if err != nil {
		return Measures{}, err
	}
	if _, err := w.Knowledge(); err != nil { // which measures the starts
		return Measures{}, err
	}
	load := oracle.Workload{Until: plan.End.Seconds(), Return: w.config.Logs.Median.Seconds()}
	for _, f := range w.Functions {
		function := oracle.Function{Name: f.Name, MemoryMB: float64(f.MemoryMB), Start: w.starts.start, FirstCall: w.starts.firstCall}
		if s.FirstCall {
			function.Start, function.FirstCall = w.starts.start+w.starts.firstCall, 0
		}
		load.Functions = append(load.Functions, function)
	}
	for i := range plan.Requests {
		load.Requests = append(load.Requests, oracle.FromTrace(plan.Requests[i].At.Seconds(), plan.Requests[i].warm))
	}
	b, err := oracle.New(load)
	if err != nil {
		return Measures{}, err
	}
	r := o.compute(b, s)
	n := float64(len(plan.Requests))
	m := Measures{Requests: plan.Scored, Starting: r.Starting / n, Idle: r.Idle / n, Cold: float64(r.Cold) / n, Late: float64(r.Late) / n}
	for i := range plan.Requests {
		for _, v := range plan.Requests[i].warm {
			m.Busy += float64(w.Functions[v.Function].MemoryMB) * (v.End - v.Start) / n
		}
	}
	var added []float64
	for i := range plan.Requests {
		if plan.Requests[i].Scored {
			added = append(added, r.Added[i])
		}
	}
	slices.Sort(added)
	m.setLatency(added)
	return m, nil
}
