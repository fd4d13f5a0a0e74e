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
	var err error
	if t.info, err = t.client.Info(ctx); err != nil {
		// A gateway in front of OpenWhisk need not pass on its root.
		if !errors.As(err, &e) || e.Status == 0 {
			return t.explain(err)
		}
	}
	check := func() error { return t.client.Check(ctx, whisk.Packages) }
	err = check()
	if errors.As(err, &e) && e.AsksToWait() {
		err = t.retry().Do(ctx, check)
	}
	switch whisk.KindOf(err) {
	case whisk.NotFound, whisk.Nonsense:
		return fmt.Errorf("%w: is it OpenWhisk?", t.explain(err))
	}
	return t.explain(err)
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
