//go:build integration

package prometheus

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tppfaas/tppfaas/internal/promtest"
	"github.com/tppfaas/tppfaas/prewarm/source"
)

// TestIntegrationPrometheus asks a real Prometheus that scrapes what says to be a gateway of OpenFaaS, and proxies of Knative: all queries are answered, and a
// gateway that begins anew is told apart.
func TestIntegrationPrometheus(t *testing.T) {
	var metrics atomic.Value
	metrics.Store("")
	gateway := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		text := metrics.Load().(string)
		if text == "" {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		_, _ = io.WriteString(w, text)
	}))
	defer gateway.Close()
	address := promtest.Start(t, fmt.Sprintf(`
global: {scrape_interval: 200ms, scrape_timeout: 200ms}
scrape_configs:
- job_name: gateway
  honor_labels: true
  static_configs: [{targets: [%q]}]
`, strings.TrimPrefix(gateway.URL, "http://")), "")

	say := func(invocations, replicas int) {
		metrics.Store(fmt.Sprintf(`
gateway_function_invocation_started{function_name="f1.openfaas-fn"} %[1]d
gateway_function_invocation_total{function_name="f1.openfaas-fn",code="200"} %[1]d
gateway_function_invocation_total{function_name="f1.openfaas-fn",code="500"} 1
gateway_function_invocation_total{function_name="f1.openfaas-fn",code="429"} 2
gateway_function_invocation_total{function_name="f1.other",code="200"} 5000
gateway_function_invocation_inflight{function_name="f1.openfaas-fn"} 3
gateway_service_count{function_name="f1.openfaas-fn"} %[2]d
gateway_service_ready_count{function_name="f1.openfaas-fn"} 1
pod_cpu_usage_seconds_total{function_name="f1",namespace="openfaas-fn"} 2.5
revision_request_count{configuration_name="k",namespace_name="shop",response_code_class="2xx",pod_name="1"} 4
revision_request_count{configuration_name="k",namespace_name="shop",response_code_class="2xx",pod_name="2"} 5
revision_app_request_count{configuration_name="k",namespace_name="shop",response_code_class="5xx"} 1
revision_queue_depth{configuration_name="k",namespace_name="shop"} 6
autoscaler_requested_pods{configuration_name="k",namespace_name="shop"} 3
autoscaler_actual_pods{configuration_name="k",namespace_name="shop"} 2
`, invocations, replicas))
	}
	newSource := func(q Queries) (poll func() map[string]source.Load) {
		s, err := New(Options{Address: address, Queries: q})
		require.NoError(t, err)
		t.Cleanup(s.client.transport.CloseIdleConnections)
		m := newMeter(&s.o)
		return func() map[string]source.Load {
			loads, wrong, err := m.poll(t.Context(), s.client, at)
			if err != nil { // it is not ready yet
				return nil
			}
			require.Zero(t, wrong)
			byName := map[string]source.Load{}
			for _, l := range loads {
				byName[l.Function] = l
			}
			return byName
		}
	}
	openFaaS, knative := newSource(OpenFaaS("openfaas-fn")), newSource(Knative("shop"))
	wait := func(poll func() map[string]source.Load, want source.Load) {
		t.Helper()
		var got map[string]source.Load
		require.Eventually(t, func() bool { got = poll(); return got[want.Function] == want && len(got) == 1 }, time.Minute, 50*time.Millisecond, "%+v", &got)
	}
	say(10, 4)
	want := source.Load{Function: "f1", Time: at, Arrived: 10, Ended: 11, Failed: 1, Refused: 2, InFlight: 3, CPU: 2500 * time.Millisecond, Queued: -1, Replicas: 4, Ready: 1}
	wait(openFaaS, want)
	wait(knative, source.Load{Function: "k", Time: at, Arrived: 9, Ended: 1, Failed: 1, Refused: -1, InFlight: -1, CPU: -1, Queued: 6, Replicas: 3, Ready: 2})
	say(3, 5) // it has begun anew, and counts what it said when it was asked last
	want.Arrived, want.Ended, want.Replicas = 13, 14, 5
	wait(openFaaS, want)
}
