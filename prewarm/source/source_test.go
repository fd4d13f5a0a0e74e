package source

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// failing is a Sink that fails with err.
type failing struct{ err error }

func (f *failing) Observe(context.Context, []Observation) error { return f.err }
func (f *failing) ObserveLoad(context.Context, []Load) error    { return f.err }

// TestCounter checks what is counted of what a sink takes and does not take.
func TestCounter(t *testing.T) {
	sink := &failing{}
	c := NewCounter("otlp", sink)
	require.Equal(t, Counts{Name: "otlp"}, c.Counts())
	begin := time.Now()
	require.NoError(t, c.Observe(t.Context(), nil))
	require.Nil(t, c.Counts().Last, "nothing has come")
	require.NoError(t, c.Observe(t.Context(), make([]Observation, 3)))
	require.NoError(t, c.ObserveLoad(t.Context(), make([]Load, 2)))
	first := c.Counts()
	require.WithinRange(t, *first.Last, begin, time.Now())
	sink.err = fmt.Errorf("the queue is full: %w", ErrBusy)
	require.ErrorIs(t, c.Observe(t.Context(), make([]Observation, 4)), ErrBusy)
	c.Refuse(1)
	require.Empty(t, c.Counts().Error, "to be busy is no error")
	sink.err = errors.New("it is about to end")
	require.EqualError(t, c.ObserveLoad(t.Context(), make([]Load, 1)), "it is about to end")
	require.Equal(t, "it is about to end", c.Counts().Error)
	c.Reject(2, errors.New("it has no time"))
	require.Equal(t, Counts{Name: "otlp", Observations: 5, Refused: 5, Invalid: 2, Last: first.Last, Error: "it has no time"}, c.Counts())
	c.Report(nil)
	require.Empty(t, c.Counts().Error)
	c.Report(errors.New("it is away"))
	require.Equal(t, "it is away", c.Counts().Error)
}

// TestCounterAtOnce checks that several goroutines can use one Counter.
func TestCounterAtOnce(t *testing.T) {
	c := NewCounter("x", &failing{})
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 100 {
				_ = c.Observe(t.Context(), make([]Observation, 1))
				c.Reject(1, ErrBusy)
				c.Refuse(1)
				c.Report(nil)
				c.Counts()
			}
		})
	}
	wg.Wait()
	counts := c.Counts()
	require.Equal(t, [3]uint64{800, 800, 800}, [3]uint64{counts.Observations, counts.Invalid, counts.Refused})
}

func TestFunctionName(t *testing.T) {
	for name, want := range map[string]string{
		"f": "f", "shop/f": "f", "/guest/shop/f": "f", "guest/f/": "f", "": "", "/": "", "a b": "a b", "f.openfaas-fn": "f.openfaas-fn",
	} {
		require.Equal(t, want, FunctionName(name), name)
	}
}
