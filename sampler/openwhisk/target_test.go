package openwhisk

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/tppfaas/tppfaas/apps"
	"github.com/tppfaas/tppfaas/internal/errorfs"
	"github.com/tppfaas/tppfaas/internal/localwhisk/rest"
	"github.com/tppfaas/tppfaas/internal/localzipkin"
	"github.com/tppfaas/tppfaas/internal/whisk"
	"github.com/tppfaas/tppfaas/sampler"
	"github.com/tppfaas/tppfaas/sampler/internal/testenv"
	"github.com/tppfaas/tppfaas/tpp"
	"github.com/tppfaas/tppfaas/tpp/dataset"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// quick is an application whose requests take some milliseconds.
func quick() *apps.Application {
	f := func(name string, invokes ...string) apps.Function {
		return apps.Function{Name: name, Duration: 5 * time.Millisecond, Gamma: apps.Gamma{Shape: 4, Rate: 0.8}, Invokes: apps.Always(invokes...)}
	}
	return &apps.Application{Name: "quick", Functions: []apps.Function{
		{Name: apps.Main, Invokes: apps.Always("left", "right")}, f("left", "end"), f("right", "end"), f("end"),
	}}
}

// settleSoon is for samplings of which something is lost: they wait in vain for it.
func settleSoon(o *Options) { o.Settle = 2 * time.Second }

func every(d time.Duration, n int) sampler.Config {
	return sampler.Config{Requests: n, MinInterval: d, MaxInterval: d, Seed: 3}
}

// run is a sampling in a test environment.
type run struct {
	*Target
	t    *testing.T
	mu   sync.Mutex
	said []string
}

func begin(t *testing.T, env *testenv.Env, config sampler.Config, journal string, resume bool, change func(*Options)) (*run, error) {
	t.Helper()
	return beginOn(t, env, errorfs.OS{}, config, journal, resume, change)
}

// beginOn begins a sampling whose journal is on a disk that may fail.
func beginOn(t *testing.T, env *testenv.Env, disk errorfs.FS, config sampler.Config, journal string, resume bool, change func(*Options)) (*run, error) {
	t.Helper()
	r := &run{t: t}
	o := Options{
		Settings: Settings{
			APIHost: Setting{env.OpenWhisk.URL, "-apihost"}, Auth: Setting{env.Platform.Auth(), "OW_AUTH"}, Zipkin: Setting{env.Zipkin.URL, "-zipkin"},
			Collector: Setting{env.CollectorURL, "-collector"}, ActionAPIHost: Setting{env.Platform.URL(), "-action-apihost"},
		},
		App: quick(), Config: config, Settle: 5 * time.Minute, Patience: time.Minute,
		OnMessage: func(text string) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.said = append(r.said, text)
		},
		Executable: func(context.Context, string) ([]byte, error) {
			return []byte("the runtime of the tests does not look at it"), nil
		},
	}
	if change != nil {
		change(&o)
	}
	var err error
	r.Target, err = New(o)
	if err != nil {
		return nil, err
	}
	r.disk = disk
	t.Cleanup(func() {
		r.Close()
		_, password, _ := strings.Cut(env.Platform.Auth(), ":")
		require.NotContains(t, r.log(), password)
	})
	err = r.Begin(t.Context(), journal, resume)
	if err != nil {
		require.NotContains(t, err.Error(), "\n")
	}
	if r.journal != nil {
		t.Cleanup(func() { _ = r.journal.Close() })
	}
	return r, err
}

// sequences returns the sequences of the complete traces.
func (r *run) sequences() []tpp.Sequence {
	r.t.Helper()
	d, err := r.Dataset()
	require.NoError(r.t, err)
	require.Len(r.t, d.Sequences, r.Complete())
	return d.Sequences
}

func (r *run) log() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return strings.Join(r.said, "\n")
}

// clean removes what was deployed, and checks that nothing is left.
func (r *run) clean() {
	r.t.Helper()
	require.NoError(r.t, r.Remove(r.t.Context()))
	left, err := r.Leftovers(r.t.Context())
	require.NoError(r.t, err)
	require.Empty(r.t, left)
}

// TestSample checks that the same seed gives the same plan as in virtual time, and that the traces say which activation made which call.
func TestSample(t *testing.T) {
	env := testenv.New(t, rest.Limits{})
	config := every(20*time.Millisecond, 30)
	config.Missing, config.RandomDurations = 1, true
	var sent []int
	var mu sync.Mutex
	r, err := begin(t, env, config, filepath.Join(t.TempDir(), "x.journal"), false, func(o *Options) {
		o.Announce = true
		o.OnSend = func(n int, left time.Duration) {
			mu.Lock()
			defer mu.Unlock()
			sent = append(sent, n)
			if left < 0 || left > 29*20*time.Millisecond {
				t.Errorf("%v left", left)
			}
		}
	})
	require.NoError(t, err)
	complete := 0
	result, err := r.Sample(t.Context(), func(n int) { complete = n })
	require.NoError(t, err)
	require.Empty(t, result.Incomplete)
	require.Equal(t, 30, complete)
	require.Len(t, sent, 30)
	require.True(t, r.AllSent())

	local, err := sampler.NewLocal(3)
	require.NoError(t, err)
	virtual, err := sampler.Sample(t.Context(), local, quick(), config, nil)
	require.NoError(t, err)
	require.Nil(t, result.Dataset)
	require.Equal(t, 30, result.Sequences)
	data, err := r.Dataset()
	require.NoError(t, err)
	require.Equal(t, virtual.Dataset.MarkNames, data.MarkNames)
	require.Len(t, data.Sequences, 30)
	checkAnnouncements(t, env, data)
	for i, s := range data.Sequences {
		want := slices.Sorted(slices.Values(virtual.Dataset.Sequences[i].Marks))
		require.Equal(t, want, slices.Sorted(slices.Values(s.Marks)), "request %d", i)
		require.Equal(t, -1, s.Parents[0])
		for k, p := range s.Parents[1:] {
			require.LessOrEqual(t, s.ArrivalTimes[p], s.ArrivalTimes[k+1])
		}
	}
	require.Positive(t, result.ColdStarts)
	require.Equal(t, 30, result.Sent)
	latest := time.Duration(0)
	for i, s := range virtual.Sends {
		at, ok := r.SentAt(i)
		require.True(t, ok)
		late := at.Sub(result.Start) - s.Intended
		require.GreaterOrEqual(t, late, time.Duration(0), "request %d", i)
		latest = max(latest, late)
	}
	require.Equal(t, latest, result.Lateness)

	for _, name := range []string{"x.json", "x.jsonl.gz", "x.csv"} {
		file := filepath.Join(t.TempDir(), name)
		n, err := r.WriteDataset(file)
		require.NoError(t, err)
		require.Equal(t, 30, n)
		written, err := dataset.ReadFile(file)
		require.NoError(t, err)
		written, err = written.WithMarks(data.MarkNames)
		require.NoError(t, err)
		require.Equal(t, data.Sequences, written.Sequences)
	}
	r.clean()
}

// checkAnnouncements checks that each invocation of a dataset has one announcement by its caller, the sampler for main, whose id its start
// repeats.
func checkAnnouncements(t *testing.T, env *testenv.Env, data *tpp.Dataset) {
	t.Helper()
	// The finished span of a function may arrive before its start, which is sent apart.
	require.Eventually(t, func() bool { return env.Store.Stats().Spans == 3*data.NumEvents() }, time.Minute, 10*time.Millisecond)
	traces := env.Store.Find(localzipkin.Query{Limit: 1000, EndTs: time.Now().Add(time.Minute), Lookback: time.Hour})
	require.Len(t, traces, len(data.Sequences))
	var calls, got, want []string
	for _, trace := range traces {
		callers, began := map[string]string{}, map[string]bool{} // by call id
		for _, s := range trace {
			id := s.Tags["call.id"]
			switch s.Name {
			case "invoke":
				require.NotContains(t, callers, id)
				callers[id] = s.LocalEndpoint.ServiceName
				got = append(got, s.Tags["faas.invoked_name"])
				require.Equal(t, s.Tags["faas.invoked_name"] == "quick-dev-main", callers[id] == announcerService)
			case "start":
				began[id] = true
			default:
				calls = append(calls, id)
			}
		}
		require.Equal(t, slices.Sorted(maps.Keys(callers)), slices.Sorted(maps.Keys(began)))
		require.NotContains(t, callers, "")
	}
	require.Len(t, calls, data.NumEvents())
	for _, s := range data.Sequences {
		for _, mark := range s.Marks {
			want = append(want, data.MarkNames[mark])
		}
	}
	slices.Sort(got)
	slices.Sort(want)
	require.Equal(t, want, got)
}

// TestAnnouncementsThatAreLost checks that requests are sent all the same if the sampler cannot announce them, and that one message says so.
func TestAnnouncementsThatAreLost(t *testing.T) {
	env := testenv.New(t, rest.Limits{})
	r, err := begin(t, env, every(10*time.Millisecond, 5), "", false, func(o *Options) {
		o.Announce, o.SamplerCollector = true, Setting{"http://user:secret@127.0.0.1:1", "TPPFAAS_SAMPLER_COLLECTOR"}
	})
	require.NoError(t, err)
	_, err = r.Sample(t.Context(), nil)
	require.NoError(t, err)
	require.Len(t, r.sequences(), 5)
	r.Close()
	require.Equal(t, 1, strings.Count(r.log(), "announced"), r.log())
	require.Contains(t, r.log(), "not announced to the collector at http://127.0.0.1:1 (from TPPFAAS_SAMPLER_COLLECTOR)")
	require.Contains(t, r.log(), "-sampler-collector")
	require.NotContains(t, r.log(), "secret")
}

// TestWithoutAnnouncements checks that nothing is announced, and no payload has an id of a call, unless that is asked for.
func TestWithoutAnnouncements(t *testing.T) {
	env := testenv.New(t, rest.Limits{})
	var bodies atomic.Int32
	env.OpenWhisk.Fail(func(_ http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodPost {
			body, err := io.ReadAll(r.Body)
			if err != nil || bytes.Contains(body, []byte("call.id")) || !bytes.Contains(body, []byte("traceparent")) {
				t.Errorf("%v, %s", err, body)
			}
			r.Body = io.NopCloser(bytes.NewReader(body))
			bodies.Add(1)
		}
		return false
	})
	r, err := begin(t, env, every(10*time.Millisecond, 3), "", false, nil)
	require.NoError(t, err)
	_, err = r.Sample(t.Context(), nil)
	require.NoError(t, err)
	require.EqualValues(t, 3, bodies.Load())
	require.Len(t, r.sequences(), 3)
	for _, service := range env.Store.Services() {
		require.Equal(t, []string{service}, env.Store.Spans(service))
	}
}

// withAndWithout runs a test of what is lost with and without announcements, which must make no difference to it.
func withAndWithout(t *testing.T, test func(t *testing.T, change func(*Options))) {
	for name, announce := range map[string]bool{"announced": true, "not announced": false} {
		t.Run(name, func(t *testing.T) {
			test(t, func(o *Options) {
				settleSoon(o)
				o.Announce = announce
			})
		})
	}
}

// TestDiskFull checks that traces stay in memory when the journal's disk is full, and that one message says so.
func TestDiskFull(t *testing.T) {
	env := testenv.New(t, rest.Limits{})
	r, err := begin(t, env, every(5*time.Millisecond, 6), filepath.Join(t.TempDir(), "x.journal"), false, nil)
	require.NoError(t, err)
	result, err := r.Sample(t.Context(), func(complete int) {
		if complete == 2 {
			r.journal.mu.Lock()
			r.journal.err = errors.New("no space left on device")
			r.journal.mu.Unlock()
		}
	})
	require.NoError(t, err)
	require.Equal(t, 6, result.Sequences)
	require.Len(t, r.sequences(), 6)
	require.Positive(t, r.InMemory())
	require.Equal(t, 1, strings.Count(r.log(), "from now on traces are kept in memory alone: no space left on device"))
	n, err := r.WriteDataset(filepath.Join(t.TempDir(), "x.json"))
	require.NoError(t, err)
	require.Equal(t, 6, n)
	r.clean()
}

// TestSpoiltJournal checks that a journal that was changed while it was in use is an error, and leaves the dataset as it was.
func TestSpoiltJournal(t *testing.T) {
	env := testenv.New(t, rest.Limits{})
	journal := filepath.Join(t.TempDir(), "x.journal")
	r, err := begin(t, env, every(5*time.Millisecond, 3), journal, false, nil)
	require.NoError(t, err)
	_, err = r.Sample(t.Context(), nil)
	require.NoError(t, err)
	text, err := os.ReadFile(journal)
	require.NoError(t, err)
	at := bytes.Index(text, []byte(`{"complete":1`))
	require.Positive(t, at)
	copy(text[at:], `{"refused":1}`)
	require.NoError(t, os.WriteFile(journal, text, 0o600))
	file := filepath.Join(t.TempDir(), "x.json")
	require.NoError(t, os.WriteFile(file, []byte("before"), 0o600))
	_, err = r.WriteDataset(file)
	require.EqualError(t, err, "request 1: journal "+journal+": somebody has changed it: the trace of request 1 is not where it was")
	text, err = os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, "before", string(text))
	r.clean()
}

// TestTwoAtATime checks that two samplings at the same time, and the leftovers of a third, do not disturb each other.
func TestTwoAtATime(t *testing.T) {
	env := testenv.New(t, rest.Limits{})
	leftover, err := begin(t, env, every(time.Millisecond, 1), "", false, nil)
	require.NoError(t, err)
	require.NoError(t, leftover.Deploy(t.Context(), quick()))
	var wait sync.WaitGroup
	results := make([]*sampler.Result, 2)
	runs := make([]*run, 2)
	for i := range results {
		runs[i], err = begin(t, env, every(10*time.Millisecond, 20), "", false, nil)
		require.NoError(t, err)
		wait.Go(func() {
			var err error
			if results[i], err = runs[i].Sample(t.Context(), nil); err != nil {
				t.Error(err)
			}
			if err := runs[i].Remove(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	wait.Wait()
	for i, result := range results {
		require.Empty(t, result.Incomplete)
		require.Len(t, runs[i].sequences(), 20)
	}
	left, err := leftover.Leftovers(t.Context())
	require.NoError(t, err)
	require.Len(t, left, 1)
	require.Equal(t, leftover.Package(), left[0].Package)
	require.Equal(t, "quick", left[0].Application)
	require.WithinDuration(t, time.Now(), left[0].Created, time.Minute)
	require.NoError(t, leftover.RemoveLeftover(t.Context(), left[0].Package))
	leftover.clean()
}

// TestLostSpans checks that missing functions are named, and that the other traces are complete.
func TestLostSpans(t *testing.T) {
	env := testenv.New(t, rest.Limits{})
	var lost atomic.Int32
	env.Lose(func(function, _ string) bool { return function == "quick-dev-right" && lost.Add(1) <= 2 })
	r, err := begin(t, env, every(10*time.Millisecond, 10), "", false, settleSoon)
	require.NoError(t, err)
	result, err := r.Sample(t.Context(), nil)
	require.NoError(t, err)
	require.Len(t, r.sequences(), 8)
	require.Len(t, result.Incomplete, 2)
	for _, one := range result.Incomplete {
		require.Equal(t, "missing quick-dev-right", one.Error())
	}
	r.clean()
}

// TestLostMain checks that a trace is found without the span of main.
func TestLostMain(t *testing.T) {
	env := testenv.New(t, rest.Limits{})
	env.Lose(func(function, _ string) bool { return function == "quick-dev-main" })
	r, err := begin(t, env, every(10*time.Millisecond, 2), "", false, settleSoon)
	require.NoError(t, err)
	result, err := r.Sample(t.Context(), nil)
	require.NoError(t, err)
	require.Zero(t, result.Sequences)
	require.Equal(t, "missing quick-dev-main", result.Incomplete[0].Error())
}

// TestNothingArrives checks that, if no span arrives, messages say where they should have gone and what became of main.
func TestNothingArrives(t *testing.T) { withAndWithout(t, testNothingArrives) }

func testNothingArrives(t *testing.T, change func(*Options)) {
	env := testenv.New(t, rest.Limits{})
	env.Lose(func(function, _ string) bool { return function != announcerService })
	r, err := begin(t, env, every(10*time.Millisecond, 2), "", false, func(o *Options) {
		change(o)
		o.Collector.Value = strings.Replace(env.CollectorURL, "http://", "http://user:secret@", 1)
		o.Zipkin.Value = strings.Replace(env.Zipkin.URL, "http://", "http://user:secret@", 1)
	})
	require.NoError(t, err)
	result, err := r.Sample(t.Context(), nil)
	require.NoError(t, err)
	require.Contains(t, r.log(), "no span has arrived in Zipkin at "+env.Zipkin.URL+": the functions send theirs to the collector at "+env.CollectorURL)
	require.NotContains(t, r.log(), "secret")
	require.Contains(t, result.Incomplete[1].Error(), "main has run, as activation ")
	r.clean()
}

// answers returns a fault that answers some requests with a status.
func answers(method, part string, status int, times int32, header ...string) func(http.ResponseWriter, *http.Request) bool {
	var n atomic.Int32
	return func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != method || !strings.Contains(r.URL.Path, part) || n.Add(1) > times {
			return false
		}
		for i := 0; i < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		fmt.Fprintf(w, `{"code":"x","error":"status %d, it says"}`, status)
		return true
	}
}

const always = 1 << 30

// TestPreflight checks that a server with a problem ends the run before anything is deployed.
func TestPreflight(t *testing.T) {
	env := testenv.New(t, rest.Limits{})
	deployed := atomic.Bool{}
	hang := make(chan struct{})
	defer close(hang)
	for _, c := range []struct {
		name, want string
		whisk      func(http.ResponseWriter, *http.Request) bool
		zipkin     func(http.ResponseWriter, *http.Request) bool
		change     func(*Options)
	}{
		{name: "wrong key", want: "OpenWhisk at HOST does not accept the key (401); the key is from OW_AUTH",
			change: func(o *Options) { o.Auth.Value = "other:key" }},
		{name: "not allowed", want: "OpenWhisk at HOST does not allow this to the key (403): status 403, it says; the key is from OW_AUTH",
			whisk: answers("GET", "/packages", 403, always)},
		{name: "not OpenWhisk", want: "OpenWhisk at HOST does not have this (404): status 404, it says; the address is from -apihost: is it OpenWhisk?",
			whisk: answers("GET", "", 404, always)},
		{name: "nonsense", want: "OpenWhisk at HOST does not have this (404)", whisk: func(w http.ResponseWriter, _ *http.Request) bool { http.NotFound(w, nil); return true }},
		{name: "null", want: "OpenWhisk at HOST answers nonsense: a list is due, and this is null: is it OpenWhisk?",
			whisk: func(w http.ResponseWriter, _ *http.Request) bool { fmt.Fprint(w, "null"); return true }},
		{name: "answers anything", want: "OpenWhisk at HOST answers, but does not say which runtimes it has: is it OpenWhisk?; the address is from -apihost",
			whisk: func(w http.ResponseWriter, r *http.Request) bool {
				fmt.Fprint(w, map[bool]string{true: "[]", false: "{}"}[strings.HasSuffix(r.URL.Path, "/packages")])
				return true
			}},
		{name: "stays away", want: "OpenWhisk at HOST fails (502)", whisk: answers("GET", "", 502, always),
			change: func(o *Options) { o.Patience = 50 * time.Millisecond }},
		{name: "fails", want: "OpenWhisk at HOST fails (500): status 500, it says", whisk: answers("GET", "/packages", 500, always)},
		{name: "hangs", want: "OpenWhisk at HOST cannot be reached: no answer in time; the address is from -apihost",
			whisk:  func(http.ResponseWriter, *http.Request) bool { <-hang; return true },
			change: func(o *Options) { o.Timeout = 50 * time.Millisecond }},
		{name: "refused", want: "OpenWhisk at http://127.0.0.1:1 cannot be reached: dial tcp 127.0.0.1:1: connect: connection refused; the address is from -apihost",
			change: func(o *Options) { o.APIHost.Value = "http://127.0.0.1:1" }},
		{name: "no TLS", want: "no trusted connection: it speaks HTTP, not HTTPS: give the address with http://",
			change: func(o *Options) { o.APIHost.Value = strings.TrimPrefix(env.OpenWhisk.URL, "http://") }},
		{name: "kind", want: "OpenWhisk does not run actions of kind go:1.3", change: func(o *Options) { o.Kind = "go:1.3" }},
		{name: "Zipkin refused", want: "Zipkin at http://127.0.0.1:1 cannot be reached: dial tcp 127.0.0.1:1: connect: connection refused; the address is from -zipkin",
			change: func(o *Options) { o.Zipkin.Value = "http://127.0.0.1:1" }},
		{name: "not Zipkin", want: "Zipkin at ZIPKIN does not have this (404)", zipkin: answers("GET", "", 404, always)},
		{name: "nonsense of Zipkin", want: "Zipkin at ZIPKIN answers nonsense: not the traces it was asked for",
			zipkin: func(w http.ResponseWriter, _ *http.Request) bool { fmt.Fprint(w, "<html>"); return true }},
		{name: "not a collector", want: "the collector at ZIPKIN refuses (404): it takes no spans over OTLP/HTTP; the address is from -collector",
			change: func(o *Options) { o.Collector.Value = env.Zipkin.URL }},
	} {
		t.Run(c.name, func(t *testing.T) {
			env.OpenWhisk.Fail(func(rw http.ResponseWriter, r *http.Request) bool {
				if r.Method == "PUT" {
					deployed.Store(true)
				}
				return c.whisk != nil && c.whisk(rw, r)
			})
			env.Zipkin.Fail(c.zipkin)
			defer env.OpenWhisk.Fail(nil)
			defer env.Zipkin.Fail(nil)
			journal := filepath.Join(t.TempDir(), "x.journal")
			_, err := begin(t, env, every(time.Millisecond, 1), journal, false, c.change)
			want := strings.NewReplacer("HOST", env.OpenWhisk.URL, "ZIPKIN", env.Zipkin.URL).Replace(c.want)
			require.ErrorContains(t, err, want)
			require.NoFileExists(t, journal)
			require.False(t, deployed.Load())
		})
	}
	r, err := begin(t, env, every(time.Millisecond, 1), "", false, func(o *Options) { o.Collector.Value = "http://127.0.0.1:1" })
	require.NoError(t, err, "functions may see what we do not")
	require.Contains(t, r.log(), "the collector at http://127.0.0.1:1 cannot be reached")
}

// TestCertificate checks that a certificate that is not trusted is refused, unless the user accepts it.
func TestCertificate(t *testing.T) {
	env := testenv.New(t, rest.Limits{})
	secure := env.OpenWhisk.TLS(t)
	_, err := begin(t, env, every(time.Millisecond, 1), "", false, func(o *Options) { o.APIHost.Value = secure })
	require.ErrorContains(t, err, "OpenWhisk at "+secure+": no trusted connection: ")
	require.ErrorContains(t, err, "; -insecure does without")
	r, err := begin(t, env, every(time.Millisecond, 2), "", false, func(o *Options) {
		o.APIHost.Value, o.ActionAPIHost.Value, o.Insecure.Value = secure, secure, "true"
	})
	require.NoError(t, err)
	result, err := r.Sample(t.Context(), nil)
	require.NoError(t, err)
	require.Empty(t, result.Incomplete, "functions do not check it either")
	r.clean()
}

// TestRecovers checks that temporary failures are retried, with a message.
func TestRecovers(t *testing.T) {
	for _, c := range []struct {
		name, said string
		fault      func(http.ResponseWriter, *http.Request) bool
	}{
		{"deploying fails", "fails (500): status 500, it says; trying again in ", answers("PUT", "/actions/", 500, 2)},
		{"deploying is throttled", "has had too many requests (429): status 429, it says; trying again in ", answers("PUT", "/packages/", 429, 1, "Retry-After", "0")},
		{"invocations are throttled", "has had too many requests (429): status 429, it says; trying again in ", answers("POST", "/actions/", 429, 2)},
		{"as long as it says", "has had too many requests (429): status 429, it says; trying again in 1", answers("POST", "/actions/", 429, 1, "Retry-After", "1")},
		{"overloaded", "fails (503): status 503, it says; trying again in ", answers("POST", "/actions/", 503, 1)},
		{"not there at first", "fails (502): status 502, it says; trying again in ", answers("GET", "/", 502, 2)},
		{"starting", "fails (503): status 503, it says; trying again in ", answers("GET", "/", 503, 1)},
		{"not there for the second request", "fails (502): status 502, it says; trying again in ", answers("GET", "/packages", 502, 1)},
	} {
		t.Run(c.name, func(t *testing.T) {
			env := testenv.New(t, rest.Limits{})
			env.OpenWhisk.Fail(c.fault)
			r, err := begin(t, env, every(5*time.Millisecond, 10), "", false, nil)
			require.NoError(t, err)
			result, err := r.Sample(t.Context(), nil)
			require.NoError(t, err)
			require.Empty(t, result.Incomplete)
			require.Contains(t, r.log(), c.said)
			r.clean()
		})
	}
}

// TestLimits checks that there is a warning before OpenWhisk throttles, and that a sleep that is longer than it allows is an error.
func TestLimits(t *testing.T) {
	env := testenv.New(t, rest.Limits{InvocationsPerMinute: 60, MaxTimeout: 2 * time.Second})
	r, err := begin(t, env, every(time.Second, 100), "", false, nil)
	require.NoError(t, err)
	require.NoError(t, r.Deploy(t.Context(), quick()))
	require.Contains(t, r.log(), "OpenWhisk allows 60 invocations a minute, and the plan makes 303: they will be throttled")
	r.clean()
	r, err = begin(t, env, every(time.Second, 1), "", false, func(o *Options) { o.App.Functions[3].Duration = 3 * time.Second })
	require.NoError(t, err)
	require.EqualError(t, r.Deploy(t.Context(), r.options.App), "a function works for 3s, and OpenWhisk allows 2s")
	r.clean()
}

// TestInterruptedDeployment checks that what was deployed before an interrupt can be removed.
func TestInterruptedDeployment(t *testing.T) {
	env := testenv.New(t, rest.Limits{})
	r, err := begin(t, env, every(time.Millisecond, 1), "", false, nil)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	var puts atomic.Int32
	env.OpenWhisk.Fail(func(_ http.ResponseWriter, r *http.Request) bool {
		if r.Method == "PUT" && puts.Add(1) == 3 {
			_, _ = io.Copy(io.Discard, r.Body) // before, a server does not see that its client goes
			cancel()
			<-r.Context().Done()
			return true
		}
		return false
	})
	result, err := r.Sample(ctx, nil)
	require.Nil(t, result)
	require.ErrorIs(t, err, context.Canceled)
	left, err := r.Leftovers(t.Context())
	require.NoError(t, err)
	require.Len(t, left, 1)
	r.clean()
}

// TestUploadAfterRemoval checks that a package is removed although an upload that was broken off arrives while that is done.
func TestUploadAfterRemoval(t *testing.T) {
	env := testenv.New(t, rest.Limits{})
	r, err := begin(t, env, every(time.Millisecond, 1), "", false, nil)
	require.NoError(t, err)
	require.NoError(t, r.Deploy(t.Context(), quick()))
	var uploads atomic.Int32
	env.OpenWhisk.Fail(func(_ http.ResponseWriter, req *http.Request) bool {
		if req.Method == http.MethodDelete && strings.HasSuffix(req.URL.Path, "/packages/"+r.Package()) && uploads.Add(1) <= 2 {
			a := whisk.Action{Name: fmt.Sprintf("late%d", uploads.Load()), Exec: &whisk.Exec{Kind: r.options.Kind, Code: "eA==", Binary: true}}
			if err := r.client.PutAction(t.Context(), r.Package(), a); err != nil {
				t.Error(err)
			}
		}
		return false
	})
	r.clean()
	require.Equal(t, int32(3), uploads.Load())
}

// TestFailsForGood checks that a permanent failure ends the sampling, and that what was sent before is fetched.
func TestFailsForGood(t *testing.T) {
	env := testenv.New(t, rest.Limits{})
	after := func(n int32, fault func(http.ResponseWriter, *http.Request) bool) func(http.ResponseWriter, *http.Request) bool {
		var count atomic.Int32
		return func(w http.ResponseWriter, r *http.Request) bool {
			return r.Method == "POST" && count.Add(1) > n && fault(w, r)
		}
	}
	for _, c := range []struct {
		name, want string
		fault      func(http.ResponseWriter, *http.Request) bool
		traces     int
	}{
		{"too large to deploy", "deploying quick-dev-main, 0.0 MB: this is too large for OpenWhisk at HOST (413): status 413, it says", answers("PUT", "/actions/", 413, always), -1},
		{"too large to send", "this is too large for OpenWhisk at HOST (413): status 413, it says", after(3, answers("POST", "", 413, always)), 3},
		{"the key is withdrawn", "OpenWhisk at HOST does not accept the key (401); the key is from OW_AUTH", after(3, answers("POST", "", 401, always)), 3},
		{"OpenWhisk goes away", "OpenWhisk at HOST fails (503): status 503, it says", after(3, answers("POST", "", 503, always)), 3},
		{"somebody removes the actions", "OpenWhisk at HOST does not have this (404): status 404, it says", after(3, answers("POST", "", 404, always)), 3},
	} {
		t.Run(c.name, func(t *testing.T) {
			env.OpenWhisk.Fail(c.fault)
			defer env.OpenWhisk.Fail(nil)
			r, err := begin(t, env, every(30*time.Millisecond, 10), "", false, func(o *Options) { o.Patience = 200 * time.Millisecond })
			require.NoError(t, err)
			result, err := r.Sample(t.Context(), nil)
			require.ErrorContains(t, err, strings.ReplaceAll(c.want, "HOST", env.OpenWhisk.URL))
			if c.traces < 0 {
				require.Nil(t, result)
			} else {
				require.Regexp(t, "^request [0-9]: ", err.Error())
				require.Len(t, r.sequences(), c.traces)
			}
			r.clean()
		})
	}
}

// TestLostAnswers checks that an invocation that OpenWhisk may have taken is not sent again: it is found by the id of its trace, or
// reported.
func TestLostAnswers(t *testing.T) { withAndWithout(t, testLostAnswers) }

func testLostAnswers(t *testing.T, change func(*Options)) {
	env := testenv.New(t, rest.Limits{})
	var n atomic.Int32
	env.OpenWhisk.Fail(func(rw http.ResponseWriter, r *http.Request) bool {
		if r.Method != "POST" {
			return false
		}
		switch n.Add(1) {
		case 2: // it is taken, and the answer does not arrive
			env.OpenWhisk.Handle(r)
			panic(http.ErrAbortHandler)
		case 4: // it is not even taken
			panic(http.ErrAbortHandler)
		case 6:
			return answers("POST", "", 500, 1)(rw, r)
		}
		return false
	})
	r, err := begin(t, env, every(10*time.Millisecond, 8), "", false, change)
	require.NoError(t, err)
	result, err := r.Sample(t.Context(), nil)
	require.NoError(t, err)
	require.Len(t, r.sequences(), 6)
	require.Len(t, result.Incomplete, 2)
	require.Contains(t, result.Incomplete[0].Error(), "OpenWhisk's answer was lost")
	require.Contains(t, r.log(), "may have been lost")
	require.EqualValues(t, 8, n.Load())
	env.OpenWhisk.Fail(nil)
	r.clean()
}

// TestZipkinAway checks that requests are sent while Zipkin fails, and their traces fetched afterwards.
func TestZipkinAway(t *testing.T) {
	env := testenv.New(t, rest.Limits{})
	r, err := begin(t, env, every(20*time.Millisecond, 20), "", false, func(o *Options) { o.Settle = 300 * time.Millisecond })
	require.NoError(t, err)
	result, err := r.Sample(t.Context(), func(complete int) {
		if complete == 3 {
			env.Zipkin.Fail(answers("GET", "", 500, 3))
		}
	})
	require.NoError(t, err)
	require.Empty(t, result.Incomplete)
	require.Contains(t, r.log(), "Zipkin at "+env.Zipkin.URL+" fails (500): status 500, it says; trying again in ")
	require.Contains(t, r.log(), "answers again, after ")
	r.clean()
}

// TestZipkinGone checks that traces are reported as not fetched if Zipkin stays away, and that a later run fetches them.
func TestZipkinGone(t *testing.T) {
	env := testenv.New(t, rest.Limits{})
	journal := filepath.Join(t.TempDir(), "x.journal")
	r, err := begin(t, env, every(10*time.Millisecond, 10), journal, false, func(o *Options) { o.Patience = 500 * time.Millisecond })
	require.NoError(t, err)
	result, err := r.Sample(t.Context(), func(complete int) {
		env.Zipkin.Fail(func(http.ResponseWriter, *http.Request) bool { panic(http.ErrAbortHandler) })
	})
	require.NoError(t, err)
	require.NotEmpty(t, result.Incomplete)
	require.Contains(t, result.Incomplete[0].Error(), "(not fetched: Zipkin has not answered)")
	require.NoError(t, r.Journal().Close())
	r.Close()

	// Nothing is lost: it is fetched later.
	env.Zipkin.Fail(nil)
	r, err = begin(t, env, every(10*time.Millisecond, 10), journal, true, nil)
	require.NoError(t, err)
	var posts atomic.Int32
	env.OpenWhisk.Fail(func(_ http.ResponseWriter, r *http.Request) bool {
		if r.Method == "POST" || r.Method == "PUT" {
			posts.Add(1)
		}
		return false
	})
	result, err = r.Sample(t.Context(), nil)
	require.NoError(t, err)
	require.Empty(t, result.Incomplete)
	require.Len(t, r.sequences(), 10)
	require.Zero(t, posts.Load(), "everything was sent")
	r.clean()
}

// TestInterruptAndResume checks that an interrupt stops the sending, that what was sent is fetched, and that a later run sends the rest.
func TestInterruptAndResume(t *testing.T) {
	env := testenv.New(t, rest.Limits{})
	journal := filepath.Join(t.TempDir(), "x.journal")
	config := every(50*time.Millisecond, 30)
	config.RandomDurations = true
	ctx, cancel := context.WithCancel(t.Context())
	r, err := begin(t, env, config, journal, false, func(o *Options) {
		o.OnSend = func(sent int, _ time.Duration) {
			if sent == 5 {
				cancel()
			}
		}
	})
	require.NoError(t, err)
	first, err := r.Sample(ctx, nil)
	require.ErrorIs(t, err, context.Canceled)
	require.Empty(t, first.Incomplete)
	before := r.sequences()
	n := len(before)
	require.Equal(t, n, first.Sequences)
	require.GreaterOrEqual(t, n, 5)
	require.Less(t, n, 30)
	require.Equal(t, n, first.Sent)
	r.clean()
	require.NoError(t, r.Journal().Close())
	pack := r.Package()
	r.Close()

	_, err = begin(t, env, config, journal, false, nil)
	require.ErrorIs(t, err, ErrJournalExists)
	other := config
	other.Requests++
	_, err = begin(t, env, other, journal, true, nil)
	require.ErrorContains(t, err, "is of another sampling: -n was 30, and is 31 now")

	// Zipkin may have forgotten meanwhile.
	env.Forget()
	r, err = begin(t, env, config, journal, true, nil)
	require.NoError(t, err)
	require.Equal(t, pack, r.Package())
	second, err := r.Sample(t.Context(), nil)
	require.NoError(t, err)
	require.Empty(t, second.Incomplete)
	require.Len(t, r.sequences(), 30)
	require.Equal(t, 30, second.Sequences)
	require.Equal(t, before, r.sequences()[:n])
	require.Equal(t, 30-n, second.Sent)
	r.clean()
}

// TestResumeAfterDeath checks that after the death of the process what it was about to send is sent, but what has arrived is not sent again.
func TestResumeAfterDeath(t *testing.T) { withAndWithout(t, testResumeAfterDeath) }

func testResumeAfterDeath(t *testing.T, change func(*Options)) {
	env := testenv.New(t, rest.Limits{})
	journal := filepath.Join(t.TempDir(), "x.journal")
	config := every(10*time.Millisecond, 4)
	r, err := begin(t, env, config, journal, false, change)
	require.NoError(t, err)
	var n atomic.Int32
	env.OpenWhisk.Fail(func(_ http.ResponseWriter, req *http.Request) bool {
		if req.Method == "POST" {
			switch n.Add(1) {
			case 2:
				env.OpenWhisk.Handle(req)
				panic(http.ErrAbortHandler)
			case 3, 4:
				panic(http.ErrAbortHandler)
			}
		}
		return false
	})
	_, err = r.Sample(t.Context(), nil)
	require.NoError(t, err)
	require.Len(t, r.sequences(), 2)
	require.NoError(t, r.Journal().Close())
	r.Close()
	env.OpenWhisk.Fail(nil)

	r, err = begin(t, env, config, journal, true, change)
	require.NoError(t, err)
	result, err := r.Sample(t.Context(), nil)
	require.NoError(t, err)
	require.Len(t, r.sequences(), 4)
	require.Equal(t, 2, result.Sent)
	r.clean()
}

// TestSlowPlatform checks that requests are sent on schedule, however slowly the platform answers.
func TestSlowPlatform(t *testing.T) {
	env := testenv.New(t, rest.Limits{})
	var mu sync.Mutex
	waiting, together := 0, make(chan struct{})
	env.OpenWhisk.Fail(func(_ http.ResponseWriter, r *http.Request) bool {
		if r.Method == "POST" {
			mu.Lock()
			if waiting++; waiting == 20 {
				close(together)
			}
			mu.Unlock()
			<-together // nobody is answered before all have been sent
		}
		return false
	})
	r, err := begin(t, env, every(5*time.Millisecond, 20), "", false, nil)
	require.NoError(t, err)
	result, err := r.Sample(t.Context(), nil)
	require.NoError(t, err)
	require.Empty(t, result.Incomplete)
	r.clean()
}

func TestNew(t *testing.T) {
	t.Setenv("HOME", t.TempDir())
	t.Setenv("XDG_CONFIG_HOME", t.TempDir())
	good := Options{App: quick(), Config: every(time.Second, 1)}
	_, err := New(good)
	require.ErrorContains(t, err, "the key is missing: ")
	key, _, err := whisk.LocalKey()
	require.NoError(t, err)
	r, err := New(good)
	require.NoError(t, err)
	require.Equal(t, key, r.options.Auth.Value)
	bad := good
	bad.Config.Requests = 0
	_, err = New(bad)
	var wrong *sampler.ConfigError
	require.True(t, errors.As(err, &wrong))
	bad = good
	bad.APIHost, bad.Auth = Setting{"openwhisk.example.com", "OW_APIHOST"}, Setting{"user:password", "OW_AUTH"}
	_, err = New(bad)
	require.ErrorContains(t, err, "the collector is missing: ")
	bad = good
	bad.Zipkin = Setting{"ftp://x", "TPPFAAS_ZIPKIN"}
	_, err = New(bad)
	require.EqualError(t, err, "TPPFAAS_ZIPKIN: the scheme ftp is neither http nor https")
}
