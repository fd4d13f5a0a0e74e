package openwhiskprocessor

import (
	"bytes"
	"math/bits"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/tppfaas/tppfaas/internal/whisk"
)

// class tells what to do with a span that has just arrived.
type class int

const (
	passOn     class = iota // it names no activation, or is an announcement: deliver it as it is
	invalid                 // it has no trace id or no span id: deliver it as it is, for the exporter to set aside
	fromCache               // the record of its activation is in the cache: enrich and deliver it
	duplicate               // the same span waits already, or stands before it in the message: drop it
	toWait                  // its record has to be looked up
	numClasses int   = iota
)

// classification holds the class of each span of a message, in the order of the spans.
type classification struct {
	spans  []classified
	counts [numClasses]int
}

type classified struct {
	class  class
	record *whisk.Record // of class fromCache
}

// classify returns the classes of the spans of a message. It changes neither the spans nor what waits.
func classify(traces ptrace.Traces, p *pending, c *cache, now time.Time) classification {
	n := traces.SpanCount()
	result := classification{spans: make([]classified, 0, n)}
	var before map[identity]ptrace.Span // the spans so far; nil if there is only one
	if n > 1 {
		before = make(map[identity]ptrace.Span, n)
	}
	for _, rs := range traces.ResourceSpans().All() {
		for _, ss := range rs.ScopeSpans().All() {
			for _, span := range ss.Spans().All() {
				s := classifySpan(span, p, c, now)
				if before != nil && s.class != invalid {
					id := identityOf(span)
					if first, ok := before[id]; !ok {
						before[id] = span
					} else if s.class != passOn || equal(first, span) {
						s = classified{class: duplicate}
					}
				}
				result.spans = append(result.spans, s)
				result.counts[s.class]++
			}
		}
	}
	return result
}

// identity is what tells spans apart. The two halves of a call, of caller and callee, may differ in nothing but their kind.
type identity struct {
	trace pcommon.TraceID
	span  pcommon.SpanID
	name  string
	kind  ptrace.SpanKind
}

func identityOf(span ptrace.Span) identity {
	return identity{span.TraceID(), span.SpanID(), span.Name(), span.Kind()}
}

// equal reports whether two spans have the same content.
func equal(a, b ptrace.Span) bool {
	var encoded [2][]byte
	for i, span := range [...]ptrace.Span{a, b} {
		traces := ptrace.NewTraces()
		span.CopyTo(traces.ResourceSpans().AppendEmpty().ScopeSpans().AppendEmpty().Spans().AppendEmpty())
		var err error
		if encoded[i], err = new(ptrace.ProtoMarshaler).MarshalTraces(traces); err != nil {
			return false
		}
	}
	return bytes.Equal(encoded[0], encoded[1])
}

func classifySpan(span ptrace.Span, p *pending, c *cache, now time.Time) classified {
	if span.TraceID().IsEmpty() || span.SpanID().IsEmpty() {
		return classified{class: invalid}
	}
	id := activationOf(span)
	if id == "" {
		return classified{class: passOn}
	}
	// In this order: a record is put into the cache before its spans stop waiting.
	if p.isWaiting(id, span) {
		return classified{class: duplicate}
	}
	if record := c.get(id, now); record != nil {
		return classified{class: fromCache, record: record}
	}
	return classified{class: toWait}
}

// waitingSize returns the size in OTLP of the message that divide makes of the spans that have to wait.
func (c *classification) waitingSize(traces ptrace.Traces) int {
	var m ptrace.ProtoMarshaler
	switch c.counts[toWait] {
	case 0:
		return 0
	case len(c.spans):
		return m.TracesSize(traces)
	}
	total, next := 0, 0
	for _, rs := range traces.ResourceSpans().All() {
		resourceSize, resourceWaits := m.ResourceSpansSize(rs), false
		for _, ss := range rs.ScopeSpans().All() {
			scopeSize, scopeWaits := m.ScopeSpansSize(ss), false
			resourceSize -= fieldSize(scopeSize)
			for _, span := range ss.Spans().All() {
				if c.spans[next].class == toWait {
					scopeWaits = true
				} else {
					scopeSize -= fieldSize(m.SpanSize(span))
				}
				next++
			}
			if scopeWaits {
				resourceSize += fieldSize(scopeSize)
				resourceWaits = true
			}
		}
		if resourceWaits {
			total += fieldSize(resourceSize)
		}
	}
	return total
}

// fieldSize returns the size of a Protocol Buffers field that holds a message of n bytes: a tag of one byte, the length as a
// varint, and the message.
func fieldSize(n int) int { return 1 + (bits.Len(uint(n|1))+6)/7 + n }

// divide moves the spans of a message into two: those that go on at once, enriched where their record is in the cache, and
// those that have to wait. Duplicates are in neither.
func (c *classification) divide(traces ptrace.Traces) (onward, waiting ptrace.Traces) {
	switch len(c.spans) {
	case c.counts[passOn] + c.counts[invalid]:
		return traces, ptrace.NewTraces()
	case c.counts[toWait]:
		waiting = ptrace.NewTraces()
		traces.ResourceSpans().MoveAndAppendTo(waiting.ResourceSpans())
		return ptrace.NewTraces(), waiting
	}
	to := map[bool]*assembler{false: newAssembler(), true: newAssembler()}
	next := 0
	for _, rs := range traces.ResourceSpans().All() {
		for _, ss := range rs.ScopeSpans().All() {
			for _, span := range ss.Spans().All() {
				s := c.spans[next]
				next++
				if s.class == duplicate {
					continue
				}
				if s.class == fromCache {
					enrich(span, *s.record)
				}
				to[s.class == toWait].move(rs, ss, span)
			}
		}
	}
	return to[false].traces, to[true].traces
}
