package localwhisk

import (
	"context"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// TestWatch checks what events say of invocations, and their order: what a watcher does comes after what had happened before, and activations are
// reported after their events.
func TestWatch(t *testing.T) {
	config := exact()
	config.MemoryMB = 1024
	c := control(t, config)
	var order []string
	var root, child Event
	c.Watch(func(e Event) {
		order = append(order, e.Kind.String())
		switch {
		case e.Kind == Idle && e.Function == "main":
			c.do(0, c.GiveBack(e.Container))
			c.do(c.StartContainer("f"))
		case e.Kind == Started && e.Function == "main":
			root = e
		case e.Kind == Ended && e.Function == "g":
			child = e
		}
	})
	params := map[string]int{"n": 1}
	c.OnEnd(func(a Activation) { order = append(order, "record of "+a.Name) })
	c.at(0, func() {
		_, err := c.Invoke("main", params, nil)
		c.do(0, err)
	})
	c.at(10_000, func() { c.do(0, c.Undeploy("f")) })
	if err := c.clock.Run(context.Background()); err != nil {
		t.Fatal(err)
	}
	want := []string{
		"arrived", "placed", "started", "ended", "record of main", "arrived", "placed", "idle", "removed", "starting",
		"started", "ended", "record of g", "idle", "idle", "removed", "removed",
	}
	if !slices.Equal(order, want) {
		t.Errorf("order %q, want %q", order, want)
	}
	if root.Cause != "" || child.Cause != root.ID || child.ID == "" || root.Params == nil {
		t.Errorf("events %+v and %+v", root, child)
	}
	if !slices.Contains(c.told, "2274 removed main 1 policy") {
		t.Errorf("the first watcher was told %q", c.told)
	}
}

// TestWatchInRealTime checks that a watcher is told everything once and in order, by one goroutine at a time, while several act on a platform with a
// clock of real time.
func TestWatchInRealTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		config := exact()
		config.TakesStarting = true
		config.MemoryMB = 2048
		p, err := New(RealClock{}, config, 1)
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Deploy(Function{Name: functionName(0), Handler: sleepSecond}); err != nil {
			t.Fatal(err)
		}
		a := newAuditor(t, p, []int{256})
		var act sync.WaitGroup
		for worker := range 4 {
			act.Go(func() {
				rng := randomStream(uint64(worker), "test")
				for range 300 {
					time.Sleep(time.Duration(rng.IntN(1000)) * time.Millisecond)
					container := 1 + rng.IntN(100)
					// That there is no memory, or no such container, is as it may be.
					switch rng.IntN(5) {
					case 0:
						_, _ = p.StartContainerEvicting(functionName(0))
					case 1:
						_ = p.Hold(container, time.Now().Add(time.Duration(rng.IntN(5000))*time.Millisecond))
					case 2:
						_ = p.GiveBack(container)
					default:
						if _, err := p.Invoke(functionName(0), nil, nil); err != nil {
							t.Error(err)
						}
					}
				}
			})
		}
		act.Wait()
		time.Sleep(time.Hour)
		synctest.Wait()
		a.compare()
		if len(a.steps) < 300 || len(p.InFlight()) > 0 || len(p.live) > 0 {
			t.Errorf("%d invocations have arrived, %d are in flight, %d containers are left", len(a.steps), len(p.InFlight()), len(p.live))
		}
		for id, steps := range a.steps {
			if !slices.Equal(steps, []EventKind{Arrived, Placed, Started, Ended}) {
				t.Errorf("activation %s: %v", id, steps)
			}
		}
	})
}
