package main

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/tppfaas/tppfaas/apps"
	"github.com/tppfaas/tppfaas/sampler"
	"github.com/tppfaas/tppfaas/tpp"
	"github.com/tppfaas/tppfaas/tpp/dataset"
)

// source is a recorded dataset, and what its name says: LOAD_APPLICATION_DURATIONS.
type source struct {
	name    string
	load    string // low, batched, or high: low with bursts mixed in
	app     *apps.Application
	random  bool
	dataset *tpp.Dataset // marks are the application's functions
	bursts  [][]*tpp.Sequence
}

// readSource reads a recorded dataset.
func readSource(path string) (*source, error) {
	s := &source{name: strings.TrimSuffix(strings.TrimSuffix(filepath.Base(path), ".gz"), ".json")}
	load, rest, ok := strings.Cut(s.name, "_")
	i := strings.LastIndex(rest, "_")
	if !ok || i < 0 || !slices.Contains([]string{"low", "high", "batched"}, load) || rest[i+1:] != "det" && rest[i+1:] != "rand" {
		return nil, fmt.Errorf("%s: the name of a dataset is low, high or batched, _, the application, and _det or _rand", path)
	}
	s.load, s.random = load, rest[i+1:] == "rand"
	var err error
	if s.app, err = apps.Load(rest[:i]); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if s.dataset, err = readDataset(path, s.app); err != nil {
		return nil, err
	}
	s.bursts = bursts(s.dataset)
	return s, nil
}

// readDataset reads traces of an application. Marks are its functions; one that is empty, or without wait and init times, is an error.
func readDataset(path string, app *apps.Application) (*tpp.Dataset, error) {
	d, err := dataset.ReadFile(path)
	if err != nil {
		return nil, err
	}
	if d, err = d.WithMarks(sampler.MarkNames(app)); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	for i := range d.Sequences {
		if q := &d.Sequences[i]; q.Len() == 0 || q.WaitTimes == nil || q.InitTimes == nil {
			return nil, fmt.Errorf("%s: sequence %d is empty, or without wait and init times", path, i)
		}
	}
	return d, nil
}

// Requests of a burst are 0.11 s apart; with a trace left out here and there the gaps grow, but stay below those of low load.
const withinBurst = 350 // ms

// leastBurst is the number of traces from which on they can only be a burst's.
const leastBurst = 10

// bursts returns the traces of each burst in the order of their arrival.
func bursts(d *tpp.Dataset) [][]*tpp.Sequence {
	all := make([]*tpp.Sequence, len(d.Sequences))
	for i := range d.Sequences {
		all[i] = &d.Sequences[i]
	}
	slices.SortStableFunc(all, func(a, b *tpp.Sequence) int { return int(a.ArrivalTimes[0] - b.ArrivalTimes[0]) })
	var found [][]*tpp.Sequence
	for begin, i := 0, 1; i <= len(all); i++ {
		if i < len(all) && all[i].ArrivalTimes[0]-all[i-1].ArrivalTimes[0] < withinBurst {
			continue
		}
		if i-begin >= leastBurst {
			found = append(found, all[begin:i])
		}
		begin = i
	}
	return found
}

// burstSize returns the number of requests in each burst: the mixing left some traces of most bursts out.
func (s *source) burstSize() int {
	most := 0
	for _, b := range s.bursts {
		most = max(most, len(b))
	}
	return most
}

// simulate samples the application in virtual time as the source was sampled: bursts as in the paper, or a low load at the
// intervals that the recordings show.
func (s *source) simulate(ctx context.Context, overheads sampler.Overheads, seed uint64, inBursts bool) (*tpp.Dataset, error) {
	c := sampler.Config{Requests: len(s.dataset.Sequences), RandomDurations: s.random, Seed: seed}
	switch {
	case inBursts:
		c.BatchSize = s.burstSize()
		c.Requests = 10 * c.BatchSize
		c.MinInterval, c.MaxInterval, c.BatchPause = 100*time.Millisecond, 120*time.Millisecond, 120*time.Second
	case strings.HasSuffix(s.app.Name, "_large"):
		c.MinInterval, c.MaxInterval = 1035*time.Millisecond, 1540*time.Millisecond
	default:
		c.MinInterval, c.MaxInterval = 435*time.Millisecond, 742*time.Millisecond
	}
	target, err := sampler.NewLocalWith(sampler.LocalOptions{Overheads: overheads, Seed: seed})
	if err != nil {
		return nil, err
	}
	r, err := sampler.Sample(ctx, target, s.app, c, nil)
	if err != nil {
		return nil, fmt.Errorf("sampling for %s: %w", s.name, err)
	}
	return r.Dataset, nil
}

func pointers(d *tpp.Dataset) []*tpp.Sequence {
	all := make([]*tpp.Sequence, len(d.Sequences))
	for i := range all {
		all[i] = &d.Sequences[i]
	}
	return all
}
