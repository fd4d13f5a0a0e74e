package openwhiskprocessor

import (
	"context"
	"time"

	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/consumer/consumererror"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.uber.org/zap"
)

// maxForwarded bounds the number of spans in one message to the next component.
const maxForwarded = 4096

// forwarder delivers finished spans to the next component.
type forwarder struct {
	pending  *pending
	spool    *spool
	next     consumer.Traces
	logger   *zap.Logger
	counters counters

	unsaved []*batch // whose delivered spans the storage does not know of, because it failed
}

// work delivers what is finished until the queue is closed or ctx is done.
func (f *forwarder) work(ctx context.Context) {
	defer func() { f.save(context.WithoutCancel(ctx), nil) }()
	for {
		items := f.pending.takeFinished(maxForwarded)
		if items == nil {
			return
		}
		if traces := join(items); traces.SpanCount() > 0 && !f.deliver(ctx, traces) {
			return
		}
		now := time.Now()
		for _, it := range items {
			if !it.drop {
				f.counters.latency(ctx, now.Sub(it.batch.arrived))
			}
		}
		f.forget(ctx, items)
	}
}

// deliver passes spans to the next component until it accepts or permanently rejects them. It returns false if ctx is done
// before that.
func (f *forwarder) deliver(ctx context.Context, traces ptrace.Traces) bool {
	const minDelay, maxDelay = 50 * time.Millisecond, 5 * time.Second
	for delay := minDelay; ; delay = min(2*delay, maxDelay) {
		attempt := traces
		if f.next.Capabilities().MutatesData {
			// The next attempt must not contain what the component changed before it failed.
			attempt = ptrace.NewTraces()
			traces.CopyTo(attempt)
		}
		err := f.next.ConsumeTraces(ctx, attempt)
		if err == nil {
			return true
		}
		if consumererror.IsPermanent(err) {
			f.logger.Error("The next component rejects spans for good; they are dropped", zap.Error(err), zap.Int("spans", traces.SpanCount()))
			f.counters.dropped(ctx, traces.SpanCount(), reasonRejected)
			return true
		}
		if delay == minDelay {
			f.logger.Warn("The next component does not take spans; they wait", zap.Error(err))
		}
		select {
		case <-time.After(delay):
		case <-ctx.Done():
			return false
		}
	}
}

// forget removes delivered and dropped items from the storage and gives up their room.
func (f *forwarder) forget(ctx context.Context, items []item) {
	var touched []*batch
	bytes := 0
	for _, it := range items {
		b := it.batch
		if b.left--; b.left == 0 {
			bytes += b.bytes
		}
		if b.delivered != nil {
			b.delivered.add(it.index)
			if n := len(touched); n == 0 || touched[n-1] != b {
				touched = append(touched, b)
			}
		}
	}
	f.save(ctx, touched)
	f.pending.release(len(items), bytes)
}

// save tells the storage which spans of the batches have been delivered, and of those batches for which that failed before. If it fails until
// the end of the process, the spans are delivered again after the next start, with the same ids.
func (f *forwarder) save(ctx context.Context, batches []*batch) {
	f.unsaved = unique(append(f.unsaved, batches...))
	if err := f.spool.update(ctx, f.unsaved); err != nil {
		f.logger.Warn("Spans that were delivered stay in the storage for now", zap.Error(err))
		return
	}
	f.unsaved = nil
}

// unique returns the batches without repetitions.
func unique(batches []*batch) []*batch {
	seen := make(map[*batch]bool, len(batches))
	out := batches[:0]
	for _, b := range batches {
		if !seen[b] {
			seen[b] = true
			out = append(out, b)
		}
	}
	return out
}
