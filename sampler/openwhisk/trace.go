package openwhisk

import (
	"fmt"
	"strconv"
	"time"

	"github.com/tppfaas/tppfaas/apps"
	"github.com/tppfaas/tppfaas/internal/announce"
	"github.com/tppfaas/tppfaas/internal/whisk"
	"github.com/tppfaas/tppfaas/sampler"
)

// Tags of spans.
const (
	tagActivation = "activationId"
	tagInvocation = "faas.invocation_id"
	tagFunction   = "faas.name"
	tagCall       = "call"
	tagWait       = "waitTimeMilli"
	tagInit       = "initTimeMilli"
	tagRecord     = "openwhisk.record" // why the collector found no record
	tagError      = "error"
)

// announces reports whether a span is an announcement. Zipkin gives spans without duration one of a microsecond, or none.
func (s span) announces() bool {
	return (s.Name == announce.Invoke || s.Name == announce.Start) && s.Duration <= 1
}

// assemble finds the activation of each call of a request among the spans of its trace, and returns them in the order of the calls. If
// any is missing, or the collector has not found its record, there is no trace, and the Incomplete says what is missing.
func assemble(app *apps.Application, calls []apps.Call, spans []span) (sampler.Trace, *sampler.Incomplete) {
	trace := make(sampler.Trace, len(calls))
	incomplete := &sampler.Incomplete{}
	because := func(format string, args ...any) {
		if incomplete.Reason == "" {
			incomplete.Reason = whisk.OneLine(fmt.Sprintf(format, args...))
		}
	}
	for _, s := range spans {
		if s.announces() {
			continue
		}
		id := s.Tags[tagActivation]
		if id == "" {
			id = s.Tags[tagInvocation]
		}
		k, err := strconv.Atoi(s.Tags[tagCall])
		if id == "" || err != nil || k < 0 || k >= len(calls) || s.Tags[tagFunction] != app.DeployedName(app.Functions[calls[k].Function].Name) {
			continue // the span of a phase, or of another program
		}
		if text := s.Tags[tagError]; text != "" {
			because("%s: %s", s.Tags[tagFunction], text)
		}
		wait, enriched := parseMilliseconds(s.Tags[tagWait])
		if !enriched || s.Timestamp <= 0 {
			because("the collector has not found what OpenWhisk knows of activation %s, %s %s", id, tagRecord, s.Tags[tagRecord])
			continue
		}
		if other := trace[k].ID; other != "" && other != id {
			incomplete.Reason = fmt.Sprintf("%s ran twice in one place, as %s and as %s", s.Tags[tagFunction], other, id)
			return nil, incomplete
		}
		init, _ := parseMilliseconds(s.Tags[tagInit])
		arrival := time.UnixMicro(s.Timestamp)
		trace[k] = sampler.Activation{
			ID: id, Name: s.Tags[tagFunction], Arrival: arrival, End: arrival.Add(time.Duration(s.Duration) * time.Microsecond), Wait: wait, Init: init,
		}
	}
	for k, c := range calls {
		if trace[k].ID == "" {
			incomplete.Missing = append(incomplete.Missing, app.DeployedName(app.Functions[c.Function].Name))
		}
		for _, next := range c.Invokes {
			trace[next].Cause = trace[k].ID
		}
	}
	if len(incomplete.Missing) > 0 {
		return nil, incomplete
	}
	return trace, nil
}

// parseMilliseconds reads a time that the collector has written. A negative one, and one of more than a year, is none.
func parseMilliseconds(text string) (time.Duration, bool) {
	const year = 365 * 24 * 3600 * 1000
	ms, err := strconv.ParseInt(text, 10, 64)
	if err != nil || ms < 0 || ms > year {
		return 0, false
	}
	return time.Duration(ms) * time.Millisecond, true
}
