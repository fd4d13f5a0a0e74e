package rest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
)

// rule has a trigger invoke an action. Whether it is active is said in its trigger.
type rule struct {
	common
	trigger, action string // guest/name, guest/pkg/name
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

// link returns the rule as its trigger has it, an inactive one if that does not have it.
func (s *store) link(r *rule) link {
	if t := s.triggers[r.trigger]; t != nil {
		return t.rules[r.full()]
	}
	return link{}
}

// serveRules serves …/rules.
func (s *Server) serveRules(c *call, namespace string, names []string) {
	serveCollection(s, c, namespace, names, collection[*rule]{
		name: "rules", all: s.store.rules, first: "trigger", put: s.store.mergeRule, post: s.setRule,
		remove: func(_ *call, r *rule) *apiError {
			s.store.unlink(r)
			return nil
		},
	})
}

func (s *store) unlink(r *rule) {
	if t := s.triggers[r.trigger]; t != nil {
		s.triggers[r.trigger] = t.unlinked(r.full())
	}
}

func (s *store) mergeRule(base common, old *rule, isNew bool, body map[string]json.RawMessage) (*rule, *apiError) {
	r := &rule{common: base}
	status := link{active: true}
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
		// It may also come as answers have it.
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
	if a, _, _ := s.resolve(r.action, strings.Split(r.action, "/")); a == nil {
		return nil, reject(http.StatusBadRequest, fmt.Sprintf("action /%s does not exist", r.action))
	}
	if !isNew && old.trigger != r.trigger {
		s.unlink(old)
	}
	s.triggers[r.trigger] = t.linked(r.full(), link{r.action, status.active})
	return r, nil
}

// setRule makes a rule active or inactive.
func (s *Server) setRule(c *call, full string) {
	var body struct {
		Status string `json:"status"`
	}
	if err := json.Unmarshal(c.body, &body); err != nil || body.Status != "active" && body.Status != "inactive" {
		c.fail(malformed(fmt.Sprintf("requirement failed: %s is not a recognized rule state", body.Status)))
		return
	}
	if err := s.store.setRule(full, body.Status == "active"); err != nil {
		c.fail(err)
		return
	}
	c.text(http.StatusOK, true, "OK")
}

func (s *store) setRule(full string, active bool) *apiError {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.rules[full]
	if r == nil {
		return s.missing(full, nil)
	}
	t := s.triggers[r.trigger]
	if t == nil {
		if !active {
			return nil // it is already
		}
		return reject(http.StatusNotFound, "Only rules with existing triggers can be activated")
	}
	s.triggers[r.trigger] = t.linked(full, link{r.action, active})
	return nil
}
