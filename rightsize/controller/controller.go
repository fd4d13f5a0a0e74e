package controller

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/tppfaas/tppfaas/rightsize/recommend"
)

// Source knows what functions used.
type Source interface {
	// Samples returns the samples of a function after a time, in their order. Samples that are not known yet come the next time. What there is
	// is returned beside an error too.
	Samples(ctx context.Context, function string, after time.Time) (Batch, error)
}

// Batch is what a Source knows that is new.
type Batch struct {
	Samples []recommend.Sample
	// Restarts is how many containers took the place of another one in this time, where the source tells that.
	Restarts int
	// Kills is how many of these were killed for their memory, where the source tells that. Others may have been, too.
	Kills int
}

// Applier is where limits are set.
type Applier interface {
	// Limits returns what is set; 0 is what is not set.
	Limits(ctx context.Context, function string) (recommend.Limits, error)
	// Apply sets limits; 0 leaves a value as it is.
	Apply(ctx context.Context, function string, l recommend.Limits) error
}

// Options say what a Controller does. Functions, Source, Applier, Recommender and Journal are needed.
type Options struct {
	Functions []string
	Source    Source
	Applier   Applier
	// Recommender makes one for each function.
	Recommender func() (recommend.Recommender, error)
	// Journal is the file that has what must outlive the process.
	Journal string
	// Act lets it apply what is recommended; without it, it only says so.
	Act bool
	// Interval is how often it looks; by default 1 min.
	Interval time.Duration
	// Timeout bounds each request for samples, for limits, and each change; by default 1 min.
	Timeout time.Duration
	// History is how long samples are remembered, and how far back it asks for them at first; by default 14 days.
	History time.Duration
	// MinHistory is for how long usage must be known before anything is lowered, or limited that was not; by default a day.
	MinHistory time.Duration
	// MaxAge is how old the newest sample may be for anything to be changed; by default three intervals, at least 2 min.
	MaxAge time.Duration
	// MaxChanges is how often limits of a function are changed in 24 h; by default 6. The last of them is kept for raising.
	MaxChanges int
	// Hold is how long nothing is lowered after a kill, or limited that was not; by default 6 h.
	Hold time.Duration
	// MaxRaise is the largest factor of a change upwards, and 1/MaxLower of one downwards; by default 4 and 2.
	MaxRaise, MaxLower float64
	// MinChange is the share by which some value must change for a change to be made; by default 0.02.
	MinChange float64
	// Round is applied to what is recommended; by default recommend.Round.
	Round func(recommend.Limits) recommend.Limits
	// OnEvent takes what has happened; it may be nil.
	OnEvent func(Event)
}

func (o Options) withDefaults() (Options, error) {
	o.Interval = cmp.Or(o.Interval, time.Minute)
	o.Timeout = cmp.Or(o.Timeout, time.Minute)
	o.History = cmp.Or(o.History, 14*24*time.Hour)
	o.MinHistory = cmp.Or(o.MinHistory, 24*time.Hour)
	o.MaxAge = cmp.Or(o.MaxAge, max(3*o.Interval, 2*time.Minute))
	o.MaxChanges = cmp.Or(o.MaxChanges, 6)
	o.Hold = cmp.Or(o.Hold, 6*time.Hour)
	o.MaxRaise = cmp.Or(o.MaxRaise, 4)
	o.MaxLower = cmp.Or(o.MaxLower, 2)
	o.MinChange = cmp.Or(o.MinChange, 0.02)
	if o.Round == nil {
		o.Round = recommend.Round
	}
	if o.OnEvent == nil {
		o.OnEvent = func(Event) {}
	}
	switch {
	case len(o.Functions) == 0:
		return o, errors.New("there is no function to look after")
	case o.Source == nil || o.Applier == nil || o.Recommender == nil || o.Journal == "":
		return o, errors.New("a source, an applier, a recommender and a journal are needed")
	case o.Interval < 0 || o.Timeout < 0 || o.History < 0 || o.MaxAge < 0 || o.Hold < 0 || o.MinHistory < 0 || o.MaxChanges < 0:
		return o, errors.New("times and numbers must not be negative")
	case !(o.MinChange > 0 && o.MinChange < 1):
		return o, fmt.Errorf("the least change, %g, must be between 0 and 1", o.MinChange)
	case !(o.MaxRaise > 1) || !(o.MaxLower > 1):
		return o, fmt.Errorf("the factors of a change, %g and %g, must be above 1", o.MaxRaise, o.MaxLower)
	}
	seen := map[string]bool{}
	for _, f := range o.Functions {
		if f == "" || seen[f] {
			return o, fmt.Errorf("function %q is empty or named twice", f)
		}
		seen[f] = true
	}
	return o, nil
}

// Controller looks after functions. Run is called once; Status may be called at any time.
type Controller struct {
	options   Options
	journal   *store
	functions []*function

	mu     sync.Mutex
	status map[string]Event
	round  time.Time // when the last round ended
}

// New returns a Controller, with what the journal has of those before it.
func New(o Options) (*Controller, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	c := &Controller{options: o, status: map[string]Event{}}
	for _, name := range o.Functions {
		r, err := o.Recommender()
		if err != nil {
			return nil, err
		}
		c.functions = append(c.functions, &function{name: name, recommender: r, acts: o.Act})
	}
	if err := compact(o.Journal, time.Now().Add(-o.History)); err != nil {
		return nil, err
	}
	if c.journal, err = openStore(o.Journal, c.take); err != nil {
		return nil, err
	}
	return c, nil
}

// Close closes the journal.
func (c *Controller) Close() error { return c.journal.close() }

// take takes up a record of the journal.
func (c *Controller) take(r record) error {
	for _, f := range c.functions {
		if f.name == r.Function {
			f.take(r)
		}
	}
	return nil
}

// note writes a record to the journal, and takes it.
func (c *Controller) note(f *function, r record) error {
	r.Function = f.name
	line, err := r.line()
	if err != nil {
		return err
	}
	if err := c.journal.write(line, r.Change != nil || r.Set != nil); err != nil {
		return err
	}
	f.take(r)
	return nil
}

// Run looks after the functions until the context ends, which is no error, or the journal cannot be written.
func (c *Controller) Run(ctx context.Context) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
		}
		begin := time.Now()
		for _, f := range c.functions {
			e, err := c.look(ctx, f)
			if ctx.Err() != nil {
				return nil
			}
			if err != nil {
				return err // of the journal: what is not noted must not be done
			}
			c.mu.Lock()
			c.status[f.name] = e
			c.mu.Unlock()
			c.options.OnEvent(e)
		}
		c.mu.Lock()
		c.round = time.Now()
		c.mu.Unlock()
		timer.Reset(max(c.options.Interval-time.Since(begin), 0))
	}
}

// Status is what a Controller did last.
type Status struct {
	// Healthy says that the last round is not longer ago than three intervals and timeouts, and that some function was looked at without an error.
	Healthy bool `json:"healthy"`
	// Round is when the last round ended.
	Round  time.Time `json:"round"`
	Acting bool      `json:"acting"`
	// Functions are the last events of each.
	Functions []Event `json:"functions"`
}

// Status returns what was done last.
func (c *Controller) Status() Status {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := Status{Round: c.round, Acting: c.options.Act}
	for _, f := range c.functions {
		if e, ok := c.status[f.name]; ok {
			s.Functions = append(s.Functions, e)
			s.Healthy = s.Healthy || e.Kind != Failed
		}
	}
	s.Healthy = s.Healthy && time.Since(c.round) < 3*(c.options.Interval+time.Duration(len(c.functions))*c.options.Timeout)
	return s
}
