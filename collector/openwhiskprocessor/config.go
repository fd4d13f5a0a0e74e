package openwhiskprocessor

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v7"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/config/configopaque"
	"go.opentelemetry.io/collector/config/configtls"
)

// Config says where the records of activations are and how long to wait for them. createDefaultConfig has the defaults.
type Config struct {
	// Host is the base URL of the OpenWhisk API, like https://openwhisk.example.com; without a scheme it is https.
	Host string `mapstructure:"host"`
	// Auth is the key, user:password. AuthFile is a file that contains it, read again when OpenWhisk refuses it. Of the two
	// one may be given.
	Auth     configopaque.String `mapstructure:"auth"`
	AuthFile string              `mapstructure:"auth_file"`
	// TLS of the connection.
	TLS configtls.ClientConfig `mapstructure:"tls"`

	// Concurrency is the number of lookups made at a time.
	Concurrency int `mapstructure:"concurrency"`
	// Timeout bounds one lookup.
	Timeout time.Duration `mapstructure:"timeout"`
	// Retry says when a record that is not there yet is asked for again.
	Retry RetryConfig `mapstructure:"retry"`
	// Circuit says when OpenWhisk is left alone for a while.
	Circuit CircuitConfig `mapstructure:"circuit"`
	// Cache keeps records for spans that come twice.
	Cache CacheConfig `mapstructure:"cache"`
	// Pending bounds what waits.
	Pending PendingConfig `mapstructure:"pending"`
	// OnMissing says what to do with a span whose record never comes.
	OnMissing OnMissing `mapstructure:"on_missing"`
	// StartupCheck makes the start fail if OpenWhisk cannot be reached or refuses the key.
	StartupCheck bool `mapstructure:"startup_check"`
	// ShutdownTimeout is how long waiting spans are still looked up when the collector stops.
	ShutdownTimeout time.Duration `mapstructure:"shutdown_timeout"`
	// Storage is a storage extension in which waiting spans survive the end of the process, however it ends.
	Storage *component.ID `mapstructure:"storage"`
}

// RetryConfig is a schedule of lookups: after Initial, then each time Multiplier times later, at most Maximum, until Total
// has passed since the first. Time in which OpenWhisk is not to be reached does not count, up to Outage.
type RetryConfig struct {
	Initial    time.Duration `mapstructure:"initial"`
	Multiplier float64       `mapstructure:"multiplier"`
	Maximum    time.Duration `mapstructure:"maximum"`
	Total      time.Duration `mapstructure:"total"`
	Outage     time.Duration `mapstructure:"outage"`
}

// backOff returns the intervals between the lookups of one activation.
func (c *RetryConfig) backOff() backoff.ExponentialBackOff {
	return backoff.ExponentialBackOff{InitialInterval: c.Initial, Multiplier: c.Multiplier, MaxInterval: c.Maximum}
}

// exhausted reports whether a record is missing after having been waited for so long.
func (c *RetryConfig) exhausted(waited time.Duration) bool { return waited >= c.Total }

// CircuitConfig is a circuit breaker: after Failures lookups in a row that failed (a missing record is no failure) none is
// made for Pause, then one to try; if that fails too, the pause doubles, up to MaximumPause.
type CircuitConfig struct {
	Failures     int           `mapstructure:"failures"`
	Pause        time.Duration `mapstructure:"pause"`
	MaximumPause time.Duration `mapstructure:"maximum_pause"`
}

// CacheConfig bounds the cache of records: their number, 0 for no cache, and their age.
type CacheConfig struct {
	Size int           `mapstructure:"size"`
	TTL  time.Duration `mapstructure:"ttl"`
}

// PendingConfig bounds the spans that wait, in number and in bytes (as OTLP). Senders of more are asked to come again after
// RetryAfter.
type PendingConfig struct {
	Spans      int           `mapstructure:"spans"`
	Bytes      int           `mapstructure:"bytes"`
	RetryAfter time.Duration `mapstructure:"retry_after"`
}

// OnMissing is what happens to a span whose record never comes.
type OnMissing string

// A span without a record is passed on, with the attribute openwhisk.record, or dropped.
const (
	PassOn OnMissing = "pass_on"
	Drop   OnMissing = "drop"
)

func createDefaultConfig() component.Config {
	return &Config{
		Host:        "http://127.0.0.1:3233",
		TLS:         configtls.NewDefaultClientConfig(),
		Concurrency: 16,
		Timeout:     5 * time.Second,
		Retry: RetryConfig{
			Initial: 50 * time.Millisecond, Multiplier: 1.6, Maximum: 5 * time.Second, Total: 2 * time.Minute, Outage: 30 * time.Minute,
		},
		Circuit:         CircuitConfig{Failures: 10, Pause: time.Second, MaximumPause: 30 * time.Second},
		Cache:           CacheConfig{Size: 10_000, TTL: 5 * time.Minute},
		Pending:         PendingConfig{Spans: 100_000, Bytes: 256 << 20, RetryAfter: time.Second},
		OnMissing:       PassOn,
		StartupCheck:    true,
		ShutdownTimeout: 5 * time.Second,
	}
}

// Validate reports every value that cannot be, with what could.
func (c *Config) Validate() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if _, err := baseURL(c.Host); err != nil {
		errs = append(errs, err)
	}
	switch {
	case c.Auth != "" && c.AuthFile != "":
		bad("auth and auth_file: only one of them can be given")
	case c.Auth == "" && c.AuthFile == "":
		bad("auth: the key is missing; give auth (user:password, or ${env:OW_AUTH}) or auth_file")
	case c.Auth != "":
		if err := checkKey(string(c.Auth)); err != nil {
			bad("auth: %w", err)
		}
	}
	positive := func(name string, d time.Duration) {
		if d <= 0 {
			bad("%s: must be positive, and is %v", name, d)
		}
	}
	if c.Concurrency < 1 {
		bad("concurrency: must be at least 1, and is %d", c.Concurrency)
	}
	positive("timeout", c.Timeout)
	positive("retry::initial", c.Retry.Initial)
	if !(c.Retry.Multiplier >= 1 && c.Retry.Multiplier <= 100) {
		bad("retry::multiplier: must be from 1 to 100, and is %v", c.Retry.Multiplier)
	}
	if c.Retry.Maximum < c.Retry.Initial {
		bad("retry::maximum: must be at least retry::initial (%v), and is %v", c.Retry.Initial, c.Retry.Maximum)
	}
	positive("retry::total", c.Retry.Total)
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

// baseURL is the URL of the API.
func baseURL(host string) (*url.URL, error) {
	if host == "" {
		return nil, errors.New("host: the address of OpenWhisk is missing, like https://openwhisk.example.com")
	}
	full := host
	if !strings.Contains(host, "://") {
		full = "https://" + host
	}
	u, err := url.Parse(full)
	switch {
	case err != nil:
		return nil, fmt.Errorf("host: %q is no address: %w", host, errors.Unwrap(err))
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, fmt.Errorf("host: %q is neither http nor https", host)
	case u.Host == "":
		return nil, fmt.Errorf("host: %q names no host", host)
	case u.User != nil:
		return nil, errors.New("host: the key belongs into auth or auth_file, not into the address")
	}
	u.Path = strings.TrimSuffix(strings.TrimSuffix(strings.TrimSuffix(u.Path, "/"), "/api/v1"), "/") + "/api"
	return u, nil
}

// checkKey says what is wrong with a key without showing it.
func checkKey(key string) error {
	if user, password, ok := strings.Cut(key, ":"); !ok || user == "" || password == "" {
		return errors.New("the key must be user:password")
	}
	if strings.ContainsFunc(key, func(r rune) bool { return r <= ' ' || r == 0x7f }) {
		return errors.New("the key contains white space or control characters")
	}
	return nil
}
