package openwhisk

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	whisk "github.com/apache/openwhisk-client-go/whisk"

	"github.com/tppfaas/tppfaas/apps"
	"github.com/tppfaas/tppfaas/apps/action"
)

// annotation marks the packages that a sampler has made. Its value says of which application, and when.
const annotation = "tppfaas-sampler"

// packagePrefix is how the names of these packages begin.
const packagePrefix = "tppfaas-"

// goKind is the server's default among its kinds of Go.
func (i info) goKind() (string, error) {
	for _, r := range i.Runtimes["go"] {
		if r.Default && !r.Deprecated {
			return r.Kind, nil
		}
	}
	return "", errors.New("OpenWhisk does not say which version of Go it runs: give the kind (-kind go:1.24, say)")
}

// has tells whether the server knows a kind; one that does not list its kinds knows all.
func (i info) has(kind string) bool {
	if kind == "blackbox" || len(i.Runtimes) == 0 {
		return true
	}
	for _, r := range i.Runtimes["go"] {
		if r.Kind == kind {
			return true
		}
	}
	return false
}

// deployment is what is deployed for a run: a package with an action for each function.
type deployment struct {
	pack       string
	app        *apps.Application
	kind       string
	zip        []byte
	memoryMB   int
	timeout    time.Duration
	parameters map[string]any // of all functions
}

// deploy creates the package, or brings what is there of it up to date.
func (c *client) deploy(ctx context.Context, d deployment, patience time.Duration, said func(string)) error {
	var parameters whisk.KeyValueArr
	for _, name := range sortedKeys(d.parameters) {
		parameters = append(parameters, whisk.KeyValue{Key: name, Value: d.parameters[name]})
	}
	// Actions inherit the parameters of their package.
	pack := &whisk.Package{Name: d.pack, Parameters: parameters, Annotations: whisk.KeyValueArr{{
		Key: annotation, Value: map[string]string{"application": d.app.Name, "created": time.Now().UTC().Format(time.RFC3339)},
	}}}
	err := again(ctx, patience, said, func() error {
		return c.do(ctx, c.timeout, func(api *whisk.Client) (*http.Response, error) {
			_, response, err := api.Packages.Insert(pack, true)
			return response, err
		})
	})
	if err != nil {
		return fmt.Errorf("creating package %s: %w", d.pack, err)
	}
	code := base64.StdEncoding.EncodeToString(d.zip)
	binary, timeout := true, int(d.timeout.Milliseconds())
	exec := &whisk.Exec{Kind: d.kind, Code: &code, Binary: &binary}
	if d.kind == "blackbox" {
		exec.Image = "openwhisk/dockerskeleton"
	}
	for _, f := range d.app.Functions {
		name := d.app.DeployedName(f.Name)
		a := &whisk.Action{
			Name: d.pack + "/" + name, Exec: exec,
			Annotations: whisk.KeyValueArr{{Key: "provide-api-key", Value: true}},
			Parameters:  whisk.KeyValueArr{{Key: "function", Value: f.Name}},
			Limits:      &whisk.Limits{Timeout: &timeout, Memory: &d.memoryMB},
		}
		err := again(ctx, patience, said, func() error {
			return c.do(ctx, uploadTimeout, func(api *whisk.Client) (*http.Response, error) {
				_, response, err := api.Actions.Insert(a, true)
				return response, err
			})
		})
		if err != nil {
			return fmt.Errorf("deploying %s, %.1f MB: %w", name, float64(len(code))/1e6, err)
		}
	}
	return nil
}

// remove removes a package and all that is in it. That something is gone already is no error.
func (c *client) remove(ctx context.Context, pack string, patience time.Duration, said func(string)) error {
	gone := func(err error) error {
		var e *Error
		if errors.As(err, &e) && e.Kind == NotFound {
			return nil
		}
		return err
	}
	var there *whisk.Package
	err := again(ctx, patience, said, func() error {
		return gone(c.do(ctx, c.timeout, func(api *whisk.Client) (response *http.Response, err error) {
			there, response, err = api.Packages.Get(pack)
			return response, err
		}))
	})
	if err == nil && there != nil {
		for _, a := range there.Actions {
			name := pack + "/" + a.Name
			err = errors.Join(err, again(ctx, patience, said, func() error {
				return gone(c.do(ctx, c.timeout, func(api *whisk.Client) (*http.Response, error) { return api.Actions.Delete(name) }))
			}))
			if err != nil {
				break
			}
		}
	}
	if err == nil {
		err = again(ctx, patience, said, func() error {
			return gone(c.do(ctx, c.timeout, func(api *whisk.Client) (*http.Response, error) { return api.Packages.Delete(pack) }))
		})
	}
	if err != nil {
		return fmt.Errorf("removing package %s: %w", pack, err)
	}
	return nil
}

// Leftover is a package that a sampler has deployed and not removed: its run goes on, or was killed.
type Leftover struct {
	// Package is the package's name, Application that of the application.
	Package, Application string
	// Created is when it was deployed.
	Created time.Time
}

// Leftovers lists what samplers have deployed and not removed, the oldest first.
func (t *Target) Leftovers(ctx context.Context) ([]Leftover, error) {
	all, err := t.client.packages(ctx)
	if err != nil {
		return nil, t.explain(err)
	}
	var found []Leftover
	for _, p := range all {
		value, ok := p.Annotations.GetValue(annotation).(map[string]any)
		if !ok || !strings.HasPrefix(p.Name, packagePrefix) {
			continue
		}
		l := Leftover{Package: p.Name, Created: time.UnixMilli(p.Updated)}
		l.Application, _ = value["application"].(string)
		if text, ok := value["created"].(string); ok {
			if at, err := time.Parse(time.RFC3339, text); err == nil {
				l.Created = at
			}
		}
		found = append(found, l)
	}
	slices.SortFunc(found, func(a, b Leftover) int { return a.Created.Compare(b.Created) })
	return found, nil
}

// RemoveLeftover removes a package with all that is in it.
func (t *Target) RemoveLeftover(ctx context.Context, pack string) error {
	return t.explain(t.client.remove(ctx, pack, t.options.Patience, t.say))
}

// packed returns the action's zip.
func packed(ctx context.Context, o Options, kind string) ([]byte, error) {
	build := o.Executable
	if build == nil {
		build = action.Executable
	}
	executable, err := build(ctx, o.Arch)
	if err != nil {
		return nil, err
	}
	return action.Zip(executable, kind)
}
