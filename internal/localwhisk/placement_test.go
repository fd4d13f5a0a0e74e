package localwhisk

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestPlacement checks which containers invocations are given, and which are evicted, among those that were started for nobody.
func TestPlacement(t *testing.T) {
	for _, tt := range []struct {
		name   string
		config Config
		do     func(*controlled)
		from   millis
		want   []string // the events Placed, Started, Pressure and Removed, from then until 20 s
	}{
		{"two invocations wait for two containers, the one that was asked for first goes first", exactWith(func(c *Config) { c.TakesStarting = true }),
			func(c *controlled) {
				c.start(0, "f")
				c.start(500, "f")
				c.invoke(1000, "f")
				c.invoke(1001, "f")
			}, 0,
			[]string{"1004 placed f 1 late", "1005 placed f 2 late", "2150 started f 1 1150 0", "2650 started f 2 1649 0"}},
		{"a container on the way is taken before a stem cell", exactWith(func(c *Config) { c.TakesStarting, c.StemCells = true, 1 }),
			func(c *controlled) { c.start(0, "f"); c.invoke(10, "f") }, 0, // it takes a stem cell, which is replaced
			[]string{"14 placed f 1 late", "200 started f 1 190 0"}},
		{"an idle container is taken before one on the way", exactWith(func(c *Config) { c.TakesStarting = true }),
			func(c *controlled) { c.start(0, "f"); c.start(1000, "f"); c.invoke(2500, "f") }, 0,
			[]string{"2504 placed f 1 warm", "2504 started f 1 4 0"}},
		{"a start for nobody counts as a use", exact(),
			func(c *controlled) { c.start(0, "f"); c.start(1000, "g"); c.invoke(3000, "f"); c.invoke(5000, "main") }, 0,
			[]string{
				"3004 placed f 1 warm", "3004 started f 1 4 0", "5004 removed f 1 eviction", "5004 placed main 3 cold", "7154 started main 3 2154 150",
				"7268 placed g 2 warm", "7268 started g 2 4 0",
			}},
		{"the newest idle container is taken, with the first call to come", exactWith(func(c *Config) { c.MemoryMB = 1024 }), freshAndUsed, 5000,
			[]string{"5004 placed main 2 warm", "5004 started main 2 4 0", "5118 placed g 3 warm", "5118 started g 3 4 0"}},
		{"one that has made its first call is taken before", exactWith(func(c *Config) { c.MemoryMB, c.WarmedLast = 1024, true }), freshAndUsed, 5000,
			[]string{"5004 placed main 1 warm", "5004 started main 1 4 0", "5018 placed g 3 warm", "5018 started g 3 4 0"}},
		{"a start does not overtake those that wait for memory", exactWith(func(c *Config) { c.MemoryMB = 640 }),
			func(c *controlled) {
				c.invoke(0, "f")
				c.invoke(0, "f")
				c.invoke(1000, "g")
				c.at(2000, func() {
					if _, err := c.StartContainerEvicting("small"); !errors.Is(err, ErrMemory) {
						t.Errorf("error %v, want ErrMemory", err)
					}
				})
			}, 0,
			[]string{
				"4 placed f 1 cold", "4 placed f 2 cold", "1004 pressure 1", "2154 started f 1 2154 150", "2154 started f 2 2154 150",
				"3174 removed f 1 eviction", "3174 placed g 3 cold", "3174 pressure 0", "5324 started g 3 4324 150",
			}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := control(t, tt.config)
			var told []string
			c.Watch(func(e Event) {
				if ms := e.At.Sub(epoch).Milliseconds(); ms >= tt.from && ms < 20_000 && slices.Contains([]EventKind{Placed, Started, Pressure, Removed}, e.Kind) {
					told = append(told, eventText(e))
				}
			})
			tt.do(c)
			if err := c.clock.Run(context.Background()); err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(told, tt.want) {
				t.Errorf("events:\n%s\nwant:\n%s", strings.Join(told, "\n"), strings.Join(tt.want, "\n"))
			}
		})
	}
}

// freshAndUsed makes two containers of main idle: 1, which has made its first call, and then 2, which has not.
func freshAndUsed(c *controlled) {
	c.start(0, "main")
	c.invoke(2200, "main")
	c.start(2300, "main")
	c.invoke(5000, "main")
}

// TestLateRecord checks the record of an invocation that has waited for a container on the way: its wait has what was left of the start, and there
// was no /init.
func TestLateRecord(t *testing.T) {
	config := exact()
	config.TakesStarting = true
	c := control(t, config)
	c.start(0, "f")
	c.at(1000, func() {
		_, err := c.Invoke("f", nil, func(a Activation) {
			if a.WaitTime != 1150*time.Millisecond || a.Cold() || a.Duration != time.Second {
				t.Errorf("record %+v", a)
			}
		})
		c.do(0, err)
	})
	if err := c.clock.Run(context.Background()); err != nil {
		t.Fatal(err)
	}
}
