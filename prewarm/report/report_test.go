package report_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/html"

	"github.com/tppfaas/tppfaas/prewarm/report"
	"github.com/tppfaas/tppfaas/tpp"
	"github.com/tppfaas/tppfaas/tpp/dataset"
)

var update = flag.Bool("update", false, "write the golden files anew")

// read returns the report on a text, and the page.
func read(t testing.TB, o report.Options, text string) (*report.Report, string) {
	t.Helper()
	b := report.NewBuilder(o)
	require.NoError(t, b.Read(t.Context(), strings.NewReader(text), dataset.ReadOptions{}))
	r, err := b.Report(t.Context())
	require.NoError(t, err)
	return r, written(t, r.WriteHTML)
}

func written(t testing.TB, write func(io.Writer) error) string {
	t.Helper()
	var out bytes.Buffer
	require.NoError(t, write(&out))
	return out.String()
}

// function returns what was found of a function.
func function(t *testing.T, r *report.Report, name string) report.Function {
	t.Helper()
	for _, f := range r.Functions {
		if f.Name == name {
			return f
		}
	}
	require.Fail(t, "there is no "+name)
	return report.Function{}
}

func small(t testing.TB) string {
	t.Helper()
	text, err := os.ReadFile("testdata/small.jsonl")
	require.NoError(t, err)
	return string(text)
}

// TestGolden compares the page, the text and the JSON of a small run with their golden files.
func TestGolden(t *testing.T) {
	r, page := read(t, report.Options{Source: "small.jsonl"}, small(t))
	for name, got := range map[string]string{"small.html": page, "small.txt": written(t, r.WriteText), "small.json": written(t, r.WriteJSON)} {
		path := filepath.Join("testdata", name)
		if *update {
			require.NoError(t, os.WriteFile(path, []byte(got), 0o644))
		}
		want, err := os.ReadFile(path)
		require.NoError(t, err)
		require.Equal(t, string(want), got, "%s: go test ./prewarm/report -update writes it anew", name)
	}
}

// TestSmallRun checks what is found of the first run, which can be followed by hand.
func TestSmallRun(t *testing.T) {
	r, _ := read(t, report.Options{Only: report.Labels{Policy: "keepalive:600"}}, small(t))
	require.Equal(t, []int{3, 12, 5, 2}, []int{r.Traces, r.Invocations, r.ColdStarts, r.ColdTraces})
	require.Empty(t, r.Missing)
	require.Equal(t, []string{"1 of the cold starts is late: the invocation waited for a container that was being started already."}, r.Notes)
	require.Equal(t, "2025-12-01 00:00:00 UTC", r.From)
	// The first ends with mail, at 6.0 s: 1.1 + 2.15 + 1.1 s of cold starts lie on its way, and without them cart would end last: it ends at 2.605, less
	// 1.1. The third ends with cart, at 4.005 s; without cold starts pay ends last, at 2.52 − 1 s.
	e := r.EndToEnd
	require.Equal(t, 3, e.Traces)
	require.False(t, e.ToStart)
	require.InDelta(t, 6.0, e.Latency.Max, 1e-9)
	require.InDelta(t, (6.0-1.65)+(4.005-1.63), e.ReachSeconds, 1e-9)
	require.InDelta(t, 1.1+2.15+1.1+2.5+1, e.ColdSeconds, 1e-9)
	require.Equal(t, 4, e.Critical)
	require.InDelta(t, 1.1, function(t, r, "shop-main").ReachSeconds, 1e-9)
	require.Equal(t, []report.Depth{
		{Depth: 0, Invocations: 3, ColdStarts: 1, ColdSeconds: 1.1, ReachSeconds: 1.1},
		{Depth: 1, Invocations: 6, ColdStarts: 3, ColdSeconds: 5.65, ReachSeconds: r.Depths[1].ReachSeconds},
		{Depth: 2, Invocations: 3, ColdStarts: 1, ColdSeconds: 1.1, ReachSeconds: 1.1},
	}, rounded(r.Depths))
	// Of cart and pay of the third, cart arrived first: one other was starting at pay's arrival.
	require.Len(t, r.Loads, 2)
	require.Equal(t, 4, r.Loads[0].Cold.N)
	require.Equal(t, 1, r.Loads[1].Cold.N)
	require.InDelta(t, 1, r.Loads[1].Cold.P50, 1e-9)
	// pay is used for 1 s from 0.515, 30.526 and 90.52 on: gaps of 29.011 and 58.994 s, when all is warm. They are given as if everything was warm.
	pay := function(t, r, "shop-pay")
	require.Equal(t, 2, pay.Gaps.N)
	require.InDelta(t, 29.011, pay.Gaps.P5, 0.02)
	require.InDelta(t, 58.994, pay.Gaps.Max, 0.02)
	require.Equal(t, 1, pay.Containers)
	require.InDelta(t, 2.15, pay.Start, 1e-9, "a late one says nothing of how long starts take")
	for _, c := range r.KeepAlives {
		switch *c.Keep {
		case 0:
			require.Equal(t, 12, c.Cold)
		case 60, -1:
			require.Equal(t, 4, c.Cold)
		}
	}
}

// rounded rounds sums to a millisecond, so that they can be compared.
func rounded(depths []report.Depth) []report.Depth {
	for i := range depths {
		d := &depths[i]
		d.ColdSeconds, d.ReachSeconds = math.Round(1000*d.ColdSeconds)/1000, math.Round(1000*d.ReachSeconds)/1000
	}
	return depths
}

// TestWhatIsMissing checks that the report says what the traces do not, and shows the rest.
func TestWhatIsMissing(t *testing.T) {
	const mapping = `,"mapping":{"a":0,"b":1}}`
	for _, c := range []struct {
		name, text string
		missing    []string
		latencies  int // functions with latencies
		timelines  int
		changes    bool
	}{
		{"no sequences", `{"sequences":[]` + mapping, []string{"There are no traces."}, 0, 0, false},
		{"empty ones", `{"sequences":[{"arrival_times":[],"marks":[],"t_start":1,"t_end":9}]` + mapping, []string{"All traces are empty."}, 0, 0, false},
		{"arrivals alone", `{"sequences":[{"arrival_times":[1,5],"marks":[0,1]},{"arrival_times":[9],"marks":[0]}]` + mapping, []string{
			"The traces have no wait times: how long cold starts take, and what they cost, is not known.",
			"The traces have no init times: which invocations were cold is not known.",
			"1 trace does not say which invocation called which: depths and end-to-end costs are of the others.",
			"The traces have no ends of runs (the covariate duration, or spans): a request is taken to end with the start of its last run, and a run with its last call.",
		}, 0, 0, true},
		{"waits alone", `{"sequences":[{"arrival_times":[1,5],"marks":[0,1],"wait_times":[1,2],"parents":[-1,0]}]` + mapping, []string{
			"The traces have no init times: which invocations were cold is not known.",
			"The traces have no ends of runs (the covariate duration, or spans): a request is taken to end with the start of its last run, and a run with its last call.",
		}, 2, 0, true},
		{"of one trace all, of one nothing", `{"sequences":[{"arrival_times":[1,5],"marks":[0,1],"wait_times":[1,2],"init_times":[1,0],"parents":[-1,0],"covariates":{"duration":[9,9]}},{"arrival_times":[9],"marks":[0]}]` + mapping, []string{
			"1 of 2 traces has no wait times: of these, how long cold starts take, and what they cost, is not known.",
			"1 of 2 traces has no init times: of these, which invocations were cold is not known.",
			"1 of 2 traces has no ends of runs (the covariate duration, or spans): of these, a request is taken to end with the start of its last run, and a run with its last call.",
		}, 2, 1, true},
		{"cold or not, of spans", `[[{"traceId":"1","id":"1","name":"a","kind":"SERVER","timestamp":1000000,"duration":5000,"tags":{"faas.invocation_id":"x","faas.coldstart":"true"}}]]`, []string{
			"The traces have no wait times: how long cold starts take, and what they cost, is not known.",
			"The traces have no init times: how long initialising takes is not known; which were cold is, for 1 trace.",
		}, 0, 0, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, page := read(t, report.Options{}, c.text)
			require.Equal(t, c.missing, r.Missing)
			require.Contains(t, page, "What is missing")
			n := 0
			for _, f := range r.Functions {
				if f.Cold != nil || f.Warm != nil {
					n++
				}
			}
			require.Equal(t, c.latencies, n)
			require.Len(t, r.OverTime, c.timelines)
			require.Equal(t, c.changes, r.Replayed != nil)
			require.NotContains(t, page, "NaN")
			require.NotContains(t, written(t, r.WriteText), "NaN")
			require.NotEmpty(t, written(t, r.WriteJSON))
		})
	}
}

// TestLabels checks that the labels of lines are taken in, however the file is compressed and begins, and that they choose.
func TestLabels(t *testing.T) {
	var zipped bytes.Buffer
	w := gzip.NewWriter(&zipped)
	_, err := io.WriteString(w, "\n\n"+small(t))
	require.NoError(t, err)
	require.NoError(t, w.Close())
	mapped := `{"mapping":{"f":0}}` + "\n" + `{"arrival_times":[5],"marks":[0],"policy":"p","seed":12}` + "\n" + `{"marks":[0],"arrival_times":[7],"seed":"x y"}` + "\n"
	for _, c := range []struct {
		name, text string
		labels     []report.Labels
	}{
		{"lines", small(t), []report.Labels{{App: "shop", Load: "steady", Policy: "keepalive:600", Seed: "1"}, {App: "shop", Load: "steady", Policy: "none", Seed: "1"}}},
		{"gzipped, behind empty lines", zipped.String(), []report.Labels{{App: "shop", Load: "steady", Policy: "keepalive:600", Seed: "1"}, {App: "shop", Load: "steady", Policy: "none", Seed: "1"}}},
		{"behind a mapping", mapped, []report.Labels{{Policy: "p", Seed: "12"}, {Seed: "x y"}}},
		{"a document has none", `{"sequences":[{"arrival_times":[1],"marks":[0],"policy":"p"}],"mapping":{"f":0}}`, nil},
		{"a table has none", "time,mark\n1,a\n2,b\n", nil},
	} {
		r, _ := read(t, report.Options{}, c.text)
		var labels []report.Labels
		for _, run := range r.Runs {
			labels = append(labels, run.Labels)
		}
		require.Equal(t, c.labels, labels, c.name)
	}
	r, _ := read(t, report.Options{Only: report.Labels{Policy: "none"}}, small(t))
	require.Equal(t, 1, r.Traces)
	r, _ = read(t, report.Options{Only: report.Labels{Policy: "nothing"}}, small(t))
	require.Equal(t, []string{"None of the 4 traces has the labels asked for; the first has shop, steady, keepalive:600, seed 1."}, r.Missing)
}

// TestHostileNames checks that names cannot become part of the page, nor move the cursor of a terminal.
func TestHostileNames(t *testing.T) {
	names := []string{`</title></style><script>alert(1)</script>`, `"><img src=x onerror=alert(1)>`, "a\x1b[2Jb\u202ec\x07", strings.Repeat("long", 5000), `{{.Style}}`, "' onload='x", "&lt;b&gt;"}
	mapping, err := json.Marshal(map[string]int{names[0]: 0, names[1]: 1, names[2]: 2, names[3]: 3, names[4]: 4, names[5]: 5, names[6]: 6})
	require.NoError(t, err)
	label, err := json.Marshal(names[0])
	require.NoError(t, err)
	text := fmt.Sprintf(`{"mapping":%s}`+"\n", mapping)
	for seed := range 2 {
		text += fmt.Sprintf(`{"app":%s,"seed":%d,"arrival_times":[1,2,3,4,5,6,7],"marks":[0,1,2,3,4,5,6],"wait_times":[9,9,9,9,9,9,9],"init_times":[0,1,1,1,1,1,1],"parents":[-1,0,0,0,0,0,0]}`+"\n", label, seed)
	}
	r, page := read(t, report.Options{Source: names[0]}, text)
	checkPage(t, page)
	require.Contains(t, page, "&lt;script&gt;")
	for _, c := range written(t, r.WriteText) {
		require.True(t, c == '\n' || c >= ' ' && c != 0x7f && c != '\u202e', "%q", c)
	}
}

// checkPage checks that a page has only elements of its own, and refers to nothing.
func checkPage(t testing.TB, page string) {
	t.Helper()
	allowed := map[string]bool{}
	for _, e := range strings.Fields("html head meta title style body main h1 h2 h3 p dl div dt dd small section ul li figure svg line rect circle polyline text table thead tbody tr th td span em footer") {
		allowed[e] = true
	}
	z := html.NewTokenizer(strings.NewReader(page))
	for {
		switch z.Next() {
		case html.ErrorToken:
			require.Equal(t, io.EOF, z.Err())
			return
		case html.StartTagToken, html.SelfClosingTagToken:
			token := z.Token()
			require.True(t, allowed[token.Data], "<%s>", token.Data)
			for _, a := range token.Attr {
				require.False(t, strings.HasPrefix(a.Key, "on") || a.Key == "href" || a.Key == "src" || a.Key == "style", "%s=%q", a.Key, a.Val)
			}
		}
	}
}

// TestLargeRecordings checks that what is analysed is bounded, and all is counted.
func TestLargeRecordings(t *testing.T) {
	var text strings.Builder
	for i := range 10 {
		fmt.Fprintf(&text, `{"arrival_times":[%d,%d],"marks":["a","b"],"wait_times":[1,2],"init_times":[1,0],"parents":[-1,0]}`+"\n", 1000*i, 1000*i+5)
	}
	r, _ := read(t, report.Options{MaxInvocations: 7}, text.String())
	require.Equal(t, []int{10, 20, 10, 3}, []int{r.Traces, r.Invocations, r.ColdStarts, r.Analysed})
	require.Equal(t, 3, function(t, r, "a").Cold.N)
	require.Contains(t, r.Notes, "The recording is large: of its 10 traces the first 3 are analysed, all are counted.")
}

// TestImplausibleTimes checks that times which cannot be do no harm.
func TestImplausibleTimes(t *testing.T) {
	text := `{"sequences":[{"arrival_times":[-1e307,1e307],"marks":[0,0]},{"arrival_times":[1],"marks":[0],"wait_times":[1e300],"init_times":[1e300]},{"arrival_times":[1],"marks":[0],"wait_times":[3],"init_times":[4]},{"arrival_times":[1e300],"marks":[0]},` +
		`{"arrival_times":[5,6],"marks":[0,0],"wait_times":[1,1],"init_times":[1,1],"parents":[1,0]}],"mapping":{"a":0}}`
	r, page := read(t, report.Options{}, text)
	checkPage(t, page)
	require.Equal(t, 5, r.Traces)
	require.Contains(t, r.Notes, "3 traces have times that cannot be, such as arrivals millennia apart: counted, and not analysed.")
	require.Contains(t, r.Missing, "1 trace does not say which invocation called which: depths and end-to-end costs are of the others.")
	require.NotEmpty(t, written(t, r.WriteJSON))
}

// TestManyFunctions checks that a page has the functions that matter most.
func TestManyFunctions(t *testing.T) {
	s := tpp.Sequence{}
	var names []string
	for i := range 3000 {
		names = append(names, fmt.Sprintf("f%d", i))
		s.ArrivalTimes, s.Marks = append(s.ArrivalTimes, float64(i)), append(s.Marks, i)
		s.WaitTimes, s.InitTimes, s.Parents = append(s.WaitTimes, float64(i)), append(s.InitTimes, 1), append(s.Parents, i-1)
	}
	b := report.NewBuilder(report.Options{})
	b.Add(&s, names, report.Labels{})
	r, err := b.Report(t.Context())
	require.NoError(t, err)
	require.Len(t, r.Functions, 3000)
	require.Equal(t, "f2999", r.Functions[0].Name)
	page := written(t, r.WriteHTML)
	require.Less(t, len(page), 200_000)
	require.Contains(t, page, "2960 more are not shown")
}

// TestRecordedClusters checks figures of real recordings against what is known of them: 1000 traces, 30 % cold starts.
func TestRecordedClusters(t *testing.T) {
	for name, functions := range map[string]int{"high_tree_small_det": 10, "high_parallel_large_det": 21} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join("../../../shared/data", name+".json.gz")
			if _, err := os.Stat(path); err != nil {
				t.Skip("the recordings are not there: ", err)
			}
			d, err := dataset.ReadFile(path)
			require.NoError(t, err)
			cold, traces, waited := 0, 0, 0.0
			for _, s := range d.Sequences {
				before := cold
				for i, init := range s.InitTimes {
					if init > 0 {
						cold++
						waited += (s.WaitTimes[i] + init) / 1000
					}
				}
				if cold > before {
					traces++
				}
			}
			b := report.NewBuilder(report.Options{})
			require.NoError(t, b.ReadFile(t.Context(), path, dataset.ReadOptions{}))
			r, err := b.Report(t.Context())
			require.NoError(t, err)
			require.Equal(t, []int{1000, 1000 * functions, cold, traces}, []int{r.Traces, r.Invocations, r.ColdStarts, r.ColdTraces})
			require.InDelta(t, 0.30, float64(r.ColdStarts)/float64(r.Invocations), 0.005)
			require.Equal(t, 1000, r.EndToEnd.Traces, "all calls are those of the application")
			require.InDelta(t, waited, r.EndToEnd.ColdSeconds, 1e-6)
			require.LessOrEqual(t, r.EndToEnd.ReachSeconds, r.EndToEnd.ColdSeconds)
			require.Len(t, r.Functions, functions)
			checkPage(t, written(t, r.WriteHTML))
		})
	}
}

// FuzzRead checks that no input makes a report fail that could be read, or its page have elements that are not its own.
func FuzzRead(f *testing.F) {
	f.Add(small(f))
	f.Add(`{"sequences":[{"arrival_times":[1,2,2],"marks":[0,1,0],"wait_times":[0,3,1],"init_times":[1,0,2],"parents":[2,0,-1]}],"mapping":{"<b>":0,"b":1}}`)
	f.Add(`[[{"traceId":"1","id":"1","name":"a","kind":"SERVER","timestamp":1000000,"duration":5000,"tags":{"faas.invocation_id":"x","waitTimeMilli":"3","initTimeMilli":"7"}}]]`)
	f.Add("sequence,time,mark,wait_time,init_time\n1,5,a,2,0\n2,6,b,2,1\n")
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) > 1<<16 {
			return
		}
		b := report.NewBuilder(report.Options{MaxInvocations: 1000})
		if b.Read(t.Context(), strings.NewReader(text), dataset.ReadOptions{}) != nil {
			return
		}
		r, err := b.Report(t.Context())
		require.NoError(t, err)
		page := written(t, r.WriteHTML)
		checkPage(t, page)
		require.NotContains(t, page, "NaN")
		require.NotEmpty(t, written(t, r.WriteText))
		require.True(t, json.Valid([]byte(written(t, r.WriteJSON))))
	})
}

// BenchmarkReport analyses 10,000 requests of ten functions in a row; an invocation an operation.
func BenchmarkReport(b *testing.B) {
	var text strings.Builder
	for i := range 10000 {
		fmt.Fprintf(&text, `{"arrival_times":[`)
		for k := range 10 {
			fmt.Fprintf(&text, "%s%d", strings.Repeat(",", min(k, 1)), 700*i+300*k)
		}
		cold := i * 7 % 10
		fmt.Fprintf(&text, `],"marks":["a","b","c","d","e","f","g","h","i","j"],"wait_times":[4,4,4,4,4,4,4,4,4,4],"init_times":[%d,0,0,%d,0,0,0,0,0,%d],"parents":[-1,0,1,2,3,4,5,6,7,8]}`+"\n", cold/9*100, cold/8*120, cold/7*90)
	}
	for b.Loop() {
		r, _ := read(b, report.Options{}, text.String())
		if r.Traces != 10000 {
			b.Fatal(r.Traces)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/1e5/float64(b.N), "ns/invocation")
}
