package openwhisk

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/tppfaas/tppfaas/internal/whisk"
)

// Preflight checks before anything is deployed that OpenWhisk answers, accepts the key, and runs actions of the kind; that Zipkin answers;
// and that what answers at the collector's address, if anything, is a collector.
func (t *Target) Preflight(ctx context.Context) error {
	if err := t.checkOpenWhisk(ctx); err != nil {
		return err
	}
	if t.options.App != nil {
		if err := t.checkKind(); err != nil {
			return err
		}
		if err := t.zipkin.check(ctx); err != nil {
			return blameAddress(err, t.options.Zipkin)
		}
		if err := checkCollector(ctx, t.options.Collector.Value, t.options.insecure()); err != nil {
			var e *whisk.Error
			if errors.As(err, &e) && e.Status != 0 {
				return blameAddress(err, t.options.Collector)
			}
			t.message(fmt.Sprintf("%v; that is well if the functions can reach it", withHint(err)))
		}
	}
	t.preflight = true
	return nil
}

// checkOpenWhisk asks OpenWhisk what it can do, and for something that needs the key.
func (t *Target) checkOpenWhisk(ctx context.Context) error {
	var e *whisk.Error
	err := t.retryUnavailable(ctx, func() (err error) {
		t.info, err = t.client.Info(ctx)
		return err
	})
	// A gateway in front of OpenWhisk need not pass on its root.
	if err != nil && (!errors.As(err, &e) || e.Status == 0) {
		return t.explain(err)
	}
	isRoot := err == nil
	err = t.retryUnavailable(ctx, func() error { return t.client.Check(ctx, whisk.Packages) })
	if err == nil && isRoot && len(t.info.Runtimes) == 0 && t.options.App != nil && t.options.Kind == "" {
		// Something that answers any path: a proxy, say, or a page.
		return blameAddress(fmt.Errorf("%s answers, but does not say which runtimes it has: is it OpenWhisk?", t.client.Name()), t.options.APIHost)
	}
	switch whisk.KindOf(err) {
	case whisk.NotFound, whisk.Nonsense:
		return fmt.Errorf("%w: is it OpenWhisk?", t.explain(err))
	}
	return t.explain(err)
}

// retryUnavailable makes a request, and repeats it once the server has asked to wait, or a proxy in front of it has said that it is not
// there now: 502, 503, 504. Servers that start or are replaced answer so. What else fails does so at once: nothing has worked yet that
// could come back.
func (t *Target) retryUnavailable(ctx context.Context, request func() error) error {
	comes := false
	retry := t.retry()
	retry.Passes = func(e *whisk.Error) bool {
		switch {
		case e.AsksToWait(), e.Status == http.StatusBadGateway, e.Status == http.StatusServiceUnavailable, e.Status == http.StatusGatewayTimeout:
			comes = true
		}
		return comes && e.Temporary()
	}
	return retry.Do(ctx, request)
}

// checkKind checks the kind of the actions, or sets it to the server's default of Go.
func (t *Target) checkKind() error {
	kinds := t.info.Runtimes["go"]
	if t.options.Kind == "" {
		for _, r := range kinds {
			if r.Default && !r.Deprecated {
				t.options.Kind = r.Kind
				return nil
			}
		}
		return errors.New("OpenWhisk does not say which version of Go it runs: give the kind (-kind go:1.24, say)")
	}
	if t.options.Kind == "blackbox" || len(t.info.Runtimes) == 0 { // a server that does not list its kinds may know any
		return nil
	}
	for _, r := range kinds {
		if r.Kind == t.options.Kind {
			return nil
		}
	}
	return fmt.Errorf("OpenWhisk does not run actions of kind %s", t.options.Kind)
}

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

// explain adds to an error of OpenWhisk's where the setting comes from that is to blame.
func (t *Target) explain(err error) error {
	var e *whisk.Error
	if !errors.As(err, &e) || e.Server != t.client.Name() {
		return err
	}
	switch e.Kind {
	case whisk.Unauthorized, whisk.Forbidden:
		return fmt.Errorf("%w; the key is from %s", err, t.options.Auth.From)
	case whisk.Unreachable, whisk.Untrusted, whisk.NoTLS, whisk.NotFound:
		return blameAddress(err, t.options.APIHost)
	}
	return err
}

// blameAddress adds to an error where the address comes from.
func blameAddress(err error, address Setting) error {
	return fmt.Errorf("%w; the address is from %s", withHint(err), address.From)
}

// withHint adds to an error about a certificate which option accepts any.
func withHint(err error) error {
	if whisk.KindOf(err) == whisk.Untrusted {
		return fmt.Errorf("%w; -insecure does without", err)
	}
	return err
}
