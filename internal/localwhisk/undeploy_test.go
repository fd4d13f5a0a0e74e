package localwhisk

import (
	"context"
	"testing"
	"time"
)

// TestUndeploy checks that running invocations finish, and that containers of an undeployed function, or discarded ones, are never reused.
func TestUndeploy(t *testing.T) {
	clock := NewVirtualClock(epoch)
	platform, err := New(clock, exact(), 1)
	if err != nil {
		t.Fatal(err)
	}
	spoil := false
	deploy := func() {
		err := platform.Deploy(Function{Name: "f", Handler: func(run *Run) {
			run.Sleep(time.Second, func() {
				if spoil {
					run.DiscardContainer()
				}
				run.Finish()
			})
		}})
		if err != nil {
			t.Fatal(err)
		}
	}
	deploy()
	var cold []bool
	invoke := func() {
		if _, err := platform.Invoke("f", nil, func(a Activation) { cold = append(cold, a.Cold()) }); err != nil {
			t.Error(err)
		}
	}
	steps := []func(){
		invoke,
		invoke, // warm
		func() { // busy while it is undeployed
			invoke()
			clock.AfterFunc(500*time.Millisecond, func() {
				if err := platform.Undeploy("f"); err != nil {
					t.Error(err)
				}
				deploy()
			})
		},
		invoke, // cold: the earlier container was removed
		func() { // idle while it is undeployed
			if err := platform.Undeploy("f"); err != nil {
				t.Error(err)
			}
			deploy()
			invoke()
		},
		func() { spoil = true; invoke() },
		invoke, // cold: the earlier container was discarded
	}
	for i, step := range steps {
		clock.AfterFunc(time.Duration(i)*20*time.Second, step)
	}
	if err := clock.Run(context.Background()); err != nil {
		t.Fatal(err)
	}
	want := []bool{true, false, false, true, true, false, true}
	if len(cold) != len(want) {
		t.Fatalf("%d activations ended, want %d", len(cold), len(want))
	}
	for i := range want {
		if cold[i] != want[i] {
			t.Errorf("activation %d: cold is %v, want %v", i, cold[i], want[i])
		}
	}
	if platform.memoryMB != len(platform.stemCells)*platform.config.FunctionMemoryMB {
		t.Errorf("%d MiB are still in use", platform.memoryMB)
	}
	if err := platform.Undeploy("g"); err == nil {
		t.Error("an unknown function was undeployed")
	}
}
