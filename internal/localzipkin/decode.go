package localzipkin

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/openzipkin/zipkin-go/model"
	"github.com/openzipkin/zipkin-go/proto/zipkin_proto3"
)

// Decode decodes a list of spans, from protobuf if the content type says so, otherwise from JSON. It takes what a Zipkin server takes: numbers may be
// texts or have exponents, a negative time or duration counts as 0, and an address that cannot be parsed as none. A span without ids is an error,
// and so is one with fields of other types.
func Decode(text []byte, contentType string) ([]*model.SpanModel, error) {
	if len(text) == 0 {
		return nil, nil
	}
	var spans []*model.SpanModel
	var err error
	if strings.HasPrefix(contentType, "application/x-protobuf") {
		spans, err = zipkin_proto3.ParseSpans(text, false)
	} else {
		spans, err = decodeJSON(text)
	}
	if err != nil {
		return nil, fmt.Errorf("malformed reading spans: %w", err)
	}
	for i, s := range spans {
		switch {
		case s.TraceID.Empty():
			return nil, fmt.Errorf("malformed reading spans: span %d has no traceId", i)
		case s.ID == 0:
			return nil, fmt.Errorf("malformed reading spans: span %d has no id", i)
		}
		s.Duration = max(s.Duration, 0)
		if s.Timestamp.UnixMicro() <= 0 {
			s.Timestamp = time.Time{}
		}
		switch s.Kind {
		case model.Client, model.Server, model.Producer, model.Consumer:
		default: // protobuf has a name for no kind
			s.Kind = model.Undetermined
		}
		if s.ParentID != nil && (*s.ParentID == 0 || *s.ParentID == s.ID) {
			s.ParentID = nil
		}
		s.LocalEndpoint, s.RemoteEndpoint = usable(s.LocalEndpoint), usable(s.RemoteEndpoint)
	}
	return spans, nil
}

// usable returns an endpoint without addresses that are none, and nil for an endpoint without any field.
func usable(e *model.Endpoint) *model.Endpoint {
	if e == nil {
		return nil
	}
	if e.IPv4 = e.IPv4.To4(); len(e.IPv6) != net.IPv6len {
		e.IPv6 = nil
	}
	if e.Empty() {
		return nil
	}
	return e
}

// jsonSpan is a span as clients send it.
type jsonSpan struct {
	TraceID        jsonText                     `json:"traceId"`
	ID             jsonText                     `json:"id"`
	ParentID       jsonText                     `json:"parentId"`
	Kind           jsonText                     `json:"kind"`
	Name           jsonText                     `json:"name"`
	Timestamp      jsonNumber                   `json:"timestamp"` // µs since 1970
	Duration       jsonNumber                   `json:"duration"`  // µs
	LocalEndpoint  *jsonEndpoint                `json:"localEndpoint"`
	RemoteEndpoint *jsonEndpoint                `json:"remoteEndpoint"`
	Annotations    []map[string]json.RawMessage `json:"annotations"`
	Tags           map[string]*jsonText         `json:"tags"`
	Debug          bool                         `json:"debug"`
	Shared         bool                         `json:"shared"`
}

type jsonEndpoint struct {
	ServiceName jsonText   `json:"serviceName"`
	IPv4        jsonText   `json:"ipv4"`
	IPv6        jsonText   `json:"ipv6"`
	Port        jsonNumber `json:"port"`
}

// jsonText is a text, or a number as it is written.
type jsonText string

func (t *jsonText) UnmarshalJSON(b []byte) error {
	switch {
	case string(b) == "null":
		return nil
	case b[0] == '"':
		return json.Unmarshal(b, (*string)(t))
	case b[0] == '-' || b[0] >= '0' && b[0] <= '9':
		*t = jsonText(b)
		return nil
	}
	return fmt.Errorf("%.40s is no text", b)
}

// jsonNumber is a whole number, which may be written as a text, with a decimal point or with an exponent.
type jsonNumber int64

func (n *jsonNumber) UnmarshalJSON(b []byte) error {
	var text jsonText
	if err := text.UnmarshalJSON(b); err != nil || string(b) == "null" {
		return err
	}
	trimmed := strings.TrimSpace(string(text))
	if whole, err := strconv.ParseInt(trimmed, 10, 64); err == nil {
		*n = jsonNumber(whole)
		return nil
	}
	f, err := strconv.ParseFloat(trimmed, 64)
	if err != nil || f != math.Trunc(f) || math.Abs(f) >= 1<<63 {
		return fmt.Errorf("%.40q is no whole number", text)
	}
	*n = jsonNumber(f)
	return nil
}

func decodeJSON(text []byte) ([]*model.SpanModel, error) {
	var list []json.RawMessage
	if err := json.Unmarshal(text, &list); err != nil {
		return nil, err
	}
	spans := make([]*model.SpanModel, len(list))
	for i, raw := range list {
		if string(raw) == "null" {
			return nil, fmt.Errorf("span %d is null", i)
		}
		var s jsonSpan
		err := json.Unmarshal(raw, &s)
		if err == nil {
			spans[i], err = s.span()
		}
		if err != nil {
			return nil, fmt.Errorf("span %d: %w", i, err)
		}
	}
	return spans, nil
}

// span returns the span, or an error where a server refuses it.
func (s *jsonSpan) span() (*model.SpanModel, error) {
	span := &model.SpanModel{
		Name: string(s.Name), Kind: model.Kind(s.Kind), Duration: time.Duration(min(int64(s.Duration), math.MaxInt64/1000)) * time.Microsecond,
		Timestamp: time.UnixMicro(int64(s.Timestamp)), Shared: s.Shared,
	}
	if s.Duration < 0 {
		span.Duration = 0
	}
	span.Debug = s.Debug
	var err error
	if s.TraceID == "" {
		return nil, errors.New("it has no traceId")
	}
	if span.TraceID, err = parseTraceID(string(s.TraceID)); err != nil {
		return nil, fmt.Errorf("traceId: %w", err)
	}
	if span.ID, err = parseID(s.ID); err != nil {
		return nil, fmt.Errorf("id: %w", err)
	}
	if s.ParentID != "" {
		parent, err := parseID(s.ParentID)
		if err != nil {
			return nil, fmt.Errorf("parentId: %w", err)
		}
		span.ParentID = &parent
	}
	switch span.Kind {
	case model.Undetermined, model.Client, model.Server, model.Producer, model.Consumer:
	default:
		return nil, fmt.Errorf("kind: %.40q is none of CLIENT, SERVER, PRODUCER, CONSUMER", s.Kind)
	}
	if span.LocalEndpoint, err = s.LocalEndpoint.endpoint(); err != nil {
		return nil, fmt.Errorf("localEndpoint: %w", err)
	}
	if span.RemoteEndpoint, err = s.RemoteEndpoint.endpoint(); err != nil {
		return nil, fmt.Errorf("remoteEndpoint: %w", err)
	}
	for i, a := range s.Annotations {
		var at jsonNumber
		var value jsonText
		for name, to := range map[string]json.Unmarshaler{"timestamp": &at, "value": &value} {
			raw, ok := a[name]
			if !ok || string(raw) == "null" {
				return nil, fmt.Errorf("annotation %d has no %s", i, name)
			}
			if err := to.UnmarshalJSON(raw); err != nil {
				return nil, fmt.Errorf("annotation %d: %s: %w", i, name, err)
			}
		}
		span.Annotations = append(span.Annotations, model.Annotation{Timestamp: time.UnixMicro(int64(max(at, 0))), Value: string(value)})
	}
	if len(s.Tags) > 0 {
		span.Tags = make(map[string]string, len(s.Tags))
	}
	for key, value := range s.Tags {
		if value == nil {
			return nil, fmt.Errorf("tag %.40q has no value", key)
		}
		span.Tags[key] = string(*value)
	}
	return span, nil
}

func (e *jsonEndpoint) endpoint() (*model.Endpoint, error) {
	if e == nil {
		return nil, nil
	}
	if e.Port > math.MaxUint16 {
		return nil, fmt.Errorf("%d is no port", e.Port)
	}
	endpoint := &model.Endpoint{ServiceName: string(e.ServiceName), Port: uint16(max(e.Port, 0))}
	for _, text := range []jsonText{e.IPv4, e.IPv6} {
		ip := net.ParseIP(string(text))
		if v4 := ip.To4(); v4 != nil {
			endpoint.IPv4 = v4
		} else if ip != nil {
			endpoint.IPv6 = ip
		}
	}
	return endpoint, nil
}

const hexDigits = "0123456789abcdef"

// parseID parses 1 to 16 hexadecimal digits.
func parseID(text jsonText) (model.ID, error) {
	n, err := strconv.ParseUint(string(text), 16, 64)
	if err != nil || len(text) > 16 || strings.Trim(string(text), hexDigits) != "" {
		return 0, fmt.Errorf("%.40q should be a 1 to 16 character lower-hex ID", text)
	}
	return model.ID(n), nil
}

// parseTraceID parses 1 to 32 hexadecimal digits.
func parseTraceID(text string) (model.TraceID, error) {
	wrong := fmt.Errorf("%.40q should be a 1 to 32 character lower-hex trace ID", text)
	if text == "" || len(text) > 32 || strings.Trim(text, hexDigits) != "" {
		return model.TraceID{}, wrong
	}
	id, err := model.TraceIDFromHex(text)
	if err != nil || id.Empty() {
		return id, wrong
	}
	return id, nil
}

// wireSpan is a span as the server answers it.
type wireSpan struct {
	TraceID        model.TraceID     `json:"traceId"`
	ParentID       *model.ID         `json:"parentId,omitempty"`
	ID             model.ID          `json:"id"`
	Kind           model.Kind        `json:"kind,omitempty"`
	Name           string            `json:"name,omitempty"`
	Timestamp      int64             `json:"timestamp,omitempty"`
	Duration       int64             `json:"duration,omitempty"`
	LocalEndpoint  *model.Endpoint   `json:"localEndpoint,omitempty"`
	RemoteEndpoint *model.Endpoint   `json:"remoteEndpoint,omitempty"`
	Annotations    []wireAnnotation  `json:"annotations,omitempty"`
	Tags           map[string]string `json:"tags,omitempty"`
	Debug          bool              `json:"debug,omitempty"`
	Shared         bool              `json:"shared,omitempty"`
}

type wireAnnotation struct {
	Timestamp int64  `json:"timestamp"`
	Value     string `json:"value"`
}

// wire returns spans as the server answers them: unlike the encoding of package model, this one has no times that it cannot encode.
func wire(spans []model.SpanModel) []wireSpan {
	all := make([]wireSpan, len(spans))
	for i, s := range spans {
		w := wireSpan{
			s.TraceID, s.ParentID, s.ID, s.Kind, s.Name, 0, s.Duration.Round(time.Microsecond).Microseconds(), s.LocalEndpoint, s.RemoteEndpoint,
			nil, s.Tags, s.Debug, s.Shared,
		}
		if !s.Timestamp.IsZero() {
			w.Timestamp = s.Timestamp.UnixMicro()
		}
		for _, a := range s.Annotations {
			w.Annotations = append(w.Annotations, wireAnnotation{a.Timestamp.UnixMicro(), a.Value})
		}
		all[i] = w
	}
	return all
}

// wireTraces returns traces as the server answers them.
func wireTraces(traces [][]model.SpanModel) [][]wireSpan {
	all := make([][]wireSpan, len(traces))
	for i, spans := range traces {
		all[i] = wire(spans)
	}
	return all
}
