package controller

import (
	"fmt"
	"testing"
	"time"

	"github.com/tppfaas/tppfaas/prewarm"
	"github.com/tppfaas/tppfaas/prewarm/mirror"
	"github.com/tppfaas/tppfaas/prewarm/source"
)

// forgetful is a policy that notes what it is to forget.
type forgetful struct{ functions []int }

func (f *forgetful) Handle(*prewarm.Event, *prewarm.Fleet, *prewarm.Decisions) {}
func (f *forgetful) Forget(function int)                                       { f.functions = append(f.functions, function) }

// TestRedeployed checks that of a function with new code the start times are forgotten, by the policy too, and nothing else is.
func TestRedeployed(t *testing.T) {
	m, err := mirror.New(mirror.Options{Epoch: virtualEpoch, Platform: whisk, Functions: ab})
	if err != nil {
		t.Fatal(err)
	}
	p := &forgetful{}
	c, err := NewCore(Options{
		Epoch: virtualEpoch, Platform: whisk, Functions: ab, ServesAll: true,
		NewPolicy: func([]prewarm.Function) (prewarm.Policy, error) { return p, nil },
	}, m)
	if err != nil {
		t.Fatal(err)
	}
	c.Begin(0, nil)
	now := prewarm.Time(0)
	run := func(function, version string, start time.Duration) {
		now += time.Minute
		o := source.Observation{
			Function: function, Version: version, Trace: fmt.Sprint("t", now), Call: "1", Time: virtualEpoch.Add(now), Wait: -1, Init: -1,
		}
		for _, step := range []struct {
			kind  source.Kind
			after time.Duration
		}{{source.Invoked, 0}, {source.Started, start}, {source.Ended, time.Second}} {
			now += step.after
			o.Kind, o.Time = step.kind, virtualEpoch.Add(now)
			if step.kind != source.Invoked {
				o.Temperature = source.Cold
			}
			if err := c.Observe(now, &o); err != nil {
				t.Fatal(err)
			}
		}
		now += time.Hour // its container is gone
		c.Pass(now)
	}
	run("a", "1", 2*time.Second)
	run("b", "1", 3*time.Second)
	if len(p.functions) > 0 || c.State().Functions[0].StartSeconds != 2 {
		t.Fatalf("forgotten: %v, start time of a %v s", p.functions, c.State().Functions[0].StartSeconds)
	}
	run("a", "2", 5*time.Second)
	s := c.State()
	if len(p.functions) != 1 || p.functions[0] != 0 {
		t.Errorf("the policy was to forget %v", p.functions)
	}
	if s.Functions[0].StartSeconds != 5 || s.Functions[1].StartSeconds != 3 || s.Functions[0].Version != "2" || s.Functions[0].Cold != 2 {
		t.Errorf("functions are %+v", s.Functions)
	}
}
