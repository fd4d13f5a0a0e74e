package dataset

import (
	"cmp"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// traceID is the id of a trace: 128 bits, of which older programs know only the lower 64.
type traceID struct{ high, low uint64 }

// String returns the id as trace stores write it.
func (t traceID) String() string {
	if t.high == 0 {
		return fmt.Sprintf("%016x", t.low)
	}
	return fmt.Sprintf("%016x%016x", t.high, t.low)
}

// parseTraceID reads a trace id of up to 32 hexadecimal digits.
func parseTraceID(text []byte) (id traceID, err error) {
	if len(text) > 32 {
		return id, fmt.Errorf("traceId %s has more than 32 digits", shortID(text))
	}
	high, low := []byte(nil), text
	if len(text) > 16 {
		high, low = text[:len(text)-16], text[len(text)-16:]
	}
	if id.low, err = parseHex(low); err == nil && len(high) > 0 {
		id.high, err = parseHex(high)
	}
	if err != nil {
		return traceID{}, fmt.Errorf("traceId %s is not hexadecimal", shortID(text))
	}
	if id == (traceID{}) {
		return id, fmt.Errorf("traceId %s is zero", shortID(text))
	}
	return id, nil
}

// parseSpanID reads a span id of up to 16 hexadecimal digits under the key of a file. 0 is no span.
func parseSpanID(key string, text []byte) (uint64, error) {
	if len(text) > 16 {
		return 0, fmt.Errorf("%s %s has more than 16 digits", key, shortID(text))
	}
	if len(text) == 0 {
		return 0, nil
	}
	id, err := parseHex(text)
	if err != nil {
		return 0, fmt.Errorf("%s %s is not hexadecimal", key, shortID(text))
	}
	return id, nil
}

// parseHex reads hexadecimal digits; unlike strconv it takes no sign and no underscore.
func parseHex(text []byte) (v uint64, err error) {
	if len(text) == 0 {
		return 0, strconv.ErrSyntax
	}
	for _, c := range text {
		switch {
		case '0' <= c && c <= '9':
			c -= '0'
		case 'a' <= c && c <= 'f':
			c -= 'a' - 10
		case 'A' <= c && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, strconv.ErrSyntax
		}
		v = v<<4 | uint64(c)
	}
	return v, nil
}

// shortID quotes an id, however long it is.
func shortID(text []byte) string {
	if len(text) > 40 {
		text = text[:40]
	}
	return strconv.Quote(string(text))
}

// spanKind says on which side of a call a span stands.
type spanKind uint8

// The kinds of spans, numbered as in OTLP.
const (
	kindUnknown spanKind = iota
	kindInternal
	kindServer
	kindClient
	kindProducer
	kindConsumer
)

// kindNames are the names of the kinds in Zipkin; in OTLP SPAN_KIND_ stands before them.
var kindNames = [...]string{"UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER"}

// parseKind returns the kind with a name. A name that is not known is no kind: more may be added to the formats.
func parseKind(name string) spanKind {
	name = strings.TrimPrefix(strings.ToUpper(name), "SPAN_KIND_")
	for k, known := range kindNames {
		if name == known {
			return spanKind(k)
		}
	}
	return kindUnknown
}

// serves reports whether the span is that of a called service.
func (k spanKind) serves() bool { return k == kindServer || k == kindConsumer }

// calls reports whether the span is that of a caller.
func (k spanKind) calls() bool { return k == kindClient || k == kindProducer }

// The attributes that say something about an event. Those of OpenWhisk are written by this project's functions and collector, the others
// are semantic conventions of OpenTelemetry.
const (
	attrActivation  = "activationId"
	attrInvocation  = "faas.invocation_id"
	attrExecution   = "faas.execution" // what faas.invocation_id was called before
	attrFunction    = "faas.name"
	attrTrigger     = "faas.trigger"
	attrColdStart   = "faas.coldstart"
	attrInvokedName = "faas.invoked_name"
	attrCall        = "call.id"
	attrWait        = "waitTimeMilli"
	attrInit        = "initTimeMilli"
	attrPhaseOf     = "phase.of"
	attrOrder       = "call"         // the number of the invocation in the plan of the sampler
	attrService     = "service.name" // of a resource
)

// The names of the spans that a function sends as an announcement, with no duration.
const (
	announcesStart = "start"
	announcesCall  = "invoke"
)

// coldStart is what a span says about the start of its container.
type coldStart uint8

const (
	startUnknown coldStart = iota
	startWarm
	startCold
)

// span is a span, without what a dataset does not need.
type span struct {
	trace      traceID
	id, parent uint64 // parent 0: none
	kind       spanKind
	shared     bool  // it is the server's half of a span whose id the client has given
	start      int64 // ns since 1970, 0: unknown
	duration   int64 // ns, −1: unknown
	wait, init float64
	misread    bool // wait or init was given, and is no duration
	cold       coldStart
	faas       bool // it has an attribute that only a function's span has
	phase      bool // it is a part of an invocation
	invoked    bool // it names a function that it invokes
	call       string
	order      int // of events at the same time
	name       string
	service    string
	function   string
	invocation string
	mark       string // the value of the attribute that marks are taken from
	hasMark    bool
}

// newSpan returns a span of which nothing is known.
func newSpan() span { return span{duration: -1, wait: math.NaN(), init: math.NaN()} }

// label names a span in errors and warnings.
func (s *span) label() string {
	text := fmt.Sprintf("trace %s: span %016x", s.trace, s.id)
	if s.name != "" {
		text += fmt.Sprintf(" (%s)", shortName(s.name))
	}
	return text
}

func shortName(name string) string {
	if runes := []rune(name); len(runes) > 40 {
		name = string(runes[:40]) + "…"
	}
	return strconv.Quote(name)
}

// announces reports whether the span is an announcement of this name: an instant, of which Zipkin may have made a microsecond.
func (s *span) announces(name string) bool {
	return strings.EqualFold(s.name, name) && s.duration <= int64(time.Microsecond)
}

// announcesStart reports whether the span says that an invocation has begun.
func (s *span) announcesStart() bool { return s.invocation != "" && s.announces(announcesStart) }

// announcesCall reports whether the span says that a function is about to be invoked.
func (s *span) announcesCall() bool {
	return s.invoked && s.invocation == "" && s.announces(announcesCall)
}

// set takes an attribute in, of the span itself or of its resource.
func (s *span) set(key, value string, markKey string, resource bool) {
	if key == markKey && !(resource && s.hasMark) {
		s.mark, s.hasMark = value, true
	}
	switch key {
	case attrService:
		if resource || s.service == "" {
			s.service = value
		}
	case attrFunction:
		if s.function == "" || !resource {
			s.function = value
		}
		s.faas = true
	case attrTrigger:
		s.faas = true
	}
	if resource {
		return
	}
	switch key {
	case attrActivation:
		s.invocation = value
	case attrInvocation, attrExecution:
		if s.invocation == "" {
			s.invocation = value
		}
	case attrInvokedName:
		s.invoked = true
	case attrCall:
		s.call = value
	case attrPhaseOf:
		s.phase = true
	case attrOrder:
		s.order, _ = strconv.Atoi(value)
	case attrColdStart:
		s.faas = true
		switch strings.ToLower(value) {
		case "true":
			s.cold = startCold
		case "false":
			s.cold = startWarm
		}
	case attrWait:
		s.wait = s.milliseconds(value)
	case attrInit:
		s.init = s.milliseconds(value)
	}
}

// isSpanAttribute reports whether an attribute is one that set uses.
func isSpanAttribute(key, markKey string) bool {
	switch key {
	case attrActivation, attrInvocation, attrExecution, attrFunction, attrTrigger, attrColdStart, attrInvokedName, attrCall, attrWait, attrInit, attrPhaseOf, attrOrder, attrService:
		return true
	}
	return key == markKey
}

// milliseconds reads a duration in milliseconds, of a year at most; it is NaN, and misread is set, if it is none.
func (s *span) milliseconds(text string) float64 {
	const year = 365 * 24 * 3600 * 1000
	v, err := strconv.ParseFloat(text, 64)
	if err != nil || !(v >= 0 && v <= year) {
		s.misread = true
		return math.NaN()
	}
	return v
}

// merge takes in another report of the same span: what it lacks, the earlier start, the longer duration.
func (s *span) merge(other *span) {
	if s.name == "" || s.name == "unknown" {
		s.name = other.name
	}
	if s.kind == kindUnknown {
		s.kind = other.kind
	}
	if s.parent == 0 {
		s.parent = other.parent
	}
	if s.start == 0 || other.start != 0 && other.start < s.start {
		s.start = other.start
	}
	s.duration = max(s.duration, other.duration)
	if math.IsNaN(s.wait) {
		s.wait, s.init = other.wait, other.init
		s.misread = other.misread || s.misread && math.IsNaN(other.wait)
	}
	if s.cold == startUnknown {
		s.cold = other.cold
	}
	for _, f := range []struct{ to, from *string }{
		{&s.call, &other.call}, {&s.service, &other.service}, {&s.function, &other.function}, {&s.invocation, &other.invocation},
	} {
		if *f.to == "" {
			*f.to = *f.from
		}
	}
	if !s.hasMark {
		s.mark, s.hasMark = other.mark, other.hasMark
	}
	s.order = cmp.Or(s.order, other.order)
	s.faas, s.phase, s.invoked, s.shared = s.faas || other.faas, s.phase || other.phase, s.invoked || other.invoked, s.shared || other.shared
}

// timestamp returns a time since 1970 as milliseconds.
func timestamp(ns int64) float64 {
	// Whole milliseconds and the rest apart: the quotient alone would be one unit in the last place off now and then.
	return float64(ns/1e6) + float64(ns%1e6)/1e6
}
