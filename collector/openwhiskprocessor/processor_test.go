package openwhiskprocessor

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/consumer/consumererror"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/tppfaas/tppfaas/internal/whisk"
)

var (
	background = context.Background()
	errDown    = &whisk.Error{Kind: whisk.Unreachable, Text: "connection refused"}
)

func TestSpanIsEnriched(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t, testConfig(), &fakeClient{answer: always(record, nil)}, nil)
		require.NoError(t, b.ConsumeTraces(background, message(0, "aa")))
		synctest.Wait()
		spans := b.sink.all()
		require.Len(t, spans, 1)
		require.Equal(t, record.Start.Add(-record.Wait).UTC(), spans[0].StartTimestamp().AsTime())
		require.Equal(t, record.End.UTC(), spans[0].EndTimestamp().AsTime())
		require.Equal(t, map[string]any{
			"activationId": "aa", "waitTimeMilli": int64(250), "initTimeMilli": int64(100), "faas.coldstart": true,
		}, spans[0].Attributes().AsRaw())
		require.Equal(t, ptrace.StatusCodeOk, spans[0].Status().Code())
		require.NoError(t, b.Shutdown(background))
	})
}

func TestEnrich(t *testing.T) {
	warm := whisk.Record{Start: record.Start, End: record.End, Wait: 4 * time.Millisecond}
	failed := warm
	failed.Error = "application error: no such thing"
	endless := warm
	endless.End = time.Time{}
	backwards := warm
	backwards.End = warm.Start.Add(-time.Hour)
	for _, test := range []struct {
		name   string
		record whisk.Record
		check  func(t *testing.T, s ptrace.Span)
	}{
		{"a warm start has no init time", warm, func(t *testing.T, s ptrace.Span) {
			_, ok := s.Attributes().Get("initTimeMilli")
			require.False(t, ok)
			cold, _ := s.Attributes().Get("faas.coldstart")
			require.False(t, cold.Bool())
		}},
		{"a failure is the span's", failed, func(t *testing.T, s ptrace.Span) {
			require.Equal(t, ptrace.StatusCodeError, s.Status().Code())
			require.Equal(t, "application error: no such thing", s.Status().Message())
		}},
		{"without an end the span keeps its own", endless, func(t *testing.T, s ptrace.Span) {
			require.Equal(t, time.UnixMilli(1_700_000_000_890).UTC(), s.EndTimestamp().AsTime())
		}},
		{"a span never ends before its start", backwards, func(t *testing.T, s ptrace.Span) {
			require.Equal(t, s.StartTimestamp(), s.EndTimestamp())
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			span := spansOf(message(0, "aa"))[0]
			enrich(span, test.record)
			test.check(t, span)
		})
	}
}

// TestSpansWithoutLookup checks that spans without an activation and announcements are passed on at once and unchanged, and that a span that
// only has the name of an announcement waits.
func TestSpansWithoutLookup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t, testConfig(), &fakeClient{answer: always(whisk.Record{}, whisk.ErrNotYet)}, nil)
		traces := message(0, "", "aa", "")
		add := func(n int, name string, end time.Duration) ptrace.Span {
			s := traces.ResourceSpans().At(0).ScopeSpans().At(0).Spans().AppendEmpty()
			s.SetName(name)
			s.SetTraceID(pcommon.TraceID{1})
			s.SetSpanID(spanID(n))
			at := time.UnixMilli(1_700_000_000_000)
			s.SetStartTimestamp(pcommon.NewTimestampFromTime(at))
			s.SetEndTimestamp(pcommon.NewTimestampFromTime(at.Add(end)))
			s.Attributes().PutStr(attrActivationID, "aa")
			s.Attributes().PutStr("call.id", "17")
			return s
		}
		add(9, "start", 0).Attributes().PutBool(attrColdStart, false)
		add(10, "invoke", 0).Attributes().PutStr("faas.invoked_name", "shop-dev-pay")
		add(11, "start", time.Millisecond)
		add(12, "invoke", time.Millisecond)
		require.NoError(t, b.ConsumeTraces(background, traces))
		spans := b.sink.all()
		require.Equal(t, map[pcommon.SpanID]int{spanID(0): 1, spanID(2): 1, spanID(9): 1, spanID(10): 1}, counts(spans))
		for _, s := range spans {
			require.Equal(t, s.StartTimestamp() == s.EndTimestamp(), s.Name() == "start" || s.Name() == "invoke")
			switch s.SpanID() {
			case spanID(9):
				require.Equal(t, map[string]any{"activationId": "aa", "call.id": "17", "faas.coldstart": false}, s.Attributes().AsRaw())
			case spanID(10):
				require.Equal(t, map[string]any{"activationId": "aa", "call.id": "17", "faas.invoked_name": "shop-dev-pay"}, s.Attributes().AsRaw())
			}
		}
		require.NoError(t, b.Shutdown(background))
		require.Len(t, b.sink.all(), 7)
	})
}

func TestActivationOf(t *testing.T) {
	span := ptrace.NewSpan()
	span.Attributes().PutInt(attrActivationID, 7)
	require.Empty(t, activationOf(span), "a number is no id")
	span.Attributes().PutStr(attrInvocationID, "bb")
	require.Equal(t, "bb", activationOf(span))
	span.Attributes().PutStr(attrActivationID, "aa")
	require.Equal(t, "aa", activationOf(span))
}

// TestLateRecord checks that a record that is not there is looked up again on schedule, and that other spans do not wait for it.
func TestLateRecord(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		b := start(t, testConfig(), &fakeClient{answer: func(_ context.Context, id string, _ int) (whisk.Record, error) {
			if id == "late" && time.Since(begin) < 5*time.Second {
				return whisk.Record{}, whisk.ErrNotYet
			}
			return record, nil
		}}, nil)
		require.NoError(t, b.ConsumeTraces(background, message(0, "late", "aa", "bb")))
		synctest.Wait()
		require.Equal(t, map[pcommon.SpanID]int{spanID(1): 1, spanID(2): 1}, counts(b.sink.all()))
		<-b.sink.came
		<-b.sink.came
		require.Len(t, b.sink.all(), 3)
		require.Less(t, time.Since(begin), 10*time.Second)
		require.Equal(t, 10, b.client.lookups("late"), "at 0, 50, 130, 258 ms and so on, each pause 1.6 times the one before")
		require.NoError(t, b.Shutdown(background))
	})
}

func TestMissingRecord(t *testing.T) {
	for _, policy := range []OnMissing{PassOn, Drop} {
		synctest.Test(t, func(t *testing.T) {
			config := testConfig()
			config.OnMissing = policy
			b := start(t, config, &fakeClient{answer: func(_ context.Context, id string, _ int) (whisk.Record, error) {
				if id == "bad id" {
					return whisk.Record{}, whisk.ErrImpossible
				}
				return whisk.Record{}, whisk.ErrNotYet
			}}, nil)
			require.NoError(t, b.ConsumeTraces(background, message(0, "aa", "bad id")))
			time.Sleep(config.Retry.BackOff.MaxElapsedTime + config.Retry.BackOff.MaxInterval)
			synctest.Wait()
			reasons := map[pcommon.SpanID]string{}
			for _, s := range b.sink.all() {
				v, _ := s.Attributes().Get(attrRecord)
				reasons[s.SpanID()] = v.Str()
			}
			if policy == PassOn {
				require.Equal(t, map[pcommon.SpanID]string{spanID(0): "missing", spanID(1): "impossible"}, reasons)
			} else {
				require.Empty(t, reasons)
			}
			require.Zero(t, b.waiting())
			require.NoError(t, b.Shutdown(background))
		})
	}
}

// TestOneLookupPerActivation checks that spans of one activation share a lookup, in one message, in several, and after the answer.
func TestOneLookupPerActivation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t, testConfig(), &fakeClient{answer: func(context.Context, string, int) (whisk.Record, error) {
			time.Sleep(time.Second)
			return record, nil
		}}, nil)
		require.NoError(t, b.ConsumeTraces(background, message(0, "aa", "aa", "aa")))
		require.NoError(t, b.ConsumeTraces(background, message(3, "aa")))
		require.NoError(t, b.ConsumeTraces(background, message(0, "aa")), "the first span again: its sender did not hear that it was accepted")
		time.Sleep(2 * time.Second)
		require.NoError(t, b.ConsumeTraces(background, message(4, "aa")))
		synctest.Wait()
		require.Equal(t, 1, b.client.lookups("aa"))
		require.Equal(t, map[pcommon.SpanID]int{spanID(0): 1, spanID(1): 1, spanID(2): 1, spanID(3): 1, spanID(4): 1}, counts(b.sink.all()))
		require.NoError(t, b.Shutdown(background))
	})
}

// TestLookupsAreBounded checks that no more lookups run at a time than configured, and that one that hangs does not delay the others.
func TestLookupsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		config := testConfig()
		config.Concurrency = 4
		b := start(t, config, &fakeClient{answer: func(ctx context.Context, id string, n int) (whisk.Record, error) {
			if id == activationIDs(1)[0] && n == 1 {
				time.Sleep(config.ClientConfig.Timeout)
				return whisk.Record{}, errDown
			}
			time.Sleep(10 * time.Millisecond)
			return record, nil
		}}, nil)
		require.NoError(t, b.ConsumeTraces(background, message(0, activationIDs(100)...)))
		time.Sleep(time.Second)
		require.Len(t, b.sink.all(), 99)
		require.Equal(t, 4, b.client.mostAtOnce())
		time.Sleep(config.ClientConfig.Timeout)
		require.Len(t, b.sink.all(), 100)
		require.NoError(t, b.Shutdown(background))
	})
}

// TestOpenWhiskDown checks that the circuit opens, that spans wait until the outage ends, and that all are delivered then.
func TestOpenWhiskDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		const outage = 10 * time.Minute // much longer than retry::max_elapsed_time
		var lookups atomic.Int64
		b := start(t, testConfig(), &fakeClient{answer: func(context.Context, string, int) (whisk.Record, error) {
			if time.Since(begin) < outage {
				lookups.Add(1)
				return whisk.Record{}, errDown
			}
			return record, nil
		}}, nil)
		const n = 1000
		require.NoError(t, b.ConsumeTraces(background, message(0, activationIDs(n)...)))
		time.Sleep(outage)
		require.Empty(t, b.sink.all())
		require.Less(t, lookups.Load(), int64(60), "an open circuit allows only trials")
		require.InDelta(t, 10, b.logs.FilterMessageSnippet("does not give activation records").Len(), 1, "logged once a minute")
		time.Sleep(time.Minute)
		require.Len(t, b.sink.all(), n)
		require.Len(t, counts(b.sink.all()), n)
		require.Equal(t, 1, b.logs.FilterMessage("OpenWhisk answers again").Len())
		require.NoError(t, b.Shutdown(background))
	})
}

func TestLongOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		config := testConfig()
		b := start(t, config, &fakeClient{answer: always(whisk.Record{}, errDown)}, nil)
		require.NoError(t, b.ConsumeTraces(background, message(0, activationIDs(20)...)))
		time.Sleep(config.Retry.Outage + 20*config.Circuit.MaximumPause)
		spans := b.sink.all()
		require.Len(t, spans, 20)
		for _, s := range spans {
			v, _ := s.Attributes().Get(attrRecord)
			require.Equal(t, "unreachable", v.Str())
		}
		require.NoError(t, b.Shutdown(background))
	})
}

func TestThrottling(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		b := start(t, testConfig(), &fakeClient{answer: func(context.Context, string, int) (whisk.Record, error) {
			if time.Since(begin) < time.Second {
				return whisk.Record{}, &whisk.Error{Kind: whisk.Throttled, RetryAfter: 20 * time.Second}
			}
			return record, nil
		}}, nil)
		require.NoError(t, b.ConsumeTraces(background, message(0, activationIDs(100)...)))
		time.Sleep(19 * time.Second)
		require.Empty(t, b.sink.all(), "OpenWhisk asked to wait for 20 s")
		asked := 0
		for _, id := range activationIDs(100) {
			asked += b.client.lookups(id)
		}
		require.LessOrEqual(t, asked, b.config.Concurrency)
		time.Sleep(2 * time.Second)
		require.Len(t, b.sink.all(), 100)
		require.NoError(t, b.Shutdown(background))
	})
}

// TestBackPressure checks that a message that does not fit is refused as a whole, with the time after which to retry.
func TestBackPressure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		config := testConfig()
		config.Pending.Spans, config.Pending.RetryAfter = 10, 7*time.Second
		begin := time.Now()
		b := start(t, config, &fakeClient{answer: func(context.Context, string, int) (whisk.Record, error) {
			if time.Since(begin) < 5*time.Second {
				return whisk.Record{}, whisk.ErrNotYet
			}
			return record, nil
		}}, nil)
		ids := activationIDs(100)
		require.NoError(t, b.ConsumeTraces(background, message(0, ids[:8]...)))
		err := b.ConsumeTraces(background, message(50, "", ids[50], ids[51], ids[52]))
		s, ok := status.FromError(err)
		require.True(t, ok)
		require.Equal(t, codes.ResourceExhausted, s.Code())
		require.Len(t, s.Details(), 1)
		require.Equal(t, 7*time.Second, s.Details()[0].(*errdetails.RetryInfo).RetryDelay.AsDuration())
		require.Empty(t, b.sink.all(), "all or nothing: the span without an activation is refused too")
		require.NoError(t, b.ConsumeTraces(background, message(8, ids[8:10]...)), "there is room for two")
		require.Error(t, b.ConsumeTraces(background, message(10, ids[10])))
		time.Sleep(10 * time.Second)
		require.Len(t, b.sink.all(), 10)
		require.NoError(t, b.ConsumeTraces(background, message(20, ids[20:60]...)), "a message that is too large is accepted while nothing else waits")
		time.Sleep(time.Second)
		require.Len(t, b.sink.all(), 50)
		require.NoError(t, b.Shutdown(background))
	})
}

func TestBytesAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		config := testConfig()
		config.Pending.Bytes = 1000
		b := start(t, config, &fakeClient{answer: always(whisk.Record{}, whisk.ErrNotYet)}, nil)
		ids := activationIDs(100)
		require.NoError(t, b.ConsumeTraces(background, message(0, ids[0])))
		require.Error(t, b.ConsumeTraces(background, message(1, ids[1:]...)))
		require.NoError(t, b.Shutdown(background))
		require.Zero(t, b.waiting())
	})
}

// TestNextComponentIsDown checks that spans wait until the next component accepts them, and that those it rejects permanently are dropped
// and logged.
func TestNextComponentIsDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		b := start(t, testConfig(), &fakeClient{answer: always(record, nil)}, nil)
		b.sink.refuse = func() error {
			if time.Since(begin) < time.Minute {
				return errors.New("queue is full")
			}
			return nil
		}
		require.NoError(t, b.ConsumeTraces(background, message(0, activationIDs(50)...)))
		require.Error(t, b.ConsumeTraces(background, message(60, "")), "the next component has not accepted it: its sender must know")
		time.Sleep(90 * time.Second)
		require.Len(t, counts(b.sink.all()), 50)
		require.Len(t, b.sink.all(), 50)

		synctest.Wait()
		b.sink.refuse = func() error { return consumererror.NewPermanent(errors.New("too large")) }
		require.NoError(t, b.ConsumeTraces(background, message(70, "another")))
		synctest.Wait()
		require.Equal(t, 1, b.logs.FilterMessageSnippet("rejects spans for good").Len())
		require.Zero(t, b.waiting())
		require.NoError(t, b.Shutdown(background))
	})
}

// TestShutdownDrains checks that waiting spans are looked up at once and until the deadline, and are then delivered with a mark.
func TestShutdownDrains(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var stopping atomic.Bool
		b := start(t, testConfig(), &fakeClient{answer: func(_ context.Context, id string, _ int) (whisk.Record, error) {
			if stopping.Load() && id == "ready" {
				return record, nil
			}
			return whisk.Record{}, whisk.ErrNotYet
		}}, nil)
		require.NoError(t, b.ConsumeTraces(background, message(0, "ready", "never")))
		time.Sleep(20 * time.Second)
		stopping.Store(true)
		begin := time.Now()
		require.NoError(t, b.Shutdown(background))
		require.Equal(t, b.config.ShutdownTimeout, time.Since(begin))
		found := map[string]string{}
		for _, s := range b.sink.all() {
			id, _ := s.Attributes().Get(attrActivationID)
			v, _ := s.Attributes().Get(attrRecord)
			found[id.Str()] = v.Str()
		}
		require.Equal(t, map[string]string{"ready": "", "never": "shutdown"}, found)
		require.Error(t, b.ConsumeTraces(background, message(9, "")))
	})
}

func TestStartupCheck(t *testing.T) {
	set, _ := settings()
	client := &fakeClient{check: errors.New("OpenWhisk at https://openwhisk.example.com does not accept the key (401)")}
	config := testConfig()
	p, err := newProcessor(set, config, newSink(), provide(client))
	require.NoError(t, err)
	err = p.Start(background, componenttest.NewNopHost())
	require.EqualError(t, err, "OpenWhisk at https://openwhisk.example.com does not accept the key (401) (startup_check: false starts all the same)")
	require.NoError(t, p.Shutdown(background))
}

// TestHundredThousandWait checks that the limit is kept, and that all spans are delivered when the records come.
func TestHundredThousandWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		config := testConfig()
		begin := time.Now()
		b := start(t, config, &fakeClient{answer: func(context.Context, string, int) (whisk.Record, error) {
			if time.Since(begin) < 10*time.Second {
				return whisk.Record{}, whisk.ErrNotYet
			}
			return record, nil
		}}, nil)
		n := config.Pending.Spans
		ids := activationIDs(n + 1)
		for i := 0; i < n; i += 1000 {
			require.NoError(t, b.ConsumeTraces(background, message(i, ids[i:i+1000]...)))
		}
		require.Error(t, b.ConsumeTraces(background, message(n, ids[n])))
		time.Sleep(time.Minute)
		require.Len(t, counts(b.sink.all()), n)
		require.Len(t, b.sink.all(), n)
		require.NoError(t, b.Shutdown(background))
	})
}

func ExampleNewFactory() {
	factory := NewFactory()
	config := factory.CreateDefaultConfig().(*Config)
	config.ClientConfig.Endpoint = "openwhisk.example.com"
	fmt.Println(factory.Type(), config.Validate())
	// Output: openwhisk key: the key of OpenWhisk is missing; give key (user:password, or ${env:OW_AUTH}), key_file, or auth with an extension
}

// TestWrongClocks checks that a span gets the times of its record, however far the clocks of OpenWhisk, the function and this machine are
// apart. The schedule of lookups depends on the monotonic clock only.
func TestWrongClocks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		jumps := []time.Duration{0, -30 * 365 * 24 * time.Hour, 50 * 365 * 24 * time.Hour, -time.Hour, time.Hour}
		ids := activationIDs(len(jumps))
		b := start(t, testConfig(), &fakeClient{answer: func(_ context.Context, id string, n int) (whisk.Record, error) {
			if n < 4 {
				return whisk.Record{}, whisk.ErrNotYet
			}
			r := record
			for i := range jumps {
				if ids[i] == id {
					r.Start, r.End = r.Start.Add(jumps[i]), r.End.Add(jumps[i])
				}
			}
			return r, nil
		}}, nil)
		require.NoError(t, b.ConsumeTraces(background, message(0, ids...)))
		time.Sleep(time.Second)
		spans := b.sink.all()
		require.Len(t, spans, len(jumps))
		for _, s := range spans {
			id, _ := s.Attributes().Get(attrActivationID)
			for i := range jumps {
				if ids[i] == id.Str() {
					require.Equal(t, record.Start.Add(jumps[i]-record.Wait).UTC(), s.StartTimestamp().AsTime())
					require.Equal(t, record.End.Add(jumps[i]).UTC(), s.EndTimestamp().AsTime())
				}
			}
		}
		require.NoError(t, b.Shutdown(background))
	})
}
