package whisk

import (
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestInvokeBlocking checks what each answer means. The records and the 502 are shortened from those of an OpenWhisk.
func TestInvokeBlocking(t *testing.T) {
	const record = `{"activationId":"98e43e61fe784b84a43e61fe784b84ea","annotations":[{"key":"waitTime","value":301},{"key":"initTime","value":48}],` +
		`"start":1790000000000,"end":1790000000120,"response":`
	for name, test := range map[string]struct {
		status int
		body   string
		want   Outcome
		kind   Kind
		err    string
	}{
		"ended": {200, record + `{"status":"success","success":true,"result":{"a":1}}}`, Outcome{
			ActivationID: "98e43e61fe784b84a43e61fe784b84ea", Ended: true, Result: []byte(`{"a":1}`),
			Record: Record{Start: time.UnixMilli(1790000000000), End: time.UnixMilli(1790000000120), Wait: 301 * time.Millisecond, Init: 48 * time.Millisecond, Cold: true},
		}, 0, ""},
		"not in time": {202, `{"activationId":"x"}`, Outcome{ActivationID: "x"}, 0, ""},
		"application error": {502, record + `{"status":"application error","success":false,"result":{"error":"e"}}}`, Outcome{
			ActivationID: "98e43e61fe784b84a43e61fe784b84ea", Ended: true, Result: []byte(`{"error":"e"}`),
			Record: Record{
				Start: time.UnixMilli(1790000000000), End: time.UnixMilli(1790000000120), Wait: 301 * time.Millisecond, Init: 48 * time.Millisecond, Cold: true,
				Error: "application error: e",
			},
		}, 0, ""},
		"the gateway's 502":     {502, `<html>bad gateway</html>`, Outcome{}, ServerError, "fails (502)"},
		"another 502":           {502, `{"error":"no upstream"}`, Outcome{}, ServerError, "fails (502): no upstream"},
		"500":                   {500, `{"code":"x","error":"There was an internal server error."}`, Outcome{}, ServerError, "fails (500): There was"},
		"503":                   {503, record + `{}}`, Outcome{}, Overloaded, "fails (503)"},
		"an array":              {200, `[1,2,3]`, Outcome{}, Nonsense, "answers nonsense"},
		"nothing":               {200, `{}`, Outcome{}, Nonsense, "it names no activation"},
		"throttled":             {429, `{"error":"Too many requests in the last minute (count: 61, allowed: 60)."}`, Outcome{}, Throttled, "count: 61"},
		"there is no such name": {404, `{"error":"The requested resource does not exist."}`, Outcome{}, NotFound, "404"},
	} {
		t.Run(name, func(t *testing.T) {
			c := fakeClient(t, roundTripper(func(r *http.Request) (*http.Response, error) {
				body, err := io.ReadAll(r.Body)
				require.NoError(t, err)
				require.Equal(t, "POST /api/v1/namespaces/_/actions/p/a?blocking=true&timeout=1500 {\"x\":1}", r.Method+" "+r.URL.RequestURI()+" "+string(body))
				return answering(test.status, nil, test.body)(r)
			}))
			got, err := c.InvokeBlocking(t.Context(), "p/a", map[string]int{"x": 1}, 1500*time.Millisecond)
			require.Equal(t, test.kind, KindOf(err))
			if test.err != "" {
				require.ErrorContains(t, err, test.err)
				return
			}
			require.NoError(t, err)
			require.Equal(t, test.want, got)
		})
	}
}

// TestOutcome checks that the record of an activation that has ended later has its result, and that there may be none yet.
func TestOutcome(t *testing.T) {
	all := recorded(t)
	c := fakeClient(t, roundTripper(func(r *http.Request) (*http.Response, error) {
		return answering(200, nil, string(all["cold"].body()))(r)
	}))
	o, err := c.Outcome(t.Context(), all["cold"].id())
	require.NoError(t, err)
	require.True(t, o.Ended)
	require.True(t, o.Cold)
	require.NotEmpty(t, o.Result)
	record, err := c.Activation(t.Context(), all["cold"].id())
	require.NoError(t, err)
	require.Equal(t, record, o.Record)
	c = fakeClient(t, answering(404, nil, `{}`))
	_, err = c.Outcome(t.Context(), "abc")
	require.ErrorIs(t, err, ErrNotYet)
	_, err = c.InvokeBlocking(t.Context(), "..", nil, 0)
	require.ErrorContains(t, err, "is no name in actions")
}

func TestAction(t *testing.T) {
	c := fakeClient(t, roundTripper(func(r *http.Request) (*http.Response, error) {
		require.Equal(t, "GET /api/v1/namespaces/_/actions/p/a?code=false", r.Method+" "+r.URL.RequestURI())
		return answering(200, nil, `{"name":"a","limits":{"memory":256,"timeout":60000}}`)(r)
	}))
	a, err := c.Action(t.Context(), "p/a")
	require.NoError(t, err)
	require.Equal(t, &Limits{Timeout: 60000, Memory: 256}, a.Limits)
	c = fakeClient(t, answering(200, nil, `{"name":"b"}`))
	_, err = c.Action(t.Context(), "a")
	require.ErrorContains(t, err, "this is not action a")
	_, err = c.Action(t.Context(), "..")
	require.ErrorContains(t, err, "is no name in actions")
}
