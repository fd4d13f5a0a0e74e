package sampler

import (
	"fmt"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// DefaultSeed is the seed of a sampling unless another is chosen.
const DefaultSeed = 1

// FileName returns the default name of a dataset. It contains the application and everything that was asked for, so that two samplings that
// differ never overwrite each other: sequence_n1000_l2_u6.json, and in this order _b50_w120 for batches, _e2 for duration anomalies,
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

var fileName = regexp.MustCompile(`^(.+?)_n(\d+)_l([\d.]+)_u([\d.]+)(?:_b(\d+)_w([\d.]+))?(?:_e(\d+))?(?:_m(\d+))?(_r)?(?:_seed(\d+))?\.json$`)

// ParseFileName returns the application and the config of a name that FileName has made. A folder before it, and _openwhisk and .gz at its
// end, are allowed. Any other name is an error.
func ParseFileName(path string) (application string, config Config, err error) {
	name, _ := strings.CutSuffix(filepath.Base(path), ".gz")
	name = strings.Replace(name, "_openwhisk.json", ".json", 1)
	m := fileName.FindStringSubmatch(name)
	if m == nil {
		return "", Config{}, fmt.Errorf("%s: not the name of a sampling, as in sequence_n1000_l2_u6.json", path)
	}
	integer := func(s string, bits int) uint64 {
		n := uint64(0)
		if s != "" && err == nil {
			n, err = strconv.ParseUint(s, 10, bits)
		}
		return n
	}
	duration := func(s string) time.Duration {
		d := time.Duration(0)
		if s != "" && err == nil {
			d, err = time.ParseDuration(s + "s")
		}
		return d
	}
	config = Config{
		Requests: int(integer(m[2], strconv.IntSize-1)), MinInterval: duration(m[3]), MaxInterval: duration(m[4]),
		BatchSize: int(integer(m[5], strconv.IntSize-1)), BatchPause: duration(m[6]),
		Anomalies: int(integer(m[7], strconv.IntSize-1)), Missing: int(integer(m[8], strconv.IntSize-1)),
		RandomDurations: m[9] != "", Seed: DefaultSeed,
	}
	if m[10] != "" {
		config.Seed = integer(m[10], 64)
	}
	if again := FileName(m[1], config); err == nil && again != name {
		err = fmt.Errorf("it would be named %s", again)
	}
	if err != nil {
		return "", Config{}, fmt.Errorf("%s: %w", path, err)
	}
	return m[1], config, nil
}

// seconds formats a time in seconds, as the shortest decimal number.
func seconds(d time.Duration) string { return strconv.FormatFloat(d.Seconds(), 'f', -1, 64) }
