package actuator

import (
	"context"
	"errors"
	"sync"
	"time"
)

// UnavailableError is an error of the platform as a whole: it cannot be reached, refuses the key, or has too much to do. Where it is in the chain
// of an error, that says nothing about the function.
type UnavailableError struct {
	Err error
	// After is how long the platform asks to be left alone, 0 if it does not say.
	After time.Duration
}

// Error is that of the cause.
func (e *UnavailableError) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e *UnavailableError) Unwrap() error { return e.Err }

// NoFunctionError is an error of a platform that has no such function: it is not deployed, or not any more. It says nothing about the platform.
type NoFunctionError struct{ Err error }

// Error is that of the cause.
func (e *NoFunctionError) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e *NoFunctionError) Unwrap() error { return e.Err }

// ErrKind says that an actuator does not carry out commands of that kind.
var ErrKind = errors.New("it does not carry out such commands")

// ErrClosed says that an actuator has been closed.
var ErrClosed = errors.New("it is closed")

// Fail returns the results of a command of which nothing came: as many as it has, all failed with the error.
func Fail(c Command, err error) []Result {
	return Fill(nil, c, Result{Outcome: Failed, Err: err})
}

// Fill appends a result until there are as many as the command has.
func Fill(results []Result, c Command, r Result) []Result {
	for len(results) < c.Results() {
		results = append(results, r)
	}
	return results
}

// Wait waits for a group at most as long as the context allows.
func Wait(ctx context.Context, group *sync.WaitGroup) error {
	done := make(chan struct{})
	go func() {
		group.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
