package sampler

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// DefaultSeed is the seed of a sampling for which none was chosen.
const DefaultSeed = 1

// FileName names a dataset after the application and everything that was asked for, so that two samplings that differ never
// take each other's place: sequence_n1000_l2_u6.json, and in this order _b50_w120 for batches, _e2 for duration anomalies,
// _m1 for missing functions, _r for random durations, and _seed7 for a seed other than DefaultSeed. Times are in seconds.
func FileName(application string, config Config) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s_n%d_l%s_u%s", application, config.Requests, seconds(config.MinInterval), seconds(config.MaxInterval))
	if config.BatchSize > 0 {
		fmt.Fprintf(&b, "_b%d_w%s", config.BatchSize, seconds(config.BatchPause))
	}
	if config.Anomalies > 0 {
		fmt.Fprintf(&b, "_e%d", config.Anomalies)
	}
	if config.Missing > 0 {
		fmt.Fprintf(&b, "_m%d", config.Missing)
	}
	if config.RandomDurations {
		b.WriteString("_r")
	}
	if config.Seed != DefaultSeed {
		fmt.Fprintf(&b, "_seed%d", config.Seed)
	}
	return b.String() + ".json"
}

// seconds writes a time as the shortest decimal.
func seconds(d time.Duration) string { return strconv.FormatFloat(d.Seconds(), 'f', -1, 64) }
