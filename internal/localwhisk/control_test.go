package localwhisk

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// controlled is a platform on a virtual clock whose events are recorded as text.
type controlled struct {
	*Platform
	t     *testing.T
	clock *VirtualClock
	told  []string
}

// control returns a platform with the functions f, which sleeps for a second, small, which does so too in half the memory, g, and main, which
// invokes g.
func control(t *testing.T, config Config) *controlled {
	t.Helper()
	clock := NewVirtualClock(epoch)
	p, err := New(clock, config, 1)
	if err != nil {
		t.Fatal(err)
	}
	c := &controlled{Platform: p, t: t, clock: clock}
	for _, f := range []Function{
		{Name: "f", Handler: sleepSecond}, {Name: "small", MemoryMB: 128, Handler: sleepSecond}, {Name: "g", Handler: (*Run).Finish},
		{Name: "main", Handler: func(run *Run) {
			if _, err := run.Invoke("g", nil); err != nil {
				t.Error(err)
			}
			run.Finish()
		}},
	} {
		if err := p.Deploy(f); err != nil {
			t.Fatal(err)
		}
	}
	p.Watch(func(e Event) { c.told = append(c.told, eventText(e)) })
	return c
}

func sleepSecond(run *Run) { run.Sleep(time.Second, run.Finish) }

// eventText writes an event as its time in milliseconds and what its kind has.
func eventText(e Event) string {
	text := fmt.Sprint(e.At.Sub(epoch).Milliseconds(), " ", e.Kind)
	if e.Function != "" {
		text += " " + e.Function
	}
	if e.Container != 0 {
		text += fmt.Sprint(" ", e.Container)
	}
	switch e.Kind {
	case Placed:
		text += " " + e.Start.String()
	case Started:
		text += fmt.Sprint(" ", e.Wait.Milliseconds(), " ", e.Init.Milliseconds())
	case Starting, Removed:
		text += " " + e.By.String()
	case Ended:
		if e.Err != nil {
			text += " failed"
		}
	case Pressure:
		text += fmt.Sprint(" ", e.Queue)
	}
	return text
}

// at does something at a time in milliseconds.
func (c *controlled) at(ms millis, f func()) {
	c.clock.AfterFunc(time.Duration(ms)*time.Millisecond, f)
}

func (c *controlled) invoke(ms millis, function string) {
	c.at(ms, func() {
		if _, err := c.Invoke(function, nil, nil); err != nil {
			c.t.Error(err)
		}
	})
}

func (c *controlled) start(ms millis, function string) {
	c.at(ms, func() { c.do(c.StartContainer(function)) })
}

func (c *controlled) do(_ int, err error) {
	c.t.Helper()
	if err != nil {
		c.t.Error(err)
	}
}

// run runs the clock to its end, and checks the events.
func (c *controlled) run(want ...string) {
	c.t.Helper()
	if err := c.clock.Run(context.Background()); err != nil {
		c.t.Fatal(err)
	}
	if err := c.Err(); err != nil {
		c.t.Error(err)
	}
	if !slices.Equal(c.told, want) {
		c.t.Errorf("events:\n%s\nwant:\n%s", strings.Join(c.told, "\n"), strings.Join(want, "\n"))
	}
}

// exactWith returns a change of the configuration without random delays.
func exactWith(change func(*Config)) Config {
	c := exact()
	change(&c)
	return c
}

// TestStartContainer checks the way of a container that is started for nobody.
func TestStartContainer(t *testing.T) {
	for _, tt := range []struct {
		name   string
		config Config
		do     func(*controlled)
		want   []string
		usage  Usage // of f
	}{
		{"unused it is removed after the idle timeout", exact(), func(c *controlled) { c.start(0, "f") }, []string{
			"0 starting f 1 policy", "2150 idle f 1", "602150 removed f 1 platform",
		}, Usage{Function: "f", Starting: 256 * 2.15, Idle: 256 * 600, Created: 1, Wasted: 1}},
		{"it serves an invocation", exact(), func(c *controlled) { c.start(0, "f"); c.invoke(5000, "f") }, []string{
			"0 starting f 1 policy", "2150 idle f 1",
			"5000 arrived f", "5004 placed f 1 warm", "5004 started f 1 4 0", "6004 ended f 1", "6024 idle f 1", "606024 removed f 1 platform",
		}, Usage{Function: "f", Starting: 256 * 2.15, Idle: 256 * (2.854 + 600), Busy: 256 * 1.02, Created: 1}},
		{"an invocation waits for it", exactWith(func(c *Config) { c.TakesStarting = true }), func(c *controlled) { c.start(0, "f"); c.invoke(1000, "f") }, []string{
			"0 starting f 1 policy", "1000 arrived f", "1004 placed f 1 late", "2150 started f 1 1150 0", "3150 ended f 1", "3170 idle f 1", "603170 removed f 1 platform",
		}, Usage{Function: "f", Starting: 256 * 2.15, Idle: 256 * 600, Busy: 256 * 1.02, Created: 1, Late: 1}},
		{"an invocation has one of its own", exact(), func(c *controlled) { c.start(0, "f"); c.invoke(1000, "f") }, []string{
			"0 starting f 1 policy", "1000 arrived f", "1004 placed f 2 cold", "2150 idle f 1",
			"3154 started f 2 2154 150", "4154 ended f 2", "4174 idle f 2", "602150 removed f 1 platform", "604174 removed f 2 platform",
		}, Usage{Function: "f", Starting: 256 * 4.3, Idle: 256 * 1200, Busy: 256 * 1.02, Created: 2, Cold: 1, Wasted: 1}},
		{"it makes its first call", exactWith(func(c *Config) { c.WarmFirstCall, c.FirstCallPerInit = true, 0.5 }), func(c *controlled) { c.start(0, "f") }, []string{
			"0 starting f 1 policy", "2325 idle f 1", "602325 removed f 1 platform",
		}, Usage{Function: "f", Starting: 256 * 2.325, Idle: 256 * 600, Created: 1, Wasted: 1}},
		{"from a stem cell", exactWith(func(c *Config) { c.StemCells = 1 }), func(c *controlled) { c.start(1000, "f") }, []string{
			"1000 starting f 1 policy", "1200 idle f 1", "601200 removed f 1 platform",
		}, Usage{Function: "f", Starting: 256 * 0.2, Idle: 256 * 600, Created: 1, Wasted: 1}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := control(t, tt.config)
			tt.do(c)
			c.run(tt.want...)
			for _, u := range c.Usage() {
				if u.Function == "f" && !sameUsage(u, tt.usage) {
					t.Errorf("usage %+v, want %+v", u, tt.usage)
				}
			}
		})
	}
}

// sameUsage reports whether two usages are equal but for rounding.
func sameUsage(u, v Usage) bool {
	near := func(x, y float64) bool { return x-y < 1e-6 && y-x < 1e-6 }
	sums := near(u.Starting, v.Starting) && near(u.Idle, v.Idle) && near(u.Busy, v.Busy)
	u.Starting, u.Idle, u.Busy = v.Starting, v.Idle, v.Busy
	return sums && u == v
}

// TestWarmedFirstCall checks that the first call of a run in a container that has made its first call is as fast as all others.
func TestWarmedFirstCall(t *testing.T) {
	for _, warmed := range []bool{false, true} {
		config := exact()
		config.WarmFirstCall = warmed
		c := control(t, config)
		c.start(0, "main")
		c.start(0, "g")
		c.invoke(5000, "main")
		arrival := "5114 arrived g" // dispatch 4, first call 100, call 10
		if warmed {
			arrival = "5014 arrived g"
		}
		if err := c.clock.Run(context.Background()); err != nil {
			t.Fatal(err)
		}
		if !slices.Contains(c.told, arrival) {
			t.Errorf("no %q in:\n%s", arrival, strings.Join(c.told, "\n"))
		}
	}
}

// TestGiveBackAndHold checks that idle containers are removed when it is wished, and that other calls are errors that name the container.
func TestGiveBackAndHold(t *testing.T) {
	c := control(t, exact())
	c.start(0, "f")
	c.start(0, "g")
	fails := func(err error, text string) {
		t.Helper()
		if !errors.Is(err, ErrNotIdle) || err.Error() != text {
			t.Errorf("error %v, want %s", err, text)
		}
	}
	c.at(1000, func() {
		fails(c.GiveBack(1), "localwhisk: container 1 of f is not idle: it is being started")
		fails(c.Hold(7, epoch), "localwhisk: container 7 is not idle: there is no such container")
	})
	c.at(3000, func() {
		c.do(0, c.Hold(1, epoch.Add(time.Hour)))
		c.do(0, c.Hold(1, epoch.Add(5*time.Second)))
		c.do(0, c.GiveBack(2))
	})
	c.invoke(4000, "f")
	c.at(4500, func() { fails(c.Hold(1, epoch.Add(time.Hour)), "localwhisk: container 1 of f is not idle: it is busy") })
	c.at(700_000, func() { fails(c.GiveBack(1), "localwhisk: container 1 is not idle: there is no such container") })
	c.start(700_000, "f")
	c.at(703_000, func() { c.do(0, c.Hold(3, epoch.Add(710*time.Second))) })
	c.start(720_000, "f")
	c.at(723_000, func() { c.do(0, c.Hold(4, epoch)) })
	c.run(
		"0 starting f 1 policy", "0 starting g 2 policy", "2150 idle f 1", "2150 idle g 2", "3000 removed g 2 policy",
		"4000 arrived f", "4004 placed f 1 warm", "4004 started f 1 4 0", "5004 ended f 1", "5024 idle f 1", "605024 removed f 1 platform",
		"700000 starting f 3 policy", "702150 idle f 3", "710000 removed f 3 policy",
		"720000 starting f 4 policy", "722150 idle f 4", "723000 removed f 4 policy",
	)
}

// TestEndlessHold checks that a hold can be without an end, and be replaced by one with an end.
func TestEndlessHold(t *testing.T) {
	c := control(t, exact())
	c.start(0, "f")
	c.start(0, "g")
	c.at(3000, func() {
		for container := 1; container <= 2; container++ {
			c.do(0, c.Hold(container, epoch.AddDate(292, 0, 0)))
		}
	})
	c.at(10_000_000, func() { c.do(0, c.Hold(2, epoch.Add(10_001*time.Second))) })
	c.run("0 starting f 1 policy", "0 starting g 2 policy", "2150 idle f 1", "2150 idle g 2", "10001000 removed g 2 policy")
	if now := c.clock.Now(); !now.Equal(epoch.Add(10_001 * time.Second)) {
		t.Errorf("the clock has gone on until %v", now)
	}
}

// TestStartWithoutMemory checks that a start for nobody evicts only if it is asked to, and does not overtake invocations.
func TestStartWithoutMemory(t *testing.T) {
	c := control(t, exact())
	c.start(0, "f")
	c.start(1000, "g")
	c.at(4000, func() {
		if _, err := c.StartContainer("f"); !errors.Is(err, ErrMemory) {
			t.Errorf("error %v, want ErrMemory", err)
		}
		if _, err := c.StartContainer("h"); err == nil {
			t.Error("a container of an unknown function was started")
		}
		c.do(c.StartContainerEvicting("f"))
	})
	c.at(5000, func() {
		c.do(0, c.Rank(2, 2))
		c.do(0, c.Rank(3, 1))
		if c.Rank(1, 1) == nil {
			t.Error("a container that is gone was ranked")
		}
	})
	c.at(8000, func() { c.do(c.StartContainerEvicting("f")) })
	c.run(
		"0 starting f 1 policy", "1000 starting g 2 policy", "2150 idle f 1", "3150 idle g 2",
		"4000 removed f 1 eviction", "4000 starting f 3 policy", "6150 idle f 3",
		"8000 removed f 3 eviction", "8000 starting f 4 policy", "10150 idle f 4", "603150 removed g 2 platform", "610150 removed f 4 platform",
	)
}

// TestStartsAreLoad checks that containers which are started for nobody use memory and slow down the work from the beginning, as others do.
func TestStartsAreLoad(t *testing.T) {
	config := exact()
	config.ParallelCreations = 1
	c := control(t, config)
	c.start(0, "f")
	c.start(0, "g")
	c.at(1, func() {
		if c.load() != 1 || c.memoryMB != 512 {
			t.Errorf("a load of %d, and %d MiB in use; want 1 and 512", c.load(), c.memoryMB)
		}
		if _, err := c.StartContainer("f"); !errors.Is(err, ErrMemory) {
			t.Errorf("error %v, want ErrMemory", err)
		}
	})
	c.at(2100, func() {
		if c.load() != 0 || c.creating != 0 {
			t.Errorf("a load of %d after the creations", c.load())
		}
	})
	if err := c.clock.Run(context.Background()); err != nil {
		t.Fatal(err)
	}
}

// TestStartFailures checks what becomes of a container that is started for nobody, and of an invocation that waits for it, if the start fails or the
// function is undeployed meanwhile.
func TestStartFailures(t *testing.T) {
	config := exact()
	config.TakesStarting = true
	for _, tt := range []struct {
		name           string
		creation, init error
		late           bool
		undeploy       bool
		want           []string
	}{
		{name: "creation", creation: errors.New("broken"), want: []string{"0 starting f 1 policy", "2000 removed f 1 platform"}},
		{name: "init", init: errors.New("broken"), want: []string{"0 starting f 1 policy", "2150 removed f 1 platform"}},
		{name: "creation, with an invocation", creation: errors.New("broken"), late: true, want: []string{
			"0 starting f 1 policy", "1000 arrived f", "1004 placed f 1 late", "2000 ended f 1 failed", "2000 removed f 1 platform",
		}},
		{name: "init, with an invocation", init: errors.New("broken"), late: true, want: []string{
			"0 starting f 1 policy", "1000 arrived f", "1004 placed f 1 late", "2150 ended f 1 failed", "2150 removed f 1 platform",
		}},
		{name: "undeployed", undeploy: true, want: []string{"0 starting f 1 policy", "2150 removed f 1 platform"}},
		{name: "undeployed, with an invocation", undeploy: true, late: true, want: []string{
			"0 starting f 1 policy", "1000 arrived f", "1004 placed f 1 late", "2150 started f 1 1150 0", "3150 ended f 1", "3170 removed f 1 platform",
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := control(t, config)
			c.backend = &faultyBackend{simulation: newSimulation(c.clock, config, 1), creation: tt.creation, init: tt.init}
			c.start(0, "f")
			if tt.late {
				c.invoke(1000, "f")
			}
			if tt.undeploy {
				c.at(1500, func() { c.do(0, c.Undeploy("f")) })
			}
			c.run(tt.want...)
			if c.memoryMB != 0 || c.creating != 0 {
				t.Errorf("%d MiB are still in use, and %d containers being created", c.memoryMB, c.creating)
			}
			if u := c.Usage()[0]; u.Created != 1 || u.Wasted == 0 != tt.late {
				t.Errorf("usage %+v", u)
			}
		})
	}
}

// notWarmer is a Backend without the method of a Warmer.
type notWarmer struct{ Backend }

// TestBackendWithoutWarming checks that a backend which needs an invocation for each start is a clear error.
func TestBackendWithoutWarming(t *testing.T) {
	c := control(t, exact())
	c.backend = notWarmer{c.backend}
	_, err := c.StartContainer("f")
	if want := "localwhisk: starting a container of f: this platform starts containers for invocations only"; err == nil || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
}
