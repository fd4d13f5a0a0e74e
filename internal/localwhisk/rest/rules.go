package rest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/tppfaas/tppfaas/internal/localwhisk/sprayjson"
)

// rule makes a trigger invoke an action. Its status is stored with the trigger, see ruleLink.
type rule struct {
	common
	trigger, action string // full names: guest/name, guest/pkg/name
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

func (r *rule) summary() any {
	return ruleDocument{nameOf(r.action), r.annotations, r.name, r.namespace, r.publish, "", nameOf(r.trigger), r.updated, r.version}
}

func (r *rule) document(s *store) any {
	d := r.summary().(ruleDocument)
	d.Status = s.link(r).status()
	return d
}

// link returns what the rule's trigger knows of it; it is inactive if there is no such trigger.
func (s *store) link(r *rule) ruleLink {
	if t := s.triggers[r.trigger]; t != nil {
		return t.rules[r.full()]
	}
	return ruleLink{}
}

// serveRules serves …/rules.
func (s *Server) serveRules(c *call, namespace string, names []string) {
	serveCollection(s, c, namespace, names, collection[*rule]{
		name: "rules", all: s.store.rules, parse: parseRule, check: s.store.checkRule, put: s.store.mergeRule, post: s.setRuleState,
		remove: func(_ *call, r *rule) *apiError {
			s.store.unlink(r)
			return nil
		},
	})
}

// unlink removes a rule from its trigger.
func (s *store) unlink(r *rule) {
	if t := s.triggers[r.trigger]; t != nil {
		s.triggers[r.trigger] = t.unlinked(r.full())
	}
}

// referredTo returns the full name in a request's trigger or action, "" if there is none.
func referredTo(raw json.RawMessage, namespace string) (string, *apiError) {
	if raw == nil {
		return "", nil
	}
	// A client may also send {"name", "path"}, as answers have it.
	var text string
	var parts reference
	if json.Unmarshal(raw, &text) != nil {
		if json.Unmarshal(raw, &parts) != nil {
			return "", malformed("fully qualified name malformed")
		}
		text = parts.Path + "/" + parts.Name
	}
	return qualified(text, namespace)
}

// parseRule checks the names of the trigger and the action in a request.
func parseRule(namespace string, body map[string]json.RawMessage) *apiError {
	if _, err := referredTo(body["trigger"], namespace); err != nil {
		return err
	}
	_, err := referredTo(body["action"], namespace)
	return err
}

// checkRule checks that the caller may use the trigger and the action of a request.
func (s *store) checkRule(namespace string, body map[string]json.RawMessage) *apiError {
	trigger, _ := referredTo(body["trigger"], namespace)
	action, _ := referredTo(body["action"], namespace)
	return s.checkReferences(namespace, []string{action}, trigger)
}

// mergeRule returns the rule of a PUT request, and links it to its trigger.
func (s *store) mergeRule(base common, old *rule, isNew bool, body map[string]json.RawMessage) (*rule, *apiError) {
	r := &rule{common: base}
	status := ruleLink{active: true}
	if !isNew {
		r.trigger, r.action = old.trigger, old.action
		status = s.link(old)
	}
	for what, to := range map[string]*string{"trigger": &r.trigger, "action": &r.action} {
		name, err := referredTo(body[what], base.namespace)
		if err != nil {
			return nil, err
		}
		if name != "" {
			*to = name
		}
	}
	if r.trigger == "" || r.action == "" {
		return nil, reject(http.StatusBadRequest, "rule requires a valid trigger and a valid action")
	}
	t := s.triggers[r.trigger]
	if t == nil {
		if class := s.class(r.trigger); class != "" {
			return nil, reject(http.StatusBadRequest, fmt.Sprintf("document type class %s%s did not match expected type class %[1]sWhiskTrigger.", classPath, class))
		}
		return nil, reject(http.StatusBadRequest, fmt.Sprintf("trigger /%s does not exist", r.trigger))
	}
	if s.resolve(r.action).action == nil {
		if class := s.class(r.action); class != "" {
			return nil, reject(http.StatusBadRequest, fmt.Sprintf("document type class %s%s did not match expected type class %[1]sWhiskActionMetaData.", classPath, class))
		}
		return nil, reject(http.StatusBadRequest, fmt.Sprintf("action /%s does not exist", r.action))
	}
	if !isNew && old.trigger != r.trigger {
		s.unlink(old)
	}
	s.triggers[r.trigger] = t.linked(r.full(), ruleLink{r.action, status.active})
	return r, nil
}

// classPath is where OpenWhisk's classes of entities are, which one of its errors names.
const classPath = "org.apache.openwhisk.core.entity."

// class returns what OpenWhisk calls the kind of the entity with this name; "" if there is none.
func (s *store) class(full string) string {
	switch {
	case s.actions[full] != nil:
		return "WhiskAction"
	case s.packages[full] != nil:
		return "WhiskPackage"
	case s.triggers[full] != nil:
		return "WhiskTrigger"
	case s.rules[full] != nil:
		return "WhiskRule"
	}
	return ""
}

// checkReferences returns an error if a caller may not use the actions and triggers that a request refers to: actions in packages that the caller
// may not read, and what is in other namespaces. A name may be empty. The store must be locked.
func (s *store) checkReferences(caller string, actions []string, triggers ...string) *apiError {
	foreign := map[string]bool{}
	for i, name := range slices.Concat(actions, triggers) {
		segments := strings.Split(strings.TrimPrefix(name, "/"), "/")
		n := len(segments)
		if i < len(actions) && n > 2 {
			if err := s.readable(caller, segments[0]+"/"+segments[n-2]); err != nil {
				return err
			}
		} else if name != "" && segments[0] != caller {
			foreign[strings.Join(segments, "/")] = true
		}
	}
	if len(foreign) == 0 {
		return nil
	}
	return notAuthorized(strings.Join(slices.Sorted(maps.Keys(foreign)), ", "))
}

// setRuleState serves POST …/rules/NAME: it makes a rule active or inactive.
func (s *Server) setRuleState(c *call, full string) {
	state, err := "", c.checkType()
	if err == nil {
		state, err = ruleStateIn(c.body)
	}
	if err == nil {
		err = s.store.setRuleActive(full, state == "active")
	}
	if err != nil {
		c.fail(err)
		return
	}
	c.answerText(http.StatusOK, true, "OK")
}

// ruleStateIn returns the status in the body of a request: active or inactive.
func ruleStateIn(body []byte) (string, *apiError) {
	if !json.Valid(body) {
		return "", malformed(sprayjson.Check(body))
	}
	noMatch := func(value json.RawMessage) *apiError {
		return malformed(fmt.Sprintf("%s (of class spray.json.%s)", sprayjson.Compact(value), jsonClass(value)))
	}
	var m map[string]json.RawMessage
	if json.Unmarshal(body, &m) != nil || m == nil {
		return "", noMatch(body)
	}
	value, ok := m["status"]
	if !ok {
		return "", malformed("key not found: status")
	}
	var state string
	if value[0] != '"' || json.Unmarshal(value, &state) != nil {
		return "", noMatch(value)
	}
	if state != "active" && state != "inactive" {
		return "", malformed(fmt.Sprintf("requirement failed: %s is not a recognized rule state", state))
	}
	return state, nil
}

// jsonClass returns what OpenWhisk calls the kind of a JSON value.
func jsonClass(value []byte) string {
	switch bytes.TrimSpace(value)[0] {
	case '{':
		return "JsObject"
	case '[':
		return "JsArray"
	case '"':
		return "JsString"
	case 't', 'f':
		return "JsBoolean"
	case 'n':
		return "JsNull$"
	}
	return "JsNumber"
}

// setRuleActive sets the status of a rule.
func (s *store) setRuleActive(full string, active bool) *apiError {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, err := lookup(s, s.rules, full, nil)
	if err != nil {
		return err
	}
	if s.link(r).active == active {
		return nil // a rule of which there is no trigger, or one that does not know it, is inactive
	}
	t := s.triggers[r.trigger]
	if t == nil {
		return reject(http.StatusNotFound, "Only rules with existing triggers can be activated")
	}
	s.triggers[r.trigger] = t.linked(full, ruleLink{r.action, active})
	return nil
}
