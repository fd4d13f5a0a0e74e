package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"strings"

	"github.com/tppfaas/tppfaas/internal/resultfile"
	"github.com/tppfaas/tppfaas/tpp/eval"
)

// result is what one model has reached on the test part of one split of a dataset: a line of a results file.
type result struct {
	// Dataset is the name of the dataset's file without its endings, Fingerprint that of its content.
	Dataset     string `json:"dataset"`
	Fingerprint string `json:"fingerprint"`
	Traces      int    `json:"traces"` // of the whole dataset
	Split       uint64 `json:"split"`  // the seed
	Model       string `json:"model"`
	// Seconds is how long the training took.
	Seconds float64 `json:"seconds"`
	Scores  scores  `json:"scores"`
	// Anomalies has, for a dataset with anomalies, the scores of their detection by kind of anomaly.
	Anomalies map[string]scores `json:"anomalies,omitempty"`
	// Calibration is that of forecasts of all events to come, by how many of them are expected before; nil for a model without.
	Calibration []eval.ArrivalCalibration `json:"calibration,omitempty"`
}

// scores are scores by name. NaN and infinities are null in JSON.
type scores map[string]float64

// value returns a score, NaN if there is none.
func (s scores) value(name string) float64 {
	if v, ok := s[name]; ok {
		return v
	}
	return math.NaN()
}

// MarshalJSON writes NaN and infinities as null.
func (s scores) MarshalJSON() ([]byte, error) {
	out := make(map[string]*float64, len(s))
	for name, v := range s {
		out[name] = nil
		if !math.IsNaN(v) && !math.IsInf(v, 0) {
			out[name] = &v
		}
	}
	return json.Marshal(out)
}

// UnmarshalJSON reads null as NaN.
func (s *scores) UnmarshalJSON(text []byte) error {
	var in map[string]*float64
	if err := json.Unmarshal(text, &in); err != nil {
		return err
	}
	*s = make(scores, len(in))
	for name, v := range in {
		(*s)[name] = math.NaN()
		if v != nil {
			(*s)[name] = *v
		}
	}
	return nil
}

// id tells results apart.
type id struct {
	dataset, fingerprint, model string
	split                       uint64
}

func (r *result) id() id { return id{r.Dataset, r.Fingerprint, r.Model, r.Split} }

// resultLines is what the lines of a results file are.
var resultLines = resultfile.Format[id, result]{
	Begin: `{"dataset":"`,
	Key:   (*result).id,
	Check: func(r *result) error {
		if r.Dataset == "" || r.Model == "" || r.Scores == nil {
			return errors.New("no dataset, model or scores")
		}
		return nil
	},
}

// readResults reads files of results as one.
func readResults(paths []string, warn func(string)) ([]result, error) {
	var texts []byte
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		if len(resultLines.Parse(text, path, warn)) == 0 {
			return nil, fmt.Errorf("%s: it has no results", path)
		}
		texts = append(append(texts, text...), '\n')
	}
	return resultLines.Parse(texts, "", func(string) {}), nil
}

// datasetName returns the name of a dataset by the path of its file.
func datasetName(base string) string {
	for _, ending := range []string{".gz", ".json", ".jsonl", ".csv"} {
		base = strings.TrimSuffix(base, ending)
	}
	return base
}
