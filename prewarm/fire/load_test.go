//go:build unix

package fire

import (
	"container/heap"
	"context"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
)

// load is a platform on which chains of functions run, as a controller is told of it: of each invocation the caller's announcement, that of its start,
// and the finished span.
type load struct {
	functions int           // of a chain
	traces    float64       // begun in a second
	busy      time.Duration // of each run, 10 % more or less
	seed      uint64
}

// events returns how many events a second the load has, and inFlight how many traces are in flight.
func (l *load) events() float64   { return 3 * float64(l.functions) * l.traces }
func (l *load) inFlight() float64 { return l.traces * float64(l.functions) * l.busy.Seconds() }

// sent counts what was sent.
type sent struct {
	mu               sync.Mutex
	spans, refused   int // refused: of messages that were answered with RESOURCE_EXHAUSTED
	calls            int // of the spans those that announce a call, with which the controller counts an invocation
	failed           error
	slowest, behind  time.Duration // answer; how far the generator was behind its schedule at most
	messages, traces int
}

// due is an event of a trace that is to be sent.
type due struct {
	at    time.Duration
	trace uint64
	step  int // of the chain
	kind  int // 0 the announcement of the call, 1 that of the start, 2 the finished span
	begun time.Duration
}

type agenda []due

func (a agenda) Len() int           { return len(a) }
func (a agenda) Less(i, j int) bool { return a[i].at < a[j].at }
func (a agenda) Swap(i, j int)      { a[i], a[j] = a[j], a[i] }
func (a *agenda) Push(x any)        { *a = append(*a, x.(due)) }
func (a *agenda) Pop() any {
	last := (*a)[len(*a)-1]
	*a = (*a)[:len(*a)-1]
	return last
}

// run sends the load to an OTLP server over gRPC for a time. Between messages are ten milliseconds.
func (l *load) run(ctx context.Context, address string, length time.Duration) (*sent, error) {
	connection, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return nil, err
	}
	defer connection.Close()
	client := ptraceotlp.NewGRPCClient(connection)
	ctx, cancel := context.WithTimeout(ctx, length)
	defer cancel()
	s := &sent{}
	var group sync.WaitGroup
	defer group.Wait()
	slots := make(chan struct{}, 16)
	rng := rand.New(rand.NewPCG(l.seed, 1))
	run := func() time.Duration { return time.Duration(float64(l.busy) * (0.9 + 0.2*rng.Float64())) }
	epoch := time.Now()
	var events agenda
	next := time.Duration(0)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return s, nil
		case <-tick.C:
		}
		now := time.Since(epoch)
		for ; next <= now; next += time.Duration(float64(time.Second) / l.traces * rng.ExpFloat64()) {
			s.traces++
			heap.Push(&events, due{at: next, trace: uint64(s.traces)})
		}
		traces := ptrace.NewTraces()
		spans := traces.ResourceSpans().AppendEmpty().ScopeSpans().AppendEmpty().Spans()
		calls := 0
		for len(events) > 0 && events[0].at <= now {
			e := heap.Pop(&events).(due)
			l.span(spans.AppendEmpty(), epoch, &e)
			switch e.kind {
			case 0:
				calls++
				e.at, e.kind = e.at+5*time.Millisecond, 1
				heap.Push(&events, e)
			case 1:
				e.begun = e.at
				e.at, e.kind = e.at+run(), 2
				heap.Push(&events, e)
			case 2:
				if e.step+1 < l.functions {
					heap.Push(&events, due{at: e.at, trace: e.trace, step: e.step + 1})
				}
			}
		}
		if spans.Len() == 0 {
			continue
		}
		s.messages++
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
			return s, nil
		}
		s.mu.Lock()
		s.behind = max(s.behind, time.Since(epoch)-now)
		s.mu.Unlock()
		group.Go(func() {
			defer func() { <-slots }()
			begun := time.Now()
			_, err := client.Export(context.WithoutCancel(ctx), ptraceotlp.NewExportRequestFromTraces(traces))
			s.mu.Lock()
			defer s.mu.Unlock()
			s.slowest = max(s.slowest, time.Since(begun))
			switch {
			case err == nil:
				s.spans += spans.Len()
				s.calls += calls
			case status.Code(err) == codes.ResourceExhausted:
				s.refused += spans.Len()
			default:
				s.failed = errors.Join(s.failed, err)
			}
		})
	}
}

// span fills in the span of an event.
func (l *load) span(span ptrace.Span, epoch time.Time, e *due) {
	var trace pcommon.TraceID
	binary.BigEndian.PutUint64(trace[8:], e.trace)
	binary.BigEndian.PutUint64(trace[:8], l.seed)
	id := func(kind, step int) (id pcommon.SpanID) {
		if step >= 0 {
			binary.BigEndian.PutUint64(id[:], e.trace<<16|uint64(step)<<4|uint64(kind)+1)
		}
		return id
	}
	at := pcommon.NewTimestampFromTime(epoch.Add(e.at))
	span.SetTraceID(trace)
	span.SetStartTimestamp(at)
	span.SetEndTimestamp(at)
	call := id(0, e.step).String()
	span.Attributes().PutStr("call.id", call)
	switch e.kind {
	case 0:
		span.SetName("invoke")
		span.SetSpanID(id(0, e.step))
		span.SetParentSpanID(id(2, e.step-1))
		span.Attributes().PutStr("faas.invoked_name", name(e.step))
		return
	case 1:
		span.SetName("start")
		span.SetSpanID(id(1, e.step))
		span.SetParentSpanID(id(2, e.step))
	case 2:
		span.SetName(name(e.step))
		span.SetKind(ptrace.SpanKindServer)
		span.SetSpanID(id(2, e.step))
		span.SetParentSpanID(id(2, e.step-1))
		span.SetStartTimestamp(pcommon.NewTimestampFromTime(epoch.Add(e.begun)))
		span.Attributes().PutStr("activationId", trace.String()+call)
	}
	span.Attributes().PutStr("faas.name", name(e.step))
	span.Attributes().PutBool("faas.coldstart", false)
}

func name(step int) string { return "chain-dev-f" + string(rune('0'+step)) }
