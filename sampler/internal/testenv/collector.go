package testenv

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"

	"github.com/tppfaas/tppfaas/internal/localzipkin"
	"github.com/tppfaas/tppfaas/internal/whisk"
)

// collector does what the real collector does, before it answers the request.
type collector struct {
	env    *Env
	client *whisk.Client
}

// take receives spans over OTLP/HTTP.
func (c *collector) take(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	message := ptraceotlp.NewExportRequest()
	if r.Header.Get("Content-Type") == "application/json" {
		err = message.UnmarshalJSON(body)
	} else {
		err = message.UnmarshalProto(body)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	for _, rs := range message.Traces().ResourceSpans().All() {
		service, _ := rs.Resource().Attributes().Get("service.name")
		for _, ss := range rs.ScopeSpans().All() {
			for _, s := range ss.Spans().All() {
				if err := c.ship(r.Context(), service.Str(), s); err != nil {
					http.Error(w, err.Error(), http.StatusInternalServerError)
					return
				}
			}
		}
	}
	w.Header().Set("Content-Type", "application/x-protobuf")
}

// ship enriches a span with the record of its activation and adds it to Zipkin's store.
func (c *collector) ship(ctx context.Context, service string, s ptrace.Span) error {
	tags := map[string]string{}
	for key, value := range s.Attributes().All() {
		tags[key] = value.AsString()
	}
	function, id := tags["faas.name"], tags["activationId"]
	if function == "" {
		function = service
	}
	if lost := c.env.lose.Load(); lost != nil && *lost != nil && (*lost)(function, id) {
		return nil
	}
	start, end := s.StartTimestamp().AsTime(), s.EndTimestamp().AsTime()
	if s.StartTimestamp() != s.EndTimestamp() { // else it is an announcement
		record, err := c.record(ctx, id)
		if err != nil {
			return err
		}
		start, end = record.Start.Add(-record.Wait), record.End
		tags["waitTimeMilli"] = fmt.Sprint(record.Wait.Milliseconds())
		if record.Init > 0 {
			tags["initTimeMilli"] = fmt.Sprint(record.Init.Milliseconds())
		}
	}
	span := map[string]any{
		"traceId": s.TraceID().String(), "id": s.SpanID().String(), "name": s.Name(), "timestamp": start.UnixMicro(),
		"duration": max(end.Sub(start).Microseconds(), 1), "tags": tags, "localEndpoint": map[string]any{"serviceName": function},
	}
	if !s.ParentSpanID().IsEmpty() {
		span["parentId"] = s.ParentSpanID().String()
	}
	text, err := json.Marshal([]any{span})
	if err != nil {
		return err
	}
	spans, err := localzipkin.Decode(text, "application/json")
	if err == nil {
		c.env.Store.Add(spans)
	}
	return err
}

// record asks for a record until it is there.
func (c *collector) record(ctx context.Context, id string) (whisk.Record, error) {
	for {
		record, err := c.client.Activation(ctx, id)
		if !errors.Is(err, whisk.ErrNotYet) {
			return record, err
		}
		timer := time.NewTimer(2 * time.Millisecond)
		select {
		case <-timer.C:
		case <-ctx.Done():
			return whisk.Record{}, ctx.Err()
		}
	}
}
