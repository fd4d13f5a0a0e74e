package openwhisk

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/tppfaas/tppfaas/internal/loopback"
	"github.com/tppfaas/tppfaas/internal/testbin"
	"github.com/tppfaas/tppfaas/prewarm"
	"github.com/tppfaas/tppfaas/prewarm/actuator"
	"github.com/tppfaas/tppfaas/prewarm/actuator/actuatortest"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.Cleanup(func(status int) {
		if err := testbin.Remove(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			status = 1
		}
		os.Exit(status)
	}))
}

const key = "user:a-key-that-must-not-be-seen"

// fake is an OpenWhisk with the function p/f1, whose containers it counts. A test may answer the nth invocation, from 1, in another way.
type fake struct {
	t      *testing.T
	server *httptest.Server
	nth    func(n int, w http.ResponseWriter, r *http.Request) bool
	silent chan struct{} // invocations wait until it is closed; nil: they do not

	mu         sync.Mutex
	n          int
	idle, made int
	lingers    []float64
	records    map[string]string // that can be read; by activation id
}

func newFake(t *testing.T) *fake {
	f := &fake{t: t, records: map[string]string{}}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /api/v1/namespaces/_/actions/p/f1", f.invoke)
	mux.HandleFunc("GET /api/v1/namespaces/_/actions/p/f1", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`{"name":"f1","limits":{"memory":384}}`))
	})
	mux.HandleFunc("GET /api/v1/namespaces/_/activations/{id}", func(w http.ResponseWriter, r *http.Request) {
		f.mu.Lock()
		defer f.mu.Unlock()
		text := f.records[r.PathValue("id")]
		if text == "" {
			w.WriteHeader(http.StatusNotFound)
		}
		_, _ = w.Write([]byte(text))
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusNotFound)
		_, _ = w.Write([]byte(`{"code":"x","error":"The requested resource does not exist."}`))
	})
	f.server = httptest.NewServer(mux)
	t.Cleanup(f.server.Close)
	return f
}

// record returns the record of an activation with a result.
func record(id string, cold bool, response string) string {
	init := ""
	if cold {
		init = `,{"key":"initTime","value":48}`
	}
	return fmt.Sprintf(`{"activationId":%q,"start":1790000000000,"end":1790000000120,"annotations":[{"key":"waitTime","value":301}%s],"response":%s}`, id, init, response)
}

func (f *fake) invoke(w http.ResponseWriter, r *http.Request) {
	if user, password, _ := r.BasicAuth(); user+":"+password != key {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	if f.silent != nil {
		select {
		case <-f.silent:
		case <-r.Context().Done():
		}
		return
	}
	f.mu.Lock()
	f.n++
	n := f.n
	f.mu.Unlock()
	if f.nth != nil && f.nth(n, w, r) {
		return
	}
	var body payload
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
		f.t.Error(err)
	}
	f.mu.Lock()
	f.lingers = append(f.lingers, body.Prewarm.LingerMS)
	cold := f.idle == 0
	if cold {
		f.made++
	} else {
		f.idle--
	}
	name := f.made
	f.mu.Unlock()
	time.Sleep(time.Duration(body.Prewarm.LingerMS) * time.Millisecond) // as the function does
	f.mu.Lock()
	f.idle++
	f.mu.Unlock()
	fmt.Fprint(w, record("a", cold, fmt.Sprintf(`{"status":"success","success":true,"result":{"prewarmed":true,"cold":%v,"instance":"i%d"}}`, cold, name)))
}

func (f *fake) actuator(o Options) *Actuator {
	f.t.Helper()
	o.APIHost, o.Key, o.Package = f.server.URL, key, "p"
	a, err := New(o)
	require.NoError(f.t, err)
	f.t.Cleanup(func() { require.NoError(f.t, a.Close(context.Background())) })
	return a
}

func warm(n int) actuator.Command {
	return actuator.Command{Kind: actuator.Warm, Function: "f1", N: n}
}

func TestConforms(t *testing.T) {
	addresses, err := loopback.FreeAddresses(1)
	require.NoError(t, err)
	actuatortest.Run(t, actuatortest.Subject{
		Kinds: []actuator.Kind{actuator.Warm}, Function: "f1", Unknown: "unheard-of",
		New: func(t *testing.T) actuator.Actuator { return newFake(t).actuator(Options{}) },
		Unreachable: func(t *testing.T) actuator.Actuator {
			a, err := New(Options{APIHost: "http://" + addresses[0], Key: key})
			require.NoError(t, err)
			return a
		},
		Hanging: func(t *testing.T) actuator.Actuator {
			f := newFake(t)
			f.silent = make(chan struct{})
			t.Cleanup(func() { close(f.silent) })
			return f.actuator(Options{})
		},
	})
}

// outcomes returns the first letters of outcomes.
func outcomes(results []actuator.Result) string {
	text := ""
	for _, r := range results {
		text += r.Outcome.String()[:1]
	}
	return text
}

// TestLinger checks that a warm-up lingers unless it is alone: others need another container.
func TestLinger(t *testing.T) {
	for _, tt := range []struct {
		n, there int
		want     []float64
	}{{1, 0, []float64{0}}, {1, 1, []float64{20}}, {2, 0, []float64{20, 20}}} {
		f := newFake(t)
		c := warm(tt.n)
		c.There = tt.there
		_, err := f.actuator(Options{Linger: 20 * time.Millisecond}).Act(t.Context(), c)
		require.NoError(t, err)
		require.Equal(t, tt.want, f.lingers, "%d where there are %d", tt.n, tt.there)
	}
}

// TestOverlap checks that as many containers are made as are asked for, that what is idle already is told, and that more are made than are idle
// where that is known.
func TestOverlap(t *testing.T) {
	f := newFake(t)
	a := f.actuator(Options{Linger: 300 * time.Millisecond, IdleTimeout: time.Minute})
	require.Equal(t, prewarm.Platform{Warm: true, Late: prewarm.OwnContainer, FirstCall: true, IdleTimeout: time.Minute}, a.Platform())
	results, err := a.Act(t.Context(), warm(3))
	require.NoError(t, err)
	require.Equal(t, "ccc", outcomes(results))
	require.Equal(t, actuator.Created, results[2].Outcome)
	require.NotEmpty(t, results[0].Instance)
	require.Equal(t, 3, f.made)
	require.GreaterOrEqual(t, results[0].Ready.Sub(results[0].Asked), 300*time.Millisecond)
	require.Equal(t, []float64{300, 300, 300}, f.lingers)

	results, err = a.Act(t.Context(), warm(2))
	require.NoError(t, err)
	require.Equal(t, actuator.Collapsed, results[0].Outcome)
	require.Equal(t, actuator.Collapsed, results[1].Outcome)
	require.Equal(t, 3, f.made)

	c := warm(2)
	c.Idle = 3
	results, err = a.Act(t.Context(), c)
	require.NoError(t, err)
	require.Len(t, results, 2)
	require.Equal(t, actuator.Created, results[0].Outcome)
	require.Equal(t, actuator.Created, results[1].Outcome)
	require.Equal(t, 5, f.made)
	results, err = a.Act(t.Context(), warm(70))
	require.NoError(t, err)
	require.Len(t, results, 70)
	require.Equal(t, actuator.Held, results[64].Outcome)
	require.EqualError(t, results[69].Err, "at most 64 warm-ups overlap")
}

// TestAnswers checks the outcome that each answer stands for, and what the error says.
func TestAnswers(t *testing.T) {
	respond := func(response string) string { return record("a", false, response) }
	for name, test := range map[string]struct {
		status      int
		body        string
		want        actuator.Outcome
		err         string
		unavailable bool
		ignored     bool
	}{
		"cold by its record": {200, record("a", true, `{"success":true,"status":"success","result":{"prewarmed":true}}`), actuator.Created, "", false, false},
		"warm by its record": {200, respond(`{"success":true,"status":"success","result":{"prewarmed":true}}`), actuator.Collapsed, "", false, false},
		"what the function says counts": {
			200, record("a", true, `{"success":true,"status":"success","result":{"prewarmed":true,"cold":false}}`), actuator.Collapsed, "", false, false,
		},
		"an ordinary result": {200, respond(`{"success":true,"status":"success","result":{"greeting":"Hello"}}`), actuator.Failed, "f1: the function does not know warm-ups", false, true},
		"an error":           {502, respond(`{"success":false,"status":"application error","result":{"error":"no name"}}`), actuator.Failed, "f1: the function does not know warm-ups", false, true},
		"a number":           {200, respond(`{"success":true,"status":"success","result":7}`), actuator.Failed, "f1: the function does not know warm-ups", false, true},
		"it did not start": {
			502, respond(`{"success":false,"status":"action developer error","result":{"error":"The action did not initialize."}}`), actuator.Failed,
			"f1: action developer error: The action did not initialize.", false, false,
		},
		"OpenWhisk failed": {500, respond(`{"success":false,"status":"whisk internal error","result":{"error":"no image"}}`), actuator.Failed, "f1: whisk internal error: no image", false, false},
		"a gateway":        {502, `bad gateway`, actuator.Failed, "fails (502)", true, false},
		"not there":        {404, `{"error":"The requested resource does not exist."}`, actuator.Failed, "f1: ", false, false},
		"forbidden":        {403, `{"error":"The supplied authentication is not authorized."}`, actuator.Failed, "f1: ", false, false},
		"key":              {401, `{}`, actuator.Failed, "does not accept the key (401)", true, false},
		"an array":         {200, `[1,2,3]`, actuator.Failed, "f1: ", false, false},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFake(t)
			f.nth = func(_ int, w http.ResponseWriter, _ *http.Request) bool {
				w.WriteHeader(test.status)
				fmt.Fprint(w, test.body)
				return true
			}
			a := f.actuator(Options{})
			results, err := a.Act(t.Context(), warm(1))
			require.Len(t, results, 1)
			require.Equal(t, test.want, results[0].Outcome)
			if test.err == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, test.err)
			require.NotContains(t, err.Error(), "a-key")
			var unavailable *actuator.UnavailableError
			require.Equal(t, test.unavailable, errors.As(err, &unavailable))
			require.Equal(t, test.ignored, errors.Is(err, ErrIgnored))
			results, err = a.Act(t.Context(), warm(2))
			if test.ignored {
				require.NoError(t, err)
				require.Equal(t, "hh", outcomes(results), "it is not run a second time")
				require.Equal(t, 1, f.n)
			} else {
				require.Error(t, err)
			}
		})
	}
}

// TestThrottled checks that what OpenWhisk refuses for a moment is tried again, and what it refuses until the next minute is not.
func TestThrottled(t *testing.T) {
	f := newFake(t)
	f.nth = func(n int, w http.ResponseWriter, _ *http.Request) bool {
		if n <= 2 {
			w.WriteHeader([]int{http.StatusTooManyRequests, http.StatusServiceUnavailable}[n-1])
			fmt.Fprint(w, `{"error":"Too many concurrent requests in flight (count: 30, allowed: 30)."}`)
		}
		return n <= 2
	}
	a := f.actuator(Options{Patience: time.Minute})
	results, err := a.Act(t.Context(), warm(1))
	require.NoError(t, err)
	require.Equal(t, actuator.Created, results[0].Outcome)
	require.Equal(t, 3, f.n)

	f = newFake(t)
	f.nth = func(_ int, w http.ResponseWriter, _ *http.Request) bool {
		w.WriteHeader(http.StatusTooManyRequests)
		fmt.Fprint(w, `{"error":"Too many requests in the last minute (count: 61, allowed: 60)."}`)
		return true
	}
	_, err = f.actuator(Options{Patience: time.Minute}).Act(t.Context(), warm(1))
	var unavailable *actuator.UnavailableError
	require.ErrorAs(t, err, &unavailable)
	require.Greater(t, unavailable.After, time.Duration(0))
	require.LessOrEqual(t, unavailable.After, time.Minute)
	require.Equal(t, 1, f.n)
}

// TestOthersSucceed checks that the outcome of each warm-up is told when others of the command fail.
func TestOthersSucceed(t *testing.T) {
	f := newFake(t)
	f.nth = func(n int, w http.ResponseWriter, _ *http.Request) bool {
		if n == 2 {
			w.WriteHeader(http.StatusInternalServerError)
		}
		return n == 2
	}
	results, err := f.actuator(Options{}).Act(t.Context(), warm(3))
	require.ErrorContains(t, err, "fails (500)")
	require.Equal(t, "ccf", outcomes(results))
}

// TestAwaits checks that the record is read of an activation that has not ended while OpenWhisk waited.
func TestAwaits(t *testing.T) {
	f := newFake(t)
	var timeouts []string
	f.nth = func(_ int, w http.ResponseWriter, r *http.Request) bool {
		timeouts = append(timeouts, r.URL.Query().Get("timeout"))
		w.WriteHeader(http.StatusAccepted)
		fmt.Fprint(w, `{"activationId":"abc"}`)
		time.AfterFunc(150*time.Millisecond, func() {
			f.mu.Lock()
			defer f.mu.Unlock()
			f.records["abc"] = record("abc", true, `{"status":"success","success":true,"result":{"prewarmed":true,"cold":true,"instance":"i7"}}`)
		})
		return true
	}
	a := f.actuator(Options{})
	results, err := a.Act(t.Context(), warm(1))
	require.NoError(t, err)
	require.Equal(t, actuator.Created, results[0].Outcome)
	require.Equal(t, "i7", results[0].Instance)
	require.Equal(t, []string{"60000"}, timeouts, "the longest that OpenWhisk waits")

	f.nth = func(_ int, w http.ResponseWriter, _ *http.Request) bool {
		w.WriteHeader(http.StatusAccepted)
		fmt.Fprint(w, `{"activationId":"never"}`)
		return true
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	_, err = a.Act(ctx, warm(1))
	require.ErrorContains(t, err, "f1: activation never has not ended: context deadline exceeded")
}

// TestAwaitsLonger checks that a record is not asked for while OpenWhisk wants to be left alone.
func TestAwaitsLonger(t *testing.T) {
	lookups := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			w.WriteHeader(http.StatusAccepted)
			fmt.Fprint(w, `{"activationId":"abc"}`)
			return
		}
		if lookups++; lookups == 1 {
			w.Header().Set("Retry-After", "1")
			w.WriteHeader(http.StatusTooManyRequests)
			return
		}
		fmt.Fprint(w, record("abc", true, `{"status":"success","success":true,"result":{"prewarmed":true,"cold":true}}`))
	}))
	t.Cleanup(server.Close)
	a, err := New(Options{APIHost: server.URL, Key: key, Package: "p"})
	require.NoError(t, err)
	results, err := a.Act(t.Context(), warm(1))
	require.NoError(t, err)
	require.Equal(t, actuator.Created, results[0].Outcome)
	require.GreaterOrEqual(t, results[0].Ready.Sub(results[0].Asked), time.Second)
	require.Equal(t, 2, lookups)
	require.NoError(t, a.Close(t.Context()))
}

func TestMemory(t *testing.T) {
	a := newFake(t).actuator(Options{})
	var sizer actuator.Sizer = a
	mb, err := sizer.MemoryMB(t.Context(), "f1")
	require.NoError(t, err)
	require.Equal(t, 384, mb)
	_, err = sizer.MemoryMB(t.Context(), "q/f1")
	require.ErrorContains(t, err, "q/f1: OpenWhisk at")
	require.NoError(t, a.Close(t.Context()))
	_, err = sizer.MemoryMB(t.Context(), "f1")
	require.ErrorIs(t, err, actuator.ErrClosed)
}

func TestCheck(t *testing.T) {
	status, text := http.StatusOK, "[]"
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet || r.URL.Path != "/api/v1/namespaces/_/packages" {
			t.Errorf("%s %s", r.Method, r.URL)
		}
		w.WriteHeader(status)
		_, _ = w.Write([]byte(text))
	}))
	t.Cleanup(server.Close)
	a, err := New(Options{APIHost: server.URL, Key: "user:password"})
	require.NoError(t, err)
	require.NoError(t, a.Check(t.Context()))
	status, text = http.StatusUnauthorized, `{"code":"x","error":"The supplied authentication is invalid"}`
	require.ErrorContains(t, a.Check(t.Context()), "does not accept the key (401)")
	require.NoError(t, a.Close(t.Context()))
	require.ErrorIs(t, a.Check(t.Context()), actuator.ErrClosed)
}

func TestNew(t *testing.T) {
	for want, o := range map[string]Options{
		`OpenWhisk's address "ftp://x": `:      {APIHost: "ftp://x", Key: key},
		"the key must be of the form":          {APIHost: "x", Key: "k"},
		"key file: ":                           {APIHost: "x", KeyFile: "/does/not/exist"},
		"a warm-up lingers between 0 and 1 s,": {APIHost: "x", Key: key, Linger: time.Minute},
	} {
		_, err := New(o)
		require.Error(t, err)
		require.True(t, strings.HasPrefix(err.Error(), want), "%v", err)
	}
}

// TestRenewalsLinger checks that as many invocations are sent as containers are to be renewed, however many are idle or there, and that they linger only where they have to
// overlap.
func TestRenewalsLinger(t *testing.T) {
	for _, n := range []int{1, 3} {
		f := newFake(t)
		f.idle = n
		a := f.actuator(Options{Linger: 20 * time.Millisecond, Renew: true})
		require.True(t, a.Platform().Renews())
		results, err := a.Act(t.Context(), actuator.Command{Kind: actuator.Renew, Function: "f1", N: n, There: 5, Idle: n})
		require.NoError(t, err)
		require.Len(t, results, n)
		for _, r := range results {
			require.Equal(t, actuator.Collapsed, r.Outcome)
		}
		want := []float64{0}
		if n == 3 {
			want = []float64{20, 20, 20}
		}
		require.Equal(t, want, f.lingers)
		require.Zero(t, f.made)
		require.NoError(t, a.Close(t.Context()))
	}
}
