package rest

import (
	"encoding/json"
	"fmt"
	"net/http"
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
		name: "rules", all: s.store.rules, first: "trigger", put: s.store.mergeRule, post: s.setRuleState,
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

// mergeRule returns the rule of a PUT request, and links it to its trigger.
func (s *store) mergeRule(base common, old *rule, isNew bool, body map[string]json.RawMessage) (*rule, *apiError) {
	r := &rule{common: base}
	status := ruleLink{active: true}
	if !isNew {
		r.trigger, r.action = old.trigger, old.action
		status = s.link(old)
	}
	for _, part := range []struct {
		what string
		to   *string
	}{{"trigger", &r.trigger}, {"action", &r.action}} {
		raw := body[part.what]
		if raw == nil {
			continue
		}
		// A client may also send {"name", "path"}, as answers have it.
		var text string
		var parts reference
		if json.Unmarshal(raw, &text) != nil {
			if json.Unmarshal(raw, &parts) != nil {
				return nil, malformed("fully qualified name malformed")
			}
			text = parts.Path + "/" + parts.Name
		}
		var err *apiError
		if *part.to, err = qualified(text, base.namespace); err != nil {
			return nil, err
		}
	}
	if r.trigger == "" || r.action == "" {
		return nil, reject(http.StatusBadRequest, "rule requires a valid trigger and a valid action")
	}
	t := s.triggers[r.trigger]
	if t == nil {
		return nil, reject(http.StatusBadRequest, fmt.Sprintf("trigger /%s does not exist", r.trigger))
	}
	if s.resolve(r.action).action == nil {
		return nil, reject(http.StatusBadRequest, fmt.Sprintf("action /%s does not exist", r.action))
	}
	if !isNew && old.trigger != r.trigger {
		s.unlink(old)
	}
	s.triggers[r.trigger] = t.linked(r.full(), ruleLink{r.action, status.active})
	return r, nil
}

// setRuleState serves POST …/rules/NAME: it makes a rule active or inactive.
func (s *Server) setRuleState(c *call, full string) {
	var body struct {
		Status string `json:"status"`
	}
	if err := json.Unmarshal(c.body, &body); err != nil || body.Status != "active" && body.Status != "inactive" {
		c.fail(malformed(fmt.Sprintf("requirement failed: %s is not a recognized rule state", body.Status)))
		return
	}
	if err := s.store.setRuleActive(full, body.Status == "active"); err != nil {
		c.fail(err)
		return
	}
	c.answerText(http.StatusOK, true, "OK")
}

// setRuleActive sets the status of a rule.
func (s *store) setRuleActive(full string, active bool) *apiError {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, err := lookup(s, s.rules, full, nil)
	if err != nil {
		return err
	}
	t := s.triggers[r.trigger]
	if t == nil {
		if !active {
			return nil // a rule without trigger is inactive
		}
		return reject(http.StatusNotFound, "Only rules with existing triggers can be activated")
	}
	s.triggers[r.trigger] = t.linked(full, ruleLink{r.action, active})
	return nil
}
