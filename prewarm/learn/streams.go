package learn

import (
	"context"
	"maps"
	"slices"

	"github.com/tppfaas/tppfaas/prewarm/requests"
)

// streamGaps is how many times between requests are needed to foresee those that begin with another function than most.
const streamGaps = 8

// streamsOf returns the times between the requests of an application that begin with other functions than root, by function.
func (p *Policy) streamsOf(a *application, root int) map[int][]float64 {
	gaps := map[int][]float64{}
	for _, f := range a.functions {
		if f == root || f >= len(p.recorder.arrivals) || p.recorder.arrivals[f] == nil {
			continue
		}
		if g := p.recorder.arrivals[f].inOrder(); len(g) >= streamGaps {
			gaps[f] = g
		}
	}
	return gaps
}

// foreseeing returns models of when the requests come that begin with other functions than most.
func (j *job) foreseeing(ctx context.Context) (map[int]requests.Model, error) {
	models := map[int]requests.Model{}
	for _, f := range slices.Sorted(maps.Keys(j.streams)) {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		m, err := requests.Fit(j.streams[f])
		if err != nil {
			return nil, err
		}
		models[f] = m
	}
	return models, nil
}

// foreseen has the requests of an application foreseen that begin with other functions than most.
func (p *Policy) foreseen(a *application) {
	if a.present == nil {
		return
	}
	for _, f := range slices.Sorted(maps.Keys(a.streams)) {
		if !slices.Contains(a.present.Functions(), f) {
			continue // the model is of a part of them
		}
		if err := p.newsvendor.Foresee(f, a.streams[f], p.recorder.arrivalsOf(f).recent(mostGaps)); err != nil {
			p.warn(err.Error())
		}
	}
}
