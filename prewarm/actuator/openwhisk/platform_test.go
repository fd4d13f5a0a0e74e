package openwhisk

import (
	"context"
	"encoding/base64"
	"encoding/csv"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tppfaas/tppfaas/apps"
	"github.com/tppfaas/tppfaas/apps/action"
	"github.com/tppfaas/tppfaas/internal/localwhisk/container"
	"github.com/tppfaas/tppfaas/internal/localwhisk/rest"
	"github.com/tppfaas/tppfaas/internal/testbin"
	"github.com/tppfaas/tppfaas/internal/whisk"
	"github.com/tppfaas/tppfaas/prewarm/actuator"
	"github.com/tppfaas/tppfaas/prewarm/actuator/guard"
)

// gated is a Runtime whose containers start when they are let through.
type gated struct {
	container.Runtime
	gate chan struct{} // lets one start through for each value; nil: all at once

	mu      sync.Mutex
	started int
	changed chan struct{} // signals that a start has begun
}

func (g *gated) Start(ctx context.Context, memoryMB int) (container.Container, error) {
	g.mu.Lock()
	g.started++
	g.mu.Unlock()
	g.changed <- struct{}{}
	if g.gate != nil {
		select {
		case <-g.gate:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return g.Runtime.Start(ctx, memoryMB)
}

// starts returns how many starts have begun.
func (g *gated) starts() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.started
}

// local is the platform of this project in real time with the functions of an application, whose containers are processes.
type local struct {
	t        *testing.T
	server   *rest.Server
	runtime  *gated
	client   *whisk.Client
	actuator *Actuator
	app      *apps.Application
}

const function = "sequence-dev-f1"

func newLocal(t *testing.T, memoryMB int, gate chan struct{}) *local {
	t.Helper()
	processes, err := container.NewProcessRuntime(container.Options{Dir: t.TempDir()})
	if err != nil {
		t.Skip(err)
	}
	p := &local{t: t, runtime: &gated{Runtime: processes, gate: gate, changed: make(chan struct{}, 1000)}}
	p.server, err = rest.Start(t.Context(), rest.Options{Runtime: p.runtime, MemoryMB: memoryMB, InstantRecords: true})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.server.Close()) })
	base, err := whisk.ParseAddress(p.server.URL())
	require.NoError(t, err)
	web := whisk.NewHTTPClient(false, 32)
	t.Cleanup(web.CloseIdleConnections)
	p.client, err = whisk.New(whisk.Options{Base: base, Key: p.server.Auth(), HTTP: web, Timeout: time.Minute})
	require.NoError(t, err)
	file, err := testbin.Path("apps/action/cmd/action")
	require.NoError(t, err)
	program, err := os.ReadFile(file)
	require.NoError(t, err)
	zip, err := action.Zip(program, "go:1.20")
	require.NoError(t, err)
	p.app, err = apps.Load("sequence")
	require.NoError(t, err)
	require.NoError(t, p.client.PutPackage(t.Context(), whisk.Package{Name: "p"}))
	require.NoError(t, p.client.PutAction(t.Context(), "p", whisk.Action{
		Name: function, Exec: &whisk.Exec{Kind: "go:1.20", Code: base64.StdEncoding.EncodeToString(zip), Binary: true}, Limits: &whisk.Limits{Memory: 256},
		Parameters: whisk.KeyValues{
			{Key: "application", Value: p.app.Name}, {Key: "graph", Value: action.Graph(p.app)}, {Key: "function", Value: "f1"}, {Key: "apihost", Value: p.server.URL()},
		},
		Annotations: whisk.KeyValues{{Key: "provide-api-key", Value: true}},
	}))
	p.actuator, err = New(Options{APIHost: p.server.URL(), Key: p.server.Auth(), Package: "p", Linger: 300 * time.Millisecond})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.actuator.Close(context.Background())) })
	return p
}

// run runs the function, which sleeps for some time and invokes nothing, and returns its record.
func (p *local) run(sleep time.Duration) whisk.Outcome {
	payload := map[string]any{"calls": []any{map[string]any{"f": p.app.Index("f1"), "sleep_ms": sleep.Milliseconds()}}}
	o, err := p.client.InvokeBlocking(p.t.Context(), "p/"+function, payload, time.Minute)
	if err != nil || !o.Ended || o.Error != "" {
		p.t.Errorf("%+v, %v", o, err)
	}
	return o
}

// runs runs the function so many times at once.
func (p *local) runs(n int) []whisk.Outcome {
	all := make([]whisk.Outcome, n)
	var running sync.WaitGroup
	for i := range all {
		running.Go(func() { all[i] = p.run(300 * time.Millisecond) })
	}
	running.Wait()
	return all
}

// settled waits until no container is busy: one is for some time after the answer, until its logs are collected.
func (p *local) settled(id string) {
	p.t.Helper()
	require.Eventually(p.t, func() bool {
		_, err := p.client.Activation(p.t.Context(), id)
		return err == nil
	}, time.Minute, time.Millisecond)
}

func (p *local) warm(n, idle int) []actuator.Result {
	p.t.Helper()
	results, err := p.actuator.Act(p.t.Context(), actuator.Command{Kind: actuator.Warm, Function: function, N: n, Idle: idle})
	require.NoError(p.t, err)
	return results
}

func count(results []actuator.Result, o actuator.Outcome) (n int) {
	for _, r := range results {
		if r.Outcome == o {
			n++
		}
	}
	return n
}

func cold(outcomes []whisk.Outcome) (n int) {
	for _, o := range outcomes {
		if o.Cold {
			n++
		}
	}
	return n
}

// TestWarmsContainers checks on the platform in real time that N overlapping warm-ups make N containers, that the runs which follow take them, and
// that none of them is cold.
func TestWarmsContainers(t *testing.T) {
	p := newLocal(t, 2048, nil)
	mb, err := p.actuator.MemoryMB(t.Context(), function)
	require.NoError(t, err)
	require.Equal(t, 256, mb)
	results := p.warm(3, 0)
	require.Equal(t, 3, count(results, actuator.Created))
	instances := map[string]bool{}
	for _, r := range results {
		instances[r.Instance] = true
	}
	require.Len(t, instances, 3)
	require.Equal(t, 3, p.runtime.starts())
	require.Eventually(t, func() bool {
		records, _, err := p.client.ListActivations(t.Context(), whisk.ListOptions{Limit: 10})
		return err == nil && len(records) == 3
	}, time.Minute, time.Millisecond, "they are idle when their logs are collected")
	require.Zero(t, cold(p.runs(3)))
	require.Equal(t, 3, p.runtime.starts())
}

// TestCollapses checks that a warm-up is run by a container that is idle, says so, and makes none; and that one more is made where it is known how
// many are idle.
func TestCollapses(t *testing.T) {
	p := newLocal(t, 2048, nil)
	first := p.run(0)
	require.True(t, first.Cold)
	p.settled(first.ActivationID)
	results := p.warm(1, 0)
	require.Equal(t, 1, count(results, actuator.Collapsed))
	require.Equal(t, 1, p.runtime.starts())
	require.Eventually(t, func() bool {
		before := p.runtime.starts()
		return count(p.warm(2, before), actuator.Created) == 2 && p.runtime.starts() == before+2
	}, time.Minute, time.Millisecond, "an idle container counts as busy until its logs are collected")
}

// TestRenews checks that a renewal is run by each of the containers that are idle and makes none, and that it makes one where none is idle.
func TestRenews(t *testing.T) {
	p := newLocal(t, 2048, nil)
	renew := func(n int) []actuator.Result {
		results, err := p.actuator.Act(t.Context(), actuator.Command{Kind: actuator.Renew, Function: function, N: n, There: n, Idle: n})
		require.NoError(t, err)
		require.Len(t, results, n)
		return results
	}
	require.Equal(t, 1, count(renew(1), actuator.Created), "none was idle")
	idle := func(n int) {
		require.Eventually(t, func() bool {
			records, _, err := p.client.ListActivations(t.Context(), whisk.ListOptions{Limit: 50})
			return err == nil && len(records) == n
		}, time.Minute, time.Millisecond, "they are idle when their logs are collected")
	}
	idle(1)
	require.Equal(t, 1, count(renew(1), actuator.Collapsed))
	idle(2)
	require.Equal(t, 2, count(p.warm(2, 1), actuator.Created))
	idle(5)
	made := p.runtime.starts()
	require.Equal(t, 3, made)
	results := renew(3)
	require.Equal(t, 3, count(results, actuator.Collapsed))
	instances := map[string]bool{}
	for _, r := range results {
		instances[r.Instance] = true
	}
	require.Len(t, instances, 3)
	require.Equal(t, made, p.runtime.starts())
}

// TestLateIsWasted checks that an invocation which comes while a container is being warmed does not wait for that: it has a container of its own, as
// an OpenWhisk gives it one, and the warmed one stays unused.
func TestLateIsWasted(t *testing.T) {
	gate := make(chan struct{})
	p := newLocal(t, 2048, gate)
	warmed := make(chan []actuator.Result, 1)
	go func() {
		results, err := p.actuator.Act(t.Context(), actuator.Command{Kind: actuator.Warm, Function: function, N: 1})
		if err != nil {
			t.Error(err)
		}
		warmed <- results
	}()
	<-p.runtime.changed // its container is being started
	ran := make(chan whisk.Outcome, 1)
	go func() { ran <- p.run(0) }()
	<-p.runtime.changed // and another one
	close(gate)
	require.True(t, (<-ran).Cold)
	require.Equal(t, 1, count(<-warmed, actuator.Created))
	require.Equal(t, 2, p.runtime.starts())
}

// timings returns the recorded activations of a set, as the columns by name.
func timings(t *testing.T, set string) []map[string]string {
	t.Helper()
	path := filepath.Join("../../../../shared/reference/openwhisk/timings.csv")
	f, err := os.Open(path)
	if err != nil {
		t.Skipf("there are no recordings of an OpenWhisk: %v", err)
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	require.NoError(t, err)
	var all []map[string]string
	for _, row := range rows[1:] {
		m := map[string]string{}
		for i, name := range rows[0] {
			m[name] = row[i]
		}
		if m["set"] == set {
			all = append(all, m)
		}
	}
	require.NotEmpty(t, all, set)
	return all
}

// TestAsRecorded checks that what decides about warm-ups is as it was recorded on an OpenWhisk of 1 GB: of twelve overlapping invocations of one action
// of 256 MB four have containers made for them, and all others wait for these, whether there were containers before or not; none is made for
// what comes when one is idle.
func TestAsRecorded(t *testing.T) {
	recorded := func(set string) (made int) {
		for _, row := range timings(t, set) {
			if row["init_ms"] != "" {
				made++
			}
		}
		return made
	}
	require.Equal(t, 4, recorded("mem-12par-same-2s-empty-1g"))
	require.Zero(t, recorded("mem-12par-same-2s-warm-1g"))
	require.Zero(t, recorded("mem-12par-same-2s-blocking-1g"))
	require.Zero(t, recorded("warm-blocking-gap200"), "one after the other, with some time in between")

	p := newLocal(t, 1024, nil)
	results := p.warm(12, 0)
	require.Equal(t, 4, count(results, actuator.Created))
	require.Equal(t, 8, count(results, actuator.Collapsed))
	results = p.warm(12, 0)
	require.Equal(t, 12, count(results, actuator.Collapsed))
	require.Equal(t, 4, p.runtime.starts())
	slices.SortFunc(results, func(a, b actuator.Result) int { return a.Ready.Compare(b.Ready) })
	waves := results[8].Ready.Sub(results[8].Asked)
	require.GreaterOrEqual(t, waves, 900*time.Millisecond, "the ninth waits for two others, each of which lingers for 300 ms")
}

// TestNotInstrumented checks that a function that does not know warm-ups is run once, and not again.
func TestNotInstrumented(t *testing.T) {
	p := newLocal(t, 1024, nil)
	require.NoError(t, p.client.PutAction(t.Context(), "p", whisk.Action{
		Name: "plain", Exec: &whisk.Exec{Kind: "blackbox", Image: "openwhisk/dockerskeleton", Code: plain(t), Binary: true},
	}))
	c := actuator.Command{Kind: actuator.Warm, Function: "plain", N: 1}
	_, err := p.actuator.Act(t.Context(), c)
	require.ErrorIs(t, err, ErrIgnored)
	results, err := p.actuator.Act(t.Context(), c)
	require.NoError(t, err)
	require.Equal(t, actuator.Held, results[0].Outcome)
	require.Equal(t, 1, p.runtime.starts())
}

// plain returns the zip of a function that answers each invocation with its parameters, in base64.
func plain(t *testing.T) string {
	t.Helper()
	zip, err := action.Zip([]byte("#!/bin/sh\necho \"$1\"\n"), "blackbox")
	require.NoError(t, err)
	return base64.StdEncoding.EncodeToString(zip)
}

// TestNoTrace checks that the record of a warm-up tells it from others: whoever reads records leaves it out by its result.
func TestNoTrace(t *testing.T) {
	p := newLocal(t, 1024, nil)
	o, err := p.client.InvokeBlocking(t.Context(), "p/"+function, payload{marker{1}}, time.Minute)
	require.NoError(t, err)
	require.True(t, o.Cold)
	var said answer
	require.NoError(t, json.Unmarshal(o.Result, &said))
	require.True(t, said.Prewarmed && *said.Cold && strings.Trim(said.Instance, "0123456789abcdef") == "")
}

// TestBehindGuard checks that a guard warms containers of a platform within its limits, and leaves a function alone that does not know warm-ups.
func TestBehindGuard(t *testing.T) {
	p := newLocal(t, 2048, nil)
	require.NoError(t, p.client.PutAction(t.Context(), "p", whisk.Action{
		Name: "plain", Exec: &whisk.Exec{Kind: "blackbox", Image: "openwhisk/dockerskeleton", Code: plain(t), Binary: true},
	}))
	own, err := New(Options{APIHost: p.server.URL(), Key: p.server.Auth(), Package: "p", Linger: 300 * time.Millisecond})
	require.NoError(t, err)
	done := make(chan []actuator.Result, 1)
	g, err := guard.New(own, guard.Options{PerFunction: 2, Done: func(_ actuator.Command, results []actuator.Result) { done <- results }})
	require.NoError(t, err)
	do := func(id uint64, function string, n int) []actuator.Result {
		require.NoError(t, g.Do(actuator.Command{ID: id, Kind: actuator.Warm, Function: function, N: n, MemoryMB: 256, Until: time.Now().Add(time.Hour)}))
		return <-done
	}
	results := do(1, function, 3)
	require.Equal(t, 2, count(results, actuator.Created))
	require.ErrorIs(t, results[2].Err, guard.ErrLimit)
	require.Equal(t, 2, g.State().Standing)
	require.ErrorIs(t, do(2, "plain", 1)[0].Err, ErrIgnored)
	require.ErrorIs(t, do(3, "plain", 1)[0].Err, guard.ErrCoolDown)
	require.Equal(t, 3, p.runtime.starts())
	require.Equal(t, "closed", g.State().Circuit)
	require.NoError(t, g.Close(t.Context()))
}
