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

// The names of span attributes.
const (
	attrActivationID = "activationId"
	attrWaitTime     = "waitTimeMilli"
	attrInitTime     = "initTimeMilli"
	// attrPhaseOf holds the activation id on phase spans. It differs from activationId so that a search for an activation finds only
	// the span of the invocation.
	attrPhaseOf = "phase.of"
)

// phaseSpans is the processor.
type phaseSpans struct {
	config    *Config
	telemetry *metadata.TelemetryBuilder
}

// process appends phase spans to the scope of each span that has a waitTimeMilli. Phase spans that are there already are kept.
func (p *phaseSpans) process(ctx context.Context, traces ptrace.Traces) (ptrace.Traces, error) {
	added, malformed := 0, 0
	for _, rs := range traces.ResourceSpans().All() {
		for _, ss := range rs.ScopeSpans().All() {
			spans := ss.Spans()
			var existing map[pcommon.SpanID]bool // ids of the phase spans that are there already; nil until needed
			for i, n := 0, spans.Len(); i < n; i++ {
				wait, init, validity := phaseDurations(spans.At(i))
				if validity == absent {
					continue
				}
				if validity == invalid {
					malformed++
					continue
				}
				if existing == nil {
					existing = phaseIDs(spans)
				}
				added += p.addPhases(spans, i, wait, init, existing)
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

// phaseIDs returns the ids of the phase spans among spans.
func phaseIDs(spans ptrace.SpanSlice) map[pcommon.SpanID]bool {
	ids := map[pcommon.SpanID]bool{}
	for _, s := range spans.All() {
		if _, ok := s.Attributes().Get(attrPhaseOf); ok {
			ids[s.SpanID()] = true
		}
	}
	return ids
}

// validity tells whether a span has the durations of its phases.
type validity int

const (
	valid validity = iota
	absent
	invalid
)

// phaseDurations returns how long an invocation waited and how long its container took to initialise, which is 0 if it was warm. The
// attributes are valid if they are integers, or texts of integers, in milliseconds, and together not longer than the span.
func phaseDurations(span ptrace.Span) (wait, init time.Duration, _ validity) {
	v, ok := span.Attributes().Get(attrWaitTime)
	if !ok {
		return 0, 0, absent
	}
	if _, isPhase := span.Attributes().Get(attrPhaseOf); isPhase {
		return 0, 0, absent
	}
	if span.TraceID().IsEmpty() || span.SpanID().IsEmpty() {
		return 0, 0, invalid
	}
	wait, ok = milliseconds(v)
	if !ok {
		return 0, 0, invalid
	}
	if v, has := span.Attributes().Get(attrInitTime); has {
		if init, ok = milliseconds(v); !ok {
			return 0, 0, invalid
		}
	}
	start, end := span.StartTimestamp(), span.EndTimestamp()
	if end < start || uint64(wait)+uint64(init) > uint64(end-start) {
		return 0, 0, invalid
	}
	return wait, init, valid
}

// milliseconds parses a duration between 0 and a year.
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

// addPhases appends the phase spans of span i that do not exist, and returns their number.
func (p *phaseSpans) addPhases(spans ptrace.SpanSlice, i int, wait, init time.Duration, existing map[pcommon.SpanID]bool) int {
	start, end := spans.At(i).StartTimestamp(), spans.At(i).EndTimestamp()
	initStart := start + pcommon.Timestamp(wait)
	execStart := initStart + pcommon.Timestamp(init)
	_, cold := spans.At(i).Attributes().Get(attrInitTime)
	added := 0
	for _, phase := range [...]struct {
		name     string
		from, to pcommon.Timestamp
		occurred bool
	}{{p.config.Wait, start, initStart, true}, {p.config.Init, initStart, execStart, cold}, {p.config.Exec, execStart, end, true}} {
		span := spans.At(i)
		id := phaseID(span.TraceID(), span.SpanID(), phase.name)
		if !phase.occurred || existing[id] {
			continue
		}
		phaseSpan := spans.AppendEmpty()
		span = spans.At(i) // AppendEmpty may have moved it
		phaseSpan.SetTraceID(span.TraceID())
		phaseSpan.SetSpanID(id)
		phaseSpan.SetParentSpanID(span.SpanID())
		phaseSpan.SetName(phase.name)
		phaseSpan.SetKind(ptrace.SpanKindInternal)
		phaseSpan.SetStartTimestamp(phase.from)
		phaseSpan.SetEndTimestamp(phase.to)
		activationID := ""
		if v, ok := span.Attributes().Get(attrActivationID); ok {
			activationID = v.AsString()
		}
		phaseSpan.Attributes().PutStr(attrPhaseOf, activationID)
		added++
	}
	return added
}

// phaseID returns the id of a phase span: the FNV-1a hash of the invocation's ids and the name of the phase. It is the same whenever the
// invocation's span arrives again, so that stores merge the phase spans. It is never zero, which would not be a valid id.
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
