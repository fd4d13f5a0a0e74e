package kafka

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/tppfaas/tppfaas/prewarm/source"
)

// reads is who reads the topic as one of the group prewarm and begins at a time: n returns how many messages it has read, without those of which another has committed that it
// has read them.
type reads func(t *testing.T, c *kfake.Cluster, begun time.Time) (n func() int, stop func() error)

// readers are those who read as a group.
var readers = map[string]reads{
	"source": func(t *testing.T, c *kfake.Cluster, begun time.Time) (n func() int, stop func() error) {
		s, err := New(Options{Brokers: c.ListenAddrs()})
		require.NoError(t, err)
		s.now = func() time.Time { return begun }
		to := &sink{}
		return to.n, runs(t, func(ctx context.Context) error { return s.Run(ctx, to) })
	},
	"stage": func(t *testing.T, c *kfake.Cluster, begun time.Time) (n func() int, stop func() error) {
		return readStage(t, c, begun, StageOptions{Commits: true})
	},
}

func readStage(t *testing.T, c *kfake.Cluster, begun time.Time, o StageOptions) (n func() int, stop func() error) {
	to := &stage{from: map[int32]int64{}}
	o.Brokers, o.Rebuild, o.Now = c.ListenAddrs(), 2*time.Minute, func() time.Time { return begun }
	s, err := NewStageReader(o, to, source.NewCounter("kafka", &sink{}))
	require.NoError(t, err)
	return to.n, runs(t, s.Run)
}

// runs runs something until stop is called, or the test ends.
func runs(t *testing.T, run func(ctx context.Context) error) (stop func() error) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- run(ctx) }()
	stop = sync.OnceValue(func() error { cancel(); return <-ended })
	t.Cleanup(func() { _ = stop() })
	return stop
}

// stage is a Stage that counts the messages which are not there to rebuild what is known.
type stage struct {
	mu   sync.Mutex
	from map[int32]int64
	took int
}

func (s *stage) Assigned(_ context.Context, partition int32, _, from int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.from[partition] = from
	return nil
}

func (s *stage) Take(_ context.Context, messages []Message) (func() bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range messages {
		if messages[i].Offset >= s.from[messages[i].Partition] {
			s.took++
		}
	}
	return func() bool { return true }, nil
}

func (s *stage) n() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.took
}

func (s *stage) Revoked(int32)              {}
func (s *stage) Tick(context.Context) error { return nil }
func (s *stage) Wait() time.Duration        { return 50 * time.Millisecond }

// everyReader runs a test for each of those who read as a group.
func everyReader(t *testing.T, test func(t *testing.T, read reads)) {
	t.Helper()
	for name, read := range readers {
		t.Run(name, func(t *testing.T) { test(t, read) })
	}
}

// TestBegins checks that what is written while a group finds out where it begins is not passed over, at whichever of the questions that are asked for that.
func TestBegins(t *testing.T) {
	everyReader(t, func(t *testing.T, read reads) {
		for asked := range 6 {
			t.Run(fmt.Sprint(asked), func(t *testing.T) {
				c := cluster(t, 1)
				questions := 0
				written := sync.OnceFunc(func() { writeTraces(t, c, 0, 3) })
				c.ControlKey(int16(kmsg.ListOffsets), func(kmsg.Request) (kmsg.Response, error, bool) {
					c.KeepControl()
					if questions++; questions == asked+1 {
						c.SleepControl(written)
					}
					return nil, nil, false
				})
				n, stop := read(t, c, time.Now())
				eventually(t, "it has begun", func() bool { return hasBegun(t, c) })
				written() // if there were fewer questions
				eventually(t, "what was written meanwhile comes", func() bool { return n() == 3 })
				require.NoError(t, stop())
			})
		}
	})
}

// TestRebuilds checks the same of those who commit nothing, and read from a time on what there is: as one of a group, and alone.
func TestRebuilds(t *testing.T) {
	const all = 2 // questions
	for i := range 2 * all {
		alone, asked := i%2 == 0, int64(i/2)
		t.Run(fmt.Sprintf("alone %v, %d", alone, asked), func(t *testing.T) {
			c := cluster(t, 1)
			var questions atomic.Int64
			c.ControlKey(int16(kmsg.ListOffsets), func(kmsg.Request) (kmsg.Response, error, bool) {
				c.KeepControl()
				if questions.Add(1) == asked+1 {
					c.SleepControl(func() { writeTraces(t, c, 0, 3) })
				}
				return nil, nil, false
			})
			n, stop := readStage(t, c, time.Now(), StageOptions{Alone: alone})
			eventually(t, "what was written meanwhile comes", func() bool { return n() == 3 })
			require.NoError(t, stop())
			require.EqualValues(t, all, questions.Load())
		})
	}
}

// hasBegun reports whether the group has committed something.
func hasBegun(t *testing.T, c *kfake.Cluster) bool {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(c.ListenAddrs()...))
	require.NoError(t, err)
	defer client.Close()
	offsets, err := kadm.NewClient(client).FetchOffsets(t.Context(), "prewarm")
	return err == nil && len(offsets) > 0
}

// TestNeverCommitted checks that one of a group that has never committed what it has read goes on where the group has begun, however long ago that was; and that nothing is read
// before it is known to the group where that is.
func TestNeverCommitted(t *testing.T) {
	everyReader(t, func(t *testing.T, read reads) {
		for _, failing := range []int{0, 3} {
			t.Run(fmt.Sprint(failing), func(t *testing.T) {
				c := cluster(t, 2)
				var mu sync.Mutex
				asked := 0
				c.ControlKey(int16(kmsg.OffsetCommit), func(request kmsg.Request) (kmsg.Response, error, bool) {
					c.KeepControl()
					mu.Lock()
					defer mu.Unlock()
					if asked++; asked == failing+1 {
						return nil, nil, false
					}
					return refusesCommit(request.(*kmsg.OffsetCommitRequest), kerr.UnknownServerError), nil, true // before where it begins is committed, and whatever comes after that
				})
				now := time.Now()
				n, stop := read(t, c, now.Add(-time.Minute))
				eventually(t, "it has begun", func() bool { return hasBegun(t, c) })
				at := now.Add(-40 * time.Second)
				var records []*kgo.Record
				for i := range 20 {
					records = append(records, &kgo.Record{Key: []byte(traceID(i)), Value: message(t, i, 1), Timestamp: at})
				}
				write(t, c, records...)
				eventually(t, "it reads", func() bool { return n() == 20 })
				require.NoError(t, stop())
				require.Equal(t, []int64{0, 0}, commits(t, c), "nothing but where it has begun")
				n, stop = read(t, c, now)
				eventually(t, "all comes to the other", func() bool { return n() == 20 })
				require.NoError(t, stop())
			})
		}
	})
}

// TestBeginsBesideOthers checks that a partition of which nothing can be said, as its broker is away, does not keep a reader from others.
func TestBeginsBesideOthers(t *testing.T) {
	c := cluster(t, 2)
	client, err := kgo.NewClient(kgo.SeedBrokers(c.ListenAddrs()...))
	require.NoError(t, err)
	defer client.Close()
	read := kadm.Offsets{}
	read.AddOffset(topic, 1, 0, -1)
	require.NoError(t, kadm.NewClient(client).CommitAllOffsets(t.Context(), "prewarm", read))
	c.ControlKey(int16(kmsg.ListOffsets), func(request kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		response := request.ResponseKind().(*kmsg.ListOffsetsResponse)
		for _, of := range request.(*kmsg.ListOffsetsRequest).Topics {
			about := kmsg.NewListOffsetsResponseTopic()
			about.Topic = of.Topic
			for _, p := range of.Partitions {
				partition := kmsg.NewListOffsetsResponseTopicPartition()
				if partition.Partition, partition.Offset = p.Partition, 0; p.Partition == 1 {
					partition.ErrorCode = kerr.UnknownServerError.Code
				}
				about.Partitions = append(about.Partitions, partition)
			}
			response.Topics = append(response.Topics, about)
		}
		return response, nil, true
	})
	to := &sink{}
	reading, stop := run(t, c, to, Options{})
	writeTraces(t, c, 0, 20)
	eventually(t, "all is read", func() bool { return to.n() == 20 || reading.Counts().Error != "" })
	require.NoError(t, stop())
	require.Empty(t, reading.Counts().Error)
}

// TestDeletedMeanwhile checks that one of a group goes on with the oldest message that is left, however late it comes, when what was committed has been deleted.
func TestDeletedMeanwhile(t *testing.T) {
	everyReader(t, func(t *testing.T, read reads) {
		c := cluster(t, 1)
		now := time.Now()
		for _, from := range []int{0, 10} { // two batches
			var records []*kgo.Record
			for i := from; i < from+10; i++ {
				records = append(records, &kgo.Record{Key: []byte(traceID(i)), Value: message(t, i, 1), Timestamp: now.Add(-5 * time.Minute)})
			}
			write(t, c, records...)
		}
		client, err := kgo.NewClient(kgo.SeedBrokers(c.ListenAddrs()...))
		require.NoError(t, err)
		defer client.Close()
		committed, deleted := kadm.Offsets{}, kadm.Offsets{}
		committed.AddOffset(topic, 0, 5, -1)
		deleted.AddOffset(topic, 0, 10, -1)
		admin := kadm.NewClient(client)
		require.NoError(t, admin.CommitAllOffsets(t.Context(), "prewarm", committed))
		_, err = admin.DeleteRecords(t.Context(), deleted)
		require.NoError(t, err)
		write(t, c, &kgo.Record{Key: []byte(traceID(20)), Value: message(t, 20, 1)})
		n, stop := read(t, c, now)
		eventually(t, "it reads", func() bool { return n() > 0 })
		eventually(t, "it reads what is left", func() bool { return n() >= 11 || slices.Equal(commits(t, c), []int64{21}) })
		require.NoError(t, stop())
		require.Equal(t, 11, n())
	})
}

// TestMayNotBegin checks that a reader that may not commit ends, and says why once, in one line.
func TestMayNotBegin(t *testing.T) {
	c := cluster(t, 4)
	c.ControlKey(int16(kmsg.OffsetCommit), func(request kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		return refusesCommit(request.(*kmsg.OffsetCommitRequest), kerr.TopicAuthorizationFailed), nil, true
	})
	s, err := New(Options{Brokers: c.ListenAddrs()})
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	err = s.Run(ctx, &sink{})
	require.ErrorIs(t, err, kerr.TopicAuthorizationFailed)
	require.Regexp(t, `^reading the topic otlp_spans at 127.0.0.1:\d+: where the group begins cannot be committed: TOPIC_AUTHORIZATION_FAILED: [^\n]*$`, err.Error())
	require.Equal(t, 1, strings.Count(err.Error(), "TOPIC_AUTHORIZATION_FAILED"))
}

// TestSaysThatItCannotBegin checks that a reader says why it reads nothing for as long as that is so, although brokers and topic are there.
func TestSaysThatItCannotBegin(t *testing.T) {
	c := cluster(t, 1)
	client, err := kgo.NewClient(kgo.SeedBrokers(c.ListenAddrs()...))
	require.NoError(t, err)
	defer client.Close()
	o := Options{Brokers: c.ListenAddrs()}
	require.NoError(t, o.check())
	failed := fmt.Errorf("where the group begins cannot be committed: %w", kerr.UnknownServerError)
	given, cancel := context.WithCancel(t.Context())
	cancel()
	for name, test := range map[string]struct {
		then func(r *reader)
		says bool
	}{
		"still":                          {func(*reader) {}, true},
		"it begins":                      {func(r *reader) { _ = r.begins(t.Context(), nil) }, false},
		"another one has the partitions": {func(r *reader) { r.assigned(t.Context(), client, nil) }, false},
		"it tries again":                 {func(r *reader) { r.assigned(t.Context(), client, map[string][]int32{topic: {0}}) }, true},
		"it begins, and gives them up":   {func(r *reader) { _ = r.begins(t.Context(), nil); _ = r.begins(given, failed) }, false},
	} {
		t.Run(name, func(t *testing.T) {
			r := &reader{o: &o}
			says := `^reading the topic otlp_spans at [^ ]*: where the group begins cannot be committed: UNKNOWN_SERVER_ERROR`
			require.Equal(t, failed, r.begins(t.Context(), failed))
			require.Regexp(t, says, r.describe(&kgo.ErrGroupSession{Err: failed}).Error())
			test.then(r)
			if err := r.works(t.Context(), kadm.NewClient(client)); test.says {
				require.Regexp(t, says, err.Error())
			} else {
				require.NoError(t, err)
			}
		})
	}
}

// refusesCommit is the answer of a coordinator that does not write what is committed.
func refusesCommit(request *kmsg.OffsetCommitRequest, code *kerr.Error) *kmsg.OffsetCommitResponse {
	response := request.ResponseKind().(*kmsg.OffsetCommitResponse)
	for _, of := range request.Topics {
		topic := kmsg.NewOffsetCommitResponseTopic()
		topic.Topic, topic.TopicID = of.Topic, of.TopicID
		for _, p := range of.Partitions {
			partition := kmsg.NewOffsetCommitResponseTopicPartition()
			partition.Partition, partition.ErrorCode = p.Partition, code.Code
			topic.Partitions = append(topic.Partitions, partition)
		}
		response.Topics = append(response.Topics, topic)
	}
	return response
}

// TestNewPartitions checks that one who reads alone reads a topic that was made after it began, and partitions that were added.
func TestNewPartitions(t *testing.T) {
	c := cluster(t, 0)
	o := Options{Brokers: c.ListenAddrs()}
	require.NoError(t, o.check())
	r := &reader{o: &o, counter: source.NewCounter("kafka", &sink{}), made: make(chan struct{})}
	require.NoError(t, r.connect(kgo.NewOffset(), kgo.NewOffset(), kgo.ConsumeTopics()))
	defer r.client.Close()
	begun := map[int32]bool{}
	begins := func(n int) bool {
		require.NoError(t, r.readNew(t.Context(), time.Now().Add(-time.Minute), begun))
		return len(begun) == n
	}
	require.True(t, begins(0))
	client, err := kgo.NewClient(kgo.SeedBrokers(c.ListenAddrs()...), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	require.NoError(t, err)
	defer client.Close()
	admin := kadm.NewClient(client)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for partition := range int32(2) {
		if partition == 0 {
			_, err = admin.CreateTopic(ctx, 1, 1, nil, topic)
		} else {
			_, err = admin.CreatePartitions(ctx, 1, topic)
		}
		require.NoError(t, err)
		eventually(t, "it is written to", func() bool {
			client.ForceMetadataRefresh()
			return client.ProduceSync(ctx, &kgo.Record{Topic: topic, Partition: partition, Value: []byte("x")}).FirstErr() == nil
		})
		eventually(t, "it begins", func() bool { return begins(int(partition) + 1) })
		fetched := r.client.PollRecords(ctx, 1).Records()
		require.Len(t, fetched, 1)
		require.Equal(t, partition, fetched[0].Partition)
	}
}

// oneIsAway returns a cluster of two brokers with a partition each, of which the second one does not say where its partition begins: it ends the connection with an error, or is silent
// without.
func oneIsAway(t *testing.T, err error) *kfake.Cluster {
	t.Helper()
	c := cluster(t, 2, kfake.NumBrokers(2))
	for partition := range int32(2) {
		require.NoError(t, c.MoveTopicPartition(topic, partition, partition))
	}
	c.ControlKey(int16(kmsg.ListOffsets), func(kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		if c.CurrentNode() == 1 {
			return nil, err, true
		}
		return nil, nil, false
	})
	return c
}

// TestBrokerIsAway checks that partitions whose broker answers begin though that of another one does not, also those of which nothing was written lately.
func TestBrokerIsAway(t *testing.T) {
	for name, away := range map[string]error{"it ends connections": errors.New("away"), "it is silent": nil} {
		t.Run(name, func(t *testing.T) {
			c := oneIsAway(t, away)
			client, err := kgo.NewClient(kgo.SeedBrokers(c.ListenAddrs()...))
			require.NoError(t, err)
			defer client.Close()
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second) // so long it is tried to reach the other one
			defer cancel()
			firsts, err := firstSince(ctx, client, topic, time.Now(), map[int32]kgo.Offset{0: {}, 1: {}})
			require.Equal(t, map[int32]int64{0: 0}, firsts)
			require.ErrorContains(t, err, "partition 1 of otlp_spans: ")
			require.NotContains(t, err.Error(), "others")
			ctx, cancel = context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			_, err = firstSince(ctx, client, topic, time.Now(), map[int32]kgo.Offset{1: {}, 7: {}})
			require.ErrorContains(t, err, "partition 1 of otlp_spans: ")
			require.ErrorContains(t, err, " (and 1 others)")
		})
	}
}

// TestStageBeginsInTime checks that a stage does not wait for a broker that is silent for longer than it is asked where partitions begin.
func TestStageBeginsInTime(t *testing.T) {
	if testing.Short() {
		t.Skip("it waits for seconds")
	}
	c := oneIsAway(t, nil)
	to := &stage{from: map[int32]int64{}}
	s, err := NewStageReader(StageOptions{Options: Options{Brokers: c.ListenAddrs()}, Rebuild: time.Minute}, to, source.NewCounter("kafka", &sink{}))
	require.NoError(t, err)
	run := &stageRun{StageReader: s, from: map[int32]int64{}, r: &reader{o: &s.o.Options, made: make(chan struct{})}}
	require.NoError(t, run.r.connect(kgo.NewOffset(), kgo.NewOffset(), kgo.ConsumeTopics()))
	defer run.r.client.Close()
	ctx, cancel := context.WithTimeout(t.Context(), listTimeout*3/2)
	defer cancel()
	require.ErrorContains(t, run.begin(ctx, map[int32]kgo.Offset{0: kgo.NewOffset(), 1: kgo.NewOffset()}), "partition 1 of otlp_spans: ")
	require.NoError(t, ctx.Err())
	require.Empty(t, to.from)
}
