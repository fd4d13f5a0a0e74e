package deploy

import (
	"net"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/exporter/otlpexporter"
	core "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"
)

// address checks that an address is one of the Service's ports.
func address(t *testing.T, text, port string) {
	t.Helper()
	host, number, err := net.SplitHostPort(text)
	require.NoError(t, err)
	s := object[*core.Service](t, "Service prewarm")
	require.Equal(t, s.Name+"."+s.Namespace+".svc.cluster.local", host)
	for _, p := range s.Spec.Ports {
		if p.Name == port {
			require.Equal(t, number, strconv.Itoa(int(p.Port)))
			return
		}
	}
	t.Fatalf("no port %s", port)
}

// TestCollectorExample checks that the exporter understands its configuration, and that the pipeline has what the collectors have.
func TestCollectorExample(t *testing.T) {
	text, err := os.ReadFile("collector.example.yaml")
	require.NoError(t, err)
	var all struct {
		Exporters map[string]map[string]any
		Service   struct {
			Pipelines map[string]struct{ Receivers, Processors, Exporters []string }
		}
	}
	require.NoError(t, yaml.UnmarshalStrict(text, &all))
	factory := otlpexporter.NewFactory()
	require.Len(t, all.Exporters, 1)
	for name, settings := range all.Exporters {
		kind, _, _ := strings.Cut(name, "/")
		require.Equal(t, factory.Type().String(), kind)
		config := factory.CreateDefaultConfig().(*otlpexporter.Config)
		require.NoError(t, confmap.NewFromStringMap(settings).Unmarshal(config))
		require.NoError(t, confmap.Validate(config))
		address(t, config.ClientConfig.Endpoint, "otlp-grpc")
		existing, err := os.ReadFile("../../collector/deploy/collector.yaml")
		require.NoError(t, err)
		for _, p := range all.Service.Pipelines {
			require.Equal(t, []string{name}, p.Exporters)
			for _, part := range append(p.Receivers, p.Processors...) {
				require.Contains(t, string(existing), "\n      "+part+":")
			}
		}
	}
}

// TestOneNameOfTheToken checks that configurations and documents call the controller's token in the environment by one name.
func TestOneNameOfTheToken(t *testing.T) {
	for _, file := range []string{"collector.example.yaml", "../../collector/prewarm.yaml", "../../docs/collector.md"} {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		names := regexp.MustCompile(`\b[A-Z_]*PREWARM[A-Z_]*TOKEN\b`).FindAllString(string(text), -1)
		require.NotEmpty(t, names, file)
		for _, name := range names {
			require.Equal(t, "TPPFAAS_PREWARM_TOKEN", name, file)
		}
	}
}

// TestPrometheusExample checks that Prometheus is told where the controller is.
func TestPrometheusExample(t *testing.T) {
	text, err := os.ReadFile("prometheus.example.yaml")
	require.NoError(t, err)
	var all struct {
		RuleFiles     []string `json:"rule_files"`
		ScrapeConfigs []struct {
			Scheme        string
			StaticConfigs []struct{ Targets []string } `json:"static_configs"`
		} `json:"scrape_configs"`
	}
	require.NoError(t, yaml.Unmarshal(text, &all))
	require.Len(t, all.ScrapeConfigs, 1)
	require.Equal(t, "https", all.ScrapeConfigs[0].Scheme)
	address(t, all.ScrapeConfigs[0].StaticConfigs[0].Targets[0], "https")
}
