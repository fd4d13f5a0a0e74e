package mirror_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tppfaas/tppfaas/prewarm"
	"github.com/tppfaas/tppfaas/prewarm/actuator"
	"github.com/tppfaas/tppfaas/prewarm/mirror"
	"github.com/tppfaas/tppfaas/prewarm/source"
)

// TestNames checks that numbers lead back to names, as long as they are remembered.
func TestNames(t *testing.T) {
	f := follow(t, mirror.Options{Epoch: epoch, Platform: own, Functions: []prewarm.Function{{Name: "a", MemoryMB: 128}}, Describe: func(name string) prewarm.Function {
		return prewarm.Function{MemoryMB: 512, Application: "of " + name}
	}})
	f.observe(time.Second, source.Observation{
		Kind: source.Started, Function: "b", Version: "7", Trace: "t", Call: "c", Activation: "x", Instance: "i", Temperature: source.Cold, Time: epoch.Add(time.Second), Wait: -1, Init: -1,
	})
	if got, want := f.m.Functions(), []prewarm.Function{{Name: "a", MemoryMB: 128}, {Name: "b", MemoryMB: 512, Application: "of b"}}; !slices.Equal(got, want) {
		t.Errorf("functions are %+v, want %+v", got, want)
	}
	if f.m.Function("b") != 1 || f.m.Function("c") != -1 || f.m.Version(1) != "7" || f.m.Version(0) != "" {
		t.Errorf("b is %d, c %d; versions %q, %q", f.m.Function("b"), f.m.Function("c"), f.m.Version(1), f.m.Version(0))
	}
	e := f.told[len(f.told)-1]
	if got := f.m.TraceID(e.Trace); got != "t" {
		t.Errorf("trace is %q, want t", got)
	}
	if got, ok := f.m.Invocation(e.Invocation); !ok || got != (mirror.Invocation{Function: 1, Trace: "t", Call: "c", Activation: "x"}) {
		t.Errorf("invocation is %+v, %v", got, ok)
	}
	if got, ok := f.m.Container(e.Container); !ok || got != (mirror.Container{Function: 1, Instance: "i", Used: true, Until: prewarm.Never}) {
		t.Errorf("container is %+v, %v", got, ok)
	}
	f.observe(2*time.Second, source.Observation{Kind: source.Ended, Function: "b", Trace: "t", Call: "c", Time: epoch.Add(2 * time.Second)})
	if got, _ := f.m.Container(e.Container); got.Until != 602*time.Second {
		t.Errorf("the container is there until %v, want 602 s", got.Until)
	}
	f.quiet()
	_, invocation := f.m.Invocation(e.Invocation)
	_, container := f.m.Container(e.Container)
	if f.m.TraceID(e.Trace) != "" || invocation || container {
		t.Error("names are remembered for ever")
	}
}

// TestInvalid checks which observations are refused, and that they are counted.
func TestInvalid(t *testing.T) {
	long := strings.Repeat("x", 257)
	for name, o := range map[string]source.Observation{
		"no function":       {Trace: "t"},
		"no id":             {Function: "a", Call: "c", Span: "s"},
		"a long function":   {Function: long, Trace: "t"},
		"a long trace":      {Function: "a", Trace: long},
		"a long instance":   {Function: "a", Trace: "t", Instance: long},
		"an unknown kind":   {Kind: 3, Function: "a", Trace: "t"},
		"a long clock":      {Function: "a", Trace: "t", Clock: long},
		"a long activation": {Function: "a", Activation: long},
	} {
		t.Run(name, func(t *testing.T) {
			f := follow(t, mirror.Options{Epoch: epoch, Platform: own})
			if err := f.observe(0, o); !errors.Is(err, mirror.ErrInvalid) {
				t.Errorf("error is %v, want %v", err, mirror.ErrInvalid)
			}
			if c := f.m.Counts(); c != (mirror.Counts{Invalid: 1}) || len(f.told) > 0 {
				t.Errorf("counts are %+v, %d events", c, len(f.told))
			}
		})
	}
	if _, err := mirror.New(mirror.Options{Functions: []prewarm.Function{{Name: "a", MemoryMB: 1}, {Name: "a", MemoryMB: 1}}}); err == nil {
		t.Error("two functions of a name were taken")
	}
}

// TestStale checks that an observation of a trace that is long forgotten is of no use, and that this is said; also that of a clock which was set back.
func TestStale(t *testing.T) {
	f := follow(t, mirror.Options{Epoch: epoch, Platform: own, Functions: []prewarm.Function{{Name: "a", MemoryMB: 128}}})
	now := time.Hour
	send := func(trace string, stamp time.Duration) error {
		now += time.Second
		return f.observe(now, source.Observation{Kind: source.Invoked, Function: "a", Trace: trace, Time: epoch.Add(stamp), Wait: -1, Init: -1})
	}
	if err := send("t", now); err != nil {
		t.Fatal(err)
	}
	if err := send("old", now-5*time.Minute); !errors.Is(err, mirror.ErrStale) {
		t.Errorf("error is %v, want %v", err, mirror.ErrStale)
	}
	if c := f.m.Counts(); c.Stale != 1 || len(f.m.Functions()) != 1 {
		t.Errorf("counts are %+v", c)
	}
}

// TestThousandsOfFunctions checks that there is room for those of a large platform.
func TestThousandsOfFunctions(t *testing.T) {
	m, err := mirror.New(mirror.Options{Epoch: epoch, Platform: own})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 5000 {
		o := source.Observation{Kind: source.Invoked, Function: fmt.Sprint("f", i), Trace: fmt.Sprint("t", i), Time: epoch, Wait: -1, Init: -1}
		if _, err := m.Observe(time.Duration(i)*time.Millisecond, &o, nil); err != nil {
			t.Fatalf("function %d: %v", i, err)
		}
	}
}

// TestLateness checks that events which are told late say so, so that the fleet measures the true start times, of cold starts and of warm-ups.
func TestLateness(t *testing.T) {
	f := follow(t, mirror.Options{Epoch: epoch, Platform: own, Functions: []prewarm.Function{{Name: "a", MemoryMB: 128}, {Name: "b", MemoryMB: 128}}})
	s := func(d float64) prewarm.Time { return time.Duration(d * float64(time.Second)) }
	at := func(d float64) time.Time { return epoch.Add(s(d)) }
	f.observe(s(10), source.Observation{Kind: source.Invoked, Function: "b", Trace: "other", Time: at(10)})
	f.observe(s(10.1), source.Observation{Kind: source.Invoked, Function: "a", Trace: "t", Call: "c", Time: at(9), Wait: -1, Init: -1})
	f.observe(s(15), source.Observation{Kind: source.Ended, Function: "a", Trace: "t", Call: "c", Begin: at(10.5), Time: at(11), Temperature: source.Cold, Wait: -1, Init: -1})
	if got := f.fleet.Starts.Sorted(0, 0); !slices.Equal(got, []time.Duration{s(1.5)}) {
		t.Errorf("start times are %v, want 1.5 s", got)
	}
	_, events := f.m.Warm(s(20), 1, 1, nil)
	f.now = s(30)
	f.take(events)
	f.observe(s(30), source.Observation{Kind: source.Invoked, Function: "a", Trace: "u", Call: "c", Time: at(30)})
	f.take(f.m.Warmed(s(30), events[0].Container, actuator.Result{Outcome: actuator.Created, Asked: at(20), Ready: at(22)}, nil))
	if got := f.fleet.Starts.Sorted(1, 0); !slices.Equal(got, []time.Duration{s(2)}) {
		t.Errorf("start times of b are %v, want 2 s", got)
	}
}

// TestMeasured checks what a mirror says beside events: start times where events begin with the run, and functions with new code.
func TestMeasured(t *testing.T) {
	f := follow(t, mirror.Options{Epoch: epoch, Platform: starts, Functions: []prewarm.Function{{Name: "a", MemoryMB: 128}}})
	f.observe(5*time.Second, source.Observation{
		Kind: source.Ended, Function: "a", Version: "1", Trace: "t", Time: epoch.Add(4 * time.Second), Begin: epoch.Add(3 * time.Second), Temperature: source.Cold, Wait: 1200 * time.Millisecond, Init: 100 * time.Millisecond,
	})
	if got := f.m.Measured(); !slices.Equal(got, []mirror.StartTime{{Function: 0, Took: 1200 * time.Millisecond}}) {
		t.Errorf("measured %v, want 1.2 s", got)
	}
	if e := f.told[0]; e.Wait != 1200*time.Millisecond || e.Init != 100*time.Millisecond {
		t.Errorf("waited %v, of it %v for the initialisation; want 1.2 s and 0.1 s", e.Wait, e.Init)
	}
	if len(f.m.Redeployed()) > 0 {
		t.Error("the first version is taken to be a new one")
	}
	f.observe(6*time.Second, source.Observation{Kind: source.Started, Function: "a", Version: "2", Trace: "u", Time: epoch.Add(6 * time.Second), Temperature: source.Cold, Wait: -1, Init: -1})
	if !slices.Equal(f.m.Redeployed(), []int{0}) || len(f.m.Measured()) > 0 {
		t.Errorf("redeployed are %v, measured %v; want function 0, none", f.m.Redeployed(), f.m.Measured())
	}
	f.pass(7 * time.Second)
	if len(f.m.Redeployed()) > 0 {
		t.Error("it is redeployed again without an observation")
	}
}

// TestClockStep checks that durations and waits are right although the clock of a function is wrong, and is set.
func TestClockStep(t *testing.T) {
	f := follow(t, mirror.Options{Epoch: epoch, Platform: own})
	off := 40 * time.Minute
	for i := range 100 {
		now := time.Duration(i+1) * 10 * time.Second
		if i == 50 {
			off = -time.Hour
		}
		at := func(d time.Duration) time.Time { return epoch.Add(now + d + off) }
		f.observe(now, source.Observation{Kind: source.Invoked, Function: "a", Trace: "t", Call: string(rune('A' + i)), Time: at(0), Clock: "node"})
		f.observe(now+time.Second, source.Observation{Kind: source.Started, Function: "a", Trace: "t", Call: string(rune('A' + i)), Time: at(time.Second), Clock: "node", Temperature: source.Warm, Wait: -1})
		// It is set back by 100 minutes, which the first four readings show: all of one request, and one of the next.
		e := f.told[len(f.told)-1]
		if i == 0 {
			e = f.told[len(f.told)-2] // before the container that was believed to be created is removed
		}
		if settled := i < 50 || i > 51; settled && (e.Kind != prewarm.Started || e.Wait < 990*time.Millisecond || e.Wait > 1010*time.Millisecond) {
			t.Errorf("request %d: %v, has waited %v, want started, 1 s", i, e.Kind, e.Wait)
		}
		f.observe(now+2*time.Second, source.Observation{Kind: source.Ended, Function: "a", Trace: "t", Call: string(rune('A' + i)), Begin: at(time.Second), Time: at(2 * time.Second), Clock: "node"})
		if n := f.fleet.Loads[0].InFlight(); n != 0 && (i < 50 || i > 51) {
			t.Errorf("after request %d, %d are in flight", i, n)
		}
	}
	f.quiet()
}
