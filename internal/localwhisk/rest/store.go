package rest

import (
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
	target := p.binding.Namespace + "/" + p.binding.Name
	origin := s.packages[target]
	if origin == nil {
		return nil, nil, ""
	}
	outer = origin.parameters
	for _, kv := range p.parameters {
		outer = outer.with(kv)
	}
	return s.actions[target+"/"+segments[2]], outer, segments[0] + "/" + segments[1]
}
