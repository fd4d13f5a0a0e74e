package whisk

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// roundTripper is a transport that is a function.
type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// answering returns a transport that gives the same answer to every request.
func answering(status int, header http.Header, body string) roundTripper {
	return func(r *http.Request) (*http.Response, error) {
		if header == nil {
			header = http.Header{}
		}
		return &http.Response{StatusCode: status, Header: header, Body: io.NopCloser(strings.NewReader(body)), Request: r}, nil
	}
}

func fakeClient(t require.TestingT, transport http.RoundTripper) *Client {
	c, err := New(Options{Base: &url.URL{Scheme: "http", Host: "openwhisk"}, Key: testKey, HTTP: &http.Client{Transport: transport}})
	require.NoError(t, err)
	return c
}

// TestErrorProperties checks for any status, headers and body: there is an error exactly where there should be; its kind is that of the
// status; it is one short line; and it is never said that a request may be repeated that OpenWhisk may have carried out.
func TestErrorProperties(t *testing.T) {
	kinds := map[int]Kind{401: Unauthorized, 403: Forbidden, 404: NotFound, 409: Conflict, 413: TooLarge, 429: Throttled, 503: Overloaded}
	rapid.Check(t, func(t *rapid.T) {
		status := rapid.OneOf(rapid.IntRange(200, 599), rapid.SampledFrom([]int{200, 202, 401, 403, 404, 409, 413, 429, 500, 502, 503})).Draw(t, "status")
		retryAfter := rapid.OneOf(rapid.Just(""), rapid.StringMatching(`-?[0-9]{1,12}`), rapid.String()).Draw(t, "Retry-After")
		contentType := rapid.SampledFrom([]string{"", "application/json", "text/plain; charset=UTF-8", "text/html"}).Draw(t, "Content-Type")
		body := rapid.OneOf(
			rapid.String(),
			rapid.Map(rapid.String(), func(s string) string { text, _ := json.Marshal(map[string]string{"error": s}); return string(text) }),
			rapid.SampledFrom([]string{"", "null", "[]", `"x"`, "{}", `{"error":{"a":1}}`, `{"activationId":"abc"}`, `{"activationId":7}`, `{"activationId":"abc"`, strings.Repeat("x\n", 1<<16)}),
		).Draw(t, "body")
		header := http.Header{"Retry-After": {retryAfter}, "Content-Type": {contentType}}
		c := fakeClient(t, answering(status, header, body))
		id, err := c.Invoke(context.Background(), "a", struct{}{})

		var document struct{ ActivationID string }
		valid := json.Unmarshal([]byte(body), &document) == nil && strings.HasPrefix(strings.TrimSpace(body), "{") && document.ActivationID != ""
		if status < 300 && valid {
			require.NoError(t, err)
			require.Equal(t, document.ActivationID, id)
			return
		}
		var e *Error
		require.ErrorAs(t, err, &e)
		want, ok := kinds[status]
		switch {
		case status < 300:
			want = Nonsense
		case !ok && status >= 500:
			want = ServerError
		case !ok:
			want = Rejected
		}
		require.Equal(t, want, e.Kind)
		require.Equal(t, status, e.Status)
		require.Equal(t, want == Nonsense || want == ServerError, e.MaybeProcessed)
		require.Equal(t, want == Throttled || want == Overloaded || want == ServerError || want == Nonsense, e.Temporary())
		require.True(t, e.RetryAfter >= 0 && e.RetryAfter <= time.Hour)
		require.NotContains(t, err.Error(), "\n")
		require.Less(t, len(err.Error()), 400)
		require.True(t, strings.Contains(err.Error(), c.Name()))
	})
}

// TestFaults checks each way in which a request can fail without an answer of sense.
func TestFaults(t *testing.T) {
	hang := make(chan struct{})
	t.Cleanup(func() { close(hang) })
	const nobody = "http://127.0.0.1:1" // a port that was free a moment ago might be that of the next server
	serve := func(h http.HandlerFunc) string {
		s := httptest.NewServer(h)
		t.Cleanup(s.Close)
		return s.URL
	}
	secure := httptest.NewUnstartedServer(http.NotFoundHandler())
	secure.Config.ErrorLog = log.New(io.Discard, "", 0) // clients that refuse the certificate
	secure.StartTLS()
	t.Cleanup(secure.Close)
	answer := func(status int, body string) string {
		return serve(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "7")
			w.WriteHeader(status)
			_, _ = io.WriteString(w, body)
		})
	}
	const id = "4ded9a01cf634cc8ad9a01cf639cc85a"
	for name, test := range map[string]struct {
		address        string
		kind           Kind
		want           string
		maybeProcessed bool
		retryAfter     time.Duration
	}{
		"refused connection": {nobody, Unreachable, " cannot be reached: dial tcp ", false, 0},
		"unknown host":       {"http://openwhisk.invalid", Unreachable, " cannot be reached: ", false, 0},
		"hangs": {serve(func(_ http.ResponseWriter, r *http.Request) {
			select {
			case <-hang:
			case <-r.Context().Done():
			}
		}), Unreachable, " cannot be reached: no answer in time", true, 0},
		"connection cut":     {serve(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }), Unreachable, " cannot be reached: EOF", true, 0},
		"redirect to nobody": {serve(http.RedirectHandler(nobody+"/", http.StatusFound).ServeHTTP), Unreachable, " cannot be reached: dial tcp ", true, 0},
		"body cut": {serve(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			_, _ = io.WriteString(w, `{"activationId": `)
		}), Unreachable, " cannot be reached: unexpected EOF", true, 0},
		"certificate":         {secure.URL, Untrusted, ": no trusted connection: tls: failed to verify certificate: ", false, 0},
		"no TLS":              {strings.Replace(nobodyTLS(t), "http://", "https://", 1), NoTLS, ": no trusted connection: it speaks HTTP, not HTTPS: give the address with http://", false, 0},
		"TLS":                 {strings.Replace(secure.URL, "https://", "http://", 1), Rejected, " refuses (400): Client sent an HTTP request to an HTTPS server", false, 0},
		"bad request":         {answer(400, "<html>welcome</html>"), Rejected, " refuses (400)", false, 7 * time.Second},
		"a page":              {answer(200, "<html>welcome</html>"), Nonsense, " answers nonsense: an object is due, and this is no JSON: <html>welcome</html>", true, 0},
		"null":                {answer(200, " null\n"), Nonsense, " answers nonsense: an object is due, and this is null", true, 0},
		"a list":              {answer(200, `[{"activationId": "a"}]`), Nonsense, " answers nonsense: an object is due, and this is a list", true, 0},
		"a string":            {answer(200, `"x"`), Nonsense, ` answers nonsense: an object is due, and this is "x"`, true, 0},
		"a number":            {answer(200, `7`), Nonsense, ` answers nonsense: an object is due, and this is 7`, true, 0},
		"nothing":             {answer(200, ""), Nonsense, " answers nonsense: an object is due, and this is nothing", true, 0},
		"half a document":     {answer(200, `{"activationId": "4ded`), Nonsense, " answers nonsense: unexpected end of JSON input", true, 0},
		"another's record":    {answer(200, `{"activationId": "ffff", "start": 5}`), Nonsense, " answers nonsense: this is no record of activation " + id, true, 0},
		"a record of nothing": {answer(200, `{}`), Nonsense, " answers nonsense: this is no record of activation " + id, true, 0},
		"wrong types":         {answer(200, `{"activationId": 7}`), Nonsense, " answers nonsense: json: cannot unmarshal number", true, 0},
		"too long":            {answer(200, `{"logs": "`+strings.Repeat("x", 5000)+`"}`), Nonsense, " answers nonsense: the answer is too long, more than 4096 bytes", true, 0},
		"internal error":      {answer(500, `{"error": "oops.", "code": "x"}`), ServerError, " fails (500): oops", true, 7 * time.Second},
		"bad gateway":         {answer(502, "<html>"), ServerError, " fails (502)", true, 7 * time.Second},
		"overloaded":          {answer(503, ""), Overloaded, " has had too many requests (503)", false, 7 * time.Second},
		"throttled":           {answer(429, `{"error": "slow", "code": "x"}`), Throttled, " has had too many requests (429): slow", false, 7 * time.Second},
		"a teapot":            {answer(418, ""), Rejected, " refuses (418)", false, 7 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			base, err := ParseAddress(test.address)
			require.NoError(t, err)
			o := Options{Base: base, Key: testKey, HTTP: NewHTTPClient(false, 1), Timeout: 10 * time.Second, MaxAnswer: 4096}
			if name == "hangs" {
				o.Timeout = 50 * time.Millisecond
			}
			defer o.HTTP.CloseIdleConnections()
			c, err := New(o)
			require.NoError(t, err)
			_, err = c.Activation(t.Context(), id)
			var e *Error
			require.ErrorAs(t, err, &e)
			require.Equal(t, test.kind, e.Kind, err)
			require.Truef(t, strings.HasPrefix(err.Error(), "OpenWhisk at "+test.address+test.want), "%v, want %s", err, test.want)
			require.Equal(t, test.maybeProcessed, e.MaybeProcessed)
			require.Equal(t, test.retryAfter, e.RetryAfter)
			require.NotContains(t, err.Error(), "secret")
			require.NotContains(t, err.Error(), "\n")
		})
	}
}

// nobodyTLS returns the http address of a server.
func nobodyTLS(t *testing.T) string {
	s := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(s.Close)
	return s.URL
}

// TestCancelled checks that a context that ends is the cause of the error, whatever the transport says.
func TestCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	c := newTestClient(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		cancel()
		<-r.Context().Done()
	}), nil)
	_, err := c.Info(ctx)
	require.ErrorIs(t, err, context.Canceled)
	require.EqualError(t, err, c.Name()+" cannot be reached: broken off")
	_, err = c.Info(ctx)
	require.ErrorIs(t, err, context.Canceled)
	late, cancel := context.WithDeadline(t.Context(), time.Now().Add(-time.Second))
	defer cancel()
	_, err = c.Info(late)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.EqualError(t, err, c.Name()+" cannot be reached: no answer in time")
}

// TestTransportWithoutHooks checks that a request may have been sent by a transport that does not tell.
func TestTransportWithoutHooks(t *testing.T) {
	c := fakeClient(t, roundTripper(func(*http.Request) (*http.Response, error) { return nil, errors.New("lost") }))
	_, err := c.Invoke(t.Context(), "a", nil)
	var e *Error
	require.ErrorAs(t, err, &e)
	require.True(t, e.MaybeProcessed)
	require.EqualError(t, err, "OpenWhisk at http://openwhisk cannot be reached: lost")
}

func TestKindOf(t *testing.T) {
	require.Zero(t, KindOf(nil))
	require.Zero(t, KindOf(errors.New("x")))
	require.Equal(t, NotFound, KindOf(fmt.Errorf("deploying: %w", &Error{Kind: NotFound})))
}

func TestAsksToWait(t *testing.T) {
	require.True(t, (&Error{Kind: Throttled}).AsksToWait())
	require.True(t, (&Error{Kind: Overloaded, RetryAfter: time.Second}).AsksToWait())
	require.False(t, (&Error{Kind: Overloaded}).AsksToWait())
	require.False(t, (&Error{Kind: ServerError, RetryAfter: time.Second}).AsksToWait())
}
