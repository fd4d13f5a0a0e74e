package openwhiskprocessor

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.uber.org/zap"

	"github.com/tppfaas/tppfaas/internal/whisk"
)

// enlisted returns a running queue in which spans of the activations wait, and whose circuit opens for a second after two failures.
func enlisted(t *testing.T, ids ...string) *pending {
	t.Helper()
	config := testConfig()
	config.Circuit = CircuitConfig{Failures: 2, Pause: time.Second, MaximumPause: time.Minute}
	q := newPending(config)
	q.open()
	b := &batch{traces: message(0, ids...), left: len(ids), bytes: 100}
	require.NoError(t, q.reserve(b.left, b.bytes))
	q.enlist(b)
	return q
}

// openCircuit lets lookups of other activations fail until the circuit is open.
func (q *pending) openCircuit(now time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for !q.circuit.Open() {
		q.circuit.Failure(now, 0, "")
	}
}

// TestSettleTellsTheCircuit checks what each answer does to the circuit after one failure of two, and whether OpenWhisk counts as failing.
func TestSettleTellsTheCircuit(t *testing.T) {
	for _, c := range []struct {
		answer         answer
		failures       int // that the circuit counts after it
		open, failing  bool
		lookupAfter    time.Duration
		failingIfAlone bool
	}{
		{answer: found}, {answer: notYet}, {answer: malformed, failing: true, failingIfAlone: true}, {answer: impossible, failures: 1},
		{answer: throttled, failures: 1, failing: true, lookupAfter: 3 * time.Second, failingIfAlone: true},
		{answer: failed, failures: 2, open: true, failing: true, lookupAfter: 3 * time.Second},
		{answer: unavailable, failures: 2, open: true, failing: true, lookupAfter: 3 * time.Second},
		{answer: refused, failures: 2, open: true, failing: true, lookupAfter: 3 * time.Second, failingIfAlone: true},
	} {
		synctest.Test(t, func(t *testing.T) {
			q := enlisted(t, "a", "b")
			q.circuit.Failure(time.Now(), 0, "")
			s := q.settle(q.take(), c.answer, 3*time.Second, time.Now())
			require.Equal(t, c.failures, q.circuit.Failures(), "answer %d", c.answer)
			require.Equal(t, c.open, q.circuitOpen(), "answer %d", c.answer)
			require.Equal(t, c.failing, s.failing, "answer %d", c.answer)
			require.Equal(t, 2, s.spans)
			begin := time.Now()
			require.Equal(t, "b", q.take().id)
			require.Equal(t, c.lookupAfter, time.Since(begin), "answer %d", c.answer)
			q.close()

			q = enlisted(t, "a")
			require.Equal(t, c.failingIfAlone, q.settle(q.take(), c.answer, 0, time.Now()).failing, "answer %d, alone", c.answer)
			q.close()
		})
	}
}

// TestSettleAfterTheTrial checks that after the trial of an open circuit, whatever its answer is, the other workers go on: at once, unless
// it failed.
func TestSettleAfterTheTrial(t *testing.T) {
	for answer, want := range map[answer]time.Duration{found: 0, notYet: 0, malformed: 0, impossible: 0, throttled: 5 * time.Second, unavailable: 5 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			q := enlisted(t, "a", "b", "c")
			q.openCircuit(time.Now())
			trial := q.take()
			require.Equal(t, "a", trial.id)
			begin := time.Now()
			waited := make(chan time.Duration, 2)
			for range 2 {
				go func() {
					if q.take() != nil {
						waited <- time.Since(begin)
					}
				}()
			}
			synctest.Wait()
			require.Empty(t, waited, "one trial at a time")
			s := q.settle(trial, answer, 5*time.Second, time.Now())
			require.Equal(t, answer == found || answer == notYet || answer == malformed, s.recovered)
			require.Equal(t, want, <-waited, "answer %d", answer)
			if s.recovered {
				require.Equal(t, want, <-waited, "answer %d", answer)
			}
			q.close()
		})
	}
}

// TestTakeWaitsForARest checks that a lookup that comes during a rest is made at its end.
func TestTakeWaitsForARest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := enlisted(t, "a")
		q.circuit.Rest(time.Now(), time.Second)
		begin := time.Now()
		require.Equal(t, "a", q.take().id)
		require.Equal(t, time.Second, time.Since(begin))
		q.close()
	})
}

// TestDrainMakesLookupsDue checks that a lookup that was planned for later is made at once when the queue is drained, and once.
func TestDrainMakesLookupsDue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := enlisted(t, "a")
		require.True(t, q.settle(q.take(), notYet, 0, time.Now()).again)
		begin := time.Now()
		taken := make(chan *activation)
		go func() { taken <- q.take() }()
		synctest.Wait()
		require.True(t, q.drain())
		require.Equal(t, "a", (<-taken).id)
		require.Zero(t, time.Since(begin))
		require.Empty(t, q.later)
		require.Empty(t, q.ready)
		q.close()
	})
}

// TestClosedQueueIsQuiet checks that a closed queue delivers nothing, plans nothing, and has no timer.
func TestClosedQueueIsQuiet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := enlisted(t, "a", "b")
		a := q.take()
		require.True(t, q.settle(q.take(), notYet, 0, time.Now()).again)
		q.finish([]item{{}})
		require.Equal(t, 2, q.close())
		require.Nil(t, q.takeFinished(1))
		require.False(t, q.timer.Stop(), "a timer runs")
		q.settle(a, notYet, 0, time.Now())
		require.False(t, q.timer.Stop(), "a timer runs")
		time.Sleep(time.Hour)
		q.tick()
		require.Empty(t, q.ready)
	})
}

// TestAbandonForgets checks that no abandoned activation is looked up.
func TestAbandonForgets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := enlisted(t, "a", "b")
		require.True(t, q.settle(q.take(), notYet, 0, time.Now()).again)
		require.Len(t, q.abandon(), 2)
		require.Empty(t, q.ready)
		require.Empty(t, q.later)
		q.close()
	})
}

// TestReserveUpToTheLimits checks that exactly as much is taken as the limits say, and that what needs no room is always taken.
func TestReserveUpToTheLimits(t *testing.T) {
	config := testConfig()
	config.Pending.Spans, config.Pending.Bytes = 10, 100
	for _, c := range []struct {
		spans, bytes int
		fits         bool
	}{{6, 1, true}, {7, 1, false}, {1, 60, true}, {1, 61, false}, {6, 60, true}, {0, 0, true}} {
		q := newPending(config)
		require.NoError(t, q.reserve(4, 40))
		require.Equal(t, c.fits, q.reserve(c.spans, c.bytes) == nil, "%+v", c)
	}
	q := newPending(config)
	require.NoError(t, q.reserve(11, 101), "a batch that is too large on its own")
	require.NoError(t, q.reserve(0, 0))
	require.Error(t, q.reserve(1, 0))
}

// TestDowntimeIsNotWaiting checks that an activation is not given up for time in which lookups were suspended, and that time before it
// does not count for it.
func TestDowntimeIsNotWaiting(t *testing.T) {
	config := testConfig()
	config.Retry.BackOff.MaxElapsedTime, config.Retry.Outage = 10*time.Second, 30*time.Second
	begin := time.Unix(1_000_000, 0)
	for _, c := range []struct {
		before, during, waited time.Duration // downtime before and while it waited, and how long that was
		answer                 answer
		want                   string
	}{
		{0, 0, 9 * time.Second, failed, ""}, {0, 0, 10 * time.Second, failed, reasonFailed}, {20 * time.Second, 0, 9 * time.Second, failed, ""},
		{20 * time.Second, 0, 10 * time.Second, failed, reasonFailed}, {0, 5 * time.Second, 14 * time.Second, failed, ""},
		{0, 5 * time.Second, 15 * time.Second, failed, reasonFailed}, {0, 30 * time.Second, 30 * time.Second, failed, reasonUnreachable},
		{29 * time.Second, 29 * time.Second, 30 * time.Second, failed, ""}, {0, 30 * time.Second, 30 * time.Second, notYet, ""},
		{0, 30 * time.Second, 30 * time.Second, malformed, ""}, {0, 30 * time.Second, 40 * time.Second, notYet, reasonMissing},
		{0, 30 * time.Second, 40 * time.Second, malformed, reasonMalformed}, {0, 30 * time.Second, 40 * time.Second, found, ""},
		{0, 0, 0, impossible, reasonImpossible},
	} {
		q := newPending(config)
		q.circuit.Rest(begin.Add(-time.Hour), c.before+c.during)
		got := q.reasonToGiveUp(&activation{since: begin, down: c.before}, c.answer, begin.Add(c.waited))
		require.Equal(t, c.want, got, "%+v", c)
	}
}

// TestInterpret checks the answer that each error stands for.
func TestInterpret(t *testing.T) {
	after := 7 * time.Second
	for _, c := range []struct {
		err   error
		want  answer
		after time.Duration
	}{
		{nil, found, 0}, {whisk.ErrNotYet, notYet, 0}, {whisk.ErrImpossible, impossible, 0}, {errors.New("another error"), unavailable, 0},
		{&whisk.Error{Kind: whisk.Throttled, RetryAfter: after}, throttled, after}, {&whisk.Error{Kind: whisk.Unauthorized, RetryAfter: after}, refused, after},
		{&whisk.Error{Kind: whisk.Forbidden, RetryAfter: after}, refused, after}, {&whisk.Error{Kind: whisk.Nonsense}, malformed, 0},
		{&whisk.Error{Kind: whisk.TooLarge}, malformed, 0}, {&whisk.Error{Kind: whisk.Rejected}, malformed, 0}, {&whisk.Error{Kind: whisk.Conflict}, malformed, 0},
		{&whisk.Error{Kind: whisk.ServerError, Status: 500, RetryAfter: after}, failed, after},
		{&whisk.Error{Kind: whisk.ServerError, Status: 502, RetryAfter: after}, unavailable, after},
		{&whisk.Error{Kind: whisk.Overloaded, Status: 503, RetryAfter: after}, unavailable, after}, {&whisk.Error{Kind: whisk.Unreachable}, unavailable, 0},
	} {
		got, retryAfter := interpret(c.err)
		require.Equal(t, c.want, got, "%v", c.err)
		require.Equal(t, c.after, retryAfter, "%v", c.err)
	}
}

// TestLookupsAreCounted checks the metrics of lookups that succeed at the second attempt and of those that never do, that no failure is
// logged, and that only a record that was found is kept.
func TestLookupsAreCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tel := componenttest.NewTelemetry()
		set, logs := settings()
		logger := set.Logger
		set.TelemetrySettings = tel.NewTelemetrySettings()
		set.Logger = logger
		config := testConfig()
		config.OnMissing = Drop
		p, err := newProcessor(set, config, newSink(), provide(&fakeClient{answer: func(_ context.Context, id string, n int) (whisk.Record, error) {
			switch {
			case id == "gone":
				return whisk.Record{}, whisk.ErrImpossible
			case n == 1:
				return whisk.Record{}, whisk.ErrNotYet
			}
			return record, nil
		}}))
		require.NoError(t, err)
		require.NoError(t, p.Start(background, componenttest.NewNopHost()))
		require.NoError(t, p.ConsumeTraces(background, message(0, "a", "a", "gone")))
		synctest.Wait()
		require.Nil(t, p.cache.get("a", time.Now()), "there is no record yet")
		time.Sleep(time.Second)
		synctest.Wait()
		require.NotNil(t, p.cache.get("a", time.Now()))
		for name, want := range map[string]int64{"lookups": 3, "retries": 1, "spans_enriched": 2, "spans_dropped": 1} {
			metric, err := tel.GetMetric("otelcol_processor_openwhisk_" + name)
			require.NoError(t, err, name)
			total := int64(0)
			for _, point := range metric.Data.(metricdata.Sum[int64]).DataPoints {
				total += point.Value
			}
			require.Equal(t, want, total, name)
		}
		metric, err := tel.GetMetric("otelcol_processor_openwhisk_lookup_duration")
		require.NoError(t, err)
		require.EqualValues(t, 3, metric.Data.(metricdata.Histogram[float64]).DataPoints[0].Count)
		require.Zero(t, logs.FilterLevelExact(zap.WarnLevel).Len())
		require.NoError(t, p.Shutdown(background))
		require.NoError(t, tel.Shutdown(background))
	})
}

// TestLookupThatIsCutShort checks that the end of the context is no failure of OpenWhisk.
func TestLookupThatIsCutShort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := enlisted(t, "a")
		ctx, cancel := context.WithCancel(t.Context())
		set, logs := settings()
		l := &lookups{pending: q, logger: set.Logger, client: &fakeClient{answer: func(ctx context.Context, _ string, _ int) (whisk.Record, error) {
			cancel()
			return whisk.Record{}, ctx.Err()
		}}}
		l.work(ctx)
		require.Zero(t, q.circuit.Failures())
		require.Empty(t, q.later)
		require.Zero(t, logs.Len())
		q.close()
	})
}
