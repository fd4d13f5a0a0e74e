package openwhisk

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/tppfaas/tppfaas/apps"
	"github.com/tppfaas/tppfaas/apps/action"
	"github.com/tppfaas/tppfaas/internal/whisk"
	"github.com/tppfaas/tppfaas/sampler"
)

// annotation marks the packages that a sampler has made. Its value says of which application, and when.
const annotation = "tppfaas-sampler"

// packagePrefix begins the names of these packages.
const packagePrefix = "tppfaas-"

// Deploy deploys the functions, unless all requests were sent before.
func (t *Target) Deploy(ctx context.Context, app *apps.Application) error {
	if !t.preflight || t.pack == "" {
		return errors.New("a Target begins with Begin")
	}
	if t.AllSent() {
		return nil
	}
	zip, err := packed(ctx, t.options)
	if err != nil {
		return err
	}
	timeout, err := t.timeout()
	if err != nil {
		return err
	}
	t.deployed = true // a part is enough to be removed
	t.message(fmt.Sprintf("deploying %d functions of %s, %.1f MB each, into package %s", len(app.Functions), app.Name, float64(len(zip))/1e6, t.pack))
	if err := t.putPackage(ctx, app); err != nil {
		return err
	}
	return t.putActions(ctx, app, zip, timeout)
}

// packed returns the action's zip.
func packed(ctx context.Context, o Options) ([]byte, error) {
	build := o.Executable
	if build == nil {
		build = action.Executable
	}
	executable, err := build(ctx, o.Arch)
	if err != nil {
		return nil, err
	}
	return action.Zip(executable, o.Kind)
}

// timeout returns the time limit of the actions: OpenWhisk's default, or longer if the plan has a sleep that needs it. It looks through
// the whole plan, sets planEnd, and warns if OpenWhisk will throttle the invocations.
func (t *Target) timeout() (time.Duration, error) {
	const usual, reserve = time.Minute, 30 * time.Second
	planner, err := sampler.NewPlanner(t.options.App, t.options.Config)
	if err != nil {
		return 0, err
	}
	longest, invocations := time.Duration(0), int64(0)
	t.planEnd = 0
	for r, ok := planner.Next(); ok; r, ok = planner.Next() {
		t.planEnd = r.Time
		invocations += int64(len(r.Calls))
		for _, c := range r.Calls {
			longest = max(longest, c.Sleep+time.Duration(len(c.Invokes))*apps.CallGap)
		}
	}
	perMinute := int64(float64(invocations) / max(t.planEnd.Minutes(), 1))
	if allowed := t.info.Limits.ActionsPerMinute; allowed > 0 && perMinute > allowed {
		t.message(fmt.Sprintf("OpenWhisk allows %d invocations a minute, and the plan makes %d: they will be throttled, and traces be longer for it", allowed, perMinute))
	}
	timeout := max(usual, (longest + reserve).Round(time.Second))
	if most := time.Duration(t.info.Limits.MaxActionDuration) * time.Millisecond; most > 0 && timeout > most {
		if longest >= most {
			return 0, fmt.Errorf("a function works for %v, and OpenWhisk allows %v", longest, most)
		}
		timeout = most
	}
	return timeout, nil
}

// putPackage creates the package, whose parameters its actions inherit, or updates the one of an earlier run.
func (t *Target) putPackage(ctx context.Context, app *apps.Application) error {
	parameters := map[string]any{
		"application": app.Name, "graph": action.Graph(app), "apihost": t.options.ActionAPIHost.Value, "package": t.pack,
		"collector": t.options.Collector.Value, "insecure": t.options.insecure(), "announce": t.options.Announce,
	}
	pack := whisk.Package{Name: t.pack, Annotations: whisk.KeyValues{{
		Key: annotation, Value: map[string]string{"application": app.Name, "created": time.Now().UTC().Format(time.RFC3339)},
	}}}
	if t.options.ActionAPIHost.Value == "" {
		delete(parameters, "apihost") // their containers know it
	}
	for _, name := range slices.Sorted(maps.Keys(parameters)) {
		pack.Parameters = append(pack.Parameters, whisk.KeyValue{Key: name, Value: parameters[name]})
	}
	if err := t.retry().Do(ctx, func() error { return t.client.PutPackage(ctx, pack) }); err != nil {
		return fmt.Errorf("creating package %s: %w", t.pack, err)
	}
	return nil
}

// putActions creates an action for each function, or updates those of an earlier run.
func (t *Target) putActions(ctx context.Context, app *apps.Application, zip []byte, timeout time.Duration) error {
	exec := &whisk.Exec{Kind: t.options.Kind, Code: base64.StdEncoding.EncodeToString(zip), Binary: true}
	if t.options.Kind == "blackbox" {
		exec.Image = "openwhisk/dockerskeleton"
	}
	for _, f := range app.Functions {
		a := whisk.Action{
			Name: app.DeployedName(f.Name), Exec: exec,
			Annotations: whisk.KeyValues{{Key: "provide-api-key", Value: true}},
			Parameters:  whisk.KeyValues{{Key: "function", Value: f.Name}},
			Limits:      &whisk.Limits{Timeout: timeout.Milliseconds(), Memory: t.options.MemoryMB},
		}
		if err := t.retry().Do(ctx, func() error { return t.client.PutAction(ctx, t.pack, a) }); err != nil {
			return fmt.Errorf("deploying %s, %.1f MB: %w", a.Name, float64(len(exec.Code))/1e6, err)
		}
	}
	return nil
}

// Remove removes what was deployed, by this run or the one before it.
func (t *Target) Remove(ctx context.Context) error {
	if !t.deployed && (t.journal == nil || t.journal.found == nil) {
		return nil
	}
	return t.explain(t.remove(ctx, t.pack))
}

// remove removes a package and all that is in it. That something is gone already is no error. An upload that was broken off may still
// arrive after the package's actions were listed, and then the package is not empty: it is listed again.
func (t *Target) remove(ctx context.Context, pack string) error {
	notEmpty := func(e *whisk.Error) bool { return e.Kind == whisk.Conflict }
	return whisk.Retry{Patience: t.options.Patience, Passes: notEmpty}.Do(ctx, func() error { return t.removeOnce(ctx, pack) })
}

func (t *Target) removeOnce(ctx context.Context, pack string) error {
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

// retry returns the policy for requests that may be made twice: they are repeated until patience has passed, with a message before each
// pause.
func (t *Target) retry() whisk.Retry {
	return whisk.Retry{Patience: t.options.Patience, OnPause: func(err error, pause time.Duration) {
		t.message(fmt.Sprintf("%v; trying again in %v", err, pause.Round(100*time.Millisecond)))
	}}
}
