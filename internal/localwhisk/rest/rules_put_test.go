package rest

import (
	"cmp"
	"slices"
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
		return wantError(400, "Package name 'default' is reserved.")
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
				return wantError(400, "Feed name is not valid")
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
	return wantBody(c.document(e))
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
				p.exec.components[i] = resolvedName(p.exec.components[i], c.caller)
			}
			return c.mayUse(p.exec.components)
		}
	case "packages":
		if p.binding != "" {
			p.binding = resolvedName(p.binding, c.caller)
			switch refused := c.mayRead(p.binding); {
			case refused == ruleMissing:
				return wantError(400, "Binding references a package that does not exist.") // wsk-package
			case refused == ruleElsewhere:
				return wantStatus(409)
			case refused != nil:
				return refused
			}
		}
	case "rules":
		p.trigger, p.action = resolvedName(p.trigger, c.caller), resolvedName(p.action, c.caller)
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
	return wantForbidden(strings.Join(slices.Compact(names), ", "))
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
		return c.orLimits(p, wantError(400, "exec undefined"))
	}
	if p.exec != nil && p.exec.kind == "sequence" {
		if len(p.exec.components) == 0 {
			return c.orLimits(p, wantError(400, "No component specified for the sequence."))
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
			return wantError(400, "Sequence may not refer to itself.")
		case e == nil:
			return wantError(400, "Sequence component does not exist.")
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
			return wantStatus(409)
		}
		if c.entities[p.binding].binding != "" {
			return wantStatus(400)
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
		return wantError(400, "rule requires a valid trigger and a valid action")
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
		return wantError(400, "trigger /"+e.trigger+" does not exist")
	case t.collection != "triggers":
		return wantError(400, mismatch+class[t.collection]+" did not match expected type class org.apache.openwhisk.core.entity.WhiskTrigger.")
	}
	switch a := c.entities[c.origin(e.action)]; {
	case a == nil:
		return wantError(400, "action /"+e.action+" does not exist")
	case a.collection != "actions":
		return wantError(400, mismatch+class[a.collection]+" did not match expected type class org.apache.openwhisk.core.entity.WhiskAction…")
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
