//go:build integration

package acquire

import (
	"bytes"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tppfaas/tppfaas/internal/promtest"
)

// TestIntegrationPrometheus acquires from a real Prometheus what is known there of two pods, of which one came later and one was started anew: by the queries
// that are asked by default, by a counter as it is, in one part and in many.
func TestIntegrationPrometheus(t *testing.T) {
	const scrape, scrapes = 15, 41_000 // a week: more points than an answer may have
	var metrics bytes.Buffer
	write := func(name, labels string, from, to int, value func(i int) float64) {
		for i := from; i < to; i++ {
			fmt.Fprintf(&metrics, "%s{namespace=\"openfaas-fn\",image=\"i\",%s} %g %d\n", name, labels, value(i), begin+i*scrape)
		}
	}
	const first, second, again = `pod="qrcode-1",container="qrcode",id="/a"`, `pod="qrcode-2",container="qrcode",id="/b"`, `pod="qrcode-1",container="qrcode",id="/c"`
	const others = `pod="qrcode-v2-1",container="qrcode-v2",id="/d"`
	metrics.WriteString("# TYPE container_memory_working_set_bytes gauge\n")
	name := "container_memory_working_set_bytes"
	write(name, first, 0, 20_000, func(i int) float64 { return float64(5_000_000 + i) })
	write(name, again, 30_000, scrapes, func(i int) float64 { return float64(5_000_000 + i) })
	write(name, second, 10_000, 12_000, func(int) float64 { return 9_000_000 })
	write(name, others, 0, 100, func(int) float64 { return 1e9 })
	metrics.WriteString("# TYPE container_cpu_usage_seconds counter\n")
	name = "container_cpu_usage_seconds_total"
	write(name, first, 0, 20_000, func(i int) float64 { return 100 + 0.25*scrape*float64(i) })
	write(name, again, 30_000, scrapes, func(i int) float64 { return 0.125 * scrape * float64(i%7000) }) // begins anew at 35,000
	metrics.WriteString("# EOF\n")
	address := promtest.Start(t, "global: {}\n", promtest.Fill(t, metrics.Bytes()), "--storage.tsdb.retention.time=100y")

	from := time.Unix(begin, 0)
	request := Request{Function: "qrcode", From: from, To: from.Add((scrapes - 1) * scrape * time.Second)}
	for _, raw := range []bool{false, true} {
		o := PrometheusOptions{Address: address}
		if raw {
			o.CPUQuery = `container_cpu_usage_seconds_total{namespace="NAMESPACE",pod=~"FUNCTION-.*",container="FUNCTION"}`
		}
		p, err := NewPrometheus(o)
		require.NoError(t, err)
		result, err := p.Acquire(t.Context(), request)
		require.NoError(t, err)
		u := result.Usage
		// Without a mark of its end a series goes on for the five minutes that Prometheus looks back.
		require.InDelta(t, scrapes-10_000, u.Len(), 25)
		require.Equal(t, []int{2, 2, 1}, []int{result.Pods, result.PodsAtOnce, result.Restarts})
		require.Len(t, result.Gaps, 1)
		require.InDelta(t, (10_000 * scrape * time.Second).Seconds(), result.Gaps[0].Duration().Seconds(), 310)
		for i, at := range u.Times {
			k := int(at/1000-begin) / scrape
			switch {
			case k >= 10_000 && k < 12_000:
				require.EqualValues(t, 9_000_000, u.Memory[i])
			case k < 10_000 || k >= 12_020 && k < 20_000 || k >= 30_000:
				require.EqualValues(t, 5_000_000+k, u.Memory[i])
			}
			switch {
			case k >= 20 && k < 20_000:
				require.InDelta(t, 0.25, u.CPU[i], 1e-9, k)
			case k >= 30_020 && k < 35_000 || k >= 35_020:
				require.InDelta(t, 0.125, u.CPU[i], 1e-9, k)
			case k >= 35_000 && k < 35_020: // the step from the last scrape before it is lost
				require.InDelta(t, 0.125, u.CPU[i], 0.01, k)
			case k > 20_021 && k < 30_000:
				require.True(t, math.IsNaN(u.CPU[i]), "%d: %g", k, u.CPU[i])
			}
		}
		require.Equal(t, []string{"left out, as qrcode has the container qrcode: the containers qrcode-v2"}, result.Notes)
		if raw {
			require.Equal(t, 1, result.Resets)
		}
	}

	p, err := NewPrometheus(PrometheusOptions{Address: address, MemoryQuery: "container_memory_working_set_bytes{"})
	require.NoError(t, err)
	_, err = p.Acquire(t.Context(), request)
	require.ErrorContains(t, err, "the query for memory: ")
	require.ErrorContains(t, err, "parse error")
	p, err = NewPrometheus(PrometheusOptions{Address: address})
	require.NoError(t, err)
	request.Function = "unknown"
	_, err = p.Acquire(t.Context(), request)
	require.ErrorContains(t, err, "nothing is known of unknown")
}

// TestIntegrationPassword asks a Prometheus that wants to know who asks.
func TestIntegrationPassword(t *testing.T) {
	const hash = "$2a$04$tEcr53D1a8g.ZyeMlFCLsOHH32at/lG1CtAzUZCn6sIpJ8atEPr9i" // of secret, by bcrypt
	web := filepath.Join(t.TempDir(), "web.yml")
	require.NoError(t, os.WriteFile(web, []byte("basic_auth_users: {me: "+hash+"}\n"), 0o600))
	metrics := fmt.Sprintf("# TYPE memory gauge\nmemory{pod=\"f-1\"} 7 %d\n# EOF\n", begin)
	address := promtest.Start(t, "global: {}\n", promtest.Fill(t, []byte(metrics)), "--storage.tsdb.retention.time=100y", "--web.config.file="+web)
	for password, want := range map[string]string{"secret": "", "wrong": "the query for memory: client error: 401"} {
		p, err := NewPrometheus(PrometheusOptions{Address: address, MemoryQuery: "memory", CPUQuery: "memory * 0", Access: Access{Username: "me", Password: password}})
		require.NoError(t, err)
		result, err := p.Acquire(t.Context(), Request{Function: "f", From: time.Unix(begin, 0), To: time.Unix(begin, 0)})
		if want != "" {
			require.ErrorContains(t, err, want)
			continue
		}
		require.NoError(t, err)
		require.Equal(t, []float64{7}, result.Usage.Memory)
		require.Equal(t, []float64{0}, result.Usage.CPU)
	}
}
