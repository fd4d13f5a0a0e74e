package zipkinexporter

import (
	"errors"
	"fmt"

	contrib "github.com/open-telemetry/opentelemetry-collector-contrib/exporter/zipkinexporter"
	"go.opentelemetry.io/collector/component"
)

// Config says where Zipkin is and what it takes. createDefaultConfig has the defaults.
type Config struct {
	// Config has the settings of the exporter of the Collector's contributions: endpoint and all others of an HTTP client, format,
	// default_service_name, sending_queue, and retry_on_failure.
	contrib.Config `mapstructure:",squash"`
	// MaxRequestBytes bounds the body of a request, before compression. A single span may be larger.
	MaxRequestBytes int `mapstructure:"max_request_bytes"`
	// SetAside says what becomes of spans that Zipkin refuses for good.
	SetAside SetAsideConfig `mapstructure:"set_aside"`
}

// SetAsideConfig names the folder for spans that cannot be exported; without one they are dropped, logged and counted. The oldest files
// are removed when there are more than MaxFiles, or they have more than MaxBytes together.
type SetAsideConfig struct {
	Directory string `mapstructure:"directory"`
	MaxFiles  int    `mapstructure:"max_files"`
	MaxBytes  int64  `mapstructure:"max_bytes"`
}

func createDefaultConfig() component.Config {
	return &Config{
		Config:          *contrib.NewFactory().CreateDefaultConfig().(*contrib.Config),
		MaxRequestBytes: 5 << 20, // Zipkin's own limit is 10 MiB
		SetAside:        SetAsideConfig{MaxFiles: 1000, MaxBytes: 64 << 20},
	}
}

// Validate reports each value that is not allowed, with those that are.
func (c *Config) Validate() error {
	var errs []error
	if err := c.Config.Validate(); err != nil {
		errs = append(errs, err)
	}
	if c.Format != "json" && c.Format != "proto" {
		errs = append(errs, fmt.Errorf("format: %q is neither json nor proto", c.Format))
	}
	if c.MaxRequestBytes < 1 {
		errs = append(errs, fmt.Errorf("max_request_bytes: must be at least 1, and is %d", c.MaxRequestBytes))
	}
	if c.SetAside.MaxFiles < 1 {
		errs = append(errs, fmt.Errorf("set_aside::max_files: must be at least 1, and is %d", c.SetAside.MaxFiles))
	}
	if c.SetAside.MaxBytes < 1 {
		errs = append(errs, fmt.Errorf("set_aside::max_bytes: must be at least 1, and is %d", c.SetAside.MaxBytes))
	}
	return errors.Join(errs...)
}
