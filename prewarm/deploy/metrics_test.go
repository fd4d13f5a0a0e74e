package deploy

import (
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"
)

// rules is a file of rules of Prometheus.
type rules struct {
	Groups []struct {
		Name  string
		Rules []struct {
			Alert, Expr, For    string
			Labels, Annotations map[string]string
		}
	}
}

// alerts returns the rules of alerts.yaml.
func alerts(t *testing.T) (r rules) {
	t.Helper()
	text, err := os.ReadFile("alerts.yaml")
	require.NoError(t, err)
	require.NoError(t, yaml.UnmarshalStrict(text, &r))
	return r
}

// queries returns the expressions of the dashboard, by the title of the panel, as Grafana sends them.
func queries(t *testing.T) map[string][]string {
	t.Helper()
	text, err := os.ReadFile("dashboard.json")
	require.NoError(t, err)
	var d struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
	}
	require.NoError(t, json.Unmarshal(text, &d))
	filled := strings.NewReplacer("$__rate_interval", "1m", "$__range", "1h", "$instance", ".*")
	m := map[string][]string{}
	for _, p := range d.Panels {
		for _, q := range p.Targets {
			m[p.Title] = append(m[p.Title], filled.Replace(q.Expr))
		}
	}
	require.Greater(t, len(m), 15)
	return m
}

// exported returns the labels of every metric that the controller has, by its name.
func exported(t *testing.T) map[string]map[string]bool {
	t.Helper()
	text, err := os.ReadFile("../controller/page/testdata/metrics.txt")
	require.NoError(t, err)
	m := map[string]map[string]bool{}
	for line := range strings.Lines(string(text)) {
		name := regexp.MustCompile(`^tppfaas_prewarm_\w+`).FindString(line)
		if name == "" {
			continue
		}
		if m[name] == nil {
			m[name] = map[string]bool{"instance": true, "job": true}
		}
		for _, label := range regexp.MustCompile(`[{,](\w+)="`).FindAllStringSubmatch(line, -1) {
			m[name][label[1]] = true
		}
	}
	require.Greater(t, len(m), 20)
	return m
}

// check checks that the metrics of an expression are there, with the labels that it chooses by and groups by.
func check(t *testing.T, place, expression string, known map[string]map[string]bool) {
	t.Helper()
	labels := map[string]bool{}
	names := regexp.MustCompile(`(tppfaas_prewarm_\w+)(?:\{([^}]*)\})?`).FindAllStringSubmatch(expression, -1)
	require.NotEmpty(t, names, place)
	for _, n := range names {
		require.Contains(t, known, n[1], place)
		for _, l := range regexp.MustCompile(`(\w+)\s*(?:=|!)`).FindAllStringSubmatch(n[2], -1) {
			require.Contains(t, known[n[1]], l[1], "%s: %s", place, n[1])
		}
		for l := range known[n[1]] {
			labels[l] = true
		}
	}
	for _, by := range regexp.MustCompile(`\bby \(([^)]*)\)`).FindAllStringSubmatch(expression, -1) {
		for l := range strings.SplitSeq(by[1], ",") {
			require.Contains(t, labels, strings.TrimSpace(l), place)
		}
	}
}

// TestQueriesAskForWhatThereIs checks that the dashboard and the alerts name metrics and labels that the controller has.
func TestQueriesAskForWhatThereIs(t *testing.T) {
	known := exported(t)
	for title, list := range queries(t) {
		for _, q := range list {
			check(t, title, q, known)
		}
	}
	for _, g := range alerts(t).Groups {
		for _, r := range g.Rules {
			check(t, r.Alert, r.Expr, known)
		}
	}
}

// TestAlerts checks that every alert has what people need, waits before it speaks, and has a test.
func TestAlerts(t *testing.T) {
	text, err := os.ReadFile("alerts_test.yaml")
	require.NoError(t, err)
	count := 0
	for _, g := range alerts(t).Groups {
		for _, r := range g.Rules {
			count++
			require.NotEmpty(t, r.For, r.Alert)
			require.NotEmpty(t, r.Labels["severity"], r.Alert)
			require.NotEmpty(t, r.Annotations["summary"], r.Alert)
			require.NotEmpty(t, r.Annotations["description"], r.Alert)
			require.Contains(t, string(text), "alertname: "+r.Alert+"\n        exp_alerts:\n          - exp_labels", "no test in which it speaks")
			require.Contains(t, string(text), "alertname: "+r.Alert+", exp_alerts: []", "no test in which it is silent")
		}
	}
	require.Equal(t, 7, count)
}
