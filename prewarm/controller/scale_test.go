package controller

import (
	"slices"
	"testing"
	"time"

	"github.com/tppfaas/tppfaas/prewarm"
	"github.com/tppfaas/tppfaas/prewarm/actuator"
	"github.com/tppfaas/tppfaas/prewarm/mirror"
	"github.com/tppfaas/tppfaas/prewarm/source"
)

// replicas is what can be done where numbers of replicas are set.
var replicas = prewarm.Platform{Warm: true, GiveBack: true, Hold: true, Arrivals: true, IdleTimeout: 10 * time.Minute}

// scaled is a core on a platform with replicas, and what it has asked for.
type scaled struct {
	*Core
	t    *testing.T
	do   func(e *prewarm.Event, fleet *prewarm.Fleet, d *prewarm.Decisions)
	sent []actuator.Command
}

// newScaled returns a core whose policy is do, which may be changed.
func newScaled(t *testing.T, loads bool, saved *Saved) *scaled {
	t.Helper()
	s := &scaled{t: t}
	o := Options{
		Epoch: virtualEpoch, Platform: replicas, Functions: ab, Act: true, ServesAll: true, Scales: true, Loads: loads,
		NewPolicy: func([]prewarm.Function) (prewarm.Policy, error) {
			return prewarm.PolicyFunc(func(e *prewarm.Event, fleet *prewarm.Fleet, d *prewarm.Decisions) {
				if s.do != nil {
					s.do(e, fleet, d)
				}
			}), nil
		},
	}
	m, err := mirror.New(mirror.Options{Epoch: o.Epoch, Platform: replicas, Functions: ab, Replicas: loads})
	if err != nil {
		t.Fatal(err)
	}
	if s.Core, err = NewCore(o, m); err != nil {
		t.Fatal(err)
	}
	first := prewarm.Time(0)
	if saved != nil {
		first = saved.Last
	}
	s.Begin(first, saved)
	return s
}

// at lets time pass until then, has the policy do something, and answers each command with the outcome.
func (s *scaled) at(then prewarm.Time, outcome actuator.Outcome, do func(fleet *prewarm.Fleet, d *prewarm.Decisions)) {
	s.t.Helper()
	if do != nil {
		s.do = func(_ *prewarm.Event, fleet *prewarm.Fleet, d *prewarm.Decisions) {
			s.do = nil
			do(fleet, d)
		}
		s.agenda.set(entry{wakePolicy, 77}, then)
	}
	for next := s.Next(); next <= then; next = s.Next() {
		s.Pass(next)
		s.answer(outcome)
	}
	s.Pass(then)
	s.answer(outcome)
}

func (s *scaled) answer(outcome actuator.Outcome) {
	for commands := slices.Clone(s.Commands()); len(commands) > 0; commands = slices.Clone(s.Commands()) {
		for _, c := range commands {
			s.sent = append(s.sent, c)
			s.Acted(s.now, c.ID, []actuator.Result{{Outcome: outcome}})
		}
	}
}

// last checks the number of the last command for b, and how many commands there were.
func (s *scaled) last(want, commands int) {
	s.t.Helper()
	if len(s.sent) != commands || commands > 0 && (s.sent[commands-1].N != want || s.sent[commands-1].Kind != actuator.Scale || s.sent[commands-1].Function != "b") {
		s.t.Fatalf("commands are %+v, want %d, the last with %d", s.sent, commands, want)
	}
}

func startB(n int) func(*prewarm.Fleet, *prewarm.Decisions) {
	return func(_ *prewarm.Fleet, d *prewarm.Decisions) { d.Start(1, n, prewarm.Why{Rule: "test"}) }
}

func giveBackB(fleet *prewarm.Fleet, d *prewarm.Decisions) {
	for _, c := range fleet.Containers(1, prewarm.StateIdle) {
		d.GiveBack(c, prewarm.Why{Rule: "test"})
	}
}

// TestScales checks that what a policy starts and gives back becomes numbers of replicas, which are renewed as long as they hold, and that the platform is
// left alone afterwards.
func TestScales(t *testing.T) {
	s := newScaled(t, false, nil)
	s.at(time.Second, actuator.Created, nil)
	s.last(0, 0)
	s.at(2*time.Second, actuator.Created, startB(3))
	s.last(3, 1)
	if until := s.sent[0].Until; !until.Equal(virtualEpoch.Add(2*time.Second + s.o.Lease)) {
		t.Errorf("it holds until %v", until)
	}
	if n := len(s.fleet.Containers(1, prewarm.StateIdle)); n != 3 {
		t.Errorf("%d containers are idle", n)
	}
	s.at(2*time.Second+s.o.Lease/2, actuator.Created, nil)
	s.last(3, 2) // renewed
	s.at(100*time.Second, actuator.Created, giveBackB)
	s.last(1, 3) // nobody knows whether the platform keeps one: it is not taken away
	s.at(time.Hour, actuator.Created, nil)
	s.last(1, 3)
}

// TestScalesNotBelowThePlatform checks that never fewer replicas are asked for than the platform has by itself, whatever the policy wants.
func TestScalesNotBelowThePlatform(t *testing.T) {
	s := newScaled(t, true, nil)
	load := func(at prewarm.Time, n float64) {
		t.Helper()
		if err := s.ObserveLoad(at, &source.Load{
			Function: "b", Time: virtualEpoch.Add(at), Replicas: n, Ready: n, Arrived: -1, Ended: -1, Failed: -1, Refused: -1, InFlight: -1, CPU: -1, Queued: -1,
		}); err != nil {
			t.Fatal(err)
		}
	}
	load(time.Second, 2)
	s.at(2*time.Second, actuator.Created, giveBackB)
	s.last(0, 0)
	s.at(3*time.Second, actuator.Created, startB(2))
	s.last(4, 1)
	if n := s.State().Totals.Warmups; n != 2 {
		t.Errorf("%d containers were asked for", n)
	}
	load(5*time.Second, 4)
	s.at(6*time.Second, actuator.Created, giveBackB)
	s.last(2, 2)
	load(8*time.Second, 2)
	s.at(9*time.Second, actuator.Created, func(_ *prewarm.Fleet, d *prewarm.Decisions) { d.Scale(1, 0, prewarm.Why{}) })
	s.at(20*time.Second, actuator.Created, nil)
	for _, c := range s.sent {
		if c.N < 2 {
			t.Errorf("asked for %d replicas, of which the platform has 2 by itself", c.N)
		}
	}
}

// TestScalesByPolicy checks policies that set the number of replicas.
func TestScalesByPolicy(t *testing.T) {
	s := newScaled(t, false, nil)
	set := func(n int) func(*prewarm.Fleet, *prewarm.Decisions) {
		return func(_ *prewarm.Fleet, d *prewarm.Decisions) { d.Scale(1, n, prewarm.Why{Rule: "test"}) }
	}
	s.at(time.Second, actuator.Created, set(5))
	s.last(5, 1)
	s.at(2*time.Second, actuator.Created, set(5))
	s.last(5, 1)
	s.at(3*time.Second, actuator.Created, set(2))
	s.last(2, 2)
	s.at(4*time.Second, actuator.Created, set(4))
	s.last(4, 3)
}

// TestScaleFails checks that a number that could not be set is tried again, later and later, and not given up.
func TestScaleFails(t *testing.T) {
	s := newScaled(t, false, nil)
	s.at(time.Second, actuator.Failed, startB(2))
	s.at(30*time.Second, actuator.Failed, func(_ *prewarm.Fleet, d *prewarm.Decisions) { d.Start(1, 2, prewarm.Why{}) })
	if n := len(s.sent); n < 2 || n > 8 {
		t.Errorf("%d commands in half a minute", n)
	}
	s.at(2*time.Minute, actuator.Created, startB(2))
	if last := s.sent[len(s.sent)-1]; last.N != 2 {
		t.Errorf("last asked for %d", last.N)
	}
}

// TestScaledBackAfterRestart checks that what an earlier process has asked for is scaled back to what is needed.
func TestScaledBackAfterRestart(t *testing.T) {
	s := newScaled(t, false, nil)
	s.at(time.Second, actuator.Created, startB(4))
	s.last(4, 1)
	saved := canonical(t, s.Saved())
	saved.Last += prewarm.Time(10 * time.Second)
	again := newScaled(t, false, saved)
	again.answer(actuator.Created)
	again.last(1, 1)
	if again.sent[0].ID <= s.sent[0].ID {
		t.Errorf("number %d is used again", again.sent[0].ID)
	}
}

// TestRestart checks that a new process knows the containers that were warmed, and what was counted.
func TestRestart(t *testing.T) {
	x := newWorld(t, worldOptions{app: "tree_small", load: "poisson:1200", requests: 20, seed: 1, policy: "newsvendor:2560:table", act: true})
	x.run()
	saved := canonical(t, x.core.Saved())
	before := x.core.State()
	y := newWorld(t, worldOptions{app: "tree_small", load: "poisson:1200", requests: 20, seed: 1, policy: "newsvendor:2560:table", act: true})
	y.core.Begin(saved.Last, saved)
	after := y.core.State()
	if before.Totals != after.Totals {
		t.Errorf("totals were %+v and are %+v", before.Totals, after.Totals)
	}
	standing := 0
	for _, w := range saved.Warmed {
		standing += w.N
	}
	warmed := 0
	for _, f := range after.Functions {
		warmed += f.Warmed
	}
	if standing != warmed {
		t.Errorf("%d containers were warmed and not used, and %d are known", standing, warmed)
	}
	if n := len(y.core.Commands()); n > 0 {
		t.Errorf("%d commands at the beginning", n)
	}
}
