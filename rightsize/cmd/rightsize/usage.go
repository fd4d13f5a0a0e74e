package main

import (
	"encoding/csv"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/tppfaas/tppfaas/rightsize"
)

// readUsage reads files with the columns Time (ms), mem_usage and cpu_usage, or one of these.
func readUsage(paths []string) (*rightsize.Usage, error) {
	samples := map[int64][2]float64{}
	for _, path := range paths {
		if err := readColumns(path, samples); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
	}
	var times []int64
	for t := range samples {
		times = append(times, t)
	}
	slices.Sort(times)
	var memory, cpu []float64
	for _, t := range times {
		memory, cpu = append(memory, samples[t][rightsize.Memory]), append(cpu, samples[t][rightsize.CPU])
	}
	name := strings.TrimSuffix(filepath.Base(paths[0]), ".csv")
	return rightsize.NewUsage(name, times, memory, cpu)
}

func readColumns(path string, samples map[int64][2]float64) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	content, err := io.ReadAll(f)
	if err != nil {
		return err
	}
	rows, err := csv.NewReader(strings.NewReader(strings.TrimPrefix(string(content), "\ufeff"))).ReadAll()
	if err != nil {
		return err
	}
	if len(rows) == 0 {
		return fmt.Errorf("it is empty")
	}
	columns := map[string]int{"mem_usage": slices.Index(rows[0], "mem_usage"), "cpu_usage": slices.Index(rows[0], "cpu_usage")}
	for _, row := range rows[1:] {
		t, err := strconv.ParseInt(row[0], 10, 64)
		if err != nil {
			return err
		}
		s, ok := samples[t]
		if !ok {
			s = [2]float64{math.NaN(), math.NaN()}
		}
		for i, name := range []string{"mem_usage", "cpu_usage"} {
			if column := columns[name]; column > 0 {
				if s[i], err = strconv.ParseFloat(row[column], 64); err != nil {
					return err
				}
			}
		}
		samples[t] = s
	}
	return nil
}
