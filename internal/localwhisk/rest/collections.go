package rest

import (
	"encoding/json"
	"net/http"
)

// common is what packages, triggers and rules have in common. An entity that is stored is never changed: another takes its place.
type common struct {
	namespace, name         string
	parameters, annotations keyValues
	publish                 bool
	updated                 int64
	version                 string
}

func (e *common) base() *common { return e }

func (e *common) full() string { return e.namespace + "/" + e.name }

// entity is a package, a trigger or a rule.
type entity interface {
	base() *common
	// summary is what a list shows, document the answer to PUT and DELETE; the store is locked.
	summary() any
	document(*store) any
}

// collection says what is particular to the entities of one kind. The store is locked in all calls but those of post.
type collection[E entity] struct {
	name string
	all  map[string]E
	// first is the member of a body that OpenWhisk looks for first.
	first string
	// put makes a new entity, or another in the place of old, from what the client sent; base has what is common to all.
	put func(base common, old E, isNew bool, body map[string]json.RawMessage) (E, *apiError)
	// remove follows the removal of an entity, or refuses it; nil: nothing does.
	remove func(c *call, e E) *apiError
	// get is the answer to GET; nil: the document.
	get func(e E) any
	// visible says which entities a list shows; nil: all of the namespace.
	visible func(e E) bool
	// missing is the answer to GET where there is no entity.
	missing func(full string) *apiError
	// post serves POST; nil: there is no such method.
	post func(c *call, full string)
}

// serveCollection serves …/NAME and …/NAME/ENTITY of a collection.
func serveCollection[E entity](s *Server, c *call, namespace string, names []string, k collection[E]) {
	if len(names) == 0 {
		if c.r.Method != http.MethodGet {
			c.fail(noRoute)
			return
		}
		s.store.mu.RLock()
		all := newest(k.all,
			func(e E) bool { return e.base().namespace == namespace && (k.visible == nil || k.visible(e)) },
			func(e E) int64 { return e.base().updated })
		summaries := make([]any, len(all))
		for i, e := range all {
			summaries[i] = e.summary()
		}
		s.store.mu.RUnlock()
		list(c, k.name, summaries, func(v any) (any, bool) { return v, true })
		return
	}
	full := namespace + "/" + names[0]
	var answer any
	var err *apiError
	switch method := c.r.Method; {
	case method == http.MethodPost && k.post != nil:
		k.post(c, full)
		return
	case method == http.MethodPut:
		answer, err = put(s, c, namespace, names[0], k)
	case method == http.MethodGet:
		s.store.mu.RLock()
		if e, ok := k.all[full]; !ok {
			err = s.store.missing(full, k.missing)
		} else if k.get != nil {
			answer = k.get(e)
		} else {
			answer = e.document(&s.store)
		}
		s.store.mu.RUnlock()
	case method == http.MethodDelete:
		s.store.mu.Lock()
		e, ok := k.all[full]
		if !ok {
			err = s.store.missing(full, nil)
		} else if k.remove != nil {
			err = k.remove(c, e)
		}
		if err == nil {
			delete(k.all, full)
			answer = e.document(&s.store)
		}
		s.store.mu.Unlock()
	default:
		err = noRoute
	}
	if err != nil {
		c.fail(err)
		return
	}
	c.answer(http.StatusOK, answer)
}

func put[E entity](s *Server, c *call, namespace, name string, k collection[E]) (any, *apiError) {
	overwrite, err := c.flag("overwrite", false)
	if err != nil {
		return nil, err
	}
	body, err := fields(c.body, k.first)
	if err != nil {
		return nil, err
	}
	full := namespace + "/" + name
	s.store.mu.Lock()
	defer s.store.mu.Unlock()
	base := common{namespace: namespace, name: name, parameters: keyValues{}, annotations: keyValues{}, version: "0.0.1"}
	old, exists := k.all[full]
	if exists {
		base = *old.base()
		base.version = nextVersion(base.version)
	}
	if err := base.parse(body); err != nil {
		return nil, err
	}
	if err := s.checkKeyValues(base.parameters, base.annotations); err != nil {
		return nil, err
	}
	if exists && !overwrite {
		return nil, conflict
	}
	if !exists && s.store.exists(full) {
		return nil, elsewhere
	}
	base.updated = s.store.now()
	e, err := k.put(base, old, !exists, body)
	if err != nil {
		return nil, err
	}
	k.all[full] = e
	return e.document(&s.store), nil
}

// parse reads what the client sent over the values of before.
func (e *common) parse(body map[string]json.RawMessage) *apiError {
	for _, l := range []struct {
		name string
		to   *keyValues
	}{{"parameters", &e.parameters}, {"annotations", &e.annotations}} {
		if raw := body[l.name]; raw != nil {
			var err *apiError
			if *l.to, err = parseKeyValues(l.name, raw); err != nil {
				return err
			}
		}
	}
	return parseVersion(body, &e.version, &e.publish)
}

// parseVersion reads a version and whether an entity is public, if they are there.
func parseVersion(body map[string]json.RawMessage, version *string, publish *bool) *apiError {
	if raw := body["version"]; raw != nil {
		if json.Unmarshal(raw, version) != nil || !semantic.MatchString(*version) {
			return malformed("semantic version malformed")
		}
	}
	if raw := body["publish"]; raw != nil && json.Unmarshal(raw, publish) != nil {
		return malformed("Expected JsBoolean, but got " + string(compact(raw)))
	}
	return nil
}
