//go:build unix && integration

package fire

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/openzipkin/zipkin-go/model"
	"github.com/stretchr/testify/require"

	"github.com/tppfaas/tppfaas/internal/zipkintest"
)

// TestIntegrationZipkin exports to a real Zipkin server, and checks that a trace is found by the activation of one of its invocations, and that
// all its spans are enriched and have their phases.
func TestIntegrationZipkin(t *testing.T) {
	base := zipkintest.Start(t)
	c := newCollector(t, newWhisk(t), strings.TrimPrefix(base, "http://"))
	c.send(spans(0, 100))
	query := base + "/api/v2/traces?limit=10&annotationQuery=" + url.QueryEscape("activationId="+activationID(42))
	var traces [][]model.SpanModel
	require.Eventually(t, func() bool {
		response, err := http.Get(query)
		if err != nil {
			return false
		}
		defer response.Body.Close()
		text, err := io.ReadAll(response.Body)
		traces = nil
		return err == nil && json.Unmarshal(text, &traces) == nil && len(traces) == 1 && len(traces[0]) == 40
	}, time.Minute, 50*time.Millisecond)
	phases := map[string]int{}
	for _, s := range traces[0] {
		phases[s.Name]++
		if s.Name == "sequence-dev-f1" {
			require.Equal(t, "250", s.Tags["waitTimeMilli"])
			require.Equal(t, "true", s.Tags["faas.coldstart"])
			require.Equal(t, 850*time.Millisecond, s.Duration)
			require.Equal(t, "sequence-dev-f1", s.LocalEndpoint.ServiceName)
		}
	}
	require.Equal(t, map[string]int{"sequence-dev-f1": 10, "wait": 10, "init": 10, "exec": 10}, phases)
}
