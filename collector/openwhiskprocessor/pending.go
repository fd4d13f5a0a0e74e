package openwhiskprocessor

import (
	"container/heap"
	"time"

	"go.opentelemetry.io/collector/pdata/ptrace"
)

// batch is the spans of one arrival that wait.
type batch struct {
	number  uint64 // its place in the storage
	traces  ptrace.Traces
	bytes   int
	left    int    // spans that have not been handed on; the forwarder's, once they wait
	handed  []byte // a bit for each that has, kept where there is a storage
	arrived time.Time
}

// item is a span that waits.
type item struct {
	batch           *batch
	resource, scope int // where it is in the batch
	index           int // its number in the batch
	span            ptrace.Span
	drop            bool // the forwarder is to forget it
}

// items returns the spans of a batch.
func (b *batch) items() []item {
	var items []item
	for i := range b.traces.ResourceSpans().Len() {
		scopes := b.traces.ResourceSpans().At(i).ScopeSpans()
		for j := range scopes.Len() {
			spans := scopes.At(j).Spans()
			for k := range spans.Len() {
				items = append(items, item{batch: b, resource: i, scope: j, index: len(items), span: spans.At(k)})
			}
		}
	}
	return items
}

// activation is one that spans wait for. It is in one place at a time: in ready, in later, or with a worker.
type activation struct {
	id    string
	items []item
	since time.Time     // first asked for
	down  time.Duration // downtime of the circuit then
	delay time.Duration // before the next lookup
	due   time.Time
}

// has reports whether the span waits already.
func (a *activation) has(span ptrace.Span) bool {
	for i := range a.items {
		if s := a.items[i].span; s.SpanID() == span.SpanID() && s.TraceID() == span.TraceID() && s.Name() == span.Name() {
			return true
		}
	}
	return false
}

// schedule is a heap of activations by the time at which they are due.
type schedule []*activation

func (s schedule) Len() int           { return len(s) }
func (s schedule) Less(i, j int) bool { return s[i].due.Before(s[j].due) }
func (s schedule) Swap(i, j int)      { s[i], s[j] = s[j], s[i] }
func (s *schedule) Push(x any)        { *s = append(*s, x.(*activation)) }
func (s *schedule) Pop() any {
	last := len(*s) - 1
	a := (*s)[last]
	(*s)[last] = nil
	*s = (*s)[:last]
	return a
}

func (s *schedule) add(a *activation) { heap.Push(s, a) }

// take returns the next that is due, nil if none is.
func (s *schedule) take(now time.Time) *activation {
	if len(*s) == 0 || (*s)[0].due.After(now) {
		return nil
	}
	return heap.Pop(s).(*activation)
}

// join builds one message of spans, which it takes out of their batches.
func join(items []item) ptrace.Traces {
	type place struct {
		batch           *batch
		resource, scope int
	}
	out := ptrace.NewTraces()
	resources := map[place]ptrace.ResourceSpans{}
	scopes := map[place]ptrace.ScopeSpans{}
	for _, it := range items {
		if it.drop {
			continue
		}
		at := place{it.batch, it.resource, it.scope}
		to, ok := scopes[at]
		if !ok {
			from := it.batch.traces.ResourceSpans().At(it.resource)
			whole := place{it.batch, it.resource, -1}
			rs, ok := resources[whole]
			if !ok {
				rs = out.ResourceSpans().AppendEmpty()
				from.Resource().CopyTo(rs.Resource())
				rs.SetSchemaUrl(from.SchemaUrl())
				resources[whole] = rs
			}
			to = rs.ScopeSpans().AppendEmpty()
			from.ScopeSpans().At(it.scope).Scope().CopyTo(to.Scope())
			to.SetSchemaUrl(from.ScopeSpans().At(it.scope).SchemaUrl())
			scopes[at] = to
		}
		it.span.MoveTo(to.Spans().AppendEmpty())
	}
	return out
}

// split takes the spans for which move is true out of traces, in the order of their places.
func split(traces ptrace.Traces, move func(ptrace.Span) bool) ptrace.Traces {
	out := ptrace.NewTraces()
	traces.ResourceSpans().RemoveIf(func(rs ptrace.ResourceSpans) bool {
		var resource ptrace.ResourceSpans
		moved := false
		rs.ScopeSpans().RemoveIf(func(ss ptrace.ScopeSpans) bool {
			var scope ptrace.ScopeSpans
			movedHere := false
			ss.Spans().RemoveIf(func(span ptrace.Span) bool {
				if !move(span) {
					return false
				}
				if !moved {
					resource = out.ResourceSpans().AppendEmpty()
					rs.Resource().CopyTo(resource.Resource())
					resource.SetSchemaUrl(rs.SchemaUrl())
					moved = true
				}
				if !movedHere {
					scope = resource.ScopeSpans().AppendEmpty()
					ss.Scope().CopyTo(scope.Scope())
					scope.SetSchemaUrl(ss.SchemaUrl())
					movedHere = true
				}
				span.MoveTo(scope.Spans().AppendEmpty())
				return true
			})
			return ss.Spans().Len() == 0
		})
		return rs.ScopeSpans().Len() == 0
	})
	return out
}
