package whisk

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"
	"time"
)

// Server is an HTTP server that answers in JSON.
type Server struct {
	// Name names the server in errors, with its address.
	Name string
	// Base is the address that the paths of requests are joined to.
	Base *url.URL
	// HTTP makes the requests; nil stands for http.DefaultClient.
	HTTP *http.Client
	// Timeout bounds each request including its answer; 0 leaves that to the context.
	Timeout time.Duration
	// MaxAnswer is the size of the largest answer that is read, in bytes; 0 stands for 64 MiB.
	MaxAnswer int64
	// UserAgent is sent with each request, unless it is empty.
	UserAgent string
}

// Request is a request to a [Server].
type Request struct {
	Method string
	// Path is joined to the server's base. Its segments are escaped.
	Path  string
	Query url.Values
	// Key is sent by basic authentication; it is user:password, or empty for none.
	Key string
	// Body is sent as JSON, unless it is nil.
	Body any
	// Protobuf is sent in place of Body, unless it is nil: a message of protocol buffers.
	Protobuf []byte
	// Timeout takes the place of the server's unless it is 0.
	Timeout time.Duration
	// Check is called when the answer has been decoded, and reports what makes it nonsense all the same; it may be nil.
	Check func() error
	// Header is sent too.
	Header http.Header
	// Optional lets an answer be empty; what answer points to is then left as it is.
	Optional bool
	// Failures are statuses from 300 on with which the server may answer in the same form as with 2xx. An answer of such a status that has not
	// that form, or does not pass Check, is an error of the status.
	Failures []int
}

// NewHTTPClient returns an HTTP client with a transport of its own, which keeps up to so many idle connections to a host. With insecure it
// does not check certificates. Idle connections are closed after 20 s: servers close theirs later, so that no request meets a
// connection that is just being closed.
func NewHTTPClient(insecure bool, connections int) *http.Client {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.TLSClientConfig = &tls.Config{InsecureSkipVerify: insecure} //nolint:gosec // the user asks for it
	t.MaxIdleConnsPerHost = max(connections, 2)
	t.IdleConnTimeout = 20 * time.Second
	return &http.Client{Transport: t}
}

// Do makes a request and decodes the answer into the struct or slice that answer points to; nil discards it. An answer that is not a
// JSON document of that form is Nonsense: null, a list where an object is due, half a document. Every error is an *Error, but that of a
// request that cannot be written.
func (s *Server) Do(ctx context.Context, r Request, answer any) error {
	request, err := s.request(ctx, r)
	if err != nil {
		return fmt.Errorf("%s: %w", s.Name, err)
	}
	timeout := r.Timeout
	if timeout == 0 {
		timeout = s.Timeout
	}
	bounded := ctx
	if timeout > 0 {
		var cancel context.CancelFunc
		bounded, cancel = context.WithTimeout(ctx, timeout)
		defer cancel()
	}
	var connection connectionTrace
	request = request.WithContext(httptrace.WithClientTrace(bounded, connection.hooks()))
	response, err := s.client().Do(request)
	if err != nil {
		return s.noAnswer(ctx, err, connection.maybeSent(err))
	}
	defer response.Body.Close()
	if response.StatusCode < 200 || response.StatusCode > 299 {
		most := int64(1 << 16) // half of what it says is better than nothing
		expected := slices.Contains(r.Failures, response.StatusCode)
		if expected {
			most = s.most()
		}
		text, _ := io.ReadAll(io.LimitReader(response.Body, most))
		if expected && decode(text, answer) == nil && (r.Check == nil || r.Check() == nil) {
			return nil
		}
		says, inJSON := errorText(response.Header, text)
		if elsewhere := RedirectedTo(response); elsewhere != "" {
			says = "it is at " + elsewhere
		}
		e := statusError(s.Name, response.StatusCode, response.Header.Get("Retry-After"), says)
		e.inJSON = inJSON
		return e
	}
	text, err := s.read(response.Body, answer == nil)
	if err != nil && !errors.Is(err, ErrTooLong) {
		return s.noAnswer(ctx, err, true)
	}
	if r.Optional && len(bytes.TrimSpace(text)) == 0 {
		answer = nil
	}
	if err == nil && answer != nil {
		if err = decode(text, answer); err == nil && r.Check != nil {
			err = r.Check()
		}
	}
	if err != nil {
		return &Error{Kind: Nonsense, Server: s.Name, Status: response.StatusCode, Text: OneLine(err.Error()), MaybeProcessed: true, cause: err}
	}
	return nil
}

// client returns the client that makes the requests, with [KeepMethod] unless it has a policy of its own.
func (s *Server) client() *http.Client {
	client := s.HTTP
	if client == nil {
		client = http.DefaultClient
	}
	if client.CheckRedirect == nil {
		careful := *client
		careful.CheckRedirect = KeepMethod
		client = &careful
	}
	return client
}

func (s *Server) request(ctx context.Context, r Request) (*http.Request, error) {
	u := s.Base.JoinPath(r.Path)
	u.RawQuery = r.Query.Encode()
	var body io.Reader
	contentType := "application/json"
	switch {
	case r.Protobuf != nil:
		body, contentType = bytes.NewReader(r.Protobuf), "application/x-protobuf"
	case r.Body != nil:
		text, err := json.Marshal(r.Body)
		if err != nil {
			return nil, err
		}
		body = bytes.NewReader(text)
	}
	request, err := http.NewRequestWithContext(ctx, r.Method, u.String(), body)
	if err != nil {
		return nil, err
	}
	maps.Copy(request.Header, r.Header)
	if body != nil {
		request.Header.Set("Content-Type", contentType)
	}
	if s.UserAgent != "" {
		request.Header.Set("User-Agent", s.UserAgent)
	}
	if r.Key != "" {
		user, password, _ := strings.Cut(r.Key, ":")
		request.SetBasicAuth(user, password)
	}
	return request, nil
}

// connectionTrace follows whether a request was given a connection.
type connectionTrace struct {
	asked, got atomic.Bool
}

func (t *connectionTrace) hooks() *httptrace.ClientTrace {
	return &httptrace.ClientTrace{
		GetConn: func(string) { t.asked.Store(true) },
		GotConn: func(httptrace.GotConnInfo) { t.got.Store(true) },
	}
}

// maybeSent reports whether a request that err ended may have reached the server. A transport that does not call the hooks may have sent
// it, unless it could not connect.
func (t *connectionTrace) maybeSent(err error) bool {
	var op *net.OpError
	dialling := errors.As(err, &op) && op.Op == "dial"
	return t.got.Load() || !t.asked.Load() && !dialling
}

// noAnswer returns the error of a request that err ended. Where the caller's context is done, that is the cause.
func (s *Server) noAnswer(ctx context.Context, err error, maybeSent bool) *Error {
	if ctx.Err() != nil {
		err = ctx.Err()
	}
	return connectionError(s.Name, err, maybeSent)
}

// ErrTooLong is in the chain of the error of an answer that is longer than [Server.MaxAnswer].
var ErrTooLong = errors.New("the answer is too long")

// read reads the whole body, or with discard only to its end, for the sake of the connection.
func (s *Server) read(body io.Reader, discard bool) ([]byte, error) {
	most := s.most()
	body = io.LimitReader(body, most+1)
	if discard {
		_, err := io.Copy(io.Discard, body)
		return nil, err
	}
	text, err := io.ReadAll(body)
	if err == nil && int64(len(text)) > most {
		err = fmt.Errorf("%w, more than %d bytes", ErrTooLong, most)
	}
	return text, err
}

// most returns the size of the largest answer that is read.
func (s *Server) most() int64 {
	if s.MaxAnswer == 0 {
		return 64 << 20
	}
	return s.MaxAnswer
}

// decode decodes a JSON document into the struct, map or slice that answer points to.
func decode(text []byte, answer any) error {
	switch kind := reflect.TypeOf(answer).Elem().Kind(); {
	case kind == reflect.Slice && !startsWith(text, '['):
		return errors.New("a list is due, and this is " + describe(text))
	case kind != reflect.Slice && !startsWith(text, '{'):
		return errors.New("an object is due, and this is " + describe(text))
	}
	return json.Unmarshal(text, answer)
}

func startsWith(text []byte, first byte) bool {
	text = bytes.TrimLeft(text, " \t\r\n")
	return len(text) > 0 && text[0] == first
}

// describe says what a text is instead.
func describe(text []byte) string {
	text = bytes.TrimSpace(text)
	switch {
	case len(text) == 0:
		return "nothing"
	case !json.Valid(text):
		return "no JSON: " + shorten(string(text), 40)
	case text[0] == '[':
		return "a list"
	case text[0] == '{':
		return "an object"
	}
	return shorten(string(text), 40)
}

// errorText returns what an answer says about an error, and whether it says so as OpenWhisk does: in JSON, as "error". Other servers send plain text,
// some without saying that it is.
func errorText(header http.Header, text []byte) (says string, inJSON bool) {
	var body struct {
		Error any `json:"error"`
	}
	if json.Unmarshal(text, &body) == nil {
		if s, ok := body.Error.(string); ok {
			return s, true
		}
	}
	if contentType := header.Get("Content-Type"); contentType == "" || strings.HasPrefix(contentType, "text/plain") {
		return string(text), false
	}
	return "", false
}
