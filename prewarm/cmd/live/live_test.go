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
	"github.com/tppfaas/tppfaas/prewarm/controller"
	"github.com/tppfaas/tppfaas/prewarm/lab"
	"github.com/tppfaas/tppfaas/tpp"
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

// TestInTime compares the bound for starts of some length with that for starts of none, with that for starts longer than any request, of which everything has to be
// asked for before, and with one that follows by hand.
func TestInTime(t *testing.T) {
	for _, name := range []string{"checkout", "tree_small", "sequence"} {
		app, err := apps.Load(name)
		require.NoError(t, err)
		require.InDelta(t, unforeseeable(app, true), inTime(app, 0), 1e-12, name)
		require.LessOrEqual(t, inTime(app, 0), inTime(app, 0.3), name)
		require.LessOrEqual(t, inTime(app, 0.3), inTime(app, 100), name)
	}
	checkout, err := apps.Load("checkout")
	require.NoError(t, err)
	const pay, backorder, receipt, notify = 0.7, 0.25, 0.9, 0.1
	repetitions := pay * (0.3 + 0.09)
	invocations := 3 + pay + backorder + pay + repetitions + pay*(2*receipt+notify) + backorder
	// What backorder calls comes a start later than backorder, which is cold.
	missed := (1 - pay) + backorder + repetitions + (1 - pay) + 2*(1-pay*receipt) + pay*notify
	require.InDelta(t, missed/invocations, inTime(checkout, 100), 1e-6)
	// With starts of 0.1 s bank, and receipt with ship, can wait until pay has arrived, or bank: what is added is that ship comes 60 ms after receipt.
	missed = (1 - pay) + backorder + repetitions + 2*pay*(1-receipt) + pay*notify
	require.InDelta(t, missed/invocations, inTime(checkout, 0.1), 1e-3)
}

// TestKept: checkout has ten functions, of which the bank is asked again while it has not ended.
func TestKept(t *testing.T) {
	for name, want := range map[string]int{"checkout": 11, "tree_small": 10, "sequence": 11} {
		app, err := apps.Load(name)
		require.NoError(t, err)
		require.Equal(t, want, kept(app), name)
	}
}

// TestCount checks that a container which was warmed and renewed, and has not been used, is wasted though it is still there; one that was warmed for what is to come is not.
func TestCount(t *testing.T) {
	var s summary
	s.count(&controller.Totals{Warmups: 3, Wasted: 1, Renewals: 5, SpentMBs: 100}, &controller.Totals{Warmups: 10, Wasted: 2, Renewals: 9, RenewalsFailed: 1, SpentMBs: 400, KeptMBs: 50},
		[]controller.ContainerState{{Warmed: true, Renewals: 1}, {Warmed: true}, {Warmed: true, Used: true, Renewals: 2}, {Renewals: 1, Used: true}})
	require.Equal(t, summary{Warmups: 7, Wasted: 3, Renewals: 4, RenewalsFailed: 1, SpentMBs: 300, KeptMBs: 50}, s)
}

func TestStartTime(t *testing.T) {
	d := &tpp.Dataset{Sequences: []tpp.Sequence{
		{Marks: []int{0, 1}, WaitTimes: []float64{250, 3}, InitTimes: []float64{50, 0}},
		{Marks: []int{0, 1}, WaitTimes: []float64{260, 380}, InitTimes: []float64{60, 20}},
	}}
	require.InDelta(t, 0.32, startTime(d), 1e-12)
	require.Zero(t, startTime(&tpp.Dataset{}))
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
