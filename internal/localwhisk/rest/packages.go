package rest

import (
	"encoding/json"
	"fmt"
	"net/http"
)

// pack is a package, or a binding to one.
type pack struct {
	common
	binding *bindingName
}

type bindingName struct {
	Name      string `json:"name"`
	Namespace string `json:"namespace"`
}

func (b *bindingName) full() string { return b.Namespace + "/" + b.Name }

type packSummary struct {
	Name        string    `json:"name"`
	Binding     any       `json:"binding"`
	Updated     int64     `json:"updated"`
	Namespace   string    `json:"namespace"`
	Publish     bool      `json:"publish"`
	Annotations keyValues `json:"annotations"`
	Version     string    `json:"version"`
}

func (p *pack) summary() any {
	d := packSummary{p.name, false, p.updated, p.namespace, p.publish, p.annotations, p.version}
	if p.binding != nil {
		d.Binding = p.binding
	}
	return d
}

type packDocument struct {
	Actions     *[]packAction `json:"actions,omitempty"`
	Annotations keyValues     `json:"annotations"`
	Binding     any           `json:"binding"`
	Feeds       *[]packAction `json:"feeds,omitempty"`
	Name        string        `json:"name"`
	Namespace   string        `json:"namespace"`
	Parameters  keyValues     `json:"parameters"`
	Publish     bool          `json:"publish"`
	Updated     int64         `json:"updated"`
	Version     string        `json:"version"`
}

type packAction struct {
	Annotations keyValues `json:"annotations"`
	Name        string    `json:"name"`
	Version     string    `json:"version"`
}

func (p *pack) document(*store) any {
	d := packDocument{
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
	if len(names) == 1 && names[0] == "default" && c.r.Method == http.MethodPut {
		c.fail(reject(http.StatusBadRequest, "Package name 'default' is reserved."))
		return
	}
	serveCollection(s, c, namespace, names, collection[*pack]{
		name: "packages", all: s.store.packages, first: "binding",
		put: func(base common, old *pack, isNew bool, body map[string]json.RawMessage) (*pack, *apiError) {
			return s.store.mergePackage(c.namespace, base, old, isNew, body["binding"])
		},
		remove:  s.emptyPackage,
		get:     func(p *pack) any { return s.store.contents(p) },
		visible: func(p *pack) bool { return namespace == c.namespace || p.publish },
		missing: func(full string) *apiError {
			return reject(http.StatusNotFound, fmt.Sprintf("The requested resource '%s' does not exist.", full))
		},
	})
}

// inside returns the actions of a package, the last updated first.
func (s *store) inside(namespace, name string) []*action {
	return newest(s.actions,
		func(a *action) bool { return a.namespace == namespace && a.pack == name },
		func(a *action) int64 { return a.updated })
}

// contents is the document of a package with its actions; a binding has those of the package that it is bound to, and the
// parameters of both.
func (s *store) contents(p *pack) any {
	d := p.document(s).(packDocument)
	namespace, name := p.namespace, p.name
	if p.binding != nil {
		namespace, name = p.binding.Namespace, p.binding.Name
		if origin := s.packages[p.binding.full()]; origin != nil {
			d.Parameters = origin.parameters.merged(p.parameters)
		}
	}
	actions, feeds := []packAction{}, []packAction{}
	for _, a := range s.inside(namespace, name) {
		entry := packAction{a.annotations, a.name, a.version}
		if v, ok := a.annotations.get("feed"); ok && string(v) == "true" {
			feeds = append(feeds, entry)
		} else {
			actions = append(actions, entry)
		}
	}
	d.Actions, d.Feeds = &actions, &feeds
	return d
}

func (s *store) mergePackage(caller string, base common, old *pack, isNew bool, binding json.RawMessage) (*pack, *apiError) {
	p := &pack{common: base}
	if !isNew {
		p.binding = old.binding
	}
	if binding != nil {
		var b bindingName
		if json.Unmarshal(binding, &b) != nil {
			return nil, malformed("binding malformed")
		}
		if b.Namespace == "_" {
			b.Namespace = base.namespace
		}
		if b.Name != "" {
			origin := s.packages[b.full()]
			switch {
			case origin == nil && s.exists(b.full()):
				return nil, reject(http.StatusConflict, "Cannot bind to a resource that is not a package.")
			case origin == nil || b.Namespace != caller && !origin.publish:
				return nil, reject(http.StatusBadRequest, "Binding references a package that does not exist.")
			case !isNew && old.binding == nil:
				return nil, reject(http.StatusConflict, "Resource is a package and cannot be converted into a binding.")
			case origin.binding != nil:
				return nil, reject(http.StatusBadRequest, "Cannot bind to another package binding.")
			}
			p.binding = &b
		}
	}
	if p.binding != nil {
		value, _ := marshal(p.binding)
		p.annotations = p.annotations.with(keyValue{Key: "binding", Value: value})
	}
	return p, nil
}

// emptyPackage takes the actions out of a package that is to be removed, if the client has said so.
func (s *Server) emptyPackage(c *call, p *pack) *apiError {
	force, err := c.flag("force", false)
	if err != nil || p.binding != nil {
		return err
	}
	inside := s.store.inside(p.namespace, p.name)
	if len(inside) > 0 && !force {
		entities := "entity"
		if len(inside) > 1 {
			entities = "entities"
		}
		return reject(http.StatusConflict, fmt.Sprintf("Package not empty (contains %d %s). Set force param or delete package contents.", len(inside), entities))
	}
	for _, a := range inside {
		delete(s.store.actions, a.path())
		s.undeploy(a)
	}
	return nil
}
