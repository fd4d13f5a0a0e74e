package controller

import (
	"fmt"
	"log/slog"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/tppfaas/tppfaas/internal/localwhisk"
	"github.com/tppfaas/tppfaas/prewarm"
	"github.com/tppfaas/tppfaas/prewarm/actuator"
	"github.com/tppfaas/tppfaas/prewarm/lab"
	"github.com/tppfaas/tppfaas/prewarm/mirror"
	"github.com/tppfaas/tppfaas/prewarm/newsvendor"
	"github.com/tppfaas/tppfaas/prewarm/source"
)

// restart has another core go on from what the present one leaves, as it stands in a file.
func (x *world) restart() {
	x.t.Helper()
	saved := canonical(x.t, x.core.Saved())
	m, err := saved.NewMirror(mirror.Options{Epoch: virtualEpoch, Platform: whisk, Functions: x.core.fleet.Functions}, x.clock.Now(), x.core.o.Log)
	if err != nil {
		x.t.Fatal(err)
	}
	before := x.core
	if x.core, err = NewCore(before.o, m); err != nil {
		x.t.Fatal(err)
	}
	if saved.restored == nil {
		x.t.Fatal("what was known of the platform is not used")
	}
	x.core.Begin(x.now(), saved)
	x.core.faults += before.faults
	x.after()
}

// TestRestartsInVirtualTime restarts the controller again and again while requests are in flight, and checks that it makes no difference: what is counted
// is what has happened, nothing is asked for twice, and hardly more starts are cold than with a controller that was never restarted.
func TestRestartsInVirtualTime(t *testing.T) {
	run := func(after ...time.Duration) (*world, *State) {
		var trained *newsvendor.Application
		o := worldOptions{app: "tree_small", load: "poisson:1200", requests: 40, seed: 1, policy: "newsvendor:2560:table", act: true}
		o.options = func(options *Options) {
			options.NewPolicy = func(functions []prewarm.Function) (prewarm.Policy, error) {
				w, err := lab.NewWorkload(o.app, o.load, lab.Options{Requests: o.requests})
				if err != nil {
					return nil, err
				}
				if trained == nil { // once for all processes
					k, err := w.Knowledge()
					if err != nil {
						return nil, err
					}
					if trained, err = newsvendor.Train(t.Context(), &k.Applications[0], newsvendor.TrainOptions{Model: newsvendor.Table, Functions: len(functions)}); err != nil {
						return nil, err
					}
				}
				p, err := newsvendor.New(t.Context(), newsvendor.Options{Price: 2560, Platform: whisk, Functions: functions})
				if err != nil {
					return nil, err
				}
				return p, p.Replace(trained, nil, nil)
			}
		}
		x := newWorld(t, o)
		restarts := 0
		x.observed = func(o *source.Observation) bool {
			if o.Kind == source.Invoked && o.ParentCall == "" {
				for _, d := range after {
					x.clock.AfterFunc(d, func() { restarts++; x.restart() })
				}
			}
			return true
		}
		x.run()
		t.Logf("%d restarts: starts are %v, %d commands, totals are %+v", restarts, x.starts, len(x.commands), x.core.State().Totals)
		return x, x.core.State()
	}
	once, want := run()
	for _, after := range [][]time.Duration{{500 * time.Millisecond}, {2 * time.Second}, {300 * time.Millisecond, time.Second, 3 * time.Second, 5 * time.Second, time.Minute, 9 * time.Minute}} {
		x, s := run(after...)
		if s.Totals.Requests != 40 || s.Totals.Invocations != 400 {
			t.Errorf("restarted %v after each: %d requests of %d invocations were counted, want 40 of 400", after, s.Totals.Requests, s.Totals.Invocations)
		}
		if s.Totals.Warm+s.Totals.Late != uint64(x.starts[localwhisk.Warm]+x.starts[localwhisk.Late]) || s.Totals.Cold != uint64(x.starts[localwhisk.Cold]) {
			t.Errorf("restarted %v after each: counted %d warm, %d late and %d cold; there were %v", after, s.Totals.Warm, s.Totals.Late, s.Totals.Cold, x.starts)
		}
		if more := x.starts[localwhisk.Cold] - once.starts[localwhisk.Cold]; more > 5 {
			t.Errorf("restarted %v after each: %d more starts are cold", after, more)
		}
		if limit := want.Totals.Warmups * 11 / 10; s.Totals.Warmups > limit {
			t.Errorf("restarted %v after each: %d containers were asked for, want %d at most", after, s.Totals.Warmups, limit)
		}
		seen := map[uint64]bool{}
		for _, c := range x.commands {
			if seen[c.ID] {
				t.Errorf("restarted %v after each: two commands have the number %d", after, c.ID)
			}
			seen[c.ID] = true
		}
		for what, v := range map[string][2]float64{"MB·s spent": {s.Totals.SpentMBs, want.Totals.SpentMBs}, "MB·s alone": {s.Totals.AloneMBs, want.Totals.AloneMBs}} {
			if v[0] < 0.95*v[1] || v[0] > 1.05*v[1] {
				t.Errorf("restarted %v after each: %s are %v, want about %v", after, what, v[0], v[1])
			}
		}
	}
}

// steps runs a core of functions a and b without a platform, in which tests say what happens.
type steps struct {
	*Core
	t     testing.TB
	saved *Saved // with the records since
}

func newSteps(t testing.TB, saved *Saved, at time.Duration, change func(*Options)) *steps {
	t.Helper()
	o := Options{Epoch: virtualEpoch, Platform: whisk, Functions: ab, Act: true, ServesAll: true, NewPolicy: func([]prewarm.Function) (prewarm.Policy, error) { return next(), nil }}
	if change != nil {
		change(&o)
	}
	m, err := saved.NewMirror(mirror.Options{Epoch: o.Epoch, Platform: o.Platform, Functions: o.Functions}, virtualEpoch.Add(at), o.Log)
	if err != nil {
		t.Fatal(err)
	}
	c, err := NewCore(o, m)
	if err != nil {
		t.Fatal(err)
	}
	c.Begin(at, saved)
	return &steps{Core: c, t: t, saved: canonical(t, c.Saved())}
}

// killed returns what there is in the file if the process is killed now, and the whole state was written when it began.
func (s *steps) killed() *Saved {
	for _, r := range s.Records() {
		s.saved.Add(&r)
	}
	return canonical(s.t, s.saved)
}

func (s *steps) observe(kind source.Kind, function, trace, call, parent, instance string, at time.Duration) {
	s.t.Helper()
	o := source.Observation{
		Kind: kind, Function: function, Trace: trace, Call: call, ParentCall: parent, Instance: instance, Time: virtualEpoch.Add(at), Wait: -1, Init: -1,
	}
	if err := s.Observe(at, &o); err != nil {
		s.t.Fatal(err)
	}
}

func (s *steps) containers(function int) string {
	text := ""
	for state := prewarm.StateStarting; state <= prewarm.StateReturning; state++ {
		if n := len(s.fleet.Containers(function, state)); n > 0 {
			text += fmt.Sprintf(" %d %v", n, state)
		}
	}
	return strings.TrimSpace(text)
}

// TestKilledBetween kills a controller at every step of a request, of which only the beginning was written down as a whole and the rest as records, and
// checks what the next one knows.
func TestKilledBetween(t *testing.T) {
	const ms = time.Millisecond
	var s *steps
	var command actuator.Command
	script := []struct {
		do         func()
		want       string // containers of b after it
		afterwards string // what the next controller has, if that is something else and nothing was remembered
		restarted  string // what it has in any case
	}{
		{do: func() { s.observe(source.Invoked, "a", "t", "1", "", "", 100*ms) }, want: "1 starting", restarted: "1 idle"}, // after the usual start time
		{do: func() {
			command = s.Commands()[0]
			s.Acted(300*ms, command.ID, []actuator.Result{{Outcome: actuator.Created, Instance: "i", Ready: virtualEpoch.Add(300 * ms)}})
		}, want: "1 idle"},
		{do: func() { s.observe(source.Started, "a", "t", "1", "", "", 600*ms) }, want: "1 idle"},
		{do: func() { s.observe(source.Invoked, "b", "t", "2", "1", "", 700*ms) }, want: "1 busy", afterwards: "1 idle"},
		{do: func() { s.observe(source.Started, "b", "t", "2", "1", "i", 710*ms) }, want: "1 busy", afterwards: "1 idle"},
		{do: func() { s.observe(source.Ended, "b", "t", "2", "1", "i", 900*ms) }, want: "1 idle"},
		{do: func() { s.observe(source.Ended, "a", "t", "1", "", "", 950*ms) }, want: "1 idle"},
	}
	for _, remembers := range []bool{false, true} {
		for n := 0; n <= len(script); n++ {
			s = newSteps(t, nil, 0, nil)
			for _, step := range script[:n] {
				step.do()
				if got := s.containers(1); got != step.want {
					t.Fatalf("before: %q, want %q", got, step.want)
				}
				if remembers {
					s.Remember()
				}
			}
			if n == 0 {
				continue
			}
			step := script[n-1]
			want := step.want
			if step.afterwards != "" && !remembers {
				want = step.afterwards
			}
			if step.restarted != "" {
				want = step.restarted
			}
			before := s.Core.State()
			saved := s.killed()
			s = newSteps(t, saved, 2*time.Second, nil)
			if got := s.containers(1); got != want {
				t.Errorf("killed after step %d (remembers: %v): the next one has %q, want %q", n, remembers, got, want)
			}
			if c := s.Commands(); len(c) > 0 {
				t.Errorf("killed after step %d: the next one asks for %+v", n, c)
			}
			if remembers {
				if got := s.Core.State().InFlight; got != before.InFlight {
					t.Errorf("killed after step %d: %d requests are in flight, and %d were", n, got, before.InFlight)
				}
			}
			if id := s.nextCommand; n > 0 && id != 2 {
				t.Errorf("killed after step %d: the next command is %d", n, id)
			}
		}
	}
}

// TestGoesOn checks that what comes of a request which was in flight when the controller was killed is of the same request: its callers are known, also those
// whose run has ended, and what is told a second time counts once.
func TestGoesOn(t *testing.T) {
	const ms = time.Millisecond
	s := newSteps(t, nil, 0, nil)
	s.observe(source.Invoked, "a", "t", "1", "", "", 100*ms)
	s.observe(source.Started, "a", "t", "1", "", "x", 200*ms)
	s.observe(source.Ended, "a", "t", "1", "", "x", 300*ms)
	s.observe(source.Invoked, "a", "u", "1", "", "", 350*ms)
	s.observe(source.Started, "a", "u", "1", "", "x", 360*ms)
	s.Remember()
	totals := s.Core.State().Totals
	s = newSteps(t, s.killed(), 1500*ms, nil)
	if got := s.Core.State().Totals; got.Requests != totals.Requests || got.Invocations != totals.Invocations {
		t.Fatalf("totals are %+v, and were %+v", got, totals)
	}
	s.observe(source.Ended, "a", "t", "1", "", "x", 300*ms) // again
	s.observe(source.Ended, "a", "u", "1", "", "x", 1400*ms)
	s.observe(source.Invoked, "b", "t", "2", "1", "", 1500*ms) // an ended run has called it
	s.observe(source.Invoked, "b", "u", "2", "1", "", 1510*ms)
	got := s.Core.State().Totals
	if got.Requests != 2 || got.Invocations != 4 || s.faults > 0 {
		t.Errorf("%d requests of %d invocations were counted, want 2 of 4; %d events contradict", got.Requests, got.Invocations, s.faults)
	}
	if text := s.containers(0); text != "1 idle" {
		t.Errorf("a has %q, want the one container that is idle again", text)
	}
}

// TestNobodySaysThatItEnded checks that a run which ended while no controller was there does not keep its container busy for longer than such runs last.
func TestNobodySaysThatItEnded(t *testing.T) {
	const ms = time.Millisecond
	s := newSteps(t, nil, 0, nil)
	at := time.Duration(0)
	for i := range 20 {
		trace := fmt.Sprint("t", i)
		s.observe(source.Invoked, "b", trace, "1", "", "", at)
		s.observe(source.Started, "b", trace, "1", "", "x", at+ms)
		s.observe(source.Ended, "b", trace, "1", "", "x", at+100*ms)
		at += 200 * ms
	}
	s.observe(source.Invoked, "b", "last", "1", "", "", at)
	s.observe(source.Started, "b", "last", "1", "", "x", at+ms)
	s.Remember()
	s = newSteps(t, s.killed(), at+50*ms, nil)
	if got := s.containers(1); got != "1 busy" {
		t.Fatalf("b has %q", got)
	}
	s.Pass(at + 20*time.Second)
	if got := s.containers(1); got != "1 idle" || s.Core.State().InFlight != 0 {
		t.Errorf("20 s later b has %q, and %d requests are in flight", got, s.Core.State().InFlight)
	}
}

// TestOldStateIsDropped checks that what was known of containers is not used when it is too old, of a later version, or wrong, and that counts, functions and what
// was asked for are taken up all the same; and that a state of a program which wrote nothing of containers is read.
func TestOldStateIsDropped(t *testing.T) {
	const ms = time.Millisecond
	leave := func() *Saved {
		s := newSteps(t, nil, 0, nil)
		s.observe(source.Invoked, "a", "t", "1", "", "", 100*ms)
		s.Acted(300*ms, s.Commands()[0].ID, []actuator.Result{{Outcome: actuator.Created, Ready: virtualEpoch.Add(300 * ms)}})
		s.observe(source.Started, "a", "t", "1", "", "x", 400*ms)
		s.observe(source.Invoked, "c", "v", "1", "", "", 400*ms)
		s.Remember()
		return s.killed()
	}
	for name, c := range map[string]struct {
		at     time.Duration
		change func(*Saved)
		a, b   string
		says   string
	}{
		"a second later":  {at: 2 * time.Second, a: "1 busy", b: "1 idle"},
		"an hour later":   {at: time.Hour, says: "too old"},
		"later version":   {at: 2 * time.Second, change: func(s *Saved) { s.Mirror.Format = 99 }, b: "1 idle", says: "of a later version"},
		"damaged":         {at: 2 * time.Second, change: func(s *Saved) { s.Mirror.Containers[0].Function = 77 }, b: "1 idle", says: "cannot be used"},
		"older program":   {at: 2 * time.Second, change: func(s *Saved) { s.Mirror, s.Alone, s.Warmed[0].Containers = nil, nil, nil }, b: "1 idle"},
		"clock was ahead": {at: 0, a: "1 busy", b: "1 idle"},
	} {
		t.Run(name, func(t *testing.T) {
			saved := leave()
			if c.change != nil {
				c.change(saved)
			}
			log := &lines{}
			s := newSteps(t, saved, c.at, func(o *Options) { o.Log = slog.New(slog.NewTextHandler(log, nil)) })
			if a, b := s.containers(0), s.containers(1); a != c.a || b != c.b {
				t.Errorf("a has %q and b %q, want %q and %q", a, b, c.a, c.b)
			}
			if text := log.String(); !strings.Contains(text, c.says) || c.says == "" && strings.Contains(text, "learned anew") {
				t.Errorf("it says %q, want %q", text, c.says)
			}
			if got := s.Core.State().Totals; got.Requests != 2 || got.Warmups != 1 || s.faults > 0 {
				t.Errorf("totals are %+v, %d faults", got, s.faults)
			}
			if len(s.fleet.Functions) != 3 && saved.Mirror != nil && c.says != "of a later version" && c.says != "cannot be used" {
				t.Errorf("functions are %v", s.fleet.Functions)
			}
		})
	}
}

// TestDryContainersAreNotLeft checks that containers which are only imagined are not taken for real ones by the next controller.
func TestDryContainersAreNotLeft(t *testing.T) {
	const ms = time.Millisecond
	dry := func(o *Options) { o.Act = false }
	s := newSteps(t, nil, 0, dry)
	s.observe(source.Invoked, "a", "t", "1", "", "", 100*ms)
	s.Pass(5 * time.Second)
	s.observe(source.Invoked, "b", "t", "2", "1", "", 5100*ms)
	if got := s.containers(1); got != "1 busy" {
		t.Fatalf("b has %q", got)
	}
	s.Remember()
	saved := s.killed()
	for _, k := range saved.Mirror.Containers {
		if k.Warmed {
			t.Errorf("%+v is left", k)
		}
	}
	s = newSteps(t, saved, 6*time.Second, dry)
	if got := s.containers(1); got != "" {
		t.Errorf("b has %q", got)
	}
	s.observe(source.Started, "b", "t", "2", "1", "", 6100*ms)
	if s.faults > 0 {
		t.Errorf("%d events contradict what was known", s.faults)
	}
}

// TestRecordsOfContainers checks that of a command one of whose containers has failed the others are not forgotten, although of the one that has failed
// two records say that it is not there.
func TestRecordsOfContainers(t *testing.T) {
	s := &Saved{}
	for _, r := range []Record{
		{Kind: recordAsked, Function: "a", Command: 1, N: 3, Containers: []prewarm.ID{4, 5, 6}},
		{Kind: recordResult, Command: 1, Outcome: actuator.Failed, Containers: []prewarm.ID{5}},
		{Kind: recordReleased, Command: 1, Containers: []prewarm.ID{5}},
		{Kind: recordReleased, Command: 1, Containers: []prewarm.ID{6}, Used: true},
	} {
		s.Add(&r)
	}
	if want := []SavedWarm{{Command: 1, Function: "a", N: 1, Containers: []prewarm.ID{4}}}; !reflect.DeepEqual(s.Warmed, want) {
		t.Errorf("there is %+v, want %+v", s.Warmed, want)
	}
}

// TestUnchangedIsNotWritten checks that what is known of the platform is written down when something was observed, and only then.
func TestUnchangedIsNotWritten(t *testing.T) {
	s := newSteps(t, nil, 0, nil)
	count := func() int {
		s.Remember()
		n := 0
		for _, r := range s.Records() {
			if r.Kind == recordState {
				n++
			}
		}
		return n
	}
	if n := count(); n != 0 {
		t.Errorf("%d records of nothing", n)
	}
	s.observe(source.Invoked, "b", "t", "1", "", "", time.Second)
	if n := count() + count(); n != 1 {
		t.Errorf("%d records of one observation", n)
	}
}
