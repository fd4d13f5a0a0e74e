package arrivals

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/tppfaas/tppfaas/prewarm/source"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// sink is a Sink that keeps what it is told, or fails with err.
type sink struct {
	took  []source.Observation
	calls int
	err   error
}

func (s *sink) Observe(_ context.Context, o []source.Observation) error {
	s.calls++
	if s.err == nil {
		s.took = append(s.took, o...)
	}
	return s.err
}

func (s *sink) ObserveLoad(context.Context, []source.Load) error { return errors.New("no load") }

// documented is the example in docs/formats.md.
const documented = `{"trace": "4bf92f3577b34da6a3ce929d0e0e4736", "call": "b7ad6b7169203331", "parent": "00f067aa0ba902b7",
 "function": "tree_small-dev-f11", "time": 1732464000123.5}`

func TestParse(t *testing.T) {
	first := source.Observation{
		Kind: source.Invoked, Function: "tree_small-dev-f11", Trace: "4bf92f3577b34da6a3ce929d0e0e4736", Call: "b7ad6b7169203331", ParentCall: "00f067aa0ba902b7",
		Clock: "c", Time: time.UnixMilli(1732464000123).Add(500 * time.Microsecond), Wait: -1, Init: -1,
	}
	root := source.Observation{Kind: source.Invoked, Function: "f", Trace: "t", Clock: "c", Time: time.UnixMilli(1732464000123), Wait: -1, Init: -1}
	started, ended := root, root
	started.Kind, started.Call, started.Version = source.Started, "x", "3"
	ended.Kind, ended.Call, ended.Failed = source.Ended, "x", true
	hexadecimal := root
	hexadecimal.Trace = "0000000000000000a3ce929d0e0e4736"
	for _, test := range []struct {
		text string
		want []source.Observation
		err  string
	}{
		{documented, []source.Observation{first}, ""},
		{"\n[" + documented + "," + documented + "] ", []source.Observation{first, first}, ""},
		{"[]", nil, ""},
		{`{"function": "/guest/shop/f", "trace": "t", "time": 1732464000123, "more": [{}]}`, []source.Observation{root}, ""},
		{`{"function": "f", "trace": "A3CE929D0E0E4736", "time": 1732464000123, "event": "arrival"}`, []source.Observation{hexadecimal}, ""},
		{`[{"event": "start", "call": "x", "version": "3", "function": "f", "trace": "t", "time": 1732464000123},
			{"event": "end", "call": "x", "failed": true, "function": "f", "trace": "t", "time": 1732464000123}]`, []source.Observation{started, ended}, ""},

		{"", nil, "an object is due, or a list of objects"},
		{"3", nil, "an object is due, or a list of objects"},
		{"null", nil, "an object is due, or a list of objects"},
		{"{}", nil, "the arrival: function is missing"},
		{documented + documented, nil, "there is more behind the end"},
		{"[" + documented + "]]", nil, "there is more behind the end"},
		{"[" + documented, nil, "the list of arrivals: the text ends within it"},
		{"[" + documented + ", {", nil, "arrival 1: the text ends within it"},
		{"[" + documented + " {}]", nil, "arrival 1: expected comma after array element"},
		{"[" + documented + ", 3]", nil, "arrival 1: an object is due, not a JSON number"},
		{"[" + documented + ", [" + documented + "]]", nil, "arrival 1: an object is due, not a JSON array"},
		{"[" + documented + ", null]", nil, "arrival 1: function is missing"},
		{`{"function": "f", "trace": 7, "time": 1732464000123}`, nil, "the arrival: trace cannot be a JSON number"},
		{`{"function": "f", "trace": "t", "time": "now"}`, nil, "the arrival: time cannot be a JSON string"},
		{`{"function": "f", "time": 1732464000123}`, nil, "the arrival: trace is missing"},
		{`{"function": "f", "trace": "t"}`, nil, "the arrival: time is 0, which are no milliseconds since 1970"},
		{`{"function": "f", "trace": "t", "time": 1732464000}`, nil, "the arrival: time is 1.732464e+09, which are no milliseconds since 1970"},
		{`{"function": "f", "trace": "t", "time": 1e300}`, nil, "the arrival: time is 1e+300"},
		{`{"function": "f", "trace": "t", "time": 1e999}`, nil, "the arrival: time cannot be a JSON number 1e999"},
		{`{"function": "f", "trace": "t", "time": 1732464000123, "event": "begin"}`, nil, `the arrival: event is "begin", it must be arrival, start or end`},
		{`{"function": "f", "trace": "t", "time": 1732464000123, "event": "end"}`, nil, "the arrival: call is missing"},
		{`{"function": "f", "trace": "t", "time": 1732464000123, "failed": true}`, nil, "the arrival: failed is said of the end alone"},
		{`{"function": "f", "trace": "t", "time": 1732464000123, "call": "a", "parent": "a"}`, nil, "the arrival: call and parent are the same"},
		{`{"function": "f", "trace": "` + strings.Repeat("x", 257) + `", "time": 1732464000123}`, nil, "the arrival: trace has more than 256 bytes"},
	} {
		got, err := parse([]byte(test.text), "c")
		if test.err != "" {
			require.ErrorContains(t, err, test.err, test.text)
			require.NotContains(t, err.Error(), "\n")
			continue
		}
		require.NoError(t, err, test.text)
		require.Equal(t, test.want, got, test.text)
	}
}

func TestHTTP(t *testing.T) {
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	_, err := w.Write([]byte(documented))
	require.NoError(t, err)
	require.NoError(t, w.Close())
	const form = "application/json"
	long := "[" + strings.Repeat(documented+",", 2499) + documented + "]"
	for _, test := range []struct {
		name, method, form, encoding, body string
		err                                error
		want                               int
		text                               string
		taken, calls                       int
		counts                             source.Counts
	}{
		{"one", "POST", form, "", documented, nil, 204, "", 1, 1, source.Counts{Observations: 1}},
		{"none", "POST", form, "", "[]", nil, 204, "", 0, 0, source.Counts{}},
		{"many", "POST", form, "", long, nil, 204, "", 2500, 3, source.Counts{Observations: 2500}},
		{"packed", "POST", form + "; charset=utf-8", "gzip", packed.String(), nil, 204, "", 1, 1, source.Counts{Observations: 1}},
		{"wrong", "POST", form, "", "[" + documented + ",{}]", nil, 400, "arrival 1: function is missing\n", 0, 0, source.Counts{Invalid: 1}},
		{"busy", "POST", form, "", documented, source.ErrBusy, 429, source.ErrBusy.Error(), 0, 1, source.Counts{Refused: 1}},
		{"ending", "POST", form, "", documented, errors.New("it is about to end"), 503, "it is about to end", 0, 1, source.Counts{}},
		{"another form", "POST", "text/plain", "", documented, nil, 415, "application/json", 0, 0, source.Counts{Invalid: 1}},
		{"another packing", "POST", form, "br", documented, nil, 415, `"br" is not known`, 0, 0, source.Counts{Invalid: 1}},
		{"another method", "GET", form, "", "", nil, 405, "by POST", 0, 0, source.Counts{Invalid: 1}},
		{"large", "POST", form, "", strings.Repeat(" ", 1<<20+1), nil, 413, "more than 1048576 bytes", 0, 0, source.Counts{Invalid: 1}},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := &sink{err: test.err}
			r := New(s, Options{})
			request := httptest.NewRequestWithContext(t.Context(), test.method, "/v1/arrivals", strings.NewReader(test.body))
			request.Header.Set("Content-Type", test.form)
			request.Header.Set("Content-Encoding", test.encoding)
			answer := httptest.NewRecorder()
			r.ServeHTTP(answer, request)
			require.Equal(t, test.want, answer.Code, answer.Body)
			require.Contains(t, answer.Body.String(), test.text)
			require.Equal(t, test.want == 429 || test.want == 503, answer.Header().Get("Retry-After") == "1")
			require.Equal(t, test.want == http.StatusMethodNotAllowed, answer.Header().Get("Allow") == "POST")
			require.Len(t, s.took, test.taken)
			require.Equal(t, test.calls, s.calls)
			for _, o := range s.took {
				require.Equal(t, "192.0.2.1", o.Clock)
			}
			counts := r.Counts()
			counts.Last, counts.Error = nil, ""
			test.counts.Name = "arrivals"
			require.Equal(t, test.counts, counts)
			require.Zero(t, r.room.Used())
		})
	}
}

// TestErrorPasses checks that what went wrong is told until something comes that is right.
func TestErrorPasses(t *testing.T) {
	r := New(&sink{}, Options{})
	for _, step := range []struct{ text, want string }{{"{}", "function is missing"}, {"[]", "function is missing"}, {documented, ""}, {"{}", "function is missing"}} {
		request := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/v1/arrivals", strings.NewReader(step.text))
		request.Header.Set("Content-Type", "application/json")
		r.ServeHTTP(httptest.NewRecorder(), request)
		if step.want == "" {
			require.Empty(t, r.Counts().Error)
		} else {
			require.Contains(t, r.Counts().Error, step.want)
		}
	}
}

// TestRoom checks that a body for which there is no memory is refused for a while, and counted.
func TestRoom(t *testing.T) {
	r := New(&sink{}, Options{MaxBytesAtOnce: 4 << 10})
	request := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/v1/arrivals", strings.NewReader(strings.Repeat(" ", 5000)))
	request.Header.Set("Content-Type", "application/json")
	answer := httptest.NewRecorder()
	r.ServeHTTP(answer, request)
	require.Equal(t, http.StatusTooManyRequests, answer.Code)
	require.Equal(t, "1", answer.Header().Get("Retry-After"))
	require.EqualValues(t, 1, r.Counts().Refused)
	require.Zero(t, r.room.Used())
}

func TestClock(t *testing.T) {
	for remote, want := range map[string]string{
		"127.0.0.1:80": "", "[::1]:80": "", "10.1.2.3:80": "10.1.2.3", "[2001:db8::1]:80": "2001:db8::1", "": "", "@": "", "pipe:80": "",
	} {
		require.Equal(t, want, clock(remote), remote)
	}
}

// FuzzParse checks that no text makes the parser panic, or gives observations that would do harm.
func FuzzParse(f *testing.F) {
	f.Add([]byte(documented))
	f.Add([]byte("[" + documented + `,{"event":"end","call":"x","function":"f","trace":"\ud800","time":1e15}]`))
	f.Add([]byte(`{"time":631152000000,"function":"//","trace":"t"}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		observations, err := parse(text, "")
		if err != nil {
			require.Nil(t, observations)
			return
		}
		for _, o := range observations {
			if o.Function == "" || o.Trace == "" || o.Time.Before(source.FirstTime) || o.Kind != source.Invoked && o.Call == "" || o.Call != "" && o.Call == o.ParentCall {
				t.Fatalf("%+v", o)
			}
			for _, s := range []string{o.Function, o.Trace, o.Call, o.ParentCall, o.Version} {
				require.LessOrEqual(t, len(s), source.MaxText)
			}
		}
	})
}

// BenchmarkParse measures announcements a second.
func BenchmarkParse(b *testing.B) {
	text := []byte("[" + strings.Repeat(documented+",", 99) + documented + "]")
	b.ReportAllocs()
	for b.Loop() {
		_, err := parse(text, "")
		require.NoError(b, err)
	}
	b.ReportMetric(100*float64(b.N)/b.Elapsed().Seconds(), "arrivals/s")
}
