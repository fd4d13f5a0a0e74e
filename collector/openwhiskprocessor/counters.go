package openwhiskprocessor

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/tppfaas/tppfaas/collector/openwhiskprocessor/internal/metadata"
)

// The reasons why a span has no record or is not delivered: values of the metrics' attribute reason and of attrRecord.
const (
	reasonNoID        = "no_id"
	reasonInvalid     = "invalid"
	reasonMissing     = "missing"
	reasonUnreachable = "unreachable"
	reasonFailed      = "failed"
	reasonMalformed   = "malformed"
	reasonImpossible  = "impossible"
	reasonShutdown    = "shutdown"
	reasonDuplicate   = "duplicate"
	reasonRejected    = "rejected"
)

// counters writes the metrics of metadata.yaml.
type counters struct{ *metadata.TelemetryBuilder }

func (c counters) enriched(ctx context.Context, n int) {
	if n > 0 {
		c.ProcessorOpenwhiskSpansEnriched.Add(ctx, int64(n))
	}
}

func (c counters) passedOn(ctx context.Context, n int, reason string) {
	if n > 0 {
		c.ProcessorOpenwhiskSpansPassedOn.Add(ctx, int64(n), withReason(reason))
	}
}

func (c counters) dropped(ctx context.Context, n int, reason string) {
	if n > 0 {
		c.ProcessorOpenwhiskSpansDropped.Add(ctx, int64(n), withReason(reason))
	}
}

func (c counters) refused(ctx context.Context, n int) {
	c.ProcessorOpenwhiskSpansRefused.Add(ctx, int64(n))
}

func (c counters) lookup(ctx context.Context, took time.Duration) {
	c.ProcessorOpenwhiskLookupDuration.Record(ctx, took.Seconds())
}

func (c counters) retry(ctx context.Context) { c.ProcessorOpenwhiskRetries.Add(ctx, 1) }

func (c counters) answer(ctx context.Context, a answer) {
	c.ProcessorOpenwhiskLookups.Add(ctx, 1, outcomes[a])
}

func (c counters) latency(ctx context.Context, d time.Duration) {
	c.ProcessorOpenwhiskLatency.Record(ctx, d.Seconds())
}

func withReason(reason string) metric.MeasurementOption {
	return metric.WithAttributeSet(attribute.NewSet(attribute.String("reason", reason)))
}

// outcomes holds the attribute outcome of each answer.
var outcomes = func() map[answer]metric.MeasurementOption {
	m := map[answer]metric.MeasurementOption{}
	for a, name := range map[answer]string{
		found: "found", notYet: "not_yet", throttled: "throttled", refused: "refused", unavailable: "unavailable", failed: "failed",
		malformed: "malformed", impossible: "impossible",
	} {
		m[a] = metric.WithAttributeSet(attribute.NewSet(attribute.String("outcome", name)))
	}
	return m
}()
