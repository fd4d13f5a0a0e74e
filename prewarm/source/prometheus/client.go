package prometheus

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/api"
	v1 "github.com/prometheus/client_golang/api/prometheus/v1"
	"github.com/prometheus/common/model"

	"github.com/tppfaas/tppfaas/internal/httpclient"
	"github.com/tppfaas/tppfaas/internal/whisk"
)

// maxAnswer is the size of the largest answer that is read, in bytes.
const maxAnswer = 32 << 20

// client asks a Prometheus.
type client struct {
	name      string // with its address, for errors
	api       v1.API
	transport *httpclient.Transport
}

// newClient returns a client; it makes no request yet.
func newClient(o *Options) (*client, error) {
	base, err := whisk.ParseAddress(o.Address)
	if err != nil {
		return nil, fmt.Errorf("the address of Prometheus, %q: %w", o.Address, err)
	}
	name := "Prometheus at " + whisk.DisplayAddress(base)
	transport, err := httpclient.New(name, base, httpclient.Options{
		Username: o.Username, PasswordFile: o.PasswordFile, TokenFile: o.TokenFile, CAFile: o.CAFile, InsecureSkipVerify: o.InsecureSkipVerify, MaxAnswer: maxAnswer,
	})
	if err != nil {
		return nil, err
	}
	c, err := api.NewClient(api.Config{Address: base.String(), RoundTripper: transport})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return &client{name: name, api: v1.NewAPI(c), transport: transport}, nil
}

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
	if e != nil && e.Detail != "" && e.Type != v1.ErrServer {
		return e.Msg + ": " + e.Detail
	}
	return httpclient.Plain(err).Error()
}
