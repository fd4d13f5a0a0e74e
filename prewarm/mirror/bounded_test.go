package mirror

import (
	"fmt"
	"testing"
	"time"

	"github.com/tppfaas/tppfaas/prewarm"
	"github.com/tppfaas/tppfaas/prewarm/source"
)

// TestFlood floods a mirror with names that are all new, for which nothing ends: what it keeps stays within the limits, and all that was left out is
// counted. When nothing comes any more, all is forgotten but functions.
func TestFlood(t *testing.T) {
	begun := time.Date(2026, time.January, 1, 0, 0, 0, 0, time.UTC)
	limits := Limits{Functions: 20, Traces: 300, Invocations: 1000, InvocationsPerTrace: 50, Containers: 500, Clocks: 30}
	m, err := New(Options{Epoch: begun, Platform: prewarm.Platform{Arrivals: true}, Limits: limits})
	if err != nil {
		t.Fatal(err)
	}
	var events []prewarm.Event
	now := prewarm.Time(0)
	refused := uint64(0)
	for i := range 50_000 {
		now += 100 * time.Microsecond
		o := source.Observation{
			Kind: source.Kind(i % 3), Function: fmt.Sprintf("f%d", i%25), Trace: fmt.Sprintf("t%d", i/60), Call: fmt.Sprintf("c%d", i), Span: fmt.Sprintf("s%d", i),
			Activation: fmt.Sprintf("a%d", i), Instance: fmt.Sprintf("i%d", i), Clock: fmt.Sprintf("k%d", i), Version: fmt.Sprintf("v%d", i), Time: begun.Add(now),
			Wait: -1, Init: -1, Temperature: source.Temperature(i % 3),
		}
		if events, err = m.Observe(now, &o, events[:0]); err != nil {
			refused++
		}
		if len(m.functions) > limits.Functions || m.traceCount > limits.Traces || len(m.traces) > limits.Traces || len(m.invocations) > limits.Invocations ||
			len(m.byActivation) > limits.Invocations || len(m.containers) > limits.Containers || len(m.instances) > limits.Containers || len(m.clocks.others) > limits.Clocks {
			t.Fatalf("%d functions, %d traces, %d invocations, %d containers, %d clocks", len(m.functions), m.traceCount, len(m.invocations), len(m.containers), len(m.clocks.others))
		}
		if n := len(m.timers); n > 2*(limits.Invocations+limits.Containers)+4096 {
			t.Fatalf("%d timers", n)
		}
	}
	if c := m.Counts(); refused == 0 || c.Full < refused || c.Observations != 50_000 {
		t.Errorf("%d were refused: %+v", refused, c)
	}
	for next := m.Next(); next != prewarm.Never; next = m.Next() {
		events = m.Pass(next, events[:0])
	}
	if len(m.traces)+len(m.tracesByID)+len(m.invocations)+len(m.byActivation)+len(m.containers)+len(m.instances)+m.traceCount+m.inFlight+len(m.timers) != 0 {
		t.Errorf("%d traces, %d invocations, %d containers, %d timers are left", m.traceCount, len(m.invocations), len(m.containers), len(m.timers))
	}
	for _, f := range m.byIndex {
		if len(f.found)+len(f.pending)+f.containers() != 0 {
			t.Errorf("function %d: %d found, %d pending, %d containers are left", f.index, len(f.found), len(f.pending), f.containers())
		}
	}
}

// TestTimers checks that what is due comes in the order of time, although it was put off and brought forward, and that timers for nothing are left
// out.
func TestTimers(t *testing.T) {
	m, err := New(Options{Platform: prewarm.Platform{Arrivals: true, IdleTimeout: time.Hour}, Functions: []prewarm.Function{{Name: "a", MemoryMB: 1}}})
	if err != nil {
		t.Fatal(err)
	}
	ids, _ := m.Warm(0, 0, 3, nil)
	for i, id := range ids {
		c := m.containers[id]
		m.lookAt(c, time.Duration(10+i)*time.Second)
		m.lookAt(c, time.Duration(40-10*i)*time.Second)
	}
	m.lookAt(m.containers[ids[0]], 5*time.Second)
	m.lookAt(m.containers[ids[0]], 50*time.Second)
	var got []string
	for next := m.Next(); next != prewarm.Never; next = m.Next() {
		for _, e := range m.Pass(next, nil) {
			got = append(got, fmt.Sprintf("%v %d at %v", e.Kind, e.Container, e.At))
		}
	}
	if want := "[removed 3 at 20s removed 2 at 30s removed 1 at 50s]"; fmt.Sprint(got) != want {
		t.Errorf("got %v, want %s", got, want)
	}
}
