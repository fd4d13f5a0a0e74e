package filestorage

import (
	"errors"
	"fmt"

	contrib "github.com/open-telemetry/opentelemetry-collector-contrib/extension/storage/filestorage"
	"go.opentelemetry.io/collector/component"
)

// Config says where the files are.
type Config struct {
	// Config has the settings of the extension of the Collector's contributions: directory, timeout, max_size, compaction, fsync and so on.
	contrib.Config `mapstructure:",squash"`
	// ReserveMiB is the room on the volume, in MiB, below which new data is refused; on a small volume it is a quarter of that. Half of it is
	// left to data that moves from one file to another, as spans do from the openwhisk processor to the exporter's queue. 0 disables the
	// reserve.
	ReserveMiB int64 `mapstructure:"reserve_mib"`
}

func createDefaultConfig() component.Config {
	return &Config{Config: *contrib.NewFactory().CreateDefaultConfig().(*contrib.Config), ReserveMiB: 16}
}

// Validate reports each value that is not allowed, with those that are.
func (c *Config) Validate() error {
	var errs []error
	if err := c.Config.Validate(); err != nil {
		errs = append(errs, err)
	}
	if c.ReserveMiB < 0 || c.ReserveMiB > 1<<20 {
		errs = append(errs, fmt.Errorf("reserve_mib: must be from 0 to %d, and is %d", 1<<20, c.ReserveMiB))
	}
	return errors.Join(errs...)
}
