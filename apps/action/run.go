package action

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"sync"
	"time"

	"github.com/tppfaas/tppfaas/apps"
)

// Runner runs the invocations of a container, one after the other. The zero value is ready for use.
type Runner struct {
	// Log receives a line for each invocation, which says what it did or why it failed, and lines about a collector that does not take
	// its spans; nil discards them.
	Log io.Writer
	// APIHost is the address of OpenWhisk's API for invocations without the parameter apihost. OpenWhisk tells it to each container, in
	// __OW_API_HOST; without scheme it is https.
	APIHost string

	logging sync.Mutex // of Log
	invoker invoker
	tracer  tracer
	warm    bool // an invocation has run before
	single  bool // it runs one invocation, whatever ran in the container before
	// instance is a name for the container; "" until it is needed.
	instance string
}

// result is the answer of a function.
type result struct {
	Function    string            `json:"function"`
	Call        int               `json:"call"`
	Activations map[string]string `json:"activations"` // of the calls that it made, by their indices
}

// Run runs one invocation and returns its answer: an object. After a failure it is {"error": REASON}, which OpenWhisk takes as an
// application error.
func (r *Runner) Run(ctx context.Context, request Request) json.RawMessage {
	answer, err := r.run(ctx, request)
	if err != nil {
		r.logf("%v", err)
		answer = map[string]string{"error": err.Error()}
	}
	text, err := json.Marshal(answer)
	if err != nil {
		return json.RawMessage(`{"error": "the answer cannot be written"}`)
	}
	return text
}

// run reads the parameters, and runs the function within its deadline and a span.
func (r *Runner) run(ctx context.Context, request Request) (any, error) {
	begin := time.Now()
	if request.Deadline > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, time.UnixMilli(int64(request.Deadline)))
		defer cancel()
	}
	if w, linger := newWarmup(request.Value); w != nil {
		return r.warmUp(ctx, w, linger, request), nil
	}
	cold := r.isCold()
	t, err := newTask(request.Value)
	if err != nil {
		return nil, err
	}
	r.tracer.logf = r.logf
	instance := ""
	if cold != nil {
		instance = r.instanceID()
	}
	span := r.tracer.start(t, request.ActivationID, instance, begin, cold)
	answer, err := r.work(ctx, t, request, span)
	if err != nil {
		err = fmt.Errorf("%s: %w", t.name(), err)
	}
	span.end(err)
	return answer, err
}

// isCold reports whether this is the first run of the container, nil if that is not known, and remembers that there was one.
func (r *Runner) isCold() *bool {
	if r.single {
		return nil
	}
	cold := !r.warm
	r.warm = true
	return &cold
}

// work sleeps and makes the calls, each at least [apps.CallGap] after the one before.
func (r *Runner) work(ctx context.Context, t *task, request Request, span span) (any, error) {
	if err := wait(ctx, toDuration(t.own.Sleep)); err != nil {
		return nil, err
	}
	answer := result{Function: t.Function, Call: t.Call, Activations: map[string]string{}}
	due := time.Now()
	for _, call := range t.own.Invokes {
		if err := wait(ctx, time.Until(due)); err != nil {
			return nil, err
		}
		due = time.Now().Add(apps.CallGap)
		successor := t.app.DeployedName(t.app.Functions[t.calls[call].Function].Name)
		id, err := r.invoker.invoke(ctx, t, request, r.APIHost, successor, invocation{Calls: t.calls, Call: call, carrier: span.call(successor)})
		if err != nil {
			return nil, fmt.Errorf("invoking %s: %w", successor, err)
		}
		answer.Activations[strconv.Itoa(call)] = id
	}
	r.logf("%s: slept %v ms, invoked %d", t.name(), t.own.Sleep, len(t.own.Invokes))
	return answer, nil
}

func (r *Runner) logf(format string, args ...any) {
	if r.Log != nil {
		r.logging.Lock()
		defer r.logging.Unlock()
		// The function should not fail because its log cannot be written.
		_, _ = fmt.Fprintf(r.Log, format+"\n", args...)
	}
}

// wait returns when d has passed, or an error if the function's time limit comes first.
func wait(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return nil
	}
	err := sleep(ctx, d)
	if errors.Is(err, context.DeadlineExceeded) {
		return errors.New("its time limit is shorter than its sleep")
	}
	return err
}

// timerSleep sleeps by a timer of Go's runtime, which may be late by up to a millisecond and a thousandth of the time.
func timerSleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Close exports the spans that are left, for as long as the context allows.
func (r *Runner) Close(ctx context.Context) error {
	r.invoker.close()
	return r.tracer.close(ctx)
}
