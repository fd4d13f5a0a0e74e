package kafka

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/tppfaas/tppfaas/prewarm/source"
)

// Bounds of what is fetched. A broker is asked for at most fetchBytes at once, packed, and the messages of a poll are passed on before the next.
const (
	fetchBytes     = 8 << 20
	partitionBytes = 1 << 20
	fetches        = 3
	readBytes      = 64 << 20 // of an answer of a broker, and of a batch of messages, unpacked
	pollRecords    = 500
)

// Times of the reader. A dead one is noticed, and its partitions go to others, after sessionTimeout.
const (
	sessionTimeout = 10 * time.Second
	heartbeat      = 2 * time.Second
	rebalance      = 30 * time.Second
	commitEvery    = time.Second
	askEvery       = 5 * time.Second  // whether the brokers and the topic are there
	startBack      = 30 * time.Second // how long before the start of a reader a group begins that has committed nothing
	leaveTimeout   = 3 * time.Second
)

// Source is a source.Source that reads spans from Kafka.
type Source struct {
	o       Options
	options []kgo.Opt
	now     func() time.Time
	counter atomic.Pointer[source.Counter]
}

// New returns a Source; it connects to nothing yet.
func New(o Options) (*Source, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	o.Brokers = slices.Clone(o.Brokers)
	s := &Source{o: o, now: time.Now}
	var err error
	if s.options, err = s.o.security(); err != nil {
		return nil, err
	}
	return s, nil
}

// Counts returns what has come so far.
func (s *Source) Counts() source.Counts {
	if c := s.counter.Load(); c != nil {
		return c.Counts()
	}
	return source.Counts{Name: s.o.Name}
}

// Run reads until the context is done, and then leaves the group. It returns an error if the brokers refuse the reader, or if the sink has ended; what
// else goes wrong passes, and is in the counts.
func (s *Source) Run(ctx context.Context, sink source.Sink) error {
	counter := source.NewCounter(s.o.Name, sink)
	s.counter.Store(counter)
	r := &reader{o: &s.o, counter: counter, made: make(chan struct{})}
	r.follower, _ = sink.(source.Follower)
	since := s.now().Add(-startBack)
	none := kgo.NewOffset().AfterMilli(since.UnixMilli())
	begin := func(ctx context.Context, offsets map[int32]kgo.Offset) error {
		return beginGroup(ctx, r.client, s.o.Topic, since, none, offsets)
	}
	options := append(r.joins(begin, r.revoked, r.lost), kgo.AutoCommitMarks(), kgo.AutoCommitInterval(commitEvery))
	if err := r.connect(none, oldest(since, s.o.MaxAge), append(options, s.options...)...); err != nil {
		return err
	}
	reading, cancel := context.WithCancelCause(ctx)
	var asking sync.WaitGroup
	asking.Go(func() { r.ask(reading, cancel) })
	err := r.read(reading)
	if cause := context.Cause(reading); err == nil && ctx.Err() == nil && cause != nil {
		err = cause
	}
	cancel(nil)
	asking.Wait()
	r.leave()
	return err
}

// oldest is where it is gone on where what was committed has been deleted: with all that is left and was not too old at a time, that of the start of the reader.
func oldest(at time.Time, age time.Duration) kgo.Offset {
	return kgo.NewOffset().AfterMilli(at.Add(-age).UnixMilli())
}

// ask asks again and again whether the brokers and the topic are there, and notes when they are not.
func (r *reader) ask(ctx context.Context, refused context.CancelCauseFunc) {
	ticker := time.NewTicker(askEvery)
	defer ticker.Stop()
	admin := kadm.NewClient(r.client)
	for {
		err := r.works(ctx, admin)
		if ctx.Err() != nil {
			return
		}
		if isRefusal(err) {
			refused(err)
			return
		}
		r.report(err)
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// works asks whether the brokers and the topic are there, and returns why nothing is read.
func (r *reader) works(ctx context.Context, admin *kadm.Client) error {
	ctx, cancel := context.WithTimeout(ctx, askEvery)
	defer cancel()
	metadata, err := admin.Metadata(ctx, r.o.Topic)
	if err == nil {
		err = metadata.Topics[r.o.Topic].Err
	}
	if failed := r.beginning.Load(); err == nil && failed != nil {
		err = *failed
	}
	return r.describe(err)
}

// isRefusal reports whether the brokers do not want the reader: to go on asking is of no use.
func isRefusal(err error) bool {
	return errors.Is(err, kerr.SaslAuthenticationFailed) || errors.Is(err, kerr.TopicAuthorizationFailed) || errors.Is(err, kerr.GroupAuthorizationFailed)
}

// describe returns an error that says in one line what does not work, and with whom.
func (r *reader) describe(err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, kerr.UnknownTopicOrPartition) {
		return fmt.Errorf("the topic %s is not there yet at %s: %w", r.o.Topic, strings.Join(r.o.Brokers, ","), kerr.UnknownTopicOrPartition)
	}
	var session *kgo.ErrGroupSession
	if failed := r.beginning.Load(); failed != nil && errors.As(err, &session) && errors.Is(session.Err, *failed) {
		err = *failed // the group was joined
	}
	if connecting := r.connecting.Load(); connecting != nil { // says more than that time is up
		err = *connecting
	}
	hint := ""
	if errors.Is(err, io.EOF) {
		hint = hintEOF
	}
	return fmt.Errorf("reading the topic %s at %s: %w%s", r.o.Topic, strings.Join(r.o.Brokers, ","), oneLine{err}, hint)
}

// hintEOF says what is often wrong if a broker ends a connection without a word.
const hintEOF = " (the broker ends the connection: does it speak TLS, or want a password?)"

// oneLine is an error whose text is one line.
type oneLine struct{ error }

func (e oneLine) Error() string { return strings.Join(strings.Fields(e.error.Error()), " ") }
func (e oneLine) Unwrap() error { return e.error }
