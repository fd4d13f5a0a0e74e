package prometheus

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"github.com/tppfaas/tppfaas/prewarm/source"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fake answers as a Prometheus does: a vector to each query that it knows.
type fake struct {
	mu      sync.Mutex
	vectors map[string]string // by query: the series, {"label": "value"} VALUE, one a line; with "!" first: an answer as it is, behind its status
	asked   []*http.Request
}

// set sets what a query results in.
func (f *fake) set(query string, series ...string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.vectors == nil {
		f.vectors = map[string]string{}
	}
	f.vectors[query] = strings.Join(series, "\n")
}

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != "/api/v1/query" || r.Method != http.MethodPost {
		http.NotFound(w, r)
		return
	}
	f.mu.Lock()
	f.asked = append(f.asked, r)
	text, known := f.vectors[r.FormValue("query")]
	f.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	switch {
	case !known:
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, `{"status":"error","errorType":"bad_data","error":"invalid parameter \"query\": 1:3: parse error: unexpected <op:/>"}`)
		return
	case strings.HasPrefix(text, "!"):
		var status int
		n, _ := fmt.Sscanf(text, "!%d", &status)
		_, body, _ := strings.Cut(text, " ")
		if n == 1 {
			w.WriteHeader(status)
		}
		_, _ = io.WriteString(w, body)
		return
	}
	type sample struct {
		Metric json.RawMessage `json:"metric"`
		Value  [2]any          `json:"value"`
	}
	result := []sample{}
	for line := range strings.Lines(text) {
		i := strings.LastIndexByte(strings.TrimSpace(line), ' ')
		result = append(result, sample{json.RawMessage(line[:i]), [2]any{1790000000.5, strings.TrimSpace(line[i:])}})
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"status": "success", "data": map[string]any{"resultType": "vector", "result": result}})
}

// newTest returns a fake, its address, and a way to ask it once.
func newTest(t *testing.T, change func(*Options)) (f *fake, poll func() ([]source.Load, invalid, error)) {
	t.Helper()
	f = &fake{}
	server := httptest.NewServer(f)
	t.Cleanup(server.Close)
	o := Options{Address: server.URL, Timeout: time.Minute, Queries: Queries{Label: "function_name", Cut: ".", Arrived: "arrived", Ended: "ended", CPU: "cpu", Replicas: "replicas", InFlight: "flying"}}
	if change != nil {
		change(&o)
	}
	s, err := New(o)
	require.NoError(t, err)
	t.Cleanup(s.client.transport.CloseIdleConnections)
	m := newMeter(&s.o)
	return f, func() ([]source.Load, invalid, error) { return m.poll(t.Context(), s.client, at) }
}

var at = time.UnixMilli(1_790_000_000_000)

// unknown is a load of which nothing is known.
func unknown(name string) source.Load {
	return source.Load{Function: name, Time: at, Arrived: -1, Ended: -1, Failed: -1, Refused: -1, InFlight: -1, CPU: -1, Queued: -1, Replicas: -1, Ready: -1}
}

// TestPoll checks that series of one function are added up, that counters only grow while series begin anew, go and come, and that what nobody knows is −1.
func TestPoll(t *testing.T) {
	f, poll := newTest(t, nil)
	none := []string{"arrived", "ended", "cpu", "replicas", "flying"}
	for _, q := range none {
		f.set(q)
	}
	loads, wrong, err := poll()
	require.NoError(t, err)
	require.Zero(t, wrong)
	require.Empty(t, loads)

	f.set("arrived", `{"function_name": "a.openfaas-fn", "pod": "1"} 10`, `{"function_name": "a.openfaas-fn", "pod": "2"} 20`, `{"function_name": "b"} 7`)
	f.set("ended", `{"function_name": "a.openfaas-fn", "code": "200"} 9`)
	f.set("cpu", `{"function_name": "a"} 1.5`)
	f.set("replicas", `{"function_name": "a.openfaas-fn"} 2`, `{"function_name": "a.other"} 1`)
	loads, wrong, err = poll()
	require.NoError(t, err)
	require.Zero(t, wrong)
	a, b := unknown("a"), unknown("b")
	a.Arrived, a.Ended, a.CPU, a.Replicas, b.Arrived = 30, 9, 1500*time.Millisecond, 3, 7
	require.Equal(t, []source.Load{a, b}, loads)

	// One pod of the gateway has begun anew, another one has come, and the series of the ends are gone.
	f.set("arrived", `{"function_name": "a.openfaas-fn", "pod": "1"} 4`, `{"function_name": "a.openfaas-fn", "pod": "2"} 21`, `{"function_name": "a.openfaas-fn", "pod": "3"} 2`)
	f.set("ended")
	f.set("cpu", `{"function_name": "a"} 1e10`)
	f.set("replicas")
	loads, _, err = poll()
	require.NoError(t, err)
	a.Arrived, a.CPU, a.Replicas = 37, 1<<62, -1
	require.Equal(t, []source.Load{a}, loads)

	f.set("arrived", `{"function_name": "a.openfaas-fn", "pod": "2"} 25`, `{"function_name": "b"} 8`)
	f.set("ended", `{"function_name": "a.openfaas-fn", "code": "200"} 12`)
	loads, _, err = poll()
	require.NoError(t, err)
	a.Arrived, a.Ended, b.Arrived = 41, 12, 8
	require.Equal(t, []source.Load{a, b}, loads)
}

// TestSeriesThatCannotBeUsed checks that they are left out, counted and named.
func TestSeriesThatCannotBeUsed(t *testing.T) {
	for series, reason := range map[string]string{
		`{} 1`:                        "it has no label function_name",
		`{"function_name": ".x"} 1`:   "it has no label function_name",
		`{"function_name": "a"} NaN`:  "its value is NaN",
		`{"function_name": "a"} +Inf`: "its value is +Inf",
		`{"function_name": "a"} -1`:   "its value is -1",
		`{"function_name": "a"} 1e18`: "its value is 1e+18",
		`{"function_name": "` + strings.Repeat("x", 257) + `"} 1`: "its function's name is too long",
	} {
		f, poll := newTest(t, func(o *Options) {
			o.Queries = Queries{Label: "function_name", Cut: ".", Arrived: "arrived", Ready: "ready"}
		})
		f.set("arrived", series)
		f.set("ready", `{"function_name": "b"} 1`, series)
		loads, wrong, err := poll()
		require.NoError(t, err)
		require.Equal(t, 2, wrong.n)
		require.ErrorContains(t, wrong.first, "the query for arrived: the series ")
		require.ErrorContains(t, wrong.first, reason)
		b := unknown("b")
		b.Ready = 1
		require.Equal(t, []source.Load{b}, loads)
	}
}

// TestFailures checks that a query that fails is named, that the others count all the same, and that nobody asks on who is not there.
func TestFailures(t *testing.T) {
	for _, test := range []struct {
		name, answer string // to the query for what has arrived
		err          string
		on           bool // the next query is asked
	}{
		{"no query", "", `the query for arrived: bad_data: invalid parameter "query": 1:3: parse error: unexpected <op:/>`, true},
		{"no vector", `! {"status":"success","data":{"resultType":"scalar","result":[1,"2"]}}`, "it results in a scalar, a vector is due", true},
		{"a matrix", `! {"status":"success","data":{"resultType":"matrix","result":[]}}`, "it results in a matrix, a vector is due", true},
		{"nothing", "!200 {}", "the query for arrived: the answer has no result", false},
		{"garbage", "!200 garbage", "the query for arrived: bad_response: ", false},
		{"another server", "!404 not found", "the query for arrived: client error: 404: not found", false},
		{"a server that fails", "!500 oops", "the query for arrived: server_error: server error: 500", false},
		{"refused", "!401 no", "the query for arrived: client error: 401", false},
		{"too long", `!200 {"data":"` + strings.Repeat("x", maxAnswer) + `"}`, fmt.Sprintf("the answer has more than %d bytes", maxAnswer), false},
	} {
		t.Run(test.name, func(t *testing.T) {
			f, poll := newTest(t, func(o *Options) { o.Queries = Queries{Label: "l", Arrived: "arrived", Ready: "ready"} })
			if test.answer != "" {
				f.set("arrived", test.answer)
			}
			f.set("ready", `{"l": "a"} 1`)
			loads, _, err := poll()
			require.ErrorContains(t, err, test.err)
			require.ErrorContains(t, err, "Prometheus at http://127.0.0.1")
			require.NotContains(t, err.Error(), "\n")
			require.Less(t, len(err.Error()), 500)
			if !test.on {
				require.Empty(t, loads)
				require.Len(t, f.asked, 1)
				return
			}
			a := unknown("a")
			a.Ready = 1
			require.Equal(t, []source.Load{a}, loads)
		})
	}
	_, poll := newTest(t, func(o *Options) { o.Address = "http://127.0.0.1:1" })
	_, _, err := poll()
	require.EqualError(t, err, "Prometheus at http://127.0.0.1:1: the query for arrived: dial tcp 127.0.0.1:1: connect: connection refused")
}

// TestBounds checks that an answer of too many series is refused, and that no more are remembered than may be.
func TestBounds(t *testing.T) {
	f, poll := newTest(t, func(o *Options) { o.Queries, o.MaxSeries = Queries{Label: "l", Arrived: "arrived"}, 10 })
	answer := func(first, n int) (series []string) {
		for i := range n {
			series = append(series, fmt.Sprintf(`{"l": "a", "pod": "%d"} 1`, first+i))
		}
		return series
	}
	f.set("arrived", answer(0, 11)...)
	_, _, err := poll()
	require.ErrorContains(t, err, "it results in 11 series, more than 10")
	for i, want := range []float64{10, 20, 20} {
		f.set("arrived", answer(10*i, 10)...)
		loads, wrong, err := poll()
		require.NoError(t, err)
		require.Equal(t, want, loads[0].Arrived)
		if i == 2 {
			require.Equal(t, 10, wrong.n)
			require.ErrorContains(t, wrong.first, "more than 20 series within 1h")
		}
	}
}

// TestFunctionsAreBounded checks that functions whose names change with each answer, as by a label that names something else, are forgotten or left out.
func TestFunctionsAreBounded(t *testing.T) {
	m := newMeter(&Options{MaxSeries: 10, Queries: Queries{Label: "l"}})
	grow := func(n int, now time.Time) (loads int, wrong invalid) {
		found := map[string]*source.Load{}
		m.load(ready, &model.Sample{Metric: model.Metric{"l": model.LabelValue(fmt.Sprintf("pod-%d", n))}, Value: 1}, now, &wrong, found)
		return len(found), wrong
	}
	for n := range 20 {
		loads, wrong := grow(n, at)
		require.Equal(t, 1, loads)
		require.Zero(t, wrong.n)
	}
	loads, wrong := grow(20, at)
	require.Zero(t, loads)
	require.EqualError(t, wrong.first, `the query for ready: the series {l="pod-20"}: there are more than 20 functions within 1h0m0s`)
	loads, _ = grow(19, at)
	require.Equal(t, 1, loads, "one that is known")
	m.forget(at.Add(forgetAfter + 1))
	loads, _ = grow(20, at.Add(forgetAfter+1))
	require.Equal(t, 1, loads)
}

// TestSlowServer checks that a question that is not answered in time is given up.
func TestSlowServer(t *testing.T) {
	hanging := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-hanging:
		case <-r.Context().Done():
		}
	}))
	defer server.Close()
	defer close(hanging)
	s, err := New(Options{Address: server.URL, Queries: Queries{Label: "l", Arrived: "x"}, Timeout: 50 * time.Millisecond})
	require.NoError(t, err)
	defer s.client.transport.CloseIdleConnections()
	_, _, err = newMeter(&s.o).poll(t.Context(), s.client, at)
	require.ErrorContains(t, err, "the query for arrived: no answer in time")
}

// TestAuthentication checks what is sent to whom, and what is refused before.
func TestAuthentication(t *testing.T) {
	directory := t.TempDir()
	write := func(name, text string) string {
		file := filepath.Join(directory, name)
		require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
		return file
	}
	password, token := write("password", "a secret\n"), write("token", "a-token\n")
	f := &fake{}
	f.set("x")
	secure := httptest.NewTLSServer(f)
	defer secure.Close()
	ca := write("ca", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: secure.Certificate().Raw})))
	ask := func(o Options) error {
		o.Queries = Queries{Label: "l", Arrived: "x"}
		s, err := New(o)
		if err != nil {
			return err
		}
		defer s.client.transport.CloseIdleConnections()
		_, _, err = newMeter(&s.o).poll(t.Context(), s.client, at)
		return err
	}
	require.NoError(t, ask(Options{Address: secure.URL, CAFile: ca, Username: "u", PasswordFile: password}))
	user, text, _ := f.asked[len(f.asked)-1].BasicAuth()
	require.Equal(t, "u:a secret", user+":"+text)
	require.NoError(t, ask(Options{Address: secure.URL, CAFile: ca, TokenFile: token}))
	require.Equal(t, "Bearer a-token", f.asked[len(f.asked)-1].Header.Get("Authorization"))
	require.NoError(t, ask(Options{Address: secure.URL, InsecureSkipVerify: true}))
	require.Empty(t, f.asked[len(f.asked)-1].Header.Get("Authorization"))
	require.ErrorContains(t, ask(Options{Address: secure.URL}), "certificate signed by unknown authority")

	for _, test := range []struct {
		o   Options
		err string
	}{
		{Options{Address: "http://prometheus.example.com", TokenFile: token}, "over http everyone on the way could read the password or token: it needs https"},
		{Options{Address: "http://u:secret@prometheus.example.com"}, "it needs https"},
		{Options{Address: secure.URL, TokenFile: token, Username: "u", PasswordFile: password}, "a token, or a user and a password, not both"},
		{Options{Address: secure.URL, Username: "u"}, "a user needs a password"},
		{Options{Address: secure.URL, CAFile: token}, "has no certificates"},
		{Options{Address: secure.URL, CAFile: token + "x"}, "no such file"},
		{Options{Address: secure.URL, CAFile: ca, TokenFile: token + "x"}, "the token: open " + token + "x: no such file"},
		{Options{Address: "ftp://x"}, "the scheme ftp is neither http nor https"},
		{Options{}, `the address of Prometheus, "": `},
		{Options{Address: secure.URL, Every: -1}, "cannot be negative"},
	} {
		err := ask(test.o)
		require.ErrorContains(t, err, test.err)
		require.NotContains(t, err.Error(), "secret")
	}
	_, err := New(Options{Address: secure.URL, Queries: Queries{Arrived: "x"}})
	require.ErrorContains(t, err, "need the label")
	_, err = New(Options{Address: secure.URL, Queries: Queries{Label: "l"}})
	require.ErrorContains(t, err, "no query")
}

// sink is a Sink of loads.
type sink struct {
	mu    sync.Mutex
	loads [][]source.Load
	came  chan struct{}
	err   error
}

func (s *sink) Observe(context.Context, []source.Observation) error {
	return errors.New("no observation")
}

func (s *sink) ObserveLoad(_ context.Context, loads []source.Load) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return s.err
	}
	s.loads = append(s.loads, slices.Clone(loads))
	s.came <- struct{}{}
	return nil
}

// TestRun checks that it asks again and again, says in its counts what goes wrong, and recovers.
func TestRun(t *testing.T) {
	f := &fake{}
	server := httptest.NewServer(f)
	defer server.Close()
	one, err := New(Options{Address: server.URL, Queries: Queries{Label: "l", Arrived: "x"}, Every: time.Millisecond})
	require.NoError(t, err)
	require.Equal(t, source.Counts{Name: "prometheus"}, one.Counts())
	ctx, cancel := context.WithCancel(t.Context())
	s := &sink{came: make(chan struct{})}
	ended := make(chan error, 1)
	go func() { ended <- one.Run(ctx, s) }()
	require.Eventually(t, func() bool { return strings.Contains(one.Counts().Error, "bad_data") }, time.Minute, time.Millisecond)
	f.set("x", `{"l": "a"} 5`, `{} 5`)
	<-s.came
	require.Eventually(t, func() bool { return strings.Contains(one.Counts().Error, "it has no label l") }, time.Minute, time.Millisecond)
	require.Positive(t, one.Counts().Invalid)
	f.set("x", `{"l": "a"} 6`)
	for one.Counts().Error != "" {
		<-s.came
	}
	require.EqualValues(t, 5, s.loads[0][0].Arrived)
	require.Positive(t, one.Counts().Observations)
	cancel()
	for over := false; !over; {
		select {
		case <-s.came: // it was about to tell
		case err := <-ended:
			require.NoError(t, err)
			over = true
		}
	}

	s = &sink{err: errors.New("it has ended")}
	require.ErrorContains(t, one.Run(t.Context(), s), "it has ended")
}

// TestCounters checks with random series that the total of a function is what its counters have counted, however often they begin anew.
func TestCounters(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o := Options{MaxSeries: 100, Queries: Queries{Label: "l"}}
		m := newMeter(&o)
		counters := map[int]float64{} // by series
		truth := 0.0
		for range rapid.IntRange(1, 30).Draw(t, "polls") {
			var vector model.Vector
			for pod := range 4 {
				growth := float64(rapid.IntRange(0, 20).Draw(t, "growth"))
				if rapid.IntRange(0, 5).Draw(t, "new") == 0 {
					growth = min(growth, max(counters[pod]-1, 0)) // more would look as if it had gone on
					counters[pod] = 0
				}
				counters[pod] += growth
				truth += growth
				if rapid.IntRange(0, 9).Draw(t, "there") > 0 || counters[pod] < growth+1 {
					vector = append(vector, &model.Sample{Metric: model.Metric{"l": "f", "pod": model.LabelValue(fmt.Sprint(pod))}, Value: model.SampleValue(counters[pod])})
				} else {
					truth, counters[pod] = truth-growth, counters[pod]-growth
				}
			}
			var wrong invalid
			m.grow(arrived, vector, at, &wrong, map[string]*source.Load{})
			if wrong.n > 0 {
				t.Fatal(wrong.first)
			}
			if len(vector) > 0 && m.totals["f"].value[arrived] != truth {
				t.Fatalf("%g, not %g", m.totals["f"].value[arrived], truth)
			}
		}
	})
}

// TestForget checks that functions and series that are gone for long take no memory.
func TestForget(t *testing.T) {
	m := newMeter(&Options{MaxSeries: 10, Queries: Queries{Label: "l"}})
	var wrong invalid
	m.grow(ended, model.Vector{{Metric: model.Metric{"l": "f"}, Value: 1}}, at, &wrong, map[string]*source.Load{})
	m.forget(at.Add(forgetAfter))
	require.Len(t, slices.Collect(maps.Keys(m.totals)), 1)
	m.forget(at.Add(forgetAfter + 1))
	require.Empty(t, m.totals)
	require.Empty(t, m.series[ended])
}

// FuzzAnswer checks that no answer of a server makes the source panic or gives loads that cannot be.
func FuzzAnswer(f *testing.F) {
	f.Add([]byte(`{"status":"success","data":{"resultType":"vector","result":[{"metric":{"l":"a"},"value":[1790000000.5,"3"]}]}}`), 200)
	f.Add([]byte(`{"status":"success","data":{"resultType":"vector","result":[{"metric":{"l":"a"},"histogram":[1,{"count":"1","sum":"2","buckets":[[0,"1","2","3"]]}]}]}}`), 200)
	f.Add([]byte(`{"status":"error","errorType":"timeout","error":"x"}`), 503)
	f.Add([]byte(`null`), 422)
	var text []byte
	var status int
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = w.Write(text)
	}))
	f.Cleanup(server.Close)
	s, err := New(Options{Address: server.URL, Queries: Queries{Label: "l", Arrived: "x", Ready: "y"}})
	require.NoError(f, err)
	f.Cleanup(s.client.transport.CloseIdleConnections)
	f.Fuzz(func(t *testing.T, answer []byte, code int) {
		if code < 200 || code > 599 || code == 204 || code == 304 {
			return
		}
		text, status = answer, code
		loads, _, _ := newMeter(&s.o).poll(t.Context(), s.client, at)
		for _, l := range loads {
			if l.Function == "" || !(l.Arrived >= -1) || !(l.Ready >= -1) || l.CPU < -1 {
				t.Fatalf("%+v", l)
			}
		}
	})
}

// TestQueries checks the queries of platforms, which the integration test asks a real Prometheus.
func TestQueries(t *testing.T) {
	q := OpenFaaS("openfaas-fn")
	require.Equal(t, `gateway_function_invocation_total{function_name=~".+\\.openfaas-fn",code=~"5.."}`, q.Failed)
	require.Equal(t, `last_over_time(gateway_service_count{function_name=~".+\\.openfaas-fn"}[1m])`, q.Replicas)
	require.Equal(t, "figlet", q.name("figlet.openfaas-fn"))
	// The three metrics of the community edition's gateway, as its sources name them.
	require.Equal(t, "gateway_function_invocation_started{}", OpenFaaS("").Arrived)
	require.Equal(t, `gateway_function_invocation_total{code!="429"}`, OpenFaaS("").Ended)
	require.Equal(t, "last_over_time(gateway_service_count{}[1m])", OpenFaaS("").Replicas)
	require.Equal(t, "function_name", OpenFaaS("").Label)
	q = Knative("shop")
	require.Equal(t, `revision_app_request_count{namespace_name="shop",response_code_class="5xx"}`, q.Failed)
	require.Equal(t, "a.b", q.name("a.b"))
}
