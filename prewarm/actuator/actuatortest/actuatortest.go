package actuatortest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tppfaas/tppfaas/prewarm/actuator"
)

// Subject is an actuator with platforms that it can be tried on. Each function returns a new actuator, which the checks close.
type Subject struct {
	// Kinds are those that it carries out.
	Kinds []actuator.Kind
	// Function is one that the platform has, and Unknown one that it does not have; Unknown is "" where the platform does not know that.
	Function, Unknown string
	// New returns one whose platform works.
	New func(t *testing.T) actuator.Actuator
	// Unreachable returns one whose platform is not there, and Hanging one whose platform takes requests and does not answer; they are nil for an
	// actuator that asks nobody.
	Unreachable, Hanging func(t *testing.T) actuator.Actuator
}

// patience is how long something may take that should happen at once.
const patience = 20 * time.Second

// Run makes all checks.
func Run(t *testing.T, s Subject) {
	t.Run("results", s.results)
	t.Run("other kinds", s.otherKinds)
	t.Run("at the same time", s.concurrent)
	t.Run("closed", s.closed)
	if s.Unknown != "" {
		t.Run("unknown function", s.unknown)
	}
	if s.Unreachable != nil {
		t.Run("unreachable", s.unreachable)
	}
	if s.Hanging != nil {
		t.Run("hanging", s.hanging)
		t.Run("closed while it hangs", s.closedWhileHanging)
	}
}

var number atomic.Uint64

// command returns a new command.
func (s *Subject) command(kind actuator.Kind, function string, n int) actuator.Command {
	return actuator.Command{ID: number.Add(1), Kind: kind, Function: function, N: n, MemoryMB: 256, Until: time.Now().Add(time.Minute), Reason: "a test"}
}

// open returns an actuator that is closed at the end of the test.
func open(t *testing.T, create func(t *testing.T) actuator.Actuator) actuator.Actuator {
	t.Helper()
	a := create(t)
	t.Cleanup(func() { closeWithin(t, a, patience) })
	return a
}

func closeWithin(t *testing.T, a actuator.Actuator, d time.Duration) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	if err := a.Close(ctx); err != nil {
		t.Errorf("Close: %v", err)
	}
}

// check reports what is wrong with the results of a command.
func check(results []actuator.Result, err error, c actuator.Command, before, after time.Time) error {
	if err == nil && len(results) != c.Results() {
		return fmt.Errorf("%s %d: %d results", c.Kind, c.N, len(results))
	}
	if len(results) > c.Results() {
		return fmt.Errorf("%s %d: %d results are too many", c.Kind, c.N, len(results))
	}
	failed := false
	for i, r := range results {
		switch {
		case (r.Outcome == actuator.Failed || r.Outcome == actuator.Held) && r.Err == nil:
			return fmt.Errorf("result %d: %s without a reason", i, r.Outcome)
		case r.Outcome == actuator.Dry:
			return fmt.Errorf("result %d: dry is not the actuator's to say", i)
		case !r.Asked.IsZero() && (r.Asked.Before(before) || r.Asked.After(after)), !r.Ready.IsZero() && (r.Ready.Before(r.Asked) || r.Ready.After(after)):
			return fmt.Errorf("result %d: asked at %v, ready at %v", i, r.Asked, r.Ready)
		}
		failed = failed || r.Outcome == actuator.Failed
	}
	if failed && err == nil {
		return errors.New("something has failed, and Act returns no error")
	}
	return nil
}

// act carries out a command that should work.
func act(t *testing.T, a actuator.Actuator, c actuator.Command) []actuator.Result {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	before := time.Now()
	results, err := a.Act(ctx, c)
	if err != nil {
		t.Fatalf("%s %d of %s: %v", c.Kind, c.N, c.Function, err)
	}
	if err := check(results, err, c, before, time.Now()); err != nil {
		t.Fatal(err)
	}
	return results
}

// results checks that there is a result for each container, or one.
func (s *Subject) results(t *testing.T) {
	a := open(t, s.New)
	if a.Name() == "" {
		t.Error("it has no name")
	}
	p := a.Platform()
	if p.IdleTimeout < 0 || p.MemoryMB < 0 {
		t.Errorf("its platform cannot be: %+v", p)
	}
	for _, kind := range s.Kinds {
		for _, n := range []int{1, 0, 3} {
			for _, r := range act(t, a, s.command(kind, s.Function, n)) {
				if r.Outcome == actuator.Held {
					t.Errorf("%s %d: held: %v", kind, n, r.Err)
				}
			}
		}
		if kind == actuator.Warm {
			c := s.command(kind, s.Function, 1)
			c.Idle = 2
			act(t, a, c)
		}
	}
}

// otherKinds checks that what it does not carry out is refused, and said so.
func (s *Subject) otherKinds(t *testing.T) {
	a := open(t, s.New)
	for _, kind := range []actuator.Kind{actuator.Warm, actuator.Scale} {
		if slices.Contains(s.Kinds, kind) {
			continue
		}
		if _, err := a.Act(t.Context(), s.command(kind, s.Function, 1)); !errors.Is(err, actuator.ErrKind) {
			t.Errorf("%s: %v, want ErrKind", kind, err)
		}
	}
}

// concurrent checks that commands can be carried out at the same time. The race detector sees more.
func (s *Subject) concurrent(t *testing.T) {
	a := open(t, s.New)
	var running sync.WaitGroup
	for i := range 8 {
		c := s.command(s.Kinds[i%len(s.Kinds)], s.Function, 1+i%3)
		running.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			before := time.Now()
			results, err := a.Act(ctx, c)
			if err := errors.Join(err, check(results, err, c, before, time.Now())); err != nil {
				t.Error(err)
			}
			_ = a.Platform()
		})
	}
	running.Wait()
}

// closed checks that nothing is done after Close, and that it can be called again.
func (s *Subject) closed(t *testing.T) {
	a := s.New(t)
	act(t, a, s.command(s.Kinds[0], s.Function, 1))
	closeWithin(t, a, patience)
	if _, err := a.Act(t.Context(), s.command(s.Kinds[0], s.Function, 1)); !errors.Is(err, actuator.ErrClosed) {
		t.Errorf("Act after Close: %v, want ErrClosed", err)
	}
	closeWithin(t, a, patience)
}

// unknown checks that the error of a function that is not there is not taken for one of the platform, and names the function.
func (s *Subject) unknown(t *testing.T) {
	a := open(t, s.New)
	for _, kind := range s.Kinds {
		c := s.command(kind, s.Unknown, 2)
		before := time.Now()
		results, err := a.Act(t.Context(), c)
		var unavailable *actuator.UnavailableError
		if err == nil || errors.As(err, &unavailable) {
			t.Errorf("%s: %v, want an error of the function alone", kind, err)
			continue
		}
		var none *actuator.NoFunctionError
		if !errors.As(err, &none) {
			t.Errorf("%s: %v does not say that there is no such function", kind, err)
		}
		if err := check(results, err, c, before, time.Now()); err != nil {
			t.Error(err)
		}
		if !strings.Contains(err.Error(), s.Unknown) {
			t.Errorf("%s: %q does not name %s", kind, err, s.Unknown)
		}
	}
}

// unreachable checks that an error of the platform as a whole can be told from others.
func (s *Subject) unreachable(t *testing.T) {
	a := open(t, s.Unreachable)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	c := s.command(s.Kinds[0], s.Function, 2)
	before := time.Now()
	results, err := a.Act(ctx, c)
	var unavailable *actuator.UnavailableError
	if !errors.As(err, &unavailable) {
		t.Errorf("%v, want an UnavailableError", err)
		return
	}
	if err := check(results, err, c, before, time.Now()); err != nil {
		t.Error(err)
	}
	if text := err.Error(); strings.Contains(text, "\n") || text == "" {
		t.Errorf("the error is not one line: %q", text)
	}
}

// hanging checks that a command ends with its context.
func (s *Subject) hanging(t *testing.T) {
	a := open(t, s.Hanging)
	for _, kind := range s.Kinds {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		c := s.command(kind, s.Function, 2)
		before := time.Now()
		results, err := a.Act(ctx, c)
		after := time.Now()
		cancel()
		if err == nil {
			t.Errorf("%s: no error, though the context is done", kind)
		} else if err := check(results, err, c, before, after); err != nil {
			t.Error(err)
		}
		if after.Sub(before) > patience/2 {
			t.Errorf("%s: it has ended %v after it began, and had 50 ms", kind, after.Sub(before))
		}
	}
}

// closedWhileHanging checks that Close ends what is under way.
func (s *Subject) closedWhileHanging(t *testing.T) {
	a := s.Hanging(t)
	c := s.command(s.Kinds[0], s.Function, 2)
	done := make(chan error, 1)
	begun := make(chan struct{})
	go func() {
		close(begun)
		_, err := a.Act(t.Context(), c)
		done <- err
	}()
	<-begun
	closeWithin(t, a, patience)
	select {
	case err := <-done:
		if err == nil {
			t.Error("a command that was broken off has no error")
		}
	case <-time.After(patience):
		t.Error("Close has not ended what was under way")
	}
}
