package mirror

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/tppfaas/tppfaas/prewarm"
)

const ms = time.Millisecond

// reading is a stamp of a clock that comes at a time.
type reading struct{ now, stamp prewarm.Time }

// TestClockOffset checks what is taken to be the offset of a clock after some readings.
func TestClockOffset(t *testing.T) {
	// read returns n readings, one every 100 ms from the time on, of a clock that is off by an amount, with delays that go through those given.
	read := func(from prewarm.Time, n int, off time.Duration, delays ...time.Duration) (r []reading) {
		for i := range n {
			at := from + time.Duration(i)*100*ms
			r = append(r, reading{at + delays[i%len(delays)], at - off})
		}
		return r
	}
	delays := []time.Duration{80 * ms, 3 * ms, 200 * ms, 40 * ms, 150 * ms}
	join := func(parts ...[]reading) (r []reading) {
		for _, p := range parts {
			r = append(r, p...)
		}
		return r
	}
	hour := time.Hour
	for _, test := range []struct {
		name     string
		own      bool
		readings []reading
		want     time.Duration // with the least delay
	}{
		{"the first", false, read(0, 1, 7*time.Second, 80*ms), 7*time.Second + 80*ms},
		{"behind", false, read(0, 30, 7*time.Second, delays...), 7*time.Second + 3*ms},
		{"ahead", false, read(0, 30, -7*time.Second, delays...), -7*time.Second + 3*ms},
		{"batches beside announcements", false, read(0, 200, 0, 5*time.Second, 4*time.Second, 3*time.Second, 5*ms), 5 * ms},
		{"one stamp of the far future among few", false, append(read(0, 20, 0, delays...), reading{3 * time.Second, furthest}), 3 * ms},
		{"two stamps of the far future among many", false, join(read(0, 20, 0, delays...), []reading{{2 * time.Second, furthest}, {2 * time.Second, furthest}}, read(2*time.Second, 20, 0, delays...)), 3 * ms},
		{"stamps of the far past", false, append(read(0, 40, 0, delays...), reading{4 * time.Second, -furthest}, reading{4 * time.Second, -furthest}), 3 * ms},
		{"set forward", false, append(read(0, 60, 0, delays...), read(6*time.Second, 12, -hour, delays...)...), -hour + 3*ms},
		{"set back far", false, append(read(0, 200, 0, delays...), read(20*time.Second, stepReadings, hour, delays...)...), hour + 3*ms},
		{"set back a little", false, append(read(0, 200, 0, delays...), read(20*time.Second, (clockBlocks+1)*blockSize, 10*time.Second, delays...)...), 10*time.Second + 3*ms},
		{"own", true, read(0, 50, 0, delays...), 0},
		{"own, late batches", true, read(0, 50, 0, 5*time.Second), 0},
		{"own, set back", true, append(read(0, 50, 0, delays...), read(5*time.Second, stepReadings, hour, delays...)...), hour + 3*ms},
		{"own, set forward", true, append(read(0, 50, 0, delays...), read(5*time.Second, 12, -hour, delays...)...), -hour + 3*ms},
		{"own, set forward and back again", true, join(read(0, 50, 0, delays...), read(5*time.Second, 40, -hour, delays...), read(9*time.Second, stepReadings, 0, delays...)), 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := &clock{own: test.own}
			for _, r := range test.readings {
				c.observe(r.now, r.stamp)
			}
			// Of a sorted sample of delays the second or third may be taken.
			if slack := c.offset - test.want; slack < 0 || slack > 80*ms {
				t.Errorf("offset is %v, want %v", c.offset, test.want)
			}
		})
	}
}

// TestClockDrift checks that a clock that is slow, or fast, by 100 millionths is followed for a day, also where it is heard of once in 30 s only.
func TestClockDrift(t *testing.T) {
	for _, rate := range []float64{-100e-6, 100e-6} {
		for _, every := range []time.Duration{100 * ms, 30 * time.Second} {
			c := &clock{}
			worst := time.Duration(0)
			for now := prewarm.Time(0); now < 24*time.Hour; now += every {
				off := time.Duration(rate * float64(now))
				c.observe(now, now-off-3*ms)
				worst = max(worst, c.offset-off-3*ms, off+3*ms-c.offset)
			}
			// The blocks reach back by 8 minutes at most, in which it drifts by 48 ms, and a quarter of an hour where they are filled slowly.
			if limit := 100 * ms; worst > limit {
				t.Errorf("drift %v, heard of every %v: wrong by %v, want %v at most", rate, every, worst, limit)
			}
		}
	}
}

// TestClockSteps checks that after a step of any size, in either direction, a clock is right again after a bounded number of observations.
func TestClockSteps(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := &clock{}
		now := prewarm.Time(0)
		off := time.Duration(0)
		for range rapid.IntRange(1, 5).Draw(t, "steps") {
			off += time.Duration(rapid.Int64Range(-1e15, 1e15).Draw(t, "step"))
			for range rapid.IntRange((clockBlocks+1)*blockSize, 300).Draw(t, "observations") {
				now += time.Duration(rapid.IntRange(0, 1000).Draw(t, "after")) * ms
				c.observe(now, now-off-time.Duration(rapid.IntRange(1, 200).Draw(t, "delay"))*ms)
			}
			if d := c.offset - off; d < 0 || d > 200*ms {
				t.Fatalf("offset is %v, want %v and a delay of up to 200 ms", c.offset, off)
			}
		}
	})
}

// TestClocksBounded checks that no more clocks are told apart than the limit, that those of which nothing is heard make room, and that the clock of
// the controller always has room.
func TestClocksBounded(t *testing.T) {
	c := &clocks{others: map[string]*clock{}, limit: 2}
	get := func(now prewarm.Time, name string) *clock {
		k := c.get(now, name)
		if k != nil {
			k.observe(now, now)
		}
		return k
	}
	if get(0, "a") == nil || get(0, "b") == nil || get(0, "") == nil {
		t.Fatal("there is no room for two clocks and the own")
	}
	if get(time.Second, "c") != nil {
		t.Fatal("there is room for a third")
	}
	get(forgottenAfter, "b")
	if get(forgottenAfter+time.Minute, "c") == nil {
		t.Fatal("a clock of which nothing was heard for long made no room")
	}
	if len(c.others) != 2 || c.others["a"] != nil {
		t.Fatalf("the clocks are %v", c.others)
	}
}
