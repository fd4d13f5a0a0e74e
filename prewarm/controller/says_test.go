package controller

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tppfaas/tppfaas/prewarm/actuator"
	"github.com/tppfaas/tppfaas/prewarm/source"
)

// lines is what is logged.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// TestSaysWhatFails checks that starts that fail, and a reason for which nothing is started, are a line of the log each, and not one for each time.
func TestSaysWhatFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &fake{answer: func(context.Context, actuator.Command) ([]actuator.Result, error) {
			return nil, errors.New("wrong password")
		}}
		log := &lines{}
		c := newController(t, a, func(o *Options, run *RunOptions) {
			o.Log = slog.New(slog.NewTextHandler(log, nil))
			run.NewGuard = newGuardFor(a)
		})
		stop := started(t, c)
		sink := c.Sink("test")
		for i := range 200 {
			if err := sink.Observe(t.Context(), []source.Observation{invoked("a", string(rune('A'+i)), "1")}); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
			synctest.Wait()
		}
		failed := c.Snapshot().Totals.Failed
		said := strings.Count(log.String(), "a start has failed")
		if said == 0 || uint64(said) >= failed || !strings.Contains(log.String(), "wrong password") || !strings.Contains(log.String(), "function=b") {
			t.Errorf("%d starts have failed, the log has %d lines on that:\n%s", failed, said, log)
		}
		for _, reason := range []string{"the disk is full", "the disk is full", "", ""} {
			if err := c.call(t.Context(), func() { c.core.Block(reason) }); err != nil {
				t.Fatal(err)
			}
		}
		if strings.Count(log.String(), "the disk is full") != 1 || strings.Count(log.String(), "starts are possible again") != 1 {
			t.Errorf("the log is\n%s", log)
		}
		if err := stop(); err != nil {
			t.Fatal(err)
		}
	})
}

// TestSaysWhatIsOfNoUse checks that observations of no use are counted with their source, and that state and log say why.
func TestSaysWhatIsOfNoUse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &lines{}
		c := newController(t, &fake{}, func(o *Options, _ *RunOptions) { o.Log = slog.New(slog.NewTextHandler(log, nil)) })
		stop := started(t, c)
		sink := c.Sink("gateway")
		old := invoked("a", "old", "1")
		old.Time = old.Time.Add(-time.Hour)
		if err := sink.Observe(t.Context(), []source.Observation{invoked("a", "t", "1"), old, old, old}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		s := c.Snapshot().Sources[0]
		if s.Observations != 4 || s.Invalid != 3 || !strings.Contains(s.Error, "a clock that is behind") {
			t.Errorf("the source's state is %+v", s)
		}
		if n := strings.Count(log.String(), "source=gateway"); n != 2 { // the first and the second
			t.Errorf("%d lines are logged:\n%s", n, log)
		}
		if err := stop(); err != nil {
			t.Fatal(err)
		}
	})
}

// TestFollowsTheClock checks that times and ends of commands are by the machine's clock after it was set, forth and back.
func TestFollowsTheClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &fake{}
		c := newController(t, a, func(_ *Options, run *RunOptions) { run.NewGuard = newGuardFor(a) })
		step := time.Duration(0)
		c.wall = func() time.Time { return time.Now().Add(step) }
		stop := started(t, c)
		sink := c.Sink("test")
		for i, to := range []time.Duration{0, time.Hour, -5 * time.Minute, 100 * time.Millisecond} {
			if err := c.call(t.Context(), func() { step = to }); err != nil {
				t.Fatal(err)
			}
			time.Sleep(2 * time.Second)
			synctest.Wait()
			if err := sink.Observe(t.Context(), []source.Observation{invoked("a", string(rune('A'+i)), "1")}); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
			synctest.Wait()
			s, wall := c.Snapshot(), time.Now().Add(to)
			if begun := s.Traces[0].Begun; wall.Sub(begun) < 0 || wall.Sub(begun) > 2*time.Second {
				t.Errorf("clock set by %v: a request begins at %v, it is %v", to, begun, wall)
			}
			commands := a.asked()
			if len(commands) != i+1 {
				t.Fatalf("%d commands, want %d", len(commands), i+1)
			}
			if left := commands[i].Until.Sub(wall); left < 9*time.Minute || left > 10*time.Minute {
				t.Errorf("clock set by %v: a command ends after %v, want 10 min", to, left)
			}
		}
		if err := stop(); err != nil {
			t.Fatal(err)
		}
	})
}

// TestSaysWhatSourcesSay checks that a source which fails is a line of the log when it begins to, and one when it works again.
func TestSaysWhatSourcesSay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &lines{}
		c := newController(t, &fake{}, func(o *Options, _ *RunOptions) { o.Log = slog.New(slog.NewTextHandler(log, nil)) })
		sink := c.Sink("metrics")
		counter := source.NewCounter("metrics", sink)
		c.Count(sink, counter.Counts)
		stop := started(t, c)
		for _, err := range []error{nil, errors.New("refused"), errors.New("refused again"), nil, errors.New("lost")} {
			counter.Report(err)
			time.Sleep(3 * time.Second)
			synctest.Wait()
		}
		text := log.String()
		if strings.Count(text, "a source fails") != 2 || strings.Count(text, "a source works again") != 1 || !strings.Contains(text, "error=refused") || strings.Contains(text, "refused again") {
			t.Errorf("the log is\n%s", text)
		}
		if err := stop(); err != nil {
			t.Fatal(err)
		}
	})
}

// TestSaysWhatHasNoModel checks that functions that no model is for are named in the log, each once, and not where models may be learned.
func TestSaysWhatHasNoModel(t *testing.T) {
	for _, learns := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			log := &lines{}
			c := newController(t, &fake{}, func(o *Options, _ *RunOptions) {
				o.Log = slog.New(slog.NewTextHandler(log, nil))
				o.ServesAll, o.Learns = false, learns
				o.Models = func() []Model { return []Model{{Name: "file", Functions: []string{"a", "b"}}} }
			})
			stop := started(t, c)
			sink := c.Sink("test")
			for i, function := range []string{"a", "pay", "ship", "a", "pay"} {
				if err := sink.Observe(t.Context(), []source.Observation{invoked(function, string(rune('A'+i)), "1")}); err != nil {
					t.Fatal(err)
				}
			}
			time.Sleep(10 * checkEvery)
			synctest.Wait()
			want := 1
			if learns {
				want = 0
			}
			if got := strings.Count(log.String(), "functions=pay,ship"); got != want || strings.Count(log.String(), "no model") != want {
				t.Errorf("with learning %t the log is\n%s", learns, log)
			}
			if err := stop(); err != nil {
				t.Fatal(err)
			}
		})
	}
}
