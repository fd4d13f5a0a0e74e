package main

import (
	"bytes"
	"image/png"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tppfaas/tppfaas/apps"
	"github.com/tppfaas/tppfaas/sampler"
	"github.com/tppfaas/tppfaas/tpp"
	"github.com/tppfaas/tppfaas/tpp/dataset"
)

// recordings lie beside the repository.
const recordings = "../../../shared/data"

// TestVirtualTimeIsLikeTheCluster compares what the platform makes of each recording's load. Its log is the table of both.
func TestVirtualTimeIsLikeTheCluster(t *testing.T) {
	paths, err := filepath.Glob(filepath.Join(recordings, "*.json.gz"))
	if err != nil {
		t.Fatal(err)
	}
	if len(paths) == 0 {
		t.Skipf("the recordings are not here: no %s", recordings)
	}
	const seeds = 20 // so that chance is in the recordings alone
	for _, path := range paths {
		if testing.Short() && !strings.HasSuffix(path, "_sequence_det.json.gz") {
			continue
		}
		t.Run(filepath.Base(path), func(t *testing.T) {
			c, err := compareFile(t.Context(), path, sampler.Cluster, seeds)
			if err != nil {
				t.Fatal(err)
			}
			var table bytes.Buffer
			if err := c.print(&table); err != nil {
				t.Fatal(err)
			}
			t.Log(table.String())
			for _, f := range c.statistics {
				if !f.ok {
					t.Errorf("%s: recorded %.4g, simulated %.4g", f.name, f.real, f.ours)
				}
			}
			outside := 0
			for _, g := range c.gaps {
				if !g.ok() {
					t.Errorf("the median gap of %v is %.0f ms, recorded %.0f (%.0f to %.0f)", g.pair, g.ours, g.real, g.together.lower, g.together.upper)
				}
				if !g.okAlone() {
					outside++
				}
			}
			// The interval of a single pair misses what is exactly right once in twenty times, and not more often.
			if outside > (len(c.gaps)+19)/20 {
				t.Errorf("%d of %d median gaps are outside of their own intervals", outside, len(c.gaps))
			}
		})
	}
}

// sequence returns a trace whose marks go up and whose gaps are given.
func sequence(start float64, gaps ...float64) *tpp.Sequence {
	s := &tpp.Sequence{ArrivalTimes: []float64{start}, Marks: []int{0}, WaitTimes: []float64{4}, InitTimes: []float64{0}}
	for i, g := range gaps {
		s.ArrivalTimes = append(s.ArrivalTimes, s.ArrivalTimes[i]+g)
		s.Marks = append(s.Marks, i+1)
		s.WaitTimes, s.InitTimes = append(s.WaitTimes, 2000), append(s.InitTimes, 140)
	}
	return s
}

func TestCompareGaps(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	var real, near, far, rare []*tpp.Sequence
	for range 200 {
		x := 300 + 50*rng.NormFloat64()
		real = append(real, sequence(0, x))
		near = append(near, sequence(0, 1.1*x))
		far = append(far, sequence(0, 1.4*x))
	}
	rare = real[:99]
	for _, tt := range []struct {
		name       string
		real, ours []*tpp.Sequence
		pairs      int
		ok         bool
	}{
		{"itself", real, real, 1, true},
		{"10 % more", real, near, 1, true},
		{"40 % more", real, far, 1, false},
		{"a pair that does not come", real, []*tpp.Sequence{sequence(0)}, 1, false},
		{"too few observations", rare, far, 0, true},
	} {
		got := compareGaps(tt.real, tt.ours)
		if len(got) != tt.pairs {
			t.Fatalf("%s: %d pairs, want %d", tt.name, len(got), tt.pairs)
		}
		for _, g := range got {
			if g.ok() != tt.ok {
				t.Errorf("%s: ok is %t: %+v", tt.name, g.ok(), g)
			}
			if !(g.alone.has(g.real) && g.alone.upper-g.alone.lower < 30) {
				t.Errorf("%s: an interval from %v to %v around %v", tt.name, g.alone.lower, g.alone.upper, g.real)
			}
		}
	}
}

// The interval is that of the medians of resamples, and has the true median as often as it says.
func TestBootstrap(t *testing.T) {
	rng := rand.New(rand.NewPCG(2, 2))
	draw := func(n int) []float64 {
		x := make([]float64, n)
		for i := range x {
			x[i] = rng.ExpFloat64()
		}
		slices.Sort(x)
		return x
	}
	for _, n := range []int{100, 101, 437} {
		x := draw(n)
		medians, resample := make([]float64, 20000), make([]float64, n)
		for i := range medians {
			for j := range resample {
				resample[j] = x[rng.IntN(n)]
			}
			slices.Sort(resample)
			medians[i] = quantile(resample, 0.5)
		}
		slices.Sort(medians)
		i := bootstrap(x, 0.05)
		below, _ := slices.BinarySearch(medians, i.lower) // strictly
		upTo, _ := slices.BinarySearch(medians, math.Nextafter(i.upper, math.Inf(1)))
		if l, u := float64(below)/20000, float64(upTo)/20000; l > 0.029 || u < 0.971 || !(bootstrap(x, 0.06).lower >= i.lower && bootstrap(x, 0.001).upper > i.upper) {
			t.Errorf("of the medians of resamples of %d, %.3f are below %+v and %.3f not above it", n, l, i, u)
		}
	}
	for _, missing := range []float64{0.05, 0.005} {
		misses := 0
		const rounds = 4000
		for range rounds {
			if !bootstrap(draw(100), missing).has(math.Ln2) {
				misses++
			}
		}
		if share := float64(misses) / rounds; share > 1.6*missing+0.002 || share < missing/3 {
			t.Errorf("an interval that should miss %v of the time misses %v", missing, share)
		}
	}
}

func TestFigures(t *testing.T) {
	d := delaysOf([]*tpp.Sequence{sequence(0, 1, 2, 3)})
	if got := d.coldShare(); got != 75 {
		t.Errorf("a share of cold starts of %v %%, want 75", got)
	}
	other := delaysOf([]*tpp.Sequence{sequence(0, 1), sequence(0)})
	for _, f := range statistics(d, other) {
		if want := f.name != "cold starts %" && f.name != "wait median"; f.ok != want {
			t.Errorf("%s: real %v, ours %v: ok is %t", f.name, f.real, f.ours, f.ok)
		}
	}
	if q := quantile(nil, 0.5); !math.IsNaN(q) {
		t.Errorf("the median of nothing is %v", q)
	}
}

func TestBursts(t *testing.T) {
	d := &tpp.Dataset{}
	for i := range 30 {
		d.Sequences = append(d.Sequences, *sequence(float64(i) * 600))
	}
	for b := range 2 {
		for i := range 20 - b {
			d.Sequences = append(d.Sequences, *sequence(1e6 + 1e5*float64(b) + float64(i)*110))
		}
	}
	found := bursts(d)
	if len(found) != 2 || len(found[0]) != 20 || len(found[1]) != 19 {
		t.Errorf("%d bursts found, want those of 20 and of 19", len(found))
	}
}

func TestNamesOfRecordings(t *testing.T) {
	for _, name := range []string{"sequence.json", "low_sequence.json", "middle_sequence_det.json", "low_sequence_some.json"} {
		if _, err := readSource(name); err == nil {
			t.Errorf("%s was taken for a recording", name)
		}
	}
}

// TestFitOfADataset samples with known overheads and fits.
func TestFitOfADataset(t *testing.T) {
	s := &source{app: load(t, "sequence"), dataset: &tpp.Dataset{Sequences: make([]tpp.Sequence, 50)}}
	d, err := s.simulate(t.Context(), sampler.Standalone, 1, false)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "any.json")
	if err := dataset.WriteFile(path, d); err != nil {
		t.Fatal(err)
	}
	var stdout, stderr bytes.Buffer
	if status := run(t.Context(), []string{"-fit", path}, &stdout, &stderr); status != 0 {
		t.Fatal(stderr.String())
	}
	for _, want := range []string{"550 invocations\n", "Dispatch: Delay{Min: ", "Creation: Delay{Min: ", "Init: Delay{Min: "} {
		if !strings.Contains(stdout.String(), want) {
			t.Errorf("the output lacks %q:\n%s", want, stdout.String())
		}
	}
}

func load(t *testing.T, name string) *apps.Application {
	t.Helper()
	app, err := apps.Load(name)
	if err != nil {
		t.Fatal(err)
	}
	return app
}

// TestPicture draws a recording of each kind, and the timings.
func TestPicture(t *testing.T) {
	timings := filepath.Join(recordings, "..", "reference", "openwhisk", "timings.csv")
	output := filepath.Join(t.TempDir(), "picture.png")
	args := []string{"-seeds", "1", "-o", output, "-timings", timings}
	for _, name := range []string{"low_sequence_det.json.gz", "batched_sequence_det.json.gz"} {
		path := filepath.Join(recordings, name)
		if _, err := os.Stat(path); err != nil {
			t.Skipf("the recordings are not here: %v", err)
		}
		args = append(args, path)
	}
	var stdout, stderr bytes.Buffer
	if status := run(t.Context(), args, &stdout, &stderr); status != 0 {
		t.Fatal(stderr.String())
	}
	f, err := os.Open(output)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	picture, err := png.Decode(f)
	if err != nil {
		t.Fatal(err)
	}
	if picture.Bounds().Dx() < 500 {
		t.Errorf("a picture of %v", picture.Bounds())
	}
}
