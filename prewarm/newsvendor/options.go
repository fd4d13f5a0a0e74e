package newsvendor

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/tppfaas/tppfaas/prewarm"
	"github.com/tppfaas/tppfaas/prewarm/requests"
	"github.com/tppfaas/tppfaas/tpp/race"
)

// Options are what a policy is made with.
type Options struct {
	// Price is λ: the MB·s that a second of a request's waiting is worth.
	Price float64
	// Model is the kind of the model that predicts what is still to come of requests in flight, one of Models (default race).
	Model string
	// Platform and Functions are those of the fleet that the policy will be handed.
	Platform  prewarm.Platform
	Functions []prewarm.Function
	// Knowledge is what was recorded of the applications. Nothing is decided on functions of which nothing was.
	Knowledge prewarm.Knowledge
	// Seed is that of the training of models.
	Seed uint64
}

// PriceOf returns the price λ, in MB·s a second, at which a second of waiting costs one amount and a GB·s of memory another.
func PriceOf(second, gigabyteSecond float64) float64 { return second / gigabyteSecond * 1024 }

func (o *Options) validate() error {
	switch {
	case !(o.Price >= 0) || math.IsInf(o.Price, 0):
		return fmt.Errorf("the price is %v, must not be negative", o.Price)
	case !slices.Contains(Models(), o.Model):
		return fmt.Errorf("there is no model %q; there are %s", o.Model, strings.Join(Models(), ", "))
	}
	for _, f := range o.Functions {
		if f.MemoryMB <= 0 {
			return fmt.Errorf("function %s: memory is %d MiB, must be positive", f.Name, f.MemoryMB)
		}
	}
	return nil
}

// New returns a policy. It trains the models that it needs, unless the process has trained the same ones on the same recordings before.
func New(ctx context.Context, o Options) (*Policy, error) {
	if o.Model == "" {
		o.Model = race.Kind
	}
	if err := o.validate(); err != nil {
		return nil, fmt.Errorf("newsvendor: %w", err)
	}
	starts := prewarm.NewStartTimes(len(o.Functions))
	w := &work{}
	p := &Policy{platform: o.Platform, boxes: map[prewarm.ID]*box{}, roots: make([]*roots, len(o.Knowledge.Applications))}
	p.boxOf = p.box
	p.roomFor = p.room
	for f := range o.Functions {
		p.deciders = append(p.deciders, newDecider(f, &o, starts, w))
	}
	var apps []*application
	for i := range o.Knowledge.Applications {
		recording := &o.Knowledge.Applications[i]
		h, err := newHistory(recording, len(o.Functions))
		if err != nil {
			return nil, fmt.Errorf("newsvendor: %w", err)
		}
		f, err := newForecaster(ctx, o.Model, h, o.Seed)
		if err != nil {
			return nil, fmt.Errorf("newsvendor: application %s: %w", recording.Name, err)
		}
		app := &application{history: h, forecaster: f, certain: newTable(h).certain, firstCall: slices.Clone(h.firstCall), variance: slices.Clone(h.variance)}
		if o.Platform.FirstCall {
			clear(app.firstCall)
		}
		apps = append(apps, app)
		for m, f := range recording.Functions {
			d := p.deciders[f]
			d.known = true
			d.busy = h.busy[m]
			if h.first[m].n > 0 {
				d.first = app.firstCall[m]
			}
			for _, s := range h.starts[m] {
				d.started(0, time.Duration(s*float64(time.Second)))
			}
		}
		if p.roots[i], err = newRoots(app, recording); err != nil {
			return nil, fmt.Errorf("newsvendor: application %s: %w", recording.Name, err)
		}
	}
	p.predictor = newPredictor(o.Platform, apps, len(o.Functions))
	return p, nil
}

// newRoots returns what foresees the requests of an application.
func newRoots(app *application, recording *prewarm.Recording) (*roots, error) {
	r := &roots{app: app}
	if len(recording.Gaps) > 0 {
		m, err := requests.Fit(recording.Gaps)
		if err != nil {
			return nil, err
		}
		r.model = m
	}
	f := app.forecaster.newFollower()
	f.reset()
	if err := f.observe(app.history.traces[0].marks[0], -1, 0); err != nil {
		return nil, err
	}
	r.unfold(f.expect(nil))
	return r, nil
}
