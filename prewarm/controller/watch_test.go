package controller

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/tppfaas/tppfaas/internal/localwhisk"
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
