//go:build integration

package controller

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tppfaas/tppfaas/internal/promtest"
	"github.com/tppfaas/tppfaas/rightsize/acquire"
)

// TestIntegrationRestart checks that a real Prometheus tells of a container that took the place of another one, once: in the look that it happened in, and
// also where that falls between two looks; and that it was a kill, as kube-state-metrics say.
func TestIntegrationRestart(t *testing.T) {
	now := time.Now().Truncate(15 * time.Second)
	restart := now.Add(-20 * time.Minute)
	var metrics bytes.Buffer
	for _, m := range []struct {
		name, kind string
		value      func(at time.Time, id string) float64
	}{
		{"container_memory_working_set_bytes", "gauge", func(_ time.Time, id string) float64 {
			return map[string]float64{"/a": 95 << 20, "/b": 30 << 20}[id]
		}},
		{"container_cpu_usage_seconds_total", "counter", func(at time.Time, _ string) float64 { return at.Sub(now.Add(-time.Hour)).Seconds() / 10 }},
	} {
		name := m.name
		if m.kind == "counter" {
			name = "container_cpu_usage_seconds"
		}
		fmt.Fprintf(&metrics, "# TYPE %s %s\n", name, m.kind)
		for at := now.Add(-time.Hour); !at.After(now); at = at.Add(15 * time.Second) {
			id := "/a"
			if at.After(restart) {
				id = "/b"
			}
			fmt.Fprintf(&metrics, "%s{namespace=\"openfaas-fn\",image=\"i\",pod=\"qrcode-1\",container=\"qrcode\",id=%q} %g %d\n", m.name, id, m.value(at, id), at.Unix())
		}
	}
	fmt.Fprintln(&metrics, "# TYPE kube_pod_container_status_last_terminated_reason gauge")
	for at := restart.Add(30 * time.Second); !at.After(now); at = at.Add(30 * time.Second) {
		fmt.Fprintf(&metrics, "kube_pod_container_status_last_terminated_reason{namespace=\"openfaas-fn\",pod=\"qrcode-1\",container=\"qrcode\",uid=\"u\",reason=\"OOMKilled\"} 1 %d\n", at.Unix())
	}
	metrics.WriteString("# EOF\n")
	address := promtest.Start(t, "global: {}\n", promtest.Fill(t, metrics.Bytes()))
	source, err := acquire.NewPrometheus(acquire.PrometheusOptions{Address: address})
	require.NoError(t, err)
	p := Pull{Source: source}
	for _, test := range []struct {
		after    time.Time
		restarts int
	}{{restart.Add(-5 * time.Minute), 1}, {restart, 1}, {restart.Add(2 * time.Minute), 0}, {restart.Add(12 * time.Minute), 0}} {
		b, err := p.Samples(t.Context(), "qrcode", test.after)
		require.NoError(t, err)
		require.Equal(t, test.restarts, b.Restarts, "after %v", test.after.Sub(restart))
		require.Equal(t, test.restarts, b.Kills, "after %v", test.after.Sub(restart))
		require.NotEmpty(t, b.Samples)
		require.Greater(t, b.Samples[0].Time, test.after.UnixMilli())
	}
}
