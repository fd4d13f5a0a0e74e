package acquire

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/api"
	v1 "github.com/prometheus/client_golang/api/prometheus/v1"
	"github.com/prometheus/common/model"

	"github.com/tppfaas/tppfaas/internal/httpclient"
	"github.com/tppfaas/tppfaas/internal/whisk"
	"github.com/tppfaas/tppfaas/rightsize"
)

// selector finds the containers of a function in what cAdvisor says.
const selector = `{namespace="NAMESPACE",pod=~"FUNCTION-.*",container!="",container!="POD",image!=""}`

// The queries that are asked where there are no others. FUNCTION and NAMESPACE stand for those of the function.
const (
	DefaultMemoryQuery = "container_memory_working_set_bytes" + selector
	DefaultCPUQuery    = "rate(container_cpu_usage_seconds_total" + selector + "[5m])"
)

const (
	maxPoints  = 10_000    // of a series in an answer; Prometheus refuses more than 11,000
	maxAnswer  = 128 << 20 // bytes
	maxSamples = 20_000_000
)

// PrometheusOptions says which Prometheus to ask, and how. Address must be set.
type PrometheusOptions struct {
	// Address is the URL of the Prometheus.
	Address string
	// Namespace is that of the functions; "" stands for openfaas-fn. Container is that of the function in its pods; "" stands for the one of the function's name,
	// or the only one.
	Namespace, Container string
	// MemoryQuery and CPUQuery are in PromQL; "" stands for DefaultMemoryQuery and DefaultCPUQuery. Memory is in bytes, CPU in cores. Of CPU a query may also result
	// in counters of seconds, series whose names end in _total: they become rates over RateWindow, 0 standing for 5 minutes.
	MemoryQuery, CPUQuery string
	RateWindow            time.Duration
	// Timeout bounds each question; 0 stands for 1 minute. Attempts is how often it is asked at most; 0 stands for 5.
	Timeout  time.Duration
	Attempts int
	Access
}

// Prometheus is a Source that asks a Prometheus, or what has its API.
type Prometheus struct {
	o PrometheusOptions
}

// NewPrometheus returns a Prometheus; it asks nothing yet.
func NewPrometheus(o PrometheusOptions) (*Prometheus, error) {
	o.Namespace = cmp.Or(o.Namespace, "openfaas-fn")
	o.MemoryQuery = cmp.Or(o.MemoryQuery, DefaultMemoryQuery)
	o.CPUQuery = cmp.Or(o.CPUQuery, DefaultCPUQuery)
	o.RateWindow = cmp.Or(o.RateWindow, 5*time.Minute)
	o.Timeout = cmp.Or(o.Timeout, time.Minute)
	o.Attempts = cmp.Or(o.Attempts, 5)
	if o.Timeout < 0 || o.Attempts < 0 || o.RateWindow < 0 {
		return nil, errors.New("the timeout, the attempts and the window of rates cannot be negative")
	}
	if !isName(o.Namespace) {
		return nil, fmt.Errorf("%q is no name of a namespace", o.Namespace)
	}
	_, _, _, err := o.transport("Prometheus", o.Address, httpclient.Options{})
	if err != nil {
		return nil, err
	}
	return &Prometheus{o}, nil
}

// Acquire asks for what the function used at multiples of the step, by as many questions as it takes.
func (p *Prometheus) Acquire(ctx context.Context, r Request) (*Result, error) {
	if err := r.check(); err != nil {
		return nil, err
	}
	if r.To.IsZero() {
		r.To = time.Now()
	}
	if r.From.IsZero() {
		return nil, errors.New("from when on Prometheus is to be asked is not said")
	}
	transport, base, name, err := p.o.transport("Prometheus", p.o.Address, httpclient.Options{
		Attempts: p.o.Attempts, Timeout: p.o.Timeout, MaxAnswer: maxAnswer,
		// A query that takes too long takes so the next time, too: it is divided.
		Final: func(answer []byte) bool { return bytes.Contains(answer, []byte(timedOut)) },
		OnPause: func(err error, pause time.Duration) {
			r.message("Prometheus: %v; the next try is in %v", httpclient.Plain(err), pause.Round(time.Millisecond))
		},
	})
	if err != nil {
		return nil, err
	}
	defer transport.CloseIdleConnections()
	c, err := api.NewClient(api.Config{Address: base, RoundTripper: transport})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	first := floor(r.From.UnixMilli(), r.Step.Milliseconds())
	n := (r.To.UnixMilli()-first)/r.Step.Milliseconds() + 1
	if n > maxSamples {
		return nil, fmt.Errorf("%d samples between %s and %s are too many: a longer step, or a shorter time", n, show(r.From), show(r.To))
	}
	a := &asking{options: &p.o, request: &r, api: v1.NewAPI(c), grid: newGrid(first, r.Step.Milliseconds(), int(n))}
	if err := a.run(ctx); err != nil {
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		err = fmt.Errorf("%s: %w", name, err)
		if a.asked == 0 {
			return nil, err
		}
		result, failed := a.result()
		if failed != nil {
			return nil, err
		}
		return result, err
	}
	result, err := a.result()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if r.Kills && result.Restarts > 0 {
		a.findKills(ctx, result)
	}
	return result, nil
}

// floor returns the largest multiple of step that is not above t.
func floor(t, step int64) int64 {
	m := t % step
	if m < 0 {
		m += step
	}
	return t - m
}

// asking is one acquisition from Prometheus.
type asking struct {
	options *PrometheusOptions
	request *Request
	api     v1.API
	grid    *grid
	asked   int // points of the grid that were asked for
	notes   Result
}

// run asks for all points, in as large parts as are answered.
func (a *asking) run(ctx context.Context) error {
	part := maxPoints
	for a.asked < a.grid.n {
		n := min(part, a.grid.n-a.asked)
		err := a.ask(ctx, n)
		if err != nil && part > 1 && ctx.Err() == nil && isTooMuch(err) {
			part = (n + 1) / 2
			continue
		}
		if err != nil {
			return err
		}
		a.asked += n
		a.request.progress(a.asked, a.grid.n)
	}
	return nil
}

// ask asks both queries for the next n points.
func (a *asking) ask(ctx context.Context, n int) error {
	step := a.grid.step
	when := v1.Range{
		Start: time.UnixMilli(a.grid.first + int64(a.asked)*step), End: time.UnixMilli(a.grid.first + int64(a.asked+n-1)*step),
		Step: time.Duration(step) * time.Millisecond,
	}
	var answers [2]model.Matrix
	for r, query := range [...]string{rightsize.Memory: a.options.MemoryQuery, rightsize.CPU: a.options.CPUQuery} {
		query = strings.NewReplacer("FUNCTION", a.request.Function, "NAMESPACE", a.options.Namespace).Replace(query)
		value, warnings, _, err := a.api.QueryRange(ctx, query, when, v1.WithTimeout(a.options.Timeout))
		if err != nil {
			return fmt.Errorf("the query for %s: %w", rightsize.Resource(r), plain(err))
		}
		for _, w := range warnings {
			a.notes.note("Prometheus warns, of %s: %s", rightsize.Resource(r), whisk.OneLine(w))
		}
		matrix, ok := value.(model.Matrix)
		if !ok {
			return fmt.Errorf("the query for %s results in no matrix", rightsize.Resource(r))
		}
		answers[r] = matrix
	}
	for r, matrix := range answers {
		if err := a.grid.add(rightsize.Resource(r), matrix); err != nil {
			return fmt.Errorf("the query for %s: %w", rightsize.Resource(r), err)
		}
	}
	return nil
}

// killsQuery is what kube-state-metrics says of the containers of pods that ended last for their memory.
const killsQuery = `kube_pod_container_status_last_terminated_reason{namespace=%q,pod=~%q,container=%q,reason="OOMKilled"} == 1`

// findKills counts the pods with a new container whose last one was killed for its memory, by what kube-state-metrics says of them. Where it says
// nothing, none are counted.
func (a *asking) findKills(ctx context.Context, result *Result) {
	query := fmt.Sprintf(killsQuery, a.options.Namespace, a.request.Function+"-.*", a.grid.container)
	value, _, _, err := a.api.Query(ctx, query, a.request.To, v1.WithTimeout(a.options.Timeout))
	if err != nil {
		result.note("whether containers were killed for their memory is not known: %v", plain(err))
		return
	}
	killed, _ := value.(model.Vector)
	for _, s := range killed {
		if slices.Contains(a.grid.restarted, string(s.Metric["pod"])) {
			result.Kills++
		}
	}
}

// queryError is an error of Prometheus in a line.
type queryError struct {
	text string
	err  error
}

func (e *queryError) Error() string { return e.text }

func (e *queryError) Unwrap() error { return e.err }

// plain returns an error without the address and the query, which are long and known.
func plain(err error) error {
	var e *v1.Error
	text := httpclient.Plain(err).Error()
	if errors.As(err, &e) {
		text = e.Msg
		if e.Detail != "" {
			text += ": " + e.Detail
		}
	}
	return &queryError{whisk.OneLine(text), err}
}

// timedOut stands in the answer, of status 503, to a query that takes too long. The library does not look into answers of this status.
const timedOut = `"errorType":"timeout"`

// isTooMuch reports whether a question failed that may be answered for a shorter time.
func isTooMuch(err error) bool {
	var long httpclient.TooLongError
	var e *v1.Error
	return errors.As(err, &long) || errors.As(err, &e) &&
		(e.Type == v1.ErrTimeout || strings.Contains(e.Detail, timedOut) || strings.Contains(e.Msg, "too many samples") || strings.Contains(e.Msg, "maximum resolution"))
}

// result puts together what was answered so far.
func (a *asking) result() (*Result, error) {
	result := a.notes
	samples, err := a.grid.samples(a.request.Function, a.options.Container, a.options.RateWindow.Milliseconds(), &result)
	if err != nil {
		return nil, err
	}
	if len(samples) == 0 {
		return nil, fmt.Errorf("nothing is known of %s between %s and %s: the queries have no result (is %s its namespace?)", a.request.Function, show(a.request.From), show(a.request.To), a.options.Namespace)
	}
	for _, r := range rightsize.Resources {
		known := false
		for _, s := range samples {
			known = known || !math.IsNaN([...]float64{rightsize.Memory: s.Memory, rightsize.CPU: s.CPU}[r])
		}
		if !known {
			result.note("nothing is known of %s: its query has no result", r)
		}
	}
	return &result, result.complete(a.request.Function, samples, a.request.Step)
}
