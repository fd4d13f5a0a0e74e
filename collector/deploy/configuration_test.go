package deploy

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/otelcol"
	core "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"

	"github.com/tppfaas/tppfaas/collector/distribution"
	"github.com/tppfaas/tppfaas/internal/loopback"
)

// text returns the collector's configuration in a ConfigMap.
func text(t *testing.T, objects []object, name string) string {
	t.Helper()
	for _, o := range objects {
		if m, ok := o.value.(*core.ConfigMap); ok && m.Name == name {
			return m.Data["config.yaml"]
		}
	}
	t.Fatalf("no ConfigMap %s", name)
	return ""
}

func configuration(t *testing.T, objects []object, name string) (c map[string]any) {
	t.Helper()
	require.NoError(t, yaml.UnmarshalStrict([]byte(text(t, objects, name)), &c))
	return c
}

// at returns the setting at a path of keys.
func at(t *testing.T, setting any, keys ...string) any {
	t.Helper()
	for _, key := range keys {
		m, ok := setting.(map[string]any)
		require.True(t, ok, key)
		setting, ok = m[key]
		require.True(t, ok, "no %s in %v", key, keys)
	}
	return setting
}

// listens returns the ports on which a configuration listens, and requires that others than its own pod reach them.
func listens(t *testing.T, c map[string]any) (ports []int) {
	t.Helper()
	var endpoints []any
	for _, protocol := range at(t, c, "receivers", "otlp", "protocols").(map[string]any) {
		endpoints = append(endpoints, at(t, protocol, "endpoint"))
	}
	require.Contains(t, at(t, c, "service", "extensions"), "health_check")
	endpoints = append(endpoints, at(t, c, "extensions", "health_check", "endpoint"))
	for _, reader := range at(t, c, "service", "telemetry", "metrics", "readers").([]any) {
		prometheus := at(t, reader, "pull", "exporter", "prometheus")
		endpoints = append(endpoints, fmt.Sprintf("%v:%v", at(t, prometheus, "host"), at(t, prometheus, "port")))
	}
	for _, e := range endpoints {
		host, port, err := net.SplitHostPort(e.(string))
		require.NoError(t, err)
		require.Equal(t, "0.0.0.0", host)
		number, err := strconv.Atoi(port)
		require.NoError(t, err)
		ports = append(ports, number)
	}
	return ports
}

// TestConfigurations checks that the pipelines in the ConfigMaps can be built from the collector's components, listen on the ports of the
// containers, find the files and variables that they name, and write into volumes alone.
func TestConfigurations(t *testing.T) {
	for _, objects := range sets(t) {
		for _, name := range []string{"collector-front", "collector"} {
			text, c, p := text(t, objects, name), configuration(t, objects, name), pods(objects)[name]
			var ports []int
			for _, port := range p.Spec.Containers[0].Ports {
				ports = append(ports, int(port.ContainerPort))
			}
			require.ElementsMatch(t, ports, listens(t, c), name)
			probe, _ := portOf(p, p.Spec.Containers[0].ReadinessProbe.HTTPGet.Port)
			require.Equal(t, fmt.Sprintf("0.0.0.0:%d", probe), at(t, c, "extensions", "health_check", "endpoint"), name)
			require.Equal(t, strconv.Itoa(ports[slices.IndexFunc(p.Spec.Containers[0].Ports, func(p core.ContainerPort) bool { return p.Name == "metrics" })]),
				p.Annotations["prometheus.io/port"], name)

			readable, writable := files(t, objects, name)
			require.Len(t, p.Spec.Containers[0].Args, 1)
			config, ok := strings.CutPrefix(p.Spec.Containers[0].Args[0], "--config=")
			require.True(t, ok)
			require.Contains(t, readable, config)
			for _, match := range regexp.MustCompile(`\$\{env:(\w+)`).FindAllStringSubmatch(text, -1) {
				value := environment(p)[match[1]]
				require.NotEmpty(t, value, "%s: the variable %s", name, match[1])
				t.Setenv(match[1], value)
			}
			from := []string{"yaml:" + text}
			if name == "collector" {
				require.Contains(t, readable, at(t, c, "processors", "openwhisk", "key_file"))
				storage := at(t, c, "extensions", "file_storage", "directory").(string)
				require.Contains(t, writable, storage)
				require.Equal(t, storage, path.Dir(at(t, c, "exporters", "zipkin", "set_aside", "directory").(string)))
				require.Equal(t, []string{storage}, writable)
				timeout, err := time.ParseDuration(at(t, c, "processors", "openwhisk", "shutdown_timeout").(string))
				require.NoError(t, err)
				require.Less(t, 2*timeout.Seconds(), float64(*p.Spec.TerminationGracePeriodSeconds))
				from = append(from, "yaml:extensions::file_storage::directory: "+t.TempDir())
			} else {
				require.Empty(t, writable)
				// The last attempt begins before the retries end.
				otlp := at(t, c, "exporters", "load_balancing", "protocol", "otlp")
				attempt, err1 := time.ParseDuration(at(t, otlp, "timeout").(string))
				retries, err2 := time.ParseDuration(at(t, otlp, "retry_on_failure", "max_elapsed_time").(string))
				require.NoError(t, errors.Join(err1, err2))
				require.Less(t, attempt+retries, 10*time.Second, "senders that wait for 10 s, as OpenTelemetry's do by default, hear no refusal")
			}
			collector, err := otelcol.NewCollector(distribution.Settings(from...))
			require.NoError(t, err)
			require.NoError(t, collector.DryRun(t.Context()), name)
		}
	}
}

// freeAddress returns an address of this machine on which nothing listens.
func freeAddress(t *testing.T) string {
	t.Helper()
	addresses, err := loopback.FreeAddresses(1)
	require.NoError(t, err)
	return addresses[0]
}

// TestFrontRefusesWhatItCannotPassOn runs the front's configuration, with addresses of this machine and no collector behind it: it is
// ready for its probes, and answers a message in a way that asks the sender to send it again.
func TestFrontRefusesWhatItCannotPassOn(t *testing.T) {
	objects := sets(t)["zipkin in memory"]
	health, otlp := freeAddress(t), freeAddress(t)
	here, err := json.Marshal(map[string]any{
		"receivers":  map[string]any{"otlp": map[string]any{"protocols": map[string]any{"grpc": map[string]any{"endpoint": freeAddress(t)}, "http": map[string]any{"endpoint": otlp}}}},
		"extensions": map[string]any{"health_check": map[string]any{"endpoint": health}},
		"exporters": map[string]any{"load_balancing": map[string]any{
			"resolver": map[string]any{"dns": nil, "static": map[string]any{"hostnames": []string{freeAddress(t)}}},
			"protocol": map[string]any{"otlp": map[string]any{"retry_on_failure": map[string]any{"max_interval": "300ms", "max_elapsed_time": "300ms"}}},
		}},
		"service": map[string]any{"telemetry": map[string]any{"metrics": map[string]any{"level": "none", "readers": []any{}}, "logs": map[string]any{"level": "error"}}},
	})
	require.NoError(t, err)
	settings := distribution.Settings("yaml:"+text(t, objects, "collector-front"), "yaml:"+string(here))
	settings.DisableGracefulShutdown = true // signals are those of the test
	collector, err := otelcol.NewCollector(settings)
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- collector.Run(ctx) }()
	defer func() {
		collector.Shutdown()
		if err := <-ended; err != nil {
			t.Errorf("the collector ended: %v", err)
		}
	}()
	client := &http.Client{Timeout: 20 * time.Second}
	defer client.CloseIdleConnections()
	probe := pods(objects)["collector-front"].Spec.Containers[0].ReadinessProbe.HTTPGet
	require.Eventually(t, func() bool {
		if len(ended) > 0 {
			return true
		}
		answer, err := client.Get("http://" + health + probe.Path)
		if err != nil {
			return false
		}
		defer answer.Body.Close()
		return answer.StatusCode == http.StatusOK
	}, time.Minute, 10*time.Millisecond)
	require.Empty(t, ended)

	span := `{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"0102030405060708090a0b0c0d0e0f10","spanId":"0102030405060708","name":"f","startTimeUnixNano":"1","endTimeUnixNano":"2"}]}]}]}`
	answer, err := client.Post("http://"+otlp+"/v1/traces", "application/json", bytes.NewBufferString(span))
	require.NoError(t, err)
	defer answer.Body.Close()
	said, err := io.ReadAll(answer.Body)
	require.NoError(t, err)
	require.Equal(t, http.StatusServiceUnavailable, answer.StatusCode, "%s", said)
}
