package mirror

import (
	"time"

	"github.com/tppfaas/tppfaas/prewarm"
	"github.com/tppfaas/tppfaas/prewarm/source"
)

// lookedThrough is how many invocations of a trace, the latest ones, are looked through for one that an observation without a known id is of.
const lookedThrough = 128

// match returns the invocation that an observation at t is of: by the ids of the call, the span and the activation, or else the first of its
// function in its trace of which none of them contradicts and of which such an observation has not come. If there is none it is a new one. It is nil
// with an error if there is no room for it, or if its trace is forgotten.
func (m *Mirror) match(o *source.Observation, f *function, t prewarm.Time) (*invocation, error) {
	tr := m.traces[o.Trace]
	if o.Trace == "" {
		tr = nil // of which there is only an activation
	}
	var v *invocation
	if tr != nil {
		if v = tr.ids.find(ofCall, o.Call); v == nil {
			v = tr.ids.find(ofSpan, o.Span)
		}
	}
	if v == nil && o.Activation != "" {
		v = m.byActivation[o.Activation]
	}
	if v != nil && v.f != f {
		v = nil // one id for two functions
	}
	if v == nil && tr != nil {
		from := max(len(tr.invocations)-lookedThrough, 0)
		for _, u := range tr.invocations[from:] {
			if u.f == f && u.mayBe(o) {
				v = u
				break
			}
		}
	}
	if v == nil {
		switch {
		case t < m.now-m.limits.Memory:
			m.counts.Stale++
			return nil, ErrStale
		case o.Kind == source.Ended && t <= m.restoredAt: // it was restored as what it has left
			m.counts.Stale++
			return nil, nil
		}
		if v = m.newInvocation(o, f, tr); v == nil {
			m.counts.Full++
			return nil, ErrFull
		}
	}
	if m.identify(v, o) {
		at := v.arrived
		if o.Kind == source.Invoked {
			at = t
		}
		m.adopt(v, at)
		v.identified = true
	}
	m.touch(v.trace)
	return v, nil
}

// mayBe reports whether an observation of the same trace and function may be of v: no id contradicts, and it is the first of its kind, or the
// same again.
func (v *invocation) mayBe(o *source.Observation) bool {
	differ := func(a, b string) bool { return a != "" && b != "" && a != b }
	if differ(v.call, o.Call) || differ(v.span, o.Span) || differ(v.activation, o.Activation) || differ(v.parentCall, o.ParentCall) || differ(v.parentSpan, o.ParentSpan) {
		return false
	}
	return !v.seen[o.Kind] || v.stamps[o.Kind].Equal(o.Time)
}

// newInvocation adds an invocation, and its trace if that is nil and new. It returns nil if there is no room.
func (m *Mirror) newInvocation(o *source.Observation, f *function, tr *trace) *invocation {
	for len(m.invocations) >= m.limits.Invocations && m.done.front != nil && m.done.front != tr {
		m.forget(m.done.front)
	}
	if len(m.invocations) >= m.limits.Invocations {
		return nil
	}
	if tr == nil {
		if tr = m.newTrace(o.Trace); tr == nil {
			return nil
		}
	} else if len(tr.invocations) >= m.limits.InvocationsPerTrace {
		return nil
	}
	var v *invocation
	if n := len(m.unusedInvocations); n > 0 {
		v = m.unusedInvocations[n-1]
		m.unusedInvocations = m.unusedInvocations[:n-1]
	} else {
		v = new(invocation)
	}
	m.lastInvocation++
	*v = invocation{id: m.lastInvocation, trace: tr, f: f, due: never(), pendingPlace: -1}
	m.invocations[v.id] = v
	tr.invocations = append(tr.invocations, v)
	m.begun(v)
	if tr.key != "" {
		if caller := v.named(o.ParentCall, o.ParentSpan); caller != nil {
			v.parent = caller.id // which is not one that it has called: it has called none
		}
	}
	return v
}

// named returns the invocation of the trace of v with the id of a call or of a span, nil if it is not known.
func (v *invocation) named(call, span string) *invocation {
	if u := v.trace.ids.find(ofCall, call); u != nil {
		return u
	}
	return v.trace.ids.find(ofSpan, span)
}

// callerOf returns the number of the invocation with the id of a call or of a span that has called v, 0 if it is not known.
func (m *Mirror) callerOf(v *invocation, call, span string) prewarm.ID {
	caller := v.named(call, span)
	if caller == nil {
		return 0
	}
	for above := caller; above != nil; above = m.invocations[above.parent] {
		if above == v {
			return 0 // nothing calls what has called it
		}
	}
	return caller.id
}

// relate notes whom v has called, where that became known after their arrival: not before v has been told of.
func (m *Mirror) relate(v *invocation) {
	if !v.identified || !v.heardOf() {
		return
	}
	v.identified = false
	t := v.trace
	for _, u := range t.invocations[max(len(t.invocations)-lookedThrough, 0):] {
		m.adopt(u, u.arrived)
	}
}

// adopt notes who has called v, if that is known now and was not before. At is when v has arrived, as far as is known now.
func (m *Mirror) adopt(v *invocation, at prewarm.Time) {
	if v.parent != 0 || v.parentCall == "" && v.parentSpan == "" {
		return
	}
	caller := m.callerOf(v, v.parentCall, v.parentSpan)
	if caller == 0 || v.heardOf() && !m.invocations[caller].heardOf() {
		return
	}
	if v.parent = caller; !v.heardOf() {
		return
	}
	e := m.event(prewarm.Called, v)
	e.Container = 0
	m.tell(e, min(at, m.now))
}

// heardOf reports whether events have told of v.
func (v *invocation) heardOf() bool { return v.told || v.started }

// newTrace adds a trace, nil if there is no room.
func (m *Mirror) newTrace(key string) *trace {
	for m.traceCount >= m.limits.Traces && m.done.front != nil {
		m.forget(m.done.front)
	}
	if m.traceCount >= m.limits.Traces {
		return nil
	}
	var t *trace
	if n := len(m.unusedTraces); n > 0 {
		t = m.unusedTraces[n-1]
		m.unusedTraces = m.unusedTraces[:n-1]
	} else {
		t = new(trace)
	}
	m.lastTrace++
	m.traceCount++
	*t = trace{id: m.lastTrace, key: clone(key), invocations: t.invocations[:0], last: m.now, ids: t.ids}
	m.tracesByID[t.id] = t
	if key != "" {
		m.traces[t.key] = t
	}
	m.done.push(t)
	return t
}

// identify notes the ids that an observation has of v, and reports whether any is new.
func (m *Mirror) identify(v *invocation, o *source.Observation) (news bool) {
	t := v.trace
	if v.call == "" && o.Call != "" && t.key != "" && t.ids.find(ofCall, o.Call) == nil {
		v.call = clone(o.Call)
		t.ids.add(ofCall, v)
		news = true
	}
	if v.span == "" && o.Span != "" && o.Kind != source.Invoked && t.key != "" && t.ids.find(ofSpan, o.Span) == nil {
		v.span = clone(o.Span)
		t.ids.add(ofSpan, v)
		news = true
	}
	if v.activation == "" && o.Activation != "" && m.byActivation[o.Activation] == nil {
		v.activation = clone(o.Activation)
		m.byActivation[v.activation] = v
	}
	if v.parentCall == "" && o.ParentCall != "" {
		v.parentCall = m.shared(v, o.ParentCall)
		news = true
	}
	if v.parentSpan == "" && o.ParentSpan != "" {
		v.parentSpan = m.shared(v, o.ParentSpan)
		news = true
	}
	return news
}

// shared returns the id of a parent, as the string that the parent has if it is known.
func (m *Mirror) shared(v *invocation, id string) string {
	if p := v.trace.ids.find(ofCall, id); p != nil {
		return p.call
	}
	if p := v.trace.ids.find(ofSpan, id); p != nil {
		return p.span
	}
	return clone(id)
}

// note notes that an observation of v was taken, and reports whether it was the first of its kind.
func (v *invocation) note(o *source.Observation) bool {
	first := !v.seen[o.Kind]
	if first {
		v.seen[o.Kind], v.stamps[o.Kind] = true, o.Time
	}
	return first
}

// begun notes that one more invocation of the trace is in flight.
func (m *Mirror) begun(v *invocation) {
	t := v.trace
	if t.inFlight == 0 {
		m.done.remove(t)
	}
	t.inFlight++
	m.inFlight++
}

// over notes that v has ended or was refused.
func (m *Mirror) over(v *invocation) {
	v.ended = true
	v.due.at = prewarm.Never
	v.waitNoMore()
	m.inFlight--
	if v.trace.inFlight--; v.trace.inFlight == 0 {
		m.done.push(v.trace)
		v.trace.last = m.now
	}
}

// touch notes that something was heard of a trace.
func (m *Mirror) touch(t *trace) {
	t.last = m.now
	if t.inFlight == 0 && m.done.back != t {
		m.done.remove(t)
		m.done.push(t)
	}
}

// forget forgets a trace of which nothing is in flight.
func (m *Mirror) forget(t *trace) {
	m.done.remove(t)
	for i, v := range t.invocations {
		if v.activation != "" {
			delete(m.byActivation, v.activation)
		}
		delete(m.invocations, v.id)
		*v = invocation{}
		m.unusedInvocations = append(m.unusedInvocations, v)
		t.invocations[i] = nil
	}
	delete(m.tracesByID, t.id)
	if t.key != "" {
		delete(m.traces, t.key)
	}
	t.key = ""
	t.ids.reset()
	m.traceCount--
	if cap(t.invocations) <= lookedThrough {
		m.unusedTraces = append(m.unusedTraces, t)
	}
}

// stampOf returns a stamp, or otherwise if it is not known.
func stampOf(stamp time.Time, offset time.Duration, epoch time.Time, otherwise prewarm.Time) prewarm.Time {
	if stamp.IsZero() {
		return otherwise
	}
	return since(epoch, stamp) + offset
}
