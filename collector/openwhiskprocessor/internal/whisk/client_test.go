package whisk

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// exchange is a request that was made to a real OpenWhisk, and what it answered.
type exchange struct {
	Request struct {
		Path string `json:"path"`
	} `json:"request"`
	Response struct {
		Status  int               `json:"status"`
		Headers map[string]string `json:"headers"`
		Body    json.RawMessage   `json:"body"`
	} `json:"response"`
}

func recorded(t testing.TB) map[string]exchange {
	t.Helper()
	text, err := os.ReadFile("testdata/recorded.json")
	require.NoError(t, err)
	var all map[string]exchange
	require.NoError(t, json.Unmarshal(text, &all))
	return all
}

func (e exchange) id() string {
	path, _, _ := strings.Cut(e.Request.Path, "?")
	return path[strings.LastIndex(path, "/")+1:]
}

func (e exchange) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	for name, value := range e.Response.Headers {
		w.Header().Set(name, value)
	}
	w.WriteHeader(e.Response.Status)
	_, _ = w.Write(e.Response.Body)
}

func serve(t testing.TB, h http.Handler) *url.URL {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	u, err := url.Parse(s.URL + "/api")
	require.NoError(t, err)
	return u
}

func newTestClient(t testing.TB, opts Options) Client {
	t.Helper()
	if opts.Key == "" && opts.KeyFile == "" {
		opts.Key = "user:secret"
	}
	if opts.Timeout == 0 {
		opts.Timeout = 10 * time.Second
	}
	c, err := New(opts)
	require.NoError(t, err)
	t.Cleanup(c.Close)
	return c
}

// TestRecordedAnswers: what a real OpenWhisk answered is understood.
func TestRecordedAnswers(t *testing.T) {
	all := recorded(t)
	for name, check := range map[string]func(t *testing.T, r Record, err error){
		"cold": func(t *testing.T, r Record, err error) {
			require.NoError(t, err)
			require.True(t, r.Cold)
			require.Equal(t, 1059*time.Millisecond, r.Wait)
			require.Positive(t, r.Init)
			require.Positive(t, r.End.Sub(r.Start))
			require.Empty(t, r.Error)
		},
		"warm": func(t *testing.T, r Record, err error) {
			require.NoError(t, err)
			require.False(t, r.Cold)
			require.Zero(t, r.Init)
			require.Equal(t, 8*time.Millisecond, r.Wait)
		},
		"application_error": func(t *testing.T, r Record, err error) {
			require.NoError(t, err)
			require.True(t, strings.HasPrefix(r.Error, "application error"), r.Error)
		},
		"developer_error": func(t *testing.T, r Record, err error) {
			require.NoError(t, err)
			require.True(t, strings.HasPrefix(r.Error, "action developer error: "), r.Error)
		},
		"not_yet": func(t *testing.T, _ Record, err error) { require.ErrorIs(t, err, ErrNotYet) },
		"bad_id":  func(t *testing.T, _ Record, err error) { require.ErrorIs(t, err, ErrImpossible) },
		"wrong_key": func(t *testing.T, _ Record, err error) {
			var f *Failure
			require.ErrorAs(t, err, &f)
			require.Equal(t, Refused, f.Kind)
			require.ErrorContains(t, err, "does not accept the key (401)")
		},
		"throttled": func(t *testing.T, _ Record, err error) {
			var f *Failure
			require.ErrorAs(t, err, &f)
			require.Equal(t, Throttled, f.Kind)
		},
	} {
		t.Run(name, func(t *testing.T) {
			e, ok := all[name]
			require.True(t, ok)
			id := e.id()
			if !strings.Contains(e.Request.Path, "/activations/") {
				id = strings.Repeat("0", 32)
			}
			var asked *http.Request
			c := newTestClient(t, Options{Base: serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				asked = r
				e.ServeHTTP(w, r)
			}))})
			r, err := c.Activation(t.Context(), id)
			check(t, r, err)
			require.Equal(t, "/api/v1/namespaces/_/activations/"+id, asked.URL.Path)
			user, password, _ := asked.BasicAuth()
			require.Equal(t, "user:secret", user+":"+password)
		})
	}
}

func TestCheck(t *testing.T) {
	all := recorded(t)
	require.NoError(t, newTestClient(t, Options{Base: serve(t, all["list"])}).Check(t.Context()))
	require.ErrorContains(t, newTestClient(t, Options{Base: serve(t, all["wrong_key"])}).Check(t.Context()), "401")
	require.ErrorContains(t, newTestClient(t, Options{Base: serve(t, http.NotFoundHandler())}).Check(t.Context()), "is it OpenWhisk?")
}

// TestFaults: whatever goes wrong is a Failure that says so in one line, and never shows the key.
func TestFaults(t *testing.T) {
	hang := make(chan struct{})
	t.Cleanup(func() { close(hang) })
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	nobody := &url.URL{Scheme: "http", Host: l.Addr().String(), Path: "/api"}
	require.NoError(t, l.Close())
	answer := func(status int, body string) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "7")
			w.WriteHeader(status)
			_, _ = io.WriteString(w, body)
		})
	}
	const id = "4ded9a01cf634cc8ad9a01cf639cc85a"
	for name, test := range map[string]struct {
		base *url.URL
		kind FailureKind
		want string
	}{
		"refused connection": {nobody, Unavailable, "cannot be reached: dial tcp"},
		"hangs": {serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			select {
			case <-hang:
			case <-r.Context().Done():
			}
		})), Unavailable, "did not answer within"},
		"garbage":              {serve(t, answer(200, "<html>welcome</html>")), Unavailable, "answers nonsense"},
		"half an answer":       {serve(t, answer(200, `{"activationId": "4ded`)), Unavailable, "answers nonsense"},
		"another's record":     {serve(t, answer(200, `{"activationId": "ffff", "start": 5}`)), Unavailable, "answers nonsense"},
		"a record of nothing":  {serve(t, answer(200, `{}`)), Unavailable, "answers nonsense"},
		"internal error":       {serve(t, answer(500, `{"error": "oops", "code": "x"}`)), Unavailable, "answers 500"},
		"unavailable":          {serve(t, answer(503, "")), Unavailable, "answers 503"},
		"not allowed":          {serve(t, answer(403, `{"error": "no", "code": "x"}`)), Refused, "does not allow"},
		"throttled":            {serve(t, answer(429, `{"error": "slow", "code": "x"}`)), Throttled, "too many requests"},
		"redirect to nowhere":  {serve(t, http.RedirectHandler("http://127.0.0.1:1/", http.StatusFound)), Unavailable, "cannot be reached"},
		"connection cut short": {serve(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })), Unavailable, "cannot be reached"},
	} {
		t.Run(name, func(t *testing.T) {
			timeout := 10 * time.Second
			if name == "hangs" {
				timeout = 50 * time.Millisecond
			}
			_, err := newTestClient(t, Options{Base: test.base, Timeout: timeout}).Activation(t.Context(), id)
			var f *Failure
			require.ErrorAs(t, err, &f)
			require.Equal(t, test.kind, f.Kind)
			require.ErrorContains(t, err, test.want)
			require.NotContains(t, err.Error(), "secret")
			require.NotContains(t, err.Error(), "\n")
			if name == "throttled" || name == "unavailable" {
				require.Equal(t, 7*time.Second, f.RetryAfter)
			}
		})
	}
}

func TestIdsThatAreNone(t *testing.T) {
	c := newTestClient(t, Options{Base: serve(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		t.Error("asked for it")
	}))})
	for _, id := range []string{"", "../../actions", "a?b", "a b", "a/b", strings.Repeat("a", 129), "é"} {
		_, err := c.Activation(t.Context(), id)
		require.ErrorIs(t, err, ErrImpossible, id)
	}
}

// TestNewKeyInTheFile: after a refusal the file is read again, so that a key can be changed while the collector runs.
func TestNewKeyInTheFile(t *testing.T) {
	all := recorded(t)
	file := filepath.Join(t.TempDir(), "key")
	require.NoError(t, os.WriteFile(file, []byte("user:old\n"), 0o600))
	var valid atomic.Value
	valid.Store("old")
	c := newTestClient(t, Options{KeyFile: file, Base: serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, password, _ := r.BasicAuth(); password != valid.Load() {
			all["wrong_key"].ServeHTTP(w, r)
			return
		}
		all["warm"].ServeHTTP(w, r)
	}))})
	id := all["warm"].id()
	_, err := c.Activation(t.Context(), id)
	require.NoError(t, err)
	valid.Store("new")
	_, err = c.Activation(t.Context(), id)
	require.ErrorContains(t, err, "401")
	require.NoError(t, os.WriteFile(file, []byte("user:new"), 0o600))
	_, err = c.Activation(t.Context(), id)
	require.NoError(t, err)
	require.NoError(t, os.Remove(file))
	valid.Store("another")
	_, err = c.Activation(t.Context(), id)
	require.ErrorContains(t, err, "no such file")
	_, err = New(Options{KeyFile: file})
	require.ErrorContains(t, err, "key file")
}

// TestManyAtOnce: the client serves many goroutines, each with a context of its own.
func TestManyAtOnce(t *testing.T) {
	c := newTestClient(t, Options{Connections: 8, Base: serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:]
		_ = json.NewEncoder(w).Encode(map[string]any{"activationId": id, "start": 1 + len(id), "end": 9})
	}))})
	var wg sync.WaitGroup
	for n := range 16 {
		wg.Go(func() {
			for i := range 20 {
				ctx, cancel := context.WithCancel(t.Context())
				if i%5 == 4 {
					cancel()
				}
				r, err := c.Activation(ctx, strings.Repeat("a", n+1))
				if i%5 == 4 {
					if !errors.Is(err, context.Canceled) {
						t.Errorf("%v from a cancelled lookup", err)
					}
				} else if err != nil || r.Start.UnixMilli() != int64(n+2) {
					t.Errorf("%v, %v", r, err)
				}
				cancel()
			}
		})
	}
	wg.Wait()
}

// FuzzRecord: no answer makes the client panic, or gives a record with times that cannot be.
func FuzzRecord(f *testing.F) {
	for _, e := range recorded(f) {
		f.Add([]byte(e.Response.Body), e.Response.Status)
	}
	f.Add([]byte(`{"activationId":"a","start":9e18,"annotations":[{"key":"waitTime","value":-1},{"key":"initTime","value":1e300}]}`), 200)
	f.Fuzz(func(t *testing.T, body []byte, status int) {
		if status < 200 || status > 599 {
			return
		}
		base := &url.URL{Scheme: "http", Host: "openwhisk", Path: "/api"}
		c := newTestClient(t, Options{Base: base}).(*client)
		conn, err := c.take(t.Context())
		require.NoError(t, err)
		conn.base = roundTripper(func(r *http.Request) (*http.Response, error) {
			return &http.Response{
				StatusCode: status, Status: http.StatusText(status), Header: http.Header{}, Request: r,
				Body: io.NopCloser(strings.NewReader(string(body))),
			}, nil
		})
		c.give(conn)
		r, err := c.Activation(t.Context(), "a")
		if err == nil && (r.Wait < 0 || r.Init < 0 || r.Start.UnixMilli() <= 0) {
			t.Fatalf("%+v", r)
		}
	})
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
