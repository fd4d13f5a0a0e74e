package lab

import (
	"math"
	"slices"

	"github.com/tppfaas/tppfaas/internal/localwhisk"
	"github.com/tppfaas/tppfaas/prewarm"
)

// Measures are what a run is worth.
type Measures struct {
	// Requests is the number of requests that were scored.
	Requests int `json:"requests"`
	// P50, P95, P99 and Mean are of the added latency of the requests, in seconds.
	P50  float64 `json:"p50"`
	P95  float64 `json:"p95"`
	P99  float64 `json:"p99"`
	Mean float64 `json:"mean"`
	// Starting, Idle and Busy are the memory-time of containers in that state, in MB·s per request.
	Starting float64 `json:"starting"`
	Idle     float64 `json:"idle"`
	Busy     float64 `json:"busy"`
	// Cold and Late are the numbers of invocations of a request that had a container created for themselves, or waited for one that was
	// being started. Wasted is the number of containers that were started for nobody and not used until the end, per request.
	Cold   float64 `json:"cold"`
	Late   float64 `json:"late"`
	Wasted float64 `json:"wasted"`
	// Renewals is how often the idle time of a container was to be renewed, per request.
	Renewals float64 `json:"renewals,omitempty"`
}

// Memory returns Starting + Idle, the MB·s of a request that a policy can change.
func (m *Measures) Memory() float64 { return m.Starting + m.Idle }

// FunctionMeasures are those of one function. All are per request, as in Measures.
type FunctionMeasures struct {
	Function string `json:"function"`
	// Invocations is the number of its invocations.
	Invocations float64 `json:"invocations"`
	// Wait is the time from the arrival of an invocation to the start of its run, in seconds, on average over its invocations.
	Wait     float64 `json:"wait"`
	Starting float64 `json:"starting"`
	Idle     float64 `json:"idle"`
	Busy     float64 `json:"busy"`
	Cold     float64 `json:"cold"`
	Late     float64 `json:"late"`
	Wasted   float64 `json:"wasted"`
}

// Quantile returns the q-quantile of values in ascending order, interpolated linearly between neighbours (type 7 of Hyndman and Fan 1996, the
// usual one of statistics packages); NaN if there are none.
func Quantile(sorted []float64, q float64) float64 {
	if len(sorted) == 0 {
		return math.NaN()
	}
	at := q * float64(len(sorted)-1)
	i := int(at)
	if i+1 >= len(sorted) {
		return sorted[len(sorted)-1]
	}
	return sorted[i] + (at-float64(i))*(sorted[i+1]-sorted[i])
}

// meter measures a run.
type meter struct {
	engine        *engine
	functions     []prewarm.Function
	before, after []localwhisk.Usage
	begun, ended  bool
	unused        map[prewarm.ID]bool // containers that were started for nobody while memory counts and have not been used, until the end
	wasted        []int               // by function
}

func newMeter(e *engine, functions []prewarm.Function) *meter {
	return &meter{engine: e, functions: functions, unused: map[prewarm.ID]bool{}, wasted: make([]int, len(functions))}
}

// begin is called when memory begins to count, end when it no longer does.
func (m *meter) begin() { m.before, m.begun = m.engine.platform.Usage(), true }

func (m *meter) end() { m.after, m.ended = m.engine.platform.Usage(), true }

// note counts containers that are started for nobody, and their first use. What is never used is wasted.
func (m *meter) note(e *prewarm.Event) {
	switch {
	case !m.begun || m.ended:
	case e.Kind == prewarm.Starting:
		m.unused[e.Container] = true
		m.wasted[e.Function]++
	case e.Kind == prewarm.Placed && m.unused[e.Container]:
		delete(m.unused, e.Container)
		m.wasted[e.Function]--
	case e.Kind == prewarm.Removed:
		// The platform removes a stem cell from its stock when it is used.
		if m.unused[e.Container] && m.functions[e.Function].StemCell && e.By == prewarm.ByPlatform {
			m.wasted[e.Function]--
		}
		delete(m.unused, e.Container)
	}
}

// result sets the measures of a run that is over.
func (m *meter) result(run *Run, plan *Plan, functions []prewarm.Function) {
	n := float64(plan.Scored)
	run.Functions = make([]FunctionMeasures, len(functions))
	total := &run.Measures
	total.Requests = plan.Scored
	for k := range m.after {
		before, after := &m.before[k], &m.after[k]
		starting, idle, busy := (after.Starting-before.Starting)/n, (after.Idle-before.Idle)/n, (after.Busy-before.Busy)/n
		f := &run.Functions[m.engine.index[after.Function]]
		f.Starting, f.Idle, f.Busy = starting, idle, busy
	}
	for i := range functions {
		run.Functions[i].Function = functions[i].Name
		run.Functions[i].Wasted = float64(m.wasted[i]) / n
	}
	for k, p := range run.requests {
		r := &plan.Requests[k]
		if !r.Scored {
			continue
		}
		run.Added = append(run.Added, (p.end() - p.records[0].arrival - r.Warm).Seconds())
		for i := range p.records {
			f := &run.Functions[r.Calls[i].Function]
			f.Invocations++
			f.Wait += (p.records[i].start - p.records[i].arrival).Seconds()
			switch p.records[i].kind {
			case prewarm.Cold:
				f.Cold++
			case prewarm.Late:
				f.Late++
			}
		}
	}
	for i := range run.Functions {
		f := &run.Functions[i]
		if f.Invocations > 0 {
			f.Wait /= f.Invocations
		}
		f.Invocations, f.Cold, f.Late = f.Invocations/n, f.Cold/n, f.Late/n
		total.Starting += f.Starting
		total.Idle += f.Idle
		total.Busy += f.Busy
		total.Cold += f.Cold
		total.Late += f.Late
		total.Wasted += f.Wasted
	}
	total.setLatency(slices.Sorted(slices.Values(run.Added)))
}

// setLatency sets the measures of the added latency from that of each request, in ascending order.
func (m *Measures) setLatency(sorted []float64) {
	m.P50, m.P95, m.P99 = Quantile(sorted, 0.5), Quantile(sorted, 0.95), Quantile(sorted, 0.99)
	sum := 0.0
	for _, v := range sorted {
		sum += v
	}
	m.Mean = sum / float64(len(sorted))
}
