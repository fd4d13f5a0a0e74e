package prometheus

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/tppfaas/tppfaas/prewarm/source"
)

// Options says whom to ask, what, and how often. Address and Queries must be set.
type Options struct {
	// Name is that of its counts; "" stands for prometheus.
	Name string
	// Address is the URL of the Prometheus.
	Address string
	Queries Queries
	// Every is the time between two questions; 0 stands for 5 s. What Prometheus knows is as new as its own scrapes. Timeout bounds each; 0 stands for 5 s.
	Every, Timeout time.Duration
	// Username and PasswordFile, or TokenFile, authenticate the questions; over https, or on loopback.
	Username, PasswordFile, TokenFile string
	// CAFile has the certificates of those who sign the server's; InsecureSkipVerify trusts any.
	CAFile             string
	InsecureSkipVerify bool
	// MaxSeries bounds the series of an answer, and those that are remembered; 0 stands for 10,000.
	MaxSeries int
}

// Source is a source.Source that asks a Prometheus.
type Source struct {
	o       Options
	client  *client
	counter atomic.Pointer[source.Counter]
}

// New returns a Source; it asks nothing yet.
func New(o Options) (*Source, error) {
	if o.Name == "" {
		o.Name = "prometheus"
	}
	if o.Every < 0 || o.Timeout < 0 || o.MaxSeries < 0 {
		return nil, errors.New("times and bounds of the questions to Prometheus cannot be negative")
	}
	if o.Every == 0 {
		o.Every = 5 * time.Second
	}
	if o.Timeout == 0 {
		o.Timeout = 5 * time.Second
	}
	if o.MaxSeries == 0 {
		o.MaxSeries = 10_000
	}
	if o.Queries.Label == "" {
		return nil, errors.New("the queries of Prometheus need the label that names the function")
	}
	if o.Queries.texts() == [quantities]string{} {
		return nil, errors.New("there is nothing to ask Prometheus for: no query")
	}
	client, err := newClient(&o)
	if err != nil {
		return nil, err
	}
	return &Source{o: o, client: client}, nil
}

// Counts returns what has come so far.
func (s *Source) Counts() source.Counts {
	if c := s.counter.Load(); c != nil {
		return c.Counts()
	}
	return source.Counts{Name: s.o.Name}
}

// Run asks until the context is done, and tells the sink of the loads of functions. What goes wrong passes, and is in the counts.
func (s *Source) Run(ctx context.Context, sink source.Sink) error {
	counter := source.NewCounter(s.o.Name, sink)
	s.counter.Store(counter)
	defer s.client.transport.CloseIdleConnections()
	m := newMeter(&s.o)
	ticker := time.NewTicker(s.o.Every)
	defer ticker.Stop()
	for {
		now := time.Now()
		loads, wrong, err := m.poll(ctx, s.client, now)
		if ctx.Err() != nil {
			return nil
		}
		if wrong.n > 0 {
			counter.Reject(wrong.n, wrong.first)
		}
		if err != nil || wrong.n == 0 {
			counter.Report(err)
		}
		if len(loads) > 0 {
			if err := counter.ObserveLoad(ctx, loads); err != nil && !errors.Is(err, source.ErrBusy) { // the next question tells the same and more
				return fmt.Errorf("the loads that %s knows: %w", s.client.name, err)
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}
