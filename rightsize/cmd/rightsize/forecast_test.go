package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tppfaas/tppfaas/internal/cli"
	"github.com/tppfaas/tppfaas/rightsize"
	"github.com/tppfaas/tppfaas/rightsize/usagecsv"
)

// usageFile writes n samples, one every 15 s, which are renewed every fourth time, into a file.
func usageFile(t *testing.T, n int, gap bool) string {
	t.Helper()
	r := rand.New(rand.NewPCG(1, 2))
	u := &rightsize.Usage{Function: "qrcode"}
	memory, cpu := 40e6, 0.01
	for i := range n {
		if i%4 == 0 {
			memory, cpu = 40e6+1e6*r.NormFloat64(), 0.01*math.Exp(0.2*r.NormFloat64())
		}
		if gap && i > 100 && i < 110 {
			continue
		}
		u.Times, u.Memory, u.CPU = append(u.Times, 1_700_000_000_000+int64(i)*15000), append(u.Memory, math.Round(memory)), append(u.CPU, cpu)
	}
	file := filepath.Join(t.TempDir(), "usage.csv")
	require.NoError(t, usagecsv.WriteFile(file, u))
	return file
}

// quick is a forecaster that needs no training, to be compared with the two that always are.
const quick = "conditional"

func TestForecast(t *testing.T) {
	picture := filepath.Join(t.TempDir(), "fan.png")
	status, stdout, stderr := command(t, "forecast", usageFile(t, 800, true), "-function", "qrcode", "-forecasters", quick, "-picture", picture)
	require.Equal(t, cli.OK, status, stderr)
	require.Contains(t, stdout, "qrcode: 791 samples, one every 15s, 2023-11-14 22:13:20 until 2023-11-15 01:33:05, 9 missing\n")
	require.Regexp(t, `memory, now \d\d\.\d\dMi`, stdout)
	require.Regexp(t, `next sample +\d\d\.\d\dMi +\d\d\.\d\dMi +\d\d\.\d\dMi +\d\d\.\d\dMi +conditional +0\.\d\d\n`, stdout)
	require.Regexp(t, `60 min .* conservative +too few samples to choose by\n`, stdout)
	require.Regexp(t, `240 min +- +- +- +- `, stdout, "three hours of samples say nothing of four")
	require.Regexp(t, `cpu, now \d+\.\d\dm`, stdout)
	content, err := os.ReadFile(picture)
	require.NoError(t, err)
	require.True(t, bytes.HasPrefix(content, []byte("\x89PNG")))
}

func TestForecastJSON(t *testing.T) {
	file := usageFile(t, 800, false)
	status, stdout, stderr := command(t, "forecast", file, "-json", "-forecasters", quick)
	require.Equal(t, cli.OK, status, stderr)
	lines := strings.Split(strings.TrimSpace(stdout), "\n")
	require.Len(t, lines, 10)
	for i, line := range lines {
		var l forecastLine
		require.NoError(t, json.Unmarshal([]byte(line), &l))
		require.Equal(t, []string{"memory", "cpu"}[i/5], l.Resource)
		require.Equal(t, []float64{15, 300, 900, 3600, 14400}[i%5], l.Seconds)
		require.Len(t, l.Quantiles, 4)
		require.Equal(t, i%5 == 4, l.Quantiles[0] == nil)
		require.Equal(t, i%5 < 3, l.Validated)
	}
}

func TestForecastScores(t *testing.T) {
	file := usageFile(t, 800, false)
	status, stdout, stderr := command(t, "forecast", file, "-score", "-forecasters", quick)
	require.Equal(t, cli.OK, status, stderr)
	require.Regexp(t, `next sample +persistence +1\.000 +1\.000 `, stdout)
	require.Regexp(t, `\* conditional +0\.\d{3} +0\.\d{3} `, stdout)
	require.Contains(t, stdout, "memory: the chosen (*) lose 0.")
	require.Contains(t, stdout, "cpu: not scored, since the last third does not hold ten of it: 15 min, 60 min, 240 min.\n")

	status, stdout, stderr = command(t, "forecast", file, "-score", "-json", "-forecasters", quick)
	require.Equal(t, cli.OK, status, stderr)
	lines := strings.Split(strings.TrimSpace(stdout), "\n")
	require.Len(t, lines, 12)
	var l scoreLine
	require.NoError(t, json.Unmarshal([]byte(lines[2]), &l))
	require.Equal(t, "conditional", l.Forecaster)
	require.True(t, l.Chosen)
	require.Less(t, *l.Relative, 0.9)
	require.Equal(t, 267, l.Origins)
	require.Len(t, l.Coverage, 4)
}

// TestForecastSaysWhereNothingHelps checks what is said of values that no forecaster knows more of than their last.
func TestForecastSaysWhereNothingHelps(t *testing.T) {
	u := &rightsize.Usage{Function: "constant"}
	for i := range 900 {
		u.Times, u.Memory, u.CPU = append(u.Times, 1_700_000_000_000+int64(i)*60_000), append(u.Memory, 4e7), append(u.CPU, 0.01)
	}
	file := filepath.Join(t.TempDir(), "usage.csv")
	require.NoError(t, usagecsv.WriteFile(file, u))
	status, stdout, stderr := command(t, "forecast", file, "-score", "-forecasters", quick)
	require.Equal(t, cli.OK, status, stderr)
	require.Contains(t, stdout, "memory, next sample: nothing beats the last value and its residuals.\n")
	status, stdout, stderr = command(t, "forecast", file, "-forecasters", quick)
	require.Equal(t, cli.OK, status, stderr)
	require.Regexp(t, `next sample +38\.15Mi +38\.15Mi +38\.15Mi +38\.15Mi +conservative +nothing else is surely better`, stdout)
}

func TestForecastPaper(t *testing.T) {
	file := usageFile(t, 300, false)
	run := func(args ...string) string {
		status, stdout, stderr := command(t, append([]string{"forecast", file, "-paper", "-epochs", "3"}, args...)...)
		require.Equal(t, cli.OK, status, stderr)
		return stdout
	}
	text := run()
	require.Contains(t, text, "198 windows of training, 99 of test\n")
	require.Regexp(t, `LSTM, 3 epochs, batches of 32, seed 0 +\d+\.\d +\d+\.\d +0\.\d{8} +0\.\d{8}\n`, text)
	require.Regexp(t, `published one, on its recording +50345\.7 +154433\.7 +0\.00090841 +0\.00121232\n`, text)
	require.Contains(t, text, "75 % of the samples of memory and 75 % of CPU repeat the one before.\n")
	require.Equal(t, text, run(), "the same seed, the same bytes")
	require.NotEqual(t, text, run("-seed", "1"))
	require.Len(t, strings.Split(strings.TrimSpace(run("-json")), "\n"), 6)
}

func TestForecastRefuses(t *testing.T) {
	file := usageFile(t, 30, false)
	for _, test := range []struct {
		status int
		text   string
		args   []string
	}{
		{cli.Usage, "the file of the USAGE is missing", nil},
		{cli.Usage, `"c" is left over`, []string{"a", "b", "c"}},
		{cli.Usage, "-score and -paper", []string{file, "-score", "-paper"}},
		{cli.Usage, ".png, .svg or .pdf", []string{file, "-picture", "fan.gif"}},
		{cli.Usage, "-picture is not for -paper", []string{file, "-paper", "-picture", "fan.png"}},
		{cli.Usage, `no forecaster is called "oracle"`, []string{file, "-forecasters", "oracle"}},
		{cli.Usage, `-unit: must be s, ms, us, ns, not "min"`, []string{file, "-unit", "min"}},
		{cli.Usage, "-synthetic: give one", []string{file, "-synthetic", "idle"}},
		{cli.Usage, "there are daily, leak, bursts, deploy, idle", []string{"-synthetic", "weekly"}},
		{cli.Usage, `"x" is no seed`, []string{"-synthetic", "idle:x"}},
		{cli.Usage, "-unit is not for", []string{"-synthetic", "idle", "-unit", "s"}},
		{cli.Usage, "-epochs is for -paper", []string{file, "-epochs", "3"}},
		{cli.Usage, "must be at least 1", []string{file, "-paper", "-batch", "0"}},
		{cli.Failed, "none.csv", []string{"none.csv"}},
		{cli.Failed, "a step is found in 2 or more", []string{usageFile(t, 1, false)}},
		{cli.Failed, "too few for the published model", []string{usageFile(t, 4, false), "-paper"}},
	} {
		status, stdout, stderr := command(t, append([]string{"forecast"}, test.args...)...)
		require.Equal(t, test.status, status, test.args)
		require.Contains(t, stderr, test.text)
		require.Empty(t, stdout)
	}
	status, stdout, stderr := command(t, "forecast", file, "-forecasters", quick)
	require.Equal(t, cli.OK, status, stderr)
	require.Contains(t, stdout, "too few samples to choose by")
}

// TestForecastOfOneResource checks a file that has memory alone.
func TestForecastOfOneResource(t *testing.T) {
	text := "Time,mem_usage\n"
	for i := range 400 {
		text += fmt.Sprintf("%d,%d\n", 1_700_000_000_000+i*15000, 40_000_000+i*i%997)
	}
	file := filepath.Join(t.TempDir(), "memory.csv")
	require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
	status, stdout, stderr := command(t, "forecast", file, "-score", "-forecasters", quick)
	require.Equal(t, cli.OK, status, stderr)
	require.Contains(t, stdout, "cpu: no sample is known.\n")
	status, stdout, stderr = command(t, "forecast", file, "-forecasters", quick, "-picture", filepath.Join(t.TempDir(), "fan.svg"))
	require.Equal(t, cli.OK, status, stderr)
	require.Contains(t, stdout, "cpu, now -\n")
	status, stdout, stderr = command(t, "forecast", file, "-json", "-forecasters", quick)
	require.Equal(t, cli.OK, status, stderr)
	require.Contains(t, stdout, `"resource":"cpu","time":"2023-11-14T23:53:05Z","seconds":15,"horizon":"next","last":null,"levels":[0.5,0.9,0.95,0.99],"quantiles":[null,null,null,null]`)
	require.NotContains(t, stdout, "NaN")
}

func TestForecastSynthetic(t *testing.T) {
	status, stdout, stderr := command(t, "forecast", "-synthetic", "idle:7", "-forecasters", "persistence")
	require.Equal(t, cli.OK, status, stderr)
	require.Contains(t, stdout, "idle: 14400 samples, one every 1m0s, 2026-01-05 00:00:00 until 2026-01-14 23:59:00\n")
}

func TestForecastStops(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, option := range []string{"-score", "-paper"} {
		var out, errors bytes.Buffer
		require.NotZero(t, program.Run(ctx, []string{"forecast", usageFile(t, 300, false), option}, &out, &errors), option)
		require.Empty(t, out.String())
	}
}

// fullDisk takes nothing.
type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, errors.New("no space left on device") }

// TestForecastIsNotLost checks that what cannot be printed is an error, in all that forecast prints.
func TestForecastIsNotLost(t *testing.T) {
	file := usageFile(t, 200, false)
	for _, args := range [][]string{{}, {"-json"}, {"-score"}, {"-score", "-json"}, {"-paper", "-epochs", "1"}, {"-paper", "-epochs", "1", "-json"}} {
		args = append([]string{"forecast", file}, args...)
		if !slices.Contains(args, "-paper") {
			args = append(args, "-forecasters", quick)
		}
		var stderr bytes.Buffer
		require.Equal(t, cli.Failed, program.Run(t.Context(), args, fullDisk{}, &stderr), args)
		require.Contains(t, stderr.String(), "no space left on device", args)
	}
}
