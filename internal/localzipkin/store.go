package localzipkin

import (
	"cmp"
	"container/list"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/openzipkin/zipkin-go/model"
)

// Store keeps traces in bounded memory. It is safe for concurrent use.
type Store struct {
	maxSpans, maxBytes int

	mu     sync.RWMutex
	traces map[model.TraceID]*trace
	recent *list.List                // of *trace, the one that was written to last first
	tags   map[string]map[*trace]int // by "key=value": the traces with this tag, and in how many of their spans
	spans  int
	bytes  int
	stats  Stats
}

// Stats has the counts of a Store.
type Stats struct {
	// Received is the number of spans received, Merged the number of those that were merged with a span of the same id.
	Received, Merged int
	// EvictedTraces is the number of traces removed because the memory was full.
	EvictedTraces int
	// Spans and Traces are the numbers of those in memory, Bytes is about how much memory they take.
	Spans, Traces, Bytes int
}

// trace has the spans of a trace.
type trace struct {
	id      model.TraceID
	spans   map[spanKey]*model.SpanModel
	order   []spanKey // in the order in which they were received
	bytes   int
	element *list.Element // in Store.recent
}

// spanKey identifies a span in its trace: the spans of client and server may share an id.
type spanKey struct {
	id     model.ID
	shared bool
}

// NewStore returns a Store that keeps at most maxSpans spans, and takes about maxBytes of memory at most.
func NewStore(maxSpans, maxBytes int) *Store {
	return &Store{
		maxSpans: maxSpans, maxBytes: maxBytes,
		traces: map[model.TraceID]*trace{}, recent: list.New(), tags: map[string]map[*trace]int{},
	}
}

// Add adds spans, which it may modify, and merges those whose ids are there already. (A Zipkin server keeps different reports of a span and leaves
// it to readers to merge them.)
func (s *Store) Add(spans []*model.SpanModel) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, span := range spans {
		span.Name = strings.ToLower(span.Name)
		for _, e := range []*model.Endpoint{span.LocalEndpoint, span.RemoteEndpoint} {
			if e != nil {
				e.ServiceName = strings.ToLower(e.ServiceName)
			}
		}
		s.add(span)
	}
	for s.spans > s.maxSpans || s.bytes > s.maxBytes {
		s.evict(s.recent.Back().Value.(*trace))
		s.stats.EvictedTraces++
	}
}

func (s *Store) add(span *model.SpanModel) {
	s.stats.Received++
	t := s.traces[span.TraceID]
	if t == nil {
		t = &trace{id: span.TraceID, spans: map[spanKey]*model.SpanModel{}}
		t.element = s.recent.PushFront(t)
		s.traces[t.id] = t
	} else {
		s.recent.MoveToFront(t.element)
	}
	key := spanKey{span.ID, span.Shared}
	if old, ok := t.spans[key]; ok {
		s.stats.Merged++
		s.count(t, old, -1)
		merge(old, span)
		s.count(t, old, 1)
		return
	}
	t.spans[key] = span
	t.order = append(t.order, key)
	s.count(t, span, 1)
}

// count adds a span of t to the sums and the index if by is 1, and removes it from them if by is −1.
func (s *Store) count(t *trace, span *model.SpanModel, by int) {
	size := by * sizeOf(span)
	s.spans += by
	s.bytes += size
	t.bytes += size
	for key, value := range span.Tags {
		term := key + "=" + value
		traces := s.tags[term]
		if traces == nil {
			traces = map[*trace]int{}
			s.tags[term] = traces
		}
		if traces[t] += by; traces[t] == 0 {
			delete(traces, t)
			if len(traces) == 0 {
				delete(s.tags, term)
			}
		}
	}
}

// evict removes a trace.
func (s *Store) evict(t *trace) {
	for _, span := range t.spans {
		s.count(t, span, -1)
	}
	s.recent.Remove(t.element)
	delete(s.traces, t.id)
}

// merge merges another report of a span into it: the result has the tags and annotations of both, the earlier start and the longer duration.
func merge(span, other *model.SpanModel) {
	if span.Name == "" || span.Name == "unknown" {
		span.Name = cmp.Or(other.Name, span.Name)
	}
	span.Kind = cmp.Or(span.Kind, other.Kind)
	if span.ParentID == nil {
		span.ParentID = other.ParentID
	}
	if span.Timestamp.IsZero() || !other.Timestamp.IsZero() && other.Timestamp.Before(span.Timestamp) {
		span.Timestamp = other.Timestamp
	}
	span.Duration = max(span.Duration, other.Duration)
	if span.LocalEndpoint == nil {
		span.LocalEndpoint = other.LocalEndpoint
	}
	if span.RemoteEndpoint == nil {
		span.RemoteEndpoint = other.RemoteEndpoint
	}
	span.Debug = span.Debug || other.Debug
	for _, a := range other.Annotations {
		if !slices.Contains(span.Annotations, a) {
			span.Annotations = append(span.Annotations, a)
		}
	}
	if len(other.Tags) > 0 && span.Tags == nil {
		span.Tags = map[string]string{}
	}
	maps.Copy(span.Tags, other.Tags)
}

// sizeOf returns about how many bytes a span takes in memory, including the index.
func sizeOf(s *model.SpanModel) int {
	n := 400 + len(s.Name)
	for k, v := range s.Tags {
		n += 200 + 2*(len(k)+len(v))
	}
	for _, a := range s.Annotations {
		n += 40 + len(a.Value)
	}
	for _, e := range []*model.Endpoint{s.LocalEndpoint, s.RemoteEndpoint} {
		if e != nil {
			n += 80 + len(e.ServiceName)
		}
	}
	return n
}

// Trace returns the spans of a trace, sorted by time, nil if there are none.
func (s *Store) Trace(id model.TraceID) []model.SpanModel {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if t := s.traces[id]; t != nil {
		return t.sorted()
	}
	return nil
}

// sorted returns copies of the spans, sorted by time.
func (t *trace) sorted() []model.SpanModel {
	spans := make([]model.SpanModel, 0, len(t.order))
	for _, key := range t.order {
		span := *t.spans[key]
		span.Tags = maps.Clone(span.Tags)
		span.Annotations = slices.Clone(span.Annotations)
		spans = append(spans, span)
	}
	slices.SortStableFunc(spans, func(a, b model.SpanModel) int { return a.Timestamp.Compare(b.Timestamp) })
	return spans
}

// Find returns the traces that match a query, the latest first.
func (s *Store) Find(q Query) [][]model.SpanModel {
	s.mu.RLock()
	defer s.mu.RUnlock()
	type hit struct {
		trace *trace
		at    int64
	}
	var hits []hit
	look := func(t *trace) {
		if at, ok := q.matches(t); ok {
			hits = append(hits, hit{t, at})
		}
	}
	if few, ok := s.rarest(q); ok {
		for t := range few {
			look(t)
		}
	} else {
		for _, t := range s.traces {
			look(t)
		}
	}
	slices.SortFunc(hits, func(a, b hit) int {
		return cmp.Or(cmp.Compare(b.at, a.at), cmp.Compare(a.trace.id.High, b.trace.id.High), cmp.Compare(a.trace.id.Low, b.trace.id.Low))
	})
	found := make([][]model.SpanModel, 0, min(len(hits), q.Limit))
	for _, h := range hits[:min(len(hits), q.Limit)] {
		found = append(found, h.trace.sorted())
	}
	return found
}

// rarest returns the traces that have the rarest of the query's tags, and false if the query has no tags.
func (s *Store) rarest(q Query) (few map[*trace]int, ok bool) {
	for key, value := range q.Annotations {
		if value == "" {
			continue
		}
		if traces := s.tags[key+"="+value]; !ok || len(traces) < len(few) {
			few, ok = traces, true
		}
	}
	return few, ok
}

// Services returns the sorted names of the services that have reported spans.
func (s *Store) Services() []string {
	return s.names(func(span *model.SpanModel) string { return nameOf(span.LocalEndpoint) })
}

// Spans returns the sorted names of the spans of a service.
func (s *Store) Spans(service string) []string {
	service = strings.ToLower(service)
	return s.names(func(span *model.SpanModel) string {
		if nameOf(span.LocalEndpoint) != service {
			return ""
		}
		return span.Name
	})
}

// RemoteServices returns the sorted names of the services that a service has called or was called by.
func (s *Store) RemoteServices(service string) []string {
	service = strings.ToLower(service)
	return s.names(func(span *model.SpanModel) string {
		if nameOf(span.LocalEndpoint) != service {
			return ""
		}
		return nameOf(span.RemoteEndpoint)
	})
}

func nameOf(e *model.Endpoint) string {
	if e == nil {
		return ""
	}
	return e.ServiceName
}

// names returns the sorted names, other than "", that the function returns for the spans.
func (s *Store) names(of func(*model.SpanModel) string) []string {
	s.mu.RLock()
	defer s.mu.RUnlock()
	seen := map[string]bool{}
	for _, t := range s.traces {
		for _, span := range t.spans {
			if name := of(span); name != "" {
				seen[name] = true
			}
		}
	}
	return append([]string{}, slices.Sorted(maps.Keys(seen))...)
}

// Stats returns the counts.
func (s *Store) Stats() Stats {
	s.mu.RLock()
	defer s.mu.RUnlock()
	stats := s.stats
	stats.Spans, stats.Traces, stats.Bytes = s.spans, len(s.traces), s.bytes
	return stats
}
