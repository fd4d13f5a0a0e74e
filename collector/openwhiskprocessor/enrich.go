package openwhiskprocessor

import (
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/tppfaas/tppfaas/internal/whisk"
)

// Attributes of spans.
const (
	attrActivationID = "activationId"
	attrInvocationID = "faas.invocation_id"
	attrWaitTime     = "waitTimeMilli"
	attrInitTime     = "initTimeMilli"
	attrColdStart    = "faas.coldstart"
	// attrRecord says why a span was passed on without a record.
	attrRecord = "openwhisk.record"
)

// announcement is the name of the span without duration by which a function says that it has begun. It must not wait.
const announcement = "start"

// activationOf returns the id of the activation whose record the span waits for, "" if it waits for none.
func activationOf(span ptrace.Span) string {
	if span.Name() == announcement && span.StartTimestamp() == span.EndTimestamp() {
		return ""
	}
	for _, name := range [...]string{attrActivationID, attrInvocationID} {
		if v, ok := span.Attributes().Get(name); ok && v.Type() == pcommon.ValueTypeStr && v.Str() != "" {
			return v.Str()
		}
	}
	return ""
}

// enrich adds what the record says: the span runs from the arrival of the invocation to the end of the activation.
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
	if r.Error != "" {
		span.Status().SetCode(ptrace.StatusCodeError)
		span.Status().SetMessage(r.Error)
	} else if span.Status().Code() == ptrace.StatusCodeUnset {
		span.Status().SetCode(ptrace.StatusCodeOk)
	}
}
