package share

import (
	"errors"
	"fmt"
	"hash/fnv"
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/tppfaas/tppfaas/prewarm"
	"github.com/tppfaas/tppfaas/prewarm/actuator"
	"github.com/tppfaas/tppfaas/prewarm/controller"
	"github.com/tppfaas/tppfaas/prewarm/source"
	"github.com/tppfaas/tppfaas/prewarm/source/kafka"
)

// Deciders decide on the functions of some partitions of the topic of demands, each partition by a core of its own, of which everything is a function of
// what is in the partition. They are a controller.Engine, and are used by one goroutine at a time.
type Deciders struct {
	o        Options
	core     controller.Options
	instance string
	units    map[int32]*decider
	stated   map[int32]stated  // by partition
	orphans  map[uint64]orphan // by command
	claims   uint64
	now      prewarm.Time
	began    prewarm.Time
	supplied prewarm.Time // when all supplies were told last
	paused   bool
	blocked  string

	commands []actuator.Command
	releases []controller.Release
	past     controller.Totals // of partitions that were given up
	shares   func() []controller.ShareState
}

// NewDeciders returns Deciders that decide on no partition yet. The instance is a name that no other has. Of the core's options Epoch, Platform, Functions, NewPolicy and
// what says when the core starts containers are set here.
func NewDeciders(o Options, core controller.Options, instance string) (*Deciders, error) {
	if core.Log == nil {
		core.Log = slog.New(slog.DiscardHandler)
	}
	if !isName(instance) || len(instance) > mostName/2 {
		return nil, fmt.Errorf("share: the instance has the name %q", instance)
	}
	d := &Deciders{o: o, core: core, instance: instance, units: map[int32]*decider{}, orphans: map[uint64]orphan{}, stated: map[int32]stated{}}
	_, err := d.newUnit(0) // so that what is wrong is known before anything begins
	return d, err
}

// Shares has the state tell of other partitions too: those of the Predictors of the same process.
func (d *Deciders) Shares(f func() []controller.ShareState) { d.shares = f }

// Assign begins with a partition: what is taken of it rebuilds what was known of its functions, until the claim comes that is emitted now. From then on this
// one decides.
func (d *Deciders) Assign(partition int32) error {
	u, err := d.newUnit(partition)
	if err != nil {
		return err
	}
	d.claims++
	u.number = d.claims
	u.mine = fmt.Sprintf("%s/%d", d.instance, d.claims)
	h := fnv.New32a()
	_, _ = h.Write([]byte(u.mine))
	u.commands = uint64(h.Sum32())
	d.units[partition] = u
	u.doClaim()
	return nil
}

// doClaim writes that this instance decides on the partition from there on.
func (u *decider) doClaim() {
	u.unclaimed = u.all.now
	u.emit("", &Message{Claim: &Claim{Owner: u.mine}}, u.all.now)
}

// reclaims returns when a partition is claimed once more that is not decided on.
func (u *decider) reclaims() prewarm.Time { return u.unclaimed + reclaimAfter }

// Revoke ends with a partition. What is under way of its commands goes on; what becomes of them is written for the heir, and of what was asked for, and has not come back, that
// nothing does: the heir need not wait for it.
func (d *Deciders) Revoke(partition int32) {
	u := d.units[partition]
	if u == nil {
		return
	}
	addTotals(&d.past, u.totals())
	delete(d.units, partition)
	for _, id := range slices.Sorted(maps.Keys(u.asked)) {
		if p := u.asked[id]; !p.wanted {
			u.notDone(u.function(&p), id, p.n)
		}
	}
	for command, g := range u.of {
		if g.owner == u.mine {
			d.orphans[u.command(command)] = orphan{u, g}
		}
	}
}

// Take takes a message of a partition. It counts as of when it was written, and as long as there is more to be read nothing passes but that. An error says that
// it was of no use.
func (d *Deciders) Take(now prewarm.Time, m *kafka.Message) error {
	d.now = max(d.now, now)
	u := d.units[m.Partition]
	if u == nil {
		return nil
	}
	message, err := Parse(m.Value)
	if err != nil {
		return err
	}
	u.lag.take(d.now, m, d.o.since(m.At))
	err = u.take(max(min(d.o.since(moment(message.At)), d.now), u.now), m.Offset, message)
	if u.live && !u.lag.behind(d.now) {
		u.pass(d.now)
	}
	d.gather(u)
	return err
}

// gather takes up what a unit has decided.
func (d *Deciders) gather(u *decider) {
	for _, c := range u.core.Commands() {
		c.ID = u.command(c.ID)
		if !u.live {
			continue // it was another's
		}
		d.commands = append(d.commands, c)
	}
	for _, r := range u.core.Releases() {
		d.releases = append(d.releases, controller.Release{Command: u.command(r.Command), N: r.N})
	}
	u.core.Records()
	if u.live {
		u.supplies(false)
	}
}

// unitBits is how many bits of a number that a core has given are kept in that which the instance shows, or has done: above them stands which unit it is of.
const unitBits = 32

// global returns the number of something of a core, among those of all units of the instance.
func (u *decider) global(id uint64) uint64 { return u.number<<unitBits | id&(1<<unitBits-1) }

// command returns the number of a command of a core, among those of all instances: platforms tell by it what they have been asked for already.
func (u *decider) command(id uint64) uint64 { return u.commands<<unitBits | id&(1<<unitBits-1) }

// unitOf returns the unit of a command, and its number there.
func (d *Deciders) unitOf(command uint64) (*decider, uint64) {
	for _, u := range d.units {
		if u.commands == command>>unitBits {
			return u, command & (1<<unitBits - 1)
		}
	}
	return nil, 0
}

// orphan is a command of a unit that has been given up while it was under way.
type orphan struct {
	unit *decider
	grant
}

// supplyEvery is how often all supplies are told, for those who have begun since.
const supplyEvery = 30 * time.Second

// Begin implements controller.Engine.
func (d *Deciders) Begin(now prewarm.Time, _ *controller.Saved) {
	d.now = max(d.now, now)
	d.began = d.now
}

var errKafka = errors.New("an instance that shares its work observes by Kafka alone")

// Observe implements controller.Engine: it is an error, as what is observed comes by Take.
func (d *Deciders) Observe(prewarm.Time, *source.Observation) error { return errKafka }

// ObserveLoad implements controller.Engine: it is an error, as of Observe.
func (d *Deciders) ObserveLoad(prewarm.Time, *source.Load) error { return errKafka }

// Pass implements controller.Engine.
func (d *Deciders) Pass(now prewarm.Time) {
	d.now = max(d.now, now)
	all := d.now-d.supplied >= supplyEvery
	if all {
		d.supplied = d.now
	}
	for _, partition := range d.partitions() {
		u := d.units[partition]
		if u.lag.behind(d.now) {
			continue
		}
		if !u.live {
			if u.reclaims() <= d.now {
				u.doClaim()
			}
			continue
		}
		if u.lag.sleeps(d.now, u.due()) {
			continue
		}
		u.lag.old = false
		if u.due() <= d.now {
			u.pass(d.now)
			d.gather(u)
		}
		if all {
			u.supplies(true)
		}
	}
}

// Next implements controller.Engine.
func (d *Deciders) Next() prewarm.Time {
	next := prewarm.Never
	for _, u := range d.units {
		switch {
		case !u.live && !u.lag.behind(d.now):
			next = min(next, u.reclaims())
		case u.lag.behind(d.now):
			next = min(next, u.lag.taken+longestLag)
		default:
			next = min(next, u.due(), d.supplied+supplyEvery)
		}
	}
	return next
}

// Commands implements controller.Engine.
func (d *Deciders) Commands() []actuator.Command {
	commands := d.commands
	d.commands = d.commands[:0]
	return commands
}

// Releases implements controller.Engine.
func (d *Deciders) Releases() []controller.Release {
	releases := d.releases
	d.releases = d.releases[:0]
	return releases
}

// Records implements controller.Engine: there are none, what must not be forgotten is in the topic.
func (d *Deciders) Records() []controller.Record { return nil }

// Acted implements controller.Engine.
func (d *Deciders) Acted(now prewarm.Time, command uint64, results []actuator.Result) {
	d.now = max(d.now, now)
	if o, ok := d.orphans[command]; ok {
		delete(d.orphans, command)
		o.unit.emit(o.function, &Message{Done: &Done{Owner: o.owner, ID: o.id, Results: newResults(results)}}, d.now)
	} else if u, id := d.unitOf(command); u != nil {
		u.acted(max(d.now, u.now), id, results)
		d.gather(u)
	}
}

// each calls f for each unit.
func (d *Deciders) each(f func(*decider)) {
	for _, partition := range d.partitions() {
		f(d.units[partition])
	}
}

// Pause implements controller.Engine.
func (d *Deciders) Pause(now prewarm.Time) {
	d.now, d.paused = max(d.now, now), true
	d.each(func(u *decider) { u.core.Pause(u.core.Now()) })
}

// Resume implements controller.Engine.
func (d *Deciders) Resume(now prewarm.Time) {
	d.now, d.paused = max(d.now, now), false
	d.each(func(u *decider) { u.core.Resume(u.core.Now()) })
}

// Block implements controller.Engine.
func (d *Deciders) Block(reason string) {
	d.blocked = reason
	d.each(func(u *decider) { u.core.Block(reason) })
}

// Disturbed implements controller.Engine.
func (d *Deciders) Disturbed() { d.each(func(u *decider) { u.core.Disturbed() }) }

// Remember implements controller.Engine: what must be remembered is in the topic.
func (d *Deciders) Remember() {}

// Saved implements controller.Engine: there is nothing to be saved.
func (d *Deciders) Saved() *controller.Saved { return &controller.Saved{Epoch: d.o.Epoch} }

// Now implements controller.Engine.
func (d *Deciders) Now() prewarm.Time { return d.now }

// Epoch implements controller.Engine.
func (d *Deciders) Epoch() time.Time { return d.o.Epoch }

// Shift implements controller.Engine.
func (d *Deciders) Shift(by time.Duration) {
	d.o.Epoch = d.o.Epoch.Add(by)
	d.each(func(u *decider) { u.core.Shift(by) })
}

// Log implements controller.Engine.
func (d *Deciders) Log() *slog.Logger { return d.core.Log }

// Partitions returns the partitions that are decided on, and those of them that are being rebuilt.
func (d *Deciders) Partitions() (all, rebuilding []int32) {
	all = d.partitions()
	for _, partition := range all {
		if !d.units[partition].live {
			rebuilding = append(rebuilding, partition)
		}
	}
	return all, rebuilding
}

func (d *Deciders) partitions() []int32 {
	list := make([]int32, 0, len(d.units))
	for partition := range d.units {
		list = append(list, partition)
	}
	slices.Sort(list)
	return list
}
