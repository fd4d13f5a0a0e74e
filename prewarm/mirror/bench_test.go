package mirror_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/tppfaas/tppfaas/prewarm"
	"github.com/tppfaas/tppfaas/prewarm/mirror"
	"github.com/tppfaas/tppfaas/prewarm/source"
)

// stream makes observations of requests that overlap: each is a chain of calls, of which one is announced, starts and ends every second. The
// strings of its observations are made when it begins.
type stream struct {
	functions []prewarm.Function
	names     [][]string // of traces, calls and spans that are used again and again
	instances []string
	traces    []streamTrace
	next      int
	step      int
	sent      int
}

type streamTrace struct {
	id   string
	call int
}

const (
	streamCalls     = 13
	streamFunctions = 130
)

func newStream(traces int) *stream {
	s := &stream{}
	for i := range streamFunctions {
		s.functions = append(s.functions, prewarm.Function{Name: fmt.Sprintf("application%d-dev-f%d", i/13, i%13), MemoryMB: 256})
	}
	for i := range streamCalls {
		s.names = append(s.names, []string{fmt.Sprintf("b7ad6b7169203%03d", i), fmt.Sprintf("00f067aa0ba90%03d", i)})
	}
	for i := range traces {
		s.traces = append(s.traces, streamTrace{call: i % streamCalls})
		s.instances = append(s.instances, fmt.Sprintf("instance-%010d", i))
		s.begin(i)
	}
	return s
}

func (s *stream) begin(i int) {
	s.sent++
	s.traces[i].id = fmt.Sprintf("4bf92f3577b34da6%016d", s.sent)
}

// observation sets o to the next observation: in each step of the stream each trace has one of its three.
func (s *stream) observation(o *source.Observation, now time.Time) {
	if s.next == len(s.traces) {
		s.next = 0
		s.step++
	}
	i := s.next
	s.next++
	t := &s.traces[i]
	kind := source.Kind(s.step % 3)
	if kind == source.Invoked && s.step > 0 {
		if t.call++; t.call == streamCalls {
			t.call = 0
			s.begin(i)
		}
	}
	*o = source.Observation{
		Kind: kind, Function: s.functions[i%10*13+t.call].Name, Trace: t.id, Call: s.names[t.call][0], Time: now, Wait: -1, Init: -1, Clock: "node1",
	}
	if t.call > 0 {
		o.ParentCall, o.ParentSpan = s.names[t.call-1][0], s.names[t.call-1][1]
	}
	if kind == source.Invoked {
		return
	}
	o.Span = s.names[t.call][1]
	if o.Instance = s.instances[i]; len(s.traces) > 1 {
		o.Instance = ""
	}
	o.Temperature = source.Warm
	if kind == source.Ended {
		o.Begin = now.Add(-20 * time.Millisecond)
	}
}

// BenchmarkObserve measures the time for an observation, with the fleet that is told of the events and without.
func BenchmarkObserve(b *testing.B) {
	for _, traces := range []int{100, 10_000} {
		for _, withFleet := range []bool{false, true} {
			b.Run(fmt.Sprintf("traces=%d/fleet=%v", traces, withFleet), func(b *testing.B) {
				s := newStream(traces)
				platform := prewarm.Platform{Warm: true, Arrivals: true, IdleTimeout: 10 * time.Minute}
				m, err := mirror.New(mirror.Options{Epoch: epoch, Platform: platform, Functions: s.functions})
				if err != nil {
					b.Fatal(err)
				}
				fleet, err := prewarm.NewFleet(platform, s.functions)
				if err != nil {
					b.Fatal(err)
				}
				var events []prewarm.Event
				var o source.Observation
				now := prewarm.Time(0)
				told := 0
				observe := func() {
					now += 200 * time.Microsecond // 5000 a second
					s.observation(&o, epoch.Add(now))
					events, err = m.Observe(now, &o, events[:0])
					if err != nil {
						b.Fatal(err)
					}
					told += len(events)
					if !withFleet {
						return
					}
					for i := range events {
						if err := fleet.Apply(&events[i]); err != nil {
							b.Fatal(err)
						}
					}
				}
				for range 600_000 { // two minutes, so that traces are forgotten
					observe()
				}
				b.ReportAllocs()
				b.ResetTimer()
				for range b.N {
					observe()
				}
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "observations/s")
				if c := m.Counts(); c.Full > 0 || c.Invalid > 0 {
					b.Fatalf("%+v", c)
				}
			})
		}
	}
}

// BenchmarkSnapshot measures the time to take what is known, and to write it as JSON.
func BenchmarkSnapshot(b *testing.B) {
	s := newStream(10_000)
	m, err := mirror.New(mirror.Options{Epoch: epoch, Platform: own, Functions: s.functions})
	if err != nil {
		b.Fatal(err)
	}
	var o source.Observation
	for i := range 155_000 {
		now := time.Duration(i) * 200 * time.Microsecond
		s.observation(&o, epoch.Add(now))
		if _, err := m.Observe(now, &o, nil); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		text, err := json.Marshal(m.Snapshot())
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(len(text)), "bytes")
	}
}

// BenchmarkChain has invocations come of which each is called by the one before: that must not take the longer the more there are.
func BenchmarkChain(b *testing.B) {
	for _, n := range []int{1000, 10_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			for b.Loop() {
				m, err := mirror.New(mirror.Options{Epoch: epoch, Platform: own})
				if err != nil {
					b.Fatal(err)
				}
				for i := range n {
					at := time.Duration(i) * time.Millisecond
					o := source.Observation{Kind: source.Invoked, Function: "a", Trace: "t", Call: fmt.Sprint(i), ParentCall: fmt.Sprint(i - 1), Time: epoch.Add(at)}
					if _, err := m.Observe(at, &o, nil); err != nil {
						b.Fatal(err)
					}
				}
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/float64(n), "µs/invocation")
		})
	}
}
