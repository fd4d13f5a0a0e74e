package kafka

import (
	"context"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// Writer writes messages.
type Writer struct {
	client *kgo.Client
}

// linger is how long a message waits for others that go with it: many small requests cost brokers more than the time is worth.
const linger = 3 * time.Millisecond

// mostBuffered is how many messages wait to be written at most.
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
	return &Writer{client}, nil
}

// Write writes a message into a partition, or if that is negative, into that of its key. It does not wait; done is told what has become of it, by another
// goroutine.
func (w *Writer) Write(topic string, partition int32, key string, at time.Time, value []byte, done func(Message, error)) {
	record := &kgo.Record{Topic: topic, Partition: partition, Key: []byte(key), Timestamp: at, Value: value}
	w.client.TryProduce(context.Background(), record, func(r *kgo.Record, err error) {
		if err != nil {
			err = fmt.Errorf("writing to the topic %s: %w", topic, oneLine{err})
		}
		done(Message{Partition: r.Partition, Offset: r.Offset, At: r.Timestamp}, err)
	})
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
