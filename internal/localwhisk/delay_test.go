package localwhisk

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"gonum.org/v1/gonum/stat/distuv"
)

// TestDelayDrawsFollowCDF compares the empirical distribution of draws with the CDF, by a Kolmogorov–Smirnov test at the level 0.001.
func TestDelayDrawsFollowCDF(t *testing.T) {
	const ms = time.Millisecond
	for _, tt := range []struct {
		name  string
		delay Delay
		load  int
	}{
		{"log-normal", Delay{Median: 100 * ms, Sigma: 0.5}, 0},
		{"shifted", Delay{Min: 70 * ms, Median: 100 * ms, Sigma: 0.5}, 0},
		{"under load", Delay{Median: 100 * ms, MedianPerLoad: 20 * ms, Sigma: 0.5}, 7},
		{"with a tail", Delay{Median: 100 * ms, Sigma: 0.1, TailShare: 0.1, TailMedian: 300 * ms, TailSigma: 1}, 0},
		{"with a tail under load", Delay{Median: 100 * ms, Sigma: 0.1, TailSharePerLoad: 0.04, TailMedian: 30 * ms, TailMedianPerLoad: 90 * ms, TailSigma: 0.3}, 9},
		{"a load for which all is tail", Delay{Median: 100 * ms, TailSharePerLoad: 0.2, TailMedian: 300 * ms, TailSigma: 1}, 9},
		{"in steps", Delay{Min: 10 * ms, Median: 250 * ms, Sigma: 0.5, Step: 100 * ms, TailShare: 0.3, TailMedian: 900 * ms, TailSigma: 0.2}, 0},
		{"constant", Delay{Min: 10 * ms}, 0},
		{"constant in two parts", Delay{Min: 10 * ms, Median: 5 * ms, MedianPerLoad: ms}, 3},
		{"creation by default", DefaultConfig().Creation, 20},
	} {
		t.Run(tt.name, func(t *testing.T) {
			const n = 5000
			src := rand.New(rand.NewPCG(1, 2))
			draws := make([]time.Duration, n)
			for i := range draws {
				draws[i] = tt.delay.draw(src, tt.load)
			}
			slices.Sort(draws)
			worst := 0.0
			for i := 0; i < n; {
				// Equal draws are one step of the empirical distribution. A draw is rounded down to a nanosecond.
				j := i
				for j < n && draws[j]-draws[i] <= 1 {
					j++
				}
				worst = max(worst, math.Abs(tt.delay.CDF(draws[j-1]+1, tt.load)-float64(j)/n), math.Abs(tt.delay.CDF(draws[i]-2, tt.load)-float64(i)/n))
				i = j
			}
			if critical := 1.95 / math.Sqrt(n); worst > critical {
				t.Errorf("draws and CDF are %.4f apart, more than %.4f", worst, critical)
			}
		})
	}
}

// TestDelayQuartiles checks the CDF against quartiles known in closed form.
func TestDelayQuartiles(t *testing.T) {
	d := Delay{Min: time.Second, Median: 2 * time.Second, MedianPerLoad: time.Second, Sigma: 0.7}
	for _, load := range []int{0, 1, 5} {
		for _, p := range []float64{0.25, 0.5, 0.75} {
			x := 1 + float64(2+load)*math.Exp(0.7*distuv.UnitNormal.Quantile(p))
			if got := d.CDF(time.Duration(x*float64(time.Second)), load); math.Abs(got-p) > 1e-8 {
				t.Errorf("CDF of the %v-quantile under load %d is %v", p, load, got)
			}
		}
	}
	if got := d.CDF(time.Second-1, 0); got != 0 {
		t.Errorf("CDF before Min is %v", got)
	}
}

// TestConfigValidate checks the errors for invalid configurations.
func TestConfigValidate(t *testing.T) {
	if err := DefaultConfig().Validate(); err != nil {
		t.Errorf("the default: %v", err)
	}
	for _, tt := range []struct {
		change func(*Config)
		want   string
	}{
		{func(c *Config) { c.MemoryMB = 0; c.FunctionMemoryMB = 0 }, "MemoryMB is 0, must be positive"},
		{func(c *Config) { c.FunctionMemoryMB = 0 }, "FunctionMemoryMB is 0, must be from 1 to MemoryMB"},
		{func(c *Config) { c.MemoryMB = 128 }, "FunctionMemoryMB is 256, must be from 1 to MemoryMB (128)"},
		{func(c *Config) { c.StemCells = -1 }, "StemCells is -1"},
		{func(c *Config) { c.ParallelCreations = -1 }, "ParallelCreations is -1"},
		{func(c *Config) { c.Capacity = -1 }, "Capacity is -1"},
		{func(c *Config) { c.Removal.Sigma = -1 }, "Removal: Sigma is -1"},
		{func(c *Config) { c.IdleTimeout = -time.Second }, "IdleTimeout is -1s"},
		{func(c *Config) { c.PauseGrace = -time.Second }, "PauseGrace is -1s"},
		{func(c *Config) { c.FirstCallPerInit = math.NaN() }, "FirstCallPerInit is NaN"},
		{func(c *Config) { c.Init.Min = 0 }, "Init: Min is 0s, must be at least 1ms"},
		{func(c *Config) { c.Creation.Median = -1 }, "Creation: Median is -1ns, must not be negative"},
		{func(c *Config) { c.Dispatch.Step = -1 }, "Dispatch: Step is -1ns"},
		{func(c *Config) { c.Logs.Sigma = math.Inf(1) }, "Logs: Sigma is +Inf"},
		{func(c *Config) { c.Call.TailShare = 1.5 }, "Call: TailShare is 1.5, must be from 0 to 1"},
		{func(c *Config) { c.FirstCall.TailSharePerLoad = math.NaN() }, "FirstCall: TailSharePerLoad is NaN"},
		{func(c *Config) { c.StemCell.TailMedian = -1 }, "StemCell: TailMedian is -1ns"},
		{func(c *Config) { c.Unpause.TailMedianPerLoad = -1 }, "Unpause: TailMedianPerLoad is -1ns"},
		{func(c *Config) { c.RunStart.TailSigma = -1 }, "RunStart: TailSigma is -1"},
		{func(c *Config) { c.Creation.MedianPerLoad = -1 }, "Creation: MedianPerLoad is -1ns"},
	} {
		c := DefaultConfig()
		tt.change(&c)
		err := c.Validate()
		if err == nil || !strings.Contains(err.Error(), "localwhisk: config: "+tt.want) {
			t.Errorf("error %v, want one that says %q", err, tt.want)
		}
		if _, err := New(NewVirtualClock(epoch), c, 1); err == nil {
			t.Errorf("New took a configuration whose %s", tt.want)
		}
	}
}
