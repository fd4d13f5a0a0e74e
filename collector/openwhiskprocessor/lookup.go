package openwhiskprocessor

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/tppfaas/tppfaas/internal/whisk"
)

// lookups asks OpenWhisk for the records of pending activations.
type lookups struct {
	pending   *pending
	client    recordClient
	cache     *cache
	onMissing OnMissing
	logger    *zap.Logger
	counters  counters

	mu          sync.Mutex
	lastWarning time.Time // of the last log entry that OpenWhisk fails
}

// work looks activations up, one at a time, until the queue is closed or ctx is done.
func (l *lookups) work(ctx context.Context) {
	for {
		a := l.pending.take()
		if a == nil {
			return
		}
		begin := time.Now()
		record, err := l.client.Activation(ctx, a.id)
		if ctx.Err() != nil {
			return // the lookup was cut short: err says nothing about OpenWhisk
		}
		l.counters.lookup(ctx, time.Since(begin))
		l.settle(ctx, a, record, err)
	}
}

// settle does what the answer to a lookup calls for.
func (l *lookups) settle(ctx context.Context, a *activation, record whisk.Record, err error) {
	now := time.Now()
	answer, retryAfter := interpret(err)
	if answer == found {
		l.cache.put(a.id, record, now)
	}
	s := l.pending.settle(a, answer, retryAfter, now)
	switch {
	case s.again:
		l.counters.retry(ctx)
	case answer == found:
		for _, it := range s.items {
			enrich(it.span, record)
		}
		l.counters.enriched(ctx, len(s.items))
	default:
		l.giveUp(ctx, s.items, s.reason)
	}
	l.pending.finish(s.items)

	l.counters.answer(ctx, answer)
	if s.recovered {
		l.logger.Info("OpenWhisk answers again", zap.Int("spans_waiting", s.spans))
	}
	if s.failing {
		l.warn(now, err, s.spans)
	}
}

// abandon ends the waiting of all spans, for the given reason.
func (l *lookups) abandon(ctx context.Context, reason string) {
	items := l.pending.abandon()
	l.giveUp(ctx, items, reason)
	l.pending.finish(items)
}

// giveUp marks items whose record will not come, for delivery or to be dropped.
func (l *lookups) giveUp(ctx context.Context, items []item, reason string) {
	if l.onMissing == PassOn {
		for _, it := range items {
			it.span.Attributes().PutStr(attrRecord, reason)
		}
		l.counters.passedOn(ctx, len(items), reason)
		return
	}
	for i := range items {
		items[i].drop = true
	}
	l.counters.dropped(ctx, len(items), reason)
}

// warn logs that OpenWhisk fails, at most once a minute.
func (l *lookups) warn(now time.Time, err error, spans int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.lastWarning.IsZero() && now.Sub(l.lastWarning) < time.Minute {
		return
	}
	l.lastWarning = now
	l.logger.Warn("OpenWhisk does not give activation records; spans wait", zap.Error(err), zap.Int("spans_waiting", spans))
}

// answer is what came of a lookup.
type answer int

const (
	found answer = iota
	notYet
	throttled
	refused
	unavailable // OpenWhisk cannot be reached, or is overloaded
	failed      // it fails, perhaps only for this activation
	malformed   // what it answered is no record of the activation
	impossible
)

// interpret returns the answer that an error of the client stands for, and for how long OpenWhisk asks to be left alone.
func interpret(err error) (answer answer, retryAfter time.Duration) {
	var failure *whisk.Error
	switch {
	case err == nil:
		return found, 0
	case errors.Is(err, whisk.ErrNotYet):
		return notYet, 0
	case errors.Is(err, whisk.ErrImpossible):
		return impossible, 0
	case !errors.As(err, &failure):
		return unavailable, 0
	case failure.Kind == whisk.Throttled:
		return throttled, failure.RetryAfter
	case failure.Kind == whisk.Unauthorized, failure.Kind == whisk.Forbidden:
		return refused, failure.RetryAfter
	case failure.Kind == whisk.Nonsense, failure.Kind == whisk.TooLarge, failure.Kind == whisk.Rejected, failure.Kind == whisk.Conflict:
		return malformed, 0
	case failure.Status == http.StatusInternalServerError, errors.Is(err, context.DeadlineExceeded):
		return failed, failure.RetryAfter
	default:
		return unavailable, failure.RetryAfter
	}
}
