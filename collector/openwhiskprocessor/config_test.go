package openwhiskprocessor

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/config/configtls"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/confmap/confmaptest"
)

func load(t *testing.T, id string) *Config {
	t.Helper()
	conf, err := confmaptest.LoadConf("testdata/config.yaml")
	require.NoError(t, err)
	sub, err := conf.Sub(id)
	require.NoError(t, err)
	c := createDefaultConfig().(*Config)
	require.NoError(t, sub.Unmarshal(c))
	return c
}

func TestLoadConfig(t *testing.T) {
	simple := createDefaultConfig().(*Config)
	simple.Auth = "user:password"
	require.Equal(t, simple, load(t, "openwhisk"))
	require.NoError(t, confmap.Validate(simple))

	storage := component.MustNewIDWithName("file_storage", "spans")
	tls := configtls.NewDefaultClientConfig()
	tls.InsecureSkipVerify = true
	full := &Config{
		Host: "https://openwhisk.example.com:31001", AuthFile: "/run/secrets/openwhisk", TLS: tls,
		Concurrency: 4, Timeout: 2 * time.Second,
		Retry:     RetryConfig{10 * time.Millisecond, 2, time.Second, time.Minute, 10 * time.Minute},
		Circuit:   CircuitConfig{3, 500 * time.Millisecond, 10 * time.Second},
		Cache:     CacheConfig{100, time.Minute},
		Pending:   PendingConfig{1000, 1_000_000, 3 * time.Second},
		OnMissing: Drop, ShutdownTimeout: time.Second, Storage: &storage,
	}
	require.Equal(t, full, load(t, "openwhisk/full"))
	require.NoError(t, confmap.Validate(full))
}

// TestValidateExplains: whoever reads the error knows which value is wrong and what it may be.
func TestValidateExplains(t *testing.T) {
	for id, want := range map[string][]string{
		"openwhisk/no_key":     {"auth: the key is missing"},
		"openwhisk/two_keys":   {"auth and auth_file: only one"},
		"openwhisk/half_a_key": {"auth: the key must be user:password"},
		"openwhisk/everything_wrong": {
			`host: "ftp://openwhisk" is neither http nor https`, "auth: the key contains white space", "concurrency: must be at least 1",
			"timeout: must be positive", "retry::initial: must be positive", "retry::multiplier: must be from 1 to 100", "retry::maximum",
			"retry::total", "retry::outage", "circuit::failures", "circuit::pause", "circuit::maximum_pause", "cache::size", "pending::spans",
			"pending::bytes", "pending::retry_after", `on_missing: "keep" is neither pass_on nor drop`, "shutdown_timeout",
		},
	} {
		err := confmap.Validate(load(t, id))
		for _, part := range want {
			require.ErrorContains(t, err, part, id)
		}
		require.NotContains(t, err.Error(), "pass word", "the key stands in the error")
	}
}

func TestBaseURL(t *testing.T) {
	for host, want := range map[string]string{
		"http://127.0.0.1:3233":         "http://127.0.0.1:3233/api",
		"openwhisk.example.com":         "https://openwhisk.example.com/api",
		"openwhisk.example.com:31001":   "https://openwhisk.example.com:31001/api",
		"https://ow.example.com/":       "https://ow.example.com/api",
		"https://ow.example.com/api/v1": "https://ow.example.com/api",
		"https://example.com/whisk/":    "https://example.com/whisk/api",
		"":                              "missing",
		"https://":                      "names no host",
		"https://user:secret@host":      "the key belongs into auth",
		"http://[::1":                   "no address",
		"unix:///run/openwhisk.sock":    "neither http nor https",
	} {
		u, err := baseURL(host)
		got := fmt.Sprint(u)
		if err != nil {
			got = err.Error()
		}
		require.True(t, strings.HasSuffix(got, want) || err != nil && strings.Contains(got, want), "%q: %s, want %s", host, got, want)
		require.NotContains(t, got, "secret")
	}
}
