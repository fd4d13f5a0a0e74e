package main

import (
	"context"
	"errors"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tppfaas/tppfaas/apps"
	"github.com/tppfaas/tppfaas/sampler"
	"github.com/tppfaas/tppfaas/tpp"
	"github.com/tppfaas/tppfaas/tpp/dataset"
)

// TestTruthByHand has a request in which main invokes f1 and f2, and f1 after 300 ms f3; functions are 0 to 3.
func TestTruthByHand(t *testing.T) {
	const ms = time.Millisecond
	without := sampler.Request{Calls: []apps.Call{
		{Function: 0, Invokes: []int{1, 2}}, {Function: 1, Sleep: 300 * ms, Invokes: []int{3}}, {Function: 2, Sleep: 300 * ms}, {Function: 3, Sleep: 300 * ms},
	}}
	normal := &tpp.Sequence{ArrivalTimes: []float64{1000, 1010, 1025, 1330}, Marks: []int{0, 1, 2, 3}, Parents: []int{-1, 0, 0, 1}}
	// slept returns the calls with another sleep of a function.
	slept := func(function int, sleep time.Duration) sampler.Request {
		r := sampler.Request{Calls: slices.Clone(without.Calls), Anomalies: []int{function}}
		r.Calls[function].Sleep = sleep
		return r
	}
	for name, c := range map[string]struct {
		with     sampler.Request
		sequence *tpp.Sequence
		kind     string
		gap      int // −1: the arrivals do not show it
	}{
		"f1 sleeps longer": {slept(1, 400*ms),
			&tpp.Sequence{ArrivalTimes: []float64{1000, 1010, 1025, 1430}, Marks: []int{0, 1, 2, 3}, Parents: []int{-1, 0, 0, 1}}, slow, 3},
		"f1 sleeps shorter, f3 comes before f2": {slept(1, 5*ms),
			&tpp.Sequence{ArrivalTimes: []float64{1000, 1010, 1016, 1025}, Marks: []int{0, 1, 3, 2}, Parents: []int{-1, 0, 1, 0}}, fast, 2},
		"f1 sleeps as long as ever": {slept(1, 300*ms), normal, "", -1},
		"f2 invokes nothing":        {slept(2, 5*ms), normal, "", -1},
		"f1 is missing, main invokes f3": {
			sampler.Request{Calls: []apps.Call{{Function: 0, Invokes: []int{1, 2}}, {Function: 3}, {Function: 2}}, Missing: []int{1}},
			&tpp.Sequence{ArrivalTimes: []float64{1000, 1010, 1025}, Marks: []int{0, 3, 2}, Parents: []int{-1, 0, 0}}, missing, 1},
		"f2 is missing, would have come before f3": {
			sampler.Request{Calls: []apps.Call{{Function: 0, Invokes: []int{1}}, {Function: 1, Sleep: 300 * ms, Invokes: []int{2}}, {Function: 3}}, Missing: []int{2}},
			&tpp.Sequence{ArrivalTimes: []float64{1000, 1010, 1330}, Marks: []int{0, 1, 3}, Parents: []int{-1, 0, 1}}, missing, 2},
		"f3 is missing, would have come last": {
			sampler.Request{Calls: []apps.Call{{Function: 0, Invokes: []int{1, 2}}, {Function: 1, Sleep: 300 * ms}, {Function: 2}}, Missing: []int{3}},
			&tpp.Sequence{ArrivalTimes: []float64{1000, 1010, 1025}, Marks: []int{0, 1, 2}, Parents: []int{-1, 0, 0}}, missing, 3},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := truthOf(c.with, without, c.sequence, normal)
			if err != nil {
				t.Fatal(err)
			}
			want := truth{}
			if c.gap >= 0 {
				want.mark(c.kind, c.sequence.Len()+1, c.gap)
			}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("got %v, want %v", got, want)
			}
		})
	}
	both := sampler.Request{Calls: []apps.Call{{Function: 0, Invokes: []int{1}}, {Function: 2}}, Missing: []int{3, 1}}
	s := &tpp.Sequence{ArrivalTimes: []float64{1000, 1025}, Marks: []int{0, 2}, Parents: []int{-1, 0}}
	if got, err := truthOf(both, without, s, normal); err != nil || !reflect.DeepEqual(got[missing], []bool{false, true, true}) {
		t.Errorf("f1 and with it f3 missing: %v, %v, want gap 1, where f1 would have come, and the end, where f3 would", got, err)
	}
	if _, err := truthOf(both, without, normal, normal); err == nil || !strings.Contains(err.Error(), "by its plan there are 2") {
		t.Errorf("a sequence of another sampling: %v", err)
	}
	s.Parents = nil
	if _, err := truthOf(both, without, s, normal); err == nil || !strings.Contains(err.Error(), "no parents") {
		t.Errorf("a sequence without parents: %v", err)
	}
}

// sampled writes a dataset of a sampling in virtual time under its name, and returns that.
func sampled(t *testing.T, folder, application string, config sampler.Config) string {
	t.Helper()
	app, err := apps.Load(application)
	if err != nil {
		t.Fatal(err)
	}
	target, err := sampler.NewLocal(config.Seed)
	if err != nil {
		t.Fatal(err)
	}
	result, err := sampler.Sample(t.Context(), target, app, config, nil)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(folder, sampler.FileName(application, config))
	if err := dataset.WriteFile(path, result.Dataset); err != nil {
		t.Fatal(err)
	}
	return path
}

func tinySampling(requests int) sampler.Config {
	return sampler.Config{Requests: requests, MinInterval: 400 * time.Millisecond, MaxInterval: 700 * time.Millisecond, Seed: 1}
}

// TestTruthsOfSamplings samples every application with anomalies in virtual time, and finds each of them in the sequences.
func TestTruthsOfSamplings(t *testing.T) {
	folder := t.TempDir()
	for _, application := range apps.Embedded() {
		for _, random := range []bool{false, true} {
			config := tinySampling(20)
			config.Anomalies, config.Missing, config.RandomDurations = 2, 1, random
			path := sampled(t, folder, application, config)
			d, err := dataset.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			anomalies, err := readPlanted(t.Context(), path, d)
			if err != nil {
				t.Fatal(err)
			}
			shown := 0
			for i, got := range anomalies.truths {
				if lost := anomalies.normal.Sequences[i].Len() > d.Sequences[i].Len(); lost != (got[missing] != nil) {
					t.Errorf("%s: of trace %d, calls are missing: %t, labelled: %v", path, i, lost, got)
				}
				if got[fast] != nil || got[slow] != nil {
					shown++
				}
			}
			if shown == 0 {
				t.Errorf("%s: in no trace a duration is labelled", path)
			}
		}
	}
}

func TestOrdinaryDatasetsHaveNoTruth(t *testing.T) {
	for _, path := range []string{"data/low_tree_small_det.json.gz", "tree_small_n10_l0.4_u0.7.json"} {
		if anomalies, err := readPlanted(t.Context(), path, &tpp.Dataset{}); anomalies != nil || err != nil {
			t.Errorf("%s: %v, %v", path, anomalies, err)
		}
	}
}

// TestTheSameSamplingWithoutAnomalies checks where it comes from: a file beside the dataset, or a sampling that must fit.
func TestTheSameSamplingWithoutAnomalies(t *testing.T) {
	folder := t.TempDir()
	config := tinySampling(5)
	config.Missing = 1
	path := sampled(t, folder, "tree_small", config)
	d, err := dataset.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	shifted := *d
	shifted.Sequences = slices.Clone(d.Sequences)
	shifted.Sequences[0].WaitTimes = slices.Clone(d.Sequences[0].WaitTimes)
	shifted.Sequences[0].WaitTimes[0]++
	if _, err := readPlanted(t.Context(), path, &shifted); err == nil || !strings.Contains(err.Error(), "put the same sampling without anomalies, tree_small_n5_l0.4_u0.7.json, beside it") {
		t.Errorf("a dataset of another platform: %v", err)
	}
	if _, err := readPlanted(t.Context(), path, d.Subset([]int{0, 1, 2})); err == nil || !strings.Contains(err.Error(), "want all 5") {
		t.Errorf("an incomplete dataset: %v", err)
	}
	sampled(t, folder, "tree_small", tinySampling(5))
	if anomalies, err := readPlanted(t.Context(), path, &shifted); err != nil || len(anomalies.truths) != 5 {
		t.Errorf("with the file beside it: %v, %v", anomalies, err)
	}
	if err := dataset.WriteFile(filepath.Join(folder, "tree_small_n5_l0.4_u0.7.json"), d.Subset([]int{0})); err != nil {
		t.Fatal(err)
	}
	if _, err := readPlanted(t.Context(), path, d); err == nil || !strings.Contains(err.Error(), "1 without") {
		t.Errorf("with another file beside it: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := readPlanted(ctx, filepath.Join(t.TempDir(), filepath.Base(path)), d); !errors.Is(err, context.Canceled) {
		t.Errorf("interrupted: %v", err)
	}
}

func TestPartsOfAreThoseOfSplit(t *testing.T) {
	d := &tpp.Dataset{}
	for i := range 23 {
		d.Sequences = append(d.Sequences, tpp.Sequence{ArrivalTimes: []float64{float64(100 * i)}})
	}
	var want [3][]float64
	a, b, c := d.Split(5)
	for i, part := range []*tpp.Dataset{a, b, c} {
		for _, s := range part.Sequences {
			want[i] = append(want[i], s.ArrivalTimes[0])
		}
	}
	x, y, z := partsOf(23, 5)
	for i, part := range [][]int{x, y, z} {
		var got []float64
		for _, j := range part {
			got = append(got, float64(100*j))
		}
		if !slices.Equal(got, want[i]) {
			t.Errorf("part %d has %v, want %v", i, got, want[i])
		}
	}
}
