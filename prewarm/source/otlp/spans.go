package otlp

import (
	"cmp"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/tppfaas/tppfaas/internal/announce"
	"github.com/tppfaas/tppfaas/prewarm/source"
)

// Report is what became of the spans of a message that are no observations.
type Report struct {
	Ignored int // spans of anything else
	Invalid int // spans that would be observations
	First   error
}

// Observations returns what the spans of a message say of invocations, in their order. An announcement invoke is an Invoked, start a Started, and a span that
// has ended an Ended, if it names an activation, or is that of a server or consumer with attributes of a function. Phases of a run are not.
//
// The clock is that of the machine, by the first of k8s.node.name, host.name, service.instance.id and faas.instance that is there; of spans with a record
// of OpenWhisk it is [source.OpenWhiskClock].
func Observations(traces ptrace.Traces) ([]source.Observation, Report) {
	d := decoder{observations: make([]source.Observation, 0, traces.SpanCount())}
	for _, rs := range traces.ResourceSpans().All() {
		d.resource = attributes{}
		d.resource.read(rs.Resource().Attributes())
		for _, ss := range rs.ScopeSpans().All() {
			for _, span := range ss.Spans().All() {
				d.span(span)
			}
		}
	}
	return d.observations, d.report
}

// decoder makes observations of the spans of a message.
type decoder struct {
	resource     attributes
	observations []source.Observation
	report       Report

	trace   pcommon.TraceID // the last one, and its text: many spans of a message have the same
	traceID string
}

// attributes are those of a span, or of its resource, that say something.
type attributes struct {
	activation, invocation                string // activationId, and by its other names
	function, invoked, service, trigger   string
	call, version, serviceVersion         string
	instance, serviceInstance, host, node string
	wait, init                            time.Duration
	hasWait, hasInit, phase, wrongWait    bool
	temperature                           source.Temperature
}

func (a *attributes) read(m pcommon.Map) {
	for key, value := range m.All() {
		switch key {
		case "activationId":
			a.activation = text(value)
		case "faas.invocation_id", "faas.execution":
			a.invocation = text(value)
		case "faas.name":
			a.function = text(value)
		case "faas.trigger":
			a.trigger = text(value)
		case announce.InvokedName:
			a.invoked = text(value)
		case announce.CallID:
			a.call = text(value)
		case announce.ColdStart:
			a.temperature = temperature(value)
		case "faas.version":
			a.version = text(value)
		case "service.version":
			a.serviceVersion = text(value)
		case "faas.instance":
			a.instance = text(value)
		case "service.instance.id":
			a.serviceInstance = text(value)
		case "service.name":
			a.service = text(value)
		case "host.name":
			a.host = text(value)
		case "k8s.node.name":
			a.node = text(value)
		case "phase.of":
			a.phase = true
		case "waitTimeMilli":
			a.wait, a.hasWait = milliseconds(value)
			a.wrongWait = a.wrongWait || !a.hasWait
		case "initTimeMilli":
			a.init, a.hasInit = milliseconds(value)
			a.wrongWait = a.wrongWait || !a.hasInit
		}
	}
}

// text returns the value of an attribute that is a text or a number.
func text(v pcommon.Value) string {
	switch v.Type() {
	case pcommon.ValueTypeStr:
		return v.Str()
	case pcommon.ValueTypeInt:
		return strconv.FormatInt(v.Int(), 10)
	}
	return ""
}

func temperature(v pcommon.Value) source.Temperature {
	switch {
	case v.Type() == pcommon.ValueTypeBool && v.Bool(), v.Type() == pcommon.ValueTypeStr && v.Str() == "true":
		return source.Cold
	case v.Type() == pcommon.ValueTypeBool, v.Type() == pcommon.ValueTypeStr && v.Str() == "false":
		return source.Warm
	}
	return source.Unknown
}

// milliseconds reads a duration between 0 and a year.
func milliseconds(v pcommon.Value) (time.Duration, bool) {
	const year = 365 * 24 * 3600 * 1000
	var ms float64
	switch v.Type() {
	case pcommon.ValueTypeInt:
		ms = float64(v.Int())
	case pcommon.ValueTypeDouble:
		ms = v.Double()
	case pcommon.ValueTypeStr:
		var err error
		if ms, err = strconv.ParseFloat(v.Str(), 64); err != nil {
			return 0, false
		}
	default:
		return 0, false
	}
	if !(ms >= 0 && ms <= year) {
		return 0, false
	}
	return time.Duration(ms * float64(time.Millisecond)), true
}

// Errors of spans.
var (
	errNoTrace = errors.New("it has no trace id")
	errNoID    = errors.New("it has no span id")
	errNoName  = errors.New("it names no function")
	errNoTime  = errors.New("it has no time")
)

// errLong says that a text would be remembered that is too long.
type errLong struct{ what string }

func (e errLong) Error() string {
	return fmt.Sprintf("its %s has more than %d bytes", e.what, source.MaxText)
}

// instant is how long an announcement may last: none, or the microsecond that a trace store makes of it.
const instant = pcommon.Timestamp(time.Microsecond)

// span adds the observation of a span, if it is one.
func (d *decoder) span(span ptrace.Span) {
	var a attributes
	a.read(span.Attributes())
	o, is, err := d.observation(span, &a)
	switch {
	case !is:
		d.report.Ignored++
		return
	case err == nil:
		err = d.common(&o, span, &a)
	}
	if err != nil {
		d.report.Invalid++
		if d.report.First == nil {
			d.report.First = fmt.Errorf("span %s (%.40q) of trace %s: %w", span.SpanID(), span.Name(), span.TraceID(), err)
		}
		return
	}
	d.observations = append(d.observations, o)
}

// observation returns what only spans of its kind have, and reports whether the span is an observation.
func (d *decoder) observation(span ptrace.Span, a *attributes) (o source.Observation, is bool, err error) {
	start, end := span.StartTimestamp(), span.EndTimestamp()
	o = source.Observation{Wait: -1, Init: -1, Temperature: a.temperature}
	o.Activation = a.activation
	if o.Activation == "" {
		o.Activation = a.invocation
	}
	isInstant := end <= start || end-start <= instant
	switch {
	case a.phase:
		return o, false, nil
	case isInstant && strings.EqualFold(span.Name(), announce.Invoke) && a.invoked != "" && o.Activation == "":
		o.Kind, o.Function, o.ParentSpan, o.Time = source.Invoked, a.invoked, spanID(span.ParentSpanID()), start.AsTime()
		o.Temperature = source.Unknown
		return o, true, nil
	case isInstant && strings.EqualFold(span.Name(), announce.Start) && (o.Activation != "" || a.function != "" || a.call != ""):
		o.Kind, o.Function, o.Span, o.Time = source.Started, cmp.Or(a.function, d.resource.function, d.resource.service), spanID(span.ParentSpanID()), start.AsTime()
		return o, true, nil
	case span.Kind() == ptrace.SpanKindClient, span.Kind() == ptrace.SpanKindProducer:
		return o, false, nil
	case o.Activation != "":
	case (span.Kind() == ptrace.SpanKindServer || span.Kind() == ptrace.SpanKindConsumer) &&
		(a.function != "" || a.trigger != "" || d.resource.function != "" || d.resource.trigger != ""):
	default:
		return o, false, nil
	}
	o.Kind, o.Function = source.Ended, cmp.Or(a.function, d.resource.function, span.Name())
	o.Span, o.ParentSpan = spanID(span.SpanID()), spanID(span.ParentSpanID())
	o.Failed = span.Status().Code() == ptrace.StatusCodeError
	if end == 0 {
		return o, true, errors.New("it has no end")
	}
	o.Time = max(start, end).AsTime() // a clock may have been set back
	if start > 0 {
		o.Begin = start.AsTime()
	}
	switch {
	case o.Span == "":
		err = errNoID
	case a.wrongWait:
		err = errors.New("its waitTimeMilli or initTimeMilli is no duration")
	case a.hasWait: // the span begins when the invocation arrived
		o.Wait, o.Init, o.Clock = a.wait, a.init, source.OpenWhiskClock
		if !o.Begin.IsZero() {
			if o.Begin = o.Begin.Add(o.Wait + o.Init); o.Begin.After(o.Time) {
				o.Begin = o.Time
			}
		}
		if o.Temperature == source.Unknown {
			o.Temperature = source.Warm
			if a.hasInit {
				o.Temperature = source.Cold
			}
		}
	}
	return o, true, err
}

// common sets what all observations have, and returns an error for what would do harm.
func (d *decoder) common(o *source.Observation, span ptrace.Span, a *attributes) error {
	if span.TraceID().IsEmpty() {
		return errNoTrace
	}
	if id := span.TraceID(); id != d.trace || d.traceID == "" {
		d.trace, d.traceID = id, id.String()
	}
	r := &d.resource
	o.Trace, o.Call = d.traceID, a.call
	o.Function = source.FunctionName(o.Function)
	if o.Kind != source.Invoked { // whose attributes are the caller's
		o.Version = cmp.Or(a.version, r.version, r.serviceVersion)
		o.Instance = cmp.Or(a.instance, r.instance)
	}
	if o.Clock == "" {
		o.Clock = cmp.Or(a.node, r.node, a.host, r.host, a.serviceInstance, r.serviceInstance, a.instance, r.instance)
	}
	switch {
	case o.Function == "":
		return errNoName
	case o.Time.Before(source.FirstTime) || !o.Begin.IsZero() && o.Begin.Before(source.FirstTime):
		return errNoTime
	}
	for _, t := range [...]struct {
		name string
		text *string
	}{
		{"function's name", &o.Function}, {"version", &o.Version}, {"call.id", &o.Call}, {"activation", &o.Activation}, {"instance", &o.Instance},
		{"machine's name", &o.Clock},
	} {
		if len(*t.text) > source.MaxText {
			return errLong{t.name}
		}
		*t.text = strings.ToValidUTF8(*t.text, "\uFFFD")
	}
	return nil
}

func spanID(id pcommon.SpanID) string {
	if id.IsEmpty() {
		return ""
	}
	return id.String()
}
