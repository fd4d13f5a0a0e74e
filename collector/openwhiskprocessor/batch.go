package openwhiskprocessor

import (
	"time"

	"go.opentelemetry.io/collector/pdata/ptrace"
)

// batch holds the spans of one message that wait for their records. Once the batch is enlisted, only the forwarder changes
// it.
type batch struct {
	number    uint64 // its number in the storage
	traces    ptrace.Traces
	bytes     int    // size of traces in OTLP
	left      int    // number of spans that have not been delivered
	delivered bitset // which spans have been delivered, by index; nil without a storage
	arrived   time.Time
}

// item is one span of a batch, with its resource and scope.
type item struct {
	batch      *batch
	resource   ptrace.ResourceSpans
	scope      ptrace.ScopeSpans
	span       ptrace.Span
	activation string // the activation whose record the span waits for
	index      int    // index of the span in the batch
	drop       bool   // the span is not delivered
}

// items returns the spans of the batch that have not been delivered.
func (b *batch) items() []item {
	items := make([]item, 0, b.left)
	index := 0
	for _, rs := range b.traces.ResourceSpans().All() {
		for _, ss := range rs.ScopeSpans().All() {
			for _, span := range ss.Spans().All() {
				if b.delivered == nil || !b.delivered.has(index) {
					items = append(items, item{batch: b, resource: rs, scope: ss, span: span, activation: activationOf(span), index: index})
				}
				index++
			}
		}
	}
	return items
}

// join moves the spans of items, except those to be dropped, into one message.
func join(items []item) ptrace.Traces {
	a := newAssembler()
	for _, it := range items {
		if !it.drop {
			a.move(it.resource, it.scope, it.span)
		}
	}
	return a.traces
}

// assembler builds a message of spans from other messages. Spans of the same resource and scope stay together.
type assembler struct {
	traces    ptrace.Traces
	resources map[ptrace.ResourceSpans]ptrace.ResourceSpans
	scopes    map[ptrace.ScopeSpans]ptrace.ScopeSpans
}

func newAssembler() *assembler {
	return &assembler{
		traces:    ptrace.NewTraces(),
		resources: map[ptrace.ResourceSpans]ptrace.ResourceSpans{},
		scopes:    map[ptrace.ScopeSpans]ptrace.ScopeSpans{},
	}
}

// move moves a span, which has the given resource and scope, to the end of the message.
func (a *assembler) move(rs ptrace.ResourceSpans, ss ptrace.ScopeSpans, span ptrace.Span) {
	scope, ok := a.scopes[ss]
	if !ok {
		resource, ok := a.resources[rs]
		if !ok {
			resource = a.traces.ResourceSpans().AppendEmpty()
			rs.Resource().CopyTo(resource.Resource())
			resource.SetSchemaUrl(rs.SchemaUrl())
			a.resources[rs] = resource
		}
		scope = resource.ScopeSpans().AppendEmpty()
		ss.Scope().CopyTo(scope.Scope())
		scope.SetSchemaUrl(ss.SchemaUrl())
		a.scopes[ss] = scope
	}
	span.MoveTo(scope.Spans().AppendEmpty())
}

// bitset is a set of the integers from 0 up to a bound; bit i%8 of byte i/8 stands for i. It is stored as it is.
type bitset []byte

func newBitset(n int) bitset    { return make(bitset, (n+7)/8) }
func (s bitset) has(i int) bool { return s[i/8]&(1<<(i%8)) != 0 }
func (s bitset) add(i int)      { s[i/8] |= 1 << (i % 8) }
