package phasespanprocessor

import (
	"context"
	"hash/fnv"
	"strconv"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/tppfaas/tppfaas/collector/phasespanprocessor/internal/metadata"
)

// Attributes of spans.
const (
	attrActivationID = "activationId"
	attrWaitTime     = "waitTimeMilli"
	attrInitTime     = "initTimeMilli"
	// attrPhaseOf names the activation on the span of a phase. It is not activationId: who looks for that finds the
	// invocation alone.
	attrPhaseOf = "phase.of"
)

// phaseSpans is the processor.
type phaseSpans struct {
	config    *Config
	telemetry *metadata.TelemetryBuilder
}

// process adds the phases of every span that has a waitTimeMilli, behind it in its scope. A span that came with its phases
// keeps them as they are.
func (p *phaseSpans) process(ctx context.Context, traces ptrace.Traces) (ptrace.Traces, error) {
	added, malformed := 0, 0
	for _, rs := range traces.ResourceSpans().All() {
		for _, ss := range rs.ScopeSpans().All() {
			spans := ss.Spans()
			var there map[pcommon.SpanID]bool // ids of the phases that came along
			for i, n := 0, spans.Len(); i < n; i++ {
				wait, init, state := times(spans.At(i))
				if state == untimed {
					continue
				}
				if state == wrong {
					malformed++
					continue
				}
				if there == nil {
					there = phasesIn(spans)
				}
				added += p.draw(spans, i, wait, init, there)
			}
		}
	}
	if added > 0 {
		p.telemetry.ProcessorPhasespanSpansAdded.Add(ctx, int64(added))
	}
	if malformed > 0 {
		p.telemetry.ProcessorPhasespanSpansMalformed.Add(ctx, int64(malformed))
	}
	return traces, nil
}

// phasesIn returns the ids of the spans that are phases.
func phasesIn(spans ptrace.SpanSlice) map[pcommon.SpanID]bool {
	ids := map[pcommon.SpanID]bool{}
	for _, s := range spans.All() {
		if _, ok := s.Attributes().Get(attrPhaseOf); ok {
			ids[s.SpanID()] = true
		}
	}
	return ids
}

// state says what the times of a span are.
type state int

const (
	timed   state = iota
	untimed       // it has none
	wrong         // they cannot be
)

// times returns how long the invocation waited and how long its container took to initialise, 0 if it was warm. They are
// milliseconds as an integer, or as the text of one, and together no longer than the span.
func times(span ptrace.Span) (wait, init time.Duration, _ state) {
	v, ok := span.Attributes().Get(attrWaitTime)
	if !ok {
		return 0, 0, untimed
	}
	if _, isPhase := span.Attributes().Get(attrPhaseOf); isPhase {
		return 0, 0, untimed
	}
	wait, ok = milliseconds(v)
	if !ok {
		return 0, 0, wrong
	}
	if v, has := span.Attributes().Get(attrInitTime); has {
		if init, ok = milliseconds(v); !ok {
			return 0, 0, wrong
		}
	}
	start, end := span.StartTimestamp(), span.EndTimestamp()
	if end < start || uint64(wait)+uint64(init) > uint64(end-start) {
		return 0, 0, wrong
	}
	return wait, init, timed
}

// milliseconds reads a number of them, of at most a year.
func milliseconds(v pcommon.Value) (time.Duration, bool) {
	var ms int64
	switch v.Type() {
	case pcommon.ValueTypeInt:
		ms = v.Int()
	case pcommon.ValueTypeStr:
		var err error
		if ms, err = strconv.ParseInt(v.Str(), 10, 64); err != nil {
			return 0, false
		}
	default:
		return 0, false
	}
	const year = 365 * 24 * time.Hour
	if ms < 0 || ms > year.Milliseconds() {
		return 0, false
	}
	return time.Duration(ms) * time.Millisecond, true
}

// draw appends the phases of span i that are not there, and returns their number.
func (p *phaseSpans) draw(spans ptrace.SpanSlice, i int, wait, init time.Duration, there map[pcommon.SpanID]bool) int {
	start, end := spans.At(i).StartTimestamp(), spans.At(i).EndTimestamp()
	began := start + pcommon.Timestamp(wait)
	ready := began + pcommon.Timestamp(init)
	_, cold := spans.At(i).Attributes().Get(attrInitTime)
	added := 0
	for _, phase := range [...]struct {
		name     string
		from, to pcommon.Timestamp
		there    bool
	}{{p.config.Wait, start, began, true}, {p.config.Init, began, ready, cold}, {p.config.Exec, ready, end, true}} {
		span := spans.At(i) // anew: an append may move them
		id := phaseID(span.TraceID(), span.SpanID(), phase.name)
		if !phase.there || there[id] {
			continue
		}
		own := spans.AppendEmpty()
		span = spans.At(i)
		own.SetTraceID(span.TraceID())
		own.SetSpanID(id)
		own.SetParentSpanID(span.SpanID())
		own.SetName(phase.name)
		own.SetKind(ptrace.SpanKindInternal)
		own.SetStartTimestamp(phase.from)
		own.SetEndTimestamp(phase.to)
		of := ""
		if activation, ok := span.Attributes().Get(attrActivationID); ok {
			of = activation.AsString()
		}
		own.Attributes().PutStr(attrPhaseOf, of)
		added++
	}
	return added
}

// phaseID is the id of the span of a phase: the same whenever the invocation's span comes again, so that what stores them
// merges the two. It is FNV-1a of the ids and the name, never zero, which would be no id.
func phaseID(trace pcommon.TraceID, span pcommon.SpanID, phase string) (id pcommon.SpanID) {
	h := fnv.New64a()
	h.Write(trace[:])
	h.Write(span[:])
	h.Write([]byte(phase))
	h.Sum(id[:0])
	if id.IsEmpty() {
		id[7] = 1
	}
	return id
}
