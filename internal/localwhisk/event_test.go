package localwhisk

import (
	"context"
	"slices"
	"testing"
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
