package kafka

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/tppfaas/tppfaas/prewarm/source"
)

// replayed is a stage that settles only what is there to rebuild what is known.
type replayed struct{ stage }

func (s *replayed) Take(ctx context.Context, messages []Message) (func() bool, error) {
	before := s.n()
	_, err := s.stage.Take(ctx, messages)
	known := s.n() == before
	return func() bool { return known }, err
}

// TestRebuildingCommitsNothing checks that a reader that reads again what was committed, to rebuild what is known, does not take back how far the group is.
func TestRebuildingCommitsNothing(t *testing.T) {
	c := cluster(t, 1)
	const read, all = pollRecords + 50, pollRecords + 100
	now := time.Now()
	var records []*kgo.Record
	for i := range all {
		records = append(records, &kgo.Record{Value: []byte("x"), Timestamp: now.Add(-time.Minute).Add(time.Duration(i))})
	}
	write(t, c, records...)
	client, err := kgo.NewClient(kgo.SeedBrokers(c.ListenAddrs()...))
	require.NoError(t, err)
	defer client.Close()
	committed := kadm.Offsets{}
	committed.AddOffset(topic, 0, read, -1)
	require.NoError(t, kadm.NewClient(client).CommitAllOffsets(t.Context(), "prewarm", committed))
	to := &replayed{stage{from: map[int32]int64{}}}
	s, err := NewStageReader(StageOptions{Options: Options{Brokers: c.ListenAddrs()}, Commits: true, Rebuild: 2 * time.Minute, Now: func() time.Time { return now }}, to, source.NewCounter("kafka", &sink{}))
	require.NoError(t, err)
	stop := runs(t, s.Run)
	eventually(t, "it reads what is new", func() bool { return to.n() == all-read })
	require.NoError(t, stop())
	require.Equal(t, []int64{read}, commits(t, c))
}
