package backtest

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/tppfaas/tppfaas/internal/figure"
	"github.com/tppfaas/tppfaas/rightsize"
	"github.com/tppfaas/tppfaas/rightsize/recommend"
	"github.com/tppfaas/tppfaas/rightsize/synthetic"
)

var update = flag.Bool("update", false, "write the golden files")

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// script sets limits by the number of the sample, from 1 on, and notes what it sees.
type script struct {
	at    map[int]recommend.Limits
	seen  int
	kills []int
	first recommend.Limits
}

func (s *script) Observe(x recommend.Sample) {
	s.seen++
	if x.Killed {
		s.kills = append(s.kills, s.seen)
	}
}

func (s *script) Recommend(set recommend.Limits) recommend.Limits {
	if s.first == (recommend.Limits{}) {
		s.first = set
	}
	if l, ok := s.at[s.seen]; ok {
		return l
	}
	return set
}

func usage(t *testing.T, memory, cpu []float64) *rightsize.Usage {
	t.Helper()
	times := make([]int64, len(memory))
	for i := range times {
		times[i] = synthetic.Begin.Add(time.Duration(i) * time.Hour).UnixMilli()
	}
	u, err := rightsize.NewUsage("f", times, memory, cpu)
	require.NoError(t, err)
	return u
}

// TestRun checks the measures on a few samples whose limits are given.
func TestRun(t *testing.T) {
	const gib = 1 << 30
	nan := math.NaN()
	u := usage(t,
		[]float64{1 * gib, 2 * gib, 1 * gib, 3 * gib, 3 * gib, nan, 5 * gib, 1 * gib, 5 * gib, 5 * gib},
		[]float64{0.1, 0.2, 0.3, 0.3, 0.1, nan, 0.1, 0.1, 0.1, 0.1})
	// The second sample ends the warm-up: limits hold from the third sample on.
	s := &script{at: map[int]recommend.Limits{
		4:  {MemoryRequest: 2 * gib, MemoryLimit: 4 * gib, CPURequest: 0.5},
		9:  {MemoryRequest: 8 * gib, CPURequest: 0.5},
		10: {MemoryRequest: 8 * gib, CPURequest: 0.5},
	}}
	m := run(u, s, Options{Warmup: time.Hour})
	require.Equal(t, recommend.Limits{MemoryRequest: 2.4 * gib, MemoryLimit: 2.4 * gib, CPURequest: 0.24, CPULimit: 0.24}, s.first)
	require.Equal(t, []int{4, 7, 9}, s.kills, "a run of samples is one kill")
	require.InDelta(t, 9.0/24, m.Days, 1e-12)
	require.Equal(t, 3.0, m.Kills)
	require.Equal(t, 180.0, m.Over)
	require.InDelta(t, 2/(9.0/24), m.Changes, 1e-12)
	require.InDelta(t, (2*2.4+5*4+2*8)/9, m.Reserved, 1e-12)
	require.InDelta(t, (2*2.4+5*2+2*8)/9, m.Requested, 1e-12)
	require.InDelta(t, (2*0.24+7*0.5)/9, m.CPU, 1e-12)
	require.InDelta(t, 2.0/9, m.Throttled, 1e-12)
}

func short(kinds ...string) Matrix {
	return Matrix{
		Series:       Synthetic(kinds, 1, 2, synthetic.Options{Length: 4 * 24 * time.Hour, Step: 5 * time.Minute}),
		Recommenders: []string{"forecast", "krr", "krr-5", "vpa", "fixed"},
	}
}

// TestGolden checks the table of two seeds of short series, and that it does not depend on the number of workers.
func TestGolden(t *testing.T) {
	var before []Cell
	for _, workers := range []int{1, 3} {
		m := short("daily", "leak", "deploy")
		m.Workers = workers
		done := 0
		m.Progress = func(n int) { done = n }
		cells, err := Run(t.Context(), m)
		require.NoError(t, err)
		require.Equal(t, 30, done)
		if before != nil {
			require.Equal(t, before, cells)
		}
		before = cells
	}
	var text bytes.Buffer
	for _, c := range Compare(before, "krr") {
		fmt.Fprintln(&text, c.Markdown())
		require.NoError(t, c.Text(&text))
		fmt.Fprintln(&text)
	}
	const golden = "testdata/short.md"
	if *update {
		require.NoError(t, os.WriteFile(golden, text.Bytes(), 0o644))
	}
	want, err := os.ReadFile(golden)
	require.NoError(t, err)
	require.Equal(t, string(want), text.String())
}

// TestErrors checks that a series that cannot be run is named, and that Ctrl-C ends a run.
func TestErrors(t *testing.T) {
	broken := Series{Name: "broken", Usage: func() (*rightsize.Usage, error) { return nil, errors.New("no such file") }}
	m := short("idle")
	m.Series = append(m.Series, broken)
	_, err := Run(t.Context(), m)
	require.EqualError(t, err, "no such file")
	m.Series = []Series{{Name: "tiny", Usage: func() (*rightsize.Usage, error) { return usage(t, []float64{1, 2}, []float64{1, 2}), nil }}}
	_, err = Run(t.Context(), m)
	require.EqualError(t, err, "tiny: 1h0m0s of usage: a backtest needs more than the warm-up of 24h0m0s")
	m.Series = []Series{{Name: "cpu", Usage: func() (*rightsize.Usage, error) {
		memory, cpu := make([]float64, 30), make([]float64, 30)
		for i := range memory {
			memory[i] = math.NaN()
		}
		return usage(t, memory, cpu), nil
	}}}
	_, err = Run(t.Context(), m)
	require.EqualError(t, err, "cpu: there is no usage of memory")
	m.Recommenders = []string{"oracle"}
	_, err = Run(t.Context(), m)
	require.ErrorContains(t, err, "oracle")
	ctx, cancel := context.WithCancel(t.Context())
	m = short("idle", "daily")
	m.Progress = func(int) { cancel() }
	_, err = Run(ctx, m)
	require.ErrorIs(t, err, context.Canceled)
}

// TestCompare checks ratios by seed, and what they are compared with.
func TestCompare(t *testing.T) {
	cells := []Cell{
		{"a", 1, "krr", Measures{Reserved: 2, Kills: 1, Days: 9}}, {"a", 1, "vpa", Measures{Reserved: 1, Days: 9}},
		{"a", 2, "krr", Measures{Reserved: 4, Kills: 2, Days: 9}}, {"a", 2, "vpa", Measures{Reserved: 3, Days: 9}},
		{"b", 0, "vpa", Measures{Reserved: 3, Days: 1}},
	}
	c := Compare(cells, "krr")
	require.Len(t, c, 2)
	require.InDelta(t, 0.625, c[0].Rows[1].Ratio.Mean, 1e-12)
	require.InDelta(t, 12.706*0.125, c[0].Rows[1].Ratio.Half, 1e-3)
	require.Equal(t, 3.0, c[0].Rows[0].Kills)
	require.Equal(t, "a, 2 seeds (1 to 2), 9 days each; to krr by seed", c[0].Caption())
	require.Equal(t, "vpa", c[1].Base)
	require.Equal(t, "b, 1 days each; to vpa by seed", c[1].Caption())
	one := Compare(cells[:2], "krr")
	require.Equal(t, "a, seed 1, 9 days each; to krr by seed", one[0].Caption())
	require.Contains(t, c[1].Markdown(), "| vpa | 3.000 | 1.000 |")
}

// TestPicture checks that a picture has a panel for each series, and can be written.
func TestPicture(t *testing.T) {
	m := short("idle", "bursts")
	m.Recommenders = m.Recommenders[1:3]
	cells, err := Run(t.Context(), m)
	require.NoError(t, err)
	s := Picture(Compare(cells, "krr"))
	require.Len(t, s.Panels, 2)
	file := filepath.Join(t.TempDir(), "bars.svg")
	require.NoError(t, figure.Write(file, s))
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Contains(t, string(text), "krr-5")
}
