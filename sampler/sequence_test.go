package sampler

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tppfaas/tppfaas/tpp"
)

func TestSequence(t *testing.T) {
	at := func(ms int) time.Time { return LocalStart.Add(time.Duration(ms) * time.Millisecond) }
	marks := map[string]int{"x-dev-main": 0, "x-dev-f": 1, "x-dev-g": 2}
	// g arrives before its caller's sibling, and one f in the same millisecond as the other.
	trace := Trace{
		{ID: "1", Name: "x-dev-main", Arrival: at(0), Wait: 2500 * time.Microsecond, Init: 130 * time.Millisecond},
		{ID: "2", Cause: "1", Name: "x-dev-f", Arrival: at(30), Wait: 4 * time.Millisecond},
		{ID: "3", Cause: "1", Name: "x-dev-f", Arrival: at(30), Wait: 5 * time.Millisecond},
		{ID: "4", Cause: "3", Name: "x-dev-g", Arrival: at(29)},
	}
	got, err := trace.Sequence(marks)
	if err != nil {
		t.Fatal(err)
	}
	base := float64(LocalStart.UnixMilli())
	want := tpp.Sequence{
		ArrivalTimes: []float64{base, base + 29, base + 30, base + 30},
		Marks:        []int{0, 2, 1, 1},
		WaitTimes:    []float64{2.5, 0, 4, 5},
		InitTimes:    []float64{130, 0, 0, 0},
		Parents:      []int{-1, 3, 0, 0},
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}

	for _, c := range []struct {
		name   string
		change func(Trace) Trace
		want   string
	}{
		{"empty", func(Trace) Trace { return nil }, "0 of the trace's 0 activations have no cause, want 1"},
		{"an unknown function", func(t Trace) Trace { t[1].Name = "y"; return t }, "activation 2 is of y, which is no function of the application"},
		{"incomplete", func(t Trace) Trace { return append(t[:2:2], t[3]) }, "activation 4 of x-dev-g was caused by 3, which is not in the trace"},
		{"twice", func(t Trace) Trace { return append(t, t[1]) }, "activation 2 of x-dev-f is in the trace twice"},
		{"two requests", func(t Trace) Trace { t[3].Cause = ""; return t }, "2 of the trace's 4 activations have no cause, want 1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := c.change(append(Trace(nil), trace...)).Sequence(marks)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("err = %v, want %s", err, c.want)
			}
		})
	}
}

func TestSequenceKeepsTheOrderWithinAMillisecond(t *testing.T) {
	var trace Trace
	var want []int
	marks := map[string]int{}
	for i := range 100 {
		a := Activation{ID: fmt.Sprint(i), Name: fmt.Sprint("f", i), Arrival: LocalStart.Add(time.Duration(i*7%4) * time.Millisecond)}
		if i > 0 {
			a.Cause = "0"
		}
		marks[a.Name] = i
		trace = append(trace, a)
	}
	for ms := range 4 {
		for i := range 100 {
			if i*7%4 == ms {
				want = append(want, i)
			}
		}
	}
	s, err := trace.Sequence(marks)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(s.Marks, want) {
		t.Errorf("order %v\nwant  %v", s.Marks, want)
	}
}

func TestFileName(t *testing.T) {
	base := Config{Requests: 1000, MinInterval: 2 * time.Second, MaxInterval: 6 * time.Second, Seed: 1}
	for _, c := range []struct {
		change func(*Config)
		want   string
	}{
		{func(*Config) {}, "sequence_n1000_l2_u6.json"},
		{func(c *Config) { c.MinInterval, c.MaxInterval = 300*time.Millisecond, time.Minute }, "sequence_n1000_l0.3_u60.json"},
		{func(c *Config) { c.MinInterval = 0; c.MaxInterval = 1 }, "sequence_n1000_l0_u0.000000001.json"},
		{func(c *Config) { c.BatchSize, c.BatchPause = 50, 120*time.Second }, "sequence_n1000_l2_u6_b50_w120.json"},
		{func(c *Config) { c.Anomalies = 1 }, "sequence_n1000_l2_u6_e1.json"},
		{func(c *Config) { c.Missing = 2 }, "sequence_n1000_l2_u6_m2.json"},
		{func(c *Config) { c.RandomDurations = true }, "sequence_n1000_l2_u6_r.json"},
		{func(c *Config) { c.Seed = 7 }, "sequence_n1000_l2_u6_seed7.json"},
		{func(c *Config) {
			*c = Config{9, 1e9, 2e9, 3, 4e9, 5, 6, true, 0}
		}, "sequence_n9_l1_u2_b3_w4_e5_m6_r_seed0.json"},
	} {
		config := base
		c.change(&config)
		if got := FileName("sequence", config); got != c.want {
			t.Errorf("FileName = %s, want %s", got, c.want)
		}
		for _, name := range []string{c.want, "data/" + c.want + ".gz", strings.TrimSuffix(c.want, ".json") + "_openwhisk.json"} {
			if app, got, err := ParseFileName(name); err != nil || app != "sequence" || got != config {
				t.Errorf("ParseFileName(%s) = %s, %+v, %v, want %+v", name, app, got, err, config)
			}
		}
	}
}

func FuzzParseFileName(f *testing.F) {
	f.Add("tree_small_n1000_l2_u6_b50_w120_e2_m1_r_seed7_openwhisk.json.gz")
	f.Add("sequence_n99999999999999999999_l2_u6.json")
	f.Add("_n1_l1_u1._seed_n.json")
	f.Fuzz(func(t *testing.T, name string) {
		app, config, err := ParseFileName(name)
		if err != nil {
			return
		}
		again := FileName(app, config)
		if gotApp, got, err := ParseFileName(again); err != nil || gotApp != app || got != config {
			t.Errorf("%s means %s, %+v; so does not %s: %s, %+v, %v", name, app, config, again, gotApp, got, err)
		}
	})
}
