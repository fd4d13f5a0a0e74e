package activations

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tppfaas/tppfaas/internal/whisk"
	"github.com/tppfaas/tppfaas/prewarm/source"
)

// record is one of a fake OpenWhisk.
type record struct {
	id, name, kind, cause string
	start                 time.Time
	duration              time.Duration
	wait, init            int64 // ms; init 0: warm
	prewarmed             bool
	readable              time.Time
	logs                  int // bytes
}

func (r *record) json(docs bool) map[string]any {
	annotations := []map[string]any{{"key": "path", "value": "guest/" + r.name}, {"key": "waitTime", "value": r.wait}, {"key": "kind", "value": cmp.Or(r.kind, "go:1.20")}}
	if r.init > 0 {
		annotations = append(annotations, map[string]any{"key": "initTime", "value": r.init})
	}
	m := map[string]any{
		"activationId": r.id, "name": r.name, "start": r.start.UnixMilli(), "end": r.start.Add(r.duration).UnixMilli(), "version": "0.0.1", "annotations": annotations,
	}
	if r.cause != "" {
		m["cause"] = r.cause
	}
	if !docs {
		m["statusCode"] = 0
		return m
	}
	m["logs"] = []string{strings.Repeat("x", r.logs)}
	result := map[string]any{"greeting": "hello"}
	if r.prewarmed {
		result = map[string]any{"prewarmed": true, "cold": r.init > 0}
	}
	m["response"] = map[string]any{"status": "success", "success": true, "result": result}
	return m
}

// fake is an OpenWhisk that lists records, in the process.
type fake struct {
	mu      sync.Mutex
	records []*record
	fail    func() (status int, text string) // 0: it works
	asked   []url.Values
	skew    time.Duration // of its clock

	afterwards func() // called after each answer; it may be nil
}

func (f *fake) RoundTrip(r *http.Request) (*http.Response, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if r.URL.Path != "/api/v1/namespaces/_/activations" {
		return nil, errors.New("no such path: " + r.URL.Path)
	}
	q := r.URL.Query()
	f.asked = append(f.asked, q)
	answer := func(status int, text string) (*http.Response, error) {
		return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(text)), Request: r}, nil
	}
	if f.fail != nil {
		if status, text := f.fail(); status != 0 {
			return answer(status, text)
		}
	}
	since, _ := strconv.ParseInt(q.Get("since"), 10, 64)
	var found []*record
	for _, one := range f.records {
		if !one.readable.After(time.Now()) && one.start.UnixMilli() >= since {
			found = append(found, one)
		}
	}
	slices.SortStableFunc(found, func(a, b *record) int { return b.start.Compare(a.start) })
	limit, _ := strconv.Atoi(q.Get("limit"))
	skip, _ := strconv.Atoi(q.Get("skip"))
	if limit < 1 || limit > whisk.MaxList {
		return answer(400, `{"error": "limit"}`)
	}
	found = found[min(skip, len(found)):]
	list := []map[string]any{}
	for _, one := range found[:min(limit, len(found))] {
		list = append(list, one.json(q.Get("docs") == "true"))
	}
	if f.afterwards != nil {
		f.afterwards()
	}
	text, err := json.Marshal(list)
	if err != nil {
		return nil, err
	}
	return answer(200, string(text))
}

// add adds a record whose run ended now, and which is readable after a while.
func (f *fake) add(r record, later time.Duration) *record {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := time.Now()
	if r.start.IsZero() {
		r.start = now.Add(f.skew - r.duration)
	}
	r.readable = now.Add(later)
	if r.id == "" {
		r.id = fmt.Sprintf("%032x", len(f.records)+1)
	}
	f.records = append(f.records, &r)
	return &r
}

func (f *fake) questions() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.asked)
}

func (f *fake) failWith(status int, text string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fail = func() (int, string) { return status, text }
}

// failSometimes makes it fail whenever the function says so.
func (f *fake) failSometimes(fails func() bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fail = func() (int, string) {
		if fails() {
			return 500, `{"error": "it fails now and then"}`
		}
		return 0, ""
	}
}

func (f *fake) client(t require.TestingT, maxAnswer int64) *whisk.Client {
	base, err := whisk.ParseAddress("http://openwhisk")
	require.NoError(t, err)
	c, err := whisk.New(whisk.Options{Base: base, Key: "user:password", HTTP: &http.Client{Transport: f}, Timeout: 10 * time.Second, MaxAnswer: maxAnswer})
	require.NoError(t, err)
	return c
}

// sink is a Sink that keeps what it is told, or fails with err.
type sink struct {
	mu   sync.Mutex
	took []source.Observation
	err  error
}

func (s *sink) Observe(_ context.Context, o []source.Observation) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil {
		s.took = append(s.took, o...)
	}
	return s.err
}

func (s *sink) ObserveLoad(context.Context, []source.Load) error { return errors.New("no load") }

func (s *sink) failWith(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
}

// ids returns the ids of what was taken, in order.
func (s *sink) ids() (ids []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, o := range s.took {
		ids = append(ids, o.Activation)
	}
	return ids
}

// run runs a Source until the test ends, or the function that it returns is called, which returns Run's error.
func run(t *testing.T, o Options, s source.Sink) (*Source, func() error) {
	t.Helper()
	one, err := New(o)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- one.Run(ctx, s) }()
	stop := sync.OnceValue(func() error {
		cancel()
		return <-ended
	})
	t.Cleanup(func() { require.NoError(t, stop()) })
	return one, stop
}
