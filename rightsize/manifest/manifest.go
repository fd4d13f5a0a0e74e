package manifest

import (
	"errors"
	"fmt"

	"github.com/tppfaas/tppfaas/rightsize"
)

// Target says whose resources are meant.
type Target struct {
	// Function is the name of a function in stack.yml, or of a workload of Kubernetes.
	Function string
	// Namespace is needed where the file has the name in several namespaces; "" is any.
	Namespace string
	// Container is needed where a workload has several containers; "" is the only one.
	Container string
}

// Resources are limits and requests as they are written, such as 64Mi and 100m; "" is none.
type Resources struct {
	MemoryLimit, CPULimit     string
	MemoryRequest, CPURequest string
}

// place is where one of the values of Resources stands below what holds them.
type place struct{ group, resource string }

// places are the values of Resources, in the order in which they are written.
var places = []place{{"limits", "memory"}, {"limits", "cpu"}, {"requests", "memory"}, {"requests", "cpu"}}

// at returns the value for a place.
func (r *Resources) at(p place) *string {
	switch p {
	case place{"limits", "memory"}:
		return &r.MemoryLimit
	case place{"limits", "cpu"}:
		return &r.CPULimit
	case place{"requests", "memory"}:
		return &r.MemoryRequest
	}
	return &r.CPURequest
}

// With returns the resources with those of o that are set in place of its own.
func (r Resources) With(o Resources) Resources {
	for _, p := range places {
		if v := *o.at(p); v != "" {
			*r.at(p) = v
		}
	}
	return r
}

// Check reports the first value that is no quantity, and a limit below its request.
func (r Resources) Check() error {
	for _, p := range places {
		if v := *r.at(p); v != "" {
			if _, err := rightsize.ParseQuantity(v); err != nil {
				return fmt.Errorf("%s of %s: %w", p.group, p.resource, err)
			}
		}
	}
	for _, resource := range []string{"memory", "cpu"} {
		limit, request := *r.at(place{"limits", resource}), *r.at(place{"requests", resource})
		if limit == "" || request == "" {
			continue
		}
		most, err1 := rightsize.ParseQuantity(limit)
		least, err2 := rightsize.ParseQuantity(request)
		if err1 == nil && err2 == nil && most < least {
			return fmt.Errorf("the limit of %s would be %s, below its request of %s", resource, limit, request)
		}
	}
	return nil
}

// Bounds of what can be meant.
const (
	leastMemory = 1 << 20 // bytes: less runs nothing
	mostCPU     = 10_000  // cores
)

// CheckMeant reports the first value that is no quantity, or can hardly be meant: of memory in m, which are thousandths of a byte, or of CPU in Mi.
func (r Resources) CheckMeant() error {
	for _, p := range places {
		v := *r.at(p)
		if v == "" {
			continue
		}
		q, err := rightsize.ParseQuantity(v)
		switch {
		case err != nil:
			return fmt.Errorf("%s of %s: %w", p.group, p.resource, err)
		case p.resource == "memory" && q < leastMemory:
			return fmt.Errorf("%s of memory: %s are %g bytes, and nothing runs in less than 1Mi", p.group, v, q)
		case p.resource == "cpu" && q > mostCPU:
			return fmt.Errorf("%s of cpu: %s are %.0f cores, and nothing has more than %d", p.group, v, q, mostCPU)
		}
	}
	return nil
}

// Change is a value that an edit changes.
type Change struct {
	Path string `json:"path"` // in the file: functions.qrcode.limits.memory
	Old  string `json:"old"`  // "" where there was none
	New  string `json:"new"`
}

// Edit is a changed file.
type Edit struct {
	Text    []byte
	Kind    string // what holds the values: "function of OpenFaaS", "Deployment"
	Changes []Change
	// Resources are those of the target afterwards.
	Resources Resources
}

// Get returns the resources of a target, and the kind of what holds them.
func Get(text []byte, t Target) (Resources, string, error) {
	s, err := parse(text)
	if err != nil {
		return Resources{}, "", err
	}
	h, err := s.find(t)
	if err != nil {
		return Resources{}, "", err
	}
	r, err := h.resources()
	return r, h.kind, err
}

// Set returns the file with the resources that are set in r as those of the target. A value that is there already as another way to write the same
// quantity stays as it is. An error says what is wrong and in which line.
func Set(text []byte, t Target, r Resources) (*Edit, error) {
	if r == (Resources{}) {
		return nil, errors.New("no limit and no request is given")
	}
	if err := r.CheckMeant(); err != nil {
		return nil, fmt.Errorf("%s: %w", t.Function, err)
	}
	s, err := parse(text)
	if err != nil {
		return nil, err
	}
	h, err := s.find(t)
	if err != nil {
		return nil, err
	}
	before, err := h.resources()
	if err != nil {
		return nil, err
	}
	e := &Edit{Text: text, Kind: h.kind, Resources: before}
	after := before.With(r)
	if err := after.Check(); err != nil {
		return nil, fmt.Errorf("%s: %w", t.Function, err)
	}
	old, err := s.flatten()
	if err != nil {
		return nil, err
	}
	for _, p := range places {
		value, was := *r.at(p), *before.at(p)
		if value == "" || sameQuantity(value, was) {
			continue
		}
		c := Change{Path: h.display(p), Old: was, New: value}
		if err := h.set(p, value); err != nil {
			return nil, err
		}
		// The next value is set in a file that is parsed anew, since places have moved.
		if s, err = parse(h.source.text); err != nil {
			return nil, fmt.Errorf("%s cannot be set without breaking the file (%w)", c.Path, err)
		}
		if h, err = s.find(t); err != nil {
			return nil, fmt.Errorf("%s cannot be set without breaking the file (%w)", c.Path, err)
		}
		*e.Resources.at(p) = value
		e.Changes = append(e.Changes, c)
	}
	if err := s.differsOnly(old, h, e); err != nil {
		return nil, err
	}
	e.Text = s.text
	return e, nil
}

// Equal reports whether both ask for the same quantities, however they are written.
func (r Resources) Equal(o Resources) bool {
	for _, p := range places {
		if a, b := *r.at(p), *o.at(p); a != b && !sameQuantity(a, b) {
			return false
		}
	}
	return true
}

// sameQuantity reports whether both are quantities, and equal.
func sameQuantity(a, b string) bool {
	x, err1 := rightsize.ParseQuantity(a)
	y, err2 := rightsize.ParseQuantity(b)
	return err1 == nil && err2 == nil && x == y
}
