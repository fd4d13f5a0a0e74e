package rest

import (
	"cmp"
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// put creates or updates an entity of the caller.
func (c *rulesCall) put(collection, full string) *rulesAnswer {
	var p rulesPut
	body, wrong := c.decoded()
	if wrong != nil {
		return wrong
	}
	object, wrong := p.readCommon(body)
	if wrong != nil {
		return wrong
	}
	overwrite, wrong := c.flag("overwrite", false)
	if wrong != nil {
		return wrong
	}
	if collection == "packages" && strings.HasSuffix(full, "/default") && strings.Count(full, "/") == 1 {
		return fails(400, "Package name 'default' is reserved.")
	}
	if wrong := p.readOwn(collection, object); wrong != nil {
		return wrong
	}
	// What the body refers to must be the caller's or public before it is looked at what there is.
	if wrong := c.references(collection, &p); wrong != nil {
		return c.orLimits(&p, wrong)
	}
	old := c.entities[full]
	switch {
	case old != nil && old.collection != collection:
		return c.orLimits(&p, ruleElsewhere)
	case old != nil && !overwrite:
		return c.orLimits(&p, ruleExists)
	}
	i := strings.LastIndexByte(full, '/')
	e := &rulesEntity{collection: collection, path: full[:i], name: full[i+1:], version: rulesVersion{0, 0, 1}, updated: &rulesStamp{}}
	if old != nil {
		*e = *old
		e.updated = &rulesStamp{}
		e.version[2]++
	}
	if p.version != nil {
		e.version = *p.version
	}
	if p.publish != nil {
		e.publish = *p.publish
	}
	if p.parameters != nil && collection != "rules" {
		e.parameters = *p.parameters
	}
	if p.annotations != nil && collection != "actions" {
		e.annotations = *p.annotations
	}
	switch collection {
	case "actions":
		wrong = c.putAction(e, old, &p)
	case "triggers":
		if i := e.annotations.index("feed"); i >= 0 && old == nil {
			if _, wrong := qualifiedName(e.annotations.list[i].value); wrong != nil && wrong.err != oneSegment.err {
				return fails(400, "Feed name is not valid")
			}
		}
	case "packages":
		wrong = c.putPackage(e, old, &p)
	case "rules":
		wrong = c.putRule(e, old, &p)
	}
	if wrong != nil {
		return wrong
	}
	c.changes++
	e.order = c.changes
	c.entities[full] = e
	return answers(c.document(e))
}

// orLimits adds that the limits of an action may be checked earlier.
func (c *rulesCall) orLimits(p *rulesPut, answer *rulesAnswer) *rulesAnswer {
	if p.limitsWrong == nil {
		return answer
	}
	alternative := *answer
	alternative.or = p.limitsWrong
	return &alternative
}

// references resolves the names in a body, and returns an error if they are not the caller's (differences: /other/x, /other/rt).
func (c *rulesCall) references(collection string, p *rulesPut) *rulesAnswer {
	switch collection {
	case "actions":
		if p.exec != nil {
			for i := range p.exec.components {
				p.exec.components[i] = resolved(p.exec.components[i], c.caller)
			}
			return c.mayUse(p.exec.components)
		}
	case "packages":
		if p.binding != "" {
			p.binding = resolved(p.binding, c.caller)
			switch refused := c.mayRead(p.binding); {
			case refused == ruleMissing:
				return fails(400, "Binding references a package that does not exist.") // wsk-package
			case refused == ruleElsewhere:
				return status(409)
			case refused != nil:
				return refused
			}
		}
	case "rules":
		p.trigger, p.action = resolved(p.trigger, c.caller), resolved(p.action, c.caller)
		var foreign []string
		if p.trigger != "" && !strings.HasPrefix(p.trigger, c.caller+"/") {
			foreign = append(foreign, p.trigger)
		}
		if p.action == "" {
			return forbiddenAll(foreign)
		}
		return c.mayUse([]string{p.action}, foreign...)
	}
	return nil
}

func forbiddenAll(names []string) *rulesAnswer {
	if len(names) == 0 {
		return nil
	}
	slices.Sort(names)
	return forbidden(strings.Join(slices.Compact(names), ", "))
}

// mayUse returns an error if the caller may not use actions: those in packages must be in one that may be read. It also names what is foreign.
func (c *rulesCall) mayUse(actions []string, foreign ...string) *rulesAnswer {
	for _, name := range actions {
		segments := strings.Split(name, "/")
		if len(segments) == 2 {
			if segments[0] != c.caller {
				foreign = append(foreign, name)
			}
			continue
		}
		// Of a longer name the last but one is the package (differences: /_/p/q/r is 404, for there is no q).
		if refused := c.mayRead(segments[0] + "/" + segments[len(segments)-2]); refused != nil {
			return refused
		}
	}
	return forbiddenAll(foreign)
}

// putAction updates an action.
func (c *rulesCall) putAction(e, old *rulesEntity, p *rulesPut) *rulesAnswer {
	if p.exec == nil && old == nil {
		return c.orLimits(p, fails(400, "exec undefined"))
	}
	if p.exec != nil && p.exec.kind == "sequence" {
		if len(p.exec.components) == 0 {
			return c.orLimits(p, fails(400, "No component specified for the sequence."))
		}
		if wrong := c.checkComponents(e.full(), p.exec.components); wrong != nil {
			return c.orLimits(p, wrong)
		}
	}
	if p.limitsWrong != nil {
		return p.limitsWrong
	}
	wasSequence := old != nil && old.exec.kind == "sequence"
	if p.exec != nil {
		e.exec = p.exec
	}
	switch { // raw-update-semantics: parameters are replaced; those of a sequence are its components (wsk-sequence)
	case e.exec.kind == "sequence":
		var components []any
		for _, name := range e.exec.components {
			components = append(components, "/"+name)
		}
		e.parameters = oneKV("_actions", components)
	case p.parameters != nil:
		e.parameters = *p.parameters
	case wasSequence:
		e.parameters = rulesKVs{}
	}
	limits := defaultLimits()
	if old != nil {
		limits = old.limits // those that are not given are kept
	}
	e.limits = withLimits(limits, p.limits)
	for _, name := range p.delAnnotations { // raw-update-semantics: annotations are merged, unless they are deleted
		e.annotations = e.annotations.without(name)
	}
	if p.annotations != nil {
		e.annotations = e.annotations.with(*p.annotations)
	}
	if old == nil && e.annotations.index("provide-api-key") < 0 {
		e.annotations = e.annotations.with(oneKV("provide-api-key", false))
	}
	e.annotations = e.annotations.with(oneKV("exec", e.exec.kind)) // it replaces the client's (raw-bad-bodies[38])
	return nil
}

// origin returns the full name of an action that is named through a binding; "" if there is no such package.
func (c *rulesCall) origin(name string) string {
	segments := strings.Split(name, "/")
	if len(segments) == 2 {
		return name
	}
	i := strings.LastIndexByte(name, '/')
	p := c.entities[name[:i]]
	if p == nil || p.collection != "packages" {
		return ""
	}
	if p.binding != "" {
		c.unsure = c.unsure || c.entities[p.binding] != nil && c.entities[p.binding].binding != ""
		return p.binding + name[i:]
	}
	return name
}

// checkComponents returns an error if an action of a sequence is not there or leads back to the sequence (wsk-sequence).
func (c *rulesCall) checkComponents(sequence string, components []string) *rulesAnswer {
	for _, name := range components {
		full := c.origin(name)
		e := c.entities[full]
		switch {
		case full == sequence:
			if full != name {
				c.unsure = true
			}
			return fails(400, "Sequence may not refer to itself.")
		case e == nil:
			return fails(400, "Sequence component does not exist.")
		case e.collection != "actions":
			return ruleElsewhere
		case e.exec.kind == "sequence":
			if wrong := c.checkComponents(sequence, e.exec.components); wrong != nil {
				return wrong
			}
		}
	}
	return nil
}

// putPackage updates a package or a binding.
func (c *rulesCall) putPackage(e, old *rulesEntity, p *rulesPut) *rulesAnswer {
	if p.binding != "" {
		if old != nil && old.binding == "" {
			return status(409)
		}
		if c.entities[p.binding].binding != "" {
			return status(400)
		}
		e.binding = p.binding
	}
	e.annotations = e.annotations.without("binding")
	if e.binding != "" {
		e.annotations = e.annotations.with(oneKV("binding", bindingDocument(e.binding)))
	}
	return nil
}

// putRule updates a rule and its triggers.
func (c *rulesCall) putRule(e, old *rulesEntity, p *rulesPut) *rulesAnswer {
	if old == nil && (p.trigger == "" || p.action == "") {
		return fails(400, "rule requires a valid trigger and a valid action")
	}
	active := true
	if old != nil {
		var known bool
		if active, known = c.ruleStatus(old); !known {
			c.unsure = true
			return nil
		}
	}
	e.trigger, e.action = cmp.Or(p.trigger, e.trigger), cmp.Or(p.action, e.action)
	const mismatch = "document type class org.apache.openwhisk.core.entity."
	class := map[string]string{"actions": "WhiskAction", "packages": "WhiskPackage", "rules": "WhiskRule", "triggers": "WhiskTrigger"}
	switch t := c.entities[e.trigger]; { // wsk-trigger-rule, differences
	case t == nil:
		return fails(400, "trigger /"+e.trigger+" does not exist")
	case t.collection != "triggers":
		return fails(400, mismatch+class[t.collection]+" did not match expected type class org.apache.openwhisk.core.entity.WhiskTrigger.")
	}
	switch a := c.entities[c.origin(e.action)]; {
	case a == nil:
		return fails(400, "action /"+e.action+" does not exist")
	case a.collection != "actions":
		return fails(400, mismatch+class[a.collection]+" did not match expected type class org.apache.openwhisk.core.entity.WhiskAction…")
	}
	if old != nil && old.trigger != e.trigger {
		if t := c.entities[old.trigger]; t != nil {
			delete(t.links, e.full())
		}
	}
	c.link(e, active)
	return nil
}

// link writes a rule into its trigger, where its status is kept.
func (c *rulesCall) link(r *rulesEntity, active bool) {
	t := c.entities[r.trigger]
	if t.links == nil {
		t.links = map[string]rulesLink{}
	}
	t.hadLinks = true
	t.links[r.full()] = rulesLink{r.action, active}
}

// ruleStatus reports whether a rule is active. It is not when its trigger does not know it: when that was deleted, even if there is another now.
// What holds if its name belongs to an entity of another kind the rules do not say.
func (c *rulesCall) ruleStatus(r *rulesEntity) (active, known bool) {
	t := c.entities[r.trigger]
	if t == nil {
		return false, true
	}
	return t.links[r.full()].active, t.collection == "triggers"
}

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
		return answers(d)
	})
}

// getPackage reads a package with its actions, a binding with those of its package and its parameters (wsk-package).
func (c *rulesCall) getPackage(full string) *rulesAnswer {
	switch refused := c.mayRead(full); {
	case refused == ruleMissing:
		return fails(404, "The requested resource '"+full+"' does not exist.")
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
	return answers(d)
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
				return fails(409, "Package not empty (contains "+strconv.Itoa(len(inside))+" "+entities+"). Set force param or delete package contents.")
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
		return answers(d)
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
		return status(204)
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
			return status(404)
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
					return fails(400, "Request defines parameters that are not allowed (e.g., reserved properties).")
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
			return status(200)
		}
		params := map[string]any{}
		for _, kv := range parameters.list {
			if !kv.init {
				params[kv.key] = kv.value
			}
		}
		maps.Copy(params, payload)
		return answers(map[string]any{"greeting": anything{}, "n": anything{}, "params": params})
	})
}

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
				rules[name] = map[string]any{"action": nameDocument(l.action), "status": activity(l.active)}
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
		d["action"], d["trigger"], d["status"] = nameDocument(e.action), nameDocument(e.trigger), activity(active)
	}
	return d
}

func activity(active bool) string {
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
