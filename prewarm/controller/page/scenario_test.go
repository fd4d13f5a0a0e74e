package page

import (
	"fmt"
	"sync"
	"time"

	"github.com/tppfaas/tppfaas/prewarm/controller"
)

// epoch is when the scenario begins.
var epoch = time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)

// call is an invocation of the scenario's requests: when it comes after the request has begun, how long it waits if it is warm, cold or late, how
// long it runs, and with what probability it was expected.
type call struct {
	function         string
	at, run          time.Duration
	probability      float64
	cold, late, warm time.Duration
}

const ms = time.Millisecond

var calls = []call{
	{"main", 0, 240 * ms, 1, 420 * ms, 200 * ms, 4 * ms},
	{"cart", 250 * ms, 480 * ms, 0.99, 380 * ms, 150 * ms, 5 * ms},
	{"price", 520 * ms, 380 * ms, 0.98, 360 * ms, 120 * ms, 4 * ms},
	{"stock", 560 * ms, 610 * ms, 0.98, 390 * ms, 170 * ms, 6 * ms},
	{"pay", 1300 * ms, 1100 * ms, 0.7, 410 * ms, 160 * ms, 5 * ms},
	{"bank", 1800 * ms, 700 * ms, 0.92, 400 * ms, 140 * ms, 4 * ms},
	{"receipt", 2600 * ms, 300 * ms, 0.9, 350 * ms, 110 * ms, 3 * ms},
	{"ship", 3000 * ms, 900 * ms, 0.88, 440 * ms, 210 * ms, 5 * ms},
}

// period is the time between two requests of the scenario; every third waits for goods instead of paying.
const period = 1700 * ms

// start says how a request's call comes to its container: cold at first, then late, then warm, with exceptions.
func start(request, n int) string {
	switch {
	case request < 2 || (request*7+n*3)%23 == 0:
		return "cold"
	case (request*5+n)%11 == 0:
		return "late"
	}
	return "warm"
}

// scenario returns the state of a controller of a shop, a time after it has begun. The same time has the same state.
func scenario(after time.Duration) *controller.State {
	now := epoch.Add(after)
	s := &controller.State{
		Time: now, Begun: epoch, Version: "v1.2.3", Mode: controller.Acting, Policy: "newsvendor λ=2560", Platform: "openwhisk",
		Lateness: controller.NewHistogram(controller.LatenessBounds), Notice: controller.NewHistogram(controller.NoticeBounds),
		Actuator: controller.ActuatorState{InFlight: 2, Circuit: "closed"},
	}
	at := map[string]int{}
	for i, c := range calls {
		at[c.function] = i
		s.Functions = append(s.Functions, controller.FunctionState{Name: c.function, Application: "checkout", Version: "0.0.7", MemoryMB: 256, Served: true, StartSeconds: c.cold.Seconds()})
	}
	s.Functions = append(s.Functions,
		controller.FunctionState{Name: "report", Application: "back office", MemoryMB: 512, Reason: "no model names it", Idle: 1, Invocations: 12, Warm: 9, Cold: 3, StartSeconds: 1.93},
		controller.FunctionState{Name: "thumbnail", Application: "media", MemoryMB: 1024, Reason: "miscalibrated: 61.0 predicted, 24 came", Idle: 2, Busy: 1, Invocations: 310, Warm: 280, Late: 4, Cold: 26, StartSeconds: 2.41})
	ids := uint64(0)
	for request := 0; ; request++ {
		begun := epoch.Add(time.Duration(request) * period)
		if begun.After(now) {
			break
		}
		s.Totals.Requests++
		trace := controller.TraceState{Trace: fmt.Sprintf("%08x%08x5f3c90d1%08x", request*2654435761&0xffffffff, request*40503+77, request), Application: "checkout", Begun: begun}
		ended := true
		var last time.Time
		shift := time.Duration(0)
		for n, c := range calls {
			if request%3 == 2 && n > 3 {
				break
			}
			arrived := begun.Add(c.at + shift)
			kind := start(request, n)
			wait := map[string]time.Duration{"cold": c.cold, "late": c.late, "warm": c.warm}[kind]
			f := &s.Functions[n]
			if lead := arrived.Add(-700 * ms); kind != "cold" && !now.Before(lead) && n > 0 {
				ids++
				d := controller.DecisionState{
					ID: ids, Time: lead, Action: "start", Function: c.function, N: 1, Rule: "demand is likely enough: P > (idle + start) ÷ (λ·wait)", Trace: trace.Trace,
					Probability: c.probability, Demand: &arrived, GainMBs: 2560*c.probability*c.cold.Seconds() - 256, Outcome: "asked",
				}
				s.Totals.Warmups++
				s.Lateness.Observe(float64(request%7) * 0.0009)
				switch {
				case !now.Before(arrived):
					d.Outcome = fmt.Sprintf("used after %.2f s", 0.7-c.late.Seconds())
					if kind == "late" {
						d.Outcome = "late"
					} else {
						s.Totals.Hits++
						f.Hits++
						s.Notice.Observe(0.7)
					}
				case now.Before(lead.Add(c.cold)):
					f.Starting++
				default:
					f.Warmed++
					d.Outcome = "created"
					until := arrived.Add(3 * time.Second)
					s.Containers = append(s.Containers, controller.ContainerState{ID: ids, Function: c.function, State: "idle", Since: lead.Add(c.cold), Warmed: true, Until: &until, Decision: ids})
				}
				s.Decisions = append(s.Decisions, d)
			}
			if now.Before(arrived) {
				ended = false
				lower, upper := arrived.Add(-160*ms), arrived.Add(time.Duration(n)*90*ms)
				trace.Expected = append(trace.Expected, controller.ExpectedState{Function: c.function, Probability: c.probability, Lower: lower, Median: arrived, Upper: upper})
				continue
			}
			i := controller.InvocationState{Call: fmt.Sprintf("c%d", n), Function: c.function, Arrived: arrived, Start: kind}
			s.Totals.Invocations++
			f.Invocations++
			shift += wait
			started := arrived.Add(wait)
			if !now.Before(started) {
				i.Started = &started
				switch kind {
				case "cold":
					s.Totals.Cold++
					f.Cold++
				case "late":
					s.Totals.Late++
					f.Late++
				default:
					s.Totals.Warm++
					f.Warm++
				}
			}
			over := started.Add(c.run)
			switch {
			case now.Before(over):
				ended = false
				f.Busy++
			default:
				i.Ended = &over
				if over.After(last) {
					last = over
				}
			}
			trace.Invocations = append(trace.Invocations, i)
		}
		if request%3 == 2 && !now.Before(begun.Add(2*time.Second)) {
			ids++ // pay was expected, and did not come
			s.Totals.Warmups++
			s.Totals.Wasted++
			s.Functions[at["pay"]].Wasted++
			s.Decisions = append(s.Decisions, controller.DecisionState{ID: ids, Time: begun.Add(800 * ms), Action: "start", Function: "pay", N: 1, Rule: "demand is likely enough: P > (idle + start) ÷ (λ·wait)",
				Trace: trace.Trace, Probability: 0.7, GainMBs: 310, Outcome: "wasted"})
		}
		if ended {
			trace.Ended = &last
		} else {
			s.InFlight++
		}
		if !ended || now.Sub(last) < 2*time.Second {
			s.Traces = append([]controller.TraceState{trace}, s.Traces...)
		}
	}
	for i := range calls {
		s.Functions[i].Idle = min(int(s.Functions[i].Invocations), 1)
	}
	for i := range s.Decisions[:len(s.Decisions)/2] {
		j := len(s.Decisions) - 1 - i
		s.Decisions[i], s.Decisions[j] = s.Decisions[j], s.Decisions[i]
	}
	s.Decisions = s.Decisions[:min(len(s.Decisions), 60)]
	s.Totals.SavedSeconds = 0.37 * float64(s.Totals.Hits)
	s.Totals.SpentMBs = 256*1.3*float64(s.Totals.Warmups) + 900*after.Seconds()
	s.Totals.AloneMBs = 1350 * after.Seconds()
	heard := now.Add(-40 * ms)
	s.Models = []controller.ModelState{
		{Name: "checkout.safetensors", Kind: "neural", Functions: []string{"main", "cart", "price", "stock", "pay", "bank", "receipt", "ship"}, Since: epoch, Traces: 3000,
			Predicted: 412.6, Came: 405, Agrees: true},
		{Name: "media.safetensors", Kind: "gamma", Functions: []string{"thumbnail"}, Since: epoch, Traces: 800, Predicted: 61, Came: 24, Reason: "61.0 predicted, 24 came"},
	}
	s.Shares = []controller.ShareState{{Of: "spans", Partitions: []int32{0, 3}}, {Of: "demands", Partitions: []int32{1, 2}, Rebuilding: []int32{2}}}
	s.Sources = []controller.SourceState{
		{Name: "otlp", Observations: 3 * s.Totals.Invocations, Last: &heard},
		{Name: "arrivals", Observations: s.Totals.Requests, Invalid: 2, Last: &heard},
	}
	return s
}

// fake is a source whose state tests set.
type fake struct {
	mutex       sync.Mutex
	state       *controller.State
	subscribers map[chan struct{}]bool
	snapshots   int
}

func newFake(s *controller.State) *fake {
	return &fake{state: s, subscribers: map[chan struct{}]bool{}}
}

func (f *fake) Snapshot() *controller.State {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	f.snapshots++
	return f.state
}

func (f *fake) Subscribe() (<-chan struct{}, func()) {
	c := make(chan struct{}, 1)
	f.mutex.Lock()
	defer f.mutex.Unlock()
	f.subscribers[c] = true
	return c, func() {
		f.mutex.Lock()
		defer f.mutex.Unlock()
		delete(f.subscribers, c)
	}
}

// set gives the source another state, of which it tells its subscribers.
func (f *fake) set(s *controller.State) {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	f.state = s
	for c := range f.subscribers {
		select {
		case c <- struct{}{}:
		default:
		}
	}
}

// edit sets a changed copy of the state.
func (f *fake) edit(change func(s *controller.State)) {
	f.mutex.Lock()
	s := *f.state
	f.mutex.Unlock()
	change(&s)
	f.set(&s)
}
