package dataset

import (
	"fmt"
	"strings"
	"time"

	"github.com/tppfaas/tppfaas/tpp"
)

// spanReport counts what has become of the spans of a file.
type spanReport struct {
	format Format
	rule   SpanRule
	asked  bool // the rule was given

	traces, spans, events int
	arrivals              int // events whose time is that of their arrival
	eventless             int // traces
	mixedWaits            int // traces some events of which have a wait
	coldStarts            int // sequences with the covariate
	duplicates            int
	skipped               int // requests to export metrics or logs

	timeless, early, misread, orphans, unnamed, unfinished, unanswered tally
	earliest                                                           int64 // time of the first event that is too early, ns
}

// tally counts spans and remembers the first.
type tally struct {
	n     int
	first string
}

func (t *tally) add(s *span) {
	if t.n++; t.n == 1 {
		t.first = s.label()
	}
}

func (r *spanReport) count(s *tpp.Sequence) {
	r.events += s.Len()
	if s.Covariates != nil {
		r.coldStarts++
	}
}

// spans returns the source of a file of spans, nil for other files.
func (r *SequenceReader) spans() *spanSource {
	s, _ := r.src.(*spanSource)
	return s
}

// Choices says in one line what the reader has decided about a file of spans by its content: which spans are events, what their marks and
// their times are. It is empty for other files, and before the first sequence has been read.
func (r *SequenceReader) Choices() string {
	s := r.spans()
	if s == nil || !s.begun {
		return ""
	}
	p := &s.build.report
	var b strings.Builder
	format := "Zipkin"
	if p.format == FormatOTLP {
		format = "OTLP"
	}
	fmt.Fprintf(&b, "%d spans of %s in %d traces; ", p.spans, format, p.traces)
	switch p.rule {
	case SpansInvocations:
		fmt.Fprintf(&b, "%d events are invocations", p.events)
	case SpansServer:
		fmt.Fprintf(&b, "%d events are spans of servers and consumers", p.events)
	default:
		fmt.Fprintf(&b, "%d events are spans of every kind", p.events)
	}
	if !p.asked {
		b.WriteString(" (chosen by content; -spans takes others)")
	}
	switch mark := r.opts.MarkColumn; {
	case mark == "" && p.rule == SpansInvocations:
		b.WriteString(", their marks functions (faas.name, or else the span's name)")
	case mark == "" && p.rule == SpansServer:
		b.WriteString(", their marks service/name (or faas.name where there is one)")
	case mark == "":
		b.WriteString(", their marks service/name")
	case s.markKey != "":
		fmt.Fprintf(&b, ", their marks the attribute %s", mark)
	default:
		fmt.Fprintf(&b, ", their marks the %s", mark)
	}
	switch {
	case p.events == 0:
	case p.arrivals == p.events:
		b.WriteString(", their times arrivals (waitTimeMilli before the start)")
	case p.arrivals == 0:
		b.WriteString(", their times starts of the spans")
	default:
		fmt.Fprintf(&b, ", the times of %d arrivals (waitTimeMilli before the start), of the others starts", p.arrivals)
	}
	if p.coldStarts > 0 {
		fmt.Fprintf(&b, "; %d sequences have faas.coldstart as a covariate", p.coldStarts)
	}
	return b.String()
}

// warnings returns what looks wrong with the traces.
func (p *spanReport) warnings() (warnings []Warning) {
	warn := func(kind WarningKind, n int, format string, args ...any) {
		if n > 0 {
			warnings = append(warnings, Warning{Kind: kind, Text: fmt.Sprintf(format, args...)})
		}
	}
	warn(WarningTimeless, p.timeless.n, "has %d events without a time, which are left out; the first is %s", p.timeless.n, p.timeless.first)
	warn(WarningUnit, p.early.n, "has %d of %d events before 1990: Zipkin counts microseconds since 1970, and OTLP nanoseconds; the first is %s at %s",
		p.early.n, p.events, p.early.first, time.Unix(0, p.earliest).UTC().Format(time.RFC3339))
	warn(WarningOrphans, p.orphans.n, "has %d of %d events whose caller's span is not in the file, in traces that have another root: they are taken for roots too; the first is %s", p.orphans.n, p.events, p.orphans.first)
	warn(WarningUnfinished, p.unfinished.n, "has %d invocations that have only announced their start, which is taken for their time; the first is %s", p.unfinished.n, p.unfinished.first)
	warn(WarningUnanswered, p.unanswered.n, "has %d announced calls whose invocation is not in the file, which are left out; the first is %s", p.unanswered.n, p.unanswered.first)
	warn(WarningDurations, p.misread.n, "has %d events whose waitTimeMilli or initTimeMilli is no duration in milliseconds of at most a year, and is left out; the first is %s", p.misread.n, p.misread.first)
	warn(WarningMixedWaits, p.mixedWaits, "has %d traces in which some invocations have a waitTimeMilli and others do not: they get no wait times, and their times are arrivals and starts mixed", p.mixedWaits)
	warn(WarningUnnamed, p.unnamed.n, "has %d events without what their marks are taken from: their mark is \"unknown\"; the first is %s", p.unnamed.n, p.unnamed.first)
	warn(WarningEventless, p.eventless, "has %d of %d traces without an event, which are left out", p.eventless, p.traces)
	return warnings
}

// empty says why a file of spans has no sequence.
func (p *spanReport) empty() string {
	switch {
	case p.spans == 0 && p.skipped > 0:
		return fmt.Sprintf("has %d requests to export metrics or logs, and none with spans", p.skipped)
	case p.spans == 0:
		return "has no span"
	case p.timeless.n > 0:
		return fmt.Sprintf("has %d spans, and no event with a time; the first without is %s", p.spans, p.timeless.first)
	}
	return fmt.Sprintf("has %d spans in %d traces, and none that is an event by -spans %s", p.spans, p.traces, p.rule)
}
