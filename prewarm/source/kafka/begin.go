package kafka

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
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

// firstSince returns where the first message of each of some partitions of a topic is that was written since a time, or the end of the partition if there is none. The end is asked for
// first: who asks for it after it has heard that there is no such message passes over what is written in between. What is wrong with other partitions is nothing to this reader.
// With an error it returns those that are known.
func firstSince(ctx context.Context, client *kgo.Client, topic string, since time.Time, partitions map[int32]kgo.Offset) (map[int32]int64, error) {
	admin := kadm.NewClient(client)
	ends, silent, err := listed(ctx, func(ctx context.Context) (kadm.ListedOffsets, error) { return admin.ListEndOffsets(ctx, topic) })
	if err != nil {
		return nil, err
	}
	firsts, alsoSilent, err := listed(ctx, func(ctx context.Context) (kadm.ListedOffsets, error) {
		return admin.ListOffsetsAfterMilli(ctx, since.UnixMilli(), topic)
	})
	if err != nil {
		return nil, err
	}
	silent = cmp.Or(silent, alsoSilent)
	offsets := map[int32]int64{}
	var wrong error
	for partition := range partitions {
		end, known := ends.Lookup(topic, partition)
		first, alsoKnown := firsts.Lookup(topic, partition)
		err := errors.Join(end.Err, first.Err)
		if !known || !alsoKnown {
			err = silent
		}
		switch {
		case err != nil:
			wrong = errors.Join(wrong, fmt.Errorf("partition %d of %s: %w", partition, topic, err))
		case known && alsoKnown:
			offsets[partition] = min(end.Offset, first.Offset)
		}
	}
	return offsets, wrong
}

// listed asks all brokers for offsets, in half of the time that there is. If only some of them answer, it returns what those say and, as silent, why the others do not.
func listed(ctx context.Context, ask func(ctx context.Context) (kadm.ListedOffsets, error)) (offsets kadm.ListedOffsets, silent, err error) {
	if deadline, ok := ctx.Deadline(); ok {
		half, cancel := context.WithTimeout(ctx, time.Until(deadline)/2)
		defer cancel()
		ctx = half
	}
	offsets, err = ask(ctx)
	var brokers *kadm.ShardErrors
	if errors.As(err, &brokers) && !brokers.AllFailed {
		return offsets, err, nil
	}
	return offsets, nil, err
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
	for partition := range fresh {
		first, ok := firsts[partition]
		if !ok {
			return fmt.Errorf("partition %d of %s: it is not known where it begins", partition, topic)
		}
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
