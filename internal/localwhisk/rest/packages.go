package rest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// pkg is a package, or a binding to one.
type pkg struct {
	common
	binding *bindingName // nil: a package
}

// bindingName is the name of the package that a binding is bound to.
type bindingName struct {
	Name      string `json:"name"`
	Namespace string `json:"namespace"`
}

func (b *bindingName) full() string { return b.Namespace + "/" + b.Name }

type packageSummary struct {
	Name    string `json:"name"`
	Binding any    `json:"binding"` // false if the package is no binding
	commonSummary
}

func (p *pkg) summary() any {
	d := packageSummary{p.name, false, p.commonSummary()}
	if p.binding != nil {
		d.Binding = p.binding
	}
	return d
}

type packageDocument struct {
	Actions     *[]packagedAction `json:"actions,omitempty"`
	Annotations keyValues         `json:"annotations"`
	Binding     any               `json:"binding"`
	Feeds       *[]packagedAction `json:"feeds,omitempty"`
	Name        string            `json:"name"`
	Namespace   string            `json:"namespace"`
	Parameters  keyValues         `json:"parameters"`
	Publish     bool              `json:"publish"`
	Updated     int64             `json:"updated"`
	Version     string            `json:"version"`
}

// packagedAction is an action, or a feed, in the document of its package.
type packagedAction struct {
	Annotations keyValues `json:"annotations"`
	Name        string    `json:"name"`
	Version     string    `json:"version"`
}

func (p *pkg) document(*store) any {
	d := packageDocument{
		Annotations: p.annotations, Binding: struct{}{}, Name: p.name, Namespace: p.namespace, Parameters: p.parameters,
		Publish: p.publish, Updated: p.updated, Version: p.version,
	}
	if p.binding != nil {
		d.Binding = p.binding
	}
	return d
}

// servePackages serves …/packages.
func (s *Server) servePackages(c *call, namespace string, names []string) {
	if c.r.Method == http.MethodDelete {
		if _, err := c.flag("force", false); err != nil {
			c.fail(err)
			return
		}
	}
	serveCollection(s, c, namespace, names, collection[*pkg]{
		name: "packages", all: s.store.packages, reserved: "default", check: s.store.checkBinding,
		parse: func(namespace string, body map[string]json.RawMessage) *apiError {
			if body["binding"] == nil {
				return nil
			}
			_, err := parseBinding(body["binding"], namespace)
			return err
		},
		put: func(base common, old *pkg, isNew bool, body map[string]json.RawMessage) (*pkg, *apiError) {
			return s.store.mergePackage(base, old, isNew, body["binding"])
		},
		remove:  s.emptyPackage,
		mayGet:  func(p *pkg) *apiError { return s.store.readable(c.namespace, p.full()) },
		get:     func(p *pkg) any { return s.store.contents(p) },
		visible: func(p *pkg) bool { return namespace == c.namespace || p.publish && p.binding == nil },
		missing: func(full string) *apiError {
			return reject(http.StatusNotFound, fmt.Sprintf("The requested resource '%s' does not exist.", full))
		},
	})
}

// actionsOf returns the actions of a package, or of the package that it is bound to, the last updated first. The store must be locked.
func (s *store) actionsOf(p *pkg) []*action {
	namespace, name := p.namespace, p.name
	if p.binding != nil {
		namespace, name = p.binding.Namespace, p.binding.Name
	}
	return newest(s.actions, func(a *action) bool { return a.namespace == namespace && a.pkg == name })
}

// contents returns the document of a package with its actions. A binding has the actions of the package that it is bound to, and the parameters
// of both.
func (s *store) contents(p *pkg) any {
	d := p.document(s).(packageDocument)
	if p.binding != nil {
		if origin := s.packages[p.binding.full()]; origin != nil {
			d.Parameters = origin.parameters.merged(p.parameters)
		}
	}
	actions, feeds := []packagedAction{}, []packagedAction{}
	for _, a := range s.actionsOf(p) {
		entry := packagedAction{a.annotations, a.name, a.version}
		if _, ok := a.annotations.get("feed"); ok { // whatever its value is
			feeds = append(feeds, entry)
		} else {
			actions = append(actions, entry)
		}
	}
	d.Actions, d.Feeds = &actions, &feeds
	return d
}

// mergePackage returns the package, or the binding, of a PUT request.
func (s *store) mergePackage(base common, old *pkg, isNew bool, binding json.RawMessage) (*pkg, *apiError) {
	p := &pkg{common: base}
	if !isNew {
		p.binding = old.binding
	}
	if binding != nil {
		b, err := parseBinding(binding, base.namespace)
		if err != nil {
			return nil, err
		}
		if b != nil {
			origin := s.packages[b.full()]
			switch { // checkBinding has found the package
			case !isNew && old.binding == nil:
				return nil, reject(http.StatusConflict, "Resource is a package and cannot be converted into a binding.")
			case origin.binding != nil:
				return nil, reject(http.StatusBadRequest, "Cannot bind to another package binding.")
			}
			p.binding = b
		}
	}
	p.annotations = slices.DeleteFunc(slices.Clone(p.annotations), func(kv keyValue) bool { return kv.Key == "binding" })
	if p.binding != nil {
		value, _ := marshal(p.binding)
		p.annotations = p.annotations.with(keyValue{Key: "binding", Value: value})
	}
	return p, nil
}

// readable returns an error if a caller may not read a package: one of another namespace must be public, and no binding; what a binding is bound
// to must be readable, too. The store must be locked.
func (s *store) readable(caller, full string) *apiError {
	namespace, _, _ := strings.Cut(full, "/")
	p := s.packages[full]
	switch {
	case namespace != caller && (p == nil || !p.publish || p.binding != nil):
		return notAuthorized(full)
	case namespace == caller && p == nil:
		return s.missing(full, nil)
	case p.binding != nil:
		err := s.readable(caller, p.binding.full())
		if err != nil && err.status == http.StatusForbidden {
			return notAuthorized(full)
		}
		return err
	}
	return nil
}

// checkBinding checks the binding of a request: there must be a package that the caller may read.
func (s *store) checkBinding(namespace string, body map[string]json.RawMessage) *apiError {
	if body["binding"] == nil {
		return nil
	}
	b, err := parseBinding(body["binding"], namespace)
	if err != nil || b == nil {
		return err
	}
	switch err := s.readable(namespace, b.full()); err {
	case notFound:
		return reject(http.StatusBadRequest, "Binding references a package that does not exist.")
	case elsewhere:
		return reject(http.StatusConflict, "Cannot bind to a resource that is not a package.")
	default:
		return err
	}
}

// parseBinding returns the name in a request's binding, nil for an empty one.
func parseBinding(raw json.RawMessage, namespace string) (*bindingName, *apiError) {
	var m map[string]json.RawMessage
	if json.Unmarshal(raw, &m) != nil || m == nil {
		return nil, malformed("Object expected in field 'namespace'")
	}
	if len(m) == 0 {
		return nil, nil
	}
	var b bindingName
	for _, member := range []struct {
		name string
		to   *string
	}{{"namespace", &b.Namespace}, {"name", &b.Name}} {
		value, ok := m[member.name]
		switch {
		case !ok:
			return nil, malformed("Object is missing required member '" + member.name + "'")
		case json.Unmarshal(value, member.to) != nil || *member.to != "_" && checkName(*member.to) != nil:
			return nil, malformed("entity name malformed")
		}
	}
	if b.Namespace == "_" {
		b.Namespace = namespace
	}
	return &b, nil
}

// emptyPackage deletes the actions of a package that is to be deleted. It returns an error if there are any and the request does not set force.
func (s *Server) emptyPackage(c *call, p *pkg) *apiError {
	force, err := c.flag("force", false)
	if err != nil || p.binding != nil {
		return err
	}
	actions := s.store.actionsOf(p)
	if len(actions) > 0 && !force {
		entities := "entity"
		if len(actions) > 1 {
			entities = "entities"
		}
		return reject(http.StatusConflict, fmt.Sprintf("Package not empty (contains %d %s). Set force param or delete package contents.", len(actions), entities))
	}
	for _, a := range actions {
		delete(s.store.actions, a.full())
		s.undeploy(a)
	}
	return nil
}
