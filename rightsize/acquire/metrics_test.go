package acquire

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// list is what kubectl get --raw /apis/metrics.k8s.io/v1beta1/namespaces/openfaas-fn/pods prints, at a time of day.
func list(at string) string {
	return `{"kind":"PodMetricsList","apiVersion":"metrics.k8s.io/v1beta1","metadata":{},"items":[
{"metadata":{"name":"qrcode-6d4cf56db6-2x9zp","namespace":"openfaas-fn","labels":{"faas_function":"qrcode"}},"timestamp":"2026-11-29T` + at + `Z","window":"15.05s",
 "containers":[{"name":"qrcode","usage":{"cpu":"1598830n","memory":"5024Ki"}},{"name":"POD","usage":{"cpu":"9","memory":"9Gi"}}]},
{"metadata":{"name":"qrcode-6d4cf56db6-aaaaa","namespace":"openfaas-fn","labels":{"faas_function":"qrcode"}},"timestamp":"2026-11-29T` + at + `Z","window":"15s",
 "containers":[{"name":"qrcode","usage":{"cpu":"2m","memory":"4Mi"}},{"name":"proxy","usage":{"cpu":"1","memory":"1Gi"}}]},
{"metadata":{"name":"qrcode-v2-6d4cf56db6-aaaaa","namespace":"openfaas-fn","labels":{"faas_function":"qrcode-v2"}},"timestamp":"2026-11-29T` + at + `Z","window":"15s",
 "containers":[{"name":"qrcode-v2","usage":{"cpu":"3","memory":"3Gi"}}]},
{"metadata":{"name":"qrcode-6d4cf56db6-2x9zp","namespace":"other"},"timestamp":"2026-11-29T` + at + `Z","window":"15s",
 "containers":[{"name":"qrcode","usage":{"cpu":"3","memory":"3Gi"}}]}]}` + "\n"
}

// TestMetrics reads documents: of several pods the largest values count, and what was not measured anew is the same sample.
func TestMetrics(t *testing.T) {
	text := list("12:00:00") + list("12:00:15") + list("12:00:15") + list("12:00:30") + list("12:05:30") + `{"kind":"PodMetricsList","items":[]}`
	m, err := NewMetrics(MetricsOptions{Reader: strings.NewReader(text), Name: "pods.json"})
	require.NoError(t, err)
	var taken []Sample
	result, err := m.Acquire(t.Context(), Request{Function: "qrcode", OnSample: func(s Sample) error { taken = append(taken, s); return nil }})
	require.NoError(t, err)
	require.Len(t, taken, 4)
	require.Equal(t, []float64{5024 << 10, 5024 << 10, 5024 << 10, 5024 << 10}, result.Usage.Memory)
	require.Equal(t, []float64{0.002, 0.002, 0.002, 0.002}, result.Usage.CPU)
	at := time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)
	require.Equal(t, at, result.Usage.Time(0))
	require.Equal(t, []Gap{{at.Add(30 * time.Second), at.Add(330 * time.Second)}}, result.Gaps)
	require.Equal(t, 5*time.Minute, result.Gaps[0].Duration())
	require.Equal(t, 15*time.Second, result.Step)
	require.Equal(t, [2]int{2, 2}, [2]int{result.Pods, result.PodsAtOnce})
	require.Equal(t, []string{"left out, as qrcode has the container qrcode: the containers proxy"}, result.Notes)

	// A name alone tells pods apart where there are no labels; one pod is a document, too.
	one := `{"kind":"PodMetrics","metadata":{"name":"f-1"},"timestamp":"2026-11-29T12:00:00Z","containers":[{"name":"a","usage":{"cpu":"0","memory":"1"}},{"name":"b","usage":{"cpu":"1","memory":"2"}}]}`
	m, err = NewMetrics(MetricsOptions{Reader: strings.NewReader(one), Name: "pods.json", Container: "b"})
	require.NoError(t, err)
	result, err = m.Acquire(t.Context(), Request{Function: "f"})
	require.NoError(t, err)
	require.Equal(t, []float64{2}, result.Usage.Memory)
}

func TestMetricsMistakes(t *testing.T) {
	pod := func(rest string) string {
		return `{"kind":"PodMetrics","metadata":{"name":"f-1"},` + rest + `}`
	}
	for text, want := range map[string]string{
		"":                           "pods.json: nothing is known of f: of 0 pods none is its own, in the namespace openfaas-fn",
		"{":                          "pods.json: document 1 is no JSON of PodMetrics: unexpected EOF",
		`{"kind":"NodeMetricsList"}`: `pods.json: document 1: it is of the kind "NodeMetricsList": PodMetricsList or PodMetrics is due`,
		`{"kind":"Status","message":"metrics not available yet"}`:                                                "pods.json: document 1: the answer of Kubernetes: metrics not available yet",
		pod(`"timestamp":"2026-11-29T12:00:00Z","containers":[{"name":"f","usage":{"memory":"1"}}]`):             `pods.json: document 1: pod f-1, container f, cpu: quantity "": want a number with a unit like 40Mi, 1.5Gi, 100m, 0.5`,
		pod(`"timestamp":"2026-11-29T12:00:00Z","containers":[{"name":"f","usage":{"cpu":"1","memory":"8Ei"}}]`): `pods.json: document 1: pod f-1, container f, memory: quantity "8Ei": it must be below 2^63`,
		pod(`"timestamp":"yesterday","containers":[]`):                                                           "pods.json: document 1 is no JSON of PodMetrics: ",
		pod(`"containers":[{"name":"f","usage":{"cpu":"1","memory":"1"}}]`):                                      "pods.json: document 1: pod f-1 has no timestamp",
		pod(`"containers":[{"name":"a"},{"name":"b"}]`):                                                          "pods.json: document 1: which container is that of f? There are a, b: name it",
	} {
		m, err := NewMetrics(MetricsOptions{Reader: strings.NewReader(text), Name: "pods.json"})
		require.NoError(t, err)
		result, err := m.Acquire(t.Context(), Request{Function: "f"})
		require.ErrorContains(t, err, want)
		require.Nil(t, result)
	}
	for want, o := range map[string]MetricsOptions{
		"needs an address, or what it answered": {},
		"cannot be negative":                    {Address: "http://x", Timeout: -1},
		"is no name of a namespace":             {Address: "http://x", Namespace: "a/b"},
		"the address of the Metrics API":        {Address: "x y"},
	} {
		_, err := NewMetrics(o)
		require.ErrorContains(t, err, want)
	}
}

// TestMetricsServer polls a server that fails now and then.
func TestMetricsServer(t *testing.T) {
	n := 0
	var paths []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n++
		paths = append(paths, r.URL.Path+" "+r.Header.Get("Authorization"))
		if n == 2 {
			w.WriteHeader(http.StatusNotFound)
			_, _ = io.WriteString(w, `{"kind":"Status","message":"the server could not find the requested resource"}`)
			return
		}
		_, _ = io.WriteString(w, list(fmt.Sprintf("12:00:%02d", n)))
	}))
	defer server.Close()
	m, err := NewMetrics(MetricsOptions{Address: server.URL, Access: Access{Token: "abc"}})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	var messages []string
	samples := 0
	result, err := m.Acquire(ctx, Request{Function: "qrcode", Step: time.Millisecond, OnMessage: func(m string) { messages = append(messages, m) }, OnSample: func(Sample) error {
		if samples++; samples == 4 {
			cancel()
		}
		return nil
	}})
	require.NoError(t, err)
	require.Equal(t, 4, result.Usage.Len())
	require.Equal(t, "/apis/metrics.k8s.io/v1beta1/namespaces/openfaas-fn/pods Bearer abc", paths[0])
	require.Len(t, messages, 1)
	require.Contains(t, messages[0], "it answers 404 Not Found: the server could not find the requested resource; the next try is in 1ms")

	for status, want := range map[int]string{401: "it answers 401 Unauthorized: no", 500: "it answers 500 Internal Server Error: no", 200: "its answer is no JSON"} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			_, _ = io.WriteString(w, "no\n")
		}))
		m, err := NewMetrics(MetricsOptions{Address: server.URL + "/apis/metrics.k8s.io/v1beta1/pods", Attempts: 1})
		require.NoError(t, err)
		_, err = m.Acquire(t.Context(), Request{Function: "qrcode"})
		require.ErrorContains(t, err, "the Metrics API at http://127.0.0.1:")
		require.ErrorContains(t, err, want)
		server.Close()
	}
}

// TestMetricsInterrupted checks that what was read is returned where the reader blocks.
func TestMetricsInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	in, out := io.Pipe()
	defer in.Close()
	go func() {
		_, _ = io.WriteString(out, list("12:00:00"))
	}()
	m, err := NewMetrics(MetricsOptions{Reader: in, Name: "standard input"})
	require.NoError(t, err)
	result, err := m.Acquire(ctx, Request{Function: "qrcode", OnSample: func(Sample) error { cancel(); return nil }})
	require.NoError(t, err)
	require.Equal(t, 1, result.Usage.Len())
	_, err = m.Acquire(ctx, Request{Function: "qrcode"})
	require.ErrorIs(t, err, context.Canceled)
}

// FuzzMetrics checks that no text leads to usage that cannot be.
func FuzzMetrics(f *testing.F) {
	f.Add([]byte(list("12:00:00") + list("12:00:15")))
	f.Add([]byte(`{"kind":"Status","message":"x"}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		m, err := NewMetrics(MetricsOptions{Reader: strings.NewReader(string(text)), Name: "pods.json"})
		require.NoError(t, err)
		result, err := m.Acquire(t.Context(), Request{Function: "qrcode"})
		if err == nil && result.Usage.Len() == 0 {
			t.Fatal("no samples, and no error")
		}
		if err != nil && !strings.HasPrefix(err.Error(), "pods.json: ") && !strings.HasPrefix(err.Error(), "usage of qrcode: ") {
			t.Fatal(err)
		}
	})
}
