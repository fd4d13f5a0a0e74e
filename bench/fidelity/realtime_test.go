package main

import (
	"bytes"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tppfaas/tppfaas/sampler"
	"github.com/tppfaas/tppfaas/tpp/dataset"
)

func TestKolmogorovSmirnov(t *testing.T) {
	for _, tt := range []struct {
		a, b []float64
		want float64
	}{
		{[]float64{1, 2, 3, 4}, []float64{1, 2, 3, 4}, 0},
		{[]float64{1, 1, 2, 2}, []float64{1, 2}, 0},
		{[]float64{1, 1, 1, 2}, []float64{1, 2, 2, 2}, 0.5},
		{[]float64{1, 2}, []float64{3, 4}, 1},
		{[]float64{1, 2, 3, 4}, []float64{3, 4, 5, 6}, 0.5},
		{[]float64{1}, nil, 1},
	} {
		for _, got := range []float64{kolmogorovSmirnov(tt.a, tt.b), kolmogorovSmirnov(tt.b, tt.a)} {
			if got != tt.want {
				t.Errorf("%v and %v are %v apart, want %v", tt.a, tt.b, got, tt.want)
			}
		}
	}
}

// TestRealTime takes what was sampled with some overheads for a sampling in real time: the same are near, others are not.
func TestRealTime(t *testing.T) {
	config := sampler.Config{Requests: 300, MinInterval: time.Second, MaxInterval: 1200 * time.Millisecond, Seed: 5}
	path := filepath.Join(t.TempDir(), strings.Replace(sampler.FileName("sequence", config), ".json", "_openwhisk.json", 1))
	target, err := sampler.NewLocalWith(sampler.LocalOptions{Overheads: sampler.RealTime, MemoryMB: 4096, Seed: config.Seed})
	if err != nil {
		t.Fatal(err)
	}
	r, err := sampler.Sample(t.Context(), target, load(t, "sequence"), config, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := dataset.WriteFile(path, r.Dataset); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		overheads sampler.Overheads
		near      int
	}{{sampler.RealTime, 10}, {sampler.Cluster, 0}} {
		c, err := compareRealTime(t.Context(), path, tt.overheads, 4096, 2)
		if err != nil {
			t.Fatal(err)
		}
		if len(c.real) >= 300 || len(c.ours) >= 600 || len(c.real) < 250 {
			t.Errorf("%d and %d traces without cold starts", len(c.real), len(c.ours))
		}
		var table bytes.Buffer
		if err := c.print(&table); err != nil {
			t.Fatal(err)
		}
		found := strings.Join(strings.Fields(table.String()), " ")
		if want := fmt.Sprintf("at most 0.2 apart %d of 10 ", tt.near); !strings.Contains(found, want) {
			t.Errorf("%s: the table lacks %q:\n%s", tt.overheads, want, table.String())
		}
	}
	// Without init times nothing could be told cold.
	for i := range r.Dataset.Sequences {
		r.Dataset.Sequences[i].InitTimes = nil
	}
	if err := dataset.WriteFile(path, r.Dataset); err != nil {
		t.Fatal(err)
	}
	if _, err := compareRealTime(t.Context(), path, sampler.RealTime, 4096, 1); err == nil || !strings.Contains(err.Error(), "without wait and init times") {
		t.Errorf("a dataset without init times: %v", err)
	}
	for _, wrong := range []string{"any.json", "nothing_n5_l1_u2.json", filepath.Join(t.TempDir(), "sequence_n5_l1_u2.json")} {
		if _, err := compareRealTime(t.Context(), wrong, sampler.RealTime, 4096, 1); err == nil || !strings.Contains(err.Error(), wrong) {
			t.Errorf("%s: %v", wrong, err)
		}
	}
}
