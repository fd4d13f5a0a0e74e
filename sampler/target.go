package sampler

import (
	"context"
	"strings"
	"time"

	"github.com/tppfaas/tppfaas/apps"
)

// Clock is the clock of a platform; its time may be virtual.
type Clock interface {
	// Now returns the present time.
	Now() time.Time
	// AfterFunc calls f once when d has passed, unless stop is called before. stop reports whether it has prevented the call.
	AfterFunc(d time.Duration, f func()) (stop func() bool)
}

// Target is a platform to sample on.
type Target interface {
	Clock
	// Deploy deploys the functions of the application, before the first Send.
	Deploy(ctx context.Context, app *apps.Application) error
	// Send sends the request to main now and returns at once. Each function sleeps and calls as the request's Calls say,
	// the calls of one function [apps.CallGap] apart. Later, never within Send, done is called once: with the complete trace, or
	// with the reason why there is none. An *Incomplete leaves this request out; any other error ends the sampling.
	Send(r Request, done func(Trace, error)) error
	// Wait lets time pass until every planned call of AfterFunc was made and every request is done. It returns the
	// context's error when that is done before; it may still wait for what was sent.
	Wait(ctx context.Context) error
}

// Recorder is a Target that records on disk what it sends, so that another process can continue the sampling: [Sample] passes the requests
// that were sent before to Send at once, only to get their traces.
type Recorder interface {
	Target
	// SentAt returns when a request was sent, by this process or one before it; false if it was not.
	SentAt(index int) (time.Time, bool)
}

// Incomplete is the error of a request whose trace is not complete.
type Incomplete struct {
	// Request is the index of the request.
	Request int
	// Missing are the deployed names of the functions that are missing from the trace, one for each call.
	Missing []string
	// Reason says why they are missing, or why there is no trace at all; it may be "".
	Reason string
}

// Error says what is missing and why.
func (i *Incomplete) Error() string {
	text := i.Reason
	if len(i.Missing) > 0 {
		text = "missing " + strings.Join(i.Missing, ", ")
		if i.Reason != "" {
			text += " (" + i.Reason + ")"
		}
	}
	return text
}

// Trace has all invocations of one request, in any order.
type Trace []Activation

// Activation is what the platform knows about an invocation.
type Activation struct {
	// ID is the activation id.
	ID string
	// Cause is the ID of the activation that made the call; "" for the request itself.
	Cause string
	// Name is the deployed name of the function, APPLICATION-dev-FUNCTION.
	Name string
	// Arrival is when the platform received the invocation, End when the function ended.
	Arrival, End time.Time
	// Wait is how long the invocation waited for a container, Init how long that took to initialise, 0 if it was warm.
	Wait, Init time.Duration
}
