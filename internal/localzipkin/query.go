package localzipkin

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/openzipkin/zipkin-go/model"
)

// Query is a search for traces; the names are those of Zipkin's API. Of the conditions, those with a zero value match every trace.
type Query struct {
	ServiceName, RemoteServiceName, SpanName string
	// Annotations has the values of tags by their keys; the value "" matches a tag with any value, or an annotation whose text is the key.
	Annotations map[string]string
	// MinDuration and MaxDuration bound the duration of a span.
	MinDuration, MaxDuration time.Duration
	// EndTs and Lookback bound the beginning of a trace: from EndTs − Lookback to EndTs.
	EndTs    time.Time
	Lookback time.Duration
	// Limit is the maximum number of traces.
	Limit int
}

// Zipkin's defaults.
const (
	defaultLookback = 24 * time.Hour
	defaultLimit    = 10
)

// ParseQuery returns the query for the parameters of a request.
func ParseQuery(values url.Values, now time.Time) (Query, error) {
	q := Query{
		ServiceName: strings.ToLower(values.Get("serviceName")), RemoteServiceName: strings.ToLower(values.Get("remoteServiceName")),
		SpanName: strings.ToLower(values.Get("spanName")), EndTs: now, Lookback: defaultLookback, Limit: defaultLimit,
	}
	if q.SpanName == "all" {
		q.SpanName = ""
	}
	var err error
	number := func(name string, least int64, use func(int64)) {
		text := values.Get(name)
		if text == "" || err != nil {
			return
		}
		n, failure := strconv.ParseInt(text, 10, 64)
		switch {
		case failure != nil:
			err = fmt.Errorf("%s: %q is no number", name, text)
		case n < least:
			err = fmt.Errorf("%s: %d is less than %d", name, n, least)
		default:
			use(n)
		}
	}
	const mostMs, mostUs = int64(1) << 52, int64(1) << 52 // beyond them a time in nanoseconds overflows
	number("endTs", 1, func(n int64) { q.EndTs = time.UnixMilli(min(n, mostMs)) })
	number("lookback", 1, func(n int64) { q.Lookback = time.Duration(min(n, int64(1)<<43)) * time.Millisecond })
	number("limit", 1, func(n int64) { q.Limit = int(min(n, 1<<30)) })
	number("minDuration", 1, func(n int64) { q.MinDuration = time.Duration(min(n, mostUs)) * time.Microsecond })
	number("maxDuration", 1, func(n int64) { q.MaxDuration = time.Duration(min(n, mostUs)) * time.Microsecond })
	if err != nil {
		return q, err
	}
	if q.MaxDuration > 0 && q.MinDuration == 0 {
		return q, fmt.Errorf("maxDuration is only valid with minDuration")
	}
	if q.MaxDuration > 0 && q.MaxDuration < q.MinDuration {
		return q, fmt.Errorf("maxDuration is less than minDuration")
	}
	q.Annotations = parseAnnotations(values.Get("annotationQuery"))
	return q, nil
}

// parseAnnotations parses terms, key=value or key, that are joined by " and ".
func parseAnnotations(text string) map[string]string {
	terms := map[string]string{}
	for _, term := range strings.Split(text, " and ") {
		if term = strings.TrimSpace(term); term == "" {
			continue
		}
		key, value, _ := strings.Cut(term, "=")
		terms[strings.TrimSpace(key)] = strings.TrimSpace(value)
	}
	return terms
}

// matches reports whether a trace matches, and returns when it began, in µs since 1970. Each condition must hold for some span, but not all for the
// same; if the query names a service, for a span of that service.
func (q Query) matches(t *trace) (began int64, ok bool) {
	began = t.began()
	if began == 0 || began > q.EndTs.UnixMicro() || began < q.EndTs.Add(-q.Lookback).UnixMicro() {
		return 0, false
	}
	service, remote, name := q.ServiceName == "", q.RemoteServiceName == "", q.SpanName == ""
	duration := q.MinDuration == 0
	left := len(q.Annotations)
	var found map[string]bool
	for _, span := range t.spans {
		if q.ServiceName != "" && nameOf(span.LocalEndpoint) != q.ServiceName {
			continue
		}
		service = true
		remote = remote || nameOf(span.RemoteEndpoint) == q.RemoteServiceName
		name = name || span.Name == q.SpanName
		duration = duration || span.Duration >= q.MinDuration && (q.MaxDuration == 0 || span.Duration <= q.MaxDuration)
		for key, value := range q.Annotations {
			if !found[key] && has(span, key, value) {
				if found == nil {
					found = map[string]bool{}
				}
				found[key] = true
				left--
			}
		}
	}
	return began, service && remote && name && duration && left == 0
}

// has reports whether a span has a tag with this value. The value "" matches any value, and an annotation whose text is the key.
func has(span *model.SpanModel, key, value string) bool {
	if own, ok := span.Tags[key]; ok && (value == "" || own == value) {
		return true
	}
	if value == "" {
		for _, a := range span.Annotations {
			if a.Value == key {
				return true
			}
		}
	}
	return false
}

// began returns when the trace began, in µs since 1970: the time of its root or, without one, of its earliest span; 0 if that is unknown.
func (t *trace) began() int64 {
	first := int64(0)
	for _, key := range t.order {
		span := t.spans[key]
		if span.Timestamp.IsZero() {
			continue
		}
		at := span.Timestamp.UnixMicro()
		if span.ParentID == nil {
			return at
		}
		if first == 0 || at < first {
			first = at
		}
	}
	return first
}
