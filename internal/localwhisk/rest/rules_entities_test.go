package rest

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// getAction reads an action, with the parameters of its package (wsk-package).
func (c *rulesCall) getAction(full string, outer rulesKVs, binding string) *rulesAnswer {
	code, wrong := c.flag("code", true)
	if wrong != nil {
		return wrong
	}
	return c.withEntity("actions", full, func(e *rulesEntity) *rulesAnswer {
		d := c.document(e)
		d["parameters"] = outer.with(e.parameters)
		if !code {
			delete(d["exec"].(map[string]any), "code")
		}
		if binding != "" {
			if d["binding"] = binding; code { // not recorded
				d["binding"] = optional{binding}
			}
		}
		return wantBody(d)
	})
}

// getPackage reads a package with its actions, a binding with those of its package and its parameters (wsk-package).
func (c *rulesCall) getPackage(full string) *rulesAnswer {
	switch refused := c.mayRead(full); {
	case refused == ruleMissing:
		return wantError(404, "The requested resource '"+full+"' does not exist.")
	case refused != nil:
		return refused
	}
	e := c.entities[full]
	d, origin := c.document(e), e
	if e.binding != "" {
		origin = c.entities[e.binding]
		d["parameters"] = origin.parameters.with(e.parameters)
	}
	actions, feeds := []any{}, []any{}
	for _, a := range c.newest(func(a *rulesEntity) bool { return a.path == origin.full() }) {
		list := &actions
		if a.annotations.index("feed") >= 0 { // whatever its value is
			list = &feeds
		}
		*list = append(*list, map[string]any{"annotations": a.annotations, "name": a.name, "version": a.version.String()})
	}
	d["actions"], d["feeds"] = actions, feeds
	return wantBody(d)
}

// remove deletes an entity.
func (c *rulesCall) remove(collection, full string) *rulesAnswer {
	force := false
	if collection == "packages" {
		var wrong *rulesAnswer
		if force, wrong = c.flag("force", false); wrong != nil { // before the package is looked for (differences)
			return wrong
		}
	}
	return c.withEntity(collection, full, func(e *rulesEntity) *rulesAnswer {
		d := c.document(e)
		switch collection {
		case "packages":
			inside := c.newest(func(a *rulesEntity) bool { return a.path == full })
			if len(inside) > 0 && !force {
				entities := "entities"
				if len(inside) == 1 {
					entities = "entity"
				}
				return wantError(409, "Package not empty (contains "+strconv.Itoa(len(inside))+" "+entities+"). Set force param or delete package contents.")
			}
			for _, a := range inside {
				delete(c.entities, a.full())
			}
		case "rules":
			if _, known := c.ruleStatus(e); !known {
				c.unsure = true
			}
			if t := c.entities[e.trigger]; t != nil {
				delete(t.links, full)
			}
			d["status"] = "inactive" // though it was active (wsk-trigger-rule[23])
		}
		delete(c.entities, full)
		return wantBody(d)
	})
}

// fire fires a trigger (wsk-trigger-rule).
func (c *rulesCall) fire(full string) *rulesAnswer {
	if _, wrong := c.payload(); wrong != nil {
		return wrong
	}
	return c.withEntity("triggers", full, func(e *rulesEntity) *rulesAnswer {
		for _, l := range e.links {
			if l.active {
				return &rulesAnswer{statuses: []int{202}, body: map[string]any{"activationId": anything{}}}
			}
		}
		return wantStatus(204)
	})
}

// setStatus enables or disables a rule. Its body is read before the rule is looked for.
func (c *rulesCall) setStatus(full string) *rulesAnswer {
	body, wrong := c.decoded()
	if wrong != nil {
		return wrong
	}
	object, ok := body.(map[string]any)
	value, has := object["status"]
	text, isText := value.(string)
	switch { // differences: POST rules/r
	case !ok:
		return malformedBody(classOf(body))
	case !has:
		return malformedBody("key not found: status")
	case !isText:
		return malformedBody(classOf(value))
	case text != "active" && text != "inactive":
		return malformedBody("requirement failed: " + text + " is not a recognized rule state")
	}
	return c.withEntity("rules", full, func(e *rulesEntity) *rulesAnswer {
		active, known := c.ruleStatus(e)
		switch {
		case !known:
			c.unsure = true
		case active == (text == "active"):
		case c.entities[e.trigger] == nil:
			return wantStatus(404)
		default:
			c.link(e, text == "active")
		}
		return &rulesAnswer{statuses: []int{200}, text: "OK"}
	})
}

// classOf returns how OpenWhisk tells of a value that it did not expect.
func classOf(v any) string {
	text, _ := json.Marshal(v)
	switch v.(type) {
	case string:
		return string(text) + " (of class spray.json.JsString)"
	case json.Number:
		return string(text) + " (of class spray.json.JsNumber)"
	case []any:
		return string(text) + " (of class spray.json.JsArray)"
	}
	return "…"
}

// invoke invokes an action. The runtime answers with the parameters that it got.
func (c *rulesCall) invoke(full string, outer rulesKVs) *rulesAnswer {
	blocking, wrong := c.flag("blocking", false)
	if wrong != nil {
		return wrong
	}
	result, wrong := c.flag("result", false)
	if wrong != nil {
		return wrong
	}
	if c.query.Has("timeout") {
		if n, err := strconv.Atoi(c.query.Get("timeout")); err != nil || n < 1 || n > 60_000 {
			return malformedQuery("timeout", "Timeout must be number of milliseconds up to 60000.")
		}
	}
	payload, wrong := c.payload()
	if wrong != nil {
		return wrong
	}
	return c.withEntity("actions", full, func(e *rulesEntity) *rulesAnswer {
		parameters := outer.with(e.parameters)
		if i := e.annotations.index("final"); i >= 0 && e.annotations.list[i].value == true {
			for _, kv := range parameters.list { // those that have a value cannot be overridden
				if _, sent := payload[kv.key]; sent && kv.value != nil {
					return wantError(400, "Request defines parameters that are not allowed (e.g., reserved properties).")
				}
			}
		}
		switch {
		case e.exec.kind == "sequence":
			if slices.ContainsFunc(e.exec.components, func(name string) bool { return strings.Count(name, "/") > 1 }) {
				return &rulesAnswer{} // its packages may be gone
			}
			if blocking {
				return &rulesAnswer{statuses: []int{200, 502}} // raw: 502 if one of its actions is gone
			}
		case e.exec.kind == "blackbox" && blocking:
			return &rulesAnswer{statuses: []int{200, 502}} // without code there is no such image here
		}
		if !blocking {
			return &rulesAnswer{statuses: []int{202}, body: map[string]any{"activationId": anything{}}}
		}
		if !result {
			return wantStatus(200)
		}
		params := map[string]any{}
		for _, kv := range parameters.list {
			if !kv.init {
				params[kv.key] = kv.value
			}
		}
		maps.Copy(params, payload)
		return wantBody(map[string]any{"greeting": anything{}, "n": anything{}, "params": params})
	})
}
