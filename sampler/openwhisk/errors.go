package openwhisk

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

// Kind tells errors of a server apart by what whoever sees one should do.
type Kind int

// The kinds of errors.
const (
	Unreachable Kind = iota // no answer: is the address right, is the server up?
	Certificate             // its certificate is not trusted, or it speaks no TLS
	WrongKey                // 401
	NotAllowed              // 403
	NotFound                // 404
	TooLarge                // 413
	Throttled               // 429, or 503 with Retry-After: later
	ServerError             // 5xx
	Rejected                // another status
	Nonsense                // no answer that the server in question would give
)

// Error is a request that a server did not answer as it should. Its text is one line, without the key.
type Error struct {
	Kind Kind
	// Server is what was asked: OpenWhisk, Zipkin or the collector, with its address.
	Server string
	// Status is that of the answer, 0 if none came.
	Status int
	// Text is what the server says, or why there is no answer.
	Text string
	// RetryAfter is how long the server asks to wait, 0 if it does not say.
	RetryAfter time.Duration
	// MaybeTaken tells that the server may have acted on the request all the same.
	MaybeTaken bool

	cause error
}

// Error says in one line what happened.
func (e *Error) Error() string {
	said := ""
	if e.Text != "" {
		said = ": " + e.Text
	}
	switch e.Kind {
	case Unreachable:
		return fmt.Sprintf("%s cannot be reached%s", e.Server, said)
	case Certificate:
		return fmt.Sprintf("%s: no trusted connection%s", e.Server, said)
	case WrongKey:
		return fmt.Sprintf("%s does not accept the key (401)", e.Server)
	case NotAllowed:
		return fmt.Sprintf("%s does not allow this to the key (403)%s", e.Server, said)
	case NotFound:
		return fmt.Sprintf("%s does not have this (404)%s", e.Server, said)
	case TooLarge:
		return fmt.Sprintf("this is too large for %s (413)%s", e.Server, said)
	case Throttled:
		return fmt.Sprintf("%s has had too many requests (%d)%s", e.Server, e.Status, said)
	case ServerError:
		return fmt.Sprintf("%s fails (%d)%s", e.Server, e.Status, said)
	case Rejected:
		return fmt.Sprintf("%s refuses (%d)%s", e.Server, e.Status, said)
	default:
		return fmt.Sprintf("%s answers nonsense%s", e.Server, said)
	}
}

// Unwrap returns the error of the connection, if it was one.
func (e *Error) Unwrap() error { return e.cause }

// kindOf is the kind of an *Error, −1 of another.
func kindOf(err error) Kind {
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return -1
}

// passing tells whether the same request may go well later.
func (e *Error) passing() bool {
	return e.Kind == Unreachable || e.Kind == Throttled || e.Kind == ServerError || e.Kind == Nonsense
}

// noAnswer is the error of a request that err ended.
func noAnswer(server string, err error, sent bool) *Error {
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err
	}
	e := &Error{Kind: Unreachable, Server: server, Text: oneLine(err.Error()), MaybeTaken: sent, cause: err}
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
		e.Kind = Certificate
		e.Text += "; -insecure does without"
	case errors.As(err, &noRecord), strings.Contains(e.Text, "server gave HTTP response to HTTPS client"):
		e.Kind = Certificate
		e.Text = "it speaks HTTP, not HTTPS: give the address with http://"
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		e.Text = "no answer in time"
	}
	return e
}

// statusError is the error of an answer with a status that is none of success.
func statusError(server string, response *http.Response, text string) *Error {
	e := &Error{Server: server, Status: response.StatusCode, Text: strings.TrimSuffix(oneLine(text), "."), RetryAfter: retryAfter(response.Header.Get("Retry-After"))}
	switch s := response.StatusCode; {
	case s == http.StatusUnauthorized:
		e.Kind = WrongKey
	case s == http.StatusForbidden:
		e.Kind = NotAllowed
	case s == http.StatusNotFound:
		e.Kind = NotFound
	case s == http.StatusRequestEntityTooLarge:
		e.Kind = TooLarge
	case s == http.StatusTooManyRequests, s == http.StatusServiceUnavailable:
		e.Kind = Throttled
		if s == http.StatusServiceUnavailable && e.RetryAfter == 0 {
			e.Kind = ServerError
		}
	case s >= 500:
		e.Kind, e.MaybeTaken = ServerError, true
	default:
		e.Kind = Rejected
	}
	return e
}

// oneLine shortens a text to a line that fits a message.
func oneLine(text string) string {
	const most = 300
	text = strings.Join(strings.Fields(strings.ToValidUTF8(text, "\uFFFD")), " ")
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + "…"
	}
	return text
}

// retryAfter reads the header's seconds, at most an hour; a date, which neither OpenWhisk nor Zipkin sends, counts as none.
func retryAfter(header string) time.Duration {
	seconds, err := strconv.ParseUint(strings.TrimSpace(header), 10, 32)
	if err != nil {
		return 0
	}
	return time.Duration(min(seconds, 3600)) * time.Second
}
