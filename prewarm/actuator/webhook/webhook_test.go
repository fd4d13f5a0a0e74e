package webhook

import (
	"context"
	"crypto/hmac"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/tppfaas/tppfaas/internal/loopback"
	"github.com/tppfaas/tppfaas/prewarm"
	"github.com/tppfaas/tppfaas/prewarm/actuator"
	"github.com/tppfaas/tppfaas/prewarm/actuator/actuatortest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const secret = "a secret that must not be seen"

// hook takes commands, as the other side does: it checks the signature and the time, and answers a command that comes again as before.
type hook struct {
	t      *testing.T
	server *httptest.Server
	answer func(n int, w http.ResponseWriter) // the nth request, from 1; nil: all are taken
	silent chan struct{}

	mu       sync.Mutex
	n        int
	commands []request
	done     map[string]bool
}

func newHook(t *testing.T) *hook {
	h := &hook{t: t, done: map[string]bool{}}
	h.server = httptest.NewServer(h)
	t.Cleanup(h.server.Close)
	return h
}

// verify reports what is wrong with a request.
func verify(r *http.Request, body []byte, now time.Time) error {
	timestamp := r.Header.Get("X-Prewarm-Timestamp")
	seconds, err := strconv.ParseInt(timestamp, 10, 64)
	if err != nil || now.Sub(time.Unix(seconds, 0)).Abs() > 5*time.Minute {
		return fmt.Errorf("the time %q is too far away", timestamp)
	}
	given, ok := strings.CutPrefix(r.Header.Get("X-Prewarm-Signature"), "v1=")
	if !ok || !hmac.Equal([]byte(given), []byte(Sign([]byte(secret), timestamp, body))) {
		return errors.New("the signature is wrong")
	}
	return nil
}

func (h *hook) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	if err != nil {
		return
	}
	if h.silent != nil {
		select {
		case <-h.silent:
		case <-r.Context().Done():
		}
		return
	}
	if err := verify(r, body, time.Now()); err != nil || r.Method != http.MethodPost || r.Header.Get("Content-Type") != "application/json" {
		http.Error(w, fmt.Sprint("no command: ", err), http.StatusUnauthorized)
		return
	}
	var c request
	if err := json.Unmarshal(body, &c); err != nil {
		h.t.Error(err)
	}
	if c.Function == "unheard-of" {
		w.WriteHeader(http.StatusNotFound)
		_, _ = w.Write([]byte(`{"error":"there is no such function"}`))
		return
	}
	h.mu.Lock()
	h.n++
	n := h.n
	if key := r.Header.Get("Idempotency-Key"); !h.done[key] {
		if key != c.ID {
			h.t.Errorf("the key is %q, and the command %q", key, c.ID)
		}
		h.done[key] = true
		h.commands = append(h.commands, c)
	}
	h.mu.Unlock()
	if h.answer != nil {
		h.answer(n, w)
		return
	}
	w.WriteHeader(http.StatusAccepted)
}

func (h *hook) actuator(o Options) *Actuator {
	h.t.Helper()
	o.URL, o.Secret = h.server.URL+"/commands", secret
	a, err := New(o)
	require.NoError(h.t, err)
	h.t.Cleanup(func() { require.NoError(h.t, a.Close(context.Background())) })
	return a
}

func TestConforms(t *testing.T) {
	addresses, err := loopback.FreeAddresses(1)
	require.NoError(t, err)
	actuatortest.Run(t, actuatortest.Subject{
		Kinds: []actuator.Kind{actuator.Warm, actuator.Scale}, Function: "f1", Unknown: "unheard-of",
		New: func(t *testing.T) actuator.Actuator { return newHook(t).actuator(Options{}) },
		Unreachable: func(t *testing.T) actuator.Actuator {
			a, err := New(Options{URL: "http://" + addresses[0], Secret: secret, Patience: time.Millisecond})
			require.NoError(t, err)
			return a
		},
		Hanging: func(t *testing.T) actuator.Actuator {
			h := newHook(t)
			h.silent = make(chan struct{})
			t.Cleanup(func() { close(h.silent) })
			return h.actuator(Options{})
		},
	})
}

func warm(n int) actuator.Command {
	return actuator.Command{
		ID: 1<<63 + 1, Kind: actuator.Warm, Function: "shop/f1<&>", N: n, There: 3, Idle: 1, MemoryMB: 256,
		Until: time.Date(2026, 11, 29, 4, 5, 6, 0, time.FixedZone("", 3600)), Reason: "likely",
	}
}

// TestRequest checks what is sent.
func TestRequest(t *testing.T) {
	h := newHook(t)
	a := h.actuator(Options{})
	require.Equal(t, prewarm.Platform{Warm: true, IdleTimeout: 10 * time.Minute}, a.Platform())
	results, err := a.Act(t.Context(), warm(2))
	require.NoError(t, err)
	require.Equal(t, actuator.Unknown, results[1].Outcome, "the answer has no results")
	require.Equal(t, []request{{
		ID: "9223372036854775809", Kind: "warm", Function: "shop/f1<&>", N: 2, There: 3, Idle: 1, MemoryMB: 256,
		Until: time.Date(2026, 11, 29, 3, 5, 6, 0, time.UTC), Reason: "likely",
	}}, h.commands)
}

// TestSignature checks the signature against one that openssl has made:
//
//	printf '1790000000.{"id":"1"}' | openssl dgst -sha256 -hmac secret
func TestSignature(t *testing.T) {
	require.Equal(t, "7fbd8b9e65335cbbef1deddb89720ea3d77e54921eea832c6f99d147178c03ab", Sign([]byte("secret"), "1790000000", []byte(`{"id":"1"}`)))
}

// TestAnswers checks what each answer means.
func TestAnswers(t *testing.T) {
	for name, test := range map[string]struct {
		status      int
		body        string
		want        string
		err         string
		unavailable bool
	}{
		"results":           {200, `{"results":[{"outcome":"created","instance":"i1"},{"outcome":"collapsed"},{"outcome":"unknown"}]}`, "created collapsed unknown", "", false},
		"fewer":             {200, `{"results":[{"outcome":"created"}]}`, "created unknown unknown", "", false},
		"nothing":           {204, ``, "unknown unknown unknown", "", false},
		"white space":       {200, "\n", "unknown unknown unknown", "", false},
		"an object":         {202, `{"accepted":true}`, "unknown unknown unknown", "", false},
		"held":              {200, `{"results":[{"outcome":"held","error":"no quota"}]}`, "held unknown unknown", "", false},
		"failed":            {200, `{"results":[{"outcome":"failed","error":"no\nquota"},{"outcome":"created"}]}`, "failed created unknown", "shop/f1<&>: no quota", false},
		"failed, no reason": {200, `{"results":[{"outcome":"failed"}]}`, "failed unknown unknown", "shop/f1<&>: the webhook says that it has failed", false},
		"too many":          {200, `{"results":[{"outcome":"created"},{"outcome":"created"},{"outcome":"created"},{"outcome":"created"}]}`, "failed failed failed", "answers nonsense: it has 4 results", false},
		"no outcome":        {200, `{"results":[{"outcome":"dry"}]}`, "failed failed failed", `result 0: "dry" is no outcome`, false},
		"no JSON":           {200, `ok`, "failed failed failed", "answers nonsense", false},
		"a redirection":     {307, ``, "failed failed failed", "refuses (307)", false},
		"bad request":       {400, `{"error":"no such kind"}`, "failed failed failed", "refuses (400): no such kind", false},
		"forbidden":         {403, `{}`, "failed failed failed", "(403)", true},
		"throttled":         {429, `{}`, "failed failed failed", "(429)", true},
		"broken":            {500, `oh`, "failed failed failed", "fails (500)", true},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHook(t)
			h.answer = func(_ int, w http.ResponseWriter) {
				w.WriteHeader(test.status)
				_, _ = io.WriteString(w, test.body)
			}
			results, err := h.actuator(Options{Patience: time.Nanosecond}).Act(t.Context(), warm(3))
			got := ""
			for _, r := range results {
				got += " " + r.Outcome.String()
			}
			require.Equal(t, test.want, strings.TrimSpace(got))
			require.Equal(t, 1, h.n)
			if test.err == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, test.err)
			require.NotContains(t, err.Error(), secret)
			var unavailable *actuator.UnavailableError
			require.Equal(t, test.unavailable, errors.As(err, &unavailable))
		})
	}
}

// TestRetries checks that a command is sent again which may have been lost, under the same key and with a signature of its own, so that it is
// carried out once.
func TestRetries(t *testing.T) {
	h := newHook(t)
	h.answer = func(n int, w http.ResponseWriter) {
		switch n {
		case 1:
			panic(http.ErrAbortHandler) // it was taken, and the answer is lost
		case 2:
			w.WriteHeader(http.StatusServiceUnavailable)
		default:
			_, _ = io.WriteString(w, `{"results":[{"outcome":"created","instance":"i1"}]}`)
		}
	}
	results, err := h.actuator(Options{Patience: time.Minute}).Act(t.Context(), warm(1))
	require.NoError(t, err)
	require.Equal(t, actuator.Created, results[0].Outcome)
	require.Equal(t, "i1", results[0].Instance)
	require.Equal(t, 3, h.n)
	require.Len(t, h.commands, 1)
}

// TestWrongSecret checks that the other side can tell requests of others, and old ones.
func TestWrongSecret(t *testing.T) {
	h := newHook(t)
	a, err := New(Options{URL: h.server.URL, Secret: "another"})
	require.NoError(t, err)
	_, err = a.Act(t.Context(), warm(1))
	var unavailable *actuator.UnavailableError
	require.ErrorAs(t, err, &unavailable)
	require.ErrorContains(t, err, "does not accept the key (401)")
	require.NoError(t, a.Close(t.Context()))
	r := httptest.NewRequest(http.MethodPost, "/", nil)
	r.Header.Set(TimestampHeader, "1790000000")
	r.Header.Set(SignatureHeader, "v1="+Sign([]byte(secret), "1790000000", []byte("{}")))
	require.NoError(t, verify(r, []byte("{}"), time.Unix(1790000100, 0)))
	require.ErrorContains(t, verify(r, []byte("{ }"), time.Unix(1790000100, 0)), "signature")
	require.ErrorContains(t, verify(r, []byte("{}"), time.Unix(1790009000, 0)), "too far away")
}

func TestNew(t *testing.T) {
	for want, o := range map[string]Options{
		`the webhook's address "ftp://x": `: {URL: "ftp://x", Secret: "s"},
		"the webhook has no secret":         {URL: "x"},
	} {
		_, err := New(o)
		require.ErrorContains(t, err, want)
	}
}

// FuzzAnswer checks that no answer makes results that are not as many as asked for.
func FuzzAnswer(f *testing.F) {
	for _, text := range []string{`{}`, `{"results":[{"outcome":"created"}]}`, `{"results":[{"outcome":"failed","error":"x"}]}`, `{"results":null}`, `[]`} {
		f.Add([]byte(text))
	}
	a := &Actuator{}
	f.Fuzz(func(t *testing.T, text []byte) {
		var answer response
		if json.Unmarshal(text, &answer) != nil || answer.check(warm(2)) != nil {
			return
		}
		results, _ := a.results(warm(2), answer, time.Now())
		if len(results) != 2 {
			t.Fatalf("%d results", len(results))
		}
		for _, r := range results {
			if r.Outcome == actuator.Failed && r.Err == nil {
				t.Fatal("no reason")
			}
		}
	})
}
