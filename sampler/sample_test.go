package sampler

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/tppfaas/tppfaas/apps"
	"github.com/tppfaas/tppfaas/internal/localwhisk"
	"github.com/tppfaas/tppfaas/tpp/dataset"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// steady is a Target on which everything takes a fixed time: wait for every invocation, init for the first of each
// function.
type steady struct {
	*localwhisk.VirtualClock
	wait, init time.Duration
	late       time.Duration                       // how late planned calls are made
	refuse     func(Request) error                 // instead of sending
	spoil      func(Request, Trace) (Trace, error) // before a trace is handed back

	app  *apps.Application
	warm map[int]bool
	ids  int
}

func newSteady() *steady {
	return &steady{
		VirtualClock: localwhisk.NewVirtualClock(LocalStart), wait: 5 * time.Millisecond, init: 100 * time.Millisecond,
		warm: map[int]bool{},
	}
}

func (s *steady) AfterFunc(d time.Duration, f func()) func() bool {
	return s.VirtualClock.AfterFunc(d+s.late, f)
}

func (s *steady) Deploy(_ context.Context, app *apps.Application) error {
	s.app = app
	return nil
}

func (s *steady) Wait(ctx context.Context) error { return s.Run(ctx) }

func (s *steady) Send(r Request, done func(Trace, error)) error {
	if s.refuse != nil {
		if err := s.refuse(r); err != nil {
			return err
		}
	}
	var trace Trace
	pending := len(r.Calls)
	var invoke func(call int, cause string)
	invoke = func(call int, cause string) {
		c := r.Calls[call]
		s.ids++
		a := Activation{ID: fmt.Sprint(s.ids), Cause: cause, Name: s.app.DeployedName(s.app.Functions[c.Function].Name), Arrival: s.Now(), Wait: s.wait}
		if !s.warm[c.Function] {
			s.warm[c.Function] = true
			a.Init = s.init
		}
		for k, next := range c.Invokes {
			s.VirtualClock.AfterFunc(a.Wait+a.Init+c.Sleep+time.Duration(k)*apps.CallGap, func() { invoke(next, a.ID) })
		}
		s.VirtualClock.AfterFunc(a.Wait+a.Init+c.Sleep+time.Duration(max(len(c.Invokes)-1, 0))*apps.CallGap, func() {
			a.End = s.Now()
			trace = append(trace, a)
			if pending--; pending == 0 {
				var err error
				if s.spoil != nil {
					trace, err = s.spoil(r, trace)
				}
				done(trace, err)
			}
		})
	}
	invoke(0, "")
	return nil
}

func TestGolden(t *testing.T) {
	result, err := Sample(t.Context(), newSteady(), load(t, "template"), Config{
		Requests: 6, MinInterval: 200 * time.Millisecond, MaxInterval: 400 * time.Millisecond,
		BatchSize: 2, BatchPause: 10 * time.Second, Anomalies: 1, Missing: 1, RandomDurations: true, Seed: 1,
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	var got bytes.Buffer
	if err := dataset.Encode(&got, result.Dataset, dataset.FormatJSON); err != nil {
		t.Fatal(err)
	}
	const golden = "testdata/template.json"
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(golden, got.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got.Bytes(), want) {
		t.Errorf("got\n%swant\n%s(-update renews %s)", got.Bytes(), want, golden)
	}
}

// TestSampleToTheMillisecond checks one chain on a platform whose times are known to the millisecond.
func TestSampleToTheMillisecond(t *testing.T) {
	app := &apps.Application{Name: "x", Functions: []apps.Function{
		{Name: "f", Duration: 300 * time.Millisecond, Gamma: apps.Gamma{Shape: 1, Rate: 1}},
		{Name: apps.Main, Invokes: apps.Always("f", "f")},
	}}
	var seen []int
	result, err := Sample(t.Context(), newSteady(), app, Config{Requests: 2, MinInterval: time.Second, MaxInterval: time.Second}, func(complete int) { seen = append(seen, complete) })
	if err != nil {
		t.Fatal(err)
	}
	base := float64(LocalStart.UnixMilli())
	// Cold: main arrives at 0, waits 5, initialises 100, calls at 105 and 120. Warm: it calls at 5 and 20.
	for i, want := range [][]float64{{0, 105, 120}, {1000, 1005, 1020}} {
		s := result.Dataset.Sequences[i]
		for k := range want {
			if got := s.ArrivalTimes[k] - base; got != want[k] {
				t.Errorf("event %d of sequence %d arrives at %v, want %v", k, i, got, want[k])
			}
		}
		if !slices.Equal(s.Marks, []int{1, 0, 0}) || !slices.Equal(s.Parents, []int{-1, 0, 0}) || !slices.Equal(s.WaitTimes, []float64{5, 5, 5}) {
			t.Errorf("sequence %d: %+v", i, s)
		}
	}
	if names := result.Dataset.MarkNames; !slices.Equal(names, []string{"x-dev-f", "x-dev-main"}) {
		t.Errorf("marks %q are not in the order of the file", names)
	}
	if result.Events != 6 || result.ColdStarts != 2 || !slices.Equal(seen, []int{1, 2}) {
		t.Errorf("%d events, %d cold starts, progress %v; want 6, 2, [1 2]", result.Events, result.ColdStarts, seen)
	}
	// The second request's last f: 1020 + 5 + 300.
	if took := result.End.Sub(result.Start); took != 1325*time.Millisecond {
		t.Errorf("the sampling took %v, want 1.325s", took)
	}
}

// TestSchedule checks that requests are sent on schedule however slow the platform is, and that delays of the clock do not add up.
func TestSchedule(t *testing.T) {
	config := Config{Requests: 30, MinInterval: 100 * time.Millisecond, MaxInterval: time.Second, Seed: 9}
	for _, late := range []time.Duration{0, 7 * time.Millisecond} {
		target := newSteady()
		target.wait, target.late = time.Hour, late
		result, err := Sample(t.Context(), target, load(t, "sequence"), config, nil)
		if err != nil {
			t.Fatal(err)
		}
		for i, r := range plan(t, load(t, "sequence"), config) {
			if got := result.Sends[i]; got.Intended != r.Time || got.Actual != r.Time+late {
				t.Errorf("request %d: %+v, planned for %v", i, got, r.Time)
			}
		}
		if result.Lateness != late {
			t.Errorf("Lateness = %v, want %v", result.Lateness, late)
		}
	}
}

func TestSampleFails(t *testing.T) {
	broken := errors.New("broken")
	third := func(r Request) bool { return r.Index == 2 }
	for _, c := range []struct {
		name   string
		target func(*steady)
		want   string
	}{
		{"a request cannot be sent", func(s *steady) {
			s.refuse = func(r Request) error {
				if third(r) {
					return broken
				}
				return nil
			}
		}, "request 2: broken"},
		{"a trace fails", func(s *steady) {
			s.spoil = func(r Request, t Trace) (Trace, error) {
				if third(r) {
					return nil, broken
				}
				return t, nil
			}
		}, "request 2: broken"},
		{"a trace is not complete", func(s *steady) {
			s.spoil = func(r Request, t Trace) (Trace, error) {
				if third(r) {
					t = slices.DeleteFunc(t, func(a Activation) bool { return a.Cause == "" })
				}
				return t, nil
			}
		}, "request 2: activation"},
	} {
		t.Run(c.name, func(t *testing.T) {
			target := newSteady()
			c.target(target)
			complete := 0
			result, err := Sample(t.Context(), target, load(t, "sequence"), Config{Requests: 1000, MinInterval: time.Minute, MaxInterval: time.Minute}, func(n int) { complete = n })
			if err == nil || !strings.HasPrefix(err.Error(), c.want) {
				t.Errorf("err = %v, want %s…", err, c.want)
			}
			if complete != 2 || len(result.Dataset.Sequences) != 2 {
				t.Errorf("%d traces were complete, and %d are there; want 2 and nothing sent after", complete, len(result.Dataset.Sequences))
			}
		})
	}
}

func TestCancel(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	local, err := NewLocal(1)
	if err != nil {
		t.Fatal(err)
	}
	result, err := Sample(ctx, local, load(t, "sequence"), Config{Requests: 10_000_000, MinInterval: time.Second, MaxInterval: time.Second}, func(complete int) {
		if complete == 5 {
			cancel()
		}
	})
	if !errors.Is(err, context.Canceled) || !strings.HasPrefix(err.Error(), "after 5 of 10000000 requests") || len(result.Dataset.Sequences) != 5 {
		t.Errorf("result %v, err = %v; want 5 traces, context canceled", result, err)
	}
}

// TestNothingIsSentAfterwards checks that no request is sent after the context is cancelled, even if the platform goes on.
func TestNothingIsSentAfterwards(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	target := newSteady()
	sent := 0
	target.refuse = func(Request) error {
		if sent++; sent == 3 {
			cancel()
		}
		return nil
	}
	if _, err := Sample(ctx, target, load(t, "sequence"), Config{Requests: 100}, func(int) { t.Error("a trace was counted") }); !errors.Is(err, context.Canceled) {
		t.Fatalf("err = %v, want context.Canceled", err)
	}
	if err := target.Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	if sent != 3 {
		t.Errorf("%d requests were sent, want 3", sent)
	}
}

func sampleLocal(t interface {
	Helper()
	Fatal(...any)
}, app *apps.Application, config Config) *Result {
	t.Helper()
	local, err := NewLocal(config.Seed)
	if err != nil {
		t.Fatal(err)
	}
	result, err := Sample(context.Background(), local, app, config, nil)
	if err != nil {
		t.Fatal(err)
	}
	return result
}

func encode(t interface {
	Helper()
	Fatal(...any)
}, r *Result) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := dataset.Encode(&b, r.Dataset, dataset.FormatJSON); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestLocal checks that the traces of the local platform are those of the plan.
func TestLocal(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		app := anyApplication.Draw(t, "application")
		config := drawConfig(t, app)
		config.Requests = min(config.Requests, 20)
		result := sampleLocal(t, app, config)
		if again := sampleLocal(t, app, config); !bytes.Equal(encode(t, result), encode(t, again)) {
			t.Fatal("the same sampling twice gives different bytes")
		}
		for i, r := range plan(t, app, config) {
			s := result.Dataset.Sequences[i]
			arrival := s.ArrivalTimes[0] - float64(LocalStart.UnixMilli())
			if sent := inMilliseconds(r.Time); arrival < sent-1 || arrival > sent+1 {
				t.Fatalf("request %d was sent at %v ms and arrived at %v ms", i, sent, arrival)
			}
			calls := make([]apps.Call, s.Len())
			root := 0
			for k := range calls {
				calls[k].Function = s.Marks[k]
				if s.Parents[k] < 0 {
					root = k
				} else {
					p := s.Parents[k]
					calls[p].Invokes = append(calls[p].Invokes, k)
				}
			}
			if got, want := sorted(app, calls, root), sorted(app, r.Calls, 0); got != want {
				t.Fatalf("request %d:\n got %s\nwant %s", i, got, want)
			}
		}
		if lateness := result.Lateness; lateness != 0 {
			t.Fatalf("virtual time is %v late", lateness)
		}
	})
}

// sorted is like tree with the calls of each function in alphabetical order, because the first of two may arrive after the second.
func sorted(app *apps.Application, calls []apps.Call, i int) string {
	var below []string
	for _, j := range calls[i].Invokes {
		below = append(below, sorted(app, calls, j))
	}
	slices.Sort(below)
	return app.Functions[calls[i].Function].Name + "(" + strings.Join(below, " ") + ")"
}

// TestLocalSpacesTheCallsOfAFanOut checks that the calls of a fan-out are CallGap apart, but for their delays on the way to the platform.
func TestLocalSpacesTheCallsOfAFanOut(t *testing.T) {
	result := sampleLocal(t, load(t, "fanout_small"), Config{Requests: 300, MinInterval: 2 * time.Second, MaxInterval: 6 * time.Second, Seed: 1})
	var gaps []float64
	for _, s := range result.Dataset.Sequences[10:] {
		last := map[int]float64{}
		for k, p := range s.Parents {
			if p < 0 || s.ColdStart(p) {
				continue
			}
			if before, ok := last[p]; ok {
				gaps = append(gaps, s.ArrivalTimes[k]-before)
			}
			last[p] = s.ArrivalTimes[k]
		}
	}
	slices.Sort(gaps)
	if median := gaps[len(gaps)/2]; median != inMilliseconds(apps.CallGap) {
		t.Errorf("the median gap of %d pairs is %v ms, want %v", len(gaps), median, apps.CallGap)
	}
}

func TestSeedChangesTheTraces(t *testing.T) {
	app := load(t, "tree_small")
	config := Config{Requests: 5, MinInterval: time.Second, MaxInterval: time.Second, Seed: 1}
	one := encode(t, sampleLocal(t, app, config))
	config.Seed = 2
	if bytes.Equal(one, encode(t, sampleLocal(t, app, config))) {
		t.Error("another seed gives the same dataset, although waits are random")
	}
}

func TestLocalRunsOneApplication(t *testing.T) {
	local, err := NewLocal(1)
	if err != nil {
		t.Fatal(err)
	}
	if err := local.Send(Request{}, nil); err == nil {
		t.Error("a request was sent to an empty platform")
	}
	if err := local.Deploy(t.Context(), load(t, "sequence")); err != nil {
		t.Fatal(err)
	}
	if err := local.Deploy(t.Context(), load(t, "tree_small")); err == nil || !strings.Contains(err.Error(), "runs sequence already") {
		t.Errorf("err = %v, want one that names what runs already", err)
	}
}

func BenchmarkSampleLocal(b *testing.B) {
	for _, name := range []string{"sequence", "tree_large"} {
		b.Run(name, func(b *testing.B) {
			app := load(b, name)
			for b.Loop() {
				sampleLocal(b, app, Config{Requests: 1000, MinInterval: 2 * time.Second, MaxInterval: 6 * time.Second, Seed: 1})
			}
		})
	}
}

// recording is a target that has sent some requests in an earlier run.
type recording struct {
	*steady
	before map[int]bool
	given  []int
}

func (r *recording) SentAt(index int) (time.Time, bool) {
	return LocalStart.Add(time.Duration(index) * time.Second), r.before[index]
}

func (r *recording) Send(request Request, done func(Trace, error)) error {
	r.given = append(r.given, request.Index)
	r.before[request.Index] = true
	return r.steady.Send(request, done)
}

// TestSampleGoesOn checks that what an earlier run has sent is passed to the target at once, that the rest of the plan begins now, and that an
// incomplete trace is left out.
func TestSampleGoesOn(t *testing.T) {
	target := &recording{steady: newSteady(), before: map[int]bool{0: true, 1: true, 3: true}}
	target.spoil = func(r Request, trace Trace) (Trace, error) {
		if r.Index == 1 {
			return nil, fmt.Errorf("so: %w", &Incomplete{Missing: []string{"sequence-dev-f1"}, Reason: "lost"})
		}
		return trace, nil
	}
	config := Config{Requests: 6, MinInterval: time.Minute, MaxInterval: time.Minute}
	result, err := Sample(t.Context(), target, load(t, "sequence"), config, nil)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(target.given, []int{0, 1, 2, 3, 4, 5}) {
		t.Errorf("sent in the order %v", target.given)
	}
	if len(result.Dataset.Sequences) != 5 || len(result.Incomplete) != 1 || result.Incomplete[0].Request != 1 ||
		result.Incomplete[0].Error() != "missing sequence-dev-f1 (lost)" {
		t.Errorf("%d sequences, incomplete: %v", len(result.Dataset.Sequences), result.Incomplete)
	}
	// Requests 2, 4 and 5 belong to this run: 2 at once, 4 two minutes later. SentAt corrects when they were really sent.
	want := []Send{{0, 2 * time.Second}, {2 * time.Minute, 4 * time.Second}, {3 * time.Minute, 5 * time.Second}}
	if !slices.Equal(result.Sends, want) {
		t.Errorf("sends %v, want %v", result.Sends, want)
	}
}

// TestOverheads checks that the same requests wait much longer on a cluster than on one machine, and hardly on this module's platform.
func TestOverheads(t *testing.T) {
	app := load(t, "sequence")
	var coldWaits []float64
	for _, o := range AllOverheads() {
		local, err := NewLocalWith(LocalOptions{Overheads: o, Seed: 1})
		if err != nil {
			t.Fatal(err)
		}
		r, err := Sample(t.Context(), local, app, Config{Requests: 10, MinInterval: 10 * time.Second, MaxInterval: 11 * time.Second, Seed: 1}, nil)
		if err != nil {
			t.Fatal(err)
		}
		s := r.Dataset.Sequences[0]
		if r.ColdStarts == 0 || !s.ColdStart(s.Len()-1) {
			t.Fatalf("%s: %d cold starts, the last of the first request is none", o, r.ColdStarts)
		}
		coldWaits = append(coldWaits, s.WaitTimes[s.Len()-1])
	}
	if !(coldWaits[0] > 1000 && coldWaits[1] > 150 && coldWaits[1] < 600 && coldWaits[2] < 100) {
		t.Errorf("cold starts wait for %v ms", coldWaits)
	}
	if _, err := NewLocalWith(LocalOptions{MemoryMB: 100}); err == nil || !strings.Contains(err.Error(), "256") {
		t.Errorf("a platform with room for no container: %v", err)
	}
	if _, err := NewLocalWith(LocalOptions{Overheads: "none"}); err == nil || !strings.Contains(err.Error(), "cluster, standalone and local") {
		t.Errorf("error %v, want one that names those there are", err)
	}
}
