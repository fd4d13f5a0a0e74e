package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"slices"
	"strings"

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

// parseResults returns the results in a text of a line each; of several of one id the last. It calls warn for each line that is none: one
// that was cut off does not make the others useless.
func parseResults(text []byte, name string, warn func(string)) []result {
	var out []result
	place := map[id]int{}
	number := 0
	for line := range bytes.Lines(text) {
		number++
		if len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		var r result
		err := json.Unmarshal(line, &r)
		if err == nil && (r.Dataset == "" || r.Model == "" || r.Scores == nil) {
			err = errors.New("no dataset, model or scores")
		}
		if err != nil {
			warn(fmt.Sprintf("%s:%d: no result, left out: %v", name, number, err))
			continue
		}
		if i, twice := place[r.id()]; twice {
			out[i] = r
			continue
		}
		place[r.id()] = len(out)
		out = append(out, r)
	}
	return out
}

// readResults reads files of results as one.
func readResults(paths []string, warn func(string)) ([]result, error) {
	var texts []byte
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		if len(parseResults(text, path, warn)) == 0 {
			return nil, fmt.Errorf("%s: it has no results", path)
		}
		texts = append(append(texts, text...), '\n')
	}
	return parseResults(texts, "", func(string) {}), nil
}

// journal is a results file that grows. Each result is appended by one write, so that several processes can write to the same file, and
// what was there before is never at risk.
type journal struct {
	file *os.File
	cut  bool // the file does not end with the end of a line
}

// openJournal opens a results file, a new one if there is none, and returns the results that it has.
func openJournal(path string, warn func(string)) (*journal, []result, error) {
	var text []byte
	if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
		if text, err = os.ReadFile(path); err != nil {
			return nil, nil, err
		}
	} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, nil, err
	}
	results := parseResults(text, path, warn)
	if len(results) == 0 && len(bytes.TrimSpace(text)) > 0 {
		return nil, nil, fmt.Errorf("%s: it has no results; choose another file", path)
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o666)
	if err != nil {
		return nil, nil, err
	}
	return &journal{file: f, cut: len(text) > 0 && text[len(text)-1] != '\n'}, results, nil
}

// add appends a result, and returns when it is on the disk. A nil journal keeps nothing.
func (j *journal) add(r *result) error {
	if j == nil {
		return nil
	}
	line, err := json.Marshal(r)
	if err != nil {
		return err
	}
	line = append(line, '\n')
	if j.cut {
		line = slices.Insert(line, 0, '\n') // or this result would be lost with the one that was cut off
	}
	n, err := j.file.Write(line)
	if err != nil {
		j.cut = j.cut || n > 0
		return err
	}
	j.cut = false
	if err := j.file.Sync(); err != nil && !isPipe(j.file) {
		return fmt.Errorf("%s: %w", j.file.Name(), err)
	}
	return nil
}

func isPipe(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && !info.Mode().IsRegular()
}

func (j *journal) close() error {
	if j == nil {
		return nil
	}
	return j.file.Close()
}

// datasetName returns the name of a dataset by the path of its file.
func datasetName(base string) string {
	for _, ending := range []string{".gz", ".json", ".jsonl", ".csv"} {
		base = strings.TrimSuffix(base, ending)
	}
	return base
}
