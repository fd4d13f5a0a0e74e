package localwhisk

import (
	"encoding/csv"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"
)

// readTimings returns the timings of the standalone OpenWhisk in milliseconds, by set and column. It skips the test if they are not there.
func readTimings(t *testing.T) map[string]map[string][]time.Duration {
	t.Helper()
	path := filepath.Join(sharedFolder, "reference", "openwhisk", "timings.csv")
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		t.Skipf("the timings are not here: no %s", path)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	sets := map[string]map[string][]time.Duration{}
	for _, row := range rows[1:] {
		if sets[row[0]] == nil {
			sets[row[0]] = map[string][]time.Duration{}
		}
		for i, name := range rows[0] {
			if ms, err := strconv.Atoi(row[i]); err == nil && i >= 5 {
				sets[row[0]][name] = append(sets[row[0]][name], time.Duration(ms)*time.Millisecond)
			}
		}
	}
	return sets
}

// near reports whether two times differ by at most the share, or by 1.5 ms.
func near(a, b time.Duration, share float64) bool {
	far := max(a-b, b-a)
	return far <= 1500*time.Microsecond || float64(far) <= share*float64(b)
}

func middle(times []time.Duration) time.Duration {
	return slices.Sorted(slices.Values(times))[len(times)/2]
}

// TestStandaloneFitsTimings fits each delay of StandaloneConfig to the timings. Its log has the fits, from which the values of the preset are taken.
func TestStandaloneFitsTimings(t *testing.T) {
	sets := readTimings(t)
	config := StandaloneConfig()
	var timings []Timing
	for _, wait := range sets["warm-nonblocking-gap200"]["wait_ms"] {
		timings = append(timings, Timing{Wait: wait})
	}
	for i, wait := range sets["cold-distinct20"]["wait_ms"] {
		timings = append(timings, Timing{Wait: wait, Init: sets["cold-distinct20"]["init_ms"][i]})
	}
	fitted, err := config.Fit(timings)
	if err != nil {
		t.Fatal(err)
	}
	var unpausing []time.Duration
	gap := middle(sets["gap-1s"]["wait_ms"])
	for _, wait := range sets["gap-12s"]["wait_ms"] {
		unpausing = append(unpausing, wait-gap)
	}
	logs := sets["warm-nonblocking-gap200"]["readable_minus_end_ms"]
	if fitted.Unpause, err = FitDelay(unpausing, time.Millisecond); err != nil {
		t.Fatal(err)
	}
	if fitted.Logs, err = FitDelay(logs, time.Millisecond); err != nil {
		t.Fatal(err)
	}
	for _, d := range []struct {
		name       string
		ours, fits Delay
	}{
		{"Dispatch", config.Dispatch, fitted.Dispatch}, {"Creation", config.Creation, fitted.Creation}, {"Init", config.Init, fitted.Init},
		{"Unpause", config.Unpause, fitted.Unpause}, {"Logs", config.Logs, fitted.Logs},
	} {
		t.Logf("%-8s %+v", d.name, d.fits)
		if !near(d.ours.Min+d.ours.Median, d.fits.Min+d.fits.Median, 0.05) {
			t.Errorf("%s: the median is %v, fitted %v", d.name, d.ours.Min+d.ours.Median, d.fits.Min+d.fits.Median)
		}
	}
}

// TestStandaloneReproducesTimings repeats the measurements of the timings in virtual time.
func TestStandaloneReproducesTimings(t *testing.T) {
	sets := readTimings(t)
	names := make([]string, 20)
	for i := range names {
		names[i] = sequenceName(i)
	}
	const ms = time.Millisecond
	run := func(memoryMB int, sleep time.Duration, calls map[time.Duration][]string) []Activation {
		config := StandaloneConfig()
		config.MemoryMB = memoryMB
		clock := NewVirtualClock(epoch)
		platform, err := New(clock, config, 1)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			err := platform.Deploy(Function{Name: name, MemoryMB: 256, Handler: func(run *Run) { run.Sleep(sleep, run.Finish) }})
			if err != nil {
				t.Fatal(err)
			}
		}
		var records []Activation
		platform.OnEnd(func(a Activation) { records = append(records, a) })
		for at, functions := range calls {
			clock.AfterFunc(at, func() {
				for _, f := range functions {
					if _, err := platform.Invoke(f, nil, nil); err != nil {
						t.Error(err)
					}
				}
			})
		}
		if err := clock.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		return records
	}
	waits := func(records []Activation, cold bool) (waits []time.Duration) {
		for _, a := range records {
			if a.Cold() == cold {
				waits = append(waits, a.WaitTime)
			}
		}
		return waits
	}
	every := func(gap time.Duration, functions ...string) map[time.Duration][]string {
		calls := map[time.Duration][]string{}
		for i, f := range functions {
			calls[time.Duration(i)*gap] = []string{f}
		}
		return calls
	}
	same := slices.Repeat([]string{"f1"}, 60)
	for _, tt := range []struct {
		set       string
		cold      bool
		records   []Activation
		tolerance float64
	}{
		{"warm-nonblocking-gap200", false, run(8192, 50*ms, every(200*ms, same...)), 0.1},
		{"gap-1s", false, run(8192, 50*ms, every(time.Second, same[:16]...)), 0.3},
		{"gap-12s", false, run(8192, 50*ms, every(12*time.Second, same[:16]...)), 0.15},
		{"cold-distinct20", true, run(8192, 50*ms, every(time.Second, names...)), 0.1},
		{"cold-distinct20-1g", true, run(1024, 50*ms, every(time.Second, names...)), 0.25},
		// Memory is full when the twelve invocations arrive.
		{"mem-12par-distinct-50ms-1g", true, run(1024, 50*ms, map[time.Duration][]string{0: names[12:16], time.Minute: names[:12]})[4:], 0.15},
	} {
		want, got := middle(sets[tt.set]["wait_ms"]), middle(waits(tt.records, tt.cold))
		t.Logf("%-28s median wait: recorded %v, ours %v", tt.set, want, got)
		if !near(got, want, tt.tolerance) {
			t.Errorf("%s: the median wait is %v, recorded %v", tt.set, got, want)
		}
	}
}

// TestInvocationsBeginIdleTimeAnew checks what renewals of idle times rely on: each run begins its container's idle time anew, however short it is. Of the recordings show it those with
// invocations 1 s and 9 s apart, on a platform that pauses containers after 10 s: none of them waits for unpausing, as all do that come 12 s apart. That a container is
// removed after some time was not recorded: here it is removed by the same count.
func TestInvocationsBeginIdleTimeAnew(t *testing.T) {
	sets := readTimings(t)
	config := StandaloneConfig()
	unpausing := config.Unpause.Median / 2
	for _, set := range []string{"gap-1s", "gap-9s"} {
		for i, wait := range sets[set]["wait_ms"] {
			if wait > unpausing+5*time.Millisecond {
				t.Errorf("%s: invocation %d waits %v, as if it had found a paused container", set, i, wait)
			}
		}
	}
	for i, wait := range sets["gap-12s"]["wait_ms"] {
		if wait < unpausing {
			t.Errorf("gap-12s: invocation %d waits only %v", i, wait)
		}
	}
}
