package lab

import (
	"bytes"
	"flag"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"gonum.org/v1/plot/plotter"

	"github.com/tppfaas/tppfaas/internal/figure"
)

var update = flag.Bool("update", false, "write the golden files anew")

// samples are results of four policies and an oracle on one application, and of one policy on another.
func samples() []*StoredResult {
	var out []*StoredResult
	for _, p := range []struct {
		policy         string
		p95, start, id float64
	}{{"keepalive:600", 26, 3600, 1_340_000}, {"jit:0.5:0.1", 4.2, 6100, 1400}, {"jit:0.5:0.3", 4.4, 6000, 1200}, {"newsvendor:2560", 4.1, 6200, 1100}, {"newsvendor:640", 6, 5900, 300}, {"O1", 1.6, 5800, 0}, {"O3", 3.7, 5800, 0}} {
		for seed := range uint64(3) {
			v := 1 + 0.01*float64(seed)
			out = append(out, sample("sequence", p.policy, seed+1, p.p95*v, p.start*v, p.id/v))
		}
	}
	out = append(out, sample("tree_small", "none", 1, -0.001, 5000, 0))
	out[0].Functions = []FunctionMeasures{{Function: "sequence-dev-main", Invocations: 1, Wait: 0.52, Starting: 300, Idle: 4000, Busy: 20, Cold: 0.25}}
	return out
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		require.NoError(t, os.WriteFile(path, got, 0o644))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, string(want), string(got))
}

// TestTables compares tables with golden files.
func TestTables(t *testing.T) {
	groups := Groups(samples())
	require.Len(t, groups, 2)
	tables := []*Table{groups[0].Table(), groups[0].FrontTable(), groups[1].Table(), groups[0].FunctionTable()}
	var text, markdown, csv bytes.Buffer
	require.NoError(t, WriteText(&text, tables))
	require.NoError(t, WriteMarkdown(&markdown, tables))
	require.NoError(t, WriteCSV(&csv, samples()))
	golden(t, "tables.txt", text.Bytes())
	golden(t, "tables.md", markdown.Bytes())
	golden(t, "results.csv", csv.Bytes())
	require.Nil(t, groups[1].FrontTable(), "there is no front")
}

// TestEstimate checks an interval against t·s/√3 with t = 4.302653, the 97.5 % quantile of Student's t with two degrees of freedom in tables.
func TestEstimate(t *testing.T) {
	e := estimate([]float64{1, 2, 4})
	require.InDelta(t, 7.0/3, e.Mean, 1e-12)
	require.InDelta(t, 3.794583, e.Half, 1e-6)
	require.True(t, math.IsNaN(estimate([]float64{1}).Half))
	require.True(t, math.IsNaN(estimate(nil).Mean))
}

// TestPairedDifferences checks that differences are those with the same seed, also where seeds are missing.
func TestPairedDifferences(t *testing.T) {
	var results []*StoredResult
	for seed, p95s := range map[uint64][2]float64{1: {10, 11}, 2: {20, 22}, 3: {30, 33}} {
		results = append(results, sample("a", "p", seed, p95s[0], 1, 1), sample("a", "q", seed, p95s[1], 1, 1))
	}
	results = append(results, sample("a", "q", 9, 1000, 1, 1))
	g := Groups(results)[0]
	p, q := g.Policies[0], g.Policies[1]
	if p.Policy == "q" {
		p, q = q, p
	}
	e := q.Paired(p, p95, difference)
	require.InDelta(t, 2, e.Mean, 1e-12)
	require.InDelta(t, 2.484138, e.Half, 1e-6) // t(0.975, 2) / √3
}

// TestQuantile checks quantiles against those of numpy.
func TestQuantile(t *testing.T) {
	values := []float64{1, 2, 4, 8}
	for q, want := range map[float64]float64{0: 1, 0.5: 3, 0.95: 7.4, 0.99: 7.88, 1: 8} {
		require.InDelta(t, want, Quantile(values, q), 1e-12)
	}
	require.True(t, math.IsNaN(Quantile(nil, 0.5)))
}

// TestKnobs checks along what policies are joined in the picture.
func TestKnobs(t *testing.T) {
	for policy, want := range map[string]struct {
		curve string
		value float64
	}{
		"keepalive:600": {"keepalive:", 600}, "newsvendor:2560:race": {"newsvendor::race", 2560}, "newsvendor:640": {"newsvendor:", 640},
		"jit:0.5:0.1": {"jit:0.5:", 0.1}, "openwhisk:idle=300": {"openwhisk:idle", 300}, "none": {"none", math.NaN()}, "O2:1:2560": {"O2:1:", 2560},
	} {
		curve, value := knob(policy)
		require.Equal(t, want.curve, curve)
		if !math.IsNaN(want.value) || !math.IsNaN(value) {
			require.Equal(t, want.value, value)
		}
	}
}

// TestPicture draws results, and checks that the points of a curve are in the order of its knob.
func TestPicture(t *testing.T) {
	groups := Groups(samples())
	curves := groups[0].curves()
	for _, c := range curves {
		if c.kind == frontKind {
			require.Equal(t, []float64{640, 2560}, c.values)
			require.Greater(t, c.points[0].Y, c.points[1].Y)
		}
	}
	for _, g := range [][]*Group{groups, groups[1:]} {
		path := filepath.Join(t.TempDir(), "front.svg")
		require.NoError(t, figure.Write(path, Picture(g)))
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		require.Contains(t, string(text), "none")
	}
}

// TestPictureKeepsTheFrontReadable checks that a policy at a hundred times the front's memory is drawn at the edge, not by stretching the axis.
func TestPictureKeepsTheFrontReadable(t *testing.T) {
	front := &curve{name: "newsvendor", kind: frontKind, points: plotter.XYs{{X: 100, Y: 4}, {X: 200, Y: 3}}}
	far := &curve{name: "keepalive:", kind: "keepalive", points: plotter.XYs{{X: 150, Y: 5}, {X: 50_000, Y: 2}, {X: 120, Y: 70}}}
	edge := edgeOf([]*curve{far, front})
	require.Equal(t, plotter.XY{X: 500, Y: 10}, edge)
	within, beyond := far.within(edge)
	require.Equal(t, plotter.XYs{{X: 150, Y: 5}}, within)
	require.Equal(t, plotter.XYs{{X: 500, Y: 2}, {X: 120, Y: 10}}, beyond)
	edge = edgeOf([]*curve{far})
	within, beyond = far.within(edge)
	require.Len(t, within, 3, "without a front nothing is left out")
	require.Empty(t, beyond)
}
