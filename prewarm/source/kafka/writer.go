package kafka

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// Writer writes messages.
type Writer struct {
	client  *kgo.Client
	waiting atomic.Int64  // messages that wait to be written
	written chan struct{} // has something when there are fewer
}

// linger is how long a message waits for others that go with it: many small requests cost brokers more than the time is worth.
const linger = 3 * time.Millisecond

// mostBuffered is how many messages wait to be written at most. One that is too many is not written, and its error says so.
const mostBuffered = 200_000

// NewWriter returns a writer; it connects to nothing yet. Of the options Topic, Group, MaxAge and MaxMessage are not used.
func NewWriter(o Options) (*Writer, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	security, err := o.security()
	if err != nil {
		return nil, err
	}
	client, err := kgo.NewClient(append([]kgo.Opt{
		kgo.SeedBrokers(o.Brokers...), kgo.ClientID("prewarm"), kgo.DisableClientMetrics(), kgo.DialTimeout(5 * time.Second),
		kgo.RecordPartitioner(partitioner{kgo.StickyKeyPartitioner(nil)}), kgo.MaxBufferedRecords(mostBuffered),
		kgo.ProducerLinger(linger), kgo.UnknownTopicRetries(-1), kgo.MetadataMinAge(time.Second), kgo.ProducerBatchCompression(kgo.SnappyCompression(), kgo.NoCompression()),
	}, security...)...)
	if err != nil {
		return nil, err
	}
	return &Writer{client: client, written: make(chan struct{}, 1)}, nil
}

// Write writes a message into a partition, or if that is negative, into that of its key. It does not wait; done is told what has become of it, by another
// goroutine.
func (w *Writer) Write(topic string, partition int32, key string, at time.Time, value []byte, done func(Message, error)) {
	record := &kgo.Record{Topic: topic, Partition: partition, Key: []byte(key), Timestamp: at, Value: value}
	w.waiting.Add(1)
	w.client.TryProduce(context.Background(), record, func(r *kgo.Record, err error) {
		if err != nil {
			err = fmt.Errorf("writing to the topic %s: %w", topic, oneLine{err})
		}
		done(Message{Partition: r.Partition, Offset: r.Offset, At: r.Timestamp}, err)
		w.waiting.Add(-1)
		select {
		case w.written <- struct{}{}:
		default:
		}
	})
}

// Wait waits until there is room for at least half of the messages that may wait to be written, or the context is done. One goroutine may call it at a time. Who calls it
// before it writes some thousands of messages loses none for want of room, which would leave what was written after it.
func (w *Writer) Wait(ctx context.Context) error {
	for w.waiting.Load() > mostBuffered/2 {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-w.written:
		}
	}
	return nil
}

// Close waits until what is under way is written, or the context is done.
func (w *Writer) Close(ctx context.Context) error {
	err := w.client.Flush(ctx)
	w.client.Close()
	if err != nil {
		return fmt.Errorf("what was to be written to Kafka is lost: %w", err)
	}
	return nil
}

// partitioner puts messages with a partition there, and others where their keys say.
type partitioner struct{ byKey kgo.Partitioner }

// ForTopic implements kgo.Partitioner.
func (p partitioner) ForTopic(topic string) kgo.TopicPartitioner {
	return topicPartitioner{p.byKey.ForTopic(topic)}
}

type topicPartitioner struct{ kgo.TopicPartitioner }

// Partition implements kgo.TopicPartitioner.
func (p topicPartitioner) Partition(r *kgo.Record, n int) int {
	if r.Partition >= 0 {
		return int(r.Partition)
	}
	return p.TopicPartitioner.Partition(r, n)
}
