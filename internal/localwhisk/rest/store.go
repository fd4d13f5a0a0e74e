package rest

import (
	"bytes"
	"cmp"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// store holds the entities by their names, namespace/name; actions in packages by namespace/package/name.
type store struct {
	mu       sync.RWMutex
	actions  map[string]*action
	packages map[string]*pkg
	triggers map[string]*trigger
	rules    map[string]*rule
	last     int64 // returned by the last call of now
}

// now returns the time in milliseconds. Each call returns a later time, so that lists have an order.
func (s *store) now() int64 {
	s.last = max(time.Now().UnixMilli(), s.last+1)
	return s.last
}

// newest returns the entities of a collection for which keep holds, the last updated first. The store must be locked.
func newest[E entity](all map[string]E, keep func(E) bool) []E {
	var found []E
	for v := range maps.Values(all) {
		if keep(v) {
			found = append(found, v)
		}
	}
	slices.SortFunc(found, func(a, b E) int { return cmp.Compare(b.base().updated, a.base().updated) })
	return found
}

// target is the action that a name refers to.
type target struct {
	action *action   // nil: there is none
	outer  keyValues // the parameters of its package, and of the binding through which it was found
	// binding is the name of that binding, namespace/name; "" if the action was not found through one.
	binding string
}

// resolve returns the target of a name, namespace/name or namespace/package/name, where the package may be a binding. The store must be
// locked.
func (s *store) resolve(name string) target {
	packageName, actionName, inPackage := splitName(name)
	if !inPackage {
		return target{action: s.actions[name]}
	}
	p := s.packages[packageName]
	if p == nil {
		return target{}
	}
	if p.binding == nil {
		return target{action: s.actions[name], outer: p.parameters}
	}
	origin := s.packages[p.binding.full()]
	if origin == nil || origin.namespace != p.namespace && !origin.publish {
		return target{}
	}
	return target{s.actions[origin.full()+"/"+actionName], origin.parameters.merged(p.parameters), packageName}
}

// findAction returns the target of a name, or an error if there is no such action.
func (s *store) findAction(name string) (target, *apiError) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	t := s.resolve(name)
	if t.action == nil {
		return t, s.missingAction(name)
	}
	return t, nil
}

// splitName splits namespace/package/name into namespace/package and name. It returns false if the name has no package.
func splitName(full string) (packageName, name string, inPackage bool) {
	i := strings.LastIndexByte(full, '/')
	return full[:i], full[i+1:], strings.IndexByte(full[:i], '/') >= 0
}

// lookup returns an entity of one of the store's collections. If there is none it returns an error: that the name belongs to an entity of
// another collection, or otherwise, which is notFound if nil. The store must be locked.
func lookup[E entity](s *store, all map[string]E, full string, otherwise func(full string) *apiError) (E, *apiError) {
	e, ok := all[full]
	if !ok {
		return e, s.missing(full, otherwise)
	}
	return e, nil
}

// exists reports whether there is an entity of any kind with this name: all kinds share one set of names.
func (s *store) exists(full string) bool {
	return s.actions[full] != nil || s.packages[full] != nil || s.triggers[full] != nil || s.rules[full] != nil
}

// missing returns the error for a name that is not in a collection, see lookup.
func (s *store) missing(full string, otherwise func(full string) *apiError) *apiError {
	switch {
	case s.exists(full):
		return elsewhere
	case otherwise != nil:
		return otherwise(full)
	default:
		return notFound
	}
}

// missingAction returns the error for a name that is not an action's.
func (s *store) missingAction(name string) *apiError {
	if packageName, _, inPackage := splitName(name); inPackage {
		if s.packages[packageName] != nil {
			return notFound
		}
		return s.missing(packageName, nil)
	}
	return s.missing(name, nil)
}

// checkPut returns an error if an entity cannot be created or updated under this name. The store must be locked.
func (s *store) checkPut(full string, exists, overwrite bool) *apiError {
	switch {
	case exists && !overwrite:
		return conflict
	case !exists && s.exists(full):
		return elsewhere
	}
	return nil
}

// shared returns the slice of another action with the same code, otherwise the code itself: all functions of a composition may have the same.
func (s *store) shared(code []byte) []byte {
	for _, a := range s.actions {
		if len(a.code) == len(code) && bytes.Equal(a.code, code) {
			return a.code
		}
	}
	return code
}
