// Package zipkinapi is a client of the part of Zipkin's API, version 2, that traces are fetched with.
package zipkinapi

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/tppfaas/tppfaas/internal/whisk"
)

// Client is a client of one server.
type Client struct {
	Server whisk.Server
}

// New returns a client of the server at an address without /api/v2, which keeps up to so many idle connections.
func New(base *url.URL, insecure bool, connections int, timeout time.Duration) *Client {
	return &Client{whisk.Server{
		Name: "Zipkin at " + whisk.DisplayAddress(base), Base: base, HTTP: whisk.NewHTTPClient(insecure, connections), Timeout: timeout,
	}}
}

// Close closes idle connections.
func (c *Client) Close() { c.Server.HTTP.CloseIdleConnections() }

// Get decodes the answer to a query into what into points to. The answer is nonsense if check reports what is wrong with it; check may be
// nil.
func (c *Client) Get(ctx context.Context, path string, query url.Values, into any, check func() error) error {
	err := c.Server.Do(ctx, whisk.Request{Method: http.MethodGet, Path: "api/v2/" + path, Query: query, Check: check}, into)
	var e *whisk.Error
	if errors.As(err, &e) && e.Kind == whisk.Nonsense {
		e.Text = "not the traces it was asked for: " + e.Text
	}
	return err
}

// Window returns the part of a query for traces that says when they began, to the millisecond, and how many at most are wanted.
func Window(from, to time.Time, limit int) url.Values {
	return url.Values{
		"endTs":    {strconv.FormatInt(to.UnixMilli(), 10)},
		"lookback": {strconv.FormatInt(to.UnixMilli()-from.UnixMilli(), 10)},
		"limit":    {strconv.Itoa(limit)},
	}
}
