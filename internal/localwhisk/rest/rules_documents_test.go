package rest

import (
	"encoding/json"
	"strconv"
	"strings"
)

// document returns the answer to a PUT request.
func (c *rulesCall) document(e *rulesEntity) map[string]any {
	d := map[string]any{"annotations": e.annotations, "name": e.name, "namespace": e.path, "publish": e.publish, "updated": e.updated,
		"version": e.version.String(), "parameters": e.parameters}
	switch e.collection {
	case "actions":
		d["exec"], d["limits"] = execDocument(e.exec), limitsDocument(e.limits)
	case "triggers":
		d["limits"] = map[string]any{}
		if e.hadLinks { // {} when the last rule is gone (wsk-trigger-rule[24])
			rules := map[string]any{}
			for name, l := range e.links {
				rules[name] = map[string]any{"action": nameDocument(l.action), "status": wantedState(l.active)}
			}
			d["rules"] = rules
		}
	case "packages":
		d["binding"] = map[string]any{}
		if e.binding != "" {
			d["binding"] = bindingDocument(e.binding)
		}
	case "rules":
		delete(d, "parameters")
		active, known := c.ruleStatus(e)
		c.unsure = c.unsure || !known
		d["action"], d["trigger"], d["status"] = nameDocument(e.action), nameDocument(e.trigger), wantedState(active)
	}
	return d
}

func wantedState(active bool) string {
	if active {
		return "active"
	}
	return "inactive"
}

func execDocument(e *rulesExec) map[string]any {
	d := map[string]any{"kind": e.kind}
	if e.kind == "sequence" {
		var components []any
		for _, name := range e.components {
			components = append(components, "/"+name)
		}
		d["components"] = components
		return d
	}
	d["binary"] = e.binary
	if e.kind == "blackbox" {
		d["image"] = e.image
	}
	if e.code != nil {
		d["code"] = *e.code
	}
	if e.main != nil {
		d["main"] = *e.main
	}
	return d
}

func limitsDocument(limits map[string]int) map[string]any {
	d := map[string]any{}
	for name, n := range limits {
		d[name] = json.Number(strconv.Itoa(n))
	}
	return d
}

// nameDocument is a full name as it stands in rules.
func nameDocument(full string) map[string]any {
	i := strings.LastIndexByte(full, '/')
	return map[string]any{"path": full[:i], "name": full[i+1:]}
}

func bindingDocument(full string) map[string]any {
	namespace, name, _ := strings.Cut(full, "/")
	return map[string]any{"namespace": namespace, "name": name}
}

// summary returns an element of a list: those of rules are whole, but without their status (wsk-trigger-rule[8]).
func (c *rulesCall) summary(e *rulesEntity) map[string]any {
	unsure := c.unsure
	d := c.document(e)
	if e.collection == "rules" {
		c.unsure = unsure // the status may be, which is left out
		delete(d, "status")
		return d
	}
	s := map[string]any{}
	for _, name := range []string{"annotations", "name", "namespace", "publish", "updated", "version"} {
		s[name] = d[name]
	}
	switch e.collection {
	case "actions":
		s["limits"], s["exec"] = d["limits"], map[string]any{"binary": e.exec.binary}
	case "packages":
		s["binding"] = false
		if e.binding != "" {
			s["binding"] = d["binding"]
		}
	}
	return s
}
