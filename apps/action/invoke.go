package action

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// api invokes actions. It speaks to OpenWhisk itself: a client library would be most of the executable, whose size is a part of
// every cold start.
type api struct {
	client   *http.Client
	insecure bool
}

// invocation is the body of a request.
type invocation struct {
	Calls []plannedCall `json:"calls"`
	Call  int           `json:"call"`
	carrier
}

// carrier carries the trace context.
type carrier struct {
	TraceParent string `json:"traceparent,omitempty"`
	TraceState  string `json:"tracestate,omitempty"`
}

func (a *api) http(insecure bool) *http.Client {
	if a.client == nil || a.insecure != insecure {
		transport := http.DefaultTransport.(*http.Transport).Clone()
		transport.TLSClientConfig = &tls.Config{InsecureSkipVerify: insecure} //nolint:gosec // the parameter insecure asks for it
		a.client, a.insecure = &http.Client{Transport: transport}, insecure
	}
	return a.client
}

// Attempts to invoke: the first pause and the longest; each is random between half of its length and all of it.
const (
	firstPause = 50 * time.Millisecond
	maxPause   = 2 * time.Second
)

// invoke sends an invocation without waiting for its end, and returns its activation id. What OpenWhisk cannot have taken (it
// was not reached, or it said that it is busy) is sent again until the context ends.
func (a *api) invoke(ctx context.Context, t *task, request Request, action string, body invocation) (activationID string, err error) {
	key := t.Auth
	if key == "" {
		key = request.APIKey
	}
	user, password, ok := strings.Cut(key, ":")
	if !ok {
		return "", errors.New("there is no key: neither the parameter auth nor the annotation provide-api-key")
	}
	base, err := url.Parse(t.APIHost)
	if err != nil || base.Host == "" {
		return "", fmt.Errorf("parameter apihost: %q is no address with a scheme", t.APIHost)
	}
	path := action
	if t.Package != "" {
		path = t.Package + "/" + action
	}
	address := strings.TrimSuffix(t.APIHost, "/") + "/api/v1/namespaces/_/actions/" + path + "?blocking=false"
	text, err := json.Marshal(body)
	if err != nil {
		return "", err
	}
	for pause := firstPause; ; pause = min(2*pause, maxPause) {
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(text))
		if err != nil {
			return "", err
		}
		r.SetBasicAuth(user, password)
		r.Header.Set("Content-Type", "application/json")
		id, after, err := a.send(a.http(bool(t.Insecure)), r)
		if err == nil || after < 0 {
			return id, err
		}
		after = max(after, pause/2+rand.N(pause/2)) //nolint:gosec // jitter
		if waited := wait(ctx, after); waited != nil {
			return "", err
		}
	}
}

// send makes one attempt. With an error, after is how long to wait at least before the next; negative: there is none.
func (a *api) send(client *http.Client, r *http.Request) (id string, after time.Duration, err error) {
	response, err := client.Do(r)
	if err != nil {
		var u *url.Error
		if errors.As(err, &u) {
			err = u.Err
		}
		var op *net.OpError
		if errors.As(err, &op) && op.Op == "dial" {
			return "", 0, fmt.Errorf("%s cannot be reached: %w", r.URL.Host, err)
		}
		// It may have been taken: twice would be a trace that never was.
		return "", -1, fmt.Errorf("%s: %w", r.URL.Host, err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	if err != nil {
		return "", -1, fmt.Errorf("%s: %w", r.URL.Host, err)
	}
	var answer struct {
		ActivationID string `json:"activationId"`
		Error        string `json:"error"`
	}
	_ = json.Unmarshal(text, &answer) // what is no JSON has neither
	switch s := response.StatusCode; {
	case s == http.StatusAccepted && answer.ActivationID != "":
		return answer.ActivationID, 0, nil
	case s == http.StatusTooManyRequests || s == http.StatusServiceUnavailable:
		seconds, _ := strconv.Atoi(response.Header.Get("Retry-After"))
		return "", time.Duration(min(max(seconds, 0), 60)) * time.Second, fmt.Errorf("%s answers %s: %s", r.URL.Host, response.Status, answer.Error)
	case answer.Error != "":
		return "", -1, fmt.Errorf("%s answers %s: %s", r.URL.Host, response.Status, answer.Error)
	default:
		return "", -1, fmt.Errorf("%s answers %s", r.URL.Host, response.Status)
	}
}

func (a *api) close() {
	if a.client != nil {
		a.client.CloseIdleConnections()
	}
}
