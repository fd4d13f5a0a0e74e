package share

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tppfaas/tppfaas/prewarm"
	"github.com/tppfaas/tppfaas/prewarm/mirror"
	"github.com/tppfaas/tppfaas/prewarm/newsvendor"
	"github.com/tppfaas/tppfaas/prewarm/source"
	"github.com/tppfaas/tppfaas/prewarm/source/kafka"
)

// Record is a message for a topic. Where Partition is negative, Key says which.
type Record struct {
	Topic     Topic
	Partition int32
	Key       string
	At        time.Time
	Value     []byte
}

// Topic is one of the topics that are written to.
type Topic uint8

const (
	// Demands has what was observed and what is expected, by function.
	Demands Topic = iota
	// Supplies has what predictors should know of the containers of each function.
	Supplies
)

// Options are what predictors and deciders are made with. All instances have the same.
type Options struct {
	// Epoch is the moment that prewarm.Time 0 stands for.
	Epoch time.Time
	// Price, EveryWait and Patience are those of newsvendor.Options.
	Price     float64
	EveryWait bool
	Patience  time.Duration
	// StartCost is that of newsvendor.Options.
	StartCost float64
	Platform  prewarm.Platform
	// Functions are those of the applications, and Describe says what is known of others; nil for nothing.
	Functions []prewarm.Function
	Describe  func(name string) prewarm.Function
	// Applications are those whose traces are predicted.
	Applications []*newsvendor.Application
	// Learns has deciders learn how long runs take and when requests come, beside what is known of the applications.
	Learns bool
	// DefaultMemoryMB is the memory of functions of which it is not known.
	DefaultMemoryMB int
	// Limits bound what all instances together ask for.
	Limits Limits
	// Emit is given what is to be written, in the order in which it is to be. It does not wait.
	Emit func(Record)
}

func (o *Options) newMirror() (*mirror.Mirror, error) {
	return mirror.New(mirror.Options{
		Epoch: o.Epoch, Platform: o.Platform, Functions: slices.Clone(o.Functions), Describe: o.Describe, DefaultMemoryMB: o.DefaultMemoryMB,
	})
}

func (o *Options) newsvendor() newsvendor.Options {
	return newsvendor.Options{
		Price: o.Price, EveryWait: o.EveryWait, StartCost: o.StartCost, Patience: o.Patience, Platform: o.Platform, Functions: slices.Clone(o.Functions),
	}
}

func (o *Options) since(t time.Time) prewarm.Time { return max(t.Sub(o.Epoch), 0) }

// Predictors follow the traces of some partitions of the topic of spans, each by itself, and emit what they expect of them. They have no clock and start no
// goroutine, and are used by one goroutine at a time.
type Predictors struct {
	o        Options
	units    map[int32]*predictor
	now      prewarm.Time
	supplies map[string]*Message // by function, as they were told last
}

// predictor follows the traces of a partition.
type predictor struct {
	all        *Predictors
	place      Place // of the message that was taken last
	mirror     *mirror.Mirror
	newsvendor *newsvendor.Predictor
	now        prewarm.Time
	from       int64 // the offset from which on it emits: what was before is only rebuilt
	replays    bool
	lag        lag
	withheld   bool // something that it expected was not told, because of that
	functions  int
	events     []prewarm.Event
	told       map[toldOf]*Told // under way
}

// toldOf is what something is told of.
type toldOf struct {
	function int
	trace    string
}

// lag is how far behind somebody is who reads a partition.
type lag struct {
	more  bool         // there is more to be read, or there may be
	taken prewarm.Time // when the last message was
	old   bool         // it was written long ago, and there is more
	begun bool         // a message was taken
	late  prewarm.Time // until when more is waited for, as what was written long ago comes only now; 0 if nothing does
	slept bool         // it may be that there is more
}

// longestLag is after how long without a message nothing more is to be read, whatever was said before.
const longestLag = time.Second

// take notes a message that was written at a time. Where nothing more was to be read, and what was written long ago comes all the same, more of it is likely to come: what
// could not be delivered while the brokers were away is delivered in parts, and what the first one has expected may be in the next one.
func (l *lag) take(now prewarm.Time, m *kafka.Message, at prewarm.Time) {
	old := now-at > mostLate
	switch {
	case !old:
		l.late = 0
	case l.late == 0 && l.begun && !l.behind(now):
		l.late = now + longestLag // and no longer: clocks may differ, or all of it be late for good
	}
	l.more, l.taken, l.begun = old && now < l.late || m.Behind > 0, now, true
	l.old = l.more && old
}

// behind reports whether there is more to be read.
func (l *lag) behind(now prewarm.Time) bool { return l.more && now < l.taken+longestLag }

// mostSupplies is of how many functions it is known what containers there are.
const mostSupplies = 100_000

// sleeps reports whether somebody was stopped for a while, for whom something was due long ago: what has come meanwhile is to be read first.
func (l *lag) sleeps(now, due prewarm.Time) bool {
	if l.slept || now-due <= mostLate {
		l.slept = false
		return false
	}
	l.more, l.taken, l.slept = true, now, true
	return true
}

// mostLate is by how much later than what it knows somebody is who tells nothing of what is expected: it may have come since.
const mostLate = 2 * time.Second

// NewPredictors returns Predictors that follow no partition yet.
func NewPredictors(o Options) (*Predictors, error) {
	p := &Predictors{o: o, units: map[int32]*predictor{}, supplies: map[string]*Message{}}
	_, err := p.newUnit() // so that what is wrong is known before anything begins
	return p, err
}

// clockStep is by how much the machine's clock must be behind before it counts as set back.
const clockStep = time.Second

// at returns the time of a moment by the machine's clock. If that was set back time goes on, and moments count from an epoch that is as much earlier: it would stand still
// otherwise until the clock is where it was, and all that is told would be of a time that is yet to come.
func (p *Predictors) at(moment time.Time) prewarm.Time {
	if back := p.now - moment.Sub(p.o.Epoch); back > clockStep {
		p.o.Epoch = p.o.Epoch.Add(-back)
	}
	return p.o.since(moment)
}

func (p *Predictors) newUnit() (*predictor, error) {
	u := &predictor{all: p, told: map[toldOf]*Told{}, functions: len(p.o.Functions)}
	var err error
	if u.mirror, err = p.o.newMirror(); err != nil {
		return nil, err
	}
	u.newsvendor, err = newsvendor.NewPredictor(p.o.newsvendor(), p.o.Applications, u.tell)
	return u, err
}

// Assign begins with a partition. What is taken of it before offset from was told by whoever had it before: traces are rebuilt by it, and nothing is emitted.
func (p *Predictors) Assign(partition int32, first, from int64) error {
	u, err := p.newUnit()
	if err != nil {
		return err
	}
	u.from, u.replays, u.place = from, first < from, Place{partition, first - 1}
	p.units[partition] = u
	for _, m := range p.supplies {
		u.supply(m)
	}
	return nil
}

// Revoke ends with a partition.
func (p *Predictors) Revoke(partition int32) { delete(p.units, partition) }

// Take takes the observations of a message of a partition. They count as of when it was written, and as long as there is more to be read nothing passes but
// that.
func (p *Predictors) Take(now prewarm.Time, m *kafka.Message, observations []source.Observation) (useless error) {
	p.now = max(p.now, now)
	u := p.units[m.Partition]
	if u == nil {
		return nil
	}
	u.replays = m.Offset < u.from
	u.lag.take(p.now, m, p.o.since(m.At))
	place := Place{m.Partition, m.Offset}
	if now = min(p.o.since(m.At), p.now); m.Behind == 0 && !u.replays && p.now-now <= mostLate {
		now = p.now
	}
	u.pass(now)
	u.place = place
	for i := range observations {
		if err := u.observe(&observations[i]); err != nil {
			useless = err
		}
	}
	u.replays = m.Offset+1 < u.from
	return useless
}

// Supply takes a message of the topic of supplies. An error says that it was of no use.
func (p *Predictors) Supply(now prewarm.Time, m *Message) error {
	p.now = max(p.now, now)
	if m.Supply == nil {
		return nil
	}
	if err := p.o.notAhead(p.now, m); err != nil {
		return err
	}
	last := p.supplies[m.Key]
	switch {
	case last == nil:
		if len(p.supplies) >= mostSupplies {
			return fmt.Errorf("containers of function %q are told of, and those of %d others are known", m.Key, len(p.supplies))
		}
	case m.Supply.Claim < last.Supply.Claim && m.At < last.At+overtaken.Nanoseconds():
		return nil // from one that has lost the partition
	case m.Supply.Claim == last.Supply.Claim && m.At < last.At:
		return nil
	}
	p.supplies[m.Key] = m
	for _, u := range p.units {
		u.supply(m)
	}
	return nil
}

func (u *predictor) supply(m *Message) {
	if i := u.mirror.Function(m.Key); i >= 0 {
		s := m.Supply.supply(i, seconds(u.all.o.since(moment(m.At))))
		u.newsvendor.Supply(&s)
	}
}

// Pass tells what the passing of time means.
func (p *Predictors) Pass(now prewarm.Time) {
	p.now = max(p.now, now)
	for _, partition := range p.partitions() {
		if u := p.units[partition]; !u.replays && !u.lag.behind(p.now) && !u.lag.sleeps(p.now, u.next()) {
			if u.lag.old = false; u.withheld {
				u.withheld = false
				u.newsvendor.Again()
			}
			u.pass(p.now)
		}
	}
}

// Next returns when Pass should be called next, prewarm.Never if that is not needed.
func (p *Predictors) Next() prewarm.Time {
	next := prewarm.Never
	for _, u := range p.units {
		switch {
		case u.replays:
		case u.lag.behind(p.now):
			next = min(next, u.lag.taken+longestLag)
		default:
			next = min(next, u.next())
		}
	}
	return next
}

// Partitions returns the partitions that are followed, and those of them that are being rebuilt.
func (p *Predictors) Partitions() (all, rebuilding []int32) {
	all = p.partitions()
	for _, partition := range all {
		if p.units[partition].replays {
			rebuilding = append(rebuilding, partition)
		}
	}
	return all, rebuilding
}

func (p *Predictors) partitions() []int32 {
	list := make([]int32, 0, len(p.units))
	for partition := range p.units {
		list = append(list, partition)
	}
	slices.Sort(list)
	return list
}

func (u *predictor) next() prewarm.Time { return min(u.mirror.Next(), u.newsvendor.Next()) }

// mostAtOnce is how many times may pass at once; what is left passes at the next call.
const mostAtOnce = 10000

// pass tells what the passing of time means.
func (u *predictor) pass(now prewarm.Time) {
	now = max(now, u.now)
	for range mostAtOnce {
		next := u.next()
		if next > now {
			break
		}
		u.now = max(u.now, next)
		if u.mirror.Next() <= u.newsvendor.Next() {
			u.events = u.mirror.Pass(u.now, u.events[:0])
			u.handle()
		} else {
			u.newsvendor.Pass(u.now)
		}
		u.emit(nil)
	}
	u.now = now
}

// observe takes an observation.
func (u *predictor) observe(o *source.Observation) error {
	var err error
	u.events, err = u.mirror.Observe(u.now, o, u.events[:0])
	if functions := u.mirror.Functions(); len(functions) != u.functions {
		u.functions = len(functions)
		u.newsvendor.Grow(functions)
	}
	if err != nil {
		return fmt.Errorf("function %q: %w", o.Function, err)
	}
	u.handle()
	u.emit(o)
	return nil
}

func (u *predictor) handle() {
	for i := range u.events {
		u.newsvendor.Handle(&u.events[i])
	}
}

// tell is told by the newsvendor what it expects.
func (u *predictor) tell(t *newsvendor.Told) {
	trace := u.mirror.TraceID(t.Trace)
	if trace == "" {
		return
	}
	now := seconds(u.now)
	told := &Told{Trace: trace, Until: micros(t.Until, now)}
	of := toldOf{t.Function, trace}
	if before := u.told[of]; before != nil {
		told.Root, told.Began = before.Root, before.Began
	}
	if t.Began {
		told.Root, told.Began = u.mirror.Functions()[t.Root].Name, u.all.o.Epoch.Add(t.At).UnixNano()
	}
	for i := range t.Demands[:min(len(t.Demands), mostDemands)] {
		told.Demands = append(told.Demands, newDemand(&t.Demands[i], now))
	}
	u.told[of] = told
}

// emit emits what was told, and an observation if there is one.
func (u *predictor) emit(o *source.Observation) {
	if u.replays {
		clear(u.told)
		return
	}
	if u.lag.old || u.all.now-u.now > mostLate {
		u.withheld = true
		for _, t := range u.told {
			t.Demands = nil
		}
	}
	at := u.all.o.Epoch.Add(u.now)
	send := func(name string, m *Message) {
		m.At, m.Key, m.By = at.UnixNano(), name, &u.place
		u.all.o.Emit(Record{Topic: Demands, Partition: -1, Key: name, At: at, Value: encode(m)})
	}
	var own toldOf
	if o != nil {
		own = toldOf{u.mirror.Function(o.Function), o.Trace}
		send(o.Function, &Message{Observation: newObservation(o), Told: u.told[own]})
		delete(u.told, own)
	}
	if len(u.told) == 0 {
		return
	}
	all := make([]toldOf, 0, len(u.told))
	for of := range u.told {
		all = append(all, of)
	}
	slices.SortFunc(all, func(a, b toldOf) int {
		return cmp.Or(cmp.Compare(a.function, b.function), strings.Compare(a.trace, b.trace))
	})
	for _, of := range all {
		send(u.mirror.Functions()[of.function].Name, &Message{Told: u.told[of]})
	}
	clear(u.told)
}
