package activations

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"sync"
	"testing"
	"time"

	wsk "github.com/apache/openwhisk-client-go/whisk"
	"github.com/stretchr/testify/require"

	"github.com/tppfaas/tppfaas/internal/localwhisk/container"
	"github.com/tppfaas/tppfaas/internal/localwhisk/rest"
	"github.com/tppfaas/tppfaas/internal/whisk"
	"github.com/tppfaas/tppfaas/prewarm/source"
)

// echo is a Runtime whose containers answer with what they are given, in the process.
type echo struct{}

func (echo) Start(context.Context, int) (container.Container, error) { return echo{}, nil }
func (echo) Close() error                                            { return nil }
func (echo) Init(context.Context, container.Spec, time.Duration) (*container.Outcome, error) {
	return nil, nil
}

func (echo) Run(_ context.Context, i container.Invocation, _ time.Duration) container.Outcome {
	return container.Outcome{Result: json.RawMessage(i.Value), Size: len(i.Value), HasBody: true}
}
func (echo) Logs(string) []container.Line { return nil }
func (echo) Pause() error                 { return nil }
func (echo) Unpause() error               { return nil }
func (echo) Remove()                      {}

// TestPlatform asks the built-in platform in real time: single runs, a sequence, and a warm-up.
func TestPlatform(t *testing.T) {
	server, err := rest.Start(t.Context(), rest.Options{Runtime: echo{}})
	require.NoError(t, err)
	defer server.Close()
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	base, err := url.Parse(server.URL() + "/api")
	require.NoError(t, err)
	deployer, err := wsk.NewClient(&http.Client{Transport: transport}, &wsk.Config{AuthToken: server.Auth(), Namespace: "_", BaseURL: base, Version: "v1", Host: server.URL()})
	require.NoError(t, err)
	code := "UEsDBBQA"
	for _, a := range []*wsk.Action{
		{Name: "f", Exec: &wsk.Exec{Kind: "go:1.20", Code: &code}},
		{Name: "g", Exec: &wsk.Exec{Kind: "go:1.20", Code: &code}},
		{Name: "both", Exec: &wsk.Exec{Kind: "sequence", Components: []string{"/_/f", "/_/g"}}},
	} {
		_, _, err := deployer.Actions.Insert(a, false)
		require.NoError(t, err)
	}
	address, err := whisk.ParseAddress(server.URL())
	require.NoError(t, err)
	client, err := whisk.New(whisk.Options{Base: address, Key: server.Auth(), HTTP: &http.Client{Transport: transport}, Timeout: 10 * time.Second})
	require.NoError(t, err)
	first := &answered{next: transport, first: make(chan struct{})}
	asking, err := whisk.New(whisk.Options{Base: address, Key: server.Auth(), HTTP: &http.Client{Transport: first}, Timeout: 10 * time.Second})
	require.NoError(t, err)

	s := &waiting{came: make(chan struct{}, 1)}
	_, stop := run(t, Options{Client: asking, Every: 10 * time.Millisecond}, s)
	<-first.first // what comes now was not there when it began
	begin := time.Now()
	var want []string
	for range 3 {
		id, err := client.Invoke(t.Context(), "f", map[string]any{"n": 1})
		require.NoError(t, err)
		want = append(want, id)
	}
	_, err = client.Invoke(t.Context(), "f", map[string]any{"prewarmed": true})
	require.NoError(t, err)
	sequence, err := client.Invoke(t.Context(), "both", map[string]any{"n": 2})
	require.NoError(t, err)
	for deadline := time.After(time.Minute); s.count() < 5; {
		select {
		case <-s.came:
		case <-deadline:
			t.Fatalf("%+v", s.took)
		}
	}
	require.NoError(t, stop())
	require.Len(t, s.took, 5)
	var own []string
	parts := map[string]source.Observation{}
	for _, o := range s.took {
		require.Equal(t, source.Ended, o.Kind)
		require.Equal(t, source.OpenWhiskClock, o.Clock)
		require.NotEqual(t, source.Unknown, o.Temperature)
		require.False(t, o.Time.Before(o.Begin))
		require.WithinDuration(t, begin, o.Begin.Add(-o.Init-o.Wait), 10*time.Second)
		if o.ParentCall == "" {
			own = append(own, o.Activation)
			require.Equal(t, o.Activation, o.Trace)
			continue
		}
		require.Equal(t, sequence, o.ParentCall)
		require.Equal(t, sequence, o.Trace)
		parts[o.Function] = o
	}
	require.ElementsMatch(t, want, own)
	require.Len(t, parts, 2)
}

// answered is a transport that says when the first answer has come.
type answered struct {
	next  http.RoundTripper
	first chan struct{}
	once  sync.Once
}

func (a *answered) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := a.next.RoundTrip(r)
	a.once.Do(func() { close(a.first) })
	return response, err
}

// waiting is a sink that says when something came.
type waiting struct {
	sink
	came chan struct{}
}

func (w *waiting) Observe(ctx context.Context, o []source.Observation) error {
	err := w.sink.Observe(ctx, o)
	select {
	case w.came <- struct{}{}:
	default:
	}
	return err
}

func (w *waiting) count() int { return len(w.ids()) }
