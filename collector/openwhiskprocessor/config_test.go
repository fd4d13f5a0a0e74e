package openwhiskprocessor

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/config/configauth"
	"go.opentelemetry.io/collector/config/configoptional"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/confmap/confmaptest"
)

func load(t *testing.T, id string) (*Config, error) {
	t.Helper()
	conf, err := confmaptest.LoadConf("testdata/config.yaml")
	require.NoError(t, err)
	require.True(t, conf.IsSet(id), id)
	sub, err := conf.Sub(id)
	require.NoError(t, err)
	c := createDefaultConfig().(*Config)
	return c, sub.Unmarshal(c)
}

func TestLoadConfig(t *testing.T) {
	simple := createDefaultConfig().(*Config)
	simple.Key = "user:password"
	require.NoError(t, confmap.Validate(simple))

	storage := component.MustNewIDWithName("file_storage", "spans")
	full := createDefaultConfig().(*Config)
	full.ClientConfig.Endpoint = "https://openwhisk.example.com:31001"
	full.ClientConfig.Timeout = 2 * time.Second
	full.ClientConfig.TLS.InsecureSkipVerify = true
	full.ClientConfig.ProxyURL = "http://proxy.example.com:3128"
	full.ClientConfig.Headers.Set("X-Tenant", "a")
	full.ClientConfig.MaxIdleConns = 8
	full.KeyFile = "/run/secrets/openwhisk"
	full.Concurrency = 4
	full.Retry.BackOff.InitialInterval = 10 * time.Millisecond
	full.Retry.BackOff.RandomizationFactor = 0.25
	full.Retry.BackOff.Multiplier = 2
	full.Retry.BackOff.MaxInterval = time.Second
	full.Retry.BackOff.MaxElapsedTime = time.Minute
	full.Retry.Outage = 10 * time.Minute
	full.Circuit = CircuitConfig{3, 500 * time.Millisecond, 10 * time.Second}
	full.Cache = CacheConfig{100, time.Minute}
	full.Pending = PendingConfig{1000, 1_000_000, 3 * time.Second}
	full.OnMissing, full.StartupCheck, full.ShutdownTimeout, full.Storage = Drop, false, time.Second, &storage
	require.NoError(t, confmap.Validate(full))

	extension := createDefaultConfig().(*Config)
	extension.ClientConfig.Auth = configoptional.Some(configauth.Config{AuthenticatorID: component.MustNewID("basicauth")})
	require.NoError(t, confmap.Validate(extension))

	here := createDefaultConfig().(*Config)
	require.NoError(t, confmap.Validate(here), "the platform on this machine needs no key in the configuration")

	for id, want := range map[string]*Config{"openwhisk/no_key_here": here, "openwhisk": simple, "openwhisk/full": full, "openwhisk/extension": extension} {
		c, err := load(t, id)
		require.NoError(t, err)
		require.Equal(t, want, c)
	}
}

// TestOldNames checks that each setting with a name of an earlier version is read as the one that took its place, and that the
// processor says so.
func TestOldNames(t *testing.T) {
	for old, test := range map[string]struct {
		value   any
		want    func(*Config)
		renamed string
	}{
		"host":           {"openwhisk.example.com", func(c *Config) { c.ClientConfig.Endpoint = "openwhisk.example.com" }, "host is called endpoint now"},
		"auth":           {"user:password", func(c *Config) { c.Key = "user:password" }, "auth is called key now"},
		"auth_file":      {"/run/key", func(c *Config) { c.KeyFile = "/run/key" }, "auth_file is called key_file now"},
		"retry::initial": {"1s", func(c *Config) { c.Retry.BackOff.InitialInterval = time.Second }, "retry::initial is called retry::initial_interval now"},
		"retry::maximum": {"1m", func(c *Config) { c.Retry.BackOff.MaxInterval = time.Minute }, "retry::maximum is called retry::max_interval now"},
		"retry::total":   {"1h", func(c *Config) { c.Retry.BackOff.MaxElapsedTime = time.Hour }, "retry::total is called retry::max_elapsed_time now"},
	} {
		want, got := createDefaultConfig().(*Config), createDefaultConfig().(*Config)
		test.want(want)
		want.renamed = []string{test.renamed}
		require.NoError(t, confmap.NewFromStringMap(map[string]any{old: test.value}).Unmarshal(got), old)
		require.Equal(t, want, got, old)

		_, name, _ := strings.Cut(strings.TrimSuffix(test.renamed, " now"), " is called ")
		both := confmap.NewFromStringMap(map[string]any{old: test.value, name: test.value})
		require.ErrorContains(t, both.Unmarshal(createDefaultConfig()), old+" and "+name+" are the same setting: give only "+name)
	}
	// These have kept their names.
	got := createDefaultConfig().(*Config)
	require.NoError(t, confmap.NewFromStringMap(map[string]any{
		"timeout": "7s", "tls": map[string]any{"insecure_skip_verify": true}, "retry::multiplier": 3, "retry::outage": "1h",
	}).Unmarshal(got))
	require.Empty(t, got.renamed)
	require.Equal(t, 7*time.Second, got.ClientConfig.Timeout)
	require.True(t, got.ClientConfig.TLS.InsecureSkipVerify)
	require.Equal(t, 3.0, got.Retry.BackOff.Multiplier)
	require.Equal(t, time.Hour, got.Retry.Outage)
}

// TestUnknownSetting checks that the error names the setting that does not exist.
// TestScheduleShorterThanItsPauses checks that a schedule whose end comes before its longest pause, by the default of the other, is valid,
// as it was in earlier versions.
func TestScheduleShorterThanItsPauses(t *testing.T) {
	for name, retry := range map[string]map[string]any{
		"total 3s": {"total": "3s"}, "maximum 3m": {"maximum": "3m"}, "max_elapsed_time 3s": {"max_elapsed_time": "3s"},
	} {
		c := createDefaultConfig().(*Config)
		require.NoError(t, confmap.NewFromStringMap(map[string]any{"key": "user:password", "retry": retry}).Unmarshal(c), name)
		require.NoError(t, confmap.Validate(c), name)
		require.LessOrEqual(t, c.Retry.BackOff.MaxInterval, c.Retry.BackOff.MaxElapsedTime, name)
	}
	c := createDefaultConfig().(*Config)
	err := confmap.NewFromStringMap(map[string]any{"retry": map[string]any{"total": "0s"}}).Unmarshal(c)
	require.ErrorContains(t, err, "retry::total: must be positive, and is 0s")
}

// TestKeyInNoError checks that a key that YAML reads as something else than a text is read as a key, or refused without being shown.
func TestKeyInNoError(t *testing.T) {
	for _, key := range []any{map[string]any{"SECRETUSER": "SECRETPASS"}, map[string]any{"SECRET": nil}, true, []any{"SECRET"}} {
		c := createDefaultConfig().(*Config)
		err := confmap.NewFromStringMap(map[string]any{"auth": key}).Unmarshal(c)
		if err == nil {
			err = confmap.Validate(c)
		}
		require.Error(t, err)
		require.NotContains(t, err.Error(), "SECRET")
		require.NotContains(t, err.Error(), "decoding failed")
	}
}

func TestUnknownSetting(t *testing.T) {
	for _, key := range []string{"hots", "retry::inital_interval", "initial_interval", "tls::insecure_skip_verification"} {
		err := confmap.NewFromStringMap(map[string]any{key: "x", "host": "openwhisk"}).Unmarshal(createDefaultConfig())
		require.ErrorContains(t, err, "has invalid keys: "+key[strings.LastIndex(key, ":")+1:])
	}
}

// TestWrongExtension checks that a map under auth that names no extension is explained; its keys may be a part of a key, and are not shown.
func TestWrongExtension(t *testing.T) {
	err := confmap.NewFromStringMap(map[string]any{"auth::authenticate": "basicauth"}).Unmarshal(createDefaultConfig())
	require.ErrorContains(t, err, "auth: give the name of an extension (auth: {authenticator: NAME})")
}

// TestValidateExplains checks that errors say which value is wrong and what it may be.
func TestValidateExplains(t *testing.T) {
	for id, want := range map[string][]string{
		"openwhisk/no_key":             {"key: the key of OpenWhisk is missing"},
		"openwhisk/two_keys":           {"key, key_file and auth: only one"},
		"openwhisk/key_and_extension":  {"key, key_file and auth: only one"},
		"openwhisk/half_a_key":         {"key: the key must be of the form user:password"},
		"openwhisk/old_everything_bad": {`endpoint: "ftp://openwhisk": the scheme ftp is neither http nor https`, "key: the key contains white space"},
		"openwhisk/everything_wrong": {
			`endpoint: "ftp://openwhisk": the scheme ftp is neither http nor https`, "key: the key contains white space", "concurrency: must be at least 1",
			"timeout: must be positive", "retry::enabled", "retry::initial_interval: must be positive", "retry::multiplier: must be from 1 to 100",
			"retry::max_interval", "'randomization_factor' must be within [0, 1]", "retry::outage", "compression: ", "circuit::failures", "circuit::pause",
			"circuit::maximum_pause", "cache::size", "pending::spans", "pending::bytes", "pending::retry_after",
			`on_missing: "keep" is neither pass_on nor drop`, "shutdown_timeout",
		},
		"openwhisk/short": {"'max_elapsed_time' must not be less than 'max_interval'"},
	} {
		c, err := load(t, id)
		require.NoError(t, err)
		err = confmap.Validate(c)
		for _, part := range want {
			require.ErrorContains(t, err, part, id)
		}
		require.NotContains(t, err.Error(), "pass word", "the key stands in the error")
		require.NotContains(t, fmt.Sprintf("%+v", c), "pass word")
	}
}

func TestParseEndpoint(t *testing.T) {
	for endpoint, want := range map[string]string{
		"http://127.0.0.1:3233":         "http://127.0.0.1:3233",
		"openwhisk.example.com":         "https://openwhisk.example.com",
		"openwhisk.example.com:31001":   "https://openwhisk.example.com:31001",
		"https://ow.example.com/":       "https://ow.example.com",
		"https://ow.example.com/api/v1": "https://ow.example.com/api/v1",
		"https://example.com/whisk/":    "https://example.com/whisk",
		"":                              "missing",
		"https://":                      "has no host",
		"https://user:secret@host":      "the key belongs into key",
		"https://user:secret@host?a":    "an address ends with its host or path",
		"http://[::1":                   "no address",
		"unix:///run/openwhisk.sock":    "neither http nor https",
	} {
		u, err := parseEndpoint(endpoint)
		got := fmt.Sprint(u)
		if err != nil {
			got = err.Error()
		}
		require.True(t, strings.HasSuffix(got, want) || err != nil && strings.Contains(got, want), "%q: %s, want %s", endpoint, got, want)
		require.NotContains(t, got, "secret")
	}
}

// TestIntervalsAreRandomised checks that the lookups of spans that came together spread, around the configured intervals.
func TestIntervalsAreRandomised(t *testing.T) {
	retry := createDefaultConfig().(*Config).Retry
	retry.BackOff.RandomizationFactor = 0.5
	seen := map[time.Duration]bool{}
	for range 100 {
		b := retry.backOff()
		d := b.NextBackOff()
		require.InDelta(t, retry.BackOff.InitialInterval, d, float64(retry.BackOff.InitialInterval/2)+1)
		seen[d] = true
	}
	require.Greater(t, len(seen), 10)
}
