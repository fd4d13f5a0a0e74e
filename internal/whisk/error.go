package whisk

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Kind classifies failed requests by what the caller should do about them.
type Kind int

// The kinds of failures. The zero Kind is none of them.
const (
	Unreachable  Kind = iota + 1 // no answer came: wrong address, server down, too slow, or the request was broken off
	Untrusted                    // the server's certificate is not trusted
	NoTLS                        // the server speaks HTTP, not HTTPS
	Unauthorized                 // 401: the key is wrong
	Forbidden                    // 403: the key does not allow this
	NotFound                     // 404
	Conflict                     // 409
	TooLarge                     // 413
	Throttled                    // 429: too many requests
	Overloaded                   // 503: the server cannot take the request now
	ServerError                  // any other 5xx
	Rejected                     // any other status that is not 2xx
	Nonsense                     // an answer that the server in question would not give
)

// Error is the error of a request that failed. Its text is one line and does not contain the key.
type Error struct {
	Kind Kind
	// Server names the server with its address, like "OpenWhisk at https://openwhisk.example.com".
	Server string
	// Status is the status of the answer, 0 if none came.
	Status int
	// Text is what the server says about the failure, or the reason why there is no answer; it may be empty.
	Text string
	// RetryAfter is how long the server asks to wait before the next attempt, 0 if it does not say.
	RetryAfter time.Duration
	// MaybeProcessed reports that the server may have carried the request out. Repeating it could do it twice.
	MaybeProcessed bool

	inJSON bool // Text is of an answer in JSON, as OpenWhisk's are
	cause  error
}

// Error returns the failure in one line.
func (e *Error) Error() string {
	detail := ""
	if e.Text != "" {
		detail = ": " + e.Text
	}
	switch e.Kind {
	case Unreachable:
		return fmt.Sprintf("%s cannot be reached%s", e.Server, detail)
	case Untrusted, NoTLS:
		return fmt.Sprintf("%s: no trusted connection%s", e.Server, detail)
	case Unauthorized:
		return fmt.Sprintf("%s does not accept the key (401)%s", e.Server, detail)
	case Forbidden:
		return fmt.Sprintf("%s does not allow this to the key (403)%s", e.Server, detail)
	case NotFound:
		return fmt.Sprintf("%s does not have this (404)%s", e.Server, detail)
	case TooLarge:
		return fmt.Sprintf("this is too large for %s (413)%s", e.Server, detail)
	case Throttled:
		return fmt.Sprintf("%s has had too many requests (%d)%s", e.Server, e.Status, detail)
	case Overloaded:
		if e.RetryAfter > 0 {
			return fmt.Sprintf("%s has had too many requests (%d)%s", e.Server, e.Status, detail)
		}
		return fmt.Sprintf("%s fails (%d)%s", e.Server, e.Status, detail)
	case ServerError:
		return fmt.Sprintf("%s fails (%d)%s", e.Server, e.Status, detail)
	case Conflict, Rejected:
		return fmt.Sprintf("%s refuses (%d)%s", e.Server, e.Status, detail)
	default:
		return fmt.Sprintf("%s answers nonsense%s", e.Server, detail)
	}
}

// Unwrap returns the underlying error, such as that of the connection or of the context; nil if there is none.
func (e *Error) Unwrap() error { return e.cause }

// Temporary reports whether the same request may succeed later.
func (e *Error) Temporary() bool {
	switch e.Kind {
	case Unreachable, Throttled, Overloaded, ServerError, Nonsense:
		return true
	}
	return false
}

// AsksToWait reports whether the server is well and only wants fewer requests: 429, or 503 with Retry-After.
func (e *Error) AsksToWait() bool {
	return e.Kind == Throttled || e.Kind == Overloaded && e.RetryAfter > 0
}

// KindOf returns the kind of the *Error in err's chain, 0 if there is none.
func KindOf(err error) Kind {
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return 0
}

// connectionError returns the error of a request that err ended before a whole answer came.
func connectionError(server string, err error, maybeProcessed bool) *Error {
	for {
		var u *url.Error // its text repeats the URL
		if !errors.As(err, &u) || u.Err == nil {
			break
		}
		err = u.Err
	}
	e := &Error{Kind: Unreachable, Server: server, Text: OneLine(err.Error()), MaybeProcessed: maybeProcessed, cause: err}
	var (
		unknown  x509.UnknownAuthorityError
		host     x509.HostnameError
		invalid  x509.CertificateInvalidError
		verify   *tls.CertificateVerificationError
		noRecord tls.RecordHeaderError
		timeout  net.Error
	)
	switch {
	case errors.As(err, &unknown), errors.As(err, &host), errors.As(err, &invalid), errors.As(err, &verify):
		e.Kind = Untrusted
	case errors.As(err, &noRecord), strings.Contains(e.Text, "server gave HTTP response to HTTPS client"):
		e.Kind, e.Text = NoTLS, "it speaks HTTP, not HTTPS: give the address with http://"
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		e.Text = "no answer in time"
	case errors.Is(err, context.Canceled):
		e.Text = "broken off"
	}
	return e
}

// statusError returns the error of an answer whose status is not 2xx, of which the server says text.
func statusError(server string, status int, retryAfter string, text string) *Error {
	e := &Error{Server: server, Status: status, Text: strings.TrimSuffix(OneLine(text), "."), RetryAfter: parseRetryAfter(retryAfter)}
	switch {
	case status == http.StatusUnauthorized:
		e.Kind, e.Text = Unauthorized, "" // it says no more than that
	case status == http.StatusForbidden:
		e.Kind = Forbidden
	case status == http.StatusNotFound:
		e.Kind = NotFound
	case status == http.StatusConflict:
		e.Kind = Conflict
	case status == http.StatusRequestEntityTooLarge:
		e.Kind = TooLarge
	case status == http.StatusTooManyRequests:
		e.Kind = Throttled
	case status == http.StatusServiceUnavailable:
		e.Kind = Overloaded
	case status >= 500:
		e.Kind, e.MaybeProcessed = ServerError, true
	default:
		e.Kind = Rejected
	}
	return e
}

// parseRetryAfter reads the seconds of a Retry-After header, at most an hour. A date counts as none: OpenWhisk sends none.
func parseRetryAfter(header string) time.Duration {
	seconds, err := strconv.ParseUint(strings.TrimSpace(header), 10, 32)
	if err != nil {
		return 0
	}
	return time.Duration(min(seconds, 3600)) * time.Second
}

// OneLine returns a text as one line that fits a message: without line breaks, and at most some 300 bytes long.
func OneLine(text string) string {
	return shorten(strings.Join(strings.Fields(strings.ToValidUTF8(text, "\uFFFD")), " "), 300)
}

// shorten cuts a text off after most bytes.
func shorten(text string, most int) string {
	text = strings.ToValidUTF8(text, "\uFFFD")
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "") + "…"
}
