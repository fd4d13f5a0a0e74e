package openwhisk

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/tppfaas/tppfaas/apps"
	"github.com/tppfaas/tppfaas/apps/action"
	"github.com/tppfaas/tppfaas/internal/whisk"
)

// annotation marks the packages that a sampler has made. Its value says of which application, and when.
const annotation = "tppfaas-sampler"

// packagePrefix is how the names of these packages begin.
const packagePrefix = "tppfaas-"

// goKind returns the server's default among its kinds of Go.
func goKind(i whisk.Info) (string, error) {
	for _, r := range i.Runtimes["go"] {
		if r.Default && !r.Deprecated {
			return r.Kind, nil
		}
	}
	return "", errors.New("OpenWhisk does not say which version of Go it runs: give the kind (-kind go:1.24, say)")
}

// hasKind reports whether the server knows a kind; one that does not list its kinds knows all.
func hasKind(i whisk.Info, kind string) bool {
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
func (t *Target) deploy(ctx context.Context, d deployment) error {
	var parameters whisk.KeyValues
	for _, name := range slices.Sorted(maps.Keys(d.parameters)) {
		parameters = append(parameters, whisk.KeyValue{Key: name, Value: d.parameters[name]})
	}
	// Actions inherit the parameters of their package.
	pack := whisk.Package{Name: d.pack, Parameters: parameters, Annotations: whisk.KeyValues{{
		Key: annotation, Value: map[string]string{"application": d.app.Name, "created": time.Now().UTC().Format(time.RFC3339)},
	}}}
	if err := t.retry().Do(ctx, func() error { return t.client.PutPackage(ctx, pack) }); err != nil {
		return fmt.Errorf("creating package %s: %w", d.pack, err)
	}
	exec := &whisk.Exec{Kind: d.kind, Code: base64.StdEncoding.EncodeToString(d.zip), Binary: true}
	if d.kind == "blackbox" {
		exec.Image = "openwhisk/dockerskeleton"
	}
	for _, f := range d.app.Functions {
		a := whisk.Action{
			Name: d.app.DeployedName(f.Name), Exec: exec,
			Annotations: whisk.KeyValues{{Key: "provide-api-key", Value: true}},
			Parameters:  whisk.KeyValues{{Key: "function", Value: f.Name}},
			Limits:      &whisk.Limits{Timeout: d.timeout.Milliseconds(), Memory: d.memoryMB},
		}
		if err := t.retry().Do(ctx, func() error { return t.client.PutAction(ctx, d.pack, a) }); err != nil {
			return fmt.Errorf("deploying %s, %.1f MB: %w", a.Name, float64(len(exec.Code))/1e6, err)
		}
	}
	return nil
}

// remove removes a package and all that is in it. That something is gone already is no error.
func (t *Target) remove(ctx context.Context, pack string) error {
	gone := func(err error) error {
		if whisk.KindOf(err) == whisk.NotFound {
			return nil
		}
		return err
	}
	var there whisk.Package
	err := t.retry().Do(ctx, func() (err error) {
		there, err = t.client.Package(ctx, pack)
		return gone(err)
	})
	for _, a := range there.Actions {
		if err != nil {
			break
		}
		err = t.retry().Do(ctx, func() error { return gone(t.client.DeleteAction(ctx, pack, a.Name)) })
	}
	if err == nil {
		err = t.retry().Do(ctx, func() error { return gone(t.client.DeletePackage(ctx, pack)) })
	}
	if err != nil {
		return fmt.Errorf("removing package %s: %w", pack, err)
	}
	return nil
}

// retry is the policy for requests that may be made twice: until patience has passed, and the user is told of each pause.
func (t *Target) retry() whisk.Retry {
	return whisk.Retry{Patience: t.options.Patience, OnPause: func(err error, pause time.Duration) {
		t.say(fmt.Sprintf("%v; trying again in %v", err, pause.Round(100*time.Millisecond)))
	}}
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
	all, err := t.client.Packages(ctx)
	if err != nil {
		return nil, t.explain(err)
	}
	var found []Leftover
	for _, p := range all {
		value, ok := p.Annotations.Get(annotation).(map[string]any)
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
	return t.explain(t.remove(ctx, pack))
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
