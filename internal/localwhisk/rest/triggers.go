package rest

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/tppfaas/tppfaas/internal/localwhisk/container"
)

// trigger is a trigger. Firing it invokes the actions of its active rules.
type trigger struct {
	common
	// rules are the trigger's rules by their full names. It is nil until there has been a first one: answers show rules from then on.
	rules map[string]ruleLink
}

// ruleLink is what a trigger knows of a rule. The status is stored here, so that a rule whose trigger was deleted is inactive.
type ruleLink struct {
	action string // guest/name, guest/pkg/name
	active bool
}

func (l ruleLink) status() string {
	if l.active {
		return "active"
	}
	return "inactive"
}

// linked returns a copy of t with a rule.
func (t *trigger) linked(rule string, l ruleLink) *trigger {
	changed := *t
	changed.rules = maps.Clone(t.rules)
	if changed.rules == nil {
		changed.rules = map[string]ruleLink{}
	}
	changed.rules[rule] = l
	return &changed
}

// unlinked returns a copy of t without a rule.
func (t *trigger) unlinked(rule string) *trigger {
	changed := *t
	changed.rules = maps.Clone(t.rules)
	delete(changed.rules, rule)
	return &changed
}

type reference struct {
	Name string `json:"name"`
	Path string `json:"path"`
}

// nameOf splits a full name at its last slash, as the documents of rules show it.
func nameOf(full string) reference {
	i := strings.LastIndexByte(full, '/')
	return reference{full[i+1:], full[:i]}
}

type ruleState struct {
	Action reference `json:"action"`
	Status string    `json:"status"`
}

type triggerDocument struct {
	Annotations keyValues             `json:"annotations"`
	Limits      struct{}              `json:"limits"`
	Name        string                `json:"name"`
	Namespace   string                `json:"namespace"`
	Parameters  keyValues             `json:"parameters"`
	Publish     bool                  `json:"publish"`
	Rules       *map[string]ruleState `json:"rules,omitempty"`
	Updated     int64                 `json:"updated"`
	Version     string                `json:"version"`
}

type triggerSummary struct {
	Name string `json:"name"`
	commonSummary
}

func (t *trigger) summary() any { return triggerSummary{t.name, t.commonSummary()} }

func (t *trigger) document(*store) any {
	d := triggerDocument{
		Annotations: t.annotations, Name: t.name, Namespace: t.namespace, Parameters: t.parameters, Publish: t.publish,
		Updated: t.updated, Version: t.version,
	}
	if t.rules != nil {
		rules := make(map[string]ruleState, len(t.rules))
		for full, l := range t.rules {
			rules[full] = ruleState{nameOf(l.action), l.status()}
		}
		d.Rules = &rules
	}
	return d
}

// serveTriggers serves …/triggers.
func (s *Server) serveTriggers(c *call, namespace string, names []string) {
	serveCollection(s, c, namespace, names, collection[*trigger]{
		name: "triggers", all: s.store.triggers, post: s.fire,
		parse: func(_ string, body map[string]json.RawMessage) *apiError {
			if raw := body["limits"]; raw != nil && raw[0] != '{' {
				return malformed("Object expected")
			}
			return nil
		},
		check: func(_ string, body map[string]json.RawMessage) *apiError {
			var none map[string]json.RawMessage // there are no limits of triggers
			if raw := body["limits"]; raw != nil && json.Unmarshal(raw, &none) != nil {
				return malformed("Object expected")
			}
			return nil
		},
		put: func(base common, old *trigger, isNew bool, _ map[string]json.RawMessage) (*trigger, *apiError) {
			t := &trigger{common: base}
			if !isNew {
				t.rules = old.rules
			} else if raw, ok := base.annotations.get("feed"); ok {
				var feed string
				if json.Unmarshal(raw, &feed) != nil || !isPath(feed) {
					return nil, reject(http.StatusBadRequest, "Feed name is not valid")
				}
			}
			return t, nil
		},
	})
}

// isPath reports whether text is of the form name, namespace/name or namespace/package/name, with or without a leading slash.
func isPath(text string) bool {
	segments := strings.Split(strings.TrimPrefix(text, "/"), "/")
	return len(segments) <= 3 && !slices.ContainsFunc(segments, func(s string) bool { return checkName(s) != nil })
}

// ruleResult is a line in the logs of a trigger's activation: the result of one rule.
type ruleResult struct {
	StatusCode   int    `json:"statusCode"`
	Success      bool   `json:"success"`
	ActivationID string `json:"activationId,omitempty"`
	Rule         string `json:"rule"`
	Error        string `json:"error,omitempty"`
	Action       string `json:"action"`
}

// fire serves POST …/triggers/NAME: it invokes the actions of the trigger's active rules, and stores an activation of the trigger.
func (s *Server) fire(c *call, full string) {
	received := time.Now()
	l := s.options.Limits
	throttle := s.throttles[c.namespace]
	if err := throttle.admit(s.options.now(), &throttle.fires, l.FiresPerMinute, 0); err != nil {
		c.fail(err)
		return
	}
	if err := s.checkPayloadSize(c); err != nil {
		c.fail(err)
		return
	}
	if err := c.checkPayload(); err != nil {
		c.fail(err)
		return
	}
	s.store.mu.RLock()
	t, err := lookup(&s.store, s.store.triggers, full, nil)
	s.store.mu.RUnlock()
	if err != nil {
		c.fail(err)
		return
	}
	if !slices.ContainsFunc(slices.Collect(maps.Values(t.rules)), func(l ruleLink) bool { return l.active }) {
		c.setCORS()
		c.w.WriteHeader(http.StatusNoContent)
		return
	}
	id := newActivationID()
	headers, _ := marshal(firedWith(c.r))
	value := mergeParameters(c.body, t.parameters, keyValues{{Key: "__ow_headers", Value: headers}})
	logs := []string{}
	for _, rule := range slices.Sorted(maps.Keys(t.rules)) {
		line, _ := marshal(s.fireRule(c, rule, t.rules[rule], value, received))
		logs = append(logs, string(line))
	}
	result := json.RawMessage(c.body)
	if len(result) == 0 {
		result = json.RawMessage("{}")
	}
	s.keep(&record{
		ID: id, Annotations: json.RawMessage("[]"), Logs: logs, Name: t.name, Namespace: c.namespace, Start: received.UnixMilli(),
		Response: response{Result: result, Status: container.Success.String(), Success: true}, Subject: c.namespace, Version: t.version,
		path: full, received: received,
	}, received)
	c.w.Header()["X-Openwhisk-Activation-Id"] = []string{id}
	c.answerJSON(http.StatusAccepted, true, []byte(`{"activationId":"`+id+`"}`))
}

// fireRule invokes the action of a rule; it counts as an invocation of the caller.
func (s *Server) fireRule(c *call, rule string, l ruleLink, value json.RawMessage, received time.Time) ruleResult {
	f := ruleResult{StatusCode: int(container.ApplicationError), Rule: rule, Action: l.action}
	if !l.active {
		f.Error = fmt.Sprintf("Rule '%s' is inactive, action '%s' was not activated.", rule, l.action)
		return f
	}
	o := &invokeRequest{value: value, call: c, received: received, done: make(chan *record, 1)}
	err := s.admit(c)
	if err == nil {
		var missing *apiError
		if o.target, missing = s.store.findAction(l.action); missing == nil {
			f.ActivationID, err = s.invoke(o)
		} else {
			err = notFound
		}
	}
	if err != nil {
		f.Error = err.message
		return f
	}
	f.Success, f.StatusCode = true, int(container.Success)
	return f
}

// firedWith returns the headers of a request that fires a trigger, by their names in lower case; actions get them as a parameter.
func firedWith(r *http.Request) map[string]string {
	headers := map[string]string{"host": r.Host}
	for name, values := range r.Header {
		switch name {
		case "Content-Type", "Content-Length":
		default:
			headers[strings.ToLower(name)] = strings.Join(values, ", ")
		}
	}
	return headers
}
