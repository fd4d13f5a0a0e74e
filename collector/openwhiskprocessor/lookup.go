package openwhiskprocessor

import (
	"context"
	"errors"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.uber.org/zap"

	"github.com/tppfaas/tppfaas/collector/openwhiskprocessor/internal/whisk"
)

// Why a span has no record, or was not passed on; values of the metrics' attribute reason and of attrRecord.
const (
	reasonNoID        = "no_id"
	reasonMissing     = "missing"
	reasonUnreachable = "unreachable"
	reasonImpossible  = "impossible"
	reasonShutdown    = "shutdown"
	reasonDuplicate   = "duplicate"
	reasonRejected    = "rejected"
)

func (p *openwhisk) count(ctx context.Context, counter metric.Int64Counter, n int, reason string) {
	if n > 0 {
		counter.Add(ctx, int64(n), metric.WithAttributeSet(attribute.NewSet(attribute.String("reason", reason))))
	}
}

// lookUp is a worker.
func (p *openwhisk) lookUp(ctx context.Context) {
	for {
		a := p.take()
		if a == nil {
			return
		}
		begin := time.Now()
		record, err := p.client.Activation(ctx, a.id)
		if ctx.Err() != nil {
			return // the process ends; what the client says of that is no answer
		}
		p.telemetry.ProcessorOpenwhiskLookupDuration.Record(ctx, time.Since(begin).Seconds())
		p.settle(ctx, a, record, err)
	}
}

// take waits for an activation that may be looked up; nil when all is over.
func (p *openwhisk) take() *activation {
	p.mu.Lock()
	defer p.mu.Unlock()
	for !p.over {
		if len(p.ready) > 0 {
			if p.circuit.may(time.Now()) {
				a := p.ready[0]
				p.ready[0] = nil
				p.ready = p.ready[1:]
				return a
			}
			p.callClerk()
		}
		p.lookable.Wait()
	}
	return nil
}

// callClerk has the clerk look at what it waits for again.
func (p *openwhisk) callClerk() {
	select {
	case p.clerk <- struct{}{}:
	default:
	}
}

// wake is the clerk: it makes activations ready when they are due, and wakes the workers when a pause is over.
func (p *openwhisk) wake(ctx context.Context) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		now := time.Now()
		wait := time.Hour
		p.mu.Lock()
		for a := p.later.take(now); a != nil; a = p.later.take(now) {
			p.ready = append(p.ready, a)
		}
		if len(p.later) > 0 {
			wait = p.later[0].due.Sub(now)
		}
		if len(p.ready) > 0 {
			if pause := p.circuit.wait(now); pause > 0 {
				wait = min(wait, pause)
			} else {
				p.lookable.Broadcast()
			}
		}
		p.mu.Unlock()
		timer.Reset(max(wait, 0))
		select {
		case <-timer.C:
		case <-p.clerk:
		case <-ctx.Done():
			return
		}
	}
}

// settle does what the answer to a lookup demands.
func (p *openwhisk) settle(ctx context.Context, a *activation, record whisk.Record, err error) {
	now := time.Now()
	var failure *whisk.Failure
	outcome := "found"
	p.mu.Lock()
	defer p.mu.Unlock()
	elapsed := now.Sub(a.since)
	away := p.circuit.downtime(now) - a.down
	switch {
	case err == nil:
		p.reached(now)
		p.cache.put(a.id, record, now)
		for _, it := range a.items {
			enrich(it.span, record)
		}
		p.telemetry.ProcessorOpenwhiskSpansEnriched.Add(ctx, int64(len(a.items)))
		p.finish(a)
	case errors.Is(err, whisk.ErrNotYet):
		outcome = "not_yet"
		p.reached(now)
		if elapsed-away >= p.config.Retry.Total {
			p.abandon(ctx, a, reasonMissing)
		} else {
			p.again(ctx, a, now)
		}
	case errors.Is(err, whisk.ErrImpossible):
		outcome = "impossible"
		p.circuit.rest(now, 0)
		p.abandon(ctx, a, reasonImpossible)
	case errors.As(err, &failure) && failure.Kind == whisk.Throttled:
		outcome = "throttled"
		p.circuit.rest(now, max(failure.RetryAfter, p.config.Circuit.Pause))
		p.tell(now, err)
		p.again(ctx, a, now)
	default:
		outcome = "unavailable"
		var atLeast time.Duration
		if failure != nil {
			atLeast = failure.RetryAfter
			if failure.Kind == whisk.Refused {
				outcome = "refused"
			}
		}
		p.circuit.failure(now, atLeast)
		if p.circuit.open || outcome == "refused" {
			p.tell(now, err)
		}
		if away >= p.config.Retry.Outage {
			p.abandon(ctx, a, reasonUnreachable)
		} else {
			p.again(ctx, a, now)
		}
	}
	p.telemetry.ProcessorOpenwhiskLookups.Add(ctx, 1, outcomes[outcome])
	// Another worker may go on where this one was the trial, and the clerk must know of a new pause.
	if len(p.ready) > 0 {
		p.lookable.Signal()
	}
}

// outcomes are the metrics' attributes, made once.
var outcomes = func() map[string]metric.MeasurementOption {
	m := map[string]metric.MeasurementOption{}
	for _, name := range []string{"found", "not_yet", "throttled", "refused", "unavailable", "impossible"} {
		m[name] = metric.WithAttributeSet(attribute.NewSet(attribute.String("outcome", name)))
	}
	return m
}()

// reached notes that OpenWhisk answers as it should. The lock is held.
func (p *openwhisk) reached(now time.Time) {
	if p.circuit.success(now) {
		p.logger.Info("OpenWhisk answers again", zap.Int("spans_waiting", p.spans))
		p.lookable.Broadcast()
	}
}

// tell says in the log that OpenWhisk fails, once a minute. The lock is held.
func (p *openwhisk) tell(now time.Time, err error) {
	if !p.told.IsZero() && now.Sub(p.told) < time.Minute {
		return
	}
	p.told = now
	p.logger.Warn("OpenWhisk does not give activation records; spans wait", zap.Error(err), zap.Int("spans_waiting", p.spans))
}

// again plans the next lookup. The lock is held.
func (p *openwhisk) again(ctx context.Context, a *activation, now time.Time) {
	retry := p.config.Retry
	if a.delay == 0 {
		a.delay = retry.Initial
	} else {
		a.delay = min(time.Duration(float64(a.delay)*retry.Multiplier), retry.Maximum)
	}
	a.due = now.Add(a.delay)
	p.later.add(a)
	p.telemetry.ProcessorOpenwhiskRetries.Add(ctx, 1)
	p.callClerk()
}

// abandon ends the waiting for a record that does not come. The lock is held.
func (p *openwhisk) abandon(ctx context.Context, a *activation, reason string) {
	if p.config.OnMissing == PassOn {
		for _, it := range a.items {
			it.span.Attributes().PutStr(attrRecord, reason)
		}
		p.count(ctx, p.telemetry.ProcessorOpenwhiskSpansPassedOn, len(a.items), reason)
		p.finish(a)
		return
	}
	p.count(ctx, p.telemetry.ProcessorOpenwhiskSpansDropped, len(a.items), reason)
	for i := range a.items {
		a.items[i].drop = true
	}
	p.finish(a)
}

// finish hands the spans of an activation to the forwarder. The lock is held.
func (p *openwhisk) finish(a *activation) {
	delete(p.activations, a.id)
	p.done = append(p.done, a.items...)
	p.forwardable.Signal()
}

// giveUp ends all waiting.
func (p *openwhisk) giveUp(reason string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	// What a worker asks for just now is among them: its answer finds the activation gone.
	for _, a := range p.activations {
		p.abandon(context.Background(), a, reason)
		a.items = nil
	}
	p.ready, p.later = nil, nil
}
