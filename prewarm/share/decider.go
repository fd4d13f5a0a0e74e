package share

import (
	"hash/fnv"
	"maps"
	"slices"
	"time"

	"github.com/tppfaas/tppfaas/prewarm"
	"github.com/tppfaas/tppfaas/prewarm/actuator"
	"github.com/tppfaas/tppfaas/prewarm/controller"
	"github.com/tppfaas/tppfaas/prewarm/mirror"
	"github.com/tppfaas/tppfaas/prewarm/newsvendor"
)

// decider decides on the functions of a partition.
//
//	rebuilding ──own claim──▶ live ──claim of another──▶ fenced
//
// While it is rebuilding it takes up what was, as of the times at which it was, and wants nothing started or renewed. Live it writes what it wants into the partition,
// and does it when that comes back and nobody else has claimed the partition in between. Fenced it follows on, like one that is rebuilding.
type decider struct {
	all        *Deciders
	partition  int32
	number     uint64 // of all that this instance has had
	commands   uint64 // what its commands begin with
	core       *controller.Core
	mirror     *namedMirror
	newsvendor *newsvendor.Decider
	now        prewarm.Time
	mine       string // what it claims as
	owner      string // who has claimed last, "" if that was before what is known
	begun      bool   // it has taken a message
	live       bool
	claim      int64        // the offset of its claim
	unclaimed  prewarm.Time // when it, or another, has claimed it last, as long as it is not live
	stated     controller.Standing
	lag        lag
	owned      map[int]bool // functions that something has come of

	known    map[int32]known           // by partition of spans
	swept    prewarm.Time              // when it was looked last which names of traces are old
	next     uint64                    // number of the next Asked
	asked    map[uint64]pending        // that have not come back
	orphaned prewarm.Time              // until when it is waited for what others have asked for, 0 if that has passed
	granted  map[askedOf]uint64        // by what was asked, the number of the core's command
	of       map[uint64]grant          // the reverse
	requests uint64                    // that began with its functions since it went live
	base     controller.Totals         // when it went live: what was before, others have counted
	bases    map[string]functionCounts // the same by function
}

// pending is what was asked for and has not come back: containers that are to be started or, where the decision is a hold, renewed.
type pending struct {
	decision prewarm.Decision
	n        int
	standing int // of n: of what is to be renewed, those that count for limits already
	at       prewarm.Time
	wanted   bool // it is yet to be seen whether it is within the limits
}

// askedOf is an Asked: who has asked, and its number.
type askedOf struct {
	owner string
	id    uint64
}

// grant is what was asked for and was granted, and the function.
type grant struct {
	askedOf
	function string
}

type functionCounts struct{ invocations, warm, late, cold, hits, wasted uint64 }

// namedMirror is a mirror that knows the ids of traces too that only predictors have told of.
type namedMirror struct {
	*mirror.Mirror
	names map[prewarm.ID]named
}

type named struct {
	name string
	at   prewarm.Time
}

// TraceID returns the id of a trace, "" if it is not known.
func (m *namedMirror) TraceID(id prewarm.ID) string {
	if n, ok := m.names[id]; ok {
		return n.name
	}
	return m.Mirror.TraceID(id)
}

// tooLate is how old what was asked for may be when it comes back from the partition: later it is not carried out.
const tooLate = 2 * time.Second

// longestTold is how long what a predictor has told holds at most: it tells it anew before.
const longestTold = time.Hour

// reclaimAfter is how long after a claim a decider that still has the partition claims it once more, if it does not decide on it: its own claim was lost, or it was
// claimed by somebody whom the group has not given it to. By then the group has taken the partition away from one that another has claimed it from.
const reclaimAfter = 45 * time.Second

// orphanedAfter is for how long after a claim it is waited for what has become of that which was asked for before. If whoever asked for it has died, nobody says.
const orphanedAfter = 15 * time.Second

func (d *Deciders) newUnit(partition int32) (*decider, error) {
	u := &decider{
		all: d, partition: partition, owned: map[int]bool{}, asked: map[uint64]pending{}, granted: map[askedOf]uint64{}, of: map[uint64]grant{},
		bases: map[string]functionCounts{}, known: map[int32]known{},
	}
	m, err := d.o.newMirror()
	if err != nil {
		return nil, err
	}
	u.mirror = &namedMirror{Mirror: m, names: map[prewarm.ID]named{}}
	if u.newsvendor, err = newsvendor.NewDecider(d.o.newsvendor(), d.o.Applications, d.o.Learns); err != nil {
		return nil, err
	}
	o := d.core
	o.Epoch, o.Platform, o.Functions, o.Scales, o.Loads, o.ServesAll, o.Intend = d.o.Epoch, d.o.Platform, d.o.Functions, false, false, true, u.intend
	o.NewPolicy = func([]prewarm.Function) (prewarm.Policy, error) { return u.newsvendor, nil }
	if u.core, err = controller.NewCore(o, u.mirror); err != nil {
		return nil, err
	}
	if d.paused {
		u.core.Pause(0)
	}
	u.core.Block(d.blocked)
	u.core.LookOn(true)
	u.core.Records()
	return u, nil
}

// emit emits a message for the partition.
func (u *decider) emit(function string, m *Message, now prewarm.Time) {
	at := u.all.o.Epoch.Add(now)
	m.At, m.Key = at.UnixNano(), function
	u.all.o.Emit(Record{Topic: Demands, Partition: u.partition, Key: function, At: at, Value: encode(m)})
}

// answered is how long the newsvendor waits for what it has asked for before it asks again.
const answered = 500 * time.Millisecond

// intend is told by the core what the policy wants started or renewed. It is not asked for if it is known only now what was wanted long ago, while what was written long ago is
// read, which may say that nothing is wanted any more, or as long as something that was asked for has not come back: the policy wants that again, which would then be done twice. It will say so once more,
// as the core does of a renewal.
func (u *decider) intend(d *prewarm.Decision, n int) {
	if u.lag.old || u.all.now-u.now > mostLate {
		return
	}
	for id, p := range u.asked {
		switch {
		case u.lost(&p):
			delete(u.asked, id)
		case p.decision.Function != d.Function || p.decision.Action != d.Action:
		case d.Action == prewarm.HoldContainer && u.now-p.at <= tooLate: // later it is not carried out
			return
		case d.Action != prewarm.HoldContainer && u.now-p.at > answered/2:
			return
		}
	}
	standing := 0
	if d.Action == prewarm.HoldContainer {
		standing = min(u.core.StandingIdle(d.Function), n)
	}
	if n = u.within(d, n, standing); n == 0 {
		return
	}
	u.next++
	p := pending{decision: *d, n: n, standing: min(standing, n), at: u.now, wanted: u.all.shared()}
	u.asked[u.next] = p
	if p.wanted {
		u.state(u.next)
	} else {
		u.ask(u.next, &p)
	}
}

// lost reports whether what was asked for has not come back for so long that nobody waits for it any more.
func (u *decider) lost(p *pending) bool { return u.now-p.at > time.Minute }

// take takes a message with an offset at a time.
func (u *decider) take(now prewarm.Time, offset int64, m *Message) error {
	if !u.begun {
		u.begun = true
		u.core.Begin(now, nil)
	}
	u.pass(now)
	switch {
	case m.Claim != nil:
		u.claimed(m.Claim, offset)
	case m.Asked != nil:
		u.wanted(m.Key, m.Asked, prewarm.StartContainers)
	case m.Renewal != nil:
		u.wanted(m.Key, m.Renewal, prewarm.HoldContainer)
	case m.Done != nil:
		if command, ok := u.granted[askedOf{m.Done.Owner, m.Done.ID}]; ok && m.Done.Owner != u.mine {
			u.settled(command)
			u.core.Acted(now, command, m.Done.results())
		}
	default:
		return u.told(m)
	}
	return nil
}

// pass tells the core that it is now, and before that when each time was that it wanted to be told of: whenever the message comes by which it is known, everything is
// decided as of when it was due.
func (u *decider) pass(now prewarm.Time) {
	for range mostAtOnce {
		next := u.due()
		if next >= now {
			break
		}
		u.passTo(next)
	}
	u.passTo(now)
}

// due returns when something is due.
func (u *decider) due() prewarm.Time {
	if u.orphaned != 0 {
		return min(u.core.Next(), u.orphaned)
	}
	return u.core.Next()
}

func (u *decider) passTo(now prewarm.Time) {
	u.now = max(u.now, now)
	u.core.Pass(u.now)
	if u.orphaned == 0 || u.orphaned > u.now {
		return
	}
	u.orphaned = 0
	for _, command := range slices.Sorted(maps.Keys(u.of)) {
		if u.of[command].owner != u.owner {
			u.settled(command)
			u.core.Acted(u.now, command, nil)
		}
	}
}

// told takes what was observed, and what a predictor expects.
func (u *decider) told(m *Message) error {
	if err := u.all.o.notAhead(u.all.now, m); err != nil {
		return err
	}
	if !u.newest(m) {
		return nil
	}
	at := u.all.o.since(moment(m.At))
	var failure error
	function := u.mirror.Function(m.Key)
	if function >= 0 && !u.owned[function] {
		u.owned[function] = true
		u.newsvendor.Own(function)
	}
	if t := m.Told; t != nil && function >= 0 {
		told := newsvendor.Told{Trace: traceID(t.Trace), Function: function, Until: seconds(at) + min(float64(t.Until)/1e6, longestTold.Seconds()), Root: -1}
		for i := range t.Demands {
			if v := t.Demands[i].demand(function, seconds(at)); !v.Lost(seconds(u.all.now), u.all.o.Patience) { // it may have been held up
				told.Demands = append(told.Demands, v)
			}
		}
		if t.Root != "" {
			if told.Root = u.mirror.Function(t.Root); told.Root >= 0 {
				told.Began, told.At = true, min(u.all.o.since(moment(t.Began)), u.now)
				if u.live && t.Root == m.Key {
					u.requests++
				}
			}
		}
		u.name(told.Trace, t.Trace, len(told.Demands) > 0)
		u.newsvendor.Tell(&told, u.now)
	}
	if m.Observation != nil {
		o := m.Observation.observation(m.Key)
		failure = u.core.Observe(u.now, &o)
		if function = u.mirror.Function(m.Key); function >= 0 {
			u.owned[function] = true
		}
	}
	if m.Told != nil {
		u.core.Wake(u.now, newsvendor.KeyAgain)
	}
	return failure
}

// known is up to which message of a partition of spans somebody has told, and when.
type known struct {
	offset int64
	at     prewarm.Time
}

// overtaken is for how long it counts that somebody has known more, or had the partition later. Nothing is expected any more of a trace of which nothing was heard for so long;
// and if what tells more comes no more, a topic may have been made anew.
const overtaken = 15 * time.Minute

// newest reports whether nobody has told before who knew more of the partition of spans, and notes it. What is told comes in the order in which it is known, but from two
// who follow the same traces: an instance that goes on after a while without knowing that it has lost them, or an heir that begins before where the other has ended.
// What such a one expects may have come, and what it has observed is known.
func (u *decider) newest(m *Message) bool {
	by := m.By
	if by == nil {
		return true
	}
	k, ok := u.known[by.Partition]
	if ok && by.Offset < k.offset && u.now-k.at < overtaken {
		return false
	}
	u.known[by.Partition] = known{by.Offset, u.now}
	return true
}

// mostNames is how many traces are known by name.
const mostNames = 10000

// name notes the id of a trace that something is expected of.
func (u *decider) name(id prewarm.ID, trace string, some bool) {
	if !some {
		delete(u.mirror.names, id)
		return
	}
	if len(u.mirror.names) >= mostNames && u.now >= u.swept+time.Second { // each message would look at all of them, else
		u.swept = u.now
		for old, n := range u.mirror.names {
			if u.now-n.at > time.Minute {
				delete(u.mirror.names, old)
			}
		}
	}
	if len(u.mirror.names) < mostNames {
		u.mirror.names[id] = named{trace, u.now}
	}
}

// traceID returns the number of a trace, which is the same for whoever takes the same messages.
func traceID(trace string) prewarm.ID {
	h := fnv.New64a()
	_, _ = h.Write([]byte(trace))
	return prewarm.ID(h.Sum64() | 1<<63) // no number of the mirror's
}

// claimed takes a claim, which has an offset in the partition.
func (u *decider) claimed(c *Claim, offset int64) {
	u.owner, u.orphaned = c.Owner, u.now+orphanedAfter
	if c.Owner != u.mine {
		u.unclaimed = u.all.now
		if u.live {
			addTotals(&u.all.past, u.totals())
			u.live, u.requests = false, 0
			u.core.LookOn(true)
			u.all.core.Log.Warn("another instance decides on a partition from here on", "partition", u.partition, "instance", c.Owner)
		}
		return
	}
	if u.live {
		return
	}
	u.live, u.claim = true, offset
	u.core.LookOn(false)
	s := u.core.State()
	u.base = s.Totals
	for i := range s.Functions {
		f := &s.Functions[i]
		u.bases[f.Name] = functionCounts{f.Invocations, f.Warm, f.Late, f.Cold, f.Hits, f.Wasted}
	}
	u.core.Wake(u.now, newsvendor.KeyAgain)
	u.core.RenewAgain(u.now)
	u.supplies(true)
}

// wanted takes what was asked for of a function.
func (u *decider) wanted(name string, a *Asked, action prewarm.Action) {
	own := a.Owner == u.mine
	p, known := u.asked[a.ID]
	if own {
		delete(u.asked, a.ID)
	}
	function := u.mirror.Function(name)
	if u.owner != "" && a.Owner != u.owner || function < 0 {
		return // it was asked for by one that had lost the partition
	}
	of := askedOf{a.Owner, a.ID}
	if !own {
		d := prewarm.Decision{Action: action, Function: function, N: a.N, Why: prewarm.Why{Rule: "asked for by the instance before"}}
		if command := u.core.Grant(u.now, &d, a.N, false); command != 0 {
			u.granted[of], u.of[command] = command, grant{of, name}
		}
		return
	}
	if _, granted := u.granted[of]; granted || !u.live {
		return
	}
	command := uint64(0)
	if known && u.all.now-p.at <= tooLate { // else it was taken to be lost, or is late
		command = u.core.Grant(u.now, &p.decision, a.N, true)
	}
	if command != 0 {
		u.granted[of], u.of[command] = command, grant{of, name}
		return
	}
	u.notDone(name, a.ID, a.N)
}

// notDone says that something is not done that was asked for: others must not reckon with it.
func (u *decider) notDone(function string, id uint64, n int) {
	if !u.all.core.Act {
		return
	}
	results := make([]actuator.Result, n)
	for i := range results {
		results[i] = actuator.Result{Outcome: actuator.Held}
	}
	u.emit(function, &Message{Done: &Done{Owner: u.mine, ID: id, Results: newResults(results)}}, u.now)
}

// acted takes what has become of a command of its own.
func (u *decider) acted(now prewarm.Time, command uint64, results []actuator.Result) {
	u.pass(now)
	if g, ok := u.of[command]; ok && g.owner == u.mine {
		u.settled(command)
		u.emit(g.function, &Message{Done: &Done{Owner: g.owner, ID: g.id, Results: newResults(results)}}, now)
	}
	u.core.Acted(now, command, results)
}

// settled forgets a command.
func (u *decider) settled(command uint64) {
	delete(u.granted, u.of[command].askedOf)
	delete(u.of, command)
}

// supplies emits what predictors should know of the containers; what has changed since the last time, or all.
func (u *decider) supplies(all bool) {
	if all || u.stated != u.standing() {
		u.state(0)
	}
	now := seconds(u.now)
	at := u.all.o.Epoch.Add(u.now)
	u.newsvendor.EachSupply(all, func(s *newsvendor.Supply) {
		name := u.mirror.Functions()[s.Function].Name
		m := &Message{At: at.UnixNano(), Key: name, Supply: newSupply(s, now)}
		m.Supply.Claim = u.claim
		u.all.o.Emit(Record{Topic: Supplies, Partition: -1, Key: name, At: at, Value: encode(m)})
	})
}
