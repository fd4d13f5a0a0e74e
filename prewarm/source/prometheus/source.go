package prometheus

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/tppfaas/tppfaas/prewarm/source"
)

// Queries are what is asked, in PromQL; an empty one is not. Each results in a vector whose series have the name of a function in the label Label.
type Queries struct {
	Label string
	// Arrived, Ended, Failed and Refused are counters of invocations, CPU one of seconds. They must not be summed in PromQL: a series that begins anew at 0 is
	// told apart here.
	Arrived, Ended, Failed, Refused, CPU string
	// InFlight, Queued, Replicas and Ready are gauges.
	InFlight, Queued, Replicas, Ready string
}

// OpenFaaS returns the queries for the functions in a namespace of OpenFaaS, by its gateway's metrics.
func OpenFaaS(namespace string) Queries { return Queries{Label: "function_name"} }

// Options says whom to ask, what, and how often. Address and Queries must be set.
type Options struct {
	// Name is that of its counts; "" stands for prometheus.
	Name string
	// Address is the URL of the Prometheus.
	Address string
	Queries Queries
	// Every is the time between two questions; 0 stands for 5 s. Timeout bounds each; 0 stands for Every, and 2 s at least.
	Every, Timeout time.Duration
	// Username and PasswordFile, or TokenFile, authenticate the questions.
	Username, PasswordFile, TokenFile string
	// CAFile has the certificates of those who sign the server's; InsecureSkipVerify trusts any.
	CAFile             string
	InsecureSkipVerify bool
	// MaxSeries bounds the series of an answer; 0 stands for 10,000.
	MaxSeries int
}

// Source is a source.Source that asks a Prometheus.
type Source struct {
	o       Options
	counter atomic.Pointer[source.Counter]
}

// New returns a Source; it asks nothing yet.
func New(o Options) (*Source, error) {
	if o.Address == "" {
		return nil, errors.New("prometheus: no address")
	}
	if o.Name == "" {
		o.Name = "prometheus"
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

// Run asks until the context is done, and tells the sink of the loads of functions.
func (s *Source) Run(ctx context.Context, sink source.Sink) error {
	s.counter.Store(source.NewCounter(s.o.Name, sink))
	<-ctx.Done()
	return nil
}
