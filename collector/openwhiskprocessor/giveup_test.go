package openwhiskprocessor

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/tppfaas/tppfaas/internal/whisk"
)

var (
	errInternal = &whisk.Error{Kind: whisk.ServerError, Status: 500}
	errNonsense = &whisk.Error{Kind: whisk.Nonsense, Status: 200}
)

// reasonOf returns the reason with which the span of an activation was delivered, "none" if it was delivered without one, and "" if it
// was not delivered.
func (h *harness) reasonOf(activation string) string {
	for _, s := range h.sink.all() {
		if id, _ := s.Attributes().Get(attrActivationID); id.Str() == activation {
			if v, ok := s.Attributes().Get(attrRecord); ok {
				return v.Str()
			}
			return "none"
		}
	}
	return ""
}

// TestOneActivationFails checks that a lookup that always fails is given up after max_elapsed_time, and that it suspends no other lookup,
// whether others succeed all the time or come to an idle collector.
func TestOneActivationFails(t *testing.T) {
	for _, test := range []struct {
		name   string
		err    error
		reason string
	}{
		{"500", errInternal, "failed"},
		{"nonsense", errNonsense, "malformed"},
		{"intermittent connections", errDown, "failed"},
	} {
		for _, idle := range []bool{true, false} {
			if idle && test.err == errDown {
				continue // nobody can tell this from an outage
			}
			synctest.Test(t, func(t *testing.T) {
				config := testConfig()
				b := start(t, config, &fakeClient{answer: func(_ context.Context, id string, _ int) (whisk.Record, error) {
					if strings.HasPrefix(id, "bad") {
						return whisk.Record{}, test.err
					}
					return record, nil
				}}, nil)
				require.NoError(t, b.ConsumeTraces(background, message(0, "bad")))
				begin := time.Now()
				sent := 0
				for time.Since(begin) < config.Retry.BackOff.MaxElapsedTime-time.Second {
					time.Sleep(500 * time.Millisecond)
					if idle && time.Since(begin) < time.Minute {
						continue
					}
					sent++
					require.NoError(t, b.ConsumeTraces(background, message(sent, activationIDs(sent)[sent-1])))
					synctest.Wait()
					require.Len(t, b.sink.all(), sent, "%s: a good span waits", test.name)
					require.False(t, b.pending.circuitOpen())
				}
				require.Empty(t, b.reasonOf("bad"))
				time.Sleep(config.Retry.BackOff.MaxInterval + time.Second)
				synctest.Wait()
				require.Equal(t, test.reason, b.reasonOf("bad"))
				require.Zero(t, b.waiting(), "its room is given up")
				require.NoError(t, b.Shutdown(background))
			})
		}
	}
}

// TestBoundIncludesOutage checks that the time for which lookups were suspended does not count, with any kind of failure before and after.
func TestBoundIncludesOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		config := testConfig()
		const from, to = time.Minute, 11 * time.Minute
		begin := time.Now()
		b := start(t, config, &fakeClient{answer: func(_ context.Context, id string, _ int) (whisk.Record, error) {
			if d := time.Since(begin); d >= from && d < to {
				return whisk.Record{}, errDown
			}
			if id == "bad" {
				return whisk.Record{}, errInternal
			}
			return whisk.Record{}, whisk.ErrNotYet
		}}, nil)
		require.NoError(t, b.ConsumeTraces(background, message(0, append(activationIDs(20), "bad")...)))
		total := to - from + config.Retry.BackOff.MaxElapsedTime
		time.Sleep(total - 10*time.Second)
		synctest.Wait()
		require.Empty(t, b.sink.all())
		time.Sleep(10*time.Second + config.Circuit.MaximumPause + config.Retry.BackOff.MaxInterval)
		synctest.Wait()
		require.Equal(t, "failed", b.reasonOf("bad"))
		require.Equal(t, "missing", b.reasonOf(activationIDs(1)[0]))
		require.Zero(t, b.waiting())
		require.NoError(t, b.Shutdown(background))
	})
}

// TestThrottledForEver checks that spans do not wait for ever for an OpenWhisk that always answers 429.
func TestThrottledForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		config := testConfig()
		b := start(t, config, &fakeClient{answer: always(whisk.Record{}, &whisk.Error{Kind: whisk.Throttled})}, nil)
		require.NoError(t, b.ConsumeTraces(background, message(0, activationIDs(20)...)))
		time.Sleep(config.Retry.Outage - time.Second)
		require.Empty(t, b.sink.all())
		time.Sleep(config.Retry.BackOff.MaxElapsedTime + time.Minute)
		require.Len(t, b.sink.all(), 20)
		require.NoError(t, b.Shutdown(background))
	})
}

// TestSettle checks, for each answer, what becomes of an activation before and after max_elapsed_time and after the outage.
func TestSettle(t *testing.T) {
	for answer, want := range map[answer]struct{ early, late, outage string }{
		found:       {"", "", ""},
		notYet:      {"", "missing", "missing"},
		malformed:   {"", "malformed", "malformed"},
		throttled:   {"", "failed", "unreachable"},
		refused:     {"", "failed", "unreachable"},
		unavailable: {"", "failed", "unreachable"},
		failed:      {"", "failed", "unreachable"},
		impossible:  {"impossible", "impossible", "impossible"},
	} {
		name := outcomes[answer]
		synctest.Test(t, func(t *testing.T) {
			config := testConfig()
			total := config.Retry.BackOff.MaxElapsedTime
			for _, c := range []struct {
				waited, down time.Duration
				reason       string
			}{
				{total - 1, 0, want.early},
				{total, 0, want.late},
				{total + time.Minute - 1, time.Minute, want.early},
				{total + time.Minute, time.Minute, want.late},
				{config.Retry.Outage + total, config.Retry.Outage, want.outage},
			} {
				q := newPending(config)
				q.open()
				require.NoError(t, q.reserve(1, 1))
				now := time.Now()
				q.enlist(&batch{traces: message(0, "a"), left: 1})
				a := q.take()
				a.since = now.Add(-c.waited)
				q.circuit.Rest(now.Add(-c.down), c.down)
				s := q.settle(a, answer, 0, now)
				require.Equal(t, c.reason, s.reason, "%v after %v, %v of them suspended", name, c.waited, c.down)
				require.Equal(t, answer != found && c.reason == "", s.again)
				q.close()
			}
		})
	}
}

// TestGivenUpSpansAreCounted checks that each reason has a count of its own.
func TestGivenUpSpansAreCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tel := componenttest.NewTelemetry()
		set, _ := settings()
		set.TelemetrySettings = tel.NewTelemetrySettings()
		config := testConfig()
		s := newSink()
		p, err := newProcessor(set, config, s, provide(&fakeClient{answer: func(_ context.Context, id string, _ int) (whisk.Record, error) {
			return whisk.Record{}, map[string]error{"a": errInternal, "b": errNonsense, "c": whisk.ErrNotYet, "d": whisk.ErrImpossible}[id]
		}}))
		require.NoError(t, err)
		require.NoError(t, p.Start(background, componenttest.NewNopHost()))
		require.NoError(t, p.ConsumeTraces(background, message(0, "a", "b", "b", "c", "d")))
		time.Sleep(config.Retry.BackOff.MaxElapsedTime + config.Retry.BackOff.MaxInterval + time.Second)
		synctest.Wait()
		require.Len(t, s.all(), 5)
		metric, err := tel.GetMetric("otelcol_processor_openwhisk_spans_passed_on")
		require.NoError(t, err)
		got := map[string]int64{}
		for _, point := range metric.Data.(metricdata.Sum[int64]).DataPoints {
			reason, _ := point.Attributes.Value(attribute.Key("reason"))
			got[reason.AsString()] = point.Value
		}
		require.Equal(t, map[string]int64{"failed": 1, "malformed": 2, "missing": 1, "impossible": 1}, got)
		require.NoError(t, p.Shutdown(background))
		require.NoError(t, tel.Shutdown(background))
	})
}
