package rest

import (
	"encoding/json"
	"net/http"

	"github.com/tppfaas/tppfaas/internal/localwhisk/sprayjson"
)

// common has the fields that all entities have. A stored entity is never changed; an update replaces it.
type common struct {
	namespace, name         string
	parameters, annotations keyValues
	publish                 bool
	updated                 int64
	version                 string
}

func (e *common) base() *common { return e }

// full returns the entity's name with its namespace.
func (e *common) full() string { return e.namespace + "/" + e.name }

// commonSummary has the fields at the end of a package's and a trigger's summary.
type commonSummary struct {
	Updated     int64     `json:"updated"`
	Namespace   string    `json:"namespace"`
	Publish     bool      `json:"publish"`
	Annotations keyValues `json:"annotations"`
	Version     string    `json:"version"`
}

func (e *common) commonSummary() commonSummary {
	return commonSummary{e.updated, e.namespace, e.publish, e.annotations, e.version}
}

// entity is an action, a package, a trigger or a rule.
type entity interface {
	base() *common
	// summary returns what a list shows of it.
	summary() any
	// document returns the answer to PUT and DELETE; the store is locked.
	document(*store) any
}

// collection describes a collection of packages, triggers or rules for serveCollection. The store is locked in all calls but those of post.
// Actions are served by serveActions: their names may have two parts, and their code is handled outside the lock.
type collection[E entity] struct {
	name string
	all  map[string]E
	// reserved is a name that no entity may have.
	reserved string
	// parse checks what only entities of this kind have; nil: nothing.
	parse func(namespace string, body map[string]json.RawMessage) *apiError
	// check checks to which others a request refers, before it is known whether there is an entity with this name; nil: to none.
	check func(namespace string, body map[string]json.RawMessage) *apiError
	// put returns a new entity, or the one that replaces old, for a request; base has the common fields.
	put func(base common, old E, isNew bool, body map[string]json.RawMessage) (E, *apiError)
	// remove removes what depends on an entity that is deleted, or returns an error; nil: nothing depends on it.
	remove func(c *call, e E) *apiError
	// mayGet returns an error if an entity cannot be read; nil: all can. If it is notFound, the answer is that for an entity that is missing.
	mayGet func(e E) *apiError
	// get returns the answer to GET; nil: the document.
	get func(e E) any
	// visible reports whether a list shows an entity of the namespace; nil: it shows all.
	visible func(e E) bool
	// missing returns the answer to GET if there is no entity with this name; nil: notFound.
	missing func(full string) *apiError
	// post serves POST; nil: the collection has no POST.
	post func(c *call, full string)
}

// serveCollection serves …/COLLECTION and …/COLLECTION/NAME.
func serveCollection[E entity](s *Server, c *call, namespace string, names []string, k collection[E]) {
	if len(names) == 0 {
		s.store.mu.RLock()
		all := newest(k.all, func(e E) bool { return e.base().namespace == namespace && (k.visible == nil || k.visible(e)) })
		s.store.mu.RUnlock()
		listEntities(c, k.name, all)
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
		var e E
		if e, err = lookup(&s.store, k.all, full, k.missing); err == nil && k.mayGet != nil {
			if err = k.mayGet(e); err == notFound {
				err = k.missing(full)
			}
		}
		if err == nil {
			if k.get != nil {
				answer = k.get(e)
			} else {
				answer = e.document(&s.store)
			}
		}
		s.store.mu.RUnlock()
	case method == http.MethodDelete:
		s.store.mu.Lock()
		var e E
		if e, err = lookup(&s.store, k.all, full, nil); err == nil && k.remove != nil {
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

// listEntities answers with a page of the summaries of entities.
func listEntities[E entity](c *call, collection string, all []E) {
	list(c, collection, all, func(e E) (any, bool) { return e.summary(), true })
}

// putRequest parses a PUT request: the members of its body, see fields, and the query parameter overwrite. As OpenWhisk does, it first reads
// what entities of all kinds may have, and checks its size: an error in the exec of a trigger is an error.
func (s *Server) putRequest(c *call, namespace string) (overwrite bool, body map[string]json.RawMessage, err *apiError) {
	if err = c.checkType(); err != nil {
		return false, nil, err
	}
	if body, err = fields(c.body); err != nil {
		return false, nil, err
	}
	var a action
	if raw := body["exec"]; raw != nil {
		if err := a.parseExec(raw, namespace); err != nil {
			return false, nil, err
		}
	}
	for _, l := range []struct {
		name string
		to   *keyValues
	}{{"parameters", &a.parameters}, {"annotations", &a.annotations}} {
		if raw := body[l.name]; raw != nil {
			if *l.to, err = parseKeyValues(raw); err != nil {
				return false, nil, err
			}
		}
	}
	if err = s.checkSizes(&a); err != nil {
		return false, nil, err
	}
	overwrite, err = c.flag("overwrite", false)
	return overwrite, body, err
}

// put creates or updates an entity, and returns its document.
func put[E entity](s *Server, c *call, namespace, name string, k collection[E]) (any, *apiError) {
	overwrite, body, err := s.putRequest(c, namespace)
	if err != nil {
		return nil, err
	}
	if name == k.reserved {
		return nil, reject(http.StatusBadRequest, "Package name '"+name+"' is reserved.")
	}
	if k.parse != nil {
		if err := k.parse(namespace, body); err != nil {
			return nil, err
		}
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
	if k.check != nil {
		if err := k.check(namespace, body); err != nil {
			return nil, err
		}
	}
	if err := s.store.checkPut(full, exists, overwrite); err != nil {
		return nil, err
	}
	base.updated = s.store.now()
	e, err := k.put(base, old, !exists, body)
	if err != nil {
		return nil, err
	}
	k.all[full] = e
	return e.document(&s.store), nil
}

// parse sets the fields that are in the body of a request.
func (e *common) parse(body map[string]json.RawMessage) *apiError {
	for _, l := range []struct {
		name string
		to   *keyValues
	}{{"parameters", &e.parameters}, {"annotations", &e.annotations}} {
		if raw := body[l.name]; raw != nil {
			var err *apiError
			if *l.to, err = parseKeyValues(raw); err != nil {
				return err
			}
		}
	}
	if raw := body["version"]; raw != nil {
		var text string
		version, ok := "", json.Unmarshal(raw, &text) == nil
		if ok {
			version, ok = parseVersion(text)
		}
		if !ok {
			return malformed("semantic version malformed")
		}
		e.version = version
	}
	if raw := body["publish"]; raw != nil && json.Unmarshal(raw, &e.publish) != nil {
		return malformed("Expected JsBoolean, but got " + string(sprayjson.Compact(raw)))
	}
	return nil
}
