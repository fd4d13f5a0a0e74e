package prometheus

import (
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
	"strings"
	"time"

	"github.com/prometheus/client_golang/api"
	v1 "github.com/prometheus/client_golang/api/prometheus/v1"
	"github.com/prometheus/common/model"

	"github.com/tppfaas/tppfaas/internal/whisk"
)

// maxAnswer is the size of the largest answer that is read, in bytes.
const maxAnswer = 32 << 20

// client asks a Prometheus.
type client struct {
	name      string // with its address, for errors
	api       v1.API
	transport *http.Transport
}

// newClient returns a client; it makes no request yet.
func newClient(o *Options) (*client, error) {
	base, err := whisk.ParseAddress(o.Address)
	if err != nil {
		return nil, fmt.Errorf("the address of Prometheus, %q: %w", o.Address, err)
	}
	name := "Prometheus at " + whisk.DisplayAddress(base)
	secret := o.PasswordFile != "" || o.TokenFile != "" || base.User != nil
	switch {
	case o.TokenFile != "" && (o.PasswordFile != "" || o.Username != ""):
		return nil, fmt.Errorf("%s: a token, or a user and a password, not both", name)
	case (o.Username == "") != (o.PasswordFile == ""):
		return nil, fmt.Errorf("%s: a user needs a password, and a password its user", name)
	case secret && base.Scheme != "https" && !isLoopback(base):
		return nil, fmt.Errorf("%s: over http everyone on the way could read the password or token: it needs https", name)
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: o.InsecureSkipVerify} //nolint:gosec // the user asks for it
	transport.IdleConnTimeout = 2 * time.Minute
	if o.CAFile != "" {
		text, err := os.ReadFile(o.CAFile)
		if err != nil {
			return nil, fmt.Errorf("%s: the certificates of authorities: %w", name, err)
		}
		pool := x509.NewCertPool()
		if !pool.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("%s: %s has no certificates", name, o.CAFile)
		}
		transport.TLSClientConfig.RootCAs = pool
	}
	c, err := api.NewClient(api.Config{Address: base.String(), RoundTripper: &roundTripper{transport, *o}})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return &client{name: name, api: v1.NewAPI(c), transport: transport}, nil
}

func isLoopback(u *url.URL) bool {
	ip := net.ParseIP(u.Hostname())
	return strings.EqualFold(u.Hostname(), "localhost") || ip != nil && ip.IsLoopback()
}

// roundTripper authenticates requests, and bounds answers.
type roundTripper struct {
	next    http.RoundTripper
	options Options
}

func (t *roundTripper) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	switch { // the files are read each time, since tokens are renewed
	case t.options.TokenFile != "":
		token, err := readSecret(t.options.TokenFile)
		if err != nil {
			return nil, fmt.Errorf("the token: %w", err)
		}
		r.Header.Set("Authorization", "Bearer "+token)
	case t.options.PasswordFile != "":
		password, err := readSecret(t.options.PasswordFile)
		if err != nil {
			return nil, fmt.Errorf("the password: %w", err)
		}
		r.SetBasicAuth(t.options.Username, password)
	}
	response, err := t.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	response.Body = &bounded{body: response.Body, left: maxAnswer}
	return response, nil
}

func readSecret(file string) (string, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	return strings.TrimSpace(string(text)), nil
}

// bounded is a body that ends with an error if it is too long.
type bounded struct {
	body io.ReadCloser
	left int64
}

func (b *bounded) Read(p []byte) (int, error) {
	n, err := b.body.Read(p)
	if b.left -= int64(n); b.left < 0 {
		return 0, fmt.Errorf("the answer has more than %d bytes", maxAnswer)
	}
	return n, err
}

func (b *bounded) Close() error { return b.body.Close() }

// query asks for a vector. lost reports whether the next question would fail as well.
func (c *client) query(ctx context.Context, timeout time.Duration, text string) (vector model.Vector, lost bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	value, _, _, err := c.api.Query(ctx, text, time.Time{}, v1.WithTimeout(timeout))
	if err != nil {
		var e *v1.Error
		lost = !errors.As(err, &e) || e.Type == v1.ErrServer || e.Type == v1.ErrTimeout || e.Type == v1.ErrClient || e.Type == v1.ErrBadResponse
		return nil, lost, errors.New(whisk.OneLine(plain(err, e)))
	}
	vector, ok := value.(model.Vector)
	switch {
	case value == nil:
		return nil, true, errors.New("the answer has no result")
	case !ok:
		return nil, false, fmt.Errorf("it results in a %s, a vector is due", value.Type())
	}
	return vector, false, nil
}

// plain returns the text of an error, without the address and the query, which are long and known.
func plain(err error, e *v1.Error) string {
	var u *url.Error
	switch {
	case errors.As(err, &u) && errors.Is(u.Err, context.DeadlineExceeded):
		return "no answer in time"
	case errors.As(err, &u):
		return u.Err.Error()
	case e != nil && e.Detail != "" && e.Type != v1.ErrServer:
		return e.Msg + ": " + e.Detail
	}
	return err.Error()
}
