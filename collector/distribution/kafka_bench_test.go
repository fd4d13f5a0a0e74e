package distribution

import (
	"fmt"
	"testing"
	"time"

	"github.com/open-telemetry/opentelemetry-collector-contrib/exporter/kafkaexporter"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/exporter/exportertest"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"
)

// batch returns a thousand spans of runs of functions, which are of so many traces, and come one after the other from ten processes.
func batch(traces int) ptrace.Traces {
	all := ptrace.NewTraces()
	now := time.Now()
	for process := range 10 {
		rs := all.ResourceSpans().AppendEmpty()
		rs.Resource().Attributes().PutStr("service.name", fmt.Sprint("shop-dev-f", process))
		rs.Resource().Attributes().PutStr("faas.instance", fmt.Sprint("2f9a1d3c4b5e6f70", process))
		rs.Resource().Attributes().PutStr("k8s.node.name", "node-1")
		spans := rs.ScopeSpans().AppendEmpty().Spans()
		for i := range 100 {
			n := (process*100 + i) % traces
			span := spans.AppendEmpty()
			span.SetTraceID(pcommon.TraceID{1, byte(n >> 8), byte(n)})
			span.SetSpanID(pcommon.SpanID{byte(process), byte(i)})
			span.SetKind(ptrace.SpanKindServer)
			span.SetName(fmt.Sprint("shop-dev-f", process))
			span.SetStartTimestamp(pcommon.NewTimestampFromTime(now))
			span.SetEndTimestamp(pcommon.NewTimestampFromTime(now.Add(time.Second)))
			span.Attributes().PutStr("activationId", fmt.Sprintf("%032x", process*100+i))
			span.Attributes().PutStr("call.id", fmt.Sprintf("%016x", i))
			span.Attributes().PutBool("faas.coldstart", false)
		}
	}
	return all
}

// BenchmarkKafka measures what a message for each trace costs the exporter: spans a second, messages and bytes by span, to a broker in the same process that
// only answers.
func BenchmarkKafka(b *testing.B) {
	for _, traces := range []int{1, 10, 100, 1000} {
		for _, split := range []bool{false, true} {
			b.Run(fmt.Sprintf("traces=%d/split=%t", traces, split), func(b *testing.B) {
				c, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(8, "otlp_spans"))
				require.NoError(b, err)
				defer c.Close()
				factory := kafkaexporter.NewFactory()
				config := factory.CreateDefaultConfig()
				require.NoError(b, confmap.NewFromStringMap(map[string]any{
					"brokers": c.ListenAddrs(), "partition_traces_by_id": split, "producer": map[string]any{"required_acks": "all", "linger": "1ms"},
					"sending_queue": map[string]any{"enabled": false},
				}).Unmarshal(config))
				exporter, err := factory.CreateTraces(b.Context(), exportertest.NewNopSettings(factory.Type()), config)
				require.NoError(b, err)
				require.NoError(b, exporter.Start(b.Context(), componenttest.NewNopHost()))
				defer func() { require.NoError(b, exporter.Shutdown(b.Context())) }()
				data := batch(traces)
				require.NoError(b, exporter.ConsumeTraces(b.Context(), data))
				messages, bytes := written(b, c)
				b.ReportAllocs()
				for b.Loop() {
					require.NoError(b, exporter.ConsumeTraces(b.Context(), data))
				}
				spans := float64(data.SpanCount())
				b.ReportMetric(spans*float64(b.N)/b.Elapsed().Seconds(), "spans/s")
				b.ReportMetric(float64(messages)/spans, "messages/span")
				b.ReportMetric(float64(bytes)/spans, "bytes/span")
			})
		}
	}
}

// written returns how many messages are in the topic, and the bytes of their keys and values.
func written(b *testing.B, c *kfake.Cluster) (messages, bytes int) {
	client, err := kgo.NewClient(kgo.SeedBrokers(c.ListenAddrs()...), kgo.ConsumeTopics("otlp_spans"))
	require.NoError(b, err)
	defer client.Close()
	for spans := 0; spans < 1000; {
		fetched := client.PollFetches(b.Context())
		require.NoError(b, fetched.Err())
		fetched.EachRecord(func(r *kgo.Record) {
			traces, err := (&ptrace.ProtoUnmarshaler{}).UnmarshalTraces(r.Value)
			require.NoError(b, err)
			spans += traces.SpanCount()
			messages++
			bytes += len(r.Key) + len(r.Value)
		})
	}
	return messages, bytes
}
