package kafka

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/tppfaas/tppfaas/prewarm/source"
)

// Message is a message of a partition. Behind is how many more there were in the partition when it was fetched.
type Message struct {
	Partition      int32
	Offset, Behind int64
	At             time.Time
	Value          []byte
}

// Wrong adds to an error about what the message says where it stands.
func (m *Message) Wrong(topic string, err error) error {
	return fmt.Errorf("message %d of partition %d of %s: %w", m.Offset, m.Partition, topic, err)
}

// Stage is who works on the partitions that a reader of a group has. Of a reader without a group only Take is called. Its methods are not called at the same time, but for
// Assigned and Revoked, which may be called while Tick or Wait runs.
type Stage interface {
	// Assigned says that a partition is this reader's from now on, which reads it from offset first on. What comes before from has been committed by whoever
	// had it before: it comes again so that what is known of it can be rebuilt.
	Assigned(ctx context.Context, partition int32, first, from int64) error
	// Revoked says that it is not any more.
	Revoked(partition int32)
	// Take takes messages, in the order of their offsets in each partition. Once settled says so, they are committed; nil if they need not be. An error ends
	// the reader.
	Take(ctx context.Context, messages []Message) (settled func() bool, err error)
	// Tick is called after Take, and after no longer than Wait has said before.
	Tick(ctx context.Context) error
	Wait() time.Duration
}

// StageOptions are what a StageReader is made with.
type StageOptions struct {
	Options
	// Alone has it read all partitions of the topic, in no group, from Rebuild ago on.
	Alone bool
	// Commits says that it is committed what was taken. Without, a reader begins with what was written Rebuild ago.
	Commits bool
	// Rebuild is how old what was written may be from which it is rebuilt what is known of a partition.
	Rebuild time.Duration
	// Now is the time, nil for that of the machine.
	Now func() time.Time
}

// StageReader reads a topic for a Stage. It is a source.Source without a sink.
type StageReader struct {
	o       StageOptions
	options []kgo.Opt
	stage   Stage
	counter *source.Counter
}

// NewStageReader returns a reader for a stage. The counter is told what is wrong.
func NewStageReader(o StageOptions, stage Stage, counter *source.Counter) (*StageReader, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	s := &StageReader{o: o, stage: stage, counter: counter}
	var err error
	s.options, err = s.o.security()
	return s, err
}

// Topic returns the name of the topic that it reads.
func (s *StageReader) Topic() string { return s.o.Topic }

// mostUnsettled is how many batches may be taken and not settled before no more is read.
const mostUnsettled = 64

// batch are messages that were taken.
type batch struct {
	records []*kgo.Record // the last of each partition
	settled func() bool
}

// stageRun is a run of a StageReader.
type stageRun struct {
	*StageReader
	r     *reader // has the client, and knows how to say what is wrong
	fail  context.CancelCauseFunc
	begun time.Time
	none  kgo.Offset // of a partition of which the group has committed nothing

	mu      sync.Mutex
	batches []batch
	owned   []int32
	from    map[int32]int64 // by partition: what comes before was committed
}

// Run reads until the context is done. An error says why it cannot go on. What the counts say that was wrong before is over once it can read.
func (s *StageReader) Run(ctx context.Context) error {
	run := &stageRun{
		StageReader: s, from: map[int32]int64{}, r: &reader{o: &s.o.Options, counter: s.counter, made: make(chan struct{}), bad: s.counter.Counts().Error != ""},
	}
	reading, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	run.fail = cancel
	run.begun = s.o.Now()
	run.none = kgo.NewOffset().AfterMilli(run.begun.Add(-s.o.Rebuild).UnixMilli())
	options := []kgo.Opt{kgo.ConsumeTopics()} // none by itself: see readAll
	if !s.o.Alone {
		options = run.r.joins(run.begin, run.revoked, run.lost)
		if s.o.Commits {
			options = append(options, kgo.AutoCommitMarks(), kgo.AutoCommitInterval(commitEvery))
		} else {
			options = append(options, kgo.DisableAutoCommit())
		}
	}
	if err := run.r.connect(run.none, oldest(run.begun, max(s.o.MaxAge, s.o.Rebuild)), append(options, s.options...)...); err != nil {
		return err
	}
	var asking sync.WaitGroup
	asking.Go(func() { run.r.ask(reading, cancel) })
	if s.o.Alone {
		asking.Go(func() { run.r.readAll(reading, run.begun.Add(-s.o.Rebuild)) })
	}
	err := run.read(reading)
	if cause := context.Cause(reading); (err == nil || errors.Is(err, context.Canceled)) && ctx.Err() == nil && cause != nil {
		err = cause
	}
	cancel(nil)
	asking.Wait()
	if s.o.Alone {
		run.r.client.Close()
	} else {
		run.r.leave()
	}
	run.mu.Lock()
	owned := run.owned
	run.owned = nil
	run.mu.Unlock()
	for _, p := range owned {
		s.stage.Revoked(p)
	}
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// read reads until the context is done.
func (run *stageRun) read(ctx context.Context) error {
	for ctx.Err() == nil {
		if err := run.stage.Tick(ctx); err != nil {
			return err
		}
		if !run.settle() {
			sleep(ctx, time.Millisecond)
			continue
		}
		if err := run.poll(ctx); err != nil {
			return err
		}
	}
	return nil
}

// poll waits for messages and has them taken.
func (run *stageRun) poll(ctx context.Context) error {
	wait := max(run.stage.Wait(), 0)
	if run.unsettled() > 0 {
		wait = min(wait, 50*time.Millisecond)
	}
	polling, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	fetched := run.r.client.PollRecords(polling, pollRecords)
	defer run.r.client.AllowRebalance()
	if refusal := run.r.failures(ctx, fetched); refusal != nil {
		return refusal
	}
	var messages []Message
	var last []*kgo.Record
	fetched.EachPartition(func(p kgo.FetchTopicPartition) {
		for _, record := range p.Records {
			messages = append(messages, Message{
				Partition: record.Partition, Offset: record.Offset, Behind: max(p.HighWatermark-1-record.Offset, 0), At: record.Timestamp, Value: record.Value,
			})
		}
		if n := len(p.Records); n > 0 && run.isNew(p.Records[n-1]) {
			r := p.Records[n-1]
			last = append(last, &kgo.Record{Topic: r.Topic, Partition: r.Partition, Offset: r.Offset, LeaderEpoch: r.LeaderEpoch})
		}
	})
	if len(messages) == 0 {
		return nil
	}
	settled, err := run.stage.Take(ctx, messages)
	if err != nil {
		return err
	}
	if settled != nil {
		run.mu.Lock()
		run.batches = append(run.batches, batch{last, settled})
		run.mu.Unlock()
	}
	return nil
}

// isNew reports whether a message was not committed before this reader had the partition. What was is not committed once more: that would take back how far the group is.
func (run *stageRun) isNew(r *kgo.Record) bool {
	run.mu.Lock()
	defer run.mu.Unlock()
	return r.Offset >= run.from[r.Partition]
}

func (run *stageRun) unsettled() int {
	run.mu.Lock()
	defer run.mu.Unlock()
	return len(run.batches)
}

// settle marks what may be committed, and reports whether there is room for more.
func (run *stageRun) settle() bool {
	run.mu.Lock()
	defer run.mu.Unlock()
	n := 0
	for n < len(run.batches) && run.batches[n].settled() {
		run.r.client.MarkCommitRecords(run.batches[n].records...)
		n++
	}
	run.batches = slices.Delete(run.batches, 0, n)
	return len(run.batches) < mostUnsettled
}

// begin is called with the partitions that are new, and the offsets that were committed of them. It sets where they are read from.
func (run *stageRun) begin(ctx context.Context, offsets map[int32]kgo.Offset) error {
	if len(offsets) == 0 {
		return nil
	}
	listing, cancel := context.WithTimeout(ctx, listTimeout)
	defer cancel()
	rebuilt, err := firstSince(listing, run.r.client, run.o.Topic, run.o.Now().Add(-run.o.Rebuild), offsets)
	if err != nil {
		return err
	}
	if run.o.Commits {
		if err := beginGroup(ctx, run.r.client, run.o.Topic, run.begun.Add(-startBack), run.none, offsets); err != nil {
			return err
		}
	}
	for partition, offset := range offsets {
		at, from := rebuilt[partition], int64(0)
		if run.o.Commits {
			from = offset.EpochOffset().Offset
			at = min(at, from)
		}
		offsets[partition] = kgo.NewOffset().At(at)
		if err := run.stage.Assigned(ctx, partition, at, from); err != nil {
			run.fail(err)
			return err
		}
		run.mu.Lock()
		run.owned = append(run.owned, partition)
		run.from[partition] = from
		run.mu.Unlock()
	}
	return nil
}

// revoked is called when partitions go to another reader.
func (run *stageRun) revoked(ctx context.Context, client *kgo.Client, partitions map[string][]int32) {
	for deadline := time.Now().Add(settleWait); run.o.Commits && run.unsettled() > 0 && ctx.Err() == nil && time.Now().Before(deadline); {
		run.settle()
		sleep(ctx, time.Millisecond)
	}
	run.give(partitions)
	if run.o.Commits {
		ctx, cancel := context.WithTimeout(ctx, leaveTimeout)
		defer cancel()
		if err := client.CommitMarkedOffsets(ctx); err != nil && ctx.Err() == nil {
			run.r.report(fmt.Errorf("what was read cannot be committed, and comes again: %w", run.r.describe(err)))
		}
	}
}

// lost is called when partitions have gone to another reader already.
func (run *stageRun) lost(_ context.Context, _ *kgo.Client, partitions map[string][]int32) {
	run.give(partitions)
}

// give gives partitions up.
func (run *stageRun) give(partitions map[string][]int32) {
	for _, p := range partitions[run.o.Topic] {
		run.stage.Revoked(p)
	}
	run.mu.Lock()
	defer run.mu.Unlock()
	run.owned = slices.DeleteFunc(run.owned, func(p int32) bool { return slices.Contains(partitions[run.o.Topic], p) })
	for i := range run.batches {
		b := &run.batches[i]
		b.records = slices.DeleteFunc(b.records, func(r *kgo.Record) bool { return slices.Contains(partitions[run.o.Topic], r.Partition) })
	}
}
