package openwhisk

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	whisk "github.com/apache/openwhisk-client-go/whisk"
)

// Bounds of one request.
const (
	uploadTimeout = 5 * time.Minute // of code, over a slow network
	maxAnswer     = 64 << 20        // bytes
)

// client speaks the API of OpenWhisk. The library's own client serves one goroutine at a time and knows no context, so there is
// one for each request under way.
type client struct {
	base      *url.URL // with scheme, without /api
	key       string
	name      string // in errors
	timeout   time.Duration
	transport *http.Transport

	mu   sync.Mutex
	idle []*connection
}

// connection is one client of the library, with the context of the request that it is used for and what came of it.
type connection struct {
	transport http.RoundTripper
	api       *whisk.Client

	ctx  context.Context
	err  error       // the transport's, which the library keeps no chain of
	sent atomic.Bool // the request may have reached the server
}

// RoundTrip sends the request under the present context and reads the whole answer, which is bounded. The library panics where
// JSON is null: it gets an empty object instead.
func (c *connection) RoundTrip(r *http.Request) (*http.Response, error) {
	ctx := httptrace.WithClientTrace(c.ctx, &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { c.sent.Store(true) }})
	response, err := c.transport.RoundTrip(r.WithContext(ctx))
	if err != nil {
		c.err = err
		return nil, err
	}
	var text []byte
	if response.StatusCode < 300 && (r.Method == http.MethodPut || r.Method == http.MethodDelete) {
		// The answer is what was there or is now, megabytes of code, which nobody looks at.
		text, err = []byte("{}"), skipAnswer(response)
	} else {
		text, err = readAnswer(response)
	}
	if err != nil {
		c.err = err
		return nil, err
	}
	if string(bytes.TrimSpace(text)) == "null" {
		text = []byte("{}")
	}
	response.Body = io.NopCloser(bytes.NewReader(text))
	return response, nil
}

// skipAnswer reads and closes the body, for the sake of the connection.
func skipAnswer(response *http.Response) error {
	defer response.Body.Close()
	_, err := io.Copy(io.Discard, io.LimitReader(response.Body, maxAnswer))
	return err
}

// readAnswer reads and closes the body.
func readAnswer(response *http.Response) ([]byte, error) {
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer+1))
	if err == nil && len(text) > maxAnswer {
		err = fmt.Errorf("the answer is longer than %d MiB", maxAnswer>>20)
	}
	return text, err
}

// newTransport returns a transport of our own: the library would replace that of the whole process. Connections are given up
// before a server does so, lest a request meets one that is just being closed.
func newTransport(insecure bool, connections int) *http.Transport {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.TLSClientConfig = &tls.Config{InsecureSkipVerify: insecure} //nolint:gosec // the user asks for it
	t.MaxIdleConnsPerHost = connections
	t.IdleConnTimeout = 20 * time.Second
	return t
}

func newClient(base *url.URL, key string, insecure bool, timeout time.Duration) *client {
	// With WSK_CLI_DEBUG in the environment the library prints requests to standard output, key and all.
	whisk.SetDebug(false)
	return &client{base: base, key: key, name: "OpenWhisk at " + shown(base), timeout: timeout, transport: newTransport(insecure, maxSenders)}
}

// shown is an address without what may be secret in it.
func shown(u *url.URL) string {
	plain := *u
	plain.User = nil
	return plain.String()
}

func (c *client) close() { c.transport.CloseIdleConnections() }

func (c *client) take(ctx context.Context) (*connection, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var conn *connection
	if n := len(c.idle); n > 0 {
		conn, c.idle = c.idle[n-1], c.idle[:n-1]
	} else {
		conn = &connection{transport: c.transport}
		base := c.base.JoinPath("api")
		api, err := whisk.NewClient(&http.Client{Transport: conn}, &whisk.Config{
			Host: base.Host, BaseURL: base, Version: "v1", Namespace: "_", AuthToken: c.key, UserAgent: "tppfaas-sampler",
		})
		if err != nil {
			return nil, err
		}
		conn.api = api
	}
	conn.ctx, conn.err = ctx, nil
	conn.sent.Store(false)
	return conn, nil
}

func (c *client) give(conn *connection) {
	conn.ctx = nil
	c.mu.Lock()
	defer c.mu.Unlock()
	c.idle = append(c.idle, conn)
}

// do makes one request within the timeout. An error is the context's, or an *Error.
func (c *client) do(ctx context.Context, timeout time.Duration, request func(*whisk.Client) (*http.Response, error)) error {
	bounded, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	conn, err := c.take(bounded)
	if err != nil {
		return fmt.Errorf("%s: %w", c.name, err)
	}
	response, err := request(conn.api)
	failure, sent := conn.err, conn.sent.Load()
	c.give(conn)
	switch {
	case failure == nil && response == nil && err == nil:
		return &Error{Kind: Nonsense, Server: c.name, MaybeTaken: true}
	case failure == nil && response == nil:
		return &Error{Kind: Nonsense, Server: c.name, Text: oneLine(err.Error()), MaybeTaken: sent}
	case failure != nil:
		// The caller's own end of patience is no failing of the server, but what was sent may have been taken.
		e := noAnswer(c.name, failure, sent)
		if ctx.Err() != nil {
			e.Text, e.cause = "broken off", ctx.Err()
		}
		return e
	case response.StatusCode >= 300:
		return statusError(c.name, response, said(response))
	case err != nil:
		return &Error{Kind: Nonsense, Server: c.name, Status: response.StatusCode, Text: oneLine(err.Error()), MaybeTaken: true}
	}
	return nil
}

// said is what OpenWhisk says of an error.
func said(response *http.Response) string {
	text, err := io.ReadAll(io.LimitReader(response.Body, 1<<16))
	if err != nil {
		return ""
	}
	var body struct {
		Error any `json:"error"`
	}
	if json.Unmarshal(text, &body) == nil && body.Error != nil {
		if s, ok := body.Error.(string); ok {
			return s
		}
	}
	if strings.HasPrefix(response.Header.Get("Content-Type"), "text/plain") {
		return string(text)
	}
	return ""
}

// info is the document of the server, of which these parts are needed.
type info struct {
	Runtimes map[string][]struct {
		Kind       string `json:"kind"`
		Default    bool   `json:"default"`
		Deprecated bool   `json:"deprecated"`
	} `json:"runtimes"`
	Limits struct {
		MaxDuration int64 `json:"max_action_duration"` // ms
		PerMinute   int64 `json:"actions_per_minute"`  // invocations
	} `json:"limits"`
}

// info asks what the server can do. That needs no key.
func (c *client) info(ctx context.Context) (info, error) {
	var i info
	return i, c.do(ctx, c.timeout, func(api *whisk.Client) (*http.Response, error) {
		r, err := http.NewRequest(http.MethodGet, c.base.JoinPath("/").String(), nil)
		if err != nil {
			return nil, err
		}
		return api.Do(r, &i, false)
	})
}

// packages lists all packages of the key's namespace.
func (c *client) packages(ctx context.Context) ([]whisk.Package, error) {
	const page = 200 // the most that OpenWhisk gives at once
	var all []whisk.Package
	for {
		var some []whisk.Package
		err := c.do(ctx, c.timeout, func(api *whisk.Client) (response *http.Response, err error) {
			some, response, err = api.Packages.List(&whisk.PackageListOptions{Limit: page, Skip: len(all)})
			return response, err
		})
		if err != nil {
			return nil, err
		}
		all = append(all, some...)
		if len(some) < page {
			return all, nil
		}
	}
}

// check asks for something that needs the key.
func (c *client) check(ctx context.Context) error {
	return c.do(ctx, c.timeout, func(api *whisk.Client) (*http.Response, error) {
		_, response, err := api.Packages.List(&whisk.PackageListOptions{Limit: 1})
		return response, err
	})
}

// invoke invokes an action without waiting for its end, and returns the activation id.
func (c *client) invoke(ctx context.Context, action string, payload any) (string, error) {
	var answer any
	err := c.do(ctx, c.timeout, func(api *whisk.Client) (response *http.Response, err error) {
		answer, response, err = api.Actions.Invoke(action, payload, false, false)
		return response, err
	})
	if err != nil {
		return "", err
	}
	if fields, ok := answer.(map[string]any); ok {
		if id, ok := fields["activationId"].(string); ok && id != "" {
			return id, nil
		}
	}
	return "", &Error{Kind: Nonsense, Server: c.name, Text: "it names no activation", MaybeTaken: true}
}

// pauses between attempts: each is random between half of its length and all of it.
const (
	firstPause = 250 * time.Millisecond
	maxPause   = 30 * time.Second
)

// pause is how long to wait after so many failures in a row, the first being 0, and at least as the server asks.
func pause(failures int, e *Error) time.Duration {
	d := min(firstPause<<min(failures, 20), maxPause)
	d = d/2 + rand.N(d/2) //nolint:gosec // jitter
	if e != nil && e.RetryAfter > d {
		d = e.RetryAfter + rand.N(e.RetryAfter/8+1) //nolint:gosec // jitter
	}
	return d
}

// wait returns when d has passed, or the context's error.
func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// again makes a request that may be made twice until it goes well, fails for good, or patience has passed; said is told of each
// pause.
func again(ctx context.Context, patience time.Duration, said func(string), request func() error) error {
	begin := time.Now()
	for failures := 0; ; failures++ {
		err := request()
		var e *Error
		if err == nil || ctx.Err() != nil || !errors.As(err, &e) || !e.passing() {
			return err
		}
		d := pause(failures, e)
		if time.Since(begin)+d > patience {
			return err
		}
		said(fmt.Sprintf("%v; trying again in %v", err, d.Round(100*time.Millisecond)))
		if wait(ctx, d) != nil {
			return err
		}
	}
}
