package main

import (
	"context"
	"encoding/csv"
	"fmt"
	"os"
	"slices"
	"strconv"
	"time"

	"gonum.org/v1/plot"

	"github.com/tppfaas/tppfaas/internal/figure"
	"github.com/tppfaas/tppfaas/internal/localwhisk"
)

// standaloneLoads are what the timings of the standalone OpenWhisk were taken of, by their names there: invocations every so
// often, of one function or each of another, with so much memory for containers.
var standaloneLoads = []struct {
	set      string
	every    time.Duration
	distinct bool
	memoryMB int
}{
	{"warm-nonblocking-gap200", 200 * time.Millisecond, false, 8192},
	{"gap-12s", 12 * time.Second, false, 8192},
	{"cold-distinct20", time.Second, true, 200 * 256},
	{"cold-distinct20-1g", time.Second, true, 1024},
}

// standalone has the waits of a standalone OpenWhisk beside ours, in ms, ascending, by load.
type standalone struct{ real, ours map[string][]float64 }

// compareStandalone reads the timings and does the same in virtual time.
func compareStandalone(ctx context.Context, path string) (*standalone, error) {
	s := &standalone{map[string][]float64{}, map[string][]float64{}}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if len(rows) == 0 {
		return nil, fmt.Errorf("%s: it is empty", path)
	}
	set, wait := slices.Index(rows[0], "set"), slices.Index(rows[0], "wait_ms")
	if set < 0 || wait < 0 {
		return nil, fmt.Errorf("%s: it has no columns set and wait_ms", path)
	}
	for i, row := range rows[1:] {
		ms, err := strconv.ParseFloat(row[wait], 64)
		if err != nil {
			return nil, fmt.Errorf("%s:%d: wait_ms: %w", path, i+2, err)
		}
		s.real[row[set]] = append(s.real[row[set]], ms)
	}
	for _, load := range standaloneLoads {
		if len(s.real[load.set]) == 0 {
			return nil, fmt.Errorf("%s: there is no set %s", path, load.set)
		}
		slices.Sort(s.real[load.set])
		if s.ours[load.set], err = standaloneWaits(ctx, load.every, load.distinct, load.memoryMB); err != nil {
			return nil, err
		}
	}
	return s, nil
}

func standaloneWaits(ctx context.Context, every time.Duration, distinct bool, memoryMB int) ([]float64, error) {
	const invocations = 200
	config := localwhisk.StandaloneConfig()
	config.MemoryMB = memoryMB
	clock := localwhisk.NewVirtualClock(time.Unix(0, 0))
	platform, err := localwhisk.New(clock, config, 1)
	if err != nil {
		return nil, err
	}
	// An invocation of which none has come before is cold; the one warm function has come once before.
	var waits []float64
	platform.OnEnd(func(a localwhisk.Activation) {
		if a.Cold() == distinct {
			waits = append(waits, float64(a.WaitTime.Milliseconds()))
		}
	})
	var failed error
	for i := range invocations {
		name := "f0"
		if distinct {
			name = fmt.Sprintf("f%d", i)
		}
		if distinct || i == 0 {
			err := platform.Deploy(localwhisk.Function{Name: name, Handler: func(run *localwhisk.Run) { run.Sleep(50*time.Millisecond, run.Finish) }})
			if err != nil {
				return nil, err
			}
		}
		clock.AfterFunc(time.Duration(i)*every, func() {
			if _, err := platform.Invoke(name, nil, nil); err != nil {
				failed = err
			}
		})
	}
	if err := clock.Run(ctx); err != nil {
		return nil, err
	}
	slices.Sort(waits)
	return waits, failed
}

func (s *standalone) panel() (*plot.Plot, error) {
	p := figure.NewPanel("standalone, from the left:\nwarm, paused, cold, memory full", "wait (ms)", "share of invocations")
	figure.LogAxis(&p.X, 2, 1000)
	for _, load := range standaloneLoads {
		if err := distribution(p, s.real[load.set], 1, recordedInk); err != nil {
			return nil, err
		}
		if err := distribution(p, s.ours[load.set], 1, ourInk); err != nil {
			return nil, err
		}
	}
	return p, nil
}
