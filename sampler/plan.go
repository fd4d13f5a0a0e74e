package sampler

import (
	"math/rand/v2"
	"time"

	"github.com/tppfaas/tppfaas/apps"
	"github.com/tppfaas/tppfaas/internal/seed"
)

// Request is one request of the plan, with everything that was drawn for it.
type Request struct {
	// Index is the number of the request, from 0.
	Index int
	// Time is when to send the request, after the start of the sampling.
	Time time.Duration
	// Calls are the invocations of the request, main first and callers before those they call.
	Calls []apps.Call
	// Anomalies and Missing are the functions that were hit, as indices into the application's functions.
	Anomalies, Missing []int
}

// Planner draws the requests one after the other. Their times come from a random stream of their own, so that they stay the
// same whatever else is varied. See [apps.Drawer] for the calls.
type Planner struct {
	config    Config
	drawer    *apps.Drawer
	intervals *rand.Rand
	next      int
	time      time.Duration
}

// NewPlanner returns a planner of the application's requests. A Config that is wrong is a *ConfigError.
func NewPlanner(app *apps.Application, config Config) (*Planner, error) {
	if err := app.Validate(); err != nil {
		return nil, err
	}
	if err := config.Validate(app); err != nil {
		return nil, err
	}
	drawer, err := apps.NewDrawer(app, config.variation(), config.Seed)
	if err != nil {
		return nil, err
	}
	return &Planner{config: config, drawer: drawer, intervals: rand.New(seed.Stream(config.Seed, "intervals"))}, nil
}

// Next returns the next request, and false after the last. The Calls of several requests may share memory: do not change
// them.
func (p *Planner) Next() (Request, bool) {
	if p.next == p.config.Requests {
		return Request{}, false
	}
	if p.next > 0 {
		p.time += p.interval()
		if p.config.BatchSize > 0 && p.next%p.config.BatchSize == 0 {
			p.time += p.config.BatchPause
		}
	}
	r := Request{Index: p.next, Time: p.time}
	p.next++
	r.Calls, r.Anomalies, r.Missing = p.drawer.Next()
	return r, true
}

// interval draws from U(MinInterval, MaxInterval).
func (p *Planner) interval() time.Duration {
	width := p.config.MaxInterval - p.config.MinInterval
	return p.config.MinInterval + time.Duration(p.intervals.Float64()*float64(width))
}
