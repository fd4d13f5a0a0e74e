package webhook

import (
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/tppfaas/tppfaas/internal/whisk"
	"github.com/tppfaas/tppfaas/prewarm"
	"github.com/tppfaas/tppfaas/prewarm/actuator"
)

// Headers of a request.
const (
	// TimestampHeader has the time of the request in seconds since 1970.
	TimestampHeader = "X-Prewarm-Timestamp"
	// SignatureHeader has v1= and the signature in hex: the HMAC-SHA256 of the timestamp, a full stop and the body under the secret.
	SignatureHeader = "X-Prewarm-Signature"
	// IdempotencyHeader has the number of the command; it is the same each time the command is sent.
	IdempotencyHeader = "Idempotency-Key"
)

// Options say where commands are sent, and what the platform behind it can do.
type Options struct {
	// URL takes commands by POST; without a scheme it is https.
	URL string
	// Secret is what requests are signed with. It is needed.
	Secret string
	// Insecure leaves the certificate unchecked.
	Insecure bool
	// Is is what policies are told of the platform. The zero value stands for one that can warm and has an idle timeout of 10 min.
	Is prewarm.Platform
	// Timeout bounds each request; by default 10 s. Patience bounds the time in which a request is repeated that was not answered, or not taken; by
	// default 5 s.
	Timeout, Patience time.Duration
}

// Actuator sends commands.
type Actuator struct {
	options Options
	server  whisk.Server
	http    *http.Client
	closed  context.Context // done when it is closed
	end     context.CancelFunc
	retry   whisk.Retry

	mu     sync.Mutex
	acting sync.WaitGroup
}

// New returns an Actuator. It makes no request yet.
func New(o Options) (*Actuator, error) {
	base, err := whisk.ParseAddress(o.URL)
	if err != nil {
		return nil, fmt.Errorf("the webhook's address %q: %w", o.URL, err)
	}
	if o.Secret == "" {
		return nil, errors.New("the webhook has no secret to sign requests with")
	}
	if o.Is == (prewarm.Platform{}) {
		o.Is = prewarm.Platform{Warm: true, IdleTimeout: 10 * time.Minute}
	}
	a := &Actuator{options: o, http: whisk.NewHTTPClient(o.Insecure, 16)}
	// What answers with another address is not the webhook: a redirection would lose the body.
	a.http.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	a.server = whisk.Server{
		Name: "the webhook at " + whisk.DisplayAddress(base), Base: base, HTTP: a.http, Timeout: cmp.Or(o.Timeout, 10*time.Second), MaxAnswer: 1 << 20,
		UserAgent: "tppfaas-prewarm",
	}
	a.retry = whisk.Retry{First: 100 * time.Millisecond, Max: 2 * time.Second, Patience: cmp.Or(o.Patience, 5*time.Second), Passes: passes}
	a.closed, a.end = context.WithCancel(context.Background())
	return a, nil
}

// passes reports whether the same request may succeed later.
func passes(e *whisk.Error) bool { return e.Temporary() && e.Kind != whisk.Nonsense }

// Name returns webhook.
func (a *Actuator) Name() string { return "webhook" }

// Platform is what the options say.
func (a *Actuator) Platform() prewarm.Platform { return a.options.Is }

// request is the body of a request.
type request struct {
	ID       string    `json:"id"`
	Kind     string    `json:"kind"`
	Function string    `json:"function"`
	N        int       `json:"n"`
	There    int       `json:"there"`
	Idle     int       `json:"idle"`
	MemoryMB int       `json:"memory_mb,omitempty"`
	Until    time.Time `json:"until"`
	Reason   string    `json:"reason,omitempty"`
}

// response is the body of an answer, which may be empty.
type response struct {
	Results []result `json:"results"`
}

// result is what has become of one container, or of a Scale.
type result struct {
	Outcome  string `json:"outcome"`
	Instance string `json:"instance"`
	Error    string `json:"error"`
}

// outcomes are those that an answer may name.
var outcomes = []actuator.Outcome{actuator.Created, actuator.Collapsed, actuator.Failed, actuator.Held, actuator.Unknown}

// Act sends a command, and returns what the answer says has become of it.
func (a *Actuator) Act(ctx context.Context, c actuator.Command) ([]actuator.Result, error) {
	if c.Kind != actuator.Warm && c.Kind != actuator.Scale {
		return nil, fmt.Errorf("the webhook: %s: %w", c.Kind, actuator.ErrKind)
	}
	a.mu.Lock()
	if a.closed.Err() != nil {
		a.mu.Unlock()
		return nil, fmt.Errorf("the webhook: %w", actuator.ErrClosed)
	}
	a.acting.Add(1)
	a.mu.Unlock()
	defer a.acting.Done()
	if c.Results() == 0 {
		return nil, nil
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(a.closed, cancel)()

	id := strconv.FormatUint(c.ID, 10)
	body, err := json.Marshal(request{id, c.Kind.String(), c.Function, c.N, c.There, c.Idle, c.MemoryMB, c.Until.UTC(), c.Reason})
	if err != nil {
		return nil, fmt.Errorf("the webhook: %w", err)
	}
	asked := time.Now()
	var answer response
	err = a.retry.Do(ctx, func() error {
		answer = response{}
		timestamp := strconv.FormatInt(time.Now().Unix(), 10)
		return a.server.Do(ctx, whisk.Request{
			Method: http.MethodPost, Body: json.RawMessage(body), Optional: true,
			Header: http.Header{
				TimestampHeader: {timestamp}, SignatureHeader: {"v1=" + Sign([]byte(a.options.Secret), timestamp, body)}, IdempotencyHeader: {id},
			},
			Check: func() error { return answer.check(c) },
		}, &answer)
	})
	if err != nil {
		err = a.classify(c.Function, err)
		return actuator.Fill(nil, c, actuator.Result{Outcome: actuator.Failed, Asked: asked, Ready: time.Now(), Err: err}), err
	}
	return a.results(c, answer, asked)
}

// Sign returns the signature of a body that was sent at a time, in hex.
func Sign(secret []byte, timestamp string, body []byte) string {
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(timestamp))
	mac.Write([]byte("."))
	mac.Write(body)
	return hex.EncodeToString(mac.Sum(nil))
}

// check reports what makes an answer nonsense.
func (r *response) check(c actuator.Command) error {
	if len(r.Results) > c.Results() {
		return fmt.Errorf("it has %d results, and there are %d", len(r.Results), c.Results())
	}
	for i, result := range r.Results {
		if !slices.ContainsFunc(outcomes, func(o actuator.Outcome) bool { return o.String() == result.Outcome }) {
			return fmt.Errorf("result %d: %q is no outcome", i, whisk.OneLine(result.Outcome))
		}
	}
	return nil
}

// results returns the results that an answer has, and what it leaves out as unknown.
func (a *Actuator) results(c actuator.Command, answer response, asked time.Time) ([]actuator.Result, error) {
	now := time.Now()
	var results []actuator.Result
	var failed error
	for _, said := range answer.Results {
		i := slices.IndexFunc(outcomes, func(o actuator.Outcome) bool { return o.String() == said.Outcome })
		r := actuator.Result{Outcome: outcomes[i], Instance: said.Instance, Asked: asked, Ready: now}
		if r.Outcome == actuator.Failed || r.Outcome == actuator.Held {
			r.Err = fmt.Errorf("%s: %s", c.Function, cmp.Or(whisk.OneLine(said.Error), "the webhook says that it has "+said.Outcome))
		}
		if r.Outcome == actuator.Failed && failed == nil {
			failed = r.Err
		}
		results = append(results, r)
	}
	return actuator.Fill(results, c, actuator.Result{Outcome: actuator.Unknown, Asked: asked, Ready: now}), failed
}

// classify says whether an error is that of the webhook as a whole, or names the function.
func (a *Actuator) classify(function string, err error) error {
	if a.closed.Err() != nil {
		return fmt.Errorf("%s: %w", function, actuator.ErrClosed)
	}
	var e *whisk.Error
	if !errors.As(err, &e) {
		return fmt.Errorf("%s: %w", function, err)
	}
	switch e.Kind {
	case whisk.Throttled, whisk.Overloaded, whisk.Unreachable, whisk.Untrusted, whisk.NoTLS, whisk.Unauthorized, whisk.Forbidden, whisk.ServerError:
		return &actuator.UnavailableError{Err: err, After: e.RetryAfter}
	case whisk.NotFound:
		err = &actuator.NoFunctionError{Err: err}
	}
	return fmt.Errorf("%s: %w", function, err)
}

// Close breaks off what it is doing. What was started is given back by the other side, at the Until of each command.
func (a *Actuator) Close(ctx context.Context) error {
	a.mu.Lock()
	a.end()
	a.mu.Unlock()
	defer a.http.CloseIdleConnections()
	return actuator.Wait(ctx, &a.acting)
}
