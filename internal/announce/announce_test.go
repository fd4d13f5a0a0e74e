package announce

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// collector is an exporter. Each of its exports takes as long as delay says, and fails with err.
type collector struct {
	delay time.Duration
	err   error

	mu              sync.Mutex
	messages        [][]sdk.ReadOnlySpan
	active, busiest int
}

func (c *collector) ExportSpans(ctx context.Context, spans []sdk.ReadOnlySpan) error {
	c.mu.Lock()
	c.active++
	c.busiest = max(c.busiest, c.active)
	c.mu.Unlock()
	err := c.err
	timer := time.NewTimer(c.delay)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
		err = ctx.Err()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.active--
	if err == nil {
		c.messages = append(c.messages, spans)
	}
	return err
}

func (c *collector) Shutdown(context.Context) error { return nil }

func (c *collector) spans() (all []sdk.ReadOnlySpan) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, m := range c.messages {
		all = append(all, m...)
	}
	return all
}

// failures collects what an Announcer says it has not sent.
type failures struct {
	mu    sync.Mutex
	spans int
	errs  []error
}

func (f *failures) add(spans int, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.spans += spans
	f.errs = append(f.errs, err)
}

func (f *failures) get() (spans int, errs []error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.spans, slices.Clone(f.errs)
}

// caller returns a context with the span of a caller.
func caller() (context.Context, trace.SpanContext) {
	c := trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1}, SpanID: trace.SpanID{2}, TraceFlags: trace.FlagsSampled})
	return trace.ContextWithSpanContext(context.Background(), c), c
}

func attributesOf(s sdk.ReadOnlySpan) map[string]any {
	m := map[string]any{}
	for _, a := range s.Attributes() {
		m[string(a.Key)] = a.Value.AsInterface()
	}
	return m
}

func TestAnnouncements(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, f := &collector{}, &failures{}
		a := New(c, "shop-dev-main", f.add)
		ctx, parent := caller()
		now := time.Now()
		time.Sleep(time.Second)
		call := a.Invoke(ctx, "shop-dev-pay", attribute.Int("more", 1))
		other := a.Invoke(ctx, "shop-dev-pay")
		a.Start(ctx, now, attribute.Bool(ColdStart, true))
		synctest.Wait()
		spans := c.spans()
		require.Len(t, spans, 3)
		require.NotEqual(t, call, other)
		for _, s := range spans {
			require.Equal(t, parent, s.Parent())
			require.Equal(t, parent.TraceID(), s.SpanContext().TraceID())
			require.Equal(t, s.StartTime(), s.EndTime())
			switch s.Name() {
			case Start:
				require.True(t, now.Equal(s.StartTime()))
				require.Equal(t, map[string]any{"faas.coldstart": true}, attributesOf(s))
			case Invoke:
				require.True(t, now.Add(time.Second).Equal(s.StartTime()))
				require.Equal(t, trace.SpanKindClient, s.SpanKind())
				if attributesOf(s)["more"] != nil {
					require.Equal(t, map[string]any{"faas.invoked_name": "shop-dev-pay", "call.id": call, "more": int64(1)}, attributesOf(s))
				}
			}
		}
		require.NoError(t, a.Close(t.Context()))
		require.Zero(t, f.spans)
		a.Start(ctx, now)
		require.Len(t, c.spans(), 3, "a closed Announcer sends nothing")
	})
}

// TestSlowCollector checks that an announcement is sent while others are still being sent, that messages at the same time are bounded, and that
// what is announced meanwhile goes with the next one: no call of Invoke waits.
func TestSlowCollector(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, f := &collector{delay: time.Second}, &failures{}
		a := New(c, "x", f.add)
		ctx, _ := caller()
		begin := time.Now()
		for range senders {
			a.Invoke(ctx, "y")
			synctest.Wait()
		}
		for range 100 {
			a.Invoke(ctx, "y")
		}
		require.Zero(t, time.Since(begin))
		synctest.Wait()
		require.NoError(t, a.Close(t.Context()))
		require.Equal(t, 2*time.Second, time.Since(begin))
		require.Len(t, c.spans(), senders+100)
		require.Len(t, c.messages, senders+1)
		require.Equal(t, senders, c.busiest)
		require.Zero(t, f.spans)
	})
}

// TestCollectorThatHangs checks that what waits is bounded, that messages are given up, and that every announcement that is lost is reported.
func TestCollectorThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, f := &collector{delay: time.Hour}, &failures{}
		a := New(c, "x", f.add)
		ctx, _ := caller()
		const n = 2000
		for i := range n {
			a.Invoke(ctx, "y")
			if i < senders {
				synctest.Wait()
			}
		}
		a.mu.Lock()
		require.Len(t, a.queue, room)
		a.mu.Unlock()
		time.Sleep(timeout)
		synctest.Wait()
		_, errs := f.get()
		require.Contains(t, errs, errFull)
		time.Sleep(timeout)
		synctest.Wait()
		lost, _ := f.get()
		require.Equal(t, n, lost)
		require.Empty(t, c.spans())

		a.Invoke(ctx, "y")
		closing, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		require.ErrorIs(t, a.Close(closing), context.DeadlineExceeded)
		require.Equal(t, n+1, f.spans)
	})
}

func TestCollectorThatFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		away := errors.New("connection refused")
		c, f := &collector{err: away}, &failures{}
		a := New(c, "x", f.add)
		ctx, _ := caller()
		require.NotEmpty(t, a.Invoke(ctx, "y"))
		require.NoError(t, a.Close(t.Context()))
		require.Equal(t, 1, f.spans)
		require.Equal(t, []error{away}, f.errs)
	})
}

// TestUnsampledTrace checks that nothing is announced of a trace that is not recorded, and that its calls have ids all the same.
func TestUnsampledTrace(t *testing.T) {
	c, f := &collector{}, &failures{}
	a := New(c, "x", f.add)
	ctx := trace.ContextWithRemoteSpanContext(t.Context(), trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1}, SpanID: trace.SpanID{2}}))
	require.Len(t, a.Invoke(ctx, "y"), 16)
	require.NoError(t, a.Close(t.Context()))
	require.Empty(t, c.spans())
}
