package localwhisk

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestPresetsAreValid checks that Validate accepts all presets.
func TestPresetsAreValid(t *testing.T) {
	for name, c := range map[string]Config{
		"cluster": DefaultConfig(), "standalone": StandaloneConfig(), "local": LocalConfig(), "real time": RealTimeConfig(512),
	} {
		if err := c.Validate(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestFitDelayFindsDelays checks that FitDelay finds the delay from which times in whole milliseconds were drawn.
func TestFitDelayFindsDelays(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := Delay{
			Min:    time.Duration(rapid.IntRange(0, 300).Draw(t, "min")) * time.Millisecond,
			Median: time.Duration(rapid.IntRange(10, 300).Draw(t, "median")) * time.Millisecond,
			Sigma:  rapid.Float64Range(0.1, 0.8).Draw(t, "sigma"),
		}
		rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
		times := make([]time.Duration, 1000)
		for i := range times {
			times[i] = d.draw(rng, 0).Round(time.Millisecond)
		}
		fit, err := FitDelay(times, time.Millisecond)
		if err != nil {
			t.Fatal(err)
		}
		// Different shifts and spreads can give nearly the same distribution, so the distributions are compared.
		worst := 0.0
		for at := d.Min; at < d.Min+4*d.Median; at += time.Millisecond {
			worst = max(worst, math.Abs(d.CDF(at, 0)-fit.CDF(at, 0)))
		}
		if worst > 0.09 {
			t.Errorf("%+v was fitted by %+v: the distributions are %.3f apart", d, fit, worst)
		}
	})
}

// TestFit checks that Fit finds the delays of simulated timings.
func TestFit(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 0))
	want := StandaloneConfig()
	var timings []Timing
	for range 300 {
		timings = append(timings,
			Timing{Wait: want.Dispatch.draw(rng, 0).Round(time.Millisecond)},
			Timing{
				Wait: (want.Dispatch.draw(rng, 0) + want.Creation.draw(rng, 0)).Round(time.Millisecond),
				Init: want.Init.draw(rng, 0).Round(time.Millisecond),
			})
	}
	got, err := LocalConfig().Fit(timings)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range []struct {
		name      string
		got, want Delay
	}{{"Dispatch", got.Dispatch, want.Dispatch}, {"Creation", got.Creation, want.Creation}, {"Init", got.Init, want.Init}} {
		if !near(d.got.Min+d.got.Median, d.want.Min+d.want.Median, 0.05) {
			t.Errorf("%s: %+v, want about %+v", d.name, d.got, d.want)
		}
	}
	if got.Logs != LocalConfig().Logs {
		t.Error("Logs changed, which no timing tells of")
	}
	if err := got.Validate(); err != nil {
		t.Error(err)
	}
	// Without cold starts, only Dispatch is changed.
	warm, err := LocalConfig().Fit([]Timing{{}, {}, {}, {}, {}, {}, {}, {}, {}, {Wait: time.Millisecond}})
	if err != nil || warm.Creation != LocalConfig().Creation {
		t.Errorf("of warm starts: %+v, %v", warm, err)
	}
}

// TestFitErrors checks the errors of FitDelay and Fit.
func TestFitErrors(t *testing.T) {
	ten := make([]time.Duration, 10)
	negative := append([]time.Duration{-1}, ten...)
	for _, tt := range []struct {
		times      []time.Duration
		resolution time.Duration
		want       string
	}{
		{ten[:9], 1, "9 times are too few"},
		{ten, 0, "the resolution is 0s"},
		{negative, 1, "a time is negative, -1ns"},
	} {
		if _, err := FitDelay(tt.times, tt.resolution); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("error %v, want one that says %q", err, tt.want)
		}
	}
	if d, err := FitDelay(ten, time.Millisecond); err != nil || d.Validate() != nil || d.CDF(time.Millisecond, 0) < 0.5 {
		t.Errorf("ten times of 0 were fitted by %+v, %v", d, err)
	}
	if _, err := LocalConfig().Fit(make([]Timing, 5)); err == nil || !strings.Contains(err.Error(), "5 warm and 0 cold starts are too few") {
		t.Errorf("error %v, want one that counts", err)
	}
}
