//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/tppfaas/tppfaas/apps"
	"github.com/tppfaas/tppfaas/internal/atomicfile"
	"github.com/tppfaas/tppfaas/internal/chain"
	"github.com/tppfaas/tppfaas/internal/figure"
	"github.com/tppfaas/tppfaas/prewarm/controller"
	"github.com/tppfaas/tppfaas/prewarm/lab"
	"github.com/tppfaas/tppfaas/sampler"
	"github.com/tppfaas/tppfaas/sampler/openwhisk"
	"github.com/tppfaas/tppfaas/tpp"
	"github.com/tppfaas/tppfaas/tpp/dataset"
)

// outcome is what became of a request.
type outcome struct {
	Run         string  `json:"run"` // without or with
	Request     int     `json:"request"`
	Invocations int     `json:"invocations"` // without the root
	Cold        int     `json:"cold"`        // of these
	RootCold    bool    `json:"root_cold"`
	Added       float64 `json:"added"` // seconds, over the planned time of the request
	Counts      bool    `json:"counts"`
}

// summary is what became of all requests of a run that count.
type summary struct {
	Run         string  `json:"run"`
	Requests    int     `json:"requests"`
	Incomplete  int     `json:"incomplete"`
	Invocations int     `json:"invocations"`
	Cold        int     `json:"cold"`
	ColdShare   float64 `json:"cold_share"`
	P50         float64 `json:"p50"` // of the added latency; 0 if no request counts
	P95         float64 `json:"p95"`
	Warmups     uint64  `json:"warmups"`
	Wasted      uint64  `json:"wasted"`
	// Renewals is how often the idle time of a container was to be renewed, RenewalsFailed the part of it that came to nothing. SpentMBs is the memory-time of containers
	// that were starting or idle, in MB·s, and KeptMBs the part of it beyond the platform's idle timeout.
	Renewals       uint64  `json:"renewals"`
	RenewalsFailed uint64  `json:"renewals_failed"`
	SpentMBs       float64 `json:"spent_mb_s"`
	KeptMBs        float64 `json:"kept_mb_s"`
	// Missed is (cold + wasted) ÷ invocations, Least what of it nobody can foresee, and LeastApart the same where the repetitions of a loop find the
	// container busy of the run that calls them.
	Missed     float64 `json:"missed"`
	Least      float64 `json:"least"`
	LeastApart float64 `json:"least_apart"`
	// Start is the median time from arrival to run of a cold start in seconds, 0 if there was none, and LeastInTime is LeastApart for one who has to ask for a container that long before.
	Start       float64 `json:"start"`
	LeastInTime float64 `json:"least_in_time"`
	// KeepAllMBs is the memory-time of a request, in MB·s, for which nothing is missed: that of all containers which are needed, kept all the time. The other bounds are
	// for who keeps none.
	KeepAllMBs float64 `json:"keep_all_mb_s"`
	Saved      float64 `json:"saved_seconds_estimated"`
}

// memoryMB is the memory of each container, in MiB: that of functions of which nothing is said.
const memoryMB = 256

// Names of both runs.
const (
	withoutRun = "without"
	withRun    = "with"
)

// run makes both runs.
func run(ctx context.Context, o *options, stdout, stderr io.Writer) (err error) {
	app, err := apps.Load(o.app)
	if err != nil {
		return err
	}
	if err := o.writable(); err != nil {
		return err
	}
	t := &table{out: stdout, json: o.json}
	if err := t.head(); err != nil {
		return err
	}
	learned, err := os.MkdirTemp("", "tppfaas-live-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(learned)) }()
	var summaries []summary
	var outcomes []outcome
	for _, with := range []bool{false, true} {
		s, requests, err := runOnce(ctx, o, app, learned, with, t, stderr)
		if err != nil {
			return err
		}
		summaries, outcomes = append(summaries, *s), append(outcomes, requests...)
	}
	if err := t.end(summaries); err != nil {
		return err
	}
	if o.picture != "" {
		return figure.Write(o.picture, picture(o, outcomes, summaries))
	}
	return nil
}

// datasetFile returns the file of the dataset of a run.
func (o *options) datasetFile(run string) string { return filepath.Join(o.output, run+".json") }

// writable makes the folder for the datasets, and returns an error if a file cannot be written that will be, minutes later.
func (o *options) writable() error {
	if o.output != "" {
		if err := os.MkdirAll(o.output, 0o777); err != nil {
			return fmt.Errorf("-o: %w", err)
		}
		for _, name := range []string{withoutRun, withRun} {
			if err := atomicfile.Check(o.datasetFile(name)); err != nil {
				return fmt.Errorf("-o: %w", err)
			}
		}
	}
	if o.picture != "" {
		if err := atomicfile.Check(o.picture); err != nil {
			return fmt.Errorf("-picture: %w", err)
		}
	}
	if o.model != "" {
		f, err := os.Open(o.model)
		if err != nil {
			return fmt.Errorf("-model: %w", err)
		}
		return f.Close()
	}
	return nil
}

// runOnce starts all parts, sends the requests, and stops the parts. What the controller learns stays in a folder.
func runOnce(ctx context.Context, o *options, app *apps.Application, learned string, with bool, t *table, stderr io.Writer) (s *summary, requests []outcome, err error) {
	self, err := os.Executable()
	if err != nil {
		return nil, nil, err
	}
	beside := func(name string) string { return filepath.Join(filepath.Dir(self), name) }
	dir, err := os.MkdirTemp("", "tppfaas-live-")
	if err != nil {
		return nil, nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	name := withoutRun
	co := chain.Options{
		Sampler: beside("sampler"), Collector: beside("collector"), Dir: dir,
		PlatformArgs: []string{"-starts", o.starts, "-idle-timeout", o.idle.String(), "-pause-grace", "10m"},
		Prewarm:      beside("prewarm"),
		PrewarmArgs:  []string{"-policy", o.policy, "-actuator", "openwhisk", "-idle-timeout", o.idle.String(), "-learn", "-state", learned},
	}
	if o.atOnce > 0 {
		co.PlatformArgs = append(co.PlatformArgs, "-starts-at-once", strconv.Itoa(o.atOnce))
	}
	if !o.renew {
		co.PrewarmArgs = append(co.PrewarmArgs, "-renew=false")
	}
	if o.model != "" {
		co.PrewarmArgs = append(co.PrewarmArgs, "-model", o.model)
	}
	if with {
		name = withRun
		co.PrewarmArgs = append(co.PrewarmArgs, "-act")
	}
	c, err := chain.Start(ctx, co)
	if err != nil {
		return nil, nil, err
	}
	defer func() { err = errors.Join(err, c.Stop()) }()
	if with {
		fmt.Fprintf(stderr, "live: what the controller does: %s\n", c.PrewarmURL)
	} else {
		fmt.Fprintf(stderr, "live: what the controller would do: %s\n", c.PrewarmURL)
	}
	m, err := newMeasurement(ctx, o, app, c, name, t, stderr)
	if err != nil {
		return nil, nil, err
	}
	defer m.target.Close()
	if err := m.target.Begin(ctx, "", false); err != nil {
		return nil, nil, err
	}
	result, err := sampler.Sample(ctx, m, app, m.config, nil)
	if err != nil {
		return nil, nil, errors.Join(err, m.err)
	}
	s = m.summary()
	s.Incomplete = len(result.Incomplete)
	// What the last requests have left unused is wasted once the platform removes it; what is warmed for a request that does not come any more is not.
	select {
	case <-ctx.Done():
		return nil, nil, ctx.Err()
	case <-time.After(min(o.idle+time.Second/2, time.Until(m.lastSent().Add(o.every*4/5+o.idle)))):
	}
	state, err := controllerState(ctx, c.PrewarmURL)
	if err != nil {
		return nil, nil, err
	}
	s.count(&m.before, &state.Totals, state.Containers)
	s.Missed, s.Least = float64(s.Cold+int(s.Wasted))/float64(max(s.Invocations, 1)), unforeseeable(app, false)
	s.LeastApart, s.Start = unforeseeable(app, true), startTime(result.Dataset)
	s.LeastInTime = inTime(app, s.Start)
	s.KeepAllMBs = float64(kept(app)*memoryMB) * o.every.Seconds()
	if o.output != "" {
		if err := dataset.WriteFile(o.datasetFile(name), result.Dataset); err != nil {
			return nil, nil, err
		}
	}
	return s, m.outcomes, errors.Join(m.err, m.target.Remove(ctx))
}

// count sets what the controller has counted between two times, at the later of which there are containers. One that was warmed, or made by a renewal, and has not been used is wasted,
// though it is still there.
func (s *summary) count(before, after *controller.Totals, containers []controller.ContainerState) {
	s.Warmups, s.Wasted = after.Warmups-before.Warmups, after.Wasted-before.Wasted
	for i := range containers {
		if c := &containers[i]; c.Warmed && !c.Used {
			s.Wasted++
		}
	}
	s.Renewals, s.RenewalsFailed = after.Renewals-before.Renewals, after.RenewalsFailed-before.RenewalsFailed
	s.SpentMBs, s.KeptMBs = after.SpentMBs-before.SpentMBs, after.KeptMBs-before.KeptMBs
	s.Saved = after.SavedSeconds - before.SavedSeconds
}

// startTime returns the median time from the arrival to the run of what has started cold, in seconds; 0 if nothing has.
func startTime(d *tpp.Dataset) float64 {
	var waits []float64
	for i := range d.Sequences {
		s := &d.Sequences[i]
		for k := range s.Marks {
			if s.ColdStart(k) {
				waits = append(waits, (s.WaitTimes[k]+s.InitTimes[k])/1000)
			}
		}
	}
	if len(waits) == 0 {
		return 0
	}
	slices.Sort(waits)
	return lab.Quantile(waits, 0.5)
}

// measurement is a target that measures what it samples.
type measurement struct {
	*options
	*targetOf
	app    *apps.Application
	config sampler.Config
	target *openwhisk.Target
	name   string
	table  *table
	ctx    context.Context // of the run
	url    string          // of the controller; "" if there is none

	mu       sync.Mutex
	before   controller.Totals // when the first request that counts was sent
	last     time.Time         // when the last request was sent
	outcomes []outcome
	err      error // of the output
}

// targetOf keeps the methods of the target apart from those of the measurement.
type targetOf struct{ sampler.Target }

func newMeasurement(ctx context.Context, o *options, app *apps.Application, c *chain.Chain, name string, t *table, stderr io.Writer) (*measurement, error) {
	env := map[string]string{}
	for _, v := range c.Env() {
		key, value, _ := strings.Cut(v, "=")
		env[key] = value
	}
	settings, err := openwhisk.Find(openwhisk.Sources{Getenv: func(name string) string { return env[name] }})
	if err != nil {
		return nil, err
	}
	config := sampler.Config{
		Requests: o.requests, MinInterval: o.every * 9 / 10, MaxInterval: o.every * 11 / 10, RandomDurations: true, Seed: o.seed,
	}
	target, err := openwhisk.New(openwhisk.Options{
		Settings: settings, App: app, Config: config, Announce: true, Settle: time.Minute,
		OnMessage: func(line string) { fmt.Fprintln(stderr, "live:", line) },
	})
	if err != nil {
		return nil, err
	}
	return &measurement{options: o, targetOf: &targetOf{target}, app: app, config: config, target: target, name: name, table: t, ctx: ctx, url: c.PrewarmURL}, nil
}

// Send sends a request, and measures it when its trace is complete.
func (m *measurement) Send(r sampler.Request, done func(sampler.Trace, error)) error {
	if r.Index == m.skip && m.url != "" {
		state, err := controllerState(m.ctx, m.url)
		if err != nil {
			return err
		}
		m.mu.Lock()
		m.before = state.Totals
		m.mu.Unlock()
	}
	m.mu.Lock()
	m.last = time.Now()
	m.mu.Unlock()
	return m.targetOf.Send(r, func(trace sampler.Trace, err error) {
		if err == nil {
			m.add(r, trace)
		}
		done(trace, err)
	})
}

func (m *measurement) lastSent() time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.last
}

// add measures a request.
func (m *measurement) add(r sampler.Request, trace sampler.Trace) {
	o := outcome{Run: m.name, Request: r.Index, Counts: r.Index >= m.skip}
	root, end := time.Time{}, time.Time{}
	for _, a := range trace {
		if a.End.After(end) {
			end = a.End
		}
		if a.Cause == "" {
			root, o.RootCold = a.Arrival, a.Init > 0
			continue
		}
		o.Invocations++
		if a.Init > 0 {
			o.Cold++
		}
	}
	o.Added = (end.Sub(root) - planned(r.Calls)).Seconds()
	m.mu.Lock()
	defer m.mu.Unlock()
	m.outcomes = append(m.outcomes, o)
	if err := m.table.add(&o); err != nil && m.err == nil {
		m.err = err
	}
}

// planned returns how long a request takes if nothing but its sleeps, and the pauses between the calls of one function, took time.
func planned(calls []apps.Call) time.Duration {
	begins := make([]time.Duration, len(calls))
	var last time.Duration
	for i := range calls { // callers stand before those they call
		at := begins[i] + calls[i].Sleep
		for k, j := range calls[i].Invokes {
			if k > 0 {
				at += apps.CallGap
			}
			begins[j] = at
		}
		last = max(last, at)
	}
	return last
}

func (m *measurement) summary() *summary {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := &summary{Run: m.name}
	var added []float64
	for i := range m.outcomes {
		o := &m.outcomes[i]
		if !o.Counts {
			continue
		}
		s.Requests++
		s.Invocations += o.Invocations
		s.Cold += o.Cold
		added = append(added, o.Added)
	}
	if s.Invocations > 0 {
		s.ColdShare = float64(s.Cold) / float64(s.Invocations)
	}
	slices.Sort(added)
	if len(added) > 0 {
		s.P50, s.P95 = lab.Quantile(added, 0.5), lab.Quantile(added, 0.95)
	}
	return s
}
