package acquire

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"pgregory.net/rapid"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fakeSeries is a series of a fake Prometheus: at a time in s a value, NaN for none.
type fakeSeries struct {
	labels string // JSON
	at     func(t float64) float64
}

// fake answers range queries as a Prometheus does: those that begin with container_memory by memory, others by cpu.
type fake struct {
	mu          sync.Mutex
	memory, cpu []fakeSeries
	warnings    []string
	points      int  // more in a series are refused, as too many samples
	slow        bool // they take too long instead
	before      func(n int, w http.ResponseWriter, r *http.Request) bool
	queries     []string
	n           int
}

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.n++
	query := r.FormValue("query") // all of the body is read, so that the server notices when the client hangs up
	if f.before != nil && f.before(f.n, w, r) {
		return
	}
	f.queries = append(f.queries, query)
	number := func(name string) float64 {
		v, err := strconv.ParseFloat(r.FormValue(name), 64)
		if err != nil {
			panic(err)
		}
		return v
	}
	start, end, step := number("start"), number("end"), number("step")
	w.Header().Set("Content-Type", "application/json")
	n := int(math.Round((end-start)/step)) + 1
	most := f.points
	if most == 0 {
		most = 11_000
	}
	if n > most {
		if f.slow {
			w.WriteHeader(http.StatusServiceUnavailable)
			_, _ = io.WriteString(w, `{"status":"error","errorType":"timeout","error":"query timed out in expression evaluation"}`)
			return
		}
		w.WriteHeader(http.StatusUnprocessableEntity)
		_, _ = io.WriteString(w, `{"status":"error","errorType":"execution","error":"query processing would load too many samples into memory in query execution"}`)
		return
	}
	all := f.cpu
	if strings.HasPrefix(query, "container_memory") {
		all = f.memory
	}
	type series struct {
		Metric json.RawMessage `json:"metric"`
		Values [][2]any        `json:"values"`
	}
	result := []series{}
	for _, s := range all {
		one := series{Metric: json.RawMessage(s.labels)}
		for i := range n {
			t := start + float64(i)*step
			if v := s.at(t); !math.IsNaN(v) {
				one.Values = append(one.Values, [2]any{t, strconv.FormatFloat(v, 'g', -1, 64)})
			}
		}
		if len(one.Values) > 0 {
			result = append(result, one)
		}
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"status": "success", "data": map[string]any{"resultType": "matrix", "result": result}, "warnings": f.warnings})
}

// begin is when the usage of the tests begins, in s.
const begin = 1_790_000_010

func constant(v float64) func(float64) float64 { return func(float64) float64 { return v } }

// between is a value from one time until another, in s after the beginning.
func between(from, to float64, at func(float64) float64) func(float64) float64 {
	return func(t float64) float64 {
		if t < begin+from || t >= begin+to {
			return math.NaN()
		}
		return at(t)
	}
}

// start starts a fake, and returns a function that acquires samples at the beginning and every 15 s after it.
func start(t *testing.T, f *fake, change func(*PrometheusOptions)) func(ctx context.Context, samples int) (*Result, error) {
	t.Helper()
	server := httptest.NewServer(f)
	t.Cleanup(server.Close)
	o := PrometheusOptions{Address: server.URL}
	if change != nil {
		change(&o)
	}
	p, err := NewPrometheus(o)
	require.NoError(t, err)
	return func(ctx context.Context, samples int) (*Result, error) {
		from := time.Unix(begin, 0)
		return p.Acquire(ctx, Request{Function: "qrcode", From: from.Add(time.Second), To: from.Add(time.Duration(samples-1) * 15 * time.Second), Step: 15 * time.Second})
	}
}

const pod1, pod2 = `"namespace":"openfaas-fn","pod":"qrcode-1"`, `"namespace":"openfaas-fn","pod":"qrcode-2"`

// TestPods checks that of several pods the largest values count, that pods, restarts and gaps are counted, and other containers left out and named.
func TestPods(t *testing.T) {
	f := &fake{
		memory: []fakeSeries{
			{`{"__name__":"container_memory_working_set_bytes","container":"qrcode","id":"/a",` + pod1 + `}`, between(0, 60, constant(100))},
			{`{"__name__":"container_memory_working_set_bytes","container":"qrcode","id":"/b",` + pod1 + `}`, between(45, 600, constant(300))},
			{`{"__name__":"container_memory_working_set_bytes","container":"qrcode","id":"/c",` + pod2 + `}`, between(30, 90, constant(200))},
			{`{"__name__":"container_memory_working_set_bytes","container":"proxy","id":"/d",` + pod2 + `}`, constant(5000)},
		},
		cpu: []fakeSeries{
			{`{"container":"qrcode",` + pod1 + `}`, between(15, 150, constant(0.25))},
			{`{"container":"qrcode",` + pod2 + `}`, func(t float64) float64 {
				switch t - begin {
				case 60:
					return math.Inf(1)
				case 75:
					return 0.5
				case 90: // as what counts without a sign has it below 0
					return 1 << 64
				}
				return math.NaN()
			}},
		},
		warnings: []string{"PromQL warning:\nsomething"},
	}
	f.memory[1].at = between(45, 600, func(t float64) float64 {
		if t > begin+150 && t < begin+300 {
			return math.NaN()
		}
		return 300
	})
	acquire := start(t, f, nil)
	result, err := acquire(t.Context(), 40)
	require.NoError(t, err)
	u := result.Usage
	require.Equal(t, "qrcode", u.Function)
	require.EqualValues(t, begin*1000, u.Times[0])
	require.Equal(t, []float64{100, 100, 200, 300, 300, 300, 300}, u.Memory[:7])
	require.True(t, math.IsNaN(u.CPU[0]))
	require.Equal(t, []float64{0.25, 0.25, 0.25, 0.25, 0.5, 0.25}, u.CPU[1:7])
	require.True(t, math.IsNaN(u.CPU[30-9]))
	require.Equal(t, 40-9, u.Len())
	require.Equal(t, []Gap{{time.Unix(begin+150, 0).UTC(), time.Unix(begin+300, 0).UTC()}}, result.Gaps)
	require.Equal(t, [4]int{2, 2, 1, 0}, [4]int{result.Pods, result.PodsAtOnce, result.Restarts, result.Resets})
	require.Equal(t, []string{
		"Prometheus warns, of memory: PromQL warning: something", "Prometheus warns, of cpu: PromQL warning: something",
		"left out, as qrcode has the container qrcode: the containers proxy", "left out: 2 points of cpu that are NaN, negative, or 2^63 and more",
	}, result.Notes)
	require.Equal(t, []string{
		`container_memory_working_set_bytes{namespace="openfaas-fn",pod=~"qrcode-.*",container!="",container!="POD",image!=""}`,
		`rate(container_cpu_usage_seconds_total{namespace="openfaas-fn",pod=~"qrcode-.*",container!="",container!="POD",image!=""}[5m])`,
	}, f.queries)
}

// TestParts checks that a long time is asked for in parts, smaller ones where an answer is too large, and that no point is missing or asked for twice.
func TestParts(t *testing.T) {
	for _, points := range []int{0, 5000, 700, 1} {
		samples := 25_000
		if points == 1 {
			samples = 7
		}
		f := &fake{points: points, slow: points == 700, memory: []fakeSeries{{`{"pod":"p"}`, func(t float64) float64 { return t - begin }}}}
		result, err := start(t, f, nil)(t.Context(), samples)
		require.NoError(t, err)
		require.Equal(t, samples, result.Usage.Len())
		for i, v := range result.Usage.Memory {
			require.EqualValues(t, 15*i, v)
		}
		require.Equal(t, []string{"nothing is known of cpu: its query has no result"}, result.Notes)
		if f.slow {
			require.Less(t, f.n, 2*samples/350, "what takes too long is asked again")
		}
	}
}

// TestCounter checks that a counter becomes rates, however it begins anew.
func TestCounter(t *testing.T) {
	counter := func(t float64) float64 {
		if t -= begin; t >= 90 {
			return (t - 90) * 0.5 // it began anew at 90 s
		}
		return 1000 + t*0.25
	}
	f := &fake{cpu: []fakeSeries{{`{"__name__":"container_cpu_usage_seconds_total","container":"app","pod":"qrcode-1"}`, counter}}}
	acquire := start(t, f, func(o *PrometheusOptions) {
		o.CPUQuery, o.RateWindow = `container_cpu_usage_seconds_total{pod=~"FUNCTION-.*"}`, 30*time.Second
	})
	result, err := acquire(t.Context(), 11)
	require.NoError(t, err)
	require.Equal(t, 10, result.Usage.Len())
	require.InDeltaSlice(t, []float64{0.25, 0.25, 0.25, 0.25, 0.25, 0.125, 0.25, 0.5, 0.5, 0.5}, result.Usage.CPU, 1e-12)
	require.Equal(t, 1, result.Resets)
	require.Equal(t, `container_cpu_usage_seconds_total{pod=~"qrcode-.*"}`, f.queries[1])
}

// TestRates compares rates with their definition.
func TestRates(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var times []int64
		var values, grown []float64
		at, v, total, resets := int64(0), 0.0, 0.0, 0
		for range rapid.IntRange(0, 30).Draw(t, "points") {
			at += rapid.Int64Range(1, 100).Draw(t, "gap")
			growth := float64(rapid.IntRange(0, 9).Draw(t, "growth"))
			if growth < v && rapid.IntRange(0, 5).Draw(t, "new") == 0 && len(values) > 0 {
				v = 0
				resets++
			}
			v += growth
			if len(values) > 0 {
				total += growth
			}
			times, values, grown = append(times, at), append(values, v), append(grown, total)
		}
		window := rapid.Int64Range(1, 300).Draw(t, "window")
		got, n := rates(times, values, window)
		if n != resets || len(got) != max(len(times)-1, 0) {
			t.Fatalf("%d resets, not %d; %d rates", n, resets, len(got))
		}
		for i := 1; i < len(times); i++ {
			j := slices.IndexFunc(times, func(t int64) bool { return t >= times[i]-window })
			j = min(j, i-1)
			if want := (grown[i] - grown[j]) / float64(times[i]-times[j]) * 1000; math.Abs(got[i-1]-want) > 1e-9 {
				t.Fatalf("at %d: %g, want %g", i, got[i-1], want)
			}
		}
	})
}

// TestPrometheusFails checks what is said and what is kept where Prometheus does not answer, or not as it should.
func TestPrometheusFails(t *testing.T) {
	answer := func(status int, text string) func(int, http.ResponseWriter, *http.Request) bool {
		return func(_ int, w http.ResponseWriter, _ *http.Request) bool {
			w.WriteHeader(status)
			_, _ = io.WriteString(w, text)
			return true
		}
	}
	matrix := func(metric, values string) string {
		return `{"status":"success","data":{"resultType":"matrix","result":[{"metric":` + metric + `,` + values + `}]}}`
	}
	for name, test := range map[string]struct {
		before func(int, http.ResponseWriter, *http.Request) bool
		want   string
	}{
		"query":         {answer(400, `{"status":"error","errorType":"bad_data","error":"invalid parameter \"query\": parse error"}`), `the query for memory: invalid parameter "query": parse error`},
		"password":      {answer(401, "Unauthorized"), "client error: 401"},
		"server":        {answer(500, "oops"), "server error: 500: oops"},
		"vector":        {answer(200, `{"status":"success","data":{"resultType":"vector","result":[]}}`), "results in no matrix"},
		"nothing":       {answer(200, `{}`), "results in no matrix"},
		"page":          {answer(200, `<html>`), "the query for memory: "},
		"histograms":    {answer(200, matrix(`{}`, `"histograms":[[1790000010,{"count":"1","sum":"2","buckets":[[0,"1","2","3"]]}]]`)), "histograms"},
		"other times":   {answer(200, matrix(`{}`, `"values":[[1790000310,"1"],[1790000310,"2"]]`)), "which was not asked for"},
		"a counter":     {answer(200, matrix(`{"__name__":"x_total"}`, `"values":[[1790000010,"1"]]`)), "the query for memory: x_total is a counter, an amount of memory is due"},
		"no series":     {nil, "nothing is known of qrcode between 2026-09-21T14:13:31Z and 2026-09-21T14:15:45Z: the queries have no result (is openfaas-fn its namespace?)"},
		"which of both": {answer(200, `{"status":"success","data":{"resultType":"matrix","result":[{"metric":{"container":"a"},"values":[[1790000010,"1"]]},{"metric":{"container":"b"},"values":[[1790000010,"1"]]}]}}`), "which container is that of qrcode? There are a, b: name it"},
	} {
		t.Run(name, func(t *testing.T) {
			result, err := start(t, &fake{before: test.before}, func(o *PrometheusOptions) { o.Attempts = 1 })(t.Context(), 10)
			require.ErrorContains(t, err, test.want)
			require.ErrorContains(t, err, "Prometheus at http://127.0.0.1:")
			require.NotContains(t, err.Error(), "\n")
			require.Nil(t, result)
		})
	}
	p, err := NewPrometheus(PrometheusOptions{Address: "http://127.0.0.1:1", Attempts: 1})
	require.NoError(t, err)
	_, err = p.Acquire(t.Context(), Request{Function: "f", From: time.Unix(begin, 0), To: time.Unix(begin+60, 0)})
	require.EqualError(t, err, "Prometheus at http://127.0.0.1:1: the query for memory: dial tcp 127.0.0.1:1: connect: connection refused")
}

// TestEachRequestFails lets the n-th request fail for once, for each n: all samples are there. And from it on: those before are kept.
func TestEachRequestFails(t *testing.T) {
	const samples = 250
	for n := 1; n <= 6; n++ {
		for _, onward := range []bool{false, true} {
			f := &fake{points: 100, memory: []fakeSeries{{`{"pod":"p"}`, constant(1)}}, cpu: []fakeSeries{{`{"pod":"p"}`, constant(2)}}}
			whole := 0 // requests that were answered
			f.before = func(i int, w http.ResponseWriter, r *http.Request) bool {
				if r.FormValue("end") == r.FormValue("start") {
					return false
				}
				if i == n || onward && i > n {
					w.WriteHeader(http.StatusServiceUnavailable)
					return true
				}
				whole++
				return false
			}
			var messages []string
			server := httptest.NewServer(f)
			p, err := NewPrometheus(PrometheusOptions{Address: server.URL, Attempts: 2})
			require.NoError(t, err)
			from := time.Unix(begin, 0)
			result, err := p.Acquire(t.Context(), Request{Function: "f", From: from, To: from.Add((samples - 1) * 15 * time.Second), OnMessage: func(m string) { messages = append(messages, m) }})
			server.Close()
			require.NotEmpty(t, messages)
			require.Contains(t, messages[0], "it answered 503 Service Unavailable; the next try is in ")
			if !onward {
				require.NoError(t, err)
				require.Equal(t, samples, result.Usage.Len())
				continue
			}
			require.ErrorContains(t, err, "server error: 503")
			if result != nil {
				require.NotEmpty(t, result.Usage.Times)
				require.Less(t, result.Usage.Len(), samples)
			} else {
				require.Less(t, n, 6)
			}
		}
	}
}

// TestPrometheusInterrupted checks that what was answered before the context ended is returned.
func TestPrometheusInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	f := &fake{memory: []fakeSeries{{`{"pod":"p"}`, constant(1)}}}
	f.before = func(n int, _ http.ResponseWriter, r *http.Request) bool {
		if n == 3 {
			cancel()
			<-r.Context().Done()
		}
		return n == 3
	}
	result, err := start(t, f, nil)(ctx, 25_000)
	require.ErrorIs(t, err, context.Canceled)
	require.Equal(t, maxPoints, result.Usage.Len())
}

func TestPrometheusMistakes(t *testing.T) {
	for want, o := range map[string]PrometheusOptions{
		"the address of Prometheus: this address has no host": {Address: "http://"},
		"cannot be negative":                {Address: "http://x", Timeout: -1},
		`"a b" is no name of a namespace`:   {Address: "http://x", Namespace: "a b"},
		"Prometheus at http://x: over http": {Address: "http://x", Access: Access{Token: "t"}},
		"a user needs a password":           {Address: "https://x", Access: Access{Username: "u"}},
		"/nowhere: no such file":            {Address: "https://x", Access: Access{CAFile: "/nowhere"}},
	} {
		_, err := NewPrometheus(o)
		require.ErrorContains(t, err, want)
	}
	p, err := NewPrometheus(PrometheusOptions{Address: "http://127.0.0.1:1"})
	require.NoError(t, err)
	now := time.Unix(begin, 0)
	for want, r := range map[string]Request{
		`"x\"}" is no name of a function`: {Function: `x"}`, From: now, To: now},
		"the end is before the beginning": {Function: "x", From: now, To: now.Add(-1)},
		"a step of 1µs":                   {Function: "x", From: now, To: now, Step: time.Microsecond},
		"is not said":                     {Function: "x", To: now},
		"are too many":                    {Function: "x", From: time.Unix(0, 0), To: now, Step: time.Millisecond},
	} {
		_, err := p.Acquire(t.Context(), r)
		require.ErrorContains(t, err, want)
	}
}

// FuzzPrometheus checks that no answer of a server leads to usage that cannot be.
func FuzzPrometheus(f *testing.F) {
	f.Add([]byte(`{"status":"success","data":{"resultType":"matrix","result":[{"metric":{"pod":"a"},"values":[[1790000010,"3"],[1790000025,"NaN"]]}]}}`), 200)
	f.Add([]byte(`{"status":"error","errorType":"timeout","error":"x"}`), 503)
	var text []byte
	var status int
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = w.Write(text)
	}))
	f.Cleanup(server.Close)
	p, err := NewPrometheus(PrometheusOptions{Address: server.URL, Attempts: 1})
	require.NoError(f, err)
	f.Fuzz(func(t *testing.T, answer []byte, code int) {
		if code < 200 || code > 599 || code == 204 || code == 304 {
			return
		}
		text, status = answer, code
		result, err := p.Acquire(t.Context(), Request{Function: "f", From: time.Unix(begin, 0), To: time.Unix(begin+60, 0)})
		if err == nil && (result.Usage.Len() == 0 || result.Usage.Len() > 5) {
			t.Fatal(fmt.Sprint(result.Usage))
		}
	})
}

// TestKills checks that of the pods with a new container those count whose last one kube-state-metrics says was killed for its memory, and that what is not
// known of that is no error.
func TestKills(t *testing.T) {
	vector := func(pods ...string) string {
		var all []string
		for _, pod := range pods {
			all = append(all, `{"metric":{"container":"qrcode","reason":"OOMKilled","pod":"`+pod+`"},"value":[1790000010,"1"]}`)
		}
		return `{"status":"success","data":{"resultType":"vector","result":[` + strings.Join(all, ",") + `]}}`
	}
	for name, c := range map[string]struct {
		answer string
		status int
		want   int
		note   string
	}{
		"the pod":             {vector("qrcode-1"), 200, 1, ""},
		"and another one":     {vector("qrcode-2", "qrcode-1"), 200, 1, ""},
		"another one":         {vector("qrcode-2"), 200, 0, ""},
		"nothing known":       {vector(), 200, 0, ""},
		"a query that fails":  {`{"status":"error","errorType":"bad_data","error":"no"}`, 400, 0, "whether containers were killed for their memory is not known: no"},
		"an answer that lies": {`{"status":"success","data":{"resultType":"scalar","result":[1,"1"]}}`, 200, 0, ""},
	} {
		t.Run(name, func(t *testing.T) {
			var asked string
			f := &fake{
				memory: []fakeSeries{
					{`{"container":"qrcode","id":"/a",` + pod1 + `}`, between(0, 60, constant(100))},
					{`{"container":"qrcode","id":"/b",` + pod1 + `}`, between(60, 600, constant(10))},
					{`{"container":"qrcode","id":"/c",` + pod2 + `}`, constant(20)},
				},
				before: func(_ int, w http.ResponseWriter, r *http.Request) bool {
					if !strings.HasSuffix(r.URL.Path, "/api/v1/query") {
						return false
					}
					asked = r.FormValue("query")
					w.Header().Set("Content-Type", "application/json")
					w.WriteHeader(c.status)
					_, _ = io.WriteString(w, c.answer)
					return true
				},
			}
			server := httptest.NewServer(f)
			defer server.Close()
			p, err := NewPrometheus(PrometheusOptions{Address: server.URL})
			require.NoError(t, err)
			from := time.Unix(begin, 0)
			request := Request{Function: "qrcode", From: from, To: from.Add(5 * time.Minute), Step: 15 * time.Second, Kills: true}
			result, err := p.Acquire(t.Context(), request)
			require.NoError(t, err)
			require.Equal(t, [2]int{1, c.want}, [2]int{result.Restarts, result.Kills})
			require.Equal(t, `kube_pod_container_status_last_terminated_reason{namespace="openfaas-fn",pod=~"qrcode-.*",container="qrcode",reason="OOMKilled"} == 1`, asked)
			notes := []string{"nothing is known of cpu: its query has no result"}
			if c.note != "" {
				notes = append(notes, c.note)
			}
			require.Equal(t, notes, result.Notes)
			asked, request.Kills = "", false
			_, err = p.Acquire(t.Context(), request)
			require.NoError(t, err)
			require.Empty(t, asked, "it is asked only where that is wanted")
		})
	}
}
