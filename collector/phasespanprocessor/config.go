package phasespanprocessor

import (
	"errors"
	"fmt"

	"go.opentelemetry.io/collector/component"
)

// Config configures the names of the phase spans.
type Config struct {
	// Wait, Init and Exec are the names of the spans of the phases.
	Wait string `mapstructure:"wait"`
	Init string `mapstructure:"init"`
	Exec string `mapstructure:"exec"`
}

func createDefaultConfig() component.Config { return &Config{Wait: "wait", Init: "init", Exec: "exec"} }

// Validate reports empty and duplicate names.
func (c *Config) Validate() error {
	var errs []error
	seen := map[string]string{}
	for _, n := range []struct{ key, name string }{{"wait", c.Wait}, {"init", c.Init}, {"exec", c.Exec}} {
		if n.name == "" {
			errs = append(errs, fmt.Errorf("%s: the name of the span is empty", n.key))
		} else if other, ok := seen[n.name]; ok {
			errs = append(errs, fmt.Errorf("%s: the spans of %s have the name %q already", n.key, other, n.name))
		}
		seen[n.name] = n.key
	}
	return errors.Join(errs...)
}
