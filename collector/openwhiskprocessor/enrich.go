package openwhiskprocessor

import (
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/tppfaas/tppfaas/internal/announce"
	"github.com/tppfaas/tppfaas/internal/whisk"
)

// The names of span attributes.
const (
	attrActivationID = "activationId"
	attrInvocationID = "faas.invocation_id"
	attrWaitTime     = "waitTimeMilli"
	attrInitTime     = "initTimeMilli"
	attrColdStart    = announce.ColdStart
	// attrRecord holds the reason why a span was passed on without a record.
	attrRecord = "openwhisk.record"
	// attrNegativeDuration holds the duration in milliseconds of a span whose end came before its start, and was set to it.
	attrNegativeDuration = "openwhisk.negative_duration_milli"
)

// isAnnouncement reports whether a span says only that a function is being invoked or has begun to run. Announcements are not delayed, and
// keep what they say.
func isAnnouncement(span ptrace.Span) bool {
	return (span.Name() == announce.Start || span.Name() == announce.Invoke) && span.StartTimestamp() == span.EndTimestamp()
}

// activationOf returns the id of the activation whose record the span needs, or "" if it needs none.
func activationOf(span ptrace.Span) string {
	if isAnnouncement(span) {
		return ""
	}
	for _, name := range [...]string{attrActivationID, attrInvocationID} {
		if v, ok := span.Attributes().Get(name); ok && v.Type() == pcommon.ValueTypeStr && v.Str() != "" {
			return v.Str()
		}
	}
	return ""
}

// clampDurations sets the end of each span that ends before its start, as it does where a clock was set back, to its start. A span without
// an end is left as it is.
func clampDurations(traces ptrace.Traces) {
	for _, rs := range traces.ResourceSpans().All() {
		for _, ss := range rs.ScopeSpans().All() {
			for _, span := range ss.Spans().All() {
				start, end := span.StartTimestamp(), span.EndTimestamp()
				if end == 0 || end >= start {
					continue
				}
				span.SetEndTimestamp(start)
				// Rounded up, so that the value is never 0.
				span.Attributes().PutInt(attrNegativeDuration, -int64((start-end-1)/1_000_000)-1)
			}
		}
	}
}

// enrich adds the data of a record to a span, and sets its start to the arrival of the invocation and its end to the end of the
// activation.
func enrich(span ptrace.Span, r whisk.Record) {
	start := pcommon.NewTimestampFromTime(r.Start.Add(-r.Wait))
	end := span.EndTimestamp()
	if !r.End.IsZero() {
		end = pcommon.NewTimestampFromTime(r.End)
	}
	span.SetStartTimestamp(start)
	span.SetEndTimestamp(max(start, end))
	attrs := span.Attributes()
	attrs.PutInt(attrWaitTime, r.Wait.Milliseconds())
	attrs.PutBool(attrColdStart, r.Cold)
	if r.Cold {
		attrs.PutInt(attrInitTime, r.Init.Milliseconds())
	} else {
		attrs.Remove(attrInitTime)
	}
	attrs.Remove(attrRecord)
	attrs.Remove(attrNegativeDuration)
	if r.Error != "" {
		span.Status().SetCode(ptrace.StatusCodeError)
		span.Status().SetMessage(r.Error)
	} else if span.Status().Code() == ptrace.StatusCodeUnset {
		span.Status().SetCode(ptrace.StatusCodeOk)
	}
}
