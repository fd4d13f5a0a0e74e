package share

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tppfaas/tppfaas/prewarm"
	"github.com/tppfaas/tppfaas/prewarm/controller"
	"github.com/tppfaas/tppfaas/prewarm/source"
	"github.com/tppfaas/tppfaas/prewarm/source/kafka"
)

// InstanceOptions are what an instance is made with that has its topics in Kafka.
type InstanceOptions struct {
	Options
	// Kafka says where the topics are; its topic is that of the spans, and its group that of the predictors.
	Kafka kafka.Options
	// Demands and Supplies are the names of the other topics, and Deciders is the group of the deciders.
	Demands, Supplies, Deciders string
	// Rebuild is how old what was written may be from which it is rebuilt what is known.
	Rebuild time.Duration
	// Name is that of the instance: no other has it.
	Name string
	// Now is the time, nil for that of the machine.
	Now func() time.Time
}

// Loop is who runs the Deciders: a controller.Controller.
type Loop interface {
	// Do has it call f with the time that it is, and returns when it has.
	Do(ctx context.Context, f func(now prewarm.Time)) error
}

// Instance is one of the instances that share the work by Kafka. Its parts are run as sources.
type Instance struct {
	o        InstanceOptions
	writer   *kafka.Writer
	deciders *Deciders
	loop     Loop

	mu         sync.Mutex // of what follows
	predictors *Predictors
	batch      *writing // what is emitted now belongs to it
	failed     error    // what was to be written

	lost                     atomic.Bool                           // something that the deciders have emitted, and nothing was written since
	has                      atomic.Pointer[controller.ShareState] // of the spans
	spans, demands, supplies *source.Counter
	supplied                 time.Duration // how old supplies may be that are read at the beginning
	watch                    watcher       // nil if nobody looks on
}

// watcher looks on at what is written to topics and taken from them.
type watcher interface {
	begins(topic string)
	wrote(topic string, m kafka.Message, err error)
	took(topic string, m *kafka.Message)
}

// writing counts what of a batch is yet to be written.
type writing struct{ left atomic.Int64 }

// NewInstance returns an instance; it connects to nothing yet. The loop that runs its Deciders is set by Sources.
func NewInstance(o InstanceOptions, core controller.Options) (*Instance, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	i := &Instance{o: o, supplied: 4 * supplyEvery, spans: source.NewCounter("kafka", nobody{}), demands: source.NewCounter("kafka-demands", nobody{}), supplies: source.NewCounter("kafka-supplies", nobody{})}
	predicting, deciding := o.Options, o.Options
	predicting.Emit, deciding.Emit = i.writePredicted, i.writeDecided
	var err error
	if i.predictors, err = NewPredictors(predicting); err != nil {
		return nil, err
	}
	if i.deciders, err = NewDeciders(deciding, core, o.Name); err != nil {
		return nil, err
	}
	i.deciders.Shares(i.shares)
	i.writer, err = kafka.NewWriter(o.Kafka)
	return i, err
}

// Engine returns what decides.
func (i *Instance) Engine() *Deciders { return i.deciders }

// Close gives up the partitions that are decided on, as the loop of the deciders may have ended before its readers have said that they are, and writes what is yet to be written.
// Nothing of the instance runs any more.
func (i *Instance) Close(ctx context.Context) error {
	for _, partition := range i.deciders.partitions() {
		i.deciders.Revoke(partition)
	}
	return i.writer.Close(ctx)
}

// Sources returns the parts of the instance by name. They tell no sink: run them until the end.
func (i *Instance) Sources(loop Loop) map[string]source.Source {
	i.loop = loop
	return map[string]source.Source{
		"kafka":          part{i.spans, i.runPredictors},
		"kafka-demands":  part{i.demands, i.runDeciders},
		"kafka-supplies": part{i.supplies, i.runSupplies},
	}
}

// part is a part of an instance as a source.
type part struct {
	counter *source.Counter
	run     func(ctx context.Context) error
}

// Run implements source.Source.
func (p part) Run(ctx context.Context, _ source.Sink) error { return p.run(ctx) }

// Counts returns what has come.
func (p part) Counts() source.Counts { return p.counter.Counts() }

// nobody is a sink for what is only counted.
type nobody struct{}

func (nobody) Observe(context.Context, []source.Observation) error { return nil }
func (nobody) ObserveLoad(context.Context, []source.Load) error    { return nil }

// now returns the time that it is for the predictors. It is called with mu.
func (i *Instance) now() prewarm.Time { return i.predictors.at(i.o.Now()) }

// writePredicted writes what the predictors emit. It is called with mu.
func (i *Instance) writePredicted(r Record) {
	b := i.batch
	if b != nil {
		b.left.Add(1)
	}
	i.write(&r, func(err error) {
		if err != nil {
			// What it is of is not settled, and comes again.
			go i.fail(err)
		} else if b != nil {
			b.left.Add(-1)
		}
	})
}

func (i *Instance) fail(err error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.failed = err
}

// writeDecided writes what the deciders emit. What is lost of it is asked for again, or told again; that it was is said until something is written.
func (i *Instance) writeDecided(r Record) {
	i.write(&r, func(err error) {
		if lost := err != nil; lost || i.lost.Swap(false) {
			i.lost.Store(lost)
			i.demands.Report(err)
		}
	})
}

// write writes a record.
func (i *Instance) write(r *Record, done func(error)) {
	topic := i.o.Demands
	if r.Topic == Supplies {
		topic = i.o.Supplies
	}
	if i.watch != nil {
		i.watch.begins(topic)
	}
	i.writer.Write(topic, r.Partition, r.Key, r.At, r.Value, func(m kafka.Message, err error) {
		done(err)
		if i.watch != nil {
			i.watch.wrote(topic, m, err)
		}
	})
}

// took tells who looks on that a message was taken.
func (i *Instance) took(topic string, m *kafka.Message) {
	if i.watch != nil {
		i.watch.took(topic, m)
	}
}

// shares returns which partitions of the spans it has.
func (i *Instance) shares() []controller.ShareState {
	if has := i.has.Load(); has != nil {
		return []controller.ShareState{*has}
	}
	return nil
}

// share notes which partitions of the spans it has. It is called with mu.
func (i *Instance) share() {
	all, rebuilding := i.predictors.Partitions()
	i.has.Store(&controller.ShareState{Of: "spans", Partitions: all, Rebuilding: rebuilding})
}

// longestTrace is how old what was written may be from which traces in flight are rebuilt.
const longestTrace = 2 * time.Minute

// longestWait is how long it is waited for messages at most.
const longestWait = time.Second

// predicting is the kafka.Stage of the predictors.
type predicting struct {
	*Instance
	reader *kafka.StageReader
}

func (i *Instance) runPredictors(ctx context.Context) error {
	i.mu.Lock()
	i.failed = nil
	i.mu.Unlock()
	p := &predicting{Instance: i}
	var err error
	if p.reader, err = kafka.NewStageReader(kafka.StageOptions{Options: i.o.Kafka, Commits: true, Rebuild: min(i.o.Rebuild, longestTrace), Now: i.o.Now}, p, i.spans); err != nil {
		return err
	}
	return p.reader.Run(ctx)
}

// Assigned implements kafka.Stage.
func (p *predicting) Assigned(_ context.Context, partition int32, first, from int64) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	defer p.share()
	return p.predictors.Assign(partition, first, from)
}

// Revoked implements kafka.Stage.
func (p *predicting) Revoked(partition int32) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.predictors.Revoke(partition)
	p.share()
}

// Take implements kafka.Stage.
func (p *predicting) Take(ctx context.Context, messages []kafka.Message) (func() bool, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	b := &writing{}
	p.batch = b
	defer func() { p.batch = nil; p.share() }()
	for k := range messages {
		m := &messages[k]
		observations := p.reader.Observations(m, p.o.Now())
		if err := p.spans.Observe(ctx, observations); err != nil {
			return nil, err
		}
		if err := p.predictors.Take(p.now(), m, observations); err != nil {
			p.spans.Reject(1, m.Wrong(p.reader.Topic(), err))
		}
		p.took(p.o.Kafka.Topic, m)
	}
	return func() bool { return b.left.Load() == 0 }, p.failed
}

// Tick implements kafka.Stage. While the brokers take less than what comes it waits: if a message had no room, and later ones had, deciders would pass over it when it
// comes again, as they would know more by then.
func (p *predicting) Tick(ctx context.Context) error {
	if err := p.writer.Wait(ctx); err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.predictors.Pass(p.now())
	return p.failed
}

// Wait implements kafka.Stage.
func (p *predicting) Wait() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return min(p.predictors.Next()-p.now(), longestWait)
}

// deciding is the kafka.Stage of the deciders.
type deciding struct {
	*Instance
	ctx context.Context
}

func (i *Instance) runDeciders(ctx context.Context) error {
	o := i.o.Kafka
	o.Topic, o.Group = i.o.Demands, i.o.Deciders
	r, err := kafka.NewStageReader(kafka.StageOptions{Options: o, Rebuild: i.o.Rebuild, Now: i.o.Now}, &deciding{i, ctx}, i.demands)
	if err != nil {
		return err
	}
	return r.Run(ctx)
}

// Assigned implements kafka.Stage.
func (d *deciding) Assigned(ctx context.Context, partition int32, _, _ int64) (err error) {
	done := d.loop.Do(ctx, func(now prewarm.Time) {
		d.deciders.Pass(now)
		err = d.deciders.Assign(partition)
	})
	if err == nil {
		err = done
	}
	return err
}

// Revoked implements kafka.Stage.
func (d *deciding) Revoked(partition int32) {
	_ = d.loop.Do(context.WithoutCancel(d.ctx), func(prewarm.Time) { d.deciders.Revoke(partition) }) // a loop that has ended decides nothing
}

// counted stand for messages that are only counted.
var counted [1000]source.Observation

// takeAtOnce is how many messages are taken between two looks of the loop at what else there is.
const takeAtOnce = 64

// Take implements kafka.Stage.
func (d *deciding) Take(ctx context.Context, messages []kafka.Message) (func() bool, error) {
	_ = d.demands.Observe(ctx, counted[:min(len(messages), len(counted))])
	for len(messages) > 0 {
		n := min(takeAtOnce, len(messages))
		err := d.loop.Do(ctx, func(now prewarm.Time) {
			for k := range messages[:n] {
				m := &messages[k]
				if err := d.deciders.Take(now, m); err != nil {
					d.demands.Reject(1, m.Wrong(d.o.Demands, err))
				}
				d.took(d.o.Demands, m)
			}
		})
		if err != nil {
			return nil, err
		}
		messages = messages[n:]
	}
	return nil, nil
}

// Tick implements kafka.Stage.
func (d *deciding) Tick(context.Context) error { return nil }

// Wait implements kafka.Stage.
func (d *deciding) Wait() time.Duration { return longestWait }

// supplying is the kafka.Stage of what predictors are told of containers.
type supplying struct{ *Instance }

func (i *Instance) runSupplies(ctx context.Context) error {
	o := i.o.Kafka
	o.Topic = i.o.Supplies
	r, err := kafka.NewStageReader(kafka.StageOptions{Options: o, Alone: true, Rebuild: i.supplied, Now: i.o.Now}, supplying{i}, i.supplies)
	if err != nil {
		return err
	}
	return r.Run(ctx)
}

// Assigned implements kafka.Stage.
func (supplying) Assigned(context.Context, int32, int64, int64) error { return nil }

// Revoked implements kafka.Stage.
func (supplying) Revoked(int32) {}

// Take implements kafka.Stage.
func (s supplying) Take(ctx context.Context, messages []kafka.Message) (func() bool, error) {
	_ = s.supplies.Observe(ctx, counted[:min(len(messages), len(counted))])
	standing := s.supply(messages)
	if len(standing) > 0 {
		err := s.loop.Do(ctx, func(now prewarm.Time) {
			for _, m := range standing {
				s.deciders.Stand(now, m)
			}
		})
		if err != nil {
			return nil, err
		}
	}
	for k := range messages {
		s.took(s.o.Supplies, &messages[k])
	}
	return nil, nil
}

// supply tells the predictors what there is of each function, and returns what the deciders are told: what stands of each partition of theirs.
func (s supplying) supply(messages []kafka.Message) (standing []*Message) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for k := range messages {
		m, err := Parse(messages[k].Value)
		if err == nil {
			if m.Standing != nil && messages[k].Partition == ordered {
				standing = append(standing, m)
			}
			err = s.predictors.Supply(s.now(), m)
		}
		if err != nil {
			s.supplies.Reject(1, messages[k].Wrong(s.o.Supplies, err))
		}
	}
	return standing
}

// Tick implements kafka.Stage.
func (supplying) Tick(context.Context) error { return nil }

// Wait implements kafka.Stage.
func (supplying) Wait() time.Duration { return longestWait }
