package controller

import (
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/tppfaas/tppfaas/prewarm"
	"github.com/tppfaas/tppfaas/prewarm/actuator"
	"github.com/tppfaas/tppfaas/prewarm/internal/recent"
	"github.com/tppfaas/tppfaas/prewarm/mirror"
	"github.com/tppfaas/tppfaas/prewarm/source"
)

// Mirror is what a core needs of a mirror.Mirror.
type Mirror interface {
	Observe(now prewarm.Time, o *source.Observation, events []prewarm.Event) ([]prewarm.Event, error)
	Pass(now prewarm.Time, events []prewarm.Event) []prewarm.Event
	Next() prewarm.Time
	Warm(now prewarm.Time, function, n int, events []prewarm.Event) (ids []prewarm.ID, _ []prewarm.Event)
	Warmed(now prewarm.Time, id prewarm.ID, r actuator.Result, events []prewarm.Event) []prewarm.Event
	Renewing(now prewarm.Time, ids []prewarm.ID, events []prewarm.Event) []prewarm.Event
	Renewed(now prewarm.Time, function int, ids []prewarm.ID, results []actuator.Result, events []prewarm.Event) []prewarm.Event
	ObserveLoad(now prewarm.Time, l *source.Load, events []prewarm.Event) ([]prewarm.Event, error)
	Scaled(now prewarm.Time, function, replicas int, events []prewarm.Event) []prewarm.Event
	Functions() []prewarm.Function
	Function(name string) int
	Version(function int) string
	Redeployed() []int
	Measured() []mirror.StartTime
	TraceID(id prewarm.ID) string
	Invocation(id prewarm.ID) (mirror.Invocation, bool)
	Container(id prewarm.ID) (mirror.Container, bool)
	Snapshot() *mirror.Snapshot
}

// Core is the controller without goroutines and without a clock: whoever uses it tells it what happens and when, and takes the commands that it
// decides on. The same calls lead to the same commands. It is used by one goroutine at a time. Times never decrease; a smaller one counts as the last.
type Core struct {
	o      Options
	mirror Mirror
	fleet  *prewarm.Fleet
	policy prewarm.Policy

	now       prewarm.Time
	agenda    agenda
	events    []prewarm.Event // from the mirror, before they are told
	queue     []prewarm.Event // that the policy is yet to be told of
	telling   bool
	decisions prewarm.Decisions

	functions []*function
	boxes     map[prewarm.ID]*box
	requests  *requests
	alone     alone
	renewals  prewarm.Renewals
	starts    *prewarm.StartTimes // those of containers that there were in fact
	draws     uint64              // start times that were drawn from them
	truth     source.Temperature  // that the observation under way says
	log       *decisionLog
	totals    Totals
	spent     float64 // MB·s of containers that were starting or idle
	stands    Standing
	kept      float64 // part of it of containers that were idle for longer than the platform keeps them by itself
	models    []*modelUse
	faults    uint64 // events that contradict what was known

	observed    uint64 // observations and loads
	remembered  uint64 // as many when what is known of the platform was last written down
	restoring   bool
	looksOn     bool // see LookOn
	paused      bool
	blocked     string // why nothing is done although it should be
	commands    []actuator.Command
	flight      map[uint64]flight
	nextCommand uint64
	records     []Record
	releases    []Release
	dirty       []*function // whose numbers of replicas want to be looked at
	notice      Histogram
	behind      recent.Max // by how much observations came later than what they tell of
	expected    []prewarm.Expected
}

// function is what is known of a function beside the fleet.
type function struct {
	FunctionState
	index     int
	heard     prewarm.Time // when something was last observed of it
	model     *modelUse
	failures  int          // starts in a row that have failed
	retry     prewarm.Time // no start is tried before
	heldLog   uint64       // decision that the last start which was held back is counted in
	imagined  bool         // containers of it were imagined
	unserved  bool         // it was said that no model is for it
	standing  int          // containers that were asked for and wait for their use
	scale     scale
	renewing  prewarm.Time     // no renewal is tried before
	intended  bool             // somebody else was told of a renewal, see Options.Intend, and has not had it done
	renewMiss int              // renewals in a row that have found no idle container
	renewFor  prewarm.Decision // the last hold that a renewal would carry out
}

// box is a container as the controller sees it.
type box struct {
	id       prewarm.ID
	function int
	memory   float64
	asked    prewarm.Time
	ready    prewarm.Time // 0 if it is not yet
	warmed   bool         // the controller has asked for it
	dry      bool         // it is only imagined
	used     bool
	spends   bool // it is starting or idle, since
	since    prewarm.Time
	until    prewarm.Time // of its hold; Never if there is none
	decision uint64
	outcome  outcome
	command  uint64       // that counts for limits, 0 if it does not any more
	renewal  uint64       // the last command that has renewed its idle time, 0 if none counts for limits
	renewals int          // how often its idle time was renewed
	kept     bool         // it was renewed, or is being, and not used since
	stands   bool         // it counts for what stands
	idleFrom prewarm.Time // when it has become idle last, whatever was renewed since then; Never if it is not
}

// flight is a command of which the result is not known yet.
type flight struct {
	function   int
	containers []prewarm.ID
	at         prewarm.Time
	renewal    bool
	noted      bool // somebody else has asked the platform for it
	decision   uint64
	gone       []prewarm.ID // of the containers, those that were used, or are gone, before the result
}

// defaultIdleTimeout is taken for how long a platform keeps idle containers that does not say it.
const defaultIdleTimeout = 10 * time.Minute

// NewCore returns a core over a mirror. Begin must be called before anything else.
func NewCore(o Options, m Mirror) (*Core, error) {
	if err := o.setDefaults(); err != nil {
		return nil, err
	}
	c := &Core{
		o: o, mirror: m, boxes: map[prewarm.ID]*box{}, requests: newRequests(o.MostTraces),
		alone: alone{timeout: o.Platform.IdleTimeout}, log: newDecisionLog(o.MostDecisions), flight: map[uint64]flight{}, nextCommand: 1,
		starts: prewarm.NewStartTimes(0), notice: NewHistogram(NoticeBounds), behind: recent.Max{Span: time.Hour},
	}
	if c.alone.timeout <= 0 {
		c.alone.timeout = defaultIdleTimeout
	}
	var err error
	if c.fleet, err = prewarm.NewFleet(o.Platform, nil); err != nil {
		return nil, err
	}
	if err := c.addFunctions(false); err != nil {
		return nil, err
	}
	if c.policy, err = o.NewPolicy(c.fleet.Functions); err != nil {
		return nil, err
	}
	c.refreshModels()
	return c, nil
}

// Begin takes up what an earlier process has left, nil if there was none, and tells the policy that it begins. The mirror is then that of Saved.NewMirror.
func (c *Core) Begin(now prewarm.Time, saved *Saved) {
	c.now = max(now, c.now)
	if saved != nil {
		c.restoring = true
		requests := c.restore(saved)
		c.restoring = false
		if p, ok := c.policy.(Resumer); ok && len(requests) > 0 {
			p.Resume(requests, c.fleet)
		}
	}
	c.tell(prewarm.Event{Kind: prewarm.Woken, At: c.now})
	c.agenda.set(entry{purpose: checkModels}, c.now+checkEvery)
	c.settle()
}

// Observe takes an observation. An error says what is wrong with it.
func (c *Core) Observe(now prewarm.Time, o *source.Observation) error {
	c.Pass(now)
	c.observed++
	c.truth = o.Temperature
	if i := c.mirror.Function(o.Function); i >= 0 && i < len(c.functions) && c.functions[i].imagined && o.Temperature == source.Cold {
		// Had what the policy wanted been done, it might have been warm. The mirror finds a container for it by the platform's rule.
		changed := *o
		changed.Temperature, changed.Init = source.Unknown, -1
		o = &changed
	}
	events, err := c.mirror.Observe(c.now, o, c.events[:0])
	if failure := c.learned(); err == nil {
		err = failure
	}
	c.heard(o.Function)
	c.tell(events...)
	c.truth = source.Unknown
	c.events = events[:0]
	c.settle()
	return err
}

// ObserveLoad takes what is known of a function as a whole. An error says what is wrong with it.
func (c *Core) ObserveLoad(now prewarm.Time, l *source.Load) error {
	c.Pass(now)
	c.observed++
	events, err := c.mirror.ObserveLoad(c.now, l, c.events[:0])
	if failure := c.learned(); err == nil {
		err = failure
	}
	c.heard(l.Function)
	c.loaded(l)
	c.tell(events...)
	c.events = events[:0]
	c.settle()
	return err
}

// mostAtOnce is how many times may pass at once; what is left passes at the next call.
const mostAtOnce = 10000

// Pass tells the core that it is now.
func (c *Core) Pass(now prewarm.Time) {
	c.now = max(now, c.now)
	for range mostAtOnce {
		mirror, agenda := c.mirror.Next(), c.agenda.first()
		if min(mirror, agenda) > c.now {
			break
		}
		if mirror <= agenda {
			events := c.mirror.Pass(c.now, c.events[:0])
			if err := c.learned(); err != nil {
				c.o.Log.Error("the platform's functions", "error", err)
			}
			c.tell(events...)
			c.events = events[:0]
		} else {
			c.due(c.agenda.take())
		}
	}
	c.settle()
}

// Wake has the policy told that it is woken, with a key, at once.
func (c *Core) Wake(now prewarm.Time, key uint64) {
	c.Pass(now)
	c.tell(prewarm.Event{Kind: prewarm.Woken, At: c.now, Key: key})
	c.settle()
}

// Now returns the time of the last call.
func (c *Core) Now() prewarm.Time { return c.now }

// Epoch returns the moment that prewarm.Time 0 stands for.
func (c *Core) Epoch() time.Time { return c.o.Epoch }

// Shift moves the epoch, because the machine's clock was set.
func (c *Core) Shift(by time.Duration) { c.o.Epoch = c.o.Epoch.Add(by) }

// Log returns who is told of what people should know.
func (c *Core) Log() *slog.Logger { return c.o.Log }

// Next returns when Pass should be called next, prewarm.Never if that is not needed.
func (c *Core) Next() prewarm.Time { return min(c.mirror.Next(), c.agenda.first()) }

// Commands returns the commands that were decided on since the last call. The slice is valid until the next call of any method.
func (c *Core) Commands() []actuator.Command {
	commands := c.commands
	c.commands = c.commands[:0]
	return commands
}

// Releases returns the containers that were used, or are gone, since the last call. The slice is valid until the next call of any method.
func (c *Core) Releases() []Release {
	releases := c.releases
	c.releases = c.releases[:0]
	return releases
}

// Records returns what has to be written down before the commands are carried out, see Journal. The slice is valid until the next call of any method.
func (c *Core) Records() []Record {
	records := c.records
	c.records = c.records[:0]
	return records
}

func (c *Core) record(r Record) { c.records = append(c.records, r) }

// due does what the agenda has for now.
func (c *Core) due(e entry) {
	switch e.purpose {
	case wakePolicy:
		c.tell(prewarm.Event{Kind: prewarm.Woken, At: c.now, Key: e.key})
	case readyDry:
		if b := c.boxes[prewarm.ID(e.key)]; b != nil && b.dry {
			c.warmed(b.id, actuator.Result{Outcome: actuator.Created})
		}
	case endHold:
		c.holdEnded(prewarm.ID(e.key))
	case renewIdle:
		c.lookAtRenewals(c.functions[e.key])
	case renewScale:
		c.functions[e.key].scale.renew = true
		c.touch(c.functions[e.key])
	case closeTraces:
		c.closeRequests()
	case checkModels:
		c.refreshModels()
		c.tellUnserved()
		c.forgetRequests()
		c.agenda.set(e, c.now+checkEvery)
	}
}

// addFunctions takes up functions that the mirror has and the fleet has not.
func (c *Core) addFunctions(running bool) error {
	functions := c.mirror.Functions()
	if len(functions) == len(c.functions) {
		return nil
	}
	for _, f := range functions[len(c.functions):] {
		i, err := c.fleet.AddFunction(f)
		if err != nil {
			return fmt.Errorf("controller: %w", err)
		}
		c.functions = append(c.functions, &function{
			FunctionState: FunctionState{Name: f.Name, Application: f.Application, MemoryMB: f.MemoryMB}, index: i, heard: c.now,
			scale: scale{want: -1, sent: -1},
		})
		c.starts.Grow(i + 1)
		c.alone.addFunction(f.MemoryMB)
	}
	if !running {
		return nil
	}
	if p, ok := c.policy.(prewarm.Grower); ok {
		c.decisions.Reset()
		p.Grown(c.fleet, &c.decisions)
		c.refreshModels()
		for _, d := range slices.Clone(c.decisions.List) {
			c.carryOut(&d)
		}
		return nil
	}
	p, err := c.o.NewPolicy(c.fleet.Functions)
	if err != nil {
		c.o.Log.Error("the policy cannot be made for more functions; it goes on without them", "error", err)
		return nil
	}
	for key := range c.agenda.index {
		if key.purpose == wakePolicy {
			c.agenda.set(key, prewarm.Never)
		}
	}
	c.policy = p
	c.tell(prewarm.Event{Kind: prewarm.Woken, At: c.now})
	c.refreshModels()
	return nil
}

// learned takes up what the mirror has noticed at its last call: functions that are new, code that is, start times.
func (c *Core) learned() error {
	err := c.addFunctions(true)
	for _, i := range c.mirror.Redeployed() {
		if m := c.functions[i].model; m != nil {
			m.watch.renew(m.watch.length) // what came of the old code says nothing of the new one
		}
		c.o.Log.Info("a function was redeployed: its start times are learned anew", "function", c.functions[i].Name, "version", c.mirror.Version(i))
		c.fleet.Starts.Forget(i)
		c.starts.Forget(i)
		if p, ok := c.policy.(interface{ Forget(function int) }); ok {
			p.Forget(i)
		}
	}
	for _, m := range c.mirror.Measured() {
		c.fleet.Starts.Add(m.Function, 0, m.Took)
		c.starts.Add(m.Function, 0, m.Took)
	}
	return err
}

// heard notes that something was observed of a function.
func (c *Core) heard(name string) {
	i := c.mirror.Function(name)
	if i < 0 || i >= len(c.functions) {
		return
	}
	f := c.functions[i]
	f.heard = c.now
	if f.model != nil && f.model.stale {
		c.refreshModels()
	}
}

// mostEventsAtOnce bounds what a policy may cause by its own decisions at one moment.
const mostEventsAtOnce = 100000

// tell tells the policy of events, and carries out what it decides. What that leads to at once is told afterwards, in order.
func (c *Core) tell(events ...prewarm.Event) {
	c.queue = append(c.queue, events...)
	if c.telling {
		return
	}
	c.telling = true
	for i := 0; i < len(c.queue); i++ {
		if i == mostEventsAtOnce {
			c.o.Log.Error("the policy does not come to an end: its decisions are dropped", "events", i)
		}
		e := c.queue[i]
		c.handle(&e, i < mostEventsAtOnce)
	}
	c.queue = c.queue[:0]
	c.telling = false
}

// handle tells the policy of an event.
func (c *Core) handle(e *prewarm.Event, decide bool) {
	// The mirror's times are those at which something was observed to have happened; the policy is told in the order of time.
	at := e.At
	e.At = min(max(e.At, c.fleet.Now), c.now)
	e.Late += max(e.At-at, 0)
	if e.Kind == prewarm.Arrived || e.Kind == prewarm.Started || e.Kind == prewarm.Ended {
		c.behind.Add(c.now, c.now-e.At+e.Late)
	}
	start := c.startOf(e)
	if err := c.fleet.Apply(e); err != nil {
		if c.faults++; c.faults&(c.faults-1) == 0 {
			c.o.Log.Warn("what was observed contradicts what was known; it is left out", "error", err, "times", c.faults)
		}
		return
	}
	c.account(e, start)
	if c.restoring {
		return // the policy finds it in the fleet when it begins
	}
	c.decisions.Reset()
	c.policy.Handle(e, c.fleet, &c.decisions)
	if e.Parent == 0 && (e.Kind == prewarm.Arrived || e.Kind == prewarm.Started && !c.fleet.Platform.Arrivals) {
		c.foretell(e)
	}
	if !decide {
		return
	}
	for i := range c.decisions.List {
		c.carryOut(&c.decisions.List[i])
	}
}

// startOf returns how an invocation has come to its container whose run has started, as far as the fleet knows before it applies that.
func (c *Core) startOf(e *prewarm.Event) prewarm.Start {
	if e.Kind != prewarm.Started {
		return prewarm.Warm
	}
	switch b := c.fleet.Container(e.Container); {
	case b == nil:
		return prewarm.Cold
	case !b.Ready:
		return prewarm.Late
	}
	return prewarm.Warm
}
