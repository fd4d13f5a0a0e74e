package policytest

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tppfaas/tppfaas/prewarm"
)

// expectations are what can be expected, by the first word.
var expectations = map[string]func(q *parser, t *Test) (func(p *platform) error, error){
	"warm": expectStart, "late": expectStart, "cold": expectStart, "refused": expectStart,
	"start": expectEvents, "removed": expectEvents, "evicted": expectEvents, "arrive": expectEvents, "end": expectEvents, "no-room": expectEvents,
	"victims": expectVictims, "wake": expectWake, "quiet": expectQuiet,
	"count": expectCount, "starting": expectCount, "idle": expectCount, "busy": expectCount, "returning": expectCount, "waiting": expectCount,
	"scale": expectValue, "rank": expectValue, "run": expectValue, "replicas": expectReplicas,
	"done": expectDone, "idle-time": expectTime, "start-time": expectTime,
}

// recent returns what has happened in the last microsecond.
func (p *platform) recent(what string, function int) []happening {
	var found []happening
	for _, h := range slices.Backward(p.log) {
		if h.at < p.now-time.Microsecond {
			break
		}
		if h.what == what && (function < 0 || h.function == function) {
			found = append(found, h)
		}
	}
	slices.Reverse(found)
	return found
}

// story returns what has happened in the last microsecond, in words.
func (p *platform) story() string {
	var words []string
	for _, h := range slices.Backward(p.log) {
		if h.at < p.now-time.Microsecond {
			break
		}
		s := h.what
		if h.function >= 0 {
			s += " " + p.test.functions[h.function].Name
		}
		if h.what == "scale" || h.what == "rank" || h.what == "wake" {
			s += " " + strconv.FormatFloat(h.n, 'g', 6, 64)
		}
		words = append(words, s)
	}
	if len(words) == 0 {
		return "nothing has happened then"
	}
	slices.Reverse(words)
	return "then: " + strings.Join(words, ", ")
}

// expectStart: "cold [F [N]]": the invocations of F, or of whatever function, which were placed now were all placed so, and there are N, or one
// at least.
func expectStart(q *parser, t *Test) (func(p *platform) error, error) {
	kind := q.word
	f, n, err := q.functionAndNumber(t, optional, optional)
	if err != nil {
		return nil, err
	}
	return func(p *platform) error {
		right := 0
		for _, k := range []string{"warm", "late", "cold", "refused"} {
			found := len(p.recent(k, f))
			switch {
			case k == kind:
				right = found
			case found > 0 && n < 0:
				return fmt.Errorf("expected %s, got %s (%s)", kind, k, p.story())
			}
		}
		switch {
		case n < 0 && right == 0:
			return fmt.Errorf("expected %s, got no start (%s)", kind, p.story())
		case n >= 0 && float64(right) != n:
			return fmt.Errorf("expected %s %g times, got %d (%s)", kind, n, right, p.story())
		}
		return nil
	}, nil
}

// expectEvents: "start F N": that many containers of F were started now; at least one without N.
func expectEvents(q *parser, t *Test) (func(p *platform) error, error) {
	what := strings.ReplaceAll(q.word, "-", " ")
	f, n, err := q.functionAndNumber(t, optional, optional)
	if err != nil {
		return nil, err
	}
	return func(p *platform) error {
		if found := len(p.recent(what, f)); n < 0 && found == 0 || n >= 0 && float64(found) != n {
			return fmt.Errorf("expected %s %s, got %d (%s)", what, atLeast(n), found, p.story())
		}
		return nil
	}, nil
}

func atLeast(n float64) string {
	if n < 0 {
		return "once at least"
	}
	return strconv.FormatFloat(n, 'g', -1, 64) + " times"
}

// expectVictims: "victims F G": these lost an idle container now because of memory, in this order; none if there are no names. Containers that the
// policy has given back count.
func expectVictims(q *parser, t *Test) (func(p *platform) error, error) {
	var names []string
	for q.argument() {
		f, err := q.function(t)
		if err != nil {
			return nil, err
		}
		names = append(names, t.functions[f].Name)
	}
	return func(p *platform) error {
		var got []string
		for _, h := range slices.Backward(p.log) {
			if h.at < p.now-time.Microsecond {
				break
			}
			if h.what == "evicted" || h.what == "removed" {
				got = append(got, p.test.functions[h.function].Name)
			}
		}
		slices.Reverse(got)
		if !slices.Equal(got, names) {
			return fmt.Errorf("expected victims %v, got %v (%s)", names, got, p.story())
		}
		return nil
	}, nil
}

// expectWake: "wake [KEY]": the policy was asked again now, as it had wanted.
func expectWake(q *parser, _ *Test) (func(p *platform) error, error) {
	key := -1.0
	if q.argument() {
		var err error
		if key, err = q.number(); err != nil {
			return nil, err
		}
	}
	return func(p *platform) error {
		for _, h := range p.recent("wake", -1) {
			if key < 0 || h.n == key {
				return nil
			}
		}
		return fmt.Errorf("expected that the policy is asked again (%s)", p.story())
	}, nil
}

// expectQuiet: "quiet": the policy has started and removed nothing, and scaled nothing.
func expectQuiet(*parser, *Test) (func(p *platform) error, error) {
	return func(p *platform) error {
		for _, what := range []string{"start", "removed", "evicted", "scale"} {
			if len(p.recent(what, -1)) > 0 {
				return fmt.Errorf("expected that nothing is decided (%s)", p.story())
			}
		}
		return nil
	}, nil
}

// expectCount: "count F N": so many containers of F are there, or in a state; or so many invocations of F wait.
func expectCount(q *parser, t *Test) (func(p *platform) error, error) {
	what := q.word
	f, n, err := q.functionAndNumber(t, required, required)
	if err != nil {
		return nil, err
	}
	return func(p *platform) error {
		var got int
		switch what {
		case "count":
			got = p.fleet.Count(f)
		case "waiting":
			got = p.fleet.Loads[f].Waiting
		default:
			for s := prewarm.StateStarting; s <= prewarm.StateReturning; s++ {
				if s.String() == what {
					got = len(p.fleet.Containers(f, s))
				}
			}
		}
		if float64(got) != n {
			return fmt.Errorf("expected %s %s %g, got %d (%s)", what, t.functions[f].Name, n, got, p.story())
		}
		return nil
	}, nil
}

// expectReplicas: "replicas F N": the policy's last word, or what there was at the beginning, is N replicas of F.
func expectReplicas(q *parser, t *Test) (func(p *platform) error, error) {
	f, n, err := q.functionAndNumber(t, required, required)
	if err != nil {
		return nil, err
	}
	return func(p *platform) error {
		if got := p.functions[f].replicas; float64(got) != n {
			return fmt.Errorf("expected %g replicas of %s, got %d (%s)", n, t.functions[f].Name, got, p.story())
		}
		return nil
	}, nil
}

// expectValue: "rank F X", "scale F X", "run F X": the last rank that a container of F was given now, or the last number of replicas that was decided
// now; or an invocation of F has started to run now and has waited for X seconds.
func expectValue(q *parser, t *Test) (func(p *platform) error, error) {
	what := q.word
	f, n, err := q.functionAndNumber(t, required, required)
	if err != nil {
		return nil, err
	}
	return func(p *platform) error {
		found := p.recent(what, f)
		if len(found) == 0 {
			return fmt.Errorf("expected %s %s %g, got none (%s)", what, t.functions[f].Name, n, p.story())
		}
		if got := found[len(found)-1].n; !near(got, n) {
			return fmt.Errorf("expected %s %s %g, got %.6g (%s)", what, t.functions[f].Name, n, got, p.story())
		}
		return nil
	}, nil
}

// expectDone: "done [X]": a request is complete now, X seconds after its arrival.
func expectDone(q *parser, _ *Test) (func(p *platform) error, error) {
	want := prewarm.Time(-1)
	if q.argument() {
		var err error
		if want, err = q.seconds(); err != nil {
			return nil, err
		}
	}
	return func(p *platform) error {
		found := p.recent("done", -1)
		if len(found) == 0 {
			return fmt.Errorf("expected that a request is complete (%s)", p.story())
		}
		if got := found[len(found)-1].n; want >= 0 && !nearTime(got, want.Seconds()) {
			return fmt.Errorf("expected that a request has taken %s s, got %.6g", format(want), got)
		}
		return nil
	}, nil
}

// expectTime: "idle-time [F] X", "start-time [F] X": the containers of F, or all, have been idle or starting for X seconds in all until now.
func expectTime(q *parser, t *Test) (func(p *platform) error, error) {
	what := q.word
	f, n, err := q.functionAndNumber(t, optional, required)
	if err != nil {
		return nil, err
	}
	return func(p *platform) error {
		var sum prewarm.Time
		for i := range p.functions {
			if f < 0 || f == i {
				if what == "idle-time" {
					sum += p.functions[i].idleFor
				} else {
					sum += p.functions[i].startFor
				}
			}
		}
		for _, c := range p.containers {
			if (f < 0 || f == c.function) && (what == "idle-time" && c.idle || what == "start-time" && !c.ready) {
				sum += p.now - c.since
			}
		}
		if !nearTime(sum.Seconds(), n) {
			return fmt.Errorf("expected %s %g s, got %g", what, n, sum.Seconds())
		}
		return nil
	}, nil
}

// near reports whether two values are equal to two decimals, nearTime whether two times in seconds are to the microsecond.
func near(got, want float64) bool     { return math.Abs(got-want) <= 0.005 }
func nearTime(got, want float64) bool { return math.Abs(got-want) <= 1.5e-6 }
