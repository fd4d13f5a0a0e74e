package controller

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tppfaas/tppfaas/prewarm"
	"github.com/tppfaas/tppfaas/prewarm/actuator"
	"github.com/tppfaas/tppfaas/prewarm/mirror"
	"github.com/tppfaas/tppfaas/prewarm/source"
)

// answered is a core that keeps the commands of which it was not told what has become.
type answered struct {
	*Core
	left map[uint64]string // functions by command
}

func (a *answered) Commands() []actuator.Command {
	commands := a.Core.Commands()
	for i := range commands {
		a.left[commands[i].ID] = commands[i].Function
	}
	return commands
}

func (a *answered) Acted(now prewarm.Time, command uint64, results []actuator.Result) {
	delete(a.left, command)
	a.Core.Acted(now, command, results)
}

// TestEndsWithWhatItDecidesThen checks that a core is told of all commands what has become of them, also of those that it decides on while its controller ends: else they are
// remembered as asked for. Here a container of a is wanted when one of b comes to nothing, as what is under way does at the end.
func TestEndsWithWhatItDecidesThen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		wanted := 0
		m, err := mirror.New(mirror.Options{Epoch: time.Now(), Platform: whisk, Functions: ab})
		if err != nil {
			t.Fatal(err)
		}
		core, err := NewCore(Options{
			Epoch: time.Now(), Platform: whisk, Functions: ab, Act: true, ServesAll: true,
			NewPolicy: func([]prewarm.Function) (prewarm.Policy, error) {
				return prewarm.PolicyFunc(func(e *prewarm.Event, _ *prewarm.Fleet, d *prewarm.Decisions) {
					switch {
					case e.Kind == prewarm.Arrived:
						d.Start(1, 1, prewarm.Why{Rule: "after a comes b"})
					case e.Kind == prewarm.Removed && e.Function == 1:
						wanted++
						d.Start(0, 1, prewarm.Why{Rule: "after b comes a"})
					}
				}), nil
			},
		}, m)
		if err != nil {
			t.Fatal(err)
		}
		engine := &answered{core, map[uint64]string{}}
		hangs := &fake{answer: func(ctx context.Context, _ actuator.Command) ([]actuator.Result, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}}
		c, err := New(engine, RunOptions{NewGuard: newGuardFor(hangs)})
		if err != nil {
			t.Fatal(err)
		}
		stop := started(t, c)
		if err := c.Sink("test").Observe(t.Context(), []source.Observation{invoked("a", "t1", "1")}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if err := stop(); err != nil {
			t.Fatal(err)
		}
		if wanted != 1 || len(hangs.asked()) != 1 || len(engine.left) > 0 {
			t.Errorf("%d were wanted at the end, %d commands were carried out, and nothing was said of %v", wanted, len(hangs.asked()), engine.left)
		}
		if saved := core.Saved(); len(saved.Warmed) > 0 {
			t.Errorf("%+v are remembered", saved.Warmed)
		}
	})
}

// TestSaysWhatItHasFailed checks that a start that has failed is said by the one that has asked for it, with the reason, and not by one that only hears of it.
func TestSaysWhatItHasFailed(t *testing.T) {
	for _, own := range []bool{true, false} {
		var said bytes.Buffer
		m, err := mirror.New(mirror.Options{Epoch: virtualEpoch, Platform: whisk, Functions: ab})
		if err != nil {
			t.Fatal(err)
		}
		core, err := NewCore(Options{
			Epoch: virtualEpoch, Platform: whisk, Functions: ab, Act: true, ServesAll: true, Log: slog.New(slog.NewTextHandler(&said, nil)), Intend: func(*prewarm.Decision, int) {},
			NewPolicy: func([]prewarm.Function) (prewarm.Policy, error) { return next(), nil },
		}, m)
		if err != nil {
			t.Fatal(err)
		}
		core.Begin(0, nil)
		r := actuator.Result{Outcome: actuator.Failed}
		if own {
			r.Err = errors.New("no route")
		}
		core.Acted(time.Second, core.Grant(0, &prewarm.Decision{Action: prewarm.StartContainers}, 1, own), []actuator.Result{r})
		if has := strings.Contains(said.String(), "no route"); has != own || strings.Contains(said.String(), "error=<nil>") || core.State().Totals.Failed != 1 {
			t.Errorf("own: %v, said: %s", own, said.String())
		}
	}
}
