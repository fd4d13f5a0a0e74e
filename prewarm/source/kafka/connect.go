package kafka

import (
	"context"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// connect makes the client, with options that both kinds of readers have and those that are given. It begins at start where the group has committed nothing, and goes on at deleted where
// what was committed has been deleted.
func (r *reader) connect(start, deleted kgo.Offset, options ...kgo.Opt) (err error) {
	r.client, err = kgo.NewClient(append([]kgo.Opt{
		kgo.SeedBrokers(r.o.Brokers...), kgo.ClientID("prewarm"), kgo.DisableClientMetrics(), kgo.WithHooks(r), kgo.DialTimeout(5 * time.Second),
		kgo.ConsumeTopics(r.o.Topic), kgo.ConsumeStartOffset(start), kgo.ConsumeResetOffset(deleted),
		kgo.FetchMaxBytes(fetchBytes), kgo.FetchMaxPartitionBytes(partitionBytes), kgo.MaxConcurrentFetches(fetches), kgo.BrokerMaxReadBytes(readBytes), kgo.MaxDecompressBatchBytes(readBytes),
		kgo.FetchMaxWait(time.Second), kgo.MetadataMaxAge(time.Minute), kgo.MetadataMinAge(time.Second),
	}, options...)...)
	close(r.made)
	return r.describe(err)
}

// joins returns the options of a member of the group. Begin sets where partitions are read from that are new, and revoked and lost are called with those that go to another reader, and
// that have gone.
func (r *reader) joins(begin func(context.Context, map[int32]kgo.Offset) error, revoked, lost func(context.Context, *kgo.Client, map[string][]int32)) []kgo.Opt {
	return []kgo.Opt{
		kgo.ConsumerGroup(r.o.Group), kgo.SessionTimeout(sessionTimeout), kgo.HeartbeatInterval(heartbeat), kgo.RebalanceTimeout(rebalance), kgo.BlockRebalanceOnPoll(),
		kgo.AdjustFetchOffsetsFn(func(ctx context.Context, offsets map[string]map[int32]kgo.Offset) (map[string]map[int32]kgo.Offset, error) {
			<-r.made
			return offsets, r.begins(ctx, begin(ctx, offsets[r.o.Topic]))
		}),
		kgo.OnPartitionsAssigned(r.assigned), kgo.OnPartitionsRevoked(revoked), kgo.OnPartitionsLost(lost),
	}
}

// begins notes and returns why it is not known where partitions are read from; err may be nil. That is no failure when the context is done: the partitions are given up, or come again.
func (r *reader) begins(ctx context.Context, err error) error {
	switch {
	case err == nil:
		r.beginning.Store(nil)
	case ctx.Err() == nil:
		r.beginning.Store(&err)
	}
	return err
}

// assigned is called with the partitions that are new. Without any it need not be known where they are read from.
func (r *reader) assigned(_ context.Context, _ *kgo.Client, partitions map[string][]int32) {
	if len(partitions) == 0 {
		r.beginning.Store(nil)
	}
}

// leave commits what was marked, leaves the group, and closes the client; within bounds, for the brokers may be away.
func (r *reader) leave() {
	ctx, cancel := context.WithTimeout(context.Background(), leaveTimeout)
	defer cancel()
	r.client.AllowRebalance()
	_ = r.client.CommitMarkedOffsets(ctx) // what is not committed comes again
	_ = r.client.LeaveGroupContext(ctx)   // else the group notices after sessionTimeout
	r.client.CloseAllowingRebalance()
	r.client.AllowRebalance() // what leaves the group in the client may wait for this once more
}
