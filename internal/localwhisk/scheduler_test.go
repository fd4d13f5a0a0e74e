package localwhisk

import (
	"context"
	"errors"
	"testing"
	"time"
)

// exact returns a configuration without random delays: dispatch 4 ms, creation 2 s, /init 150 ms, logs 20 ms, unpausing 35 ms. Containers are paused
// after 10 s and removed after 10 minutes. There is room for two containers of the default size, and there are no stem cells.
func exact() Config {
	ms := func(n int) Delay { return Delay{Min: time.Duration(n) * time.Millisecond} }
	return Config{
		MemoryMB: 512, FunctionMemoryMB: 256, IdleTimeout: 10 * time.Minute, PauseGrace: 10 * time.Second,
		Dispatch: ms(4), Creation: ms(2000), Init: ms(150), Unpause: ms(35), Logs: ms(20), StemCell: ms(50), Call: ms(10), FirstCall: ms(100),
	}
}

// millis is a time in milliseconds.
type millis = int64

// call is an invocation from outside, with the expected record.
type call struct {
	at       millis
	function string
	sleep    millis // how long the function sleeps

	wait, init millis
	container  int
}

// TestScheduling checks which container each invocation is given, and when.
func TestScheduling(t *testing.T) {
	const second, minute = 1000, 60000
	with := func(change func(*Config)) Config {
		c := exact()
		change(&c)
		return c
	}
	for _, tt := range []struct {
		name   string
		config Config
		calls  []call
	}{
		{"a warm container of the function is used again", exact(), []call{
			{at: 0, function: "f", sleep: 300, wait: 2004, init: 150, container: 1},
			{at: 3 * second, function: "f", sleep: 300, wait: 4, container: 1},
			{at: 4 * second, function: "f", sleep: 300, wait: 4, container: 1},
		}},
		{"of two warm containers the one that became idle last is used", exact(), []call{
			{at: 0, function: "f", sleep: 500, wait: 2004, init: 150, container: 1},
			{at: 1, function: "f", sleep: 300, wait: 2004, init: 150, container: 2},
			{at: 4 * second, function: "f", sleep: 300, wait: 4, container: 1},
		}},
		{"a warm container of another function is no use", exact(), []call{
			{at: 0, function: "f", sleep: 300, wait: 2004, init: 150, container: 1},
			{at: 3 * second, function: "g", sleep: 300, wait: 2004, init: 150, container: 2},
		}},
		{"a busy container is no use while memory is left", exact(), []call{
			{at: 0, function: "f", sleep: 300, wait: 2004, init: 150, container: 1},
			{at: 100, function: "f", sleep: 300, wait: 2004, init: 150, container: 2},
		}},
		{"who has a container to come does not change to one that is free earlier", exact(), []call{
			{at: 0, function: "f", sleep: 0, wait: 2004, init: 150, container: 1},
			{at: 2 * second, function: "f", sleep: 0, wait: 2004, init: 150, container: 2},
		}},
		{"a container is busy until the logs are in", exact(), []call{
			{at: 0, function: "f", sleep: 300, wait: 2004, init: 150, container: 1}, // ends at 2454, logs at 2474
			{at: 2469, function: "f", sleep: 300, wait: 2004, init: 150, container: 2},
			{at: 2471, function: "f", sleep: 300, wait: 4, container: 1},
		}},
		{"when memory is full, the container whose last run began longest ago goes", exact(), []call{
			{at: 0, function: "f", sleep: 0, wait: 2004, init: 150, container: 1},
			{at: 1 * second, function: "g", sleep: 0, wait: 2004, init: 150, container: 2},
			{at: 4 * second, function: "f", sleep: 0, wait: 4, container: 1},
			{at: 5 * second, function: "h", sleep: 0, wait: 2004, init: 150, container: 3}, // evicts g's
			{at: 8 * second, function: "f", sleep: 0, wait: 4, container: 1},
			{at: 9 * second, function: "g", sleep: 0, wait: 2004, init: 150, container: 4},
		}},
		{"that is not always the one that has been idle longest", exact(), []call{
			{at: 0, function: "f", sleep: 5 * second, wait: 2004, init: 150, container: 1}, // from 2154 to 7154
			{at: 1 * second, function: "g", sleep: 0, wait: 2004, init: 150, container: 2}, // at 3154
			{at: 8 * second, function: "h", sleep: 0, wait: 2004, init: 150, container: 3}, // evicts f's
			{at: 11 * second, function: "g", sleep: 0, wait: 4, container: 2},
		}},
		{"a large function evicts as many as it needs", exact(), []call{
			{at: 0, function: "f", sleep: 0, wait: 2004, init: 150, container: 1},
			{at: 1, function: "g", sleep: 0, wait: 2004, init: 150, container: 2},
			{at: 5 * second, function: "large", sleep: 0, wait: 2004, init: 150, container: 3},
			{at: 8 * second, function: "f", sleep: 0, wait: 2004, init: 150, container: 4},
		}},
		{"when all are busy, invocations wait in the order of their arrival", exact(), []call{
			{at: 0, function: "f", sleep: 1000, wait: 2004, init: 150, container: 1},         // logs in at 3174
			{at: 100, function: "g", sleep: 1000, wait: 2004, init: 150, container: 2},       // at 3274
			{at: 200, function: "g", sleep: 500, wait: 2974 + 2000, init: 150, container: 3}, // evicts f's
			{at: 300, function: "g", sleep: 500, wait: 2974, container: 2},
		}},
		{"whoever comes after one that has to wait waits too", exact(), []call{
			{at: 0, function: "f", sleep: 1000, wait: 2004, init: 150, container: 1},             // logs in at 3174
			{at: 0, function: "g", sleep: 3000, wait: 2004, init: 150, container: 2},             // at 5174
			{at: 100, function: "large", sleep: 500, wait: 5074 + 2000, init: 150, container: 3}, // logs in at 7844
			{at: 4 * second, function: "f", sleep: 0, wait: 3844 + 2000, init: 150, container: 4},
		}},
		{"a container is removed when it has been idle for too long", exact(), []call{
			{at: 0, function: "f", sleep: 0, wait: 2004, init: 150, container: 1}, // idle from 2174
			{at: 10*minute + 2169, function: "f", sleep: 0, wait: 39, container: 1},
			{at: 20*minute + 2169 + 60, function: "f", sleep: 0, wait: 2004, init: 150, container: 2},
		}},
		{"a container is paused after a while, and unpaused when it is used", exact(), []call{
			{at: 0, function: "f", sleep: 0, wait: 2004, init: 150, container: 1}, // idle from 2174
			{at: 12169, function: "f", sleep: 0, wait: 4, container: 1},           // idle from 12193
			{at: 22190, function: "f", sleep: 0, wait: 39, container: 1},
			{at: 23 * second, function: "f", sleep: 0, wait: 4, container: 1},
		}},
		{"with a grace as long as the timeout nothing is ever paused", with(func(c *Config) { c.PauseGrace = c.IdleTimeout }), []call{
			{at: 0, function: "f", sleep: 0, wait: 2004, init: 150, container: 1}, // idle from 2174
			{at: 10*minute + 2169, function: "f", sleep: 0, wait: 4, container: 1},
			{at: 30 * minute, function: "f", sleep: 0, wait: 2004, init: 150, container: 2},
		}},
		{"a stem cell saves the creation, and is replaced", with(func(c *Config) { c.StemCells, c.MemoryMB = 1, 1024 }), []call{
			{at: 0, function: "f", sleep: 0, wait: 54, init: 150, container: 1},
			{at: 100, function: "g", sleep: 0, wait: 2004, init: 150, container: 3}, // container 2 is the next stem cell
			{at: 3 * second, function: "h", sleep: 0, wait: 54, init: 150, container: 2},
		}},
		{"whoever waits gets the stem cell that has just been created", with(func(c *Config) { c.StemCells, c.MemoryMB = 1, 768 }), []call{
			{at: 0, function: "f", sleep: 9 * second, wait: 54, init: 150, container: 1},
			{at: 10, function: "g", sleep: 9 * second, wait: 2004, init: 150, container: 3},
			{at: 20, function: "h", sleep: 0, wait: 1980 + 54, init: 150, container: 2},
		}},
		{"a stem cell is no use for a function of another size", with(func(c *Config) { c.StemCells, c.MemoryMB = 1, 1024 }), []call{
			{at: 0, function: "large", sleep: 0, wait: 2004, init: 150, container: 2},
		}},
		{"stem cells make room when nothing else can", with(func(c *Config) { c.StemCells = 2 }), []call{
			{at: 0, function: "large", sleep: 0, wait: 2004, init: 150, container: 3},
		}},
		{"creations hinder each other", with(func(c *Config) {
			c.MemoryMB = 2048
			c.ParallelCreations = 2
			c.Creation = Delay{Median: 2 * time.Second, MedianPerLoad: time.Second}
		}), []call{
			{at: 0, function: "f", sleep: 0, wait: 2004, init: 150, container: 1},
			{at: 1, function: "f", sleep: 0, wait: 2004, init: 150, container: 2},
			{at: 2, function: "f", sleep: 0, wait: 2004, init: 150, container: 3},
			{at: 3, function: "f", sleep: 0, wait: 3004, init: 150, container: 4},
			{at: 4, function: "f", sleep: 0, wait: 4004, init: 150, container: 5},
			{at: 10 * second, function: "g", sleep: 0, wait: 2004, init: 150, container: 6},
		}},
		{"somebody looks only now and then whether a container is there", with(func(c *Config) {
			c.Creation = Delay{Min: 100 * time.Millisecond, Median: 1500 * time.Millisecond, Step: time.Second}
		}), []call{
			{at: 0, function: "f", sleep: 0, wait: 2104, init: 150, container: 1},
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			clock := NewVirtualClock(epoch)
			platform, err := New(clock, tt.config, 1)
			if err != nil {
				t.Fatal(err)
			}
			sleep := func(run *Run) {
				run.Sleep(time.Duration(run.Params().(millis))*time.Millisecond, run.Finish)
			}
			for _, f := range []Function{{Name: "f", Handler: sleep}, {Name: "g", Handler: sleep}, {Name: "h", Handler: sleep}, {Name: "large", MemoryMB: 512, Handler: sleep}} {
				if err := platform.Deploy(f); err != nil {
					t.Fatal(err)
				}
			}
			ended := 0
			for i, c := range tt.calls {
				clock.AfterFunc(time.Duration(c.at)*time.Millisecond, func() {
					_, err := platform.Invoke(c.function, c.sleep, func(a Activation) {
						ended++
						if a.WaitTime.Milliseconds() != c.wait || a.InitTime.Milliseconds() != c.init || a.Container != c.container {
							t.Errorf("call %d of %s at %d: wait %v, init %v in container %d; want %d ms, %d ms, %d", i, c.function, c.at, a.WaitTime, a.InitTime, a.Container, c.wait, c.init, c.container)
						}
						if got := a.Arrival().Sub(epoch).Milliseconds(); got != c.at {
							t.Errorf("call %d of %s arrived at %d, want %d", i, c.function, got, c.at)
						}
						if got := a.Duration.Milliseconds(); got != c.init+c.sleep {
							t.Errorf("call %d of %s: duration %d ms, want %d + %d", i, c.function, got, c.init, c.sleep)
						}
					})
					if err != nil {
						t.Error(err)
					}
				})
			}
			if err := clock.Run(context.Background()); err != nil {
				t.Fatal(err)
			}
			if ended != len(tt.calls) {
				t.Errorf("%d of %d invocations ended", ended, len(tt.calls))
			}
		})
	}
}

// TestComposition checks the delays between a function's call and the arrival of its successor.
func TestComposition(t *testing.T) {
	const ms = time.Millisecond
	config := exact()
	config.MemoryMB = 2048
	config.FirstCallPerInit = 2
	clock := NewVirtualClock(epoch)
	platform, err := New(clock, config, 1)
	if err != nil {
		t.Fatal(err)
	}
	deploy := func(name string, handler Handler) {
		t.Helper()
		if err := platform.Deploy(Function{Name: name, Handler: handler}); err != nil {
			t.Fatal(err)
		}
	}
	invoke := func(run *Run, name string) {
		if _, err := run.Invoke(name, nil); err != nil {
			t.Error(err)
		}
	}
	deploy("main", func(run *Run) {
		run.Sleep(300*ms, func() {
			invoke(run, "f")
			run.Sleep(15*ms, func() {
				invoke(run, "g")
				run.Sleep(15*ms, func() {
					invoke(run, "g")
					run.Finish()
				})
			})
		})
	})
	deploy("f", (*Run).Finish)
	deploy("g", (*Run).Finish)

	arrivals := map[string][]time.Duration{}
	ids := map[string]bool{}
	var mains []Activation
	platform.OnEnd(func(a Activation) {
		if a.Name == "main" {
			mains = append(mains, a)
			ids[a.ID] = true
			return
		}
		arrivals[a.Name] = append(arrivals[a.Name], a.Arrival().Sub(epoch))
		if !ids[a.Cause] {
			t.Errorf("%s was caused by %q, which is no main", a.Name, a.Cause)
		}
	})
	for _, at := range []time.Duration{0, 20 * time.Second} {
		clock.AfterFunc(at, func() {
			if _, err := platform.Invoke("main", nil, nil); err != nil {
				t.Error(err)
			}
		})
	}
	if err := clock.Run(context.Background()); err != nil {
		t.Fatal(err)
	}
	// Cold: dispatch 4, creation 2000, /init 150, sleep 300; then the process is stalled for 100 + 2·150, so that the invocations of f and of the
	// first g leave after that; each takes 10 to arrive.
	cold := (4 + 2000 + 150 + 300 + 400 + 10) * ms
	// Warm and paused: dispatch 4, unpausing 35, sleep 300.
	warm := 20*time.Second + (4+35+300+10)*ms
	for name, want := range map[string][]time.Duration{
		"f": {cold, warm},
		"g": {cold, cold + 15*ms, warm + 15*ms, warm + 30*ms},
	} {
		if len(arrivals[name]) != len(want) {
			t.Fatalf("%s arrived at %v, want %v", name, arrivals[name], want)
		}
		for i := range want {
			if arrivals[name][i] != want[i] {
				t.Errorf("%s arrived at %v, want %v", name, arrivals[name], want)
				break
			}
		}
	}
	if got, want := mains[0].Duration, (150+300+400+15)*ms; got != want {
		t.Errorf("the cold main took %v, want %v", got, want)
	}
	if got, want := mains[1].Duration, 330*ms; got != want {
		t.Errorf("the warm main took %v, want %v", got, want)
	}
}

// TestFaultsOfHandlers checks what happens if handlers sleep, invoke or finish after the end of their runs.
func TestFaultsOfHandlers(t *testing.T) {
	failure := errors.New("no such row")
	for _, tt := range []struct {
		name    string
		handler Handler
		failed  error  // the expected error of the record
		flying  bool   // whether the activation never ends
		fault   string // the expected text in Err
	}{
		{"ends well", func(run *Run) { run.Finish() }, nil, false, ""},
		{"fails", func(run *Run) { run.Fail(failure) }, failure, false, ""},
		{"never ends", func(run *Run) {}, nil, true, ""},
		{"ends twice", func(run *Run) { run.Finish(); run.Finish() }, nil, false, "finished after its end"},
		{"fails after its end", func(run *Run) { run.Finish(); run.Fail(failure) }, nil, false, "finished after its end"},
		{"sleeps after its end", func(run *Run) {
			run.Finish()
			run.Sleep(time.Second, func() { t.Error("woke up after its end") })
		}, nil, false, "slept after its end"},
		{"invokes after its end", func(run *Run) {
			run.Finish()
			if _, err := run.Invoke("f", nil); err == nil {
				t.Error("an invocation after the end was accepted")
			}
		}, nil, false, "invoked f after its end"},
		{"invokes what there is not", func(run *Run) {
			if _, err := run.Invoke("g", nil); err == nil || err.Error() != "localwhisk: function g is not deployed" {
				t.Errorf("error %v, want one that names g", err)
			}
			run.Finish()
		}, nil, false, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			clock := NewVirtualClock(epoch)
			platform, err := New(clock, exact(), 1)
			if err != nil {
				t.Fatal(err)
			}
			if err := platform.Deploy(Function{Name: "f", Handler: tt.handler}); err != nil {
				t.Fatal(err)
			}
			var records []Activation
			id, err := platform.Invoke("f", nil, func(a Activation) { records = append(records, a) })
			if err != nil {
				t.Fatal(err)
			}
			if err := clock.Run(context.Background()); err != nil {
				t.Fatal(err)
			}
			switch flying := platform.InFlight(); {
			case tt.flying && (len(flying) != 1 || flying[0].ID != id || flying[0].Name != "f" || len(records) != 0):
				t.Errorf("in flight: %v, ended: %v; want %s in flight", flying, records, id)
			case !tt.flying && (len(flying) != 0 || len(records) != 1 || records[0].ID != id):
				t.Errorf("in flight: %v, ended: %v; want %s ended once", flying, records, id)
			case !tt.flying && !errors.Is(records[0].Err, tt.failed):
				t.Errorf("the record says %v, want %v", records[0].Err, tt.failed)
			}
			got := ""
			if err := platform.Err(); err != nil {
				got = err.Error()
			}
			want := tt.fault
			if want != "" {
				want = "localwhisk: activation " + id + " of f " + want
			}
			if got != want {
				t.Errorf("Err is %q, want %q", got, want)
			}
		})
	}
}
