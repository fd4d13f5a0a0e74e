package main

import (
	"bytes"
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// try runs the command in this process.
func try(t *testing.T, line string) (stdout, stderr string, status int) {
	t.Helper()
	var out, errs bytes.Buffer
	status = program.Run(t.Context(), strings.Fields(line), &out, &errs)
	return out.String(), errs.String(), status
}

// TestExperiment checks the tables, the lines and the picture of an experiment that options have changed.
func TestExperiment(t *testing.T) {
	picture := filepath.Join(t.TempDir(), "sleep.svg")
	out, errs, status := try(t, "experiment sleep -load 20 -ramp 1m -hold 1m -down 0s -tail 1m -every 1m -policy openfaas-pro:capacity:5:max=3,10 -picture "+picture)
	require.Zero(t, status, errs)
	require.FileExists(t, picture)
	require.Contains(t, out, "sleep, openfaas-pro:capacity:5:max=3: means of 1m0s")
	require.Contains(t, out, "sleep, openfaas-pro:capacity:5:max=10: means of 1m0s")
	require.Contains(t, out, "replica·s")

	out, errs, status = try(t, "experiment a -json -ramp 1m -every 10m -load 20 -seed 7")
	require.Zero(t, status, errs)
	lines := strings.Split(strings.TrimSpace(out), "\n")
	require.Len(t, lines, 2)
	var line struct {
		Experiment, Policy     string
		Seed                   uint64
		From, To, Load, Wanted float64
		Mean                   *float64
	}
	require.NoError(t, json.Unmarshal([]byte(lines[1]), &line))
	require.Equal(t, "sleep", line.Experiment)
	require.Equal(t, "openfaas-ce", line.Policy)
	require.EqualValues(t, 7, line.Seed)
	require.Equal(t, 360.0, line.To)
	require.Equal(t, 1.0, line.Wanted)
	require.InDelta(t, 20, *line.Mean, 1e-6)
}

// TestExperimentSaysWhatIsWrong checks that a wrong line is status 2 and one line of text.
func TestExperimentSaysWhatIsWrong(t *testing.T) {
	for line, message := range map[string]string{
		"":                                  "give the name of one experiment: sleep,",
		"x":                                 `there is no experiment "x"`,
		"a b":                               "give the name of one experiment",
		"a -ramp 5":                         "-ramp",
		"a -load many":                      `"many" is not a number`,
		"a -load -1":                        "the load is -1 users",
		"a -every -1s":                      "-every: it must not be negative",
		"a -picture x.txt":                  "must end in .png, .svg or .pdf",
		"a -policy openfaas-pro:capacity:x": "TARGET",
	} {
		_, errs, status := try(t, "experiment "+line)
		require.Equal(t, 2, status, line)
		require.Contains(t, errs, message, line)
		require.Equal(t, 1, strings.Count(errs, "\n"), errs)
	}
}
