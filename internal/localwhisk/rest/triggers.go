package rest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/tppfaas/tppfaas/internal/localwhisk/container"
)

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

func (s *store) triggerDocument(t *trigger) triggerDocument {
	d := triggerDocument{
		Annotations: t.annotations, Name: t.name, Namespace: t.namespace, Parameters: t.parameters, Publish: t.publish,
		Updated: t.updated, Version: t.version,
	}
	if t.ruled {
		rules := map[string]ruleState{}
		for full, r := range s.rules {
			if r.trigger == t.namespace+"/"+t.name {
				rules[full] = ruleState{nameOf(r.action), r.status()}
			}
		}
		d.Rules = &rules
	}
	return d
}

// serveTriggers serves …/triggers.
func (s *Server) serveTriggers(c *call, namespace string, names []string) {
	if len(names) == 0 {
		if c.r.Method != http.MethodGet {
			c.fail(noRoute)
			return
		}
		s.store.mu.RLock()
		all := newest(s.store.triggers, func(t *trigger) bool { return t.namespace == namespace }, func(t *trigger) int64 { return t.updated })
		s.store.mu.RUnlock()
		summaries := make([]triggerSummary, len(all))
		for i, t := range all {
			summaries[i] = triggerSummary{t.name, t.updated, t.namespace, t.publish, t.annotations, t.version}
		}
		list(c, "triggers", summaries)
		return
	}
	full := namespace + "/" + names[0]
	switch c.r.Method {
	case http.MethodPost:
		s.fire(c, full)
	case http.MethodPut:
		s.putTrigger(c, namespace, names[0])
	case http.MethodGet, http.MethodDelete:
		s.store.mu.Lock()
		defer s.store.mu.Unlock()
		t := s.store.triggers[full]
		if t == nil {
			c.fail(notFound)
			return
		}
		d := s.store.triggerDocument(t)
		if c.r.Method == http.MethodDelete {
			delete(s.store.triggers, full)
		}
		c.answer(http.StatusOK, d)
	default:
		c.fail(noRoute)
	}
}

func (s *Server) putTrigger(c *call, namespace, name string) {
	overwrite, err := c.flag("overwrite", false)
	if err != nil {
		c.fail(err)
		return
	}
	body, err := fields(c.body)
	if err != nil {
		c.fail(err)
		return
	}
	full := namespace + "/" + name
	s.store.mu.Lock()
	defer s.store.mu.Unlock()
	t := &trigger{namespace: namespace, name: name, parameters: keyValues{}, annotations: keyValues{}, version: "0.0.1"}
	old := s.store.triggers[full]
	if old != nil {
		*t = *old
		t.version = nextVersion(old.version)
	}
	err = mergeCommon(body, &t.parameters, &t.annotations, &t.version, &t.publish, old != nil)
	if err == nil {
		err = s.checkKeyValues(t.parameters, t.annotations)
	}
	if err == nil && old != nil && !overwrite {
		err = conflict
	}
	if err != nil {
		c.fail(err)
		return
	}
	t.updated = s.store.now()
	s.store.triggers[full] = t
	c.answer(http.StatusOK, s.store.triggerDocument(t))
}

// fire invokes the actions of the trigger's active rules.
func (s *Server) fire(c *call, full string) {
	received := time.Now()
	if err := s.payload(c); err != nil {
		c.fail(err)
		return
	}
	type due struct {
		rule, action string
		order        *order
	}
	var all []due
	s.store.mu.RLock()
	t := s.store.triggers[full]
	if t != nil {
		for name, r := range s.store.rules {
			if r.trigger == full && r.active {
				a, outer, binding := s.store.resolve(r.action, strings.Split(r.action, "/"))
				all = append(all, due{name, r.action, &order{action: a, outer: outer, binding: binding}})
			}
		}
	}
	s.store.mu.RUnlock()
	if t == nil {
		c.fail(notFound)
		return
	}
	l := s.options.Limits
	throttle := s.throttles[c.namespace]
	if err := throttle.admit(&throttle.fires, l.FiresPerMinute, 0); err != nil {
		c.fail(err)
		return
	}
	if len(all) == 0 {
		setCORS(c.w.Header())
		c.w.WriteHeader(http.StatusNoContent)
		return
	}
	id := newActivationID()
	value := merged(c.body, t.parameters)
	logs := []string{}
	for _, d := range all {
		type firing struct {
			StatusCode   int    `json:"statusCode"`
			Success      bool   `json:"success"`
			ActivationID string `json:"activationId,omitempty"`
			Error        string `json:"error,omitempty"`
			Rule         string `json:"rule"`
			Action       string `json:"action"`
		}
		f := firing{Success: true, Rule: d.rule, Action: d.action}
		o := d.order
		o.value, o.call, o.received, o.done = value, c, received, make(chan *record, 1)
		err := notFound
		if o.action != nil {
			f.ActivationID, err = s.invoke(o)
		}
		if err != nil {
			f.Success, f.StatusCode, f.Error = false, int(container.ApplicationError), err.message
		}
		line, _ := marshal(f)
		logs = append(logs, string(line))
	}
	result := json.RawMessage(c.body)
	if len(result) == 0 {
		result = json.RawMessage("{}")
	}
	s.activations.put(&record{
		ID: id, Annotations: json.RawMessage("[]"), Logs: logs, Name: t.name, Namespace: c.namespace, Start: received.UnixMilli(),
		Response: response{Result: result, Status: container.Success.String(), Success: true}, Subject: c.namespace, Version: t.version,
		path: full,
	})
	c.w.Header()["X-Openwhisk-Activation-Id"] = []string{id}
	c.raw(http.StatusAccepted, true, []byte(`{"activationId":"`+id+`"}`))
}

type ruleDocument struct {
	Action      reference `json:"action"`
	Annotations keyValues `json:"annotations"`
	Name        string    `json:"name"`
	Namespace   string    `json:"namespace"`
	Publish     bool      `json:"publish"`
	Status      string    `json:"status,omitempty"`
	Trigger     reference `json:"trigger"`
	Updated     int64     `json:"updated"`
	Version     string    `json:"version"`
}

func (r *rule) status() string {
	if r.active {
		return "active"
	}
	return "inactive"
}

func (r *rule) document() ruleDocument {
	return ruleDocument{nameOf(r.action), r.annotations, r.name, r.namespace, r.publish, r.status(), nameOf(r.trigger), r.updated, r.version}
}

// serveRules serves …/rules.
func (s *Server) serveRules(c *call, namespace string, names []string) {
	if len(names) == 0 {
		if c.r.Method != http.MethodGet {
			c.fail(noRoute)
			return
		}
		s.store.mu.RLock()
		all := newest(s.store.rules, func(r *rule) bool { return r.namespace == namespace }, func(r *rule) int64 { return r.updated })
		documents := make([]ruleDocument, len(all))
		for i, r := range all {
			documents[i] = r.document()
			documents[i].Status = ""
		}
		s.store.mu.RUnlock()
		list(c, "rules", documents)
		return
	}
	full := namespace + "/" + names[0]
	if c.r.Method == http.MethodPut {
		s.putRule(c, namespace, names[0])
		return
	}
	s.store.mu.Lock()
	defer s.store.mu.Unlock()
	r := s.store.rules[full]
	if r == nil {
		c.fail(notFound)
		return
	}
	switch c.r.Method {
	case http.MethodGet:
		c.answer(http.StatusOK, r.document())
	case http.MethodDelete:
		delete(s.store.rules, full)
		d := r.document()
		d.Status = "inactive"
		c.answer(http.StatusOK, d)
	case http.MethodPost:
		var body struct {
			Status string `json:"status"`
		}
		if err := json.Unmarshal(c.body, &body); err != nil || body.Status != "active" && body.Status != "inactive" {
			c.fail(malformed(fmt.Sprintf("%s is not a recognized rule state", body.Status)))
			return
		}
		changed := *r
		changed.active = body.Status == "active"
		s.store.rules[full] = &changed
		c.text(http.StatusOK, true, "OK")
	default:
		c.fail(noRoute)
	}
}

func (s *Server) putRule(c *call, namespace, name string) {
	overwrite, err := c.flag("overwrite", false)
	if err != nil {
		c.fail(err)
		return
	}
	body, err := fields(c.body)
	if err != nil {
		c.fail(err)
		return
	}
	s.store.mu.Lock()
	defer s.store.mu.Unlock()
	r, err := s.mergeRule(namespace, name, overwrite, body)
	if err != nil {
		c.fail(err)
		return
	}
	c.answer(http.StatusOK, r.document())
}

func (s *Server) mergeRule(namespace, name string, overwrite bool, body map[string]json.RawMessage) (*rule, *apiError) {
	full := namespace + "/" + name
	r := &rule{namespace: namespace, name: name, annotations: keyValues{}, active: true, version: "0.0.1"}
	old := s.store.rules[full]
	if old != nil {
		*r = *old
		r.version = nextVersion(old.version)
	}
	var parameters keyValues
	if err := mergeCommon(body, &parameters, &r.annotations, &r.version, &r.publish, old != nil); err != nil {
		return nil, err
	}
	for _, part := range []struct {
		what string
		to   *string
	}{{"trigger", &r.trigger}, {"action", &r.action}} {
		var text string
		if raw := body[part.what]; raw != nil && json.Unmarshal(raw, &text) == nil && text != "" {
			q, err := qualified(text, namespace)
			if err != nil {
				return nil, err
			}
			*part.to = q
		}
		if *part.to == "" {
			return nil, reject(http.StatusBadRequest, part.what+" undefined")
		}
	}
	if old != nil && !overwrite {
		return nil, conflict
	}
	t := s.store.triggers[r.trigger]
	if t == nil {
		return nil, reject(http.StatusBadRequest, fmt.Sprintf("trigger /%s does not exist", r.trigger))
	}
	if a, _, _ := s.store.resolve(r.action, strings.Split(r.action, "/")); a == nil {
		return nil, reject(http.StatusBadRequest, fmt.Sprintf("action /%s does not exist", r.action))
	}
	ruled := *t
	ruled.ruled = true
	s.store.triggers[r.trigger] = &ruled
	r.updated = s.store.now()
	s.store.rules[full] = r
	return r, nil
}
