package openwhisk

import (
	"context"
	"net/http"
	"strings"
	"time"
)

// checkCollector sends a collector no spans, as functions send theirs. An *Error with a status says that what answers is no collector;
// one without, that it cannot be reached from here, which need not mean that the functions cannot.
func checkCollector(ctx context.Context, address string, insecure bool) error {
	base, err := parseAddress(address)
	if err != nil {
		return err
	}
	name := "the collector at " + shown(base)
	transport := newTransport(insecure, 1)
	defer transport.CloseIdleConnections()
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, base.JoinPath("v1/traces").String(), strings.NewReader("{}"))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/json")
	response, err := (&http.Client{Transport: transport}).Do(r)
	if err != nil {
		return noAnswer(name, err, false)
	}
	if _, err := readAnswer(response); err != nil {
		return noAnswer(name, err, false)
	}
	switch s := response.StatusCode; {
	case s < 300, s == http.StatusTooManyRequests, s >= 500:
		return nil // it is one, if not at its best
	default:
		e := statusError(name, response, "it takes no spans over OTLP/HTTP")
		if e.Kind == NotFound || e.Kind == Rejected {
			e.Kind = Rejected
		}
		return e
	}
}
