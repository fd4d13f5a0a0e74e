package whisk

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// TestPause checks the bounds of every pause.
func TestPause(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := Retry{First: time.Duration(rapid.Int64Range(0, int64(time.Minute)).Draw(t, "first")), Max: time.Duration(rapid.Int64Range(0, int64(time.Hour)).Draw(t, "max"))}
		failures := rapid.IntRange(0, 1000).Draw(t, "failures")
		after := time.Duration(rapid.Int64Range(0, int64(time.Hour)).Draw(t, "retry after"))
		first, most := r.First, r.Max
		if first == 0 {
			first = 250 * time.Millisecond
		}
		if most == 0 {
			most = 30 * time.Second
		}
		whole := min(most, first)
		for range min(failures, 60) {
			whole = min(2*whole, most)
		}
		pause := r.Pause(failures, &Error{RetryAfter: after})
		require.GreaterOrEqual(t, pause, max(whole/2, after))
		require.LessOrEqual(t, pause, max(whole, after+after/8+1))
		require.LessOrEqual(t, r.Pause(failures, nil), whole)
	})
}

// TestPauseJitter draws many pauses: they lie between half of the length and all of it and take all of that range, and what the server
// asks for is exceeded by up to an eighth.
func TestPauseJitter(t *testing.T) {
	ns := time.Nanosecond
	for _, c := range []struct {
		retry      Retry
		failures   int
		after      time.Duration
		from, upTo time.Duration
	}{
		{Retry{}, 0, 0, 125 * time.Millisecond, 250 * time.Millisecond},
		{Retry{}, 1, 0, 250 * time.Millisecond, 500 * time.Millisecond},
		{Retry{}, 100, 0, 15 * time.Second, 30 * time.Second},
		{Retry{First: time.Second, Max: 3 * time.Second}, 1, 0, time.Second, 2 * time.Second},
		{Retry{First: time.Second, Max: 3 * time.Second}, 2, 0, 1500 * time.Millisecond, 3 * time.Second},
		{Retry{}, 0, 8 * time.Second, 8 * time.Second, 9 * time.Second},
		{Retry{First: 2 * ns, Max: 2 * ns}, 0, 0, ns, 2 * ns},
		{Retry{First: ns, Max: ns}, 0, 7 * ns, 7 * ns, 7 * ns},
	} {
		least, most := time.Duration(math.MaxInt64), time.Duration(0)
		for range 5000 {
			pause := c.retry.Pause(c.failures, &Error{RetryAfter: c.after})
			least, most = min(least, pause), max(most, pause)
		}
		near := (c.upTo - c.from) / 100
		require.True(t, least >= c.from && least <= c.from+near && most <= c.upTo && most >= c.upTo-near,
			"%+v after %d failures: from %v to %v, want %v to %v", c.retry, c.failures, least, most, c.from, c.upTo)
	}
}

// TestPausesGrow checks that each pause of Do is twice as long as the one before.
func TestPausesGrow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		whole := time.Second
		tries := 0
		r := Retry{First: time.Second, Max: time.Hour, OnPause: func(_ error, pause time.Duration) {
			require.True(t, pause >= whole/2 && pause <= whole, "%v, want up to %v", pause, whole)
			whole *= 2
		}}
		require.NoError(t, r.Do(t.Context(), func() error {
			if tries++; tries < 8 {
				return &Error{Kind: Overloaded}
			}
			return nil
		}))
		require.Equal(t, 128*time.Second, whole)
	})
}

// TestRetry checks when Do repeats, in virtual time.
func TestRetry(t *testing.T) {
	overloaded, lost, wrong := &Error{Kind: Overloaded}, &Error{Kind: Unreachable, MaybeProcessed: true}, &Error{Kind: Unauthorized}
	other, conflict := errors.New("another error"), &Error{Kind: Conflict}
	conflicts := func(e *Error) bool { return e.Kind == Conflict }
	for _, test := range []struct {
		name   string
		retry  Retry
		errs   []error // of the attempts; after them they succeed
		want   error
		tries  int
		atMost time.Duration
	}{
		{"success", Retry{}, nil, nil, 1, 0},
		{"passes", Retry{}, []error{overloaded, lost}, nil, 3, 750 * time.Millisecond},
		{"fails for good", Retry{}, []error{overloaded, wrong}, wrong, 2, 250 * time.Millisecond},
		{"conflict", Retry{}, []error{conflict}, conflict, 1, 0},
		{"conflict that passes", Retry{Passes: conflicts}, []error{conflict, conflict}, nil, 3, 750 * time.Millisecond},
		{"another than what passes", Retry{Passes: conflicts}, []error{conflict, lost}, lost, 2, 250 * time.Millisecond},
		{"another error", Retry{}, []error{other}, other, 1, 0},
		{"at most once", Retry{AtMostOnce: true}, []error{overloaded, lost}, lost, 2, 250 * time.Millisecond},
		{"wrapped", Retry{}, []error{fmt.Errorf("deploying: %w", overloaded)}, nil, 2, 250 * time.Millisecond},
		{"as the server asks", Retry{}, []error{&Error{Kind: Throttled, RetryAfter: time.Minute}}, nil, 2, 68 * time.Second},
		{"out of patience", Retry{First: time.Second, Patience: time.Second}, []error{overloaded, overloaded, overloaded}, overloaded, 2, time.Second},
		{"patience of a moment", Retry{First: time.Second, Patience: 1}, []error{overloaded}, overloaded, 1, 0},
		{"just within patience", Retry{First: 1, Max: 1, Patience: 7}, []error{&Error{Kind: Throttled, RetryAfter: 7}}, nil, 2, 7},
		{"no longer than patience", Retry{Patience: 30 * time.Second}, []error{&Error{Kind: Throttled, RetryAfter: time.Minute}}, &Error{Kind: Throttled, RetryAfter: time.Minute}, 1, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				begin := time.Now()
				tries, pauses := 0, 0
				var paused time.Duration
				test.retry.OnPause = func(err error, pause time.Duration) {
					require.Equal(t, test.errs[pauses], err)
					pauses++
					paused += pause
				}
				err := test.retry.Do(t.Context(), func() error {
					tries++
					if tries <= len(test.errs) {
						return test.errs[tries-1]
					}
					return nil
				})
				require.Equal(t, test.want, err)
				require.Equal(t, test.tries, tries)
				require.Equal(t, tries-1, pauses)
				require.Equal(t, paused, time.Since(begin))
				require.LessOrEqual(t, paused, test.atMost)
			})
		})
	}
}

// TestRetryEnds checks that a context that ends breaks off a pause, and that the error is that of the request.
func TestRetryEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		tries := 0
		err := Retry{First: time.Hour, Max: time.Hour}.Do(ctx, func() error { tries++; return &Error{Kind: Throttled, Server: "it", Status: 429} })
		require.EqualError(t, err, "it has had too many requests (429)")
		require.Equal(t, 1, tries)
		require.Equal(t, time.Minute, time.Since(begin))
	})
}

// TestRetryOfACancelledRequest checks that a request during which the context ends is not announced as one that is repeated.
func TestRetryOfACancelledRequest(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	failure := &Error{Kind: Overloaded}
	err := Retry{OnPause: func(error, time.Duration) { t.Error("a pause") }}.Do(ctx, func() error { cancel(); return failure })
	require.Equal(t, failure, err)
}

// fault is a way in which one request fails. Where reached is set the platform carries it out all the same.
type fault struct {
	name      string
	reached   bool
	temporary bool
	fail      func(*http.Request) (*http.Response, error)
}

func faults() []fault {
	status := func(code int, body string) func(*http.Request) (*http.Response, error) {
		return answering(code, nil, body)
	}
	return []fault{
		{"cannot connect", false, true, func(*http.Request) (*http.Response, error) {
			return nil, &net.OpError{Op: "dial", Err: errors.New("connection refused")}
		}},
		{"connection lost", true, true, func(*http.Request) (*http.Response, error) { return nil, io.ErrUnexpectedEOF }},
		{"429", false, true, status(429, `{"error": "slow"}`)},
		{"500", true, true, status(500, "")},
		{"503", false, true, status(503, "")},
		{"401", false, false, status(401, "")},
		{"403", false, false, status(403, "")},
		{"400", false, false, status(400, `{"error": "malformed"}`)},
		{"409", false, false, status(409, "")},
		{"413", false, false, status(413, "")},
		{"null", true, true, status(200, "null")},
		{"a list", true, true, status(200, "[7]")},
		{"half a document", true, true, status(200, `{"name": "p`)},
		{"empty", true, true, status(204, "")},
	}
}

// platform is an OpenWhisk of which one request fails.
type platform struct {
	nth, requests int
	fault         fault
	packages      map[string]bool
	actions       map[string]bool
	invocations   int
}

func (p *platform) RoundTrip(r *http.Request) (*http.Response, error) {
	p.requests++
	failing := p.requests == p.nth
	if failing && !p.fault.reached {
		return p.fault.fail(r)
	}
	body := p.serve(r)
	if failing {
		return p.fault.fail(r)
	}
	if body == "" {
		return answering(404, nil, "")(r)
	}
	return answering(200, nil, body)(r)
}

// serve does what a request asks for and returns the answer, "" for what is not there.
func (p *platform) serve(r *http.Request) string {
	path := strings.TrimPrefix(r.URL.Path, "/api/v1/namespaces/_/")
	things := p.actions
	if strings.HasPrefix(path, "packages") {
		things = p.packages
	}
	switch {
	case r.Method == http.MethodPut:
		things[path] = true
	case r.Method == http.MethodPost:
		p.invocations++
		return `{"activationId": "a"}`
	case path == "packages":
		return `[{"name": "p"}]`
	case !things[path]:
		return ""
	case r.Method == http.MethodDelete:
		delete(things, path)
	}
	text, _ := json.Marshal(Package{Name: "p", Actions: []Action{{Name: "f"}}})
	return string(text)
}

// TestNthRequestFails runs a deployment, an invocation and a removal of which the nth request fails, for each n and each fault: what is
// temporary is repeated and all goes well, the rest ends with the error of that request; an invocation is never made twice.
func TestNthRequestFails(t *testing.T) {
	for _, f := range faults() {
		t.Run(f.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				for nth := 1; ; nth++ {
					p := &platform{nth: nth, fault: f, packages: map[string]bool{}, actions: map[string]bool{}}
					invoked, err := lifecycle(t.Context(), fakeClient(t, p))
					if p.requests < nth {
						require.NoError(t, err)
						require.Equal(t, 8, nth, "requests without a fault")
						return
					}
					discarded := nth != 1 && nth != 4 && nth != 5 && f.reached && (f.name == "null" || f.name == "a list" || f.name == "half a document" || f.name == "empty")
					switch {
					case nth == 4 && f.reached:
						require.NotZero(t, KindOf(invoked))
						require.True(t, p.invocations == 1, p.invocations)
					case f.temporary || discarded:
						require.NoError(t, err, nth)
						require.Equal(t, 1, p.invocations)
						require.Empty(t, p.packages)
						require.Empty(t, p.actions)
					default:
						require.NotZero(t, KindOf(err), nth)
						require.LessOrEqual(t, p.invocations, 1)
					}
				}
			})
		})
	}
}

// lifecycle makes seven requests where nothing fails. It returns the error of the invocation apart.
func lifecycle(ctx context.Context, c *Client) (invoked, err error) {
	retry := Retry{Patience: time.Hour}
	gone := func(err error) error {
		if KindOf(err) == NotFound {
			return nil
		}
		return err
	}
	steps := []func() error{
		func() error { return c.Check(ctx, Packages) },
		func() error { return c.PutPackage(ctx, Package{Name: "p"}) },
		func() error { return c.PutAction(ctx, "p", Action{Name: "f"}) },
		nil, // the invocation
		func() error { _, err := c.Package(ctx, "p"); return err },
		func() error { return gone(c.DeleteAction(ctx, "p", "f")) },
		func() error { return gone(c.DeletePackage(ctx, "p")) },
	}
	for _, step := range steps {
		if step == nil {
			once := retry
			once.AtMostOnce = true
			invoked = once.Do(ctx, func() error { _, err := c.Invoke(ctx, "p/f", nil); return err })
			var e *Error
			if errors.As(invoked, &e) && !e.MaybeProcessed {
				return invoked, invoked
			}
			continue
		}
		if err := retry.Do(ctx, step); err != nil {
			return invoked, err
		}
	}
	return invoked, nil
}
