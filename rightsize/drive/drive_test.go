package drive

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"github.com/tppfaas/tppfaas/internal/errorfs"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// function answers calls in virtual time.
type function struct {
	mu     sync.Mutex
	answer func(n int, r *http.Request) (status int, err error) // nil: 200 after 100 ms
	calls  []string                                             // when, in ms since the first look, and what
	active int
	most   int // at a time
}

func (f *function) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	r.Body.Close()
	if err != nil {
		return nil, err
	}
	f.mu.Lock()
	f.calls = append(f.calls, fmt.Sprintf("%d %s", time.Now().UnixMilli(), body))
	n := len(f.calls)
	f.active++
	f.most = max(f.most, f.active)
	f.mu.Unlock()
	defer func() {
		f.mu.Lock()
		f.active--
		f.mu.Unlock()
	}()
	status := http.StatusOK
	if f.answer != nil {
		status, err = f.answer(n, r)
	} else {
		err = sleep(r.Context(), 100*time.Millisecond)
	}
	if err != nil {
		return nil, err
	}
	return &http.Response{StatusCode: status, Status: fmt.Sprintf("%d %s", status, http.StatusText(status)), Header: http.Header{"Location": {"http://other/"}}, Body: io.NopCloser(strings.NewReader("answer"))}, nil
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// options are those of most tests.
func options(f http.RoundTripper) Options {
	return Options{URL: "http://127.0.0.1:8080/function/qrcode", Calls: Range{5, 60}, Sizes: Range{16, 2048}, Seed: 7, Duration: 10 * time.Minute, transport: f}
}

func drive(ctx context.Context, t *testing.T, o Options) (*Summary, error) {
	t.Helper()
	d, err := New(o)
	require.NoError(t, err)
	return d.Run(ctx)
}

// TestRun makes ten minutes of calls in virtual time: as many, when and of what size the plan says, the same for the same seed.
func TestRun(t *testing.T) {
	var runs [][]string
	for _, seed := range []uint64{7, 7, 8} {
		synctest.Test(t, func(t *testing.T) {
			f := &function{}
			o := options(f)
			o.Seed = seed
			counted := 0
			o.OnCall = func(c Call) {
				counted++
				require.Equal(t, 100.0, c.Latency)
				require.EqualValues(t, 6, c.Answer)
				require.Zero(t, c.Late)
			}
			begin := time.Now()
			s, err := drive(t.Context(), t, o)
			require.NoError(t, err)
			require.GreaterOrEqual(t, time.Since(begin), o.Duration)
			require.Less(t, time.Since(begin), o.Duration+time.Second)
			require.Equal(t, len(f.calls), s.Calls)
			require.Equal(t, counted, s.Calls)
			require.Equal(t, map[int]int{200: s.Calls}, s.ByStatus)
			require.Equal(t, []float64{100, 100}, s.Latency(0.5, 1))
			var want, total int64
			for minute := range 10 {
				for _, c := range plan(seed, o.Calls, o.Sizes, minute) {
					want++
					total += int64(c.size)
				}
			}
			require.EqualValues(t, want, s.Calls)
			require.Equal(t, total, s.Bytes)
			runs = append(runs, f.calls)
		})
	}
	require.Equal(t, runs[0], runs[1])
	require.NotEqual(t, runs[0], runs[2])
}

// TestPlan checks with any bounds that a plan keeps to them.
func TestPlan(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		bounds := func(name string) Range {
			low := rapid.IntRange(0, 50).Draw(t, name)
			return Range{low, low + rapid.IntRange(0, 50).Draw(t, name)}
		}
		calls, sizes := bounds("calls"), bounds("sizes")
		back, err := ParseRange(calls.String())
		require.NoError(t, err)
		require.Equal(t, calls, back)
		seed, minute := rapid.Uint64().Draw(t, "seed"), rapid.IntRange(0, 1e6).Draw(t, "minute")
		all := plan(seed, calls, sizes, minute)
		require.Equal(t, all, plan(seed, calls, sizes, minute))
		require.True(t, len(all) >= calls.Min && len(all) <= calls.Max)
		at := time.Duration(minute) * time.Minute
		for i, c := range all {
			require.True(t, c.at >= at && c.at < time.Duration(minute+1)*time.Minute && c.size >= sizes.Min && c.size <= sizes.Max && c.index == i, "%+v", c)
			at = c.at
			text := payload(seed, c)
			require.Len(t, text, c.size)
			require.Empty(t, strings.Trim(string(text), letters))
			require.Equal(t, text, payload(seed, c))
		}
	})
	require.NotEqual(t, payload(1, call{size: 20}), payload(1, call{size: 20, index: 1}))
	require.NotEqual(t, payload(1, call{size: 20}), payload(2, call{size: 20}))
}

func TestParseRange(t *testing.T) {
	for _, text := range []string{"", ":", "5:", ":5", "5-60", "a", "1.5", "5:6:7", "6:5", "-1:5", "5:60x", "99999999999999999999"} {
		_, err := ParseRange(text)
		require.ErrorContains(t, err, "is no range: want MIN:MAX", text)
	}
	r, err := ParseRange("12")
	require.NoError(t, err)
	require.Equal(t, Range{12, 12}, r)
}

// TestParallel checks that no more calls are under way than may be, and that those that wait for it are said to be late.
func TestParallel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &function{answer: func(_ int, r *http.Request) (int, error) { return 200, sleep(r.Context(), 30*time.Second) }}
		o := options(f)
		o.Parallel, o.Calls, o.Duration, o.Body = 2, Range{10, 10}, time.Minute, `{"text":"PAYLOAD"}`
		s, err := drive(t.Context(), t, o)
		require.NoError(t, err)
		require.Equal(t, 10, s.Calls)
		require.Equal(t, 2, f.most)
		require.Greater(t, s.MaxLate, 30_000.0)
		require.Regexp(t, `^\d+ \{"text":"[a-zA-Z0-9_-]+"\}$`, f.calls[0])
		var text bytes.Buffer
		require.NoError(t, s.WriteText(&text))
		require.Regexp(t, `(?m)^10 calls, 0 failed; \d+ bytes of payload; up to \d+ ms late$`, text.String())
		require.Contains(t, text.String(), "status 200  10\nlatency     median 3e+04 ms")
	})
}

// TestFailures checks what ends a run, and what does not.
func TestFailures(t *testing.T) {
	always := func(status int) func(int, *http.Request) (int, error) {
		return func(int, *http.Request) (int, error) { return status, nil }
	}
	refused := &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
	for name, test := range map[string]struct {
		answer func(int, *http.Request) (int, error)
		calls  int // that were made; −1 for all
		err    string
	}{
		"password":                  {always(401), 1, "the function at http://127.0.0.1:8080/function/qrcode: it answers 401 Unauthorized: user, password or token are not right"},
		"not for this user":         {always(403), 1, "it answers 403 Forbidden: user, password or token are not right"},
		"password, later":           {func(n int, _ *http.Request) (int, error) { return map[bool]int{true: 200, false: 401}[n < 9], nil }, 9, "it answers 401"},
		"no function":               {always(404), 1, "it answers 404 Not Found"},
		"no function, later":        {func(n int, _ *http.Request) (int, error) { return map[bool]int{true: 200, false: 404}[n < 9], nil }, 8 + 5, "5 calls in a row have failed, the last one: it answers 404 Not Found"},
		"another method":            {always(405), 1, "it answers 405 Method Not Allowed"},
		"elsewhere":                 {always(302), 1, "it answers 302 Found, to http://other/: call that"},
		"broken":                    {always(500), 5, "5 calls in a row have failed, the last one: it answers 500 Internal Server Error"},
		"broken now and then":       {func(n int, _ *http.Request) (int, error) { return map[bool]int{true: 200, false: 500}[n%5 == 0], nil }, -1, ""},
		"hangs up":                  {func(int, *http.Request) (int, error) { return 0, errors.New("EOF") }, 5, "5 calls in a row have failed, the last one: EOF"},
		"nobody there":              {func(int, *http.Request) (int, error) { return 0, refused }, 1, "the function at http://127.0.0.1:8080/function/qrcode: dial tcp: connection refused"},
		"nobody there now and then": {func(n int, _ *http.Request) (int, error) { return 200, map[bool]error{true: refused}[n%3 == 0] }, -1, ""},
		"does not answer":           {func(_ int, r *http.Request) (int, error) { return 0, sleep(r.Context(), time.Hour) }, -2, "5 calls in a row have failed, the last one: no answer in time"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := &function{answer: test.answer}
				o := options(f)
				o.MaxFailures, o.Timeout = 5, 10*time.Second
				messages := 0
				o.OnMessage = func(string) { messages++ }
				s, err := drive(t.Context(), t, o)
				if test.err == "" {
					require.NoError(t, err)
					require.Positive(t, messages)
				} else {
					require.ErrorContains(t, err, test.err)
				}
				if test.calls > 0 {
					require.Len(t, f.calls, test.calls)
				}
				if test.calls > -2 {
					require.Equal(t, len(f.calls), s.Calls)
				}
				if s.Failed > 0 {
					require.NotEmpty(t, s.LastError)
				}
			})
		})
	}
}

// TestJournal ends a run in the middle, and lets another one go on: together they make the calls of one, but for those that were under way.
func TestJournal(t *testing.T) {
	payloads := func(calls []string) (texts []string) {
		for _, c := range calls {
			_, text, _ := strings.Cut(c, " ")
			texts = append(texts, text)
		}
		return texts
	}
	synctest.Test(t, func(t *testing.T) {
		whole := &function{}
		_, err := drive(t.Context(), t, options(whole))
		require.NoError(t, err)

		o := options(nil)
		o.Journal = filepath.Join(t.TempDir(), "calls.jsonl")
		first, second := &function{}, &function{}
		ctx, cancel := context.WithCancel(t.Context())
		n := 0
		o.transport, o.OnCall = first, func(Call) {
			if n++; n == 50 {
				cancel()
			}
		}
		s, err := drive(ctx, t, o)
		require.ErrorIs(t, err, context.Canceled)
		require.Equal(t, len(first.calls), s.Calls+s.BrokenOff)
		text, err := os.ReadFile(o.Journal)
		require.NoError(t, err)
		require.Equal(t, s.Calls+1, bytes.Count(text, []byte("\n")))
		require.NoError(t, os.WriteFile(o.Journal, append(text, `{"minute":`...), 0o600)) // killed while it wrote

		require.NoError(t, sleep(t.Context(), time.Hour))
		o.transport, o.OnCall = second, nil
		began := time.Now()
		s, err = drive(t.Context(), t, o)
		require.NoError(t, err)
		require.Less(t, time.Since(began), o.Duration)
		require.Equal(t, 50, s.Earlier)
		require.Zero(t, s.MaxLate)
		all := append(payloads(first.calls)[:50], payloads(second.calls)...)
		require.Equal(t, payloads(whole.calls), all)
		require.Equal(t, len(all), s.Calls)

		o.transport = &function{}
		s, err = drive(t.Context(), t, o) // there is nothing left to do
		require.NoError(t, err)
		require.Equal(t, s.Earlier, s.Calls)

		o.Seed++
		_, err = drive(t.Context(), t, o)
		require.ErrorContains(t, err, "is of other work")
	})
}

func TestJournalMistakes(t *testing.T) {
	o := options(&function{})
	o.Journal = filepath.Join(t.TempDir(), "calls.jsonl")
	head, err := json.Marshal(header{o.URL, "POST", "", "5:60", "16:2048", 7})
	require.NoError(t, err)
	for line, want := range map[string]string{
		"x":                        o.Journal + ":2: this is no call: ",
		`{"minute":-1}`:            "a number that cannot be",
		`{"minute":1000000000}`:    "a number that cannot be",
		`{"minute":0,"color":"x"}`: "unknown field",
		`{"minute":0,"index":99}`:  "minute 0 has call 99, and the plan has ",
		`{"minute":1,"index":1}` + "\n" + `{"minute":1,"index":1}`: ":3: call 1 of minute 1 stands there twice",
	} {
		require.NoError(t, os.WriteFile(o.Journal, []byte(string(head)+"\n"+line+"\n"), 0o600))
		_, err := drive(t.Context(), t, o)
		require.ErrorContains(t, err, want)
	}
}

// TestFullDisk lets each operation on the journal fail: the run ends with that error, and no call is counted that does not stand there.
func TestFullDisk(t *testing.T) {
	run := func(t *testing.T, disk errorfs.FS, path string) (*Summary, error) {
		var s *Summary
		var err error
		synctest.Test(t, func(t *testing.T) {
			o := options(&function{})
			o.Duration, o.Calls, o.Journal, o.disk = time.Minute, Range{9, 9}, path, disk
			s, err = drive(t.Context(), t, o)
		})
		return s, err
	}
	counted := errorfs.Fail(errorfs.OS{}, 0, nil)
	s, err := run(t, counted, filepath.Join(t.TempDir(), "calls.jsonl"))
	require.NoError(t, err)
	require.Equal(t, 9, s.Calls)
	for n := 1; n <= counted.Operations(); n++ {
		_, err := run(t, errorfs.FailFrom(errorfs.OS{}, n, syscall.ENOSPC), filepath.Join(t.TempDir(), "calls.jsonl"))
		require.ErrorContains(t, err, "calls.jsonl: no space left on device", n)
	}
}

// TestServer calls a server, with a password, and one that cuts its answers.
func TestServer(t *testing.T) {
	synced := make(chan string, 9)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, password, _ := r.BasicAuth()
		synced <- user + " " + password + " " + r.Header.Get("Content-Type") + " " + r.Method
		if user == "cut" {
			w.Header().Set("Content-Length", "100")
			_, _ = io.WriteString(w, "some")
			panic(http.ErrAbortHandler)
		}
	}))
	defer server.Close()
	for user, want := range map[string]string{"me": "", "cut": "EOF"} {
		ctx, cancel := context.WithCancel(t.Context())
		var got Call
		s, err := drive(ctx, t, Options{
			URL: server.URL, Calls: Range{maxCalls, maxCalls}, Parallel: 1, Username: user, Password: "secret", Method: "PUT", ContentType: "text/x",
			OnCall: func(c Call) { got = c; cancel() },
		})
		require.ErrorIs(t, err, context.Canceled)
		require.Equal(t, 1, s.Calls)
		require.Contains(t, got.Error, want)
		require.Equal(t, want == "", got.Error == "")
		require.Equal(t, user+" secret text/x PUT", <-synced)
		for len(synced) > 0 {
			<-synced
		}
	}
	_, err := drive(t.Context(), t, Options{URL: "http://127.0.0.1:1", Calls: Range{maxCalls, maxCalls}})
	require.EqualError(t, err, "the function at http://127.0.0.1:1: dial tcp 127.0.0.1:1: connect: connection refused")
}

func TestMistakes(t *testing.T) {
	for want, change := range map[string]func(*Options){
		"the address of the function: the scheme ftp": func(o *Options) { o.URL = "ftp://x" },
		"the calls of a minute: 5:4 is no range":      func(o *Options) { o.Calls = Range{5, 4} },
		"0 calls a minute at most":                    func(o *Options) { o.Calls = Range{} },
		"100001 calls a minute at most":               func(o *Options) { o.Calls.Max = maxCalls + 1 },
		"payloads of ":                                func(o *Options) { o.Sizes.Max = maxSize + 1 },
		"cannot be negative":                          func(o *Options) { o.Timeout = -1 },
		"the body has no PAYLOAD":                     func(o *Options) { o.Body = "{}" },
		`"get" is no method`:                          func(o *Options) { o.Method = "get" },
		"it needs https":                              func(o *Options) { o.URL, o.Token, o.transport = "http://example.org", "x", nil },
	} {
		o := options(&function{})
		change(&o)
		_, err := New(o)
		require.ErrorContains(t, err, want)
	}
}

// FuzzJournal checks that no line of a journal makes a run panic.
func FuzzJournal(f *testing.F) {
	f.Add([]byte(`{"minute":1,"index":2,"time":1,"size":16,"status":200,"latency":1.5,"late":0,"answer":6}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		c, err := unmarshal(line)
		if err != nil {
			return
		}
		text, err := json.Marshal(c)
		require.NoError(t, err)
		again, err := unmarshal(text)
		require.NoError(t, err)
		require.Equal(t, c, again)
	})
}
