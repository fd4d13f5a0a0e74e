package main

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/tppfaas/tppfaas/internal/progress"
	"github.com/tppfaas/tppfaas/internal/resultfile"
	"github.com/tppfaas/tppfaas/tpp"
	"github.com/tppfaas/tppfaas/tpp/dataset"
	"github.com/tppfaas/tppfaas/tpp/eval"
	"github.com/tppfaas/tppfaas/tpp/race"
)

// order is what is to be measured.
type order struct {
	models  []eval.Candidate
	splits  []uint64
	workers int // goroutines that score
	// calibrate asks for the calibration of forecasts of all events to come too.
	calibrate bool
}

// measurement trains and scores what has no result yet.
type measurement struct {
	order
	done    map[id]bool
	journal *resultfile.File[id, result]
	show    *progress.Progress
	// trained are models of normal traces by the id that their own result would have: several datasets with anomalies share them.
	trained map[id]tpp.Model
	fresh   []result
}

// dataset trains and scores all models on all splits of a dataset, and returns its name and its fingerprint.
func (m *measurement) dataset(ctx context.Context, path string) (name, fingerprint string, err error) {
	d, err := dataset.ReadFile(path)
	if err != nil {
		return "", "", err
	}
	name, fingerprint = datasetName(filepath.Base(path)), fingerprintOf(d)
	var models []eval.Candidate
	var noGraph error
	if slices.ContainsFunc(m.models, func(c eval.Candidate) bool { return strings.HasPrefix(c.Name, race.Kind) }) {
		noGraph = graphError(d)
	}
	for _, c := range m.models {
		if reason := lacking(c.Name, d, noGraph); reason != "" {
			m.show.Print(fmt.Sprintf("%s: without %s: %s\n", name, c.Name, reason))
			m.show.Add(len(m.splits), name)
			continue
		}
		models = append(models, c)
	}
	missing := false
	for _, split := range m.splits {
		for _, c := range models {
			missing = missing || !m.done[id{name, fingerprint, c.Name, split}]
		}
	}
	if !missing {
		m.show.Add(len(m.splits)*len(models), name)
		return name, fingerprint, nil
	}
	anomalies, err := readPlanted(ctx, path, d)
	if err != nil {
		return "", "", fmt.Errorf("%s: %w", path, err)
	}
	for _, split := range m.splits {
		for _, c := range models {
			r := result{Dataset: name, Fingerprint: fingerprint, Traces: len(d.Sequences), Split: split, Model: c.Name}
			if !m.done[r.id()] {
				if err := m.measure(ctx, d, anomalies, c, &r); err != nil {
					return "", "", fmt.Errorf("%s: %s with seed %d: %w", path, c.Name, split, err)
				}
				if err := m.journal.Add(&r); err != nil {
					return "", "", err
				}
				m.done[r.id()] = true
				m.fresh = append(m.fresh, r)
			}
			m.show.Add(1, name+" "+c.Name)
		}
	}
	return name, fingerprint, nil
}

// measure trains the candidate on the result's split and scores it.
func (m *measurement) measure(ctx context.Context, d *tpp.Dataset, anomalies *planted, c eval.Candidate, r *result) error {
	training, validation, test := d.Split(r.Split)
	start := time.Now()
	model, err := c.Fit(ctx, training, validation, r.Split)
	if err != nil {
		return err
	}
	r.Seconds = time.Since(start).Seconds()
	all, err := eval.Evaluate(ctx, model, test, eval.EvaluateOptions{Workers: m.workers})
	if err != nil {
		return fmt.Errorf("test part: %w", err)
	}
	r.Scores = scores{"sequences": float64(all.Sequences), "events": float64(all.Events)}
	for name, v := range all.All() {
		if name != "otd" { // it was not asked for
			r.Scores[name] = v
		}
	}
	if m.calibrate && eval.ExpectsArrivals(model) {
		calibration, err := eval.CalibrateArrivals(ctx, model, test)
		if err != nil {
			return fmt.Errorf("calibration on the test part: %w", err)
		}
		r.Calibration = calibration[:]
	}
	if anomalies == nil {
		return nil
	}
	// The same requests are in the same part of both datasets, so that the model has seen none of those that it is tested on.
	of := id{"", fingerprintOf(anomalies.normal), c.Name, r.Split}
	watch := m.trained[of]
	_, _, indices := partsOf(len(d.Sequences), r.Split)
	if watch == nil {
		training, validation, _ := anomalies.normal.Split(r.Split)
		if watch, err = c.Fit(ctx, training, validation, r.Split); err != nil {
			return fmt.Errorf("without anomalies: %w", err)
		}
		m.trained[of] = watch
	}
	if r.Anomalies, err = anomalies.detection(ctx, watch, indices, d); err != nil {
		return fmt.Errorf("anomalies: %w", err)
	}
	return nil
}

func fingerprintOf(d *tpp.Dataset) string {
	var h tpp.DatasetHash
	for i := range d.Sequences {
		h.Add(&d.Sequences[i], d.MarkNames)
	}
	return h.Fingerprint()
}
