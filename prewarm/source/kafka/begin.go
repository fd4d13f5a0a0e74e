package kafka

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const (
	// listTimeout bounds how long it is asked where partitions begin and end, and how long it is tried to commit that; after that the reader joins its group anew.
	listTimeout = 10 * time.Second
	// commitAgain is how long it is waited after a commit that has failed.
	commitAgain = 100 * time.Millisecond
	// beginAgain is how long it is waited until it is asked again where partitions begin that are not known, and newPartitions until it is looked whether there are more.
	beginAgain    = 500 * time.Millisecond
	newPartitions = 10 * time.Second
)

// firstSince returns where the first message of each of some partitions of a topic is that was written since a time, or the end of the partition if there is none. Each partition is asked
// for by itself, so that a broker that is silent holds up its own only. With an error it returns those that are known.
func firstSince(ctx context.Context, client *kgo.Client, topic string, since time.Time, partitions map[int32]kgo.Offset) (map[int32]int64, error) {
	var mu sync.Mutex
	offsets, wrong := map[int32]int64{}, map[int32]error{}
	var asking sync.WaitGroup
	for partition := range partitions {
		asking.Go(func() {
			first, err := firstOf(ctx, client, topic, partition, since)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				wrong[partition] = err
			} else {
				offsets[partition] = first
			}
		})
	}
	asking.Wait()
	if len(wrong) == 0 {
		return offsets, nil
	}
	all := slices.Sorted(maps.Keys(wrong))
	err := fmt.Errorf("partition %d of %s: %w", all[0], topic, wrong[all[0]])
	if n := len(all) - 1; n > 0 {
		err = fmt.Errorf("%w (and %d others)", err, n)
	}
	return offsets, err
}

// firstOf is firstSince of a partition. The end is asked for first: who asks for it after it has heard that there is no such message passes over what is written in between.
func firstOf(ctx context.Context, client *kgo.Client, topic string, partition int32, since time.Time) (int64, error) {
	const atEnd = -1 // in place of a time
	end, err := listOffset(ctx, client, topic, partition, atEnd)
	if err != nil {
		return 0, err
	}
	first, err := listOffset(ctx, client, topic, partition, since.UnixMilli())
	if first < 0 { // there is none
		first = end
	}
	return min(first, end), err
}

// listOffset asks where the first message of a partition is that was written since a time, in ms; it is −1 if there is none.
func listOffset(ctx context.Context, client *kgo.Client, topic string, partition int32, since int64) (int64, error) {
	one := kmsg.NewListOffsetsRequestTopicPartition()
	one.Partition, one.Timestamp = partition, since
	of := kmsg.NewListOffsetsRequestTopic()
	of.Topic, of.Partitions = topic, append(of.Partitions, one)
	request := kmsg.NewPtrListOffsetsRequest()
	request.Topics = append(request.Topics, of)
	response, err := request.RequestWith(ctx, client)
	if err != nil {
		return 0, err
	}
	for _, of := range response.Topics {
		for i := range of.Partitions {
			p := &of.Partitions[i]
			return p.Offset, kerr.ErrorForCode(p.ErrorCode)
		}
	}
	return 0, errors.New("the broker says nothing of where it begins")
}

// readAll has the client, which is of no group, read all partitions of the topic from the first message on that was written since a time, until the context is done. The client would find
// out where that is by itself, and pass over what is written meanwhile, see firstSince.
func (r *reader) readAll(ctx context.Context, since time.Time) {
	begun := map[int32]bool{}
	for ctx.Err() == nil {
		err := r.begins(ctx, r.readNew(ctx, since, begun)) // ask reports it
		if err != nil || len(begun) == 0 {
			sleep(ctx, beginAgain)
		} else {
			sleep(ctx, newPartitions)
		}
	}
}

// readNew is a step of readAll: it begins with the partitions that have not begun.
func (r *reader) readNew(ctx context.Context, since time.Time, begun map[int32]bool) error {
	ctx, cancel := context.WithTimeout(ctx, listTimeout)
	defer cancel()
	metadata, err := kadm.NewClient(r.client).Metadata(ctx, r.o.Topic)
	if err != nil {
		return err
	}
	fresh := map[int32]kgo.Offset{}
	for partition := range metadata.Topics[r.o.Topic].Partitions {
		if !begun[partition] {
			fresh[partition] = kgo.NewOffset()
		}
	}
	if len(fresh) == 0 {
		return nil // what is wrong with the topic works says
	}
	firsts, err := firstSince(ctx, r.client, r.o.Topic, since, fresh)
	offsets := map[int32]kgo.Offset{}
	for partition, first := range firsts {
		offsets[partition], begun[partition] = kgo.NewOffset().At(first), true
	}
	r.client.AddConsumePartitions(map[string]map[int32]kgo.Offset{r.o.Topic: offsets})
	return err
}

// beginGroup replaces the offsets of partitions of a topic of which the group has committed nothing, which are those of none: by that of the first message that was written since
// a time, or by the end of the partition. It commits them, so that whoever comes next goes on there, whatever becomes of this reader, and however long that takes. Without
// that nothing may be read: an error says why.
func beginGroup(ctx context.Context, client *kgo.Client, topic string, since time.Time, none kgo.Offset, offsets map[int32]kgo.Offset) error {
	fresh := maps.Clone(offsets)
	maps.DeleteFunc(fresh, func(_ int32, offset kgo.Offset) bool { return offset != none })
	if len(fresh) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, listTimeout)
	defer cancel()
	firsts, err := firstSince(ctx, client, topic, since, fresh)
	if err != nil {
		return err
	}
	begins := map[int32]kgo.EpochOffset{}
	for partition, first := range firsts {
		offsets[partition] = kgo.NewOffset().At(first)
		begins[partition] = kgo.EpochOffset{Epoch: -1, Offset: first}
	}
	for {
		if err = commitOffsets(ctx, client, map[string]map[int32]kgo.EpochOffset{topic: begins}); err == nil {
			return nil
		}
		if sleep(ctx, commitAgain); ctx.Err() != nil || isRefusal(err) {
			return fmt.Errorf("where the group begins cannot be committed: %w", err)
		}
	}
}

// commitOffsets commits offsets, as the member of the group that the client is.
func commitOffsets(ctx context.Context, client *kgo.Client, offsets map[string]map[int32]kgo.EpochOffset) (err error) {
	ctx, cancel := context.WithTimeout(ctx, leaveTimeout)
	defer cancel()
	client.CommitOffsetsSync(ctx, offsets, func(_ *kgo.Client, _ *kmsg.OffsetCommitRequest, response *kmsg.OffsetCommitResponse, failed error) {
		if err = failed; err != nil {
			return
		}
		for _, topic := range response.Topics {
			for _, partition := range topic.Partitions {
				if refused := kerr.ErrorForCode(partition.ErrorCode); !errors.Is(err, refused) { // once for all partitions
					err = errors.Join(err, refused)
				}
			}
		}
	})
	return err
}
