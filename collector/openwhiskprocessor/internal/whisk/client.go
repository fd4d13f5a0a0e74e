// Package whisk asks OpenWhisk for the records of activations.
//
//	client, err := whisk.New(whisk.Options{Base: base, Key: "user:password", Timeout: 5 * time.Second, Connections: 16})
//	record, err := client.Activation(ctx, "4ded9a01cf634cc8ad9a01cf639cc85a")
//	if errors.Is(err, whisk.ErrNotYet) {
//		// ask again later
//	}
package whisk

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	openwhisk "github.com/apache/openwhisk-client-go/whisk"
)

// Client knows activations. It is safe for concurrent use.
type Client interface {
	// Activation returns the record of the activation with the id. The error is ErrNotYet where there is none, which is so
	// until some time after the activation's end; ErrImpossible where there never will be one; or a *Failure.
	Activation(ctx context.Context, id string) (Record, error)
	// Check reports why OpenWhisk cannot be asked at all, nil if it can.
	Check(ctx context.Context) error
	// Close lets go of connections.
	Close()
}

// Record is what OpenWhisk knows of an activation.
type Record struct {
	// Start is the start of /init of a cold container, else of the run; End is zero if the record has none.
	Start, End time.Time
	// Wait is the time from the arrival of the invocation until Start.
	Wait time.Duration
	// Init is the duration of /init, and Cold tells whether there was one.
	Init time.Duration
	Cold bool
	// Error says how the activation failed, "" if it succeeded.
	Error string
}

var (
	// ErrNotYet says that there is no record of an activation, yet.
	ErrNotYet = errors.New("there is no record yet")
	// ErrImpossible says that an id cannot be one of an activation.
	ErrImpossible = errors.New("no activation can have this id")
)

// FailureKind says what an asker should do about a failure.
type FailureKind int

const (
	// Unavailable: no answer, or none of sense. Try later.
	Unavailable FailureKind = iota
	// Refused: the key is wrong or not allowed to read activations.
	Refused
	// Throttled: too many requests. Try after RetryAfter.
	Throttled
)

// Failure is the error of a request that OpenWhisk did not answer as it should.
type Failure struct {
	Kind       FailureKind
	RetryAfter time.Duration // 0 if it named none
	Err        error
}

// Error says what happened.
func (f *Failure) Error() string { return f.Err.Error() }

// Unwrap returns the cause.
func (f *Failure) Unwrap() error { return f.Err }

// Options says where OpenWhisk is.
type Options struct {
	Base *url.URL // of the API, ending in /api
	// Key is user:password. KeyFile is the name of a file with it, read when Key is empty, and again after a refusal.
	Key, KeyFile string
	// CheckKey reports what is wrong with a key from the file; it may be nil.
	CheckKey    func(key string) error
	TLS         *tls.Config
	Timeout     time.Duration // of a request
	Connections int           // kept
}

// maxBody bounds an answer. A result is at most 1 MiB and logs are 10 MB by default.
const maxBody = 32 << 20

// client is a Client over openwhisk-client-go, whose own client serves one goroutine at a time and knows no context.
type client struct {
	opts      Options
	transport *http.Transport

	mu   sync.Mutex
	key  string
	idle []*connection
}

// connection is one client of the library, with the context of the request that it is used for.
type connection struct {
	ctx  context.Context
	base http.RoundTripper
	api  *openwhisk.Client
	key  string
}

// RoundTrip sends the request under the present context, and bounds the answer.
func (c *connection) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := c.base.RoundTrip(r.WithContext(c.ctx))
	if err == nil {
		resp.Body = &boundedBody{io.LimitedReader{R: resp.Body, N: maxBody + 1}, resp.Body}
	}
	return resp, err
}

// boundedBody is a body that ends in an error where it is too long.
type boundedBody struct {
	limited io.LimitedReader
	io.Closer
}

func (b *boundedBody) Read(p []byte) (int, error) {
	n, err := b.limited.Read(p)
	if b.limited.N <= 0 {
		return n, fmt.Errorf("the answer is longer than %d MiB", maxBody>>20)
	}
	return n, err
}

// New returns a client; it makes no request yet. A key file that cannot be read is an error.
func New(opts Options) (Client, error) {
	c := &client{opts: opts, key: opts.Key}
	c.transport = http.DefaultTransport.(*http.Transport).Clone()
	c.transport.TLSClientConfig = opts.TLS
	c.transport.MaxIdleConnsPerHost = max(opts.Connections, 2)
	if opts.KeyFile != "" {
		if err := c.readKey(); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// readKey takes the key from its file; a connection with another is not used again.
func (c *client) readKey() error {
	text, err := os.ReadFile(c.opts.KeyFile)
	if err != nil {
		return fmt.Errorf("key file: %w", err)
	}
	key := strings.TrimSpace(string(text))
	if c.opts.CheckKey != nil {
		if err := c.opts.CheckKey(key); err != nil {
			return fmt.Errorf("key file %s: %w", c.opts.KeyFile, err)
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if key != c.key {
		c.key, c.idle = key, nil
	}
	return nil
}

func (c *client) take(ctx context.Context) (*connection, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if n := len(c.idle); n > 0 {
		conn := c.idle[n-1]
		c.idle = c.idle[:n-1]
		conn.ctx = ctx
		return conn, nil
	}
	conn := &connection{ctx: ctx, base: c.transport, key: c.key}
	base := *c.opts.Base
	api, err := openwhisk.NewClient(&http.Client{Transport: conn}, &openwhisk.Config{
		Host: base.Host, BaseURL: &base, Version: "v1", Namespace: "_", AuthToken: c.key,
	})
	if err != nil {
		return nil, err
	}
	conn.api = api
	return conn, nil
}

func (c *client) give(conn *connection) {
	conn.ctx = context.Background()
	c.mu.Lock()
	defer c.mu.Unlock()
	if conn.key == c.key {
		c.idle = append(c.idle, conn)
	}
}

// do makes a request within the timeout, and once more with a new key if the old one is refused.
func (c *client) do(ctx context.Context, request func(*openwhisk.Client) (*http.Response, error)) (status int, err error) {
	status, failure := c.try(ctx, request)
	if failure == nil {
		return status, nil
	}
	if failure.Kind == Refused && c.opts.KeyFile != "" {
		c.mu.Lock()
		old := c.key
		c.mu.Unlock()
		if err := c.readKey(); err != nil {
			return status, &Failure{Kind: Refused, Err: fmt.Errorf("%w; %w", failure.Err, err)}
		}
		c.mu.Lock()
		changed := old != c.key
		c.mu.Unlock()
		if changed {
			if status, failure = c.try(ctx, request); failure == nil {
				return status, nil
			}
		}
	}
	return status, failure
}

// try makes a request. The status is 0 if no answer came; without a failure it is 2xx or one that only the asker can judge.
func (c *client) try(ctx context.Context, request func(*openwhisk.Client) (*http.Response, error)) (status int, failure *Failure) {
	ctx, cancel := context.WithTimeout(ctx, c.opts.Timeout)
	defer cancel()
	conn, err := c.take(ctx)
	if err != nil {
		return 0, &Failure{Kind: Unavailable, Err: err}
	}
	resp, err := request(conn.api)
	c.give(conn)
	host := c.opts.Base.Host
	switch {
	case resp == nil && err == nil:
		return 0, &Failure{Kind: Unavailable, Err: fmt.Errorf("%s: no answer", host)}
	case resp == nil && ctx.Err() != nil:
		return 0, &Failure{Kind: Unavailable, Err: fmt.Errorf("%s did not answer within %v: %w", host, c.opts.Timeout, ctx.Err())}
	case resp == nil:
		return 0, &Failure{Kind: Unavailable, Err: fmt.Errorf("%s cannot be reached: %s", host, oneLine(err))}
	}
	switch s := resp.StatusCode; {
	case s == http.StatusUnauthorized:
		return s, &Failure{Kind: Refused, Err: fmt.Errorf("%s does not accept the key (401)", host)}
	case s == http.StatusForbidden:
		return s, &Failure{Kind: Refused, Err: fmt.Errorf("%s does not allow the key to read activations (403)", host)}
	case s == http.StatusTooManyRequests:
		return s, &Failure{Throttled, retryAfter(resp.Header.Get("Retry-After")), fmt.Errorf("%s has had too many requests (429)", host)}
	case s >= 500:
		return s, &Failure{Unavailable, retryAfter(resp.Header.Get("Retry-After")), fmt.Errorf("%s answers %s", host, resp.Status)}
	case err != nil && s < 300:
		return s, &Failure{Kind: Unavailable, Err: fmt.Errorf("%s answers nonsense: %s", host, oneLine(err))}
	default:
		return s, nil
	}
}

// oneLine is the text of an error without the request that net/http puts before it; the library keeps no chain of errors.
func oneLine(err error) string {
	text := strings.Join(strings.Fields(err.Error()), " ")
	if _, cause, ok := strings.Cut(text, `": `); ok && strings.HasPrefix(text, "Get ") {
		return cause
	}
	return text
}

// retryAfter reads the header's seconds; a date, which OpenWhisk does not send, counts as none.
func retryAfter(header string) time.Duration {
	seconds, err := strconv.ParseUint(header, 10, 16)
	if err != nil {
		return 0
	}
	return time.Duration(seconds) * time.Second
}

func (c *client) Activation(ctx context.Context, id string) (Record, error) {
	if !plausible(id) {
		return Record{}, ErrImpossible
	}
	var a *openwhisk.Activation
	status, err := c.do(ctx, func(api *openwhisk.Client) (resp *http.Response, err error) {
		a, resp, err = api.Activations.Get(id)
		return resp, err
	})
	switch {
	case err != nil:
		return Record{}, err
	case status == http.StatusNotFound:
		return Record{}, ErrNotYet
	case status == http.StatusBadRequest:
		return Record{}, ErrImpossible
	case status != http.StatusOK:
		return Record{}, &Failure{Kind: Unavailable, Err: fmt.Errorf("%s answers with status %d", c.opts.Base.Host, status)}
	}
	r, err := record(a, id)
	if err != nil {
		return Record{}, &Failure{Kind: Unavailable, Err: fmt.Errorf("%s answers nonsense: %w", c.opts.Base.Host, err)}
	}
	return r, nil
}

// plausible reports whether an id can stand in a path. What exactly an id is, OpenWhisk decides.
func plausible(id string) bool {
	if id == "" || len(id) > 128 {
		return false
	}
	for _, r := range id {
		if !(r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r == '-' || r == '_') {
			return false
		}
	}
	return true
}

// record reads an activation; one that lacks its times, or is of another, is an error.
func record(a *openwhisk.Activation, id string) (Record, error) {
	if a == nil || a.ActivationID != id || a.Start <= 0 {
		return Record{}, fmt.Errorf("this is no record of activation %s", id)
	}
	r := Record{Start: time.UnixMilli(a.Start)}
	if a.End > 0 {
		r.End = time.UnixMilli(a.End)
	}
	if wait, ok := milliseconds(a.Annotations.GetValue("waitTime")); ok {
		r.Wait = wait
	}
	r.Init, r.Cold = milliseconds(a.Annotations.GetValue("initTime"))
	if !a.Success && a.Status != "success" && a.Status != "" {
		r.Error = a.Status
		if result, ok := a.Result.(map[string]any); ok {
			if text, ok := result["error"].(string); ok {
				r.Error += ": " + shorten(text)
			}
		}
	}
	return r, nil
}

// milliseconds is a number that JSON has made something else of; one that no time can be counts as none.
func milliseconds(value any) (time.Duration, bool) {
	var v float64
	switch n := value.(type) {
	case float64:
		v = n
	case json.Number:
		var err error
		if v, err = n.Float64(); err != nil {
			return 0, false
		}
	default:
		return 0, false
	}
	const year = 365 * 24 * 3600 * 1000
	if !(v >= 0 && v <= year) {
		return 0, false
	}
	return time.Duration(v * float64(time.Millisecond)), true
}

// shorten keeps a function's own message at a length that fits a status.
func shorten(text string) string {
	const most = 256
	text = strings.ToValidUTF8(text, "\uFFFD")
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "") + "…"
}

func (c *client) Check(ctx context.Context) error {
	status, err := c.do(ctx, func(api *openwhisk.Client) (*http.Response, error) {
		_, resp, err := api.Activations.List(&openwhisk.ActivationListOptions{Limit: 1})
		return resp, err
	})
	if err != nil {
		return err
	}
	if status != http.StatusOK {
		return fmt.Errorf("%s answers with status %d: is it OpenWhisk?", c.opts.Base.Host, status)
	}
	return nil
}

func (c *client) Close() { c.transport.CloseIdleConnections() }
