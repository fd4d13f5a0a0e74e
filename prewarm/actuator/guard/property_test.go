package guard

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tppfaas/tppfaas/prewarm"
	"github.com/tppfaas/tppfaas/prewarm/actuator"
)

// erratic is an actuator that does with each command what was drawn for it, and checks what the guard has promised.
type erratic struct {
	limits Options
	acts   []erraticAct

	mu        sync.Mutex
	n, flying int
	scaling   map[string]bool
	created   map[uint64]int
	broken    []string
}

// erraticAct is what is done with a command.
type erraticAct struct {
	Takes    time.Duration
	Outcomes []actuator.Outcome
	Err      error
	Deaf     bool // to its context
}

func (e *erratic) Name() string                { return "erratic" }
func (e *erratic) Platform() prewarm.Platform  { return prewarm.Platform{} }
func (e *erratic) Close(context.Context) error { return nil }

func (e *erratic) Act(ctx context.Context, c actuator.Command) ([]actuator.Result, error) {
	e.mu.Lock()
	act := e.acts[e.n%len(e.acts)]
	e.n++
	slots := c.N
	if c.Kind == actuator.Scale {
		slots = 1
		if e.scaling[c.Function] {
			e.broken = append(e.broken, "two Scales of "+c.Function)
		}
		e.scaling[c.Function] = true
	}
	e.flying += slots
	if e.flying > e.limits.InFlight {
		e.broken = append(e.broken, fmt.Sprint(e.flying, " in flight"))
	}
	e.mu.Unlock()
	defer func() {
		e.mu.Lock()
		defer e.mu.Unlock()
		e.flying -= slots
		e.scaling[c.Function] = e.scaling[c.Function] && c.Kind != actuator.Scale
	}()
	end := ctx.Done()
	if act.Deaf {
		end = nil
	}
	select {
	case <-time.After(act.Takes):
	case <-end:
		return nil, ctx.Err()
	}
	var results []actuator.Result
	for _, o := range act.Outcomes {
		results = append(results, actuator.Result{Outcome: o})
	}
	return results, act.Err
}

// TestPromises checks for drawn commands and an actuator that does anything: each command that is taken is told of once and in time, with the right
// number of results; what is in flight and what stands keeps within the limits; and in the end nothing stands and nothing goes on.
func TestPromises(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		draw := func(least, most int, label string) int { return rapid.IntRange(least, most).Draw(rt, label) }
		o := Options{
			InFlight: draw(1, 6, "in flight"), Queue: draw(1, 8, "queue"), PerFunction: draw(1, 5, "per function"), Containers: draw(1, 8, "containers"),
			MemoryMB: draw(100, 2000, "memory"), Timeout: time.Duration(draw(1, 5, "timeout")) * time.Second, Failures: draw(1, 3, "failures"),
			CoolDown: time.Duration(draw(-1, 3, "cool-down")) * time.Second, Interval: time.Duration(draw(0, 2, "interval")) * time.Second,
			Pace: time.Duration(draw(0, 2, "pace")) * 100 * time.Millisecond,
		}
		e := &erratic{limits: o, scaling: map[string]bool{}, created: map[uint64]int{}}
		e.acts = rapid.SliceOfN(rapid.Custom(func(rt *rapid.T) erraticAct {
			return erraticAct{
				Takes:    time.Duration(rapid.IntRange(0, 7000).Draw(rt, "takes")) * time.Millisecond,
				Outcomes: rapid.SliceOfN(rapid.SampledFrom([]actuator.Outcome{actuator.Created, actuator.Collapsed, actuator.Failed, actuator.Held, actuator.Unknown}), 0, 4).Draw(rt, "outcomes"),
				Err:      rapid.SampledFrom([]error{nil, nil, errors.New("broken"), &actuator.UnavailableError{Err: errors.New("down"), After: time.Second}}).Draw(rt, "error"),
				Deaf:     rapid.IntRange(0, 5).Draw(rt, "deaf") == 0,
			}
		}), 1, 6).Draw(rt, "acts")
		type step struct {
			Pause   time.Duration
			Command actuator.Command
			Lives   time.Duration
		}
		steps := rapid.SliceOfN(rapid.Custom(func(rt *rapid.T) step {
			return step{
				Pause: time.Duration(rapid.SampledFrom([]int{0, 0, 1, 50, 400, 3000}).Draw(rt, "pause")) * time.Millisecond,
				Command: actuator.Command{
					Kind: rapid.SampledFrom([]actuator.Kind{actuator.Warm, actuator.Warm, actuator.Scale}).Draw(rt, "kind"), N: rapid.IntRange(0, 5).Draw(rt, "n"),
					Function: rapid.SampledFrom([]string{"a", "b", "c"}).Draw(rt, "function"), MemoryMB: rapid.SampledFrom([]int{0, 128, 512}).Draw(rt, "memory"),
				},
				Lives: time.Duration(rapid.IntRange(0, 20).Draw(rt, "lives")) * time.Second,
			}
		}), 1, 40).Draw(rt, "steps")
		synctest.Test(t, func(t *testing.T) {
			told := &told{}
			o.Done = told.done
			g, err := New(e, o)
			require.NoError(t, err)
			check := func() {
				s := g.State()
				require.LessOrEqual(rt, s.InFlight, o.InFlight)
				require.LessOrEqual(rt, s.Waiting, o.Queue)
				require.LessOrEqual(rt, s.Standing, o.Containers)
				require.LessOrEqual(rt, s.StandingMB, o.MemoryMB)
			}
			taken := map[uint64]time.Time{}
			for i, s := range steps {
				time.Sleep(s.Pause)
				c := s.Command
				c.ID, c.Until = uint64(i), time.Now().Add(s.Lives)
				if g.Do(c) == nil {
					taken[c.ID] = time.Now()
				}
				if i%3 == 0 {
					synctest.Wait()
				}
				check()
				if i%7 == 3 {
					g.Release(uint64(i/2), 1)
				}
			}
			time.Sleep(time.Minute)
			check()
			s := g.State()
			require.Zero(rt, s.Waiting+s.InFlight+s.Standing+s.StandingMB, "%+v", s)
			g.mu.Lock()
			for _, f := range g.standing.functions {
				require.Zero(rt, f.containers)
			}
			require.Empty(rt, g.standing.commands)
			g.mu.Unlock()
			told.mu.Lock()
			defer told.mu.Unlock()
			require.Len(rt, told.all, len(taken))
			for id, at := range taken {
				require.Contains(rt, told.all, id)
				require.LessOrEqual(rt, told.at[id].Sub(at), time.Second+o.Timeout+o.Timeout/8+time.Microsecond)
			}
			require.NoError(rt, g.Close(t.Context()))
			require.Empty(rt, e.broken)
		})
	})
}

// TestForgetsFunctions checks that functions that are not heard of any more take no room.
func TestForgetsFunctions(t *testing.T) {
	f := &fake{}
	guarded(t, f, Options{}, func(t *testing.T, g *Guard, _ *told) {
		for i := range uint64(1000) {
			require.NoError(t, g.Do(warm(i, fmt.Sprint("f", i), 1)))
			synctest.Wait()
			g.Release(i, 1)
			time.Sleep(time.Minute)
		}
		g.mu.Lock()
		defer g.mu.Unlock()
		require.Less(t, len(g.standing.functions), 100)
		require.Empty(t, g.standing.commands)
	})
}
