package httpclient

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/tppfaas/tppfaas/internal/whisk"
)

// Options says how to ask. The zero value asks once, as nobody, and reads what comes.
type Options struct {
	// Username and Password or PasswordFile, or Token or TokenFile, authenticate requests; over https, or on loopback. Files are read for each
	// request, since secrets are renewed.
	Username, Password, PasswordFile string
	Token, TokenFile                 string
	// CAFile has the certificates of those who sign the server's; InsecureSkipVerify trusts any. CertFile and KeyFile are the client's own.
	CAFile, CertFile, KeyFile string
	InsecureSkipVerify        bool
	// MaxAnswer is the size of the largest answer that is read, in bytes; 0 bounds nothing.
	MaxAnswer int64
	// Attempts is how often a request is sent at most where the server does not answer, cuts its answer, or answers 429 or 5xx; 0 stands for once.
	// Timeout bounds each attempt with its answer; 0 bounds nothing. With either, answers are read whole before they are handed on, so MaxAnswer should be set.
	Attempts int
	Timeout  time.Duration
	// FirstPause is that before the second attempt; later ones double. 0 stands for 250 ms. A server may ask for more.
	FirstPause time.Duration
	// Final reports that to ask again is in vain, by what an answer of 429 or 5xx says; nil never does. It is called only with more than one attempt.
	Final func(answer []byte) bool
	// OnPause is called before each pause; it may be nil.
	OnPause func(err error, pause time.Duration)
	// Connections are kept open while they are idle; 0 stands for 2.
	Connections int
}

// Transport is an http.RoundTripper for one server.
type Transport struct {
	next    *http.Transport
	base    *url.URL
	options Options
}

// New returns a transport for the server at base; name says who that is, in errors. It makes no request yet.
func New(name string, base *url.URL, o Options) (*Transport, error) {
	password, token := o.Password != "" || o.PasswordFile != "", o.Token != "" || o.TokenFile != ""
	switch {
	case o.Password != "" && o.PasswordFile != "" || o.Token != "" && o.TokenFile != "":
		return nil, fmt.Errorf("%s: a secret, or a file with it, not both", name)
	case token && (password || o.Username != ""):
		return nil, fmt.Errorf("%s: a token, or a user and a password, not both", name)
	case (o.Username == "") == password:
		return nil, fmt.Errorf("%s: a user needs a password, and a password its user", name)
	case (password || token || base.User != nil) && base.Scheme != "https" && !whisk.IsLoopback(base):
		return nil, fmt.Errorf("%s: over http everyone on the way could read the password or token: it needs https", name)
	case (o.CertFile == "") != (o.KeyFile == ""):
		return nil, fmt.Errorf("%s: a certificate needs its key, and a key its certificate", name)
	}
	next := http.DefaultTransport.(*http.Transport).Clone()
	next.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: o.InsecureSkipVerify} //nolint:gosec // the user asks for it
	next.IdleConnTimeout = 2 * time.Minute
	next.MaxIdleConnsPerHost = o.Connections
	if o.CAFile != "" {
		text, err := os.ReadFile(o.CAFile)
		if err != nil {
			return nil, fmt.Errorf("%s: the certificates of authorities: %w", name, err)
		}
		pool := x509.NewCertPool()
		if !pool.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("%s: %s has no certificates", name, o.CAFile)
		}
		next.TLSClientConfig.RootCAs = pool
	}
	if o.CertFile != "" {
		own, err := tls.LoadX509KeyPair(o.CertFile, o.KeyFile)
		if err != nil {
			return nil, fmt.Errorf("%s: the client's certificate %s: %w", name, o.CertFile, err)
		}
		next.TLSClientConfig.Certificates = []tls.Certificate{own}
	}
	return &Transport{next, base, o}, nil
}

// CloseIdleConnections closes the connections that are not in use.
func (t *Transport) CloseIdleConnections() { t.next.CloseIdleConnections() }

// RoundTrip sends a request, and again where that may help. The secrets go to the server of the transport alone, wherever it redirects to.
func (t *Transport) RoundTrip(r *http.Request) (*http.Response, error) {
	for failures := 0; ; failures++ {
		response, err := t.attempt(r)
		var asked time.Duration
		failure := err
		switch {
		case err != nil && !passes(err):
			return nil, err
		case err == nil && response.StatusCode != http.StatusTooManyRequests && response.StatusCode < 500:
			return response, nil
		case err == nil:
			failure = fmt.Errorf("it answered %s", response.Status)
			asked = retryAfter(response.Header.Get("Retry-After"))
		}
		if failures+1 >= t.options.Attempts || r.Context().Err() != nil || t.isFinal(response) || r.Body != nil && r.GetBody == nil {
			return response, err
		}
		pause := whisk.Retry{First: t.options.FirstPause}.Pause(failures, &whisk.Error{RetryAfter: asked})
		if t.options.OnPause != nil {
			t.options.OnPause(failure, pause)
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-r.Context().Done():
			timer.Stop()
			return response, err
		}
		if r.GetBody != nil {
			body, err := r.GetBody()
			if err != nil {
				return nil, err
			}
			r = r.Clone(r.Context())
			r.Body = body
		}
	}
}

// isFinal asks Final of an answer, which may be nil and was read whole.
func (t *Transport) isFinal(response *http.Response) bool {
	if response == nil || t.options.Final == nil {
		return false
	}
	text, err := io.ReadAll(response.Body)
	response.Body = io.NopCloser(bytes.NewReader(text))
	return err == nil && t.options.Final(text)
}

// attempt sends a request once.
func (t *Transport) attempt(r *http.Request) (*http.Response, error) {
	ctx, cancel := r.Context(), context.CancelFunc(func() {})
	if t.options.Timeout > 0 {
		ctx, cancel = context.WithTimeout(ctx, t.options.Timeout)
	}
	defer cancel()
	r = r.Clone(ctx)
	if r.URL.Host == t.base.Host && r.URL.Scheme == t.base.Scheme {
		if err := t.authenticate(r); err != nil {
			if r.Body != nil {
				r.Body.Close()
			}
			return nil, err
		}
	}
	response, err := t.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	if t.options.MaxAnswer > 0 {
		response.Body = &bounded{response.Body, t.options.MaxAnswer, t.options.MaxAnswer}
	}
	if t.options.Attempts <= 1 && t.options.Timeout <= 0 {
		return response, nil
	}
	text, err := io.ReadAll(response.Body)
	response.Body.Close()
	if err != nil {
		return nil, err
	}
	response.Body = io.NopCloser(bytes.NewReader(text))
	return response, nil
}

func (t *Transport) authenticate(r *http.Request) error {
	token, password := t.options.Token, t.options.Password
	var err error
	if t.options.TokenFile != "" {
		if token, err = readSecret(t.options.TokenFile); err != nil {
			return &secretError{"token", err}
		}
	}
	if t.options.PasswordFile != "" {
		if password, err = readSecret(t.options.PasswordFile); err != nil {
			return &secretError{"password", err}
		}
	}
	switch {
	case token != "":
		r.Header.Set("Authorization", "Bearer "+token)
	case t.options.Username != "":
		r.SetBasicAuth(t.options.Username, password)
	case t.base.User != nil:
		password, _ := t.base.User.Password()
		r.SetBasicAuth(t.base.User.Username(), password)
	}
	return nil
}

// secretError says that a secret cannot be read.
type secretError struct {
	what string
	err  error
}

func (e *secretError) Error() string { return "the " + e.what + ": " + e.err.Error() }

func (e *secretError) Unwrap() error { return e.err }

func readSecret(file string) (string, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	secret := strings.TrimSpace(string(text))
	if secret == "" || strings.ContainsFunc(secret, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return "", fmt.Errorf("%s: it should have one line", file)
	}
	return secret, nil
}

// TooLongError is that of an answer that is longer than MaxAnswer, which it holds.
type TooLongError int64

func (e TooLongError) Error() string {
	return fmt.Sprintf("the answer has more than %d bytes", int64(e))
}

// passes reports whether a request that failed so may succeed when it is sent again.
func passes(err error) bool {
	var certificate *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	var dns *net.DNSError
	var secret *secretError
	var long TooLongError
	switch {
	case errors.As(err, &long), errors.As(err, &certificate), errors.As(err, &record), errors.As(err, &secret),
		errors.As(err, &dns) && dns.IsNotFound, strings.Contains(err.Error(), "HTTP response to HTTPS client"):
		return false
	}
	return true
}

// retryAfter reads the seconds of a Retry-After header, at most a minute; a date counts as none.
func retryAfter(header string) time.Duration {
	seconds, err := strconv.ParseUint(strings.TrimSpace(header), 10, 32)
	if err != nil {
		return 0
	}
	return time.Duration(min(seconds, 60)) * time.Second
}

// bounded is a body that ends with an error if it is too long.
type bounded struct {
	body       io.ReadCloser
	left, most int64
}

func (b *bounded) Read(p []byte) (int, error) {
	n, err := b.body.Read(p)
	if b.left -= int64(n); b.left < 0 {
		return 0, TooLongError(b.most)
	}
	return n, err
}

func (b *bounded) Close() error { return b.body.Close() }

// Plain returns the text of the error of a request, without its address, which is long and known.
func Plain(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return errNoAnswer{err}
	}
	return err
}

// errNoAnswer is a deadline that has passed, in words.
type errNoAnswer struct{ error }

func (errNoAnswer) Error() string { return "no answer in time" }

func (e errNoAnswer) Unwrap() error { return e.error }
