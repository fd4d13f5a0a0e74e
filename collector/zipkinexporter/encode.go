package zipkinexporter

import (
	"bytes"
	"encoding/json"
	"errors"

	"github.com/open-telemetry/opentelemetry-collector-contrib/pkg/translator/zipkin/zipkinv2"
	"github.com/openzipkin/zipkin-go/model"
	"github.com/openzipkin/zipkin-go/proto/zipkin_proto3"
	"go.opentelemetry.io/collector/pdata/ptrace"
)

// part is a span of a message, with its resource and scope.
type part struct {
	resource ptrace.ResourceSpans
	scope    ptrace.ScopeSpans
	span     ptrace.Span
	encoded  []byte // the span as Zipkin reads it
}

// rejection is a span that cannot be exported.
type rejection struct {
	part
	reason string // a value of the metrics' attribute reason
	err    error
}

// format is an encoding of lists of spans that Zipkin reads.
type format struct {
	contentType            string
	encode                 func(*model.SpanModel) ([]byte, error)
	before, between, after string // what stands before, between and after the spans of a list
}

var formats = map[string]*format{
	"json": {
		contentType: "application/json",
		encode:      func(s *model.SpanModel) ([]byte, error) { return json.Marshal(s) },
		before:      "[", between: ",", after: "]",
	},
	// A list in Protocol Buffers is the concatenation of lists with one span each.
	"proto": {
		contentType: zipkin_proto3.SpanSerializer{}.ContentType(),
		encode: func(s *model.SpanModel) ([]byte, error) {
			return zipkin_proto3.SpanSerializer{}.Serialize([]*model.SpanModel{s})
		},
	},
}

// list returns a list of encoded spans.
func (f *format) list(parts []part) []byte {
	var b bytes.Buffer
	b.WriteString(f.before)
	for i, p := range parts {
		if i > 0 {
			b.WriteString(f.between)
		}
		b.Write(p.encoded)
	}
	b.WriteString(f.after)
	return b.Bytes()
}

// encodeSpan encodes a span. The encoder of Protocol Buffers would take times that neither that of JSON nor Zipkin takes.
func (f *format) encodeSpan(s *model.SpanModel) ([]byte, error) {
	if s.Duration < 0 {
		return nil, model.ErrValidDurationRequired
	}
	if !s.Timestamp.IsZero() && s.Timestamp.Unix() < 1 {
		return nil, model.ErrValidTimestampRequired
	}
	return f.encode(s)
}

// split divides a message into its spans and encodes each. Those for which that is not possible are rejected.
func (f *format) split(traces ptrace.Traces) (parts []part, rejected []rejection) {
	all := partsOf(traces)
	var translator zipkinv2.FromTranslator
	models, err := translator.FromTraces(traces) // in the order of the spans; it stops at the first that it cannot translate
	whole := err == nil && len(models) == len(all)
	for i, p := range all {
		if !whole {
			models, err = translator.FromTraces(message([]part{p}))
			i = 0
		}
		if err == nil && i < len(models) {
			p.encoded, err = f.encodeSpan(models[i])
		} else if err == nil {
			err = errors.New("the span has no translation")
		}
		if err != nil {
			rejected = append(rejected, rejection{p, reasonNotEncodable, err})
			err = nil
			continue
		}
		parts = append(parts, p)
	}
	return parts, rejected
}

// partsOf returns the spans of a message in their order.
func partsOf(traces ptrace.Traces) []part {
	parts := make([]part, 0, traces.SpanCount())
	for _, rs := range traces.ResourceSpans().All() {
		for _, ss := range rs.ScopeSpans().All() {
			for _, span := range ss.Spans().All() {
				parts = append(parts, part{resource: rs, scope: ss, span: span})
			}
		}
	}
	return parts
}

// message returns a message with copies of the spans. Neighbours of the same resource and scope stay together.
func message(parts []part) ptrace.Traces {
	traces := ptrace.NewTraces()
	var resource ptrace.ResourceSpans
	var scope ptrace.ScopeSpans
	for i, p := range parts {
		if i == 0 || p.resource != parts[i-1].resource {
			resource = traces.ResourceSpans().AppendEmpty()
			p.resource.Resource().CopyTo(resource.Resource())
			resource.SetSchemaUrl(p.resource.SchemaUrl())
		}
		if i == 0 || p.resource != parts[i-1].resource || p.scope != parts[i-1].scope {
			scope = resource.ScopeSpans().AppendEmpty()
			p.scope.Scope().CopyTo(scope.Scope())
			scope.SetSchemaUrl(p.scope.SchemaUrl())
		}
		p.span.CopyTo(scope.Spans().AppendEmpty())
	}
	return traces
}
