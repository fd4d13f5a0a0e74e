package openwhiskprocessor

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v7"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/config/confighttp"
	"go.opentelemetry.io/collector/config/configopaque"
	"go.opentelemetry.io/collector/config/configretry"
	"go.opentelemetry.io/collector/confmap"

	"github.com/tppfaas/tppfaas/internal/whisk"
)

// Config says where the records of activations are and how long to wait for them. createDefaultConfig has the defaults.
type Config struct {
	// ClientConfig holds the settings of the HTTP client, which are those of every component of the Collector: endpoint, timeout,
	// tls, proxy_url, headers, auth and so on. Endpoint is the base URL of the OpenWhisk API, like https://openwhisk.example.com;
	// without a scheme it is https. Timeout bounds one lookup.
	ClientConfig confighttp.ClientConfig `mapstructure:",squash"`
	// Key is the key of OpenWhisk, user:password. KeyFile is the name of a file that contains it, which is read again when
	// OpenWhisk refuses the key. Exactly one of Key, KeyFile, and ClientConfig.Auth, an extension that authenticates, is needed; an
	// OpenWhisk on this machine is asked with the key of the local platform where there is none, see whisk.LocalKey.
	Key     configopaque.String `mapstructure:"key"`
	KeyFile string              `mapstructure:"key_file"`

	// Concurrency is the number of concurrent lookups.
	Concurrency int `mapstructure:"concurrency"`
	// Retry is the schedule of lookups of a record that is not there yet.
	Retry RetryConfig `mapstructure:"retry"`
	// Circuit suspends lookups while OpenWhisk fails.
	Circuit CircuitConfig `mapstructure:"circuit"`
	// Cache keeps records for further spans of the same activations.
	Cache CacheConfig `mapstructure:"cache"`
	// Pending bounds the spans that wait.
	Pending PendingConfig `mapstructure:"pending"`
	// OnMissing says what to do with a span whose record never comes.
	OnMissing OnMissing `mapstructure:"on_missing"`
	// StartupCheck makes Start fail if OpenWhisk cannot be reached or refuses the key.
	StartupCheck bool `mapstructure:"startup_check"`
	// ShutdownTimeout is how long waiting spans are still looked up when the collector stops.
	ShutdownTimeout time.Duration `mapstructure:"shutdown_timeout"`
	// Storage is a storage extension in which waiting spans survive the end of the process, however it ends.
	Storage *component.ID `mapstructure:"storage"`

	renamed []string // the settings that were given by old names: "old is called new now"
}

// RetryConfig is a schedule of lookups with exponential backoff. After MaxElapsedTime the record counts as missing, or its lookup as
// failed; 0 waits for ever. Time for which the circuit suspends lookups does not count, up to Outage; then the spans go on without a
// record.
type RetryConfig struct {
	BackOff configretry.BackOffConfig `mapstructure:",squash"`
	Outage  time.Duration             `mapstructure:"outage"`
}

// backOff returns the intervals between the lookups of one activation.
func (c *RetryConfig) backOff() backoff.ExponentialBackOff {
	return backoff.ExponentialBackOff{
		InitialInterval: c.BackOff.InitialInterval, RandomizationFactor: c.BackOff.RandomizationFactor,
		Multiplier: c.BackOff.Multiplier, MaxInterval: c.BackOff.MaxInterval,
	}
}

// exhausted reports whether a record counts as missing after the given time.
func (c *RetryConfig) exhausted(waited time.Duration) bool {
	return c.BackOff.MaxElapsedTime > 0 && waited >= c.BackOff.MaxElapsedTime
}

// CircuitConfig configures a circuit breaker: after Failures lookups in a row that failed, none is made for Pause. Then one lookup is made
// as a trial; if it fails too, the pause doubles, up to MaximumPause. A record that is missing or malformed is no failure, and lookups that
// fail with 500 or time out count once per activation.
type CircuitConfig struct {
	Failures     int           `mapstructure:"failures"`
	Pause        time.Duration `mapstructure:"pause"`
	MaximumPause time.Duration `mapstructure:"maximum_pause"`
}

// CacheConfig bounds the cache of records: their number (0 disables the cache) and their age.
type CacheConfig struct {
	Size int           `mapstructure:"size"`
	TTL  time.Duration `mapstructure:"ttl"`
}

// PendingConfig bounds the spans that wait, by number and by size in OTLP. Senders of more are asked to retry after RetryAfter.
type PendingConfig struct {
	Spans      int           `mapstructure:"spans"`
	Bytes      int           `mapstructure:"bytes"`
	RetryAfter time.Duration `mapstructure:"retry_after"`
}

// OnMissing says what to do with a span whose record never comes.
type OnMissing string

// The values of OnMissing.
const (
	PassOn OnMissing = "pass_on" // deliver the span, with the reason in the attribute openwhisk.record
	Drop   OnMissing = "drop"
)

func createDefaultConfig() component.Config {
	client := confighttp.NewDefaultClientConfig()
	client.Endpoint = "http://127.0.0.1:3233"
	client.Timeout = 5 * time.Second
	retry := RetryConfig{BackOff: configretry.NewDefaultBackOffConfig(), Outage: 30 * time.Minute}
	retry.BackOff.InitialInterval = 50 * time.Millisecond
	retry.BackOff.Multiplier = 1.6
	retry.BackOff.MaxInterval = 5 * time.Second
	retry.BackOff.MaxElapsedTime = 2 * time.Minute
	return &Config{
		ClientConfig:    client,
		Concurrency:     16,
		Retry:           retry,
		Circuit:         CircuitConfig{Failures: 10, Pause: time.Second, MaximumPause: 30 * time.Second},
		Cache:           CacheConfig{Size: 10_000, TTL: 5 * time.Minute},
		Pending:         PendingConfig{Spans: 100_000, Bytes: 256 << 20, RetryAfter: time.Second},
		OnMissing:       PassOn,
		StartupCheck:    true,
		ShutdownTimeout: 5 * time.Second,
	}
}

// Unmarshal reads the configuration. Settings may have the names of earlier versions.
func (c *Config) Unmarshal(conf *confmap.Conf) error {
	old, err := takeOldNames(conf)
	if err != nil {
		return err
	}
	if err := conf.Unmarshal(c); err != nil {
		return err
	}
	for _, setting := range old {
		setting.apply(c)
		c.renamed = append(c.renamed, fmt.Sprintf("%s is called %s now", setting.old, setting.name))
	}
	// The end of the schedule bounds its pauses too. configretry refuses a longer pause, which the other default may be.
	if retry := &c.Retry.BackOff; retry.MaxElapsedTime > 0 && !(conf.IsSet("retry::max_interval") && conf.IsSet("retry::max_elapsed_time")) {
		retry.MaxInterval = min(retry.MaxInterval, retry.MaxElapsedTime)
	}
	return nil
}

// oldName is a setting that was given by a name of an earlier version.
type oldName struct {
	old, name string
	apply     func(*Config)
}

// takeOldNames removes the settings with old names from conf and returns them. A setting that is given by both of its names is an
// error.
func takeOldNames(conf *confmap.Conf) ([]oldName, error) {
	var values struct {
		Host     string              `mapstructure:"host"`
		Auth     configopaque.String `mapstructure:"auth"`
		AuthFile string              `mapstructure:"auth_file"`
		Retry    struct {
			Initial time.Duration `mapstructure:"initial"`
			Maximum time.Duration `mapstructure:"maximum"`
			Total   time.Duration `mapstructure:"total"`
		} `mapstructure:"retry"`
	}
	names := []oldName{
		{"host", "endpoint", func(c *Config) { c.ClientConfig.Endpoint = values.Host }},
		{"auth_file", "key_file", func(c *Config) { c.KeyFile = values.AuthFile }},
		{"retry::initial", "retry::initial_interval", func(c *Config) { c.Retry.BackOff.InitialInterval = values.Retry.Initial }},
		{"retry::maximum", "retry::max_interval", func(c *Config) { c.Retry.BackOff.MaxInterval = values.Retry.Maximum }},
		{"retry::total", "retry::max_elapsed_time", func(c *Config) { c.Retry.BackOff.MaxElapsedTime = values.Retry.Total }},
	}
	given := confmap.New()
	if err := given.Merge(conf); err != nil {
		return nil, err
	}
	// auth was the key as a text; it is a map with the name of an extension now. A key from the environment may look like something
	// else than a text, and stands in no error.
	if extension, isMap := conf.Get("auth").(map[string]any); isMap && extension["authenticator"] != nil {
		given.Delete("auth")
	} else {
		names = append(names, oldName{"auth", "key", func(c *Config) { c.Key = values.Auth }})
		var text struct {
			Auth configopaque.String `mapstructure:"auth"`
		}
		if err := given.Unmarshal(&text, confmap.WithIgnoreUnused()); err != nil {
			return nil, errors.New("auth: give the name of an extension (auth: {authenticator: NAME}); a key belongs into key or key_file")
		}
	}
	if err := given.Unmarshal(&values, confmap.WithIgnoreUnused()); err != nil {
		return nil, err
	}
	if conf.IsSet("retry::total") && values.Retry.Total <= 0 {
		return nil, fmt.Errorf("retry::total: must be positive, and is %v", values.Retry.Total)
	}
	var found []oldName
	var errs []error
	for _, n := range names {
		if !conf.IsSet(n.old) {
			continue
		}
		if conf.IsSet(n.name) {
			errs = append(errs, fmt.Errorf("%s and %s are the same setting: give only %s", n.old, n.name, n.name))
		}
		conf.Delete(n.old)
		found = append(found, n)
	}
	return found, errors.Join(errs...)
}

// Validate reports each value that is not allowed, with those that are.
func (c *Config) Validate() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	endpoint, err := parseEndpoint(c.ClientConfig.Endpoint)
	if err != nil {
		errs = append(errs, err)
	}
	given := 0
	for _, is := range []bool{c.Key != "", c.KeyFile != "", c.ClientConfig.Auth.HasValue()} {
		if is {
			given++
		}
	}
	switch {
	case given == 0 && endpoint != nil && whisk.IsLoopback(endpoint):
	case given == 0:
		bad("key: the key of OpenWhisk is missing; give key (user:password, or ${env:OW_AUTH}), key_file, or auth with an extension")
	case given > 1:
		bad("key, key_file and auth: only one of them can be given")
	case c.Key != "":
		if err := whisk.CheckKey(string(c.Key)); err != nil {
			bad("key: %w", err)
		}
	}
	if c.ClientConfig.Compression.IsCompressed() {
		bad("compression: lookups have no body that could be compressed; remove it")
	}
	positive := func(name string, d time.Duration) {
		if d <= 0 {
			bad("%s: must be positive, and is %v", name, d)
		}
	}
	if c.Concurrency < 1 {
		bad("concurrency: must be at least 1, and is %d", c.Concurrency)
	}
	positive("timeout", c.ClientConfig.Timeout)
	retry := c.Retry.BackOff // configretry checks the rest
	if !retry.Enabled {
		bad("retry::enabled: must be true: a record is seldom there at the first lookup")
	}
	positive("retry::initial_interval", retry.InitialInterval)
	if !(retry.Multiplier >= 1 && retry.Multiplier <= 100) {
		bad("retry::multiplier: must be from 1 to 100, and is %v", retry.Multiplier)
	}
	if retry.MaxInterval < retry.InitialInterval {
		bad("retry::max_interval: must be at least retry::initial_interval (%v), and is %v", retry.InitialInterval, retry.MaxInterval)
	}
	positive("retry::outage", c.Retry.Outage)
	if c.Circuit.Failures < 1 {
		bad("circuit::failures: must be at least 1, and is %d", c.Circuit.Failures)
	}
	positive("circuit::pause", c.Circuit.Pause)
	if c.Circuit.MaximumPause < c.Circuit.Pause {
		bad("circuit::maximum_pause: must be at least circuit::pause (%v), and is %v", c.Circuit.Pause, c.Circuit.MaximumPause)
	}
	if c.Cache.Size < 0 {
		bad("cache::size: must not be negative, and is %d", c.Cache.Size)
	}
	if c.Cache.Size > 0 {
		positive("cache::ttl", c.Cache.TTL)
	}
	if c.Pending.Spans < 1 {
		bad("pending::spans: must be at least 1, and is %d", c.Pending.Spans)
	}
	if c.Pending.Bytes < 1 {
		bad("pending::bytes: must be at least 1, and is %d", c.Pending.Bytes)
	}
	positive("pending::retry_after", c.Pending.RetryAfter)
	if c.OnMissing != PassOn && c.OnMissing != Drop {
		bad("on_missing: %q is neither %s nor %s", c.OnMissing, PassOn, Drop)
	}
	if c.ShutdownTimeout < 0 {
		bad("shutdown_timeout: must not be negative, and is %v", c.ShutdownTimeout)
	}
	return errors.Join(errs...)
}

// parseEndpoint returns the address of OpenWhisk.
func parseEndpoint(endpoint string) (*url.URL, error) {
	if endpoint == "" {
		return nil, errors.New("endpoint: the address of OpenWhisk is missing, like https://openwhisk.example.com")
	}
	u, err := whisk.ParseAddress(endpoint)
	switch {
	case err != nil && strings.Contains(endpoint, "@"):
		return nil, fmt.Errorf("endpoint: %w", err) // the address may contain a key
	case err != nil:
		return nil, fmt.Errorf("endpoint: %q: %w", endpoint, err)
	case u.User != nil:
		return nil, errors.New("endpoint: the key belongs into key or key_file, not into the address")
	}
	return u, nil
}
