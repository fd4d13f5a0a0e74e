package openwhiskprocessor

import (
	"context"
	"time"

	"go.opentelemetry.io/collector/consumer/consumererror"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.uber.org/zap"
)

// forwarded is how many spans are handed on in one message at most.
const forwarded = 4096

// forward hands on what is done, in messages of what there is, until all is over.
func (p *openwhisk) forward(ctx context.Context) {
	for {
		p.mu.Lock()
		for len(p.done) == 0 && !p.over {
			p.forwardable.Wait()
		}
		if p.over {
			p.mu.Unlock()
			return
		}
		n := min(len(p.done), forwarded)
		items := append([]item(nil), p.done[:n]...)
		p.done = append(p.done[:0], p.done[n:]...)
		p.mu.Unlock()

		if traces := join(items); traces.SpanCount() > 0 && !p.hand(ctx, traces) {
			return
		}
		now := time.Now()
		for _, it := range items {
			if !it.drop {
				p.telemetry.ProcessorOpenwhiskLatency.Record(ctx, now.Sub(it.batch.arrived).Seconds())
			}
		}
		p.forget(ctx, items)
	}
}

// hand gives spans to the next component, again and again while it cannot take them; false if the process ends before.
func (p *openwhisk) hand(ctx context.Context, traces ptrace.Traces) bool {
	const least, most = 50 * time.Millisecond, 5 * time.Second
	for delay := least; ; delay = min(2*delay, most) {
		attempt := traces
		if p.next.Capabilities().MutatesData {
			// What it has changed before it failed must not come twice.
			attempt = ptrace.NewTraces()
			traces.CopyTo(attempt)
		}
		err := p.next.ConsumeTraces(ctx, attempt)
		switch {
		case err == nil:
			return true
		case consumererror.IsPermanent(err):
			p.logger.Error("The next component rejects spans for good; they are dropped", zap.Error(err), zap.Int("spans", traces.SpanCount()))
			p.count(ctx, p.telemetry.ProcessorOpenwhiskSpansDropped, traces.SpanCount(), reasonRejected)
			return true
		}
		if delay == least {
			p.logger.Warn("The next component does not take spans; they wait", zap.Error(err))
		}
		select {
		case <-time.After(delay):
		case <-ctx.Done():
			return false
		}
	}
}

// forget gives up the room of spans that have been handed on or dropped, in the storage and in memory.
func (p *openwhisk) forget(ctx context.Context, items []item) {
	var touched []*batch
	bytes := 0
	for _, it := range items {
		b := it.batch
		if b.left--; b.left == 0 {
			bytes += b.bytes
		}
		if b.handed != nil {
			if n := len(touched); n == 0 || touched[n-1] != b {
				touched = append(touched, b)
			}
			b.handed[it.index/8] |= 1 << (it.index % 8)
		}
	}
	if p.spool != nil && len(touched) > 0 {
		// Should this fail, the spans come once more after the next start, with the same ids.
		if err := p.spool.note(ctx, unique(touched)); err != nil {
			p.logger.Error("Spans that were handed on stay in the storage", zap.Error(err))
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.spans -= len(items)
	p.bytes -= bytes
	p.checkEmpty()
}

// unique leaves each batch once.
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
