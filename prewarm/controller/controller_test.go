package controller

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/tppfaas/tppfaas/prewarm"
	"github.com/tppfaas/tppfaas/prewarm/actuator"
	"github.com/tppfaas/tppfaas/prewarm/actuator/guard"
	"github.com/tppfaas/tppfaas/prewarm/mirror"
	"github.com/tppfaas/tppfaas/prewarm/source"
)

func TestMain(m *testing.M) {
	if folder := os.Getenv(killedFolder); folder != "" {
		fmt.Fprintln(os.Stderr, beKilled(folder))
		os.Exit(1)
	}
	goleak.VerifyTestMain(m)
}

// newGuardFor returns what makes a guard around an actuator, without limits that tests would run into.
func newGuardFor(a actuator.Actuator) func(done func(actuator.Command, []actuator.Result)) (*guard.Guard, error) {
	return func(done func(actuator.Command, []actuator.Result)) (*guard.Guard, error) {
		return guard.New(a, guard.Options{Done: done, PerFunction: -1, Containers: -1, MemoryMB: -1})
	}
}

// next is a policy that starts a container of b when a is invoked.
func next() prewarm.PolicyFunc {
	return func(e *prewarm.Event, fleet *prewarm.Fleet, d *prewarm.Decisions) {
		if e.Kind == prewarm.Arrived && fleet.Functions[e.Function].Name == "a" && len(fleet.Functions) > 1 {
			d.Start(1, 1, prewarm.Why{Rule: "after a comes b", Trace: e.Trace})
		}
	}
}

var ab = []prewarm.Function{{Name: "a", MemoryMB: 128}, {Name: "b", MemoryMB: 256}}

// newController returns a controller of functions a and b with an actuator.
func newController(t testing.TB, a actuator.Actuator, change func(*Options, *RunOptions)) *Controller {
	t.Helper()
	o := Options{
		Epoch: time.Now(), Platform: whisk, Functions: ab, Act: true, ServesAll: true,
		NewPolicy: func([]prewarm.Function) (prewarm.Policy, error) { return next(), nil },
	}
	run := RunOptions{NewGuard: func(done func(actuator.Command, []actuator.Result)) (*guard.Guard, error) {
		return guard.New(a, guard.Options{Done: done})
	}}
	if change != nil {
		change(&o, &run)
	}
	m, err := run.Saved.NewMirror(mirror.Options{Epoch: o.Epoch, Platform: whisk, Functions: o.Functions}, time.Now(), nil)
	if err != nil {
		t.Fatal(err)
	}
	core, err := NewCore(o, m)
	if err != nil {
		t.Fatal(err)
	}
	c, err := New(core, run)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// fake is an actuator that answers as it is told.
type fake struct {
	mu       sync.Mutex
	commands []actuator.Command
	answer   func(ctx context.Context, c actuator.Command) ([]actuator.Result, error)
	closed   bool
}

func (f *fake) Name() string               { return "fake" }
func (f *fake) Platform() prewarm.Platform { return whisk }

func (f *fake) Act(ctx context.Context, c actuator.Command) ([]actuator.Result, error) {
	f.mu.Lock()
	f.commands = append(f.commands, c)
	f.mu.Unlock()
	if f.answer != nil {
		return f.answer(ctx, c)
	}
	results := make([]actuator.Result, c.Results())
	for i := range results {
		results[i] = actuator.Result{Outcome: actuator.Created, Asked: time.Now(), Ready: time.Now()}
	}
	return results, nil
}

func (f *fake) Close(context.Context) error {
	f.closed = true
	return nil
}

func (f *fake) asked() []actuator.Command {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]actuator.Command(nil), f.commands...)
}

func invoked(function, trace, call string) source.Observation {
	return source.Observation{Kind: source.Invoked, Function: function, Trace: trace, Call: call, Time: time.Now(), Wait: -1, Init: -1}
}

// started runs a controller until the test ends, or stop is called, which returns what Run has.
func started(t testing.TB, c *Controller) (stop func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	result := make(chan error, 1)
	go func() { result <- c.Run(ctx) }()
	stop = sync.OnceValue(func() error {
		cancel()
		return <-result
	})
	t.Cleanup(func() {
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
	return stop
}

// TestActs checks that what is observed leads to a command, and that what becomes of it is shown.
func TestActs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &fake{}
		c := newController(t, a, nil)
		stop := started(t, c)
		synctest.Wait()
		if err := c.Ready(); err != nil {
			t.Fatal(err)
		}
		sink := c.Sink("test")
		changes, cancel := c.Subscribe()
		defer cancel()
		if err := sink.Observe(t.Context(), []source.Observation{invoked("a", "t1", "1")}); err != nil {
			t.Fatal(err)
		}
		<-changes
		synctest.Wait()
		if commands := a.asked(); len(commands) != 1 || commands[0].Function != "b" || commands[0].N != 1 || commands[0].MemoryMB != 256 {
			t.Fatalf("commands are %+v", commands)
		}
		time.Sleep(time.Second)
		if err := sink.Observe(t.Context(), []source.Observation{{
			Kind: source.Started, Function: "b", Trace: "t1", Call: "2", ParentCall: "1", Time: time.Now(), Wait: -1, Init: -1, Temperature: source.Warm,
		}}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		s := c.Snapshot()
		if s.Totals.Hits != 1 || s.Totals.Warmups != 1 || len(s.Decisions) != 1 || s.Decisions[0].Outcome != "used after 1s" || s.Sources[0].Observations != 2 {
			t.Errorf("state is %+v", s)
		}
		if err := stop(); err != nil || !a.closed {
			t.Errorf("ended with %v; the actuator was closed: %v", err, a.closed)
		}
		if err := sink.Observe(t.Context(), []source.Observation{invoked("a", "t2", "1")}); err == nil || c.Ready() == nil {
			t.Error("a controller that has ended takes observations")
		}
	})
}

// TestPauses checks that nothing is done while paused, and that it goes on afterwards.
func TestPauses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &fake{}
		c := newController(t, a, nil)
		started(t, c)
		sink := c.Sink("test")
		observe := func(trace string) {
			if err := sink.Observe(t.Context(), []source.Observation{invoked("a", trace, "1")}); err != nil {
				t.Fatal(err)
			}
			time.Sleep(showEvery)
			synctest.Wait()
		}
		if err := c.Pause(t.Context()); err != nil {
			t.Fatal(err)
		}
		observe("t1")
		if s := c.Snapshot(); len(a.asked()) > 0 || s.Mode != Paused || s.Totals.Invocations != 1 || s.Decisions[0].Outcome != "held: paused" {
			t.Fatalf("%d commands in a pause: %+v", len(a.asked()), s)
		}
		if err := c.Resume(t.Context()); err != nil {
			t.Fatal(err)
		}
		observe("t2")
		if s := c.Snapshot(); len(a.asked()) != 1 || s.Mode != Acting {
			t.Errorf("%d commands after the pause, mode %s", len(a.asked()), s.Mode)
		}
	})
}

// TestBusy checks that a flood is answered with ErrBusy, by count and by bytes, and that what was taken is looked at.
func TestBusy(t *testing.T) {
	for name, change := range map[string]func(*RunOptions){
		"by count": func(o *RunOptions) { o.MostQueued = 10 },
		"by bytes": func(o *RunOptions) { o.MostQueuedBytes = 3000 },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newController(t, &fake{}, func(o *Options, run *RunOptions) { change(run) })
				sink := c.Sink("flood")
				taken := 0
				for i := range 100 { // nobody looks at them yet
					err := sink.Observe(t.Context(), []source.Observation{invoked("a", fmt.Sprint("t", i), "1"), invoked("b", fmt.Sprint("t", i), "2")})
					switch {
					case err == nil:
						taken += 2
					case !errors.Is(err, source.ErrBusy):
						t.Fatal(err)
					}
				}
				if taken == 0 || taken > 10 {
					t.Fatalf("%d were taken", taken)
				}
				started(t, c)
				synctest.Wait()
				time.Sleep(time.Second)
				s := c.Snapshot()
				if s.Totals.Invocations != uint64(taken) || s.Sources[0].Refused != uint64(200-taken) {
					t.Errorf("of %d that were taken %d were looked at; %d were refused", taken, s.Totals.Invocations, s.Sources[0].Refused)
				}
				if err := sink.Observe(t.Context(), []source.Observation{invoked("a", "later", "1")}); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// TestActuatorThatHangs checks that decisions are made, and that the end does not take for ever, while the actuator answers nothing.
func TestActuatorThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &fake{answer: func(ctx context.Context, c actuator.Command) ([]actuator.Result, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}}
		c := newController(t, a, func(_ *Options, run *RunOptions) { run.Shutdown = 3 * time.Second })
		stop := started(t, c)
		sink := c.Sink("test")
		for i := range 100 {
			if err := sink.Observe(t.Context(), []source.Observation{invoked("a", fmt.Sprint("t", i), "1")}); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		time.Sleep(200 * time.Millisecond)
		if s := c.Snapshot(); s.Totals.Invocations != 100 {
			t.Errorf("%d invocations were looked at", s.Totals.Invocations)
		}
		begun := time.Now()
		if err := stop(); err != nil {
			t.Error(err)
		}
		if took := time.Since(begun); took > 4*time.Second {
			t.Errorf("the end has taken %v", took)
		}
	})
}

// TestFailuresAreSpaced checks that a policy which asks again and again for what fails does not have it tried again and again.
func TestFailuresAreSpaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &fake{answer: func(ctx context.Context, c actuator.Command) ([]actuator.Result, error) {
			return nil, errors.New("down")
		}}
		c := newController(t, a, nil)
		started(t, c)
		sink := c.Sink("test")
		for i := range 600 { // a minute
			if err := sink.Observe(t.Context(), []source.Observation{invoked("a", fmt.Sprint("t", i), "1")}); err != nil {
				t.Fatal(err)
			}
			time.Sleep(100 * time.Millisecond)
		}
		if n := len(a.asked()); n < 2 || n > 8 {
			t.Errorf("%d commands in a minute", n)
		}
		if s := c.Snapshot(); s.Totals.Failed == 0 || len(s.Decisions) > 60 {
			t.Errorf("%d have failed, %d decisions are shown", s.Totals.Failed, len(s.Decisions))
		}
	})
}
