package report

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"github.com/tppfaas/tppfaas/internal/htmlpage"
	"github.com/tppfaas/tppfaas/rightsize"
	"github.com/tppfaas/tppfaas/rightsize/synthetic"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var update = flag.Bool("update", false, "write the golden files")

func usage(t testing.TB, kind string, length time.Duration) *rightsize.Usage {
	u, err := synthetic.New(kind, 1, synthetic.Options{Length: length, Step: 10 * time.Minute})
	require.NoError(t, err)
	return u
}

// steady are recommenders that nobody tunes.
var steady = Options{Source: `a "file" <b>`, Recommender: "krr", Base: "fixed", Recommenders: []string{"fixed"}, Runtime: "go", Fast: true}

// TestGolden compares the page, the text and the JSON of two functions, of which one has gaps and too little usage for a backtest.
func TestGolden(t *testing.T) {
	short := usage(t, "idle", 8*time.Hour)
	short.Function = "sh\x1bort"
	for i := 10; i < 14; i++ {
		short.Memory[i] = math.NaN()
	}
	short.CPU[3] = math.NaN()
	o := steady
	done, total := 0, 0
	o.OnProgress = func(d, n int) { done, total = d, n }
	r, err := New(t.Context(), []*rightsize.Usage{usage(t, "daily", 3*24*time.Hour), short}, o)
	require.NoError(t, err)
	require.Equal(t, 4, done, "one of the parts of the second function is left out")
	require.Equal(t, 6, total)
	for name, write := range map[string]func(*bytes.Buffer) error{
		"report.html": func(b *bytes.Buffer) error { return r.WriteHTML(b) },
		"report.txt":  func(b *bytes.Buffer) error { return r.WriteText(b) },
		"report.json": func(b *bytes.Buffer) error { return r.WriteJSON(b) },
	} {
		var b bytes.Buffer
		require.NoError(t, write(&b))
		path := filepath.Join("testdata", name)
		if *update {
			require.NoError(t, os.WriteFile(path, b.Bytes(), 0o666))
		}
		want, err := os.ReadFile(path)
		require.NoError(t, err)
		require.True(t, bytes.Equal(want, b.Bytes()), "%s: go test ./rightsize/report -update writes it anew", name)
	}
}

// TestOneResource checks that nothing is said of a resource of which no usage is known, and that samples of the other count as there.
func TestOneResource(t *testing.T) {
	memory, cpu := usage(t, "idle", 8*time.Hour), usage(t, "idle", 8*time.Hour)
	for i := range memory.Times {
		memory.CPU[i], cpu.Memory[i] = math.NaN(), math.NaN()
	}
	cpu.CPU[3] = math.NaN()
	o := steady
	o.Recommender = "forecast"
	r, err := New(t.Context(), []*rightsize.Usage{memory, cpu}, o)
	require.NoError(t, err)
	require.Equal(t, 0, r.Functions[0].Missing)
	require.Equal(t, 1, r.Functions[1].Missing)
	var b strings.Builder
	require.NoError(t, r.WriteText(&b))
	require.Regexp(t, `(?m)^idle +\d+Mi +\d+Mi +\d+Mi +\d+Mi +– +– +none +none$`, b.String())
	require.Regexp(t, `(?m)^idle +– +– +none +none +[\d.]+m +[\d.]+m +none +none$`, b.String())
	require.Contains(t, b.String(), "Memory: as it is set: no usage of memory is known\n")
	require.Contains(t, b.String(), "CPU: as it is set: no usage of CPU is known\n")
	require.Contains(t, b.String(), "CPU: as it is set: no usage of memory is known\n", "limits are recommended of both or of memory")
	b.Reset()
	require.NoError(t, r.WriteHTML(&b))
	require.Contains(t, b.String(), "<td>–</td><td>–</td><td>none</td><td>none</td>")
}

// TestPageNeedsNothingElse checks that the page has its pictures, and neither a script nor an address.
func TestPageNeedsNothingElse(t *testing.T) {
	r, err := New(t.Context(), []*rightsize.Usage{usage(t, "bursts", 2*24*time.Hour)}, Options{Source: "<script>alert(1)</script>"})
	require.NoError(t, err)
	require.Equal(t, "forecast", r.Functions[0].Backtest[0].Recommender, "what is shown comes first")
	var b strings.Builder
	require.NoError(t, r.WriteHTML(&b))
	page := b.String()
	require.Equal(t, 5, strings.Count(page, "<svg"), "two of memory, two of CPU, and the bars")
	require.NotRegexp(t, regexp.MustCompile(`(?i)<script|src=|href=|http:|https:|url\(|@import|NaN|Inf`), page)
	require.Contains(t, page, "&lt;script&gt;")
	style, _, _ := strings.Cut(page, "</style>")
	for _, class := range regexp.MustCompile(`<(?:line|rect|circle|polyline|polygon) class="([^"]+)"`).FindAllStringSubmatch(page, -1) {
		for _, name := range strings.Fields(class[1]) {
			require.Contains(t, style, "."+name, "the style says how this looks")
		}
	}
}

func TestErrors(t *testing.T) {
	_, err := New(t.Context(), nil, Options{})
	require.ErrorContains(t, err, "no usage")
	u := usage(t, "idle", 2*24*time.Hour)
	_, err = New(t.Context(), []*rightsize.Usage{u.Slice(0, 1)}, Options{})
	require.ErrorContains(t, err, "usage of idle: 1 samples are too few")
	_, err = New(t.Context(), []*rightsize.Usage{u}, Options{Recommender: "none"})
	require.ErrorContains(t, err, `"none"`)
	_, err = New(t.Context(), []*rightsize.Usage{u}, Options{Runtime: "cobol"})
	require.ErrorContains(t, err, `runtime "cobol"`)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = New(ctx, []*rightsize.Usage{u}, Options{})
	require.ErrorIs(t, err, context.Canceled)
}

// TestAnyUsage checks that the page and the JSON of any usage can be written, and have no number that is none.
func TestAnyUsage(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(2, 80).Draw(t, "n")
		value := rapid.OneOf(rapid.Float64Range(0, 1e12), rapid.Just(0.0), rapid.Just(math.NaN()), rapid.Just(5e7))
		var times []int64
		var memory, cpu []float64
		at := int64(1_700_000_000_000)
		for range n {
			at += rapid.Int64Range(10_000, 3_000_000).Draw(t, "gap")
			times, memory, cpu = append(times, at), append(memory, value.Draw(t, "memory")), append(cpu, value.Draw(t, "cpu"))
		}
		u, err := rightsize.NewUsage("f", times, memory, cpu)
		require.NoError(t, err)
		r, err := New(context.Background(), []*rightsize.Usage{u}, steady)
		if err != nil {
			require.ErrorContains(t, err, "usage of f: ")
			return
		}
		var page, text bytes.Buffer
		require.NoError(t, r.WriteHTML(&page))
		require.False(t, strings.Contains(page.String(), "NaN") || strings.Contains(page.String(), "Inf"), "a number that is none")
		require.NoError(t, r.WriteJSON(&text))
		require.True(t, json.Valid(text.Bytes()))
		require.NoError(t, r.WriteText(&text))
	})
}

// TestColumns checks that the line of usage keeps the largest and the smallest value, however many samples there are.
func TestColumns(t *testing.T) {
	const n = 10_000
	times, values := make([]int64, n), make([]float64, n)
	for i := range times {
		times[i], values[i] = int64(i)*1000, 100
	}
	values[1234], values[7777] = 500, 1
	values[5000], values[5001] = math.NaN(), math.NaN()
	x := htmlpage.Scale{Low: 0, High: float64(times[n-1]), From: left, To: right}
	y := htmlpage.Scale{Low: 0, High: 500, From: bottom, To: top}
	lines := columns(times, values, x, y)
	require.Len(t, lines, 2, "a gap ends a line")
	points, low, high := 0, 0.0, math.Inf(1)
	for _, line := range lines {
		for _, p := range line {
			points++
			low, high = max(low, p[1]), min(high, p[1])
		}
	}
	require.Less(t, points, 2*mostColumns+10)
	require.InDelta(t, y.At(1), low, 1e-9)
	require.InDelta(t, y.At(500), high, 1e-9)
}

func TestTimeTicks(t *testing.T) {
	day := time.Date(2026, 1, 5, 0, 0, 0, 0, time.UTC).UnixMilli()
	labels := func(from, long time.Duration) (all []string) {
		for _, tick := range timeTicks(day+from.Milliseconds(), day+(from+long).Milliseconds()) {
			all = append(all, tick.label)
		}
		return all
	}
	require.Equal(t, []string{"Jan 5", "Jan 6", "Jan 7", "Jan 8", "Jan 9", "Jan 10"}, labels(0, 6*24*time.Hour-time.Minute))
	require.Equal(t, []string{"18:00", "21:00", "Jan 6", "03:00"}, labels(16*time.Hour, 12*time.Hour))
	require.Equal(t, []string{"00:00:05", "00:00:10"}, labels(time.Second, 10*time.Second))
	rapid.Check(t, func(t *rapid.T) {
		from := rapid.Int64Range(0, 4e12).Draw(t, "from")
		to := from + rapid.Int64Range(1, 1e14).Draw(t, "long")
		require.LessOrEqual(t, len(timeTicks(from, to)), mostTicks)
	})
}

func TestSteps(t *testing.T) {
	steps := []Step{{10, 1}, {20, 0}, {30, 2}}
	require.Equal(t, []Step{{25, 0}, {30, 2}}, since(steps, 25))
	require.Equal(t, steps, since(steps, 5))
	x, y := htmlpage.Scale{High: 40, To: 40}, htmlpage.Scale{High: 2, To: 2}
	require.Equal(t, [][][2]float64{{{10, 1}, {20, 1}}, {{30, 2}, {40, 2}}}, stairs(steps, 40, x, y), "0 is none")
	var noted []Step
	for i, v := range []float64{0, 0, 1, 1, 0, 2} {
		note(&noted, int64(i), v)
	}
	require.Equal(t, []Step{{2, 1}, {4, 0}, {5, 2}}, noted)
}
