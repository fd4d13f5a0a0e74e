package kafka

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// listTimeout bounds how long it is asked where partitions begin and end; after that the client asks by itself.
const listTimeout = 10 * time.Second

// findBegin replaces the offsets of partitions of which the group has committed nothing, which are those of none: by that of the first message that was written
// since a time, or by the end of the partition. The end is asked for first: the client asks for it after the first message, and passes over what is written in
// between.
func findBegin(ctx context.Context, client *kgo.Client, since time.Time, none kgo.Offset, offsets map[string]map[int32]kgo.Offset) {
	var topics []string
	for topic, partitions := range offsets {
		if slices.Contains(slices.Collect(maps.Values(partitions)), none) {
			topics = append(topics, topic)
		}
	}
	if len(topics) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, listTimeout)
	defer cancel()
	admin := kadm.NewClient(client)
	ends, err := admin.ListEndOffsets(ctx, topics...)
	if err != nil {
		return
	}
	firsts, err := admin.ListOffsetsAfterMilli(ctx, since.UnixMilli(), topics...)
	if err != nil {
		return
	}
	for _, topic := range topics {
		for partition, offset := range offsets[topic] {
			end, known := ends.Lookup(topic, partition)
			first, listed := firsts.Lookup(topic, partition)
			if offset == none && known && listed && end.Err == nil && first.Err == nil {
				offsets[topic][partition] = kgo.NewOffset().At(min(end.Offset, first.Offset))
			}
		}
	}
}
