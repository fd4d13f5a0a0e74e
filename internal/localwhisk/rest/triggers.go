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

// trigger fires the rules that name it.
type trigger struct {
	common
	// rules are by their full names. It is nil until there is a first one: answers show rules from then on.
	rules map[string]link
}

// link is a rule as its trigger has it: the status is here, so that a rule whose trigger was deleted is inactive.
type link struct {
	action string // guest/name, guest/pkg/name
	active bool
}

func (l link) status() string {
	if l.active {
		return "active"
	}
	return "inactive"
}

// linked returns t with a rule.
func (t *trigger) linked(rule string, l link) *trigger {
	changed := *t
	changed.rules = maps.Clone(t.rules)
	if changed.rules == nil {
		changed.rules = map[string]link{}
	}
	changed.rules[rule] = l
	return &changed
}

// unlinked returns t without a rule.
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

// nameOf splits namespace/name at its last slash, as rules show it.
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
	Name        string    `json:"name"`
	Updated     int64     `json:"updated"`
	Namespace   string    `json:"namespace"`
	Publish     bool      `json:"publish"`
	Annotations keyValues `json:"annotations"`
	Version     string    `json:"version"`
}

func (t *trigger) summary() any {
	return triggerSummary{t.name, t.updated, t.namespace, t.publish, t.annotations, t.version}
}

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
		name: "triggers", all: s.store.triggers, first: "parameters", post: s.fire,
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

// isPath tells whether text is of the form name, namespace/name or namespace/package/name, with a slash before it or without.
func isPath(text string) bool {
	segments := strings.Split(strings.TrimPrefix(text, "/"), "/")
	return len(segments) <= 3 && !slices.ContainsFunc(segments, func(s string) bool { return checkName(s) != nil })
}

// firing is the line of a trigger's record that tells what became of a rule.
type firing struct {
	StatusCode   int    `json:"statusCode"`
	Success      bool   `json:"success"`
	ActivationID string `json:"activationId,omitempty"`
	Rule         string `json:"rule"`
	Error        string `json:"error,omitempty"`
	Action       string `json:"action"`
}

// fire invokes the actions of the trigger's active rules.
func (s *Server) fire(c *call, full string) {
	received := time.Now()
	l := s.options.Limits
	throttle := s.throttles[c.namespace]
	if err := throttle.admit(s.options.now(), &throttle.fires, l.FiresPerMinute, 0); err != nil {
		c.fail(err)
		return
	}
	if err := s.payload(c); err != nil {
		c.fail(err)
		return
	}
	s.store.mu.RLock()
	t := s.store.triggers[full]
	s.store.mu.RUnlock()
	if t == nil {
		s.store.mu.RLock()
		err := s.store.missing(full, nil)
		s.store.mu.RUnlock()
		c.fail(err)
		return
	}
	if !slices.ContainsFunc(slices.Collect(maps.Values(t.rules)), func(l link) bool { return l.active }) {
		setCORS(c.w.Header())
		c.w.WriteHeader(http.StatusNoContent)
		return
	}
	id := newActivationID()
	headers, _ := marshal(firedWith(c.r))
	value := merged(c.body, t.parameters, keyValues{{Key: "__ow_headers", Value: headers}})
	logs := []string{}
	for _, rule := range slices.Sorted(maps.Keys(t.rules)) {
		line, _ := marshal(s.follow(c, rule, t.rules[rule], value, received))
		logs = append(logs, string(line))
	}
	result := json.RawMessage(c.body)
	if len(result) == 0 {
		result = json.RawMessage("{}")
	}
	s.activations.put(&record{
		ID: id, Annotations: json.RawMessage("[]"), Logs: logs, Name: t.name, Namespace: c.namespace, Start: received.UnixMilli(),
		Response: response{Result: result, Status: container.Success.String(), Success: true}, Subject: c.namespace, Version: t.version,
		path: full, received: received,
	})
	c.w.Header()["X-Openwhisk-Activation-Id"] = []string{id}
	c.raw(http.StatusAccepted, true, []byte(`{"activationId":"`+id+`"}`))
}

// follow invokes the action of a rule, which counts like any invocation.
func (s *Server) follow(c *call, rule string, l link, value json.RawMessage, received time.Time) firing {
	f := firing{StatusCode: int(container.ApplicationError), Rule: rule, Action: l.action}
	if !l.active {
		f.Error = fmt.Sprintf("Rule '%s' is inactive, action '%s' was not activated.", rule, l.action)
		return f
	}
	o := &order{value: value, call: c, received: received, done: make(chan *record, 1)}
	err := s.admit(c)
	if err == nil {
		s.store.mu.RLock()
		o.action, o.outer, o.binding = s.store.resolve(l.action, strings.Split(l.action, "/"))
		s.store.mu.RUnlock()
		if err = notFound; o.action != nil {
			f.ActivationID, err = s.invoke(o)
		}
	}
	if err != nil {
		f.Error = err.message
		return f
	}
	f.Success, f.StatusCode = true, int(container.Success)
	return f
}

// firedWith returns the headers of a request that fires a trigger, by their names in lower case: actions get them.
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
