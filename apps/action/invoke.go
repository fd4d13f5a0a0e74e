package action

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/tppfaas/tppfaas/internal/whisk"
)

// invoker invokes the successors of a function. It keeps its client, and with it the connections, from one invocation to the next. The
// zero value is ready for use.
type invoker struct {
	client *whisk.Client
	http   *http.Client
	target target
}

// target is what a client is made for.
type target struct {
	apiHost, key string
	insecure     bool
}

// invocation is the body of a request.
type invocation struct {
	Calls []plannedCall `json:"calls"`
	Call  int           `json:"call"`
	carrier
}

// carrier carries the trace context, and the id of a call that is announced.
type carrier struct {
	TraceParent string `json:"traceparent,omitempty"`
	TraceState  string `json:"tracestate,omitempty"`
	CallID      string `json:"call.id,omitempty"`
}

// retry says how an invocation is repeated until the context ends: only where OpenWhisk cannot have taken it, because a trace in which one
// function ran twice is none that the graph has.
var retry = whisk.Retry{First: 50 * time.Millisecond, Max: 2 * time.Second, AtMostOnce: true}

// invoke invokes an action without waiting for its end, and returns its activation id. Without the parameter apihost it asks the API at
// containerHost.
func (i *invoker) invoke(ctx context.Context, t *task, request Request, containerHost, action string, body invocation) (activationID string, err error) {
	if err := i.ready(t, request, containerHost); err != nil {
		return "", err
	}
	if t.Package != "" {
		action = t.Package + "/" + action
	}
	err = retry.Do(ctx, func() (err error) {
		activationID, err = i.client.Invoke(ctx, action, body)
		return err
	})
	return activationID, err
}

// ready makes the client for the target that a task and its request say.
func (i *invoker) ready(t *task, request Request, containerHost string) error {
	key := t.Auth
	if key == "" {
		key = request.APIKey
	}
	host := t.APIHost
	if host == "" && containerHost != "" {
		base, err := whisk.ParseAddress(containerHost)
		if err != nil {
			return fmt.Errorf("the container's __OW_API_HOST: %w", err)
		}
		host = base.String()
	}
	return i.connect(target{host, key, bool(t.Insecure)})
}

// first makes the first connection. There must be a client.
func (i *invoker) first(ctx context.Context) error {
	_, err := i.client.Info(ctx)
	return err
}

// connect makes the client, unless there is one for the same target.
func (i *invoker) connect(to target) error {
	if i.client != nil && i.target == to {
		return nil
	}
	if to.key == "" {
		return errors.New("there is no key: neither the parameter auth nor the annotation provide-api-key")
	}
	base, err := whisk.ParseAddress(to.apiHost)
	if err != nil || !strings.Contains(to.apiHost, "://") {
		return fmt.Errorf("parameter apihost: %q is no address with a scheme", to.apiHost)
	}
	i.close()
	i.http = whisk.NewHTTPClient(to.insecure, 2)
	i.client, err = whisk.New(whisk.Options{Base: base, Key: to.key, HTTP: i.http})
	i.target = to
	return err
}

// close closes the connections.
func (i *invoker) close() {
	if i.http != nil {
		i.http.CloseIdleConnections()
	}
}
