package rest

import (
	"encoding/json"
	"fmt"
	"net/http"
)

type packSummary struct {
	Name        string    `json:"name"`
	Binding     any       `json:"binding"`
	Updated     int64     `json:"updated"`
	Namespace   string    `json:"namespace"`
	Publish     bool      `json:"publish"`
	Annotations keyValues `json:"annotations"`
	Version     string    `json:"version"`
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

func (p *pack) document() packDocument {
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
	if len(names) == 0 {
		if c.r.Method != http.MethodGet {
			c.fail(noRoute)
			return
		}
		s.store.mu.RLock()
		all := newest(s.store.packages,
			func(p *pack) bool { return p.namespace == namespace && (namespace == c.namespace || p.publish) },
			func(p *pack) int64 { return p.updated })
		s.store.mu.RUnlock()
		summaries := make([]packSummary, len(all))
		for i, p := range all {
			summaries[i] = packSummary{p.name, any(false), p.updated, p.namespace, p.publish, p.annotations, p.version}
			if p.binding != nil {
				summaries[i].Binding = p.binding
			}
		}
		list(c, "packages", summaries)
		return
	}
	full := namespace + "/" + names[0]
	switch c.r.Method {
	case http.MethodGet:
		s.getPackage(c, full)
	case http.MethodPut:
		s.putPackage(c, namespace, names[0])
	case http.MethodDelete:
		s.deletePackage(c, full)
	default:
		c.fail(noRoute)
	}
}

func (s *Server) getPackage(c *call, full string) {
	s.store.mu.RLock()
	defer s.store.mu.RUnlock()
	p := s.store.packages[full]
	if p == nil {
		c.fail(reject(http.StatusNotFound, fmt.Sprintf("The requested resource '%s' does not exist.", full)))
		return
	}
	d := p.document()
	namespace, name := p.namespace, p.name
	if p.binding != nil {
		namespace, name = p.binding.Namespace, p.binding.Name
	}
	actions, feeds := []packAction{}, []packAction{}
	for _, a := range newest(s.store.actions,
		func(a *action) bool { return a.namespace == namespace && a.pack == name },
		func(a *action) int64 { return a.updated }) {
		entry := packAction{a.annotations, a.name, a.version}
		if v, ok := a.annotations.get("feed"); ok && string(v) == "true" {
			feeds = append(feeds, entry)
		} else {
			actions = append(actions, entry)
		}
	}
	d.Actions, d.Feeds = &actions, &feeds
	c.answer(http.StatusOK, d)
}

func (s *Server) putPackage(c *call, namespace, name string) {
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
	p, err := s.mergePackage(namespace, name, overwrite, body)
	if err != nil {
		c.fail(err)
		return
	}
	c.answer(http.StatusOK, p.document())
}

func (s *Server) mergePackage(namespace, name string, overwrite bool, body map[string]json.RawMessage) (*pack, *apiError) {
	if name == "default" {
		return nil, reject(http.StatusBadRequest, "Package name 'default' is reserved.")
	}
	full := namespace + "/" + name
	p := &pack{namespace: namespace, name: name, parameters: keyValues{}, annotations: keyValues{}, version: "0.0.1"}
	s.store.mu.Lock()
	defer s.store.mu.Unlock()
	old := s.store.packages[full]
	if old != nil {
		*p = *old
		p.version = nextVersion(old.version)
	}
	if err := mergeCommon(body, &p.parameters, &p.annotations, &p.version, &p.publish, old != nil); err != nil {
		return nil, err
	}
	if err := s.checkKeyValues(p.parameters, p.annotations); err != nil {
		return nil, err
	}
	if old != nil && !overwrite {
		return nil, conflict
	}
	if raw := body["binding"]; raw != nil {
		var b bindingName
		if json.Unmarshal(raw, &b) != nil {
			return nil, malformed("binding malformed")
		}
		if b.Namespace == "_" {
			b.Namespace = namespace
		}
		if b.Name != "" {
			origin := s.store.packages[b.Namespace+"/"+b.Name]
			switch {
			case origin == nil || b.Namespace != namespace && !origin.publish:
				return nil, reject(http.StatusBadRequest, "Binding references a package that does not exist.")
			case origin.binding != nil:
				return nil, reject(http.StatusBadRequest, "Cannot bind to another package binding.")
			case old != nil && old.binding == nil:
				return nil, reject(http.StatusConflict, "Resource is a package and cannot be converted into a binding.")
			}
			p.binding = &b
			value, _ := marshal(b)
			p.annotations = p.annotations.with(keyValue{Key: "binding", Value: value})
		}
	}
	p.updated = s.store.now()
	s.store.packages[full] = p
	return p, nil
}

// mergeCommon reads what packages and triggers have in common over the values of before. Annotations of one that is there are merged
// only for actions.
func mergeCommon(body map[string]json.RawMessage, parameters, annotations *keyValues, version *string, publish *bool, update bool) *apiError {
	var err *apiError
	if raw := body["parameters"]; raw != nil {
		if *parameters, err = parseKeyValues("parameters", raw); err != nil {
			return err
		}
	}
	if raw := body["annotations"]; raw != nil {
		given, err := parseKeyValues("annotations", raw)
		if err != nil {
			return err
		}
		if !update {
			*annotations = given
		} else {
			for _, kv := range given {
				*annotations = (*annotations).with(kv)
			}
		}
	}
	if raw := body["version"]; raw != nil {
		if json.Unmarshal(raw, version) != nil || !semantic.MatchString(*version) {
			return malformed("semantic version malformed")
		}
	}
	if raw := body["publish"]; raw != nil && json.Unmarshal(raw, publish) != nil {
		return malformed("publish malformed")
	}
	return nil
}

func (s *Server) deletePackage(c *call, full string) {
	force, err := c.flag("force", false)
	if err != nil {
		c.fail(err)
		return
	}
	s.store.mu.Lock()
	defer s.store.mu.Unlock()
	p := s.store.packages[full]
	if p == nil {
		c.fail(notFound)
		return
	}
	if p.binding == nil {
		inside := newest(s.store.actions,
			func(a *action) bool { return a.namespace == p.namespace && a.pack == p.name },
			func(a *action) int64 { return a.updated })
		if len(inside) > 0 && !force {
			entities := "entity"
			if len(inside) > 1 {
				entities = "entities"
			}
			c.fail(reject(http.StatusConflict, fmt.Sprintf("Package not empty (contains %d %s). Set force param or delete package contents.", len(inside), entities)))
			return
		}
		for _, a := range inside {
			delete(s.store.actions, a.path())
			s.undeploy(a)
		}
	}
	delete(s.store.packages, full)
	c.answer(http.StatusOK, p.document())
}
