package kafka

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/tppfaas/tppfaas/prewarm/source"
	"github.com/tppfaas/tppfaas/prewarm/source/otlp"
)

const (
	// chunk is how many observations a sink is told at once.
	chunk = 1000
	// tryAgain is how long a sink that was busy is left alone at least.
	tryAgain = 20 * time.Millisecond
	// settleEvery is how often it is looked at what the sink has looked at.
	settleEvery = 100 * time.Millisecond
	// settleWait is how long a partition is held that goes to another reader, so that what was taken of it need not come again.
	settleWait = 2 * time.Second
)

// reader passes on what is fetched. The client calls its hooks at any time.
type reader struct {
	o        *Options
	counter  *source.Counter
	follower source.Follower // nil if the sink does not say how far it is
	client   *kgo.Client
	made     chan struct{} // closed when client is set: it calls begin from goroutines of its own

	// connecting is why the last connection could not be made; nil if it could.
	connecting atomic.Pointer[error]
	// beginning is why it is not known where partitions are read from; nil if it is, or if there are none.
	beginning atomic.Pointer[error]

	mu      sync.Mutex
	bad     bool          // the counts have an error of the brokers'
	waiting []*kgo.Record // fetched, and not passed on
	rest    []source.Observation
	begun   bool // rest is what is left of the first one that waits
	taken   []passed
}

// passed is a message that the sink has taken, and how many observations it had taken then.
type passed struct {
	record *kgo.Record
	upTo   uint64
}

// OnBrokerConnect is called by the client.
func (r *reader) OnBrokerConnect(_ kgo.BrokerMetadata, _ time.Duration, _ net.Conn, err error) {
	if err == nil {
		r.connecting.Store(nil)
	} else if !errors.Is(err, context.Canceled) {
		r.connecting.Store(&err)
	}
}

// report notes what does not work, or that everything does again.
func (r *reader) report(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil || r.bad { // what messages were wrong stays, else
		r.counter.Report(err)
	}
	r.bad = err != nil
}

// read fetches and passes on until the context is done, or the sink fails.
func (r *reader) read(ctx context.Context) error {
	for ctx.Err() == nil {
		err := r.pass(ctx)
		r.settle()
		switch {
		case errors.Is(err, source.ErrBusy): // nothing is fetched meanwhile but what is under way
			r.waitForRoom(ctx)
			continue
		case err != nil && ctx.Err() == nil:
			return err
		}
		if err := r.poll(ctx); err != nil {
			r.settle()
			return err
		}
	}
	r.settle()
	return nil
}

// waitForRoom waits until the sink has looked at half of what it has taken, for source.RetryAfter at most.
func (r *reader) waitForRoom(ctx context.Context) {
	if r.follower == nil {
		sleep(ctx, source.RetryAfter)
		return
	}
	taken, looked := r.follower.Progress()
	enough := looked + (taken-looked+1)/2
	for deadline := time.Now().Add(source.RetryAfter); ctx.Err() == nil && time.Now().Before(deadline); {
		sleep(ctx, tryAgain)
		if _, looked = r.follower.Progress(); looked >= enough {
			return
		}
	}
}

func sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// poll waits for messages, until it has to be looked at what the sink has done. It returns an error if the brokers refuse the reader.
func (r *reader) poll(ctx context.Context) (refusal error) {
	polling, cancel := ctx, func() {}
	if r.unsettled() {
		polling, cancel = context.WithTimeout(ctx, settleEvery)
	}
	defer cancel()
	fetched := r.client.PollRecords(polling, pollRecords)
	defer r.client.AllowRebalance() // from here on revoked takes away what waits
	refusal = r.failures(ctx, fetched)
	r.mu.Lock()
	defer r.mu.Unlock()
	fetched.EachRecord(func(record *kgo.Record) { r.waiting = append(r.waiting, record) })
	return refusal
}

// failures notes what has gone wrong with what was fetched, and goes on behind messages that cannot be unpacked. It returns an error if the brokers refuse the reader.
func (r *reader) failures(ctx context.Context, fetched kgo.Fetches) (refusal error) {
	fetched.EachError(func(_ string, _ int32, err error) {
		var large *kgo.ErrDecompressTooLarge
		switch {
		case errors.As(err, &large): // the partition would stand still
			r.counter.Reject(1, fmt.Errorf("messages from %d of partition %d of %s: they have more than %d bytes unpacked", large.Offset, large.Partition, large.Topic, readBytes))
			r.client.SetOffsets(map[string]map[int32]kgo.EpochOffset{large.Topic: {large.Partition: {Epoch: large.Epoch, Offset: large.NextOffset}}})
		case ctx.Err() == nil && !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, context.Canceled):
			err = r.describe(err)
			if isRefusal(err) {
				refusal = err
			}
			r.report(err)
		}
	})
	return refusal
}

func (r *reader) unsettled() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.taken) > 0
}

// pass tells the sink what the messages say that wait, until there is no room.
func (r *reader) pass(ctx context.Context) error {
	for {
		more, err := r.passOne(ctx)
		if err != nil || !more {
			return err
		}
	}
}

// passOne passes on the first message that waits, if there is one. A sink that has no room has taken a part of it, or none, and is told the rest later.
func (r *reader) passOne(ctx context.Context) (more bool, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.waiting) == 0 {
		return false, nil
	}
	record := r.waiting[0]
	if !r.begun {
		r.rest, r.begun = r.decode(record), true
	}
	for len(r.rest) > 0 {
		n := min(chunk, len(r.rest))
		if err := r.counter.Observe(ctx, r.rest[:n]); err != nil {
			return false, err
		}
		r.rest = r.rest[n:]
	}
	r.waiting[0] = nil
	r.waiting, r.rest, r.begun = r.waiting[1:], nil, false
	if len(r.waiting) == 0 {
		r.waiting = nil
	}
	p := passed{record: &kgo.Record{Topic: record.Topic, Partition: record.Partition, Offset: record.Offset, LeaderEpoch: record.LeaderEpoch}}
	if r.follower != nil {
		p.upTo, _ = r.follower.Progress()
	}
	r.taken = append(r.taken, p)
	return true, nil
}

// decode returns what a message says. One that cannot be used says nothing, and is counted.
func (r *reader) decode(record *kgo.Record) []source.Observation {
	return r.o.observations(r.counter, &Message{Partition: record.Partition, Offset: record.Offset, At: record.Timestamp, Value: record.Value}, time.Now())
}

// Observations returns what a message of the topic of spans says, at a time. One that cannot be used says nothing, and is counted.
func (s *StageReader) Observations(m *Message, now time.Time) []source.Observation {
	return s.o.observations(s.counter, m, now)
}

func (o *Options) observations(counter *source.Counter, m *Message, now time.Time) []source.Observation {
	wrong := func(err error) []source.Observation {
		counter.Reject(1, m.Wrong(o.Topic, err))
		return nil
	}
	switch {
	case now.Sub(m.At) > o.MaxAge:
		counter.Refuse(1)
		return nil
	case len(m.Value) == 0:
		return wrong(errors.New("it is empty"))
	case len(m.Value) > o.MaxMessage:
		return wrong(fmt.Errorf("it has more than %d bytes", o.MaxMessage))
	}
	traces, err := (&ptrace.ProtoUnmarshaler{}).UnmarshalTraces(m.Value)
	if err != nil {
		return wrong(fmt.Errorf("this is no message with spans: %w", oneLine{err}))
	}
	observations, report := otlp.Observations(traces)
	if report.Invalid > 0 {
		counter.Reject(report.Invalid, m.Wrong(o.Topic, report.First))
	}
	return observations
}

// settle marks the messages that may be committed: which the sink has looked at, or else taken. The client commits what is marked.
func (r *reader) settle() {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := len(r.taken)
	if r.follower != nil {
		_, looked := r.follower.Progress()
		n = 0
		for n < len(r.taken) && r.taken[n].upTo <= looked {
			n++
		}
	}
	for _, p := range r.taken[:n] {
		r.client.MarkCommitRecords(p.record)
	}
	r.taken = slices.Delete(r.taken, 0, n)
}

// revoked is called when partitions go to another reader: what waits of them is its, and what was taken is committed once it was looked at.
func (r *reader) revoked(ctx context.Context, client *kgo.Client, partitions map[string][]int32) {
	r.drop(partitions, false)
	for deadline := time.Now().Add(settleWait); ; {
		r.settle()
		if !r.holds(partitions) || ctx.Err() != nil || time.Now().After(deadline) {
			break
		}
		sleep(ctx, time.Millisecond)
	}
	r.drop(partitions, true)
	ctx, cancel := context.WithTimeout(ctx, leaveTimeout)
	defer cancel()
	if err := client.CommitMarkedOffsets(ctx); err != nil && ctx.Err() == nil {
		r.report(fmt.Errorf("what was read cannot be committed, and comes again: %w", r.describe(err)))
	}
}

// lost is called when partitions have gone to another reader already.
func (r *reader) lost(_ context.Context, _ *kgo.Client, partitions map[string][]int32) {
	r.drop(partitions, true)
}

// holds reports whether a message of partitions was taken that is not settled.
func (r *reader) holds(partitions map[string][]int32) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.ContainsFunc(r.taken, func(p passed) bool { return slices.Contains(partitions[p.record.Topic], p.record.Partition) })
}

// drop forgets the messages of partitions that wait, and with settling those that were taken.
func (r *reader) drop(partitions map[string][]int32, settling bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	of := func(record *kgo.Record) bool { return slices.Contains(partitions[record.Topic], record.Partition) }
	if len(r.waiting) > 0 && of(r.waiting[0]) {
		r.rest, r.begun = nil, false
	}
	r.waiting = slices.DeleteFunc(r.waiting, of)
	if settling {
		r.taken = slices.DeleteFunc(r.taken, func(p passed) bool { return of(p.record) })
	}
}
