package learn

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/tppfaas/tppfaas/prewarm"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is a platform on which every invocation finds no container, with the policy that is told so. It keeps what that decides.
type world struct {
	t       testing.TB
	policy  *Policy
	fleet   *prewarm.Fleet
	rng     *rand.Rand
	now     prewarm.Time
	last    prewarm.ID // of invocations and containers
	trace   prewarm.ID
	out     prewarm.Decisions
	wakes   map[uint64]prewarm.Time
	decided []prewarm.Decision // but wakes
	events  []prewarm.Event
	arrived func(e *prewarm.Event) // is told of each root, after the policy; may be nil
}

func functionsOf(n int) []prewarm.Function {
	var list []prewarm.Function
	for f := range n {
		list = append(list, prewarm.Function{Name: fmt.Sprint("f", f), MemoryMB: 256})
	}
	return list
}

var testPlatform = prewarm.Platform{Warm: true, GiveBack: true, Hold: true, Arrivals: true, IdleTimeout: 10 * time.Minute}

func newWorld(t testing.TB, functions int, o Options) *world {
	t.Helper()
	o.Platform, o.Functions = testPlatform, functionsOf(functions)
	if o.Price == 0 {
		o.Price = 2560
	}
	p, err := New(t.Context(), o)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.Close()) })
	fleet, err := prewarm.NewFleet(o.Platform, o.Functions)
	require.NoError(t, err)
	w := &world{t: t, policy: p, fleet: fleet, rng: rand.New(rand.NewPCG(1, 2)), wakes: map[uint64]prewarm.Time{}}
	w.tell(prewarm.Event{Kind: prewarm.Woken})
	return w
}

// tell tells the policy of an event, and before of the times at which it wanted to be asked.
func (w *world) tell(e prewarm.Event) {
	w.t.Helper()
	for {
		var key uint64
		at := prewarm.Never
		for k, t := range w.wakes {
			if t < at || t == at && k < key {
				key, at = k, t
			}
		}
		if at >= e.At {
			break
		}
		delete(w.wakes, key)
		w.handle(prewarm.Event{Kind: prewarm.Woken, At: max(at, w.now), Key: key})
	}
	w.handle(e)
}

func (w *world) handle(e prewarm.Event) {
	w.t.Helper()
	w.now = e.At
	require.NoError(w.t, w.fleet.Apply(&e))
	w.out.Reset()
	w.policy.Handle(&e, w.fleet, &w.out)
	for _, d := range w.out.List {
		if d.Action == prewarm.WakePolicy {
			w.wakes[d.Key] = max(d.Until, w.now+1)
			if d.Until == prewarm.Never {
				delete(w.wakes, d.Key)
			}
			continue
		}
		w.decided = append(w.decided, d)
	}
	if e.Kind == prewarm.Arrived && e.Parent == 0 && w.arrived != nil {
		w.arrived(&e)
	}
}

// node is an invocation of a request: it comes a time after the start of its caller's run, and takes a time.
type node struct {
	function    int
	after, took float64
	calls       []node
}

const coldStart = 2 * time.Second

// request runs a request that arrives at a time.
func (w *world) request(at prewarm.Time, root node) {
	w.t.Helper()
	w.trace++
	w.events = w.events[:0]
	w.plan(w.trace, 0, at, &root)
	slices.SortStableFunc(w.events, func(a, b prewarm.Event) int { return int(min(max(a.At-b.At, -1), 1)) })
	for _, e := range w.events {
		w.tell(e)
	}
	w.tell(prewarm.Event{Kind: prewarm.Woken, At: w.now + 2*settle, Key: 98}) // by then it is over
}

func (w *world) plan(trace, parent prewarm.ID, at prewarm.Time, n *node) {
	w.last++
	e := prewarm.Event{Function: n.function, Trace: trace, Invocation: w.last, Parent: parent}
	add := func(kind prewarm.Kind, at prewarm.Time) {
		e.Kind, e.At = kind, at
		w.events = append(w.events, e)
	}
	add(prewarm.Arrived, at)
	e.Container, e.Start = w.last, prewarm.Cold
	add(prewarm.Placed, at+4*time.Millisecond)
	e.Init = 100 * time.Millisecond
	start := at + coldStart
	add(prewarm.Started, start)
	e.Init = 0
	end := start + time.Duration(n.took*float64(time.Second))
	add(prewarm.Ended, end)
	invocation := e.Invocation
	e.Trace, e.Invocation, e.Parent = 0, 0, 0
	add(prewarm.Idle, end+time.Millisecond)
	add(prewarm.Removed, end+time.Second)
	for i := range n.calls {
		w.plan(trace, invocation, start+time.Duration(n.calls[i].after*float64(time.Second)), &n.calls[i])
	}
}

// about returns a time that varies by a tenth.
func (w *world) about(s float64) float64 { return s * (0.9 + 0.2*w.rng.Float64()) }

// chain returns a request of which each invocation calls the next one at its end.
func (w *world) chain(took float64, functions ...int) node {
	d := w.about(took)
	n := node{function: functions[0], took: d}
	if len(functions) > 1 {
		n.calls = []node{w.chain(took, functions[1:]...)}
		n.calls[0].after = d - 0.001
	}
	return n
}

// started returns how many containers were started for each function since the last call.
func (w *world) started() map[int]int {
	n := map[int]int{}
	for _, d := range w.decided {
		if d.Action == prewarm.StartContainers {
			n[d.Function] += d.N
		}
	}
	w.decided = w.decided[:0]
	return n
}
