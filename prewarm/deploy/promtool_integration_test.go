//go:build integration

package deploy

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"

	"github.com/tppfaas/tppfaas/internal/integration"
)

func promtool(t *testing.T, args ...string) {
	t.Helper()
	program := integration.Program(t, "promtool", "install Debian's package prometheus")
	out, err := exec.CommandContext(t.Context(), program, args...).CombinedOutput()
	require.NoError(t, err, string(out))
}

// TestIntegrationAlerts checks the alerts and their tests by Prometheus's own tool.
func TestIntegrationAlerts(t *testing.T) {
	promtool(t, "check", "rules", "--lint-fatal", "alerts.yaml")
	promtool(t, "test", "rules", "alerts_test.yaml")
}

// TestIntegrationQueries checks that Prometheus understands every query of the dashboard.
func TestIntegrationQueries(t *testing.T) {
	var list []map[string]string
	for _, expressions := range queries(t) {
		for _, q := range expressions {
			list = append(list, map[string]string{"expr": q})
		}
	}
	slices.SortFunc(list, func(a, b map[string]string) int { return strings.Compare(a["expr"], b["expr"]) })
	list = slices.CompactFunc(list, func(a, b map[string]string) bool { return a["expr"] == b["expr"] })
	for i := range list {
		list[i]["record"] = "q:" + strings.Repeat("x", i+1)
	}
	text, err := yaml.Marshal(map[string]any{"groups": []any{map[string]any{"name": "queries", "rules": list}}})
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "queries.yaml")
	require.NoError(t, os.WriteFile(file, text, 0o666))
	promtool(t, "check", "rules", file)
}

// TestIntegrationPrometheus checks that Prometheus understands its example.
func TestIntegrationPrometheus(t *testing.T) {
	promtool(t, "check", "config", "--syntax-only", "prometheus.example.yaml")
}

// TestIntegrationMetrics checks that Prometheus can read the metrics, and has nothing to say against their names.
func TestIntegrationMetrics(t *testing.T) {
	program := integration.Program(t, "promtool", "install Debian's package prometheus")
	c := exec.CommandContext(t.Context(), program, "check", "metrics")
	text, err := os.Open("../controller/page/testdata/metrics.txt")
	require.NoError(t, err)
	defer text.Close()
	c.Stdin = text
	out, err := c.CombinedOutput()
	require.NoError(t, err, string(out))
	require.Empty(t, string(out))
}
