package policy_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tppfaas/tppfaas/prewarm"
	"github.com/tppfaas/tppfaas/prewarm/policy"
)

// serial runs requests on a fleet whose containers are created for invocations and never removed, so that what a policy is told does not depend on what it
// decides, but for when it is woken.
type serial struct {
	t         *testing.T
	policy    prewarm.Policy
	fleet     *prewarm.Fleet
	now       prewarm.Time
	last      prewarm.ID
	wakes     map[uint64]prewarm.Time
	decisions prewarm.Decisions
	log       []string
}

func (s *serial) take() {
	for _, d := range s.decisions.List {
		if d.Action == prewarm.WakePolicy {
			s.wakes[d.Key] = d.Until
			continue
		}
		s.log = append(s.log, fmt.Sprintf("%v %v of %d: %d, container %d until %v, %s", s.now, d.Action, d.Function, d.N, d.Container, d.Until, d.Why.Rule))
	}
	s.decisions.Reset()
}

// to lets time pass.
func (s *serial) to(at prewarm.Time) {
	for {
		first, key := at, uint64(0)
		for k, wake := range s.wakes {
			if wake < first || wake == first && key > 0 && k < key {
				first, key = wake, k
			}
		}
		if key == 0 {
			break
		}
		delete(s.wakes, key)
		s.tell(prewarm.Event{Kind: prewarm.Woken, Key: key}, max(first, s.now))
	}
	s.now = at
}

func (s *serial) tell(e prewarm.Event, at prewarm.Time) {
	s.now, e.At = at, at
	require.NoError(s.t, s.fleet.Apply(&e))
	s.policy.Handle(&e, s.fleet, &s.decisions)
	s.take()
}

// invoke runs an invocation of a function for a second, and returns its number.
func (s *serial) invoke(function int, trace, parent prewarm.ID) prewarm.ID {
	s.last++
	e := prewarm.Event{Function: function, Trace: trace, Invocation: s.last, Parent: parent}
	do := func(k prewarm.Kind) {
		e.Kind = k
		s.tell(e, s.now)
	}
	do(prewarm.Arrived)
	if idle := s.fleet.Containers(function, prewarm.StateIdle); len(idle) > 0 {
		e.Container = idle[len(idle)-1].ID
		do(prewarm.Placed)
	} else {
		e.Container, e.Start = 1000+e.Invocation, prewarm.Cold
		do(prewarm.Placed)
		s.to(s.now + 500*time.Millisecond)
	}
	e.Start = 0
	do(prewarm.Started)
	s.to(s.now + time.Second)
	do(prewarm.Ended)
	do(prewarm.Idle)
	return e.Invocation
}

func (s *serial) requests(n int, third bool, gap time.Duration) {
	for range n {
		trace := s.last + 1
		parent := s.invoke(0, trace, 0)
		parent = s.invoke(1, trace, parent)
		if third {
			s.invoke(2, trace, parent)
		}
		s.to(s.now + gap)
	}
}

// TestGrown gives each kind of policy a function while it runs, and checks that it decides as one that had it from the beginning: nothing is forgotten of the
// others, and the new one is treated like them.
func TestGrown(t *testing.T) {
	functions := []prewarm.Function{{Name: "a", MemoryMB: 256, Application: "x"}, {Name: "b", MemoryMB: 256, Application: "x"}, {Name: "c", MemoryMB: 256, Application: "x"}}
	platform := prewarm.Platform{Warm: true, GiveBack: true, Hold: true, Arrivals: true, IdleTimeout: 10 * time.Minute}
	for _, k := range policy.Kinds() {
		t.Run(k.Name, func(t *testing.T) {
			run := func(known int) []string {
				p, err := policy.New(k.Name, policy.Options{Platform: platform, Functions: functions[:known], Seed: 1})
				require.NoError(t, err)
				if c, ok := p.(interface{ Close() error }); ok {
					defer c.Close()
				}
				fleet, err := prewarm.NewFleet(platform, functions[:known])
				require.NoError(t, err)
				s := &serial{t: t, policy: p, fleet: fleet, wakes: map[uint64]prewarm.Time{}}
				s.tell(prewarm.Event{Kind: prewarm.Woken}, 0)
				s.requests(15, false, 97*time.Second)
				begun := len(s.log)
				if known < len(functions) {
					_, err := fleet.AddFunction(functions[2])
					require.NoError(t, err)
					require.Implements(t, (*prewarm.Grower)(nil), p)
					p.(prewarm.Grower).Grown(fleet, &s.decisions)
					s.take()
					for _, line := range s.log[begun:] {
						require.Contains(t, line, "of 2:", "a decision on a function that is not new")
					}
				}
				s.requests(1, true, 97*time.Second) // one that had it from the beginning may have given its first container back
				begun = len(s.log)
				s.requests(15, true, 97*time.Second)
				s.to(s.now + time.Hour)
				return s.log[begun:]
			}
			want, got := run(3), run(2)
			require.Equal(t, want, got)
			// This load is too little for those that scale by rates and processor time, and too short for those that learn.
			if !slices.Contains([]string{"learning", "newsvendor", "hpa", "openfaas-ce", "openfaas-pro"}, k.Name) {
				require.NotEmpty(t, want)
			}
		})
	}
}
