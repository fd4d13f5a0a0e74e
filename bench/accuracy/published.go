package main

import (
	"encoding/csv"
	"fmt"
	"math"
	"os"
	"strconv"
)

// published are the best published results on a dataset: over both models the lowest MAE and the highest accuracy.
type published struct{ mae, accuracy float64 }

// publishedResults are published results by dataset, without and with the cold-start feature.
type publishedResults [2]map[string]published

// publishedNames are the names of both in tables.
var publishedNames = [2]string{"published", "published" + withColdStart}

func (p *publishedResults) score(with int, dataset, score string) float64 {
	row, ok := p[with][dataset]
	switch {
	case ok && score == "mae":
		return row.mae
	case ok && score == "accuracy":
		return row.accuracy
	}
	return math.NaN()
}

// readPublished reads a CSV file with the columns dataset, coldstart_feature (True or False), accuracy and mae_ms, in any order.
func readPublished(path string) (*publishedResults, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	records, err := csv.NewReader(f).ReadAll()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	names := []string{"dataset", "coldstart_feature", "accuracy", "mae_ms"}
	at := map[string]int{}
	if len(records) > 0 {
		for i, name := range records[0] {
			at[name] = i
		}
	}
	for _, name := range names {
		if _, ok := at[name]; !ok {
			return nil, fmt.Errorf("%s: no column %s", path, name)
		}
	}
	p := &publishedResults{{}, {}}
	for i, r := range records[1:] {
		number := func(column string) (float64, error) {
			text := r[at[column]]
			if text == "" {
				return math.NaN(), nil // this model has none
			}
			v, err := strconv.ParseFloat(text, 64)
			if err != nil {
				return 0, fmt.Errorf("%s: line %d: %s is %q, not a number", path, i+2, column, text)
			}
			return v, nil
		}
		mae, err := number("mae_ms")
		if err != nil {
			return nil, err
		}
		accuracy, err := number("accuracy")
		if err != nil {
			return nil, err
		}
		with := 0
		switch r[at["coldstart_feature"]] {
		case "True":
			with = 1
		case "False":
		default:
			return nil, fmt.Errorf("%s: line %d: coldstart_feature is %q, neither True nor False", path, i+2, r[at["coldstart_feature"]])
		}
		name := r[at["dataset"]]
		best, ok := p[with][name]
		if !ok {
			best = published{math.NaN(), math.NaN()}
		}
		if math.IsNaN(best.mae) || mae < best.mae {
			best.mae = mae
		}
		if math.IsNaN(best.accuracy) || accuracy > best.accuracy {
			best.accuracy = accuracy
		}
		p[with][name] = best
	}
	return p, nil
}
