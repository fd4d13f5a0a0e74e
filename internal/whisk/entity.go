package whisk

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// uploadTimeout bounds the upload of an action's code, over a slow network.
const uploadTimeout = 5 * time.Minute

// KeyValue is a parameter or an annotation.
type KeyValue struct {
	Key   string `json:"key"`
	Value any    `json:"value"`
}

// KeyValues are parameters or annotations.
type KeyValues []KeyValue

// Get returns the value of a key, nil if it is not there.
func (kvs KeyValues) Get(key string) any {
	for _, kv := range kvs {
		if kv.Key == key {
			return kv.Value
		}
	}
	return nil
}

// Package is a package of actions.
type Package struct {
	Name        string    `json:"name,omitempty"`
	Annotations KeyValues `json:"annotations,omitempty"`
	// Parameters are those that its actions inherit.
	Parameters KeyValues `json:"parameters,omitempty"`
	// Actions are set by [Client.Package] only, with little more than their names.
	Actions []Action `json:"actions,omitempty"`
	// Updated is when the package was last written, in milliseconds since 1970; OpenWhisk sets it.
	Updated int64 `json:"updated,omitempty"`
}

// Action is a function that is deployed.
type Action struct {
	// Name is the name within the package.
	Name        string    `json:"name,omitempty"`
	Exec        *Exec     `json:"exec,omitempty"`
	Annotations KeyValues `json:"annotations,omitempty"`
	Parameters  KeyValues `json:"parameters,omitempty"`
	Limits      *Limits   `json:"limits,omitempty"`
}

// Exec says what an action runs.
type Exec struct {
	Kind  string `json:"kind,omitempty"`
	Image string `json:"image,omitempty"` // of a blackbox
	// Code is the source, or with Binary a zip in base64.
	Code   string `json:"code,omitempty"`
	Binary bool   `json:"binary"`
}

// Limits bound an action.
type Limits struct {
	Timeout int64 `json:"timeout,omitempty"` // ms
	Memory  int   `json:"memory,omitempty"`  // MB
}

// Packages lists all packages of the namespace.
func (c *Client) Packages(ctx context.Context) ([]Package, error) {
	return listAll(ctx, c, string(Packages), func(p *Package) string { return p.Name })
}

// listAll lists a collection page by page. Entries have names, and no two the same.
func listAll[E any](ctx context.Context, c *Client, collection string, name func(*E) string) ([]E, error) {
	const page = 200 // the most that OpenWhisk gives at once
	var all []E
	seen := map[string]bool{}
	for {
		var some []E
		r := Request{
			Method: http.MethodGet, Path: namespace + collection,
			Query: url.Values{"limit": {strconv.Itoa(page)}, "skip": {strconv.Itoa(len(all))}},
			Check: func() error {
				before := len(seen)
				for i := range some {
					if name(&some[i]) == "" {
						return errors.New("one of the " + collection + " has no name")
					}
					seen[name(&some[i])] = true
				}
				switch {
				case len(some) > page:
					return errors.New("more " + collection + " than were asked for")
				case len(some) == page && len(seen) == before: // where a gateway drops the query, this would go on for ever
					return errors.New("the same " + collection + " again")
				}
				return nil
			},
		}
		if err := c.do(ctx, r, &some); err != nil {
			return nil, err
		}
		all = append(all, some...)
		if len(some) < page {
			return all, nil
		}
	}
}

// Package returns a package with the names of its actions.
func (c *Client) Package(ctx context.Context, name string) (Package, error) {
	r, err := c.about(http.MethodGet, string(Packages), name)
	if err != nil {
		return Package{}, err
	}
	var p Package
	r.Check = func() error {
		if p.Name != name {
			return errors.New("this is not package " + name)
		}
		return nil
	}
	err = c.do(ctx, r, &p)
	return p, err
}

// PutPackage creates a package, or replaces the parameters of the one that is there.
func (c *Client) PutPackage(ctx context.Context, p Package) error {
	return c.change(ctx, http.MethodPut, string(Packages), p.Name, p)
}

// DeletePackage deletes a package, which must be empty.
func (c *Client) DeletePackage(ctx context.Context, name string) error {
	return c.change(ctx, http.MethodDelete, string(Packages), name, nil)
}

// PutAction creates an action in a package, or replaces the one that is there.
func (c *Client) PutAction(ctx context.Context, pack string, a Action) error {
	return c.change(ctx, http.MethodPut, actions, pack+"/"+a.Name, a)
}

// DeleteAction deletes an action of a package.
func (c *Client) DeleteAction(ctx context.Context, pack, name string) error {
	return c.change(ctx, http.MethodDelete, actions, pack+"/"+name, nil)
}

// Invoke invokes an action, NAME or PACKAGE/NAME, with a payload that is written as a JSON object. It does not wait for the end of the
// activation, whose id it returns.
func (c *Client) Invoke(ctx context.Context, action string, payload any) (activationID string, err error) {
	r, err := c.about(http.MethodPost, actions, action)
	if err != nil {
		return "", err
	}
	var answer struct {
		ActivationID string `json:"activationId"`
	}
	r.Query, r.Body = url.Values{"blocking": {"false"}}, payload
	r.Check = func() error {
		if answer.ActivationID == "" {
			return errors.New("it names no activation")
		}
		return nil
	}
	err = c.do(ctx, r, &answer)
	return answer.ActivationID, err
}

// Action returns an action, NAME or PACKAGE/NAME, without its code.
func (c *Client) Action(ctx context.Context, name string) (Action, error) {
	r, err := c.about(http.MethodGet, actions, name)
	if err != nil {
		return Action{}, err
	}
	var a Action
	r.Query = url.Values{"code": {"false"}}
	r.Check = func() error {
		if a.Name != name[strings.LastIndexByte(name, '/')+1:] {
			return errors.New("this is not action " + name)
		}
		return nil
	}
	err = c.do(ctx, r, &a)
	return a, err
}

// Info is what OpenWhisk says about itself.
type Info struct {
	// Runtimes are the kinds of actions by language.
	Runtimes map[string][]Runtime `json:"runtimes"`
	Limits   struct {
		MaxActionDuration int64 `json:"max_action_duration"` // ms
		ActionsPerMinute  int64 `json:"actions_per_minute"`  // invocations
	} `json:"limits"`
}

// Runtime is a kind of actions that OpenWhisk runs.
type Runtime struct {
	Kind       string `json:"kind"`
	Default    bool   `json:"default"`
	Deprecated bool   `json:"deprecated"`
}

// Info asks what the server can do, which needs no key. A gateway in front of OpenWhisk may refuse it.
func (c *Client) Info(ctx context.Context) (Info, error) {
	var i Info
	err := c.do(ctx, Request{Method: http.MethodGet, Path: "/"}, &i)
	return i, err
}

// change writes or deletes a package or an action. OpenWhisk answers with what is or was there, megabytes of code, which is not decoded.
func (c *Client) change(ctx context.Context, method, collection, name string, body any) error {
	r, err := c.about(method, collection, name)
	if err != nil {
		return err
	}
	r.Body = body
	if method == http.MethodPut {
		r.Query = url.Values{"overwrite": {"true"}}
		if collection == actions && c.server.Timeout > 0 {
			r.Timeout = max(uploadTimeout, c.server.Timeout)
		}
	}
	return c.do(ctx, r, nil)
}
