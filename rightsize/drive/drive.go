package drive

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/tppfaas/tppfaas/internal/errorfs"
	"github.com/tppfaas/tppfaas/internal/httpclient"
	"github.com/tppfaas/tppfaas/internal/journal"
	"github.com/tppfaas/tppfaas/internal/whisk"
)

// Placeholder stands for the payload in Options.Body.
const Placeholder = "PAYLOAD"

const (
	maxAnswer = 64 << 20 // bytes
	maxSize   = 64 << 20 // bytes
	maxCalls  = 100_000  // a minute
)

// Options says what to call, and how. URL must be set.
type Options struct {
	// URL is the address of the function, as http://127.0.0.1:8080/function/qrcode is of one of OpenFaaS.
	URL string
	// Method is that of the calls; "" stands for POST.
	Method string
	// Body is what is sent, with the payload in place of each PAYLOAD; "" stands for the payload alone. ContentType is its type; "" stands for text/plain.
	Body, ContentType string
	// Calls is how many calls a minute has; Sizes are those of the payloads in bytes. Zero values are none.
	Calls, Sizes Range
	// Seed decides about the plan.
	Seed uint64
	// Duration is the time that is planned; 0 is no end.
	Duration time.Duration
	// Timeout bounds each call; 0 stands for 1 minute. Parallel bounds the calls at a time; 0 stands for 64. A call that finds so many waits.
	Timeout  time.Duration
	Parallel int
	// MaxFailures ends the run after so many failures in a row; 0 stands for 100, and a negative number never does.
	MaxFailures int
	// Journal is a file to which each call is written, and from which a run goes on; "" is none.
	Journal string
	// Username and Password or PasswordFile, or Token or TokenFile, authenticate the calls; over https, or on this machine.
	Username, Password, PasswordFile, Token, TokenFile string
	// CAFile has the certificates of those who sign the server's; InsecureSkipVerify trusts any. CertFile and KeyFile are the client's own.
	CAFile, CertFile, KeyFile string
	InsecureSkipVerify        bool
	// OnCall is told of each call that has ended, one at a time; it may be nil. OnMessage is told in a line what else is to be known.
	OnCall    func(Call)
	OnMessage func(text string)

	transport http.RoundTripper // in tests; nil is that of the options
	disk      errorfs.FS
}

// Driver calls a function.
type Driver struct {
	o         Options
	name      string // of the function, for errors
	url       string
	transport http.RoundTripper
}

// New returns a Driver; it calls nothing yet.
func New(o Options) (*Driver, error) {
	base, err := whisk.ParseAddress(o.URL)
	if err != nil {
		return nil, fmt.Errorf("the address of the function: %w", err)
	}
	if o.Method == "" {
		o.Method = http.MethodPost
	}
	if o.ContentType == "" {
		o.ContentType = "text/plain"
	}
	if o.Timeout == 0 {
		o.Timeout = time.Minute
	}
	if o.Parallel == 0 {
		o.Parallel = 64
	}
	if o.MaxFailures == 0 {
		o.MaxFailures = 100
	}
	if o.disk == nil {
		o.disk = errorfs.OS{}
	}
	for what, r := range map[string]Range{"the calls of a minute": o.Calls, "the sizes of payloads": o.Sizes} {
		if err := r.check(); err != nil {
			return nil, fmt.Errorf("%s: %w", what, err)
		}
	}
	switch {
	case o.Calls.Max > maxCalls || o.Calls.Max == 0:
		return nil, fmt.Errorf("%d calls a minute at most: want 1 to %d", o.Calls.Max, maxCalls)
	case o.Sizes.Max > maxSize:
		return nil, fmt.Errorf("payloads of %d bytes: at most %d", o.Sizes.Max, maxSize)
	case o.Timeout < 0 || o.Parallel < 0 || o.Duration < 0:
		return nil, errors.New("times and bounds of calls cannot be negative")
	case o.Body != "" && !strings.Contains(o.Body, Placeholder):
		return nil, fmt.Errorf("the body has no %s, which stands for the payload", Placeholder)
	case strings.ContainsFunc(o.Method, func(r rune) bool { return r < 'A' || r > 'Z' }):
		return nil, fmt.Errorf("%q is no method", o.Method)
	}
	d := &Driver{o: o, url: whisk.DisplayAddress(base), transport: o.transport}
	d.name = "the function at " + d.url
	if d.transport == nil {
		transport, err := httpclient.New(d.name, base, httpclient.Options{
			Username: o.Username, Password: o.Password, PasswordFile: o.PasswordFile, Token: o.Token, TokenFile: o.TokenFile,
			CAFile: o.CAFile, CertFile: o.CertFile, KeyFile: o.KeyFile, InsecureSkipVerify: o.InsecureSkipVerify, MaxAnswer: maxAnswer, Connections: o.Parallel,
		})
		if err != nil {
			return nil, err
		}
		d.transport = transport
	}
	return d, nil
}

// Call is a call that has ended.
type Call struct {
	Minute  int     `json:"minute"`
	Index   int     `json:"index"`           // within the minute
	Time    int64   `json:"time"`            // when it was sent, in ms since 1970
	Size    int     `json:"size"`            // of its payload, in bytes
	Status  int     `json:"status"`          // of HTTP; 0 where there was no answer
	Latency float64 `json:"latency"`         // until the answer was read, in ms
	Late    float64 `json:"late"`            // it was sent so many ms after its time
	Answer  int64   `json:"answer"`          // size of the answer, in bytes
	Error   string  `json:"error,omitempty"` // why it failed
	broken  bool    // there was no whole answer
}

// run is one run of a driver.
type run struct {
	*Driver
	client  *http.Client
	journal *journal.Journal
	summary *Summary
	cancel  context.CancelCauseFunc

	mu       sync.Mutex
	failures int  // in a row
	answered bool // some call had an answer that was no failure
}

// Run calls the function by the plan until its end, the end of the context, or an error after which it cannot go on. The summary is never nil, and has the
// calls of earlier runs that the journal knows. Calls that are under way at the end of the plan are waited for; those that are at the end of the context
// are broken off.
func (d *Driver) Run(ctx context.Context) (_ *Summary, err error) {
	if idle, ok := d.transport.(interface{ CloseIdleConnections() }); ok {
		defer idle.CloseIdleConnections()
	}
	r := &run{Driver: d, summary: newSummary()}
	r.client = &http.Client{Transport: d.transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	next, err := r.takeUp()
	if err != nil {
		return r.summary, err
	}
	if r.journal != nil {
		defer func() {
			if cerr := r.journal.Close(); err == nil {
				err = cerr
			}
		}()
	}
	err = r.calls(ctx, next)
	if ctx.Err() != nil && (err == nil || errors.Is(err, context.Canceled)) {
		err = ctx.Err()
	}
	return r.summary, err
}

// calls makes the calls of the plan from one on.
func (r *run) calls(ctx context.Context, next call) error {
	parent := ctx
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	r.cancel = cancel
	slots := make(chan struct{}, r.o.Parallel)
	var group sync.WaitGroup
	defer group.Wait()
	begin := time.Now().Add(-next.at)
	for minute := next.minute; ; minute++ {
		if r.o.Duration > 0 && time.Duration(minute)*time.Minute >= r.o.Duration {
			break
		}
		calls := plan(r.o.Seed, r.o.Calls, r.o.Sizes, minute)
		if minute == next.minute {
			calls = calls[min(next.index, len(calls)):]
		}
		for _, c := range calls {
			if r.o.Duration > 0 && c.at >= r.o.Duration {
				break
			}
			if !waitUntil(ctx, begin.Add(c.at)) {
				break
			}
			select {
			case slots <- struct{}{}:
			case <-ctx.Done():
			}
			if ctx.Err() != nil {
				break
			}
			group.Go(func() {
				defer func() { <-slots }()
				r.ended(r.call(ctx, c, begin.Add(c.at)))
			})
		}
		if ctx.Err() != nil {
			break
		}
		// The next plan is made when it is due, so that a minute without calls takes a minute.
		end := time.Duration(minute+1) * time.Minute
		if r.o.Duration > 0 {
			end = min(end, r.o.Duration)
		}
		waitUntil(ctx, begin.Add(end))
	}
	group.Wait()
	if cause := context.Cause(ctx); cause != nil && parent.Err() == nil {
		return cause
	}
	return nil
}

// waitUntil waits for a time, and reports whether it came before the end of the context.
func waitUntil(ctx context.Context, due time.Time) bool {
	timer := time.NewTimer(time.Until(due))
	defer timer.Stop()
	select {
	case <-timer.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}

// call makes a call.
func (r *run) call(ctx context.Context, c call, due time.Time) Call {
	sent := time.Now()
	done := Call{Minute: c.minute, Index: c.index, Size: c.size, Time: sent.UnixMilli(), Late: ms(max(sent.Sub(due), 0))}
	run := ctx
	ctx, cancel := context.WithTimeout(ctx, r.o.Timeout)
	defer cancel()
	body := payload(r.o.Seed, c)
	if r.o.Body != "" {
		body = bytes.ReplaceAll([]byte(r.o.Body), []byte(Placeholder), body)
	}
	request, err := http.NewRequestWithContext(ctx, r.o.Method, r.url, bytes.NewReader(body))
	if err != nil {
		done.Error = err.Error()
		return done
	}
	request.Header.Set("Content-Type", r.o.ContentType)
	response, err := r.client.Do(request)
	if err == nil {
		defer response.Body.Close()
		done.Status = response.StatusCode
		done.Answer, err = io.Copy(io.Discard, response.Body)
	}
	done.Latency = ms(time.Since(sent))
	switch {
	case err != nil:
		err = httpclient.Plain(err)
		done.Error, done.broken = whisk.OneLine(err.Error()), run.Err() != nil
		if !done.broken {
			r.stopIfFinal(err)
		}
	case done.Status >= 300 && done.Status < 400:
		done.Error = fmt.Sprintf("it answers %s, to %.200s: call that", response.Status, response.Header.Get("Location"))
	case done.Status < 200 || done.Status >= 400:
		done.Error = "it answers " + response.Status
	}
	return done
}

func ms(d time.Duration) float64 { return math.Round(d.Seconds()*1e6) / 1e3 }

// stopIfFinal ends the run where no call has been answered, and nobody is there to call.
func (r *run) stopIfFinal(err error) {
	var network *net.OpError
	var dns *net.DNSError
	r.mu.Lock()
	defer r.mu.Unlock()
	final := errors.As(err, &dns) && dns.IsNotFound || errors.As(err, &network) && network.Op == "dial" ||
		strings.Contains(err.Error(), "certificate") || strings.Contains(err.Error(), "HTTP response to HTTPS client")
	if final && !r.answered {
		r.cancel(fmt.Errorf("%s: %w", r.name, err))
	}
}

// ended takes a call that has ended into the summary and the journal, and ends the run where it is in vain to go on.
func (r *run) ended(c Call) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if c.broken {
		r.summary.BrokenOff++
		return
	}
	r.summary.add(c)
	if r.journal != nil {
		line, err := json.Marshal(c)
		if err == nil {
			err = r.journal.Append(line)
		}
		if err != nil {
			r.cancel(err)
			return
		}
	}
	if r.o.OnCall != nil {
		r.o.OnCall(c)
	}
	if c.Error == "" {
		r.answered, r.failures = true, 0
		return
	}
	r.failures++
	switch {
	case c.Status == http.StatusUnauthorized || c.Status == http.StatusForbidden:
		r.cancel(fmt.Errorf("%s: %s: user, password or token are not right", r.name, c.Error))
	case !r.answered && (c.Status == http.StatusNotFound || c.Status == http.StatusMethodNotAllowed || c.Status >= 300 && c.Status < 400):
		r.cancel(fmt.Errorf("%s: %s", r.name, c.Error))
	case r.o.MaxFailures > 0 && r.failures >= r.o.MaxFailures:
		r.cancel(fmt.Errorf("%s: %d calls in a row have failed, the last one: %s", r.name, r.failures, c.Error))
	case r.failures == 1 && r.o.OnMessage != nil:
		r.o.OnMessage(fmt.Sprintf("%s: %s", r.name, c.Error))
	}
}
