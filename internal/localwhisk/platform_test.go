package localwhisk

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// TestDeployRefuses checks the errors of Deploy.
func TestDeployRefuses(t *testing.T) {
	platform, err := New(NewVirtualClock(epoch), exact(), 1)
	if err != nil {
		t.Fatal(err)
	}
	if err := platform.Deploy(Function{Name: "f", Handler: (*Run).Finish}); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		function Function
		want     string
	}{
		{Function{Handler: (*Run).Finish}, "localwhisk: a function needs a name"},
		{Function{Name: "g"}, "localwhisk: function g has no handler"},
		{Function{Name: "f", Handler: (*Run).Finish}, "localwhisk: function f is deployed already"},
		{Function{Name: "g", MemoryMB: 513, Handler: (*Run).Finish}, "localwhisk: function g needs 513 MiB, the platform has 512"},
		{Function{Name: "g", MemoryMB: -1, Handler: (*Run).Finish}, "localwhisk: function g: memory is -1 MiB, must be positive"},
	} {
		if err := platform.Deploy(tt.function); err == nil || err.Error() != tt.want {
			t.Errorf("error %v, want %q", err, tt.want)
		}
	}
	if _, err := platform.Invoke("g", nil, nil); err == nil || err.Error() != "localwhisk: function g is not deployed" {
		t.Errorf("invoking g: error %v", err)
	}
	if flying := platform.InFlight(); len(flying) != 0 {
		t.Errorf("in flight: %v", flying)
	}
}

// TestSeed checks that the seed determines all records.
func TestSeed(t *testing.T) {
	records := func(seed uint64) []Activation {
		return slices.Concat(runSequence(t, DefaultConfig(), seed, uniformRequests(20, 0, time.Second, 1))...)
	}
	if !slices.Equal(records(7), records(7)) {
		t.Error("the same seed gave other records")
	}
	if slices.Equal(records(7), records(8)) {
		t.Error("another seed gave the same records")
	}
}

// TestDelayStreams checks that a changed distribution does not change the draws of others.
func TestDelayStreams(t *testing.T) {
	first := func(config Config) Activation {
		return runSequence(t, config, 1, []time.Duration{0})[0][0]
	}
	config := DefaultConfig()
	config.Init = Delay{Min: time.Second}
	a, b := first(DefaultConfig()), first(config)
	if a.WaitTime != b.WaitTime || a.ID != b.ID {
		t.Errorf("another /init changed wait time %v to %v, id %s to %s", a.WaitTime, b.WaitTime, a.ID, b.ID)
	}
	if b.InitTime != time.Second {
		t.Errorf("init time %v, want 1s", b.InitTime)
	}
}

// wallClock is a clock of real time, which makes each call in a goroutine of its own.
type wallClock struct{}

func (wallClock) Now() time.Time { return time.Now() }

func (wallClock) AfterFunc(d time.Duration, f func()) func() bool { return time.AfterFunc(d, f).Stop }

// TestManyGoroutines uses a platform from many goroutines at once.
func TestManyGoroutines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		config := DefaultConfig()
		config.MemoryMB = 3 * config.FunctionMemoryMB
		platform, err := New(wallClock{}, config, 1)
		if err != nil {
			t.Fatal(err)
		}
		for i := range 4 {
			err := platform.Deploy(Function{Name: fmt.Sprint("f", i), Handler: func(run *Run) {
				run.Sleep(100*time.Millisecond, func() {
					if i > 0 {
						if _, err := run.Invoke(fmt.Sprint("f", i-1), nil); err != nil {
							t.Error(err)
						}
					}
					run.Finish()
				})
			}})
			if err != nil {
				t.Fatal(err)
			}
		}
		var mu sync.Mutex
		var records []Activation
		var all sync.WaitGroup
		all.Add(25 * (1 + 2 + 3 + 4))
		platform.OnEnd(func(a Activation) {
			mu.Lock()
			defer mu.Unlock()
			records = append(records, a)
			all.Done()
		})
		for i := range 100 {
			go func() {
				if _, err := platform.Invoke(fmt.Sprint("f", i%4), nil, nil); err != nil {
					t.Error(err)
				}
				platform.InFlight()
			}()
		}
		all.Wait()
		mu.Lock()
		defer mu.Unlock()
		checkTimes(t, records)
		if err := platform.Err(); err != nil {
			t.Error(err)
		}
		if flying := platform.InFlight(); len(flying) != 0 {
			t.Errorf("in flight: %v", flying)
		}
	})
}
