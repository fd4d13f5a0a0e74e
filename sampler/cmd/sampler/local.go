package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/tppfaas/tppfaas/internal/atomicfile"
	"github.com/tppfaas/tppfaas/internal/progress"
	"github.com/tppfaas/tppfaas/sampler"
	"github.com/tppfaas/tppfaas/tpp"
	"github.com/tppfaas/tppfaas/tpp/dataset"
)

// sampleLocal samples on the local platform, in virtual time.
func sampleLocal(ctx context.Context, o options, output string, stdout, stderr io.Writer) error {
	begin := time.Now()
	target, err := sampler.NewLocalWith(sampler.LocalOptions{Overheads: o.overheads, Seed: o.config.Seed})
	if err != nil {
		return err
	}
	bar := progress.New(stderr, o.config.Requests, "requests")
	defer bar.Done()
	var result *sampler.Result
	err = atomicfile.Write(output, func(w io.Writer) error {
		file, err := newOrderedWriter(w, dataset.FormatOf(output), sampler.MarkNames(o.app))
		if err != nil {
			return err
		}
		result, err = sampler.Collect(ctx, target, o.app, o.config, func(request int, s tpp.Sequence) error {
			defer bar.Add(1, "")
			return file.add(request, s)
		})
		if err != nil {
			return err
		}
		return file.writer.Close()
	})
	bar.Done()
	if err != nil {
		return err
	}
	return reportLocal(stdout, o, output, result, time.Since(begin))
}

// reportLocal prints what was sampled.
func reportLocal(w io.Writer, o options, file string, r *sampler.Result, took time.Duration) error {
	simulated := r.End.Sub(r.Start)
	if o.json {
		return json.NewEncoder(w).Encode(struct {
			File             string  `json:"file"`
			Application      string  `json:"application"`
			Sequences        int     `json:"sequences"`
			Events           int     `json:"events"`
			ColdStarts       int     `json:"cold_starts"`
			Functions        int     `json:"functions"`
			Seed             uint64  `json:"seed"`
			SimulatedSeconds float64 `json:"simulated_seconds"`
			LatenessSeconds  float64 `json:"lateness_seconds"`
			Seconds          float64 `json:"seconds"`
		}{
			file, o.app.Name, r.Sequences, r.Events, r.ColdStarts, len(o.app.Functions), o.config.Seed,
			simulated.Seconds(), r.Lateness.Seconds(), took.Seconds(),
		})
	}
	_, err := fmt.Fprintf(w, "%s: %d traces of %s, %d invocations, %.1f %% cold starts; %v of load in %.2f s\n",
		file, r.Sequences, o.app.Name, r.Events, 100*float64(r.ColdStarts)/float64(r.Events), simulated.Round(time.Second), took.Seconds())
	return err
}
