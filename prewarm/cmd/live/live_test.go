//go:build unix

package main

import (
	"bytes"
	"math"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tppfaas/tppfaas/apps"
	"github.com/tppfaas/tppfaas/prewarm/lab"
)

// TestUnforeseeable compares the bound with what follows by hand from the probabilities in graph.yaml.
func TestUnforeseeable(t *testing.T) {
	checkout, err := apps.Load("checkout")
	require.NoError(t, err)
	const pay, backorder, receipt, notify = 0.7, 0.25, 0.9, 0.1
	missed := (1 - pay) + backorder + pay*((1-receipt)+notify)
	invocations := 3 + pay + backorder + pay*(1+0.3+0.09) + pay*(2*receipt+notify) + backorder
	require.InDelta(t, missed/invocations, unforeseeable(checkout, false), 1e-12)
	require.InDelta(t, 0.106, unforeseeable(checkout, false), 0.001)
	require.InDelta(t, (missed+pay*(0.3+0.09))/invocations, unforeseeable(checkout, true), 1e-12)
	tree, err := apps.Load("tree_small")
	require.NoError(t, err)
	require.Zero(t, unforeseeable(tree, true))
}

// TestPlanned checks the time of a request on a platform that takes none.
func TestPlanned(t *testing.T) {
	calls := []apps.Call{{Invokes: []int{1, 2}}, {Sleep: time.Second}, {Sleep: 990 * time.Millisecond, Invokes: []int{3}}, {}}
	require.Equal(t, 990*time.Millisecond+apps.CallGap, planned(calls))
}

// TestNothingCounts checks that runs of which no request counts can be printed in both forms.
func TestNothingCounts(t *testing.T) {
	m := &measurement{name: withRun, outcomes: []outcome{{Run: withRun}}}
	for _, form := range []bool{false, true} {
		var out bytes.Buffer
		require.NoError(t, (&table{out: &out, json: form}).end([]summary{*m.summary()}))
		require.NotContains(t, out.String(), "NaN")
	}
}

// TestFilesAreCheckedFirst checks that what cannot be read or written is said before the runs, which take minutes.
func TestFilesAreCheckedFirst(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"-o", filepath.Join(file, "data")}, "-o: mkdir " + file},
		{[]string{"-picture", filepath.Join(dir, "none", "live.png")}, "-picture: "},
		{[]string{"-model", filepath.Join(dir, "none")}, "-model: open "},
	} {
		var stdout, stderr bytes.Buffer
		require.Equal(t, 1, program.Run(t.Context(), c.args, &stdout, &stderr))
		require.Contains(t, stderr.String(), c.want)
		require.Empty(t, stdout.String())
	}
	o := options{output: filepath.Join(dir, "new", "data")}
	require.NoError(t, o.writable())
	require.DirExists(t, o.output)
}

func TestQuantile(t *testing.T) {
	require.InDelta(t, 1.5, lab.Quantile([]float64{1, 2}, 0.5), 1e-12)
	require.InDelta(t, 2.9, lab.Quantile([]float64{1, 2, 3}, 0.95), 1e-12)
	require.True(t, math.IsNaN(lab.Quantile(nil, 0.5)))
}
