package rest

import (
	"bytes"
	"cmp"
	"maps"
	"slices"
	"sync"
	"time"
)

// store holds the entities by namespace/name, actions of packages by namespace/package/name.
type store struct {
	mu       sync.RWMutex
	actions  map[string]*action
	packages map[string]*pack
	triggers map[string]*trigger
	rules    map[string]*rule
	last     int64
}

// now returns the time in milliseconds, later than at every call before, so that lists have an order.
func (s *store) now() int64 {
	s.last = max(time.Now().UnixMilli(), s.last+1)
	return s.last
}

// newest returns the entities of m for which keep holds, the last updated first.
func newest[T any](m map[string]T, keep func(T) bool, updated func(T) int64) []T {
	var found []T
	for v := range maps.Values(m) {
		if keep(v) {
			found = append(found, v)
		}
	}
	slices.SortFunc(found, func(a, b T) int { return cmp.Compare(updated(b), updated(a)) })
	return found
}

// resolve finds the action of a name, namespace/name or namespace/package/name, also through a binding; then the package's and
// the binding's parameters come with it, and the binding's name.
func (s *store) resolve(name string, segments []string) (a *action, outer keyValues, binding string) {
	if len(segments) == 2 {
		return s.actions[name], nil, ""
	}
	p := s.packages[segments[0]+"/"+segments[1]]
	if p == nil {
		return nil, nil, ""
	}
	if p.binding == nil {
		return s.actions[name], p.parameters, ""
	}
	target := p.binding.full()
	origin := s.packages[target]
	if origin == nil || origin.namespace != p.namespace && !origin.publish {
		return nil, nil, ""
	}
	return s.actions[target+"/"+segments[2]], origin.parameters.merged(p.parameters), segments[0] + "/" + segments[1]
}

// exists tells whether there is an entity of a name, of any kind: they share their names.
func (s *store) exists(full string) bool {
	return s.actions[full] != nil || s.packages[full] != nil || s.triggers[full] != nil || s.rules[full] != nil
}

// missing says why an entity is not in a collection; otherwise is what is said if there is none of this name, notFound unless set.
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

// missingAction says why there is no action of a name.
func (s *store) missingAction(segments []string) *apiError {
	if len(segments) == 3 && s.packages[segments[0]+"/"+segments[1]] != nil {
		return notFound
	}
	return s.missing(segments[0]+"/"+segments[1], nil)
}

// shared returns the code of another action that is the same, else the code itself: all functions of a composition may have one.
func (s *store) shared(code []byte) []byte {
	for _, a := range s.actions {
		if len(a.code) == len(code) && bytes.Equal(a.code, code) {
			return a.code
		}
	}
	return code
}
