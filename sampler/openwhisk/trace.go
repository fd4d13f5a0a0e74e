package openwhisk

import (
	"fmt"
	"strconv"
	"time"

	"github.com/tppfaas/tppfaas/apps"
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

// announcement is the name of the span without duration by which a function says that it has begun.
const announcement = "start"

// gather finds the activation of each call of a request among the spans of its trace. What is not there, or not enriched, is named
// by the Incomplete; with none of it the trace is complete, in the order of the calls.
func gather(app *apps.Application, calls []apps.Call, spans []span) (sampler.Trace, *sampler.Incomplete) {
	trace := make(sampler.Trace, len(calls))
	lost := &sampler.Incomplete{}
	because := func(format string, args ...any) {
		if lost.Reason == "" {
			lost.Reason = whisk.OneLine(fmt.Sprintf(format, args...))
		}
	}
	for _, s := range spans {
		id := s.Tags[tagActivation]
		if id == "" {
			id = s.Tags[tagInvocation]
		}
		k, err := strconv.Atoi(s.Tags[tagCall])
		if id == "" || err != nil || k < 0 || k >= len(calls) || s.Tags[tagFunction] != app.DeployedName(app.Functions[calls[k].Function].Name) {
			continue // the span of a phase, or of something else
		}
		if text := s.Tags[tagError]; text != "" {
			because("%s: %s", s.Tags[tagFunction], text)
		}
		wait, enriched := inMilliseconds(s.Tags[tagWait])
		if !enriched || s.Timestamp <= 0 {
			if s.Name != announcement {
				because("the collector has not found what OpenWhisk knows of activation %s, %s %s", id, tagRecord, s.Tags[tagRecord])
			}
			continue
		}
		if other := trace[k].ID; other != "" && other != id {
			lost.Reason = fmt.Sprintf("%s ran twice in one place, as %s and as %s", s.Tags[tagFunction], other, id)
			return nil, lost
		}
		init, _ := inMilliseconds(s.Tags[tagInit])
		arrival := time.UnixMicro(s.Timestamp)
		trace[k] = sampler.Activation{
			ID: id, Name: s.Tags[tagFunction], Arrival: arrival, End: arrival.Add(time.Duration(s.Duration) * time.Microsecond), Wait: wait, Init: init,
		}
	}
	for k, c := range calls {
		if trace[k].ID == "" {
			lost.Missing = append(lost.Missing, app.DeployedName(app.Functions[c.Function].Name))
		}
		for _, next := range c.Invokes {
			trace[next].Cause = trace[k].ID
		}
	}
	if len(lost.Missing) > 0 {
		return nil, lost
	}
	return trace, nil
}

// inMilliseconds reads a time that the collector has written.
func inMilliseconds(text string) (time.Duration, bool) {
	const year = 365 * 24 * 3600 * 1000
	ms, err := strconv.ParseInt(text, 10, 64)
	if err != nil || ms < 0 || ms > year {
		return 0, false
	}
	return time.Duration(ms) * time.Millisecond, true
}

// length is how long a request takes on a platform without delays: until its last function ends.
func length(calls []apps.Call) time.Duration {
	begins := make([]time.Duration, len(calls))
	var last time.Duration
	for k, c := range calls { // callers stand before those they call
		end := begins[k] + c.Sleep
		for i, next := range c.Invokes {
			begins[next] = end + time.Duration(i)*apps.CallGap
		}
		last = max(last, end)
	}
	return last
}
