package rest

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tppfaas/tppfaas/internal/localwhisk"
	"github.com/tppfaas/tppfaas/internal/localwhisk/container"
	"github.com/tppfaas/tppfaas/internal/localwhisk/sprayjson"
)

// throttle counts the invocations and firings of a namespace in the current calendar minute, and its invocations in flight.
type throttle struct {
	mu          sync.Mutex
	minute      int64
	invocations int
	fires       int
	inFlight    atomic.Int64
}

// admit counts a request, and returns an error if there are too many. Rejected requests count too.
func (t *throttle) admit(now time.Time, count *int, perMinute, concurrent int) *apiError {
	t.mu.Lock()
	if minute := now.Unix() / 60; minute != t.minute {
		t.minute, t.invocations, t.fires = minute, 0, 0
	}
	*count++
	n := *count
	t.mu.Unlock()
	if perMinute > 0 && n > perMinute {
		return reject(http.StatusTooManyRequests, fmt.Sprintf("Too many requests in the last minute (count: %d, allowed: %d).", n, perMinute))
	}
	if flying := t.inFlight.Load(); concurrent > 0 && flying >= int64(concurrent) {
		return reject(http.StatusTooManyRequests, fmt.Sprintf("Too many concurrent requests in flight (count: %d, allowed: %d).", flying, concurrent))
	}
	return nil
}

// admit counts an invocation by the caller, and returns an error if there are too many.
func (s *Server) admit(c *call) *apiError {
	l, throttle := s.options.Limits, s.throttles[c.namespace]
	return throttle.admit(s.options.now(), &throttle.invocations, l.InvocationsPerMinute, l.ConcurrentInvocations)
}

// overrides reports whether a request sets parameters that have a value already.
func overrides(body []byte, lists ...keyValues) bool {
	var sent map[string]json.RawMessage
	json.Unmarshal(body, &sent)
	for name := range sent {
		if isSet(name, lists...) {
			return true
		}
	}
	return false
}

// isSet reports whether a parameter has a value in one of the lists.
func isSet(name string, lists ...keyValues) bool {
	return slices.ContainsFunc(lists, func(l keyValues) bool {
		value, ok := l.get(name)
		return ok && string(value) != "null"
	})
}

// invokeRequest is a request to invoke an action or a sequence.
type invokeRequest struct {
	target
	value    json.RawMessage
	cause    string // the activation id of the sequence that it is a part of
	call     *call
	received time.Time
	done     chan *record // receives the record, without logs; its capacity is 1

	// Of a sequence: how many sequences it is in, and how many actions have been invoked in the outermost of them.
	depth   int
	invoked *int
}

// mergeParameters returns the parameters of the lists and of the request, value, as one object. Later lists override earlier ones, and the request
// overrides all.
func mergeParameters(value json.RawMessage, lists ...keyValues) json.RawMessage {
	n := 0
	for _, l := range lists {
		n += len(l)
	}
	if n == 0 {
		if len(value) == 0 {
			return json.RawMessage("{}")
		}
		return value
	}
	m := make(map[string]json.RawMessage, n)
	for _, l := range lists {
		for _, kv := range l {
			if !kv.Init {
				m[kv.Key] = kv.Value
			}
		}
	}
	if len(value) > 0 && json.Unmarshal(value, &m) != nil {
		// An array, the result of the previous action of a sequence, has no keys.
		return value
	}
	b, err := marshal(m)
	if err != nil {
		return value
	}
	return b
}

// checkPayloadSize returns an error if the body of an invocation is too large.
func (s *Server) checkPayloadSize(c *call) *apiError {
	return tooLarge("Request", len(c.body), s.options.Limits.PayloadBytes)
}

// checkPayload returns an error if the body of an invocation is no JSON object. It makes the body compact.
func (c *call) checkPayload() *apiError {
	if len(c.body) == 0 { // whatever its type
		return nil
	}
	if err := c.checkType(); err != nil {
		return err
	}
	if !json.Valid(c.body) {
		return malformed(sprayjson.Check(c.body))
	}
	if c.body = sprayjson.Compact(c.body); c.body[0] != '{' {
		return malformed("JSON object expected")
	}
	return nil
}

// invokeAction serves POST …/actions/NAME.
func (s *Server) invokeAction(c *call, full string) {
	received := time.Now()
	// Requests that are rejected below count too.
	if err := s.admit(c); err != nil {
		c.fail(err)
		return
	}
	if err := s.checkPayloadSize(c); err != nil {
		c.fail(err)
		return
	}
	blocking, result, wait := false, false, s.options.Limits.BlockingWait
	if c.r.URL.RawQuery != "" {
		var err *apiError
		if blocking, err = c.flag("blocking", false); err != nil {
			c.fail(err)
			return
		}
		if result, err = c.flag("result", false); err != nil {
			c.fail(err)
			return
		}
		if q := c.query(); q.Has("timeout") {
			n, e := strconv.Atoi(q.Get("timeout"))
			if most := s.options.Limits.BlockingWait.Milliseconds(); e != nil || n < 1 || int64(n) > most {
				c.fail(badQuery("timeout", fmt.Sprintf("Timeout must be number of milliseconds up to %d.", most)))
				return
			}
			wait = time.Duration(n) * time.Millisecond
		}
	}
	if err := c.checkPayload(); err != nil {
		c.fail(err)
		return
	}
	t, missing := s.store.findAction(full)
	if missing != nil {
		c.fail(missing)
		return
	}
	if t.action.final() && overrides(c.body, t.outer, t.action.parameters) {
		c.fail(parametersNotAllowed)
		return
	}
	o := &invokeRequest{target: t, value: c.body, call: c, received: received, done: make(chan *record, 1)}
	id, err := s.invoke(o)
	if err != nil {
		c.fail(err)
		return
	}
	c.w.Header()["X-Openwhisk-Activation-Id"] = []string{id}
	if blocking {
		if r := s.await(o, wait); r != nil {
			c.answerOutcome(r, result)
			return
		}
	}
	c.answerJSON(http.StatusAccepted, true, []byte(`{"activationId":"`+id+`"}`))
}

// await returns the record of an invocation when it has ended. It returns nil if it does not end in time, or if nobody waits for it any more.
func (s *Server) await(o *invokeRequest, wait time.Duration) *record {
	timer := s.options.timer(wait)
	defer timer.Stop()
	select {
	case r := <-o.done:
		return r
	case <-timer.C:
	case <-o.call.r.Context().Done():
	case <-s.ctx.Done():
	}
	return nil
}

// answerOutcome answers a blocking invocation.
func (c *call) answerOutcome(r *record, resultOnly bool) {
	status := http.StatusOK
	switch r.kind {
	case container.ApplicationError, container.DeveloperError:
		status = http.StatusBadGateway
	case container.InternalError:
		status = http.StatusInternalServerError
	}
	if resultOnly || isArray(r.Response.Result) {
		result := r.Response.Result
		if len(result) == 0 {
			result = json.RawMessage("{}")
		}
		c.answerJSON(status, true, result)
		return
	}
	c.answer(status, r)
}

func isArray(result json.RawMessage) bool { return len(result) > 0 && result[0] == '[' }

// invoke invokes an action or a sequence, and returns the activation id. The record is sent on the request's channel done.
func (s *Server) invoke(o *invokeRequest) (string, *apiError) {
	throttle := s.throttles[o.call.namespace]
	if o.action.exec.Kind == "sequence" {
		// The components of a sequence count as invocations in flight, the sequence itself does not.
		id := newActivationID()
		o.invoked = new(int)
		s.wait.Go(func() { o.done <- s.sequence(o, id) })
		return id, nil
	}
	a := o.action
	inv := &invocation{action: a, apiHost: s.URL(), request: o.call.id}
	if v, ok := a.annotations.get("provide-api-key"); ok && string(v) != "false" {
		inv.apiKey = o.call.auth
	}
	inv.value = mergeParameters(o.value, o.outer, a.parameters)
	inv.onEnded = func(i *invocation) {
		throttle.inFlight.Add(-1)
		o.done <- newRecord(o, i, []string{})
	}
	inv.onStored = func(i *invocation) { s.keep(newRecord(o, i, logLines(i.logs)), i.record.End) }
	throttle.inFlight.Add(1)
	id, err := s.engine.Invoke(a.key, inv, func(r localwhisk.Activation) {
		inv.record = r
		inv.onEnded(inv)
		inv.partDone()
	})
	if err != nil {
		// The action was updated or deleted after it was found.
		throttle.inFlight.Add(-1)
		s.store.mu.RLock()
		now := s.store.actions[a.full()]
		s.store.mu.RUnlock()
		if now == nil || now == a {
			return "", notFound
		}
		o.action = now
		return s.invoke(o)
	}
	return id, nil
}

func newActivationID() string {
	var b [16]byte
	for i := range b {
		b[i] = byte(rand.Uint32())
	}
	return hex.EncodeToString(b[:])
}

func appendLimits(b []byte, l limits) []byte {
	b = fmt.Appendf(b, `{"key":"limits","value":{"concurrency":%d,`, l.Concurrency)
	if l.Instances != nil {
		b = fmt.Appendf(b, `"instances":%d,`, *l.Instances)
	}
	return fmt.Appendf(b, `"logs":%d,"memory":%d,"timeout":%d}}`, l.Logs, l.Memory, l.Timeout)
}

// newRecord returns the record of an activation that has ended.
func newRecord(o *invokeRequest, i *invocation, logs []string) *record {
	a, e := o.action, i.record
	b := make([]byte, 0, 320)
	b = append(b, '[')
	if o.cause != "" {
		b = append(b, `{"key":"causedBy","value":"sequence"},`...)
	}
	if o.binding != "" {
		b = fmt.Appendf(b, `{"key":"binding","value":%q},`, o.binding)
	}
	b = fmt.Appendf(b, `{"key":"path","value":%q},{"key":"waitTime","value":%d},{"key":"kind","value":%q},{"key":"timeout","value":%t},`,
		a.full(), e.WaitTime.Milliseconds(), a.exec.Kind, i.outcome.TimedOut)
	b = appendLimits(b, a.limits)
	if e.InitTime > 0 {
		b = fmt.Appendf(b, `,{"key":"initTime","value":%d}`, e.InitTime.Milliseconds())
	}
	b = append(b, ']')
	end, duration := e.End.UnixMilli(), e.Duration.Milliseconds()
	return &record{
		ID: e.ID, Annotations: b, Cause: o.cause, Duration: &duration, End: &end, Logs: logs, Name: a.name, Namespace: o.call.namespace,
		Response: newResponse(&i.outcome), Start: e.Start.UnixMilli(), Subject: o.call.namespace, Version: a.version,
		path: a.full(), kind: i.outcome.Kind, received: o.received, memory: a.limits.Memory,
	}
}

// keep makes a record readable some time after the end of its activation.
func (s *Server) keep(r *record, end time.Time) {
	const least, most = 9 * time.Millisecond, 50 * time.Millisecond // as recorded
	wait := least + rand.N(most-least) - time.Since(end)
	if s.options.InstantRecords || wait <= 0 {
		s.activations.put(r)
		return
	}
	time.AfterFunc(wait, func() { s.activations.put(r) })
}

// sequence runs the components of a sequence one after the other, and stores and returns the sequence's record. It fails where it comes upon more
// actions, or sequences in each other, than a sequence may have: since it was put its components may have become longer, or contain it.
func (s *Server) sequence(o *invokeRequest, id string) *record {
	a := o.action
	start := time.Now()
	outcome := container.Outcome{Kind: container.ApplicationError, Result: errorResult("Sequence component does not exist.")}
	value := mergeParameters(o.value, o.outer)
	duration, logs, complete, memory := int64(0), []string{}, true, 0
	for _, name := range a.exec.Components {
		part, err := s.component(o, id, name[1:], value)
		if err != nil {
			outcome = container.Outcome{Kind: container.ApplicationError, Result: errorResult(err.message)}
			complete = len(logs) > 0
			break
		}
		logs = append(logs, part.ID)
		duration += *part.Duration
		memory = max(memory, part.memory)
		outcome = container.Outcome{Kind: part.kind, Result: part.Response.Result}
		if part.Response.Size != nil {
			outcome.Size, outcome.HasBody = *part.Response.Size, true
		}
		if part.kind != container.Success {
			break
		}
		value = part.Response.Result
	}
	b := []byte{'['}
	if o.cause != "" {
		b = append(b, `{"key":"causedBy","value":"sequence"},`...)
	}
	b = fmt.Appendf(b, `{"key":"topmost","value":%t},`, o.cause == "")
	if o.binding != "" {
		b = fmt.Appendf(b, `{"key":"binding","value":%q},`, o.binding)
	}
	b = fmt.Appendf(b, `{"key":"path","value":%q}`, a.full())
	const kind = `,{"key":"kind","value":"sequence"}`
	wait := start.UnixMilli() - o.received.UnixMilli()
	if complete {
		// The memory is that of the largest component.
		l := limits{Concurrency: 1, Logs: a.limits.Logs, Memory: memory, Timeout: a.limits.Timeout}
		b = appendLimits(fmt.Appendf(b, `,{"key":"waitTime","value":%d}`+kind+`,`, wait), l)
	} else {
		b = fmt.Appendf(b, kind+`,{"key":"waitTime","value":%d}`, wait)
	}
	b = append(b, ']')
	end := time.Now().UnixMilli()
	r := &record{
		ID: id, Annotations: b, Cause: o.cause, Duration: &duration, End: &end, Logs: logs, Name: a.name, Namespace: o.call.namespace,
		Response: newResponse(&outcome), Start: start.UnixMilli(), Subject: o.call.namespace, Version: a.version,
		path: a.full(), kind: outcome.Kind, received: o.received, memory: memory,
	}
	s.keep(r, time.UnixMilli(end))
	return r
}

// component runs one component of a sequence, and returns its record.
func (s *Server) component(o *invokeRequest, cause, name string, value json.RawMessage) (*record, *apiError) {
	t, missing := s.store.findAction(name)
	if missing != nil {
		return nil, reject(http.StatusNotFound, "Sequence component does not exist.")
	}
	if most := s.options.Limits.SequenceLength; *o.invoked >= most || o.depth >= most {
		return nil, tooManyInSequence
	}
	part := &invokeRequest{
		target: t, value: value, cause: cause, call: o.call, received: time.Now(), done: make(chan *record, 1), depth: o.depth + 1, invoked: o.invoked,
	}
	if t.action.exec.Kind == "sequence" {
		return s.sequence(part, newActivationID()), nil
	}
	*o.invoked++
	if _, err := s.invoke(part); err != nil {
		return nil, reject(http.StatusNotFound, "Sequence component does not exist.")
	}
	select {
	case r := <-part.done:
		return r, nil
	case <-s.ctx.Done():
		return nil, reject(http.StatusInternalServerError, context.Cause(s.ctx).Error())
	}
}
