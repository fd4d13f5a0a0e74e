package controller

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tppfaas/tppfaas/internal/localwhisk"
	"github.com/tppfaas/tppfaas/prewarm"
	"github.com/tppfaas/tppfaas/prewarm/actuator"
	"github.com/tppfaas/tppfaas/prewarm/source"
)

// feed tells a watch of requests: what was expected of each function, and what has come, as draw says. It returns after how many the model disagrees, 0 if
// it does not.
func feed(w *watch, requests int, draw func(f int) (expected, variance, came float64)) int {
	names := make([]string, len(w.sums))
	for n := range requests {
		for f := range w.sums {
			expected, variance, came := draw(f)
			w.add(f, expected, variance, came)
		}
		w.close(names)
		if w.disagree != "" {
			return n + 1
		}
	}
	return 0
}

// TestWatchBelievesWhatIsRight checks that models whose probabilities are right are hardly ever found wrong, however long they are watched: also where
// several invocations come together or not at all, which makes the variance larger than is reckoned with.
func TestWatchBelievesWhatIsRight(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	come := func(p float64) float64 {
		if random.Float64() < p {
			return 1
		}
		return 0
	}
	for name, draw := range map[string]func(f int) (float64, float64, float64){
		"certain": func(int) (float64, float64, float64) { return 1, 0, 1 },
		"even":    func(int) (float64, float64, float64) { return 0.5, 0.25, come(0.5) },
		"rare":    func(int) (float64, float64, float64) { return 0.02, 0.02 * 0.98, come(0.02) },
		"frequent": func(int) (float64, float64, float64) {
			p := 0.9 + 0.1*random.Float64()
			return p, p * (1 - p), come(p)
		},
		"five together": func(int) (float64, float64, float64) { return 2.5, 5 * 0.25, 5 * come(0.5) },
	} {
		t.Run(name, func(t *testing.T) {
			wrong := 0
			const models = 100
			for range models {
				if feed(newWatch(10), 5*watchBlock, draw) > 0 {
					wrong++
				}
			}
			// In five blocks the probability is 0.005 at most.
			if wrong > 2 {
				t.Errorf("%d of %d models that are right were found wrong", wrong, models)
			}
		})
	}
}

// TestWatchFindsWhatIsWrong checks after how many requests it is found out what is wrong, and that a small difference is let pass.
func TestWatchFindsWhatIsWrong(t *testing.T) {
	for _, c := range []struct {
		name            string
		expected, comes float64
		within          int
	}{
		{"never comes what is certain", 1, 0, 40},
		{"always comes what is never expected", 0, 1, 40},
		{"comes half as often", 0.8, 0.4, 120},
		{"comes twice as often", 0.3, 0.6, 200},
		{"rare, and comes often", 0.05, 0.3, 200},
		{"one in twenty is lost", 1, 0.95, 0},
	} {
		random := rand.New(rand.NewPCG(5, 6))
		found := feed(newWatch(10), 2*watchBlock, func(f int) (float64, float64, float64) {
			expected, came := 1.0, 1.0
			if f == 7 {
				expected, came = c.expected, 0
				if random.Float64() < c.comes {
					came = 1
				}
			}
			return expected, expected * (1 - expected), came
		})
		if found > c.within || (found == 0) != (c.within == 0) {
			t.Errorf("%s: found after %d requests, want at most %d", c.name, found, c.within)
		}
	}
}

// TestWatchComesToAgreeAgain checks that a model which is right again is used again.
func TestWatchComesToAgreeAgain(t *testing.T) {
	w := newWatch(2)
	if feed(w, 100, func(int) (float64, float64, float64) { return 1, 0, 0 }) == 0 {
		t.Fatal("what never comes was not found")
	}
	for range watchRegain - 1 {
		w.add(0, 1, 0, 1)
		w.close([]string{"a", "b"})
	}
	if w.disagree == "" {
		t.Error("it is believed too soon")
	}
	w.add(0, 1, 0, 1)
	if !w.close([]string{"a", "b"}) || w.disagree != "" {
		t.Error("it is not believed again")
	}
}

// TestMiscalibratedModelIsNotUsed checks that nothing is done any more for functions of a model that expects what does not come, and that the state says
// why.
func TestMiscalibratedModelIsNotUsed(t *testing.T) {
	var x *world
	at := -1
	x = newWorld(t, worldOptions{app: "tree_small", load: "poisson:1200", requests: 120, seed: 2, policy: "newsvendor:2560:table", act: true, world: func(x *world) {
		// The model knows calls of functions that nobody makes any more, as far as can be seen.
		x.observed = func(o *source.Observation) bool {
			return !strings.HasSuffix(o.Function, "-f21") && !strings.HasSuffix(o.Function, "-f22")
		}
	}})
	x.act = func(c actuator.Command) []actuator.Result {
		results := make([]actuator.Result, c.N)
		for i := range results {
			if _, err := x.platform.StartContainer(c.Function); err != nil {
				results[i] = actuator.Result{Outcome: actuator.Failed, Err: err}
			}
		}
		if x.core.models[0].watch.disagree != "" {
			at = len(x.commands)
		}
		return results
	}
	x.run()
	s := x.core.State()
	m := s.Models[0]
	if m.Agrees || !strings.Contains(m.Reason, "miscalibrated") || m.Predicted <= m.Came {
		t.Errorf("model is %+v", m)
	}
	for _, f := range s.Functions {
		if f.Served || f.Reason != m.Reason {
			t.Errorf("function %s: served %v, %q", f.Name, f.Served, f.Reason)
		}
	}
	if at >= 0 {
		t.Errorf("command %d came although the model disagrees", at)
	}
	if len(x.commands) == 0 || s.Decisions[0].Outcome != "held: "+m.Reason {
		t.Errorf("%d commands; the last decision: %s", len(x.commands), s.Decisions[0].Outcome)
	}
	if x.starts[localwhisk.Cold] == 0 {
		t.Error("nothing was cold")
	}
}

// expects is a policy that starts nothing and expects b after a, at a time.
type expects struct {
	steps       *steps
	probability float64
	after       time.Duration
}

func (*expects) Handle(*prewarm.Event, *prewarm.Fleet, *prewarm.Decisions) {}
func (*expects) Grown(*prewarm.Fleet, *prewarm.Decisions)                  {}

func (p *expects) Expected(_ prewarm.ID, list []prewarm.Expected) []prewarm.Expected {
	at := p.steps.fleet.Now + p.after
	return append(list, prewarm.Expected{Function: 1, Probability: p.probability, Lower: at - 100*time.Millisecond, Median: at, Upper: at + 100*time.Millisecond})
}

// expecting returns steps with a model of a and b.
func expecting(t *testing.T, probability float64, after time.Duration) *steps {
	p := &expects{probability: probability, after: after}
	p.steps = newSteps(t, nil, 0, func(o *Options) {
		o.ServesAll = false
		o.NewPolicy = func([]prewarm.Function) (prewarm.Policy, error) { return p, nil }
		o.Models = func() []Model { return []Model{{Name: "file", Functions: []string{"a", "b"}}} }
	})
	return p.steps
}

// call is an invocation of a request, of which nothing but its times matters.
type call struct {
	function, id, caller string
	arrived, took, late  time.Duration
}

// request tells of the calls of a request that comes at a time, each late by so much.
func (s *steps) request(at time.Duration, calls ...call) {
	s.t.Helper()
	type told struct {
		at, of time.Duration
		kind   source.Kind
		call   *call
	}
	var list []told
	for i := range calls {
		c := &calls[i]
		for kind, of := range [...]time.Duration{c.arrived, c.arrived, c.arrived + c.took} {
			list = append(list, told{at + of + c.late, at + of, source.Kind(kind), c})
		}
	}
	slices.SortStableFunc(list, func(a, b told) int { return cmp.Compare(a.at, b.at) })
	for _, l := range list {
		o := source.Observation{
			Kind: l.kind, Function: l.call.function, Trace: "t" + at.String(), Call: l.call.id, ParentCall: l.call.caller, Instance: l.call.function,
			Time: virtualEpoch.Add(l.of), Wait: -1, Init: -1,
		}
		s.Pass(l.at)
		if err := s.Observe(l.at, &o); err != nil {
			s.t.Fatal(err)
		}
	}
}

// TestStaleTimes checks that a model is not used any more when what it foretells comes, and at quite another time; and that a time which is off by less than a
// container takes to start, or because of waiting for containers, is no reason for that.
func TestStaleTimes(t *testing.T) {
	for name, c := range map[string]struct {
		calls func(i int) []call
		stale bool
	}{
		"at the time": {func(int) []call {
			return []call{{function: "a", id: "1", took: 6 * time.Second}, {function: "b", id: "2", caller: "1", arrived: 5 * time.Second}}
		}, false},
		"a bit later": {func(i int) []call {
			return []call{{function: "a", id: "1", took: 7 * time.Second}, {function: "b", id: "2", caller: "1", arrived: 5500 * time.Millisecond}}
		}, false},
		"much later": {func(i int) []call {
			return []call{{function: "a", id: "1", took: 20 * time.Second}, {function: "b", id: "2", caller: "1", arrived: 19 * time.Second}}
		}, true},
		"much sooner": {func(i int) []call {
			return []call{{function: "a", id: "1", took: time.Second}, {function: "b", id: "2", caller: "1", arrived: 100 * time.Millisecond}}
		}, true},
		"now and then": {func(i int) []call {
			arrived := 5 * time.Second
			if i%8 == 0 {
				arrived = 25 * time.Second
			}
			return []call{{function: "a", id: "1", took: arrived + time.Second}, {function: "b", id: "2", caller: "1", arrived: arrived}}
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			s := expecting(t, 1, 5*time.Second)
			at := time.Duration(0)
			for i := range 300 {
				s.request(at, c.calls(i)...)
				at += 2 * time.Minute
				s.Pass(at)
			}
			state := s.Core.State()
			if stale := strings.HasPrefix(state.Models[0].Reason, "stale: of "); stale != c.stale || stale == state.Models[0].Agrees || stale == state.Functions[1].Served {
				t.Errorf("%+v, served: %v", state.Models[0], state.Functions[1].Served)
			}
		})
	}
}

// TestRedeployedIsWatchedAnew checks that what came before the code of a function changed does not delay that its model is found wrong.
func TestRedeployedIsWatchedAnew(t *testing.T) {
	s := expecting(t, 1, 5*time.Second)
	at := time.Duration(0)
	right := []call{{function: "a", id: "1", took: 6 * time.Second}, {function: "b", id: "2", caller: "1", arrived: 5 * time.Second}}
	for range 200 {
		s.request(at, right...)
		at += 2 * time.Minute
		s.Pass(at)
	}
	for _, version := range []string{"1", "2"} {
		o := source.Observation{Kind: source.Started, Function: "b", Version: version, Trace: "v" + version, Call: "1", Time: virtualEpoch.Add(at), Wait: -1, Init: -1}
		if err := s.Observe(at, &o); err != nil {
			t.Fatal(err)
		}
		at += 10 * time.Minute
		s.Pass(at)
	}
	if m := s.Core.State().Models[0]; !m.Agrees || m.Reason != "" {
		t.Fatalf("new code alone is a reason not to use the model: %+v", m)
	}
	n := 0
	for ; n < 200 && s.Core.State().Models[0].Agrees; n++ {
		s.request(at, call{function: "a", id: "1", took: 6 * time.Second})
		at += 2 * time.Minute
		s.Pass(at)
	}
	if n > 50 {
		t.Errorf("found after %d requests", n)
	}
}

// TestLateIsNotMiscalibrated checks that a model whose invocations come, and are only told of late, is not taken to be wrong: neither where all are late as long
// as a collector holds them back, nor where some are told of when their request seems to be over, nor where it is not known whose they are.
func TestLateIsNotMiscalibrated(t *testing.T) {
	for name, late := range map[string]func(i, k int) time.Duration{
		"all by a minute":      func(int, int) time.Duration { return 50 * time.Second },
		"callees by half one":  func(_, k int) time.Duration { return time.Duration(k) * 45 * time.Second },
		"callers by half one":  func(_, k int) time.Duration { return time.Duration(1-k) * 45 * time.Second },
		"more and more":        func(i, k int) time.Duration { return time.Duration(i*k) * 200 * time.Millisecond },
		"some, in their turns": func(i, k int) time.Duration { return time.Duration((i+k)%3) * 15 * time.Second },
	} {
		t.Run(name, func(t *testing.T) {
			s := expecting(t, 1, 5*time.Second)
			at := time.Duration(0)
			for i := range 200 {
				calls := []call{{function: "a", id: "1", took: 6 * time.Second}, {function: "b", id: "2", caller: "1", arrived: 5 * time.Second, took: time.Second}}
				for k := range calls {
					calls[k].late = late(i, k)
				}
				s.request(at, calls...)
				at += 10 * time.Minute
				s.Pass(at)
			}
			if m := s.Core.State().Models[0]; !m.Agrees || m.Reason != "" {
				t.Errorf("%+v", m)
			}
		})
	}
}

// TestDisturbedIsNotMiscalibrated checks that nothing is concluded from requests during which observations were refused.
func TestDisturbedIsNotMiscalibrated(t *testing.T) {
	for _, disturbed := range []bool{false, true} {
		s := expecting(t, 1, 5*time.Second)
		at := time.Duration(0)
		for range 100 {
			s.request(at, call{function: "a", id: "1", took: 6 * time.Second})
			if disturbed {
				s.Disturbed()
			}
			at += 2 * time.Minute
			s.Pass(at)
		}
		if m := s.Core.State().Models[0]; m.Agrees != disturbed {
			t.Errorf("disturbed: %v: %+v", disturbed, m)
		}
	}
}

// TestRoomForRequests checks that new requests are followed where there is no room for more, in the place of those that are over.
func TestRoomForRequests(t *testing.T) {
	s := newSteps(t, nil, 0, func(o *Options) { o.MostTraces = 5 })
	at := time.Duration(0)
	for range 20 {
		s.request(at, call{function: "b", id: "1", took: 10 * time.Millisecond})
		at += 100 * time.Millisecond
	}
	if n := len(s.requests.byID); n != 5 || s.requests.byID[s.requests.newest] == nil {
		t.Errorf("%d requests are followed, the newest: %v", n, s.requests.byID[s.requests.newest])
	}
	at += time.Hour
	s.Pass(at)
	if n := len(s.requests.byID); n != 0 || len(s.requests.closing) > s.requests.closed {
		t.Errorf("%d requests are followed an hour later, %d are to be closed", n, len(s.requests.closing)-s.requests.closed)
	}
}
