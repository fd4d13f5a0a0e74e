package openwhisk

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/tppfaas/tppfaas/internal/whisk"
)

// checkCollector sends no spans to a collector, in the way in which functions send theirs. An *whisk.Error with a status says that what
// answers is no collector. One without says that the collector cannot be reached from here, which need not mean that the functions cannot
// reach it.
func checkCollector(ctx context.Context, address string, insecure bool) error {
	base, err := whisk.ParseAddress(address)
	if err != nil {
		return err
	}
	server := whisk.Server{
		Name: "the collector at " + whisk.DisplayAddress(base), Base: base, HTTP: whisk.NewHTTPClient(insecure, 1), Timeout: 5 * time.Second,
	}
	defer server.HTTP.CloseIdleConnections()
	err = server.Do(ctx, whisk.Request{Method: http.MethodPost, Path: "v1/traces", Body: struct{}{}}, nil)
	var e *whisk.Error
	if !errors.As(err, &e) || e.Status == 0 {
		return err
	}
	switch e.Kind {
	case whisk.Throttled, whisk.Overloaded, whisk.ServerError:
		return nil // it is a collector that has trouble
	case whisk.NotFound:
		e.Kind = whisk.Rejected
	}
	e.Text = "it takes no spans over OTLP/HTTP"
	return e
}
