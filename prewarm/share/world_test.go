package share

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/tppfaas/tppfaas/internal/localwhisk"
	"github.com/tppfaas/tppfaas/prewarm"
	"github.com/tppfaas/tppfaas/prewarm/actuator"
	"github.com/tppfaas/tppfaas/prewarm/controller"
	"github.com/tppfaas/tppfaas/prewarm/lab"
	"github.com/tppfaas/tppfaas/prewarm/mirror"
	"github.com/tppfaas/tppfaas/prewarm/newsvendor"
	"github.com/tppfaas/tppfaas/prewarm/source"
	"github.com/tppfaas/tppfaas/prewarm/source/kafka"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var virtualEpoch = time.Date(2026, time.March, 1, 0, 0, 0, 0, time.UTC)

// whisk is what policies are told of the platform.
var whisk = prewarm.Platform{Warm: true, Arrivals: true, FirstCall: true, Late: prewarm.TakesStarting, IdleTimeout: 10 * time.Minute}

// plain is what most worlds are like.
var plain = setting{told: whisk, price: 2560}

// setting is what policies are told of a platform, for how long it keeps idle containers, and what a second of waiting is worth.
type setting struct {
	told      prewarm.Platform
	price     float64
	everyWait bool
}

// works is what decides in a world.
type works interface {
	// observe takes what was observed now, and pass what the passing of time means.
	observe(o *source.Observation)
	pass(now prewarm.Time)
	next() prewarm.Time
	acted(now prewarm.Time, command uint64, results []actuator.Result)
	// commands returns what is to be done.
	commands() []actuator.Command
}

// world is a platform in virtual time.
type world struct {
	t testing.TB
	setting
	clock    *localwhisk.VirtualClock
	platform *localwhisk.Platform
	works    works
	stop     func()
	wake     func() bool
	creating map[int]func(actuator.Result)
	done     []done
	starts   [3]int
	unused   map[int]int         // containers that were asked for, or renewed, and wait for their use: their memory in MiB
	renewing int                 // renewals under way
	most     controller.Standing // of these, at any time
	workload *lab.Workload
	apps     []*newsvendor.Application
	know     prewarm.Knowledge
}

// done is what was done on the platform.
type done struct {
	at       prewarm.Time
	function string
	n        int
	renewed  bool // it was not warmed, but its idle time renewed
}

func (d done) String() string {
	what := ""
	if d.renewed {
		what = " renewed"
	}
	return fmt.Sprintf("%v %s %d%s", d.at, d.function, d.n, what)
}

// marker is what a renewal carries: an invocation that the function answers at once.
type marker struct {
	linger time.Duration
	asked  time.Time
	cold   bool
	done   func(actuator.Result)
}

// call is what an invocation carries.
type call struct {
	w           *world
	request     *lab.Request
	trace       string
	index       int
	parent      int
	todo        []int
	run         *localwhisk.Run
	temperature source.Temperature
	instance    string
}

func (c *call) id(i int) string {
	if i < 0 {
		return ""
	}
	return fmt.Sprintf("%s-%d", c.trace, i)
}

// newWorld returns a world in which the requests of a workload come.
func newWorld(t testing.TB, app, load string, requests int, seed uint64) *world {
	t.Helper()
	return newWorldOf(t, plain, app, load, requests, seed)
}

// newWorldOf is newWorld of a setting.
func newWorldOf(t testing.TB, s setting, app, load string, requests int, seed uint64) *world {
	t.Helper()
	w, err := lab.NewWorkload(app, load, lab.Options{Requests: requests})
	require.NoError(t, err)
	plan, err := w.Plan(t.Context(), seed)
	require.NoError(t, err)
	x := &world{t: t, setting: s, clock: localwhisk.NewVirtualClock(virtualEpoch), creating: map[int]func(actuator.Result){}, unused: map[int]int{}, workload: w}
	x.know, err = w.Knowledge()
	require.NoError(t, err)
	x.apps = trained(t, app, load, requests, &x.know, len(w.Functions))
	config := localwhisk.DefaultConfig()
	config.StemCells, config.TakesStarting, config.WarmFirstCall, config.IdleTimeout = 0, s.told.Late == prewarm.TakesStarting, true, s.told.IdleTimeout
	x.platform, err = localwhisk.New(x.clock, config, seed)
	require.NoError(t, err)
	for _, f := range w.Functions {
		require.NoError(t, x.platform.Deploy(localwhisk.Function{Name: f.Name, MemoryMB: f.MemoryMB, Handler: handle}))
	}
	x.platform.Watch(x.event)
	for i := range plan.Requests {
		r := &plan.Requests[i]
		x.clock.AfterFunc(r.At, func() {
			c := &call{w: x, request: r, trace: fmt.Sprintf("%032x", i+1), parent: -1}
			if _, err := x.platform.Invoke(w.Functions[r.Calls[0].Function].Name, c, nil); err != nil {
				t.Error(err)
			}
		})
	}
	x.clock.AfterFunc(plan.End+time.Minute, func() { x.stop() })
	return x
}

// trainedOf are the applications of workloads, which worlds share: training takes a third of the time of a world.
var (
	trainedOf = map[string][]*newsvendor.Application{}
	training  sync.Mutex
)

func trained(t testing.TB, app, load string, requests int, know *prewarm.Knowledge, functions int) []*newsvendor.Application {
	t.Helper()
	training.Lock()
	defer training.Unlock()
	key := fmt.Sprint(app, load, requests)
	if trainedOf[key] == nil {
		for i := range know.Applications {
			a, err := newsvendor.Train(t.Context(), &know.Applications[i], newsvendor.TrainOptions{Model: newsvendor.Table, Functions: functions, Seed: 1, Remember: true})
			require.NoError(t, err)
			trainedOf[key] = append(trainedOf[key], a)
		}
	}
	return trainedOf[key]
}

func (x *world) now() prewarm.Time { return x.clock.Now().Sub(virtualEpoch) }

// run lets time pass until all requests have ended.
func (x *world) run() {
	x.t.Helper()
	over := errors.New("over")
	ctx, cancel := context.WithCancelCause(x.t.Context())
	defer cancel(nil)
	x.stop = func() { cancel(over) }
	x.clock.AfterFunc(0, x.after)
	if err := x.clock.Run(ctx); err != nil && !errors.Is(context.Cause(ctx), over) {
		x.t.Fatal(err)
	}
	require.NoError(x.t, x.platform.Err())
}

func handle(run *localwhisk.Run) {
	if m, ok := run.Params().(*marker); ok {
		run.Sleep(m.linger, run.Finish)
		return
	}
	c := run.Params().(*call)
	v := &c.request.Calls[c.index]
	c.run, c.todo = run, v.Invokes
	if v.Sleep > 0 {
		run.Sleep(v.Sleep, c.next)
	} else {
		c.next()
	}
}

func (c *call) next() {
	if len(c.todo) == 0 {
		c.run.Finish()
		return
	}
	successor := &call{w: c.w, request: c.request, trace: c.trace, index: c.todo[0], parent: c.index}
	c.todo = c.todo[1:]
	if _, err := c.run.Invoke(c.w.workload.Functions[c.request.Calls[successor.index].Function].Name, successor); err != nil {
		c.run.Fail(err)
		return
	}
	if len(c.todo) > 0 {
		c.run.Sleep(15*time.Millisecond, c.next)
	} else {
		c.run.Finish()
	}
}

// event turns an event of the platform into an observation, as an instrumented function would.
func (x *world) event(e localwhisk.Event) {
	if ready := x.creating[e.Container]; ready != nil && (e.Kind == localwhisk.Idle || e.Kind == localwhisk.Started) {
		delete(x.creating, e.Container)
		ready(actuator.Result{Outcome: actuator.Created, Instance: fmt.Sprint("c", e.Container)})
	}
	if m, ok := e.Params.(*marker); ok {
		x.renewed(m, &e)
		return
	}
	if e.Kind == localwhisk.Started || e.Kind == localwhisk.Removed {
		delete(x.unused, e.Container)
	}
	c, ok := e.Params.(*call)
	if !ok {
		return
	}
	o := source.Observation{Function: e.Function, Trace: c.trace, Call: c.id(c.index), ParentCall: c.id(c.parent), Time: x.clock.Now(), Wait: -1, Init: -1}
	switch e.Kind {
	case localwhisk.Arrived:
		o.Kind = source.Invoked
	case localwhisk.Placed:
		x.starts[e.Start]++
		if c.temperature = source.Warm; e.Start == localwhisk.Cold {
			c.temperature = source.Cold
		}
		return
	case localwhisk.Started:
		o.Kind, c.instance = source.Started, fmt.Sprint("c", e.Container)
		o.Instance, o.Temperature = c.instance, c.temperature
	case localwhisk.Ended:
		o.Kind, o.Instance, o.Temperature = source.Ended, c.instance, c.temperature
	default:
		return
	}
	x.works.observe(&o)
	x.after()
}

// renewed tells what has become of a renewal.
func (x *world) renewed(m *marker, e *localwhisk.Event) {
	switch e.Kind {
	case localwhisk.Placed:
		m.cold = e.Start == localwhisk.Cold
		x.waits(e.Container, e.Function)
	case localwhisk.Ended:
		r := actuator.Result{Outcome: actuator.Collapsed, Instance: fmt.Sprint("c", e.Container), Asked: m.asked, Ready: x.clock.Now()}
		if m.cold {
			r.Outcome = actuator.Created
		}
		m.done(r)
	}
}

// after carries out what was decided, and comes back when time has passed.
func (x *world) after() {
	for {
		commands := x.works.commands()
		if len(commands) == 0 {
			break
		}
		for _, c := range commands {
			x.done = append(x.done, done{x.now(), c.Function, c.N, c.Kind == actuator.Renew})
			x.carryOut(c)
		}
	}
	if x.wake != nil {
		x.wake()
	}
	next := x.works.next()
	if next == prewarm.Never {
		return
	}
	x.wake = x.clock.AfterFunc(max(next-x.now(), 0), func() { x.works.pass(x.now()); x.after() })
}

func (x *world) carryOut(c actuator.Command) {
	works := x.works
	results := make([]actuator.Result, c.N)
	missing := c.N
	finish := func(i int, r actuator.Result) {
		results[i] = r
		if missing--; missing == 0 {
			x.clock.AfterFunc(time.Millisecond, func() { works.acted(x.now(), c.ID, results); x.after() })
		}
	}
	for i := range c.N {
		asked := x.clock.Now()
		if c.Kind == actuator.Renew {
			x.renewing++
			x.most.Starting = max(x.most.Starting, len(x.creating)+x.renewing)
			m := &marker{asked: asked, done: func(r actuator.Result) { x.renewing--; finish(i, r) }}
			if c.N > 1 {
				m.linger = 50 * time.Millisecond
			}
			if _, err := x.platform.Invoke(c.Function, m, nil); err != nil {
				x.t.Error(err)
			}
			continue
		}
		id, err := x.platform.StartContainer(c.Function)
		if err != nil {
			finish(i, actuator.Result{Outcome: actuator.Failed, Err: err})
			continue
		}
		x.waits(id, c.Function)
		x.most.Starting = max(x.most.Starting, len(x.creating)+x.renewing+1)
		x.creating[id] = func(r actuator.Result) {
			r.Asked, r.Ready = asked, x.clock.Now()
			finish(i, r)
		}
	}
}

// waits notes that a container of a function was asked for, or renewed, and waits for its use.
func (x *world) waits(id int, function string) {
	for _, f := range x.workload.Functions {
		if f.Name == function {
			x.unused[id] = f.MemoryMB
		}
	}
	memory := 0
	for _, mb := range x.unused {
		memory += mb
	}
	x.most.Containers, x.most.MemoryMB = max(x.most.Containers, len(x.unused)), max(x.most.MemoryMB, memory)
}

// alone is a controller without Kafka.
type alone struct {
	core *controller.Core
	x    *world
}

func newAlone(x *world) *alone {
	m, err := mirror.New(mirror.Options{Epoch: virtualEpoch, Platform: x.told, Functions: x.workload.Functions})
	require.NoError(x.t, err)
	core, err := controller.NewCore(controller.Options{
		Epoch: virtualEpoch, Platform: x.told, Act: true, ServesAll: true,
		NewPolicy: func(functions []prewarm.Function) (prewarm.Policy, error) {
			return newsvendor.New(x.t.Context(), newsvendor.Options{Price: x.price, EveryWait: x.everyWait, Model: newsvendor.Table, Platform: x.told, Functions: functions, Knowledge: x.know, Seed: 1})
		},
	}, m)
	require.NoError(x.t, err)
	core.Begin(0, nil)
	return &alone{core, x}
}

func (a *alone) observe(o *source.Observation) { require.NoError(a.x.t, a.core.Observe(a.x.now(), o)) }
func (a *alone) pass(now prewarm.Time)         { a.core.Pass(now) }
func (a *alone) next() prewarm.Time            { return a.core.Next() }
func (a *alone) acted(now prewarm.Time, command uint64, results []actuator.Result) {
	a.core.Acted(now, command, results)
}
func (a *alone) commands() []actuator.Command {
	a.core.Releases()
	a.core.Records()
	return slices.Clone(a.core.Commands())
}

// logs are the three topics.
type logs interface {
	// spans writes an observation, keyed by its trace, and write what instances emit.
	spans(at time.Time, o *source.Observation)
	write(r Record)
	// pump has the members read what there is, until nothing more comes.
	pump()
}

// together are instances that share the work.
type together struct {
	x         *world
	logs      logs
	instances []*instance
	sent      map[uint64]*instance // whose command it was
	numbers   map[uint64]uint64
	last      uint64
	limits    Limits
	dry       bool // nothing is carried out
}

// instance is one of them.
type instance struct {
	name       string
	predictors *Predictors
	deciders   *Deciders
	dead       bool
}

func newTogether(x *world) *together {
	return &together{x: x, sent: map[uint64]*instance{}, numbers: map[uint64]uint64{}}
}

// add adds an instance that has no partitions yet.
func (g *together) add(name string) *instance {
	i := &instance{name: name}
	o := Options{
		Epoch: virtualEpoch, Price: g.x.price, EveryWait: g.x.everyWait, Patience: newsvendor.DefaultPatience, Platform: g.x.told, Functions: g.x.workload.Functions, Applications: g.x.apps, Limits: g.limits,
		Emit: func(r Record) {
			if !i.dead {
				g.logs.write(r)
			}
		},
	}
	var err error
	i.predictors, err = NewPredictors(o)
	require.NoError(g.x.t, err)
	i.deciders, err = NewDeciders(o, controller.Options{Act: !g.dry, Log: slog.New(slog.DiscardHandler)}, name)
	require.NoError(g.x.t, err)
	g.instances = append(g.instances, i)
	return i
}

func (g *together) alive() []*instance {
	return slices.DeleteFunc(slices.Clone(g.instances), func(i *instance) bool { return i.dead })
}

func (g *together) observe(o *source.Observation) {
	g.logs.spans(g.x.clock.Now(), o)
	g.logs.pump()
}

func (g *together) pass(now prewarm.Time) {
	for _, i := range g.alive() {
		i.predictors.Pass(now)
	}
	g.logs.pump()
	for _, i := range g.alive() {
		i.deciders.Pass(now)
	}
	g.logs.pump()
}

func (g *together) next() prewarm.Time {
	next := prewarm.Never
	for _, i := range g.alive() {
		next = min(next, i.predictors.Next(), i.deciders.Next())
	}
	return next
}

func (g *together) acted(now prewarm.Time, command uint64, results []actuator.Result) {
	if i := g.sent[command]; !i.dead {
		i.deciders.Acted(now, g.numbers[command], results)
		g.logs.pump()
	}
}

func (g *together) commands() []actuator.Command {
	var all []actuator.Command
	for _, i := range g.alive() {
		for _, c := range i.deciders.Commands() {
			g.last++
			g.sent[g.last], g.numbers[g.last] = i, c.ID
			c.ID = g.last
			all = append(all, c)
		}
		i.deciders.Releases()
	}
	slices.SortStableFunc(all, func(a, b actuator.Command) int { // by whom does not matter
		return compareStrings(a.Function, b.Function)
	})
	return all
}

func compareStrings(a, b string) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// memory are topics in memory.
type memory struct {
	g          *together
	traces     [][]span
	demands    [][]Record
	supplies   []Record
	tracesOf   []*instance // by partition
	demandsOf  []*instance
	tracesAt   []int // offsets
	demandsAt  []int
	rebuild    time.Duration // how far back is read what a partition has
	suppliesAt map[*instance]int
	stale      *instance // one that has lost the first partition of demands, and does not know it
	staleAt    int
	away       bool // nothing can be written, nor read
	heldSpans  []span
	heldWrites []Record
	stopped    *stopped
	written    func(p int, r *Record) // is told of what was written to a partition of demands
}

// stopped is an instance that was stopped, and goes on with the partitions that it had without knowing that it has lost them.
type stopped struct {
	*instance
	runs            bool
	traces, demands map[int]int // where it was, by partition
}

// halt stops an instance.
func (m *memory) halt(i *instance) {
	m.stopped = &stopped{i, false, map[int]int{}, map[int]int{}}
	for p := range m.traces {
		if m.tracesOf[p] == i {
			m.stopped.traces[p] = m.tracesAt[p]
		}
		if m.demandsOf[p] == i {
			m.stopped.demands[p] = m.demandsAt[p]
		}
	}
	i.dead = true
}

// wake has it go on; it does not know yet that it has lost its partitions.
func (m *memory) wake() {
	m.stopped.dead, m.stopped.runs = false, true
}

// lose tells it.
func (m *memory) lose() {
	for p := range m.stopped.traces {
		m.stopped.predictors.Revoke(int32(p))
	}
	for p := range m.stopped.demands {
		m.stopped.deciders.Revoke(int32(p))
	}
	m.stopped = nil
}

// goOn has it read on, and reports whether there was something to be read.
func (s *stopped) goOn(m *memory, now prewarm.Time) (more bool) {
	for p := range m.traces {
		at, ok := s.traces[p]
		for ; ok && at < len(m.traces[p]); at++ {
			v := &m.traces[p][at]
			if m.g.x.clock.Now().Sub(v.at) > 10*time.Minute { // as kafka.Options.MaxAge
				continue
			}
			_ = s.predictors.Take(now, &kafka.Message{Partition: int32(p), Offset: int64(at), Behind: int64(len(m.traces[p]) - at - 1), At: v.at}, []source.Observation{v.o})
			s.traces[p], more = at+1, true
		}
		at, ok = s.demands[p]
		for ; ok && at < len(m.demands[p]); at++ {
			r := &m.demands[p][at]
			_ = s.deciders.Take(now, &kafka.Message{Partition: int32(p), Offset: int64(at), Behind: int64(len(m.demands[p]) - at - 1), At: r.At, Value: r.Value})
			s.demands[p], more = at+1, true
		}
	}
	return more
}

type span struct {
	at time.Time
	o  source.Observation
}

func newMemory(g *together, partitions int) *memory {
	m := &memory{g: g, rebuild: 1000 * time.Hour, suppliesAt: map[*instance]int{}}
	m.traces, m.demands = make([][]span, partitions), make([][]Record, partitions)
	m.tracesOf, m.demandsOf = make([]*instance, partitions), make([]*instance, partitions)
	m.tracesAt, m.demandsAt = make([]int, partitions), make([]int, partitions)
	return m
}

func partitionOf(key string, n int) int {
	h := fnv.New32a()
	_, _ = h.Write([]byte(key))
	return int(h.Sum32() % uint32(n))
}

func (m *memory) spans(at time.Time, o *source.Observation) {
	if m.away {
		m.heldSpans = append(m.heldSpans, span{at, *o})
		return
	}
	p := partitionOf(o.Trace, len(m.traces))
	m.traces[p] = append(m.traces[p], span{at, *o})
}

func (m *memory) write(r Record) {
	if m.away {
		m.heldWrites = append(m.heldWrites, r)
		return
	}
	if r.Topic == Supplies {
		m.supplies = append(m.supplies, r)
		return
	}
	p := int(r.Partition)
	if p < 0 {
		p = partitionOf(r.Key, len(m.demands))
	}
	m.demands[p] = append(m.demands[p], r)
	if m.written != nil {
		m.written(p, &r)
	}
}

func (m *memory) pump() {
	if m.away {
		return
	}
	now := m.g.x.now()
	for more := true; more; {
		more = false
		for _, i := range m.g.alive() {
			for ; m.suppliesAt[i] < len(m.supplies); m.suppliesAt[i]++ {
				message, err := Parse(m.supplies[m.suppliesAt[i]].Value)
				require.NoError(m.g.x.t, err)
				require.NoError(m.g.x.t, i.predictors.Supply(now, message))
				i.deciders.Stand(now, message)
				more = true
			}
		}
		for p, i := range m.tracesOf {
			for ; i != nil && !i.dead && m.tracesAt[p] < len(m.traces[p]); m.tracesAt[p]++ {
				s := &m.traces[p][m.tracesAt[p]]
				if err := i.predictors.Take(now, &kafka.Message{Partition: int32(p), Offset: int64(m.tracesAt[p]), Behind: int64(len(m.traces[p]) - m.tracesAt[p] - 1), At: s.at}, []source.Observation{s.o}); !errors.Is(err, mirror.ErrStale) {
					require.NoError(m.g.x.t, err)
				}
				more = true
			}
		}
		if m.stopped != nil && m.stopped.runs {
			more = m.stopped.goOn(m, now) || more
		}
		for ; m.stale != nil && m.staleAt < len(m.demands[0]); m.staleAt++ {
			r := &m.demands[0][m.staleAt]
			require.NoError(m.g.x.t, m.stale.deciders.Take(now, &kafka.Message{Offset: int64(m.staleAt), At: r.At, Value: r.Value}))
			more = true
		}
		for p, i := range m.demandsOf {
			for ; i != nil && !i.dead && m.demandsOf[p] == i && m.demandsAt[p] < len(m.demands[p]); m.demandsAt[p]++ {
				r := &m.demands[p][m.demandsAt[p]]
				if err := i.deciders.Take(now, &kafka.Message{Partition: int32(p), Offset: int64(m.demandsAt[p]), Behind: int64(len(m.demands[p]) - m.demandsAt[p] - 1), At: r.At, Value: r.Value}); !errors.Is(err, mirror.ErrStale) { // what is written twice may be old
					require.NoError(m.g.x.t, err)
				}
				more = true
			}
		}
	}
}

// back has the logs there again. So many of the spans come at once, the others 600 ms later; and so many of what instances have written meanwhile, the others 300 ms
// later.
func (m *memory) back(spans, writes int) {
	m.away = false
	deliver := func(list []span) {
		for i := range list {
			m.spans(list[i].at, &list[i].o)
		}
		m.pump()
		m.g.x.after()
	}
	for _, r := range m.heldWrites[:writes] {
		m.write(r)
	}
	later, rest := m.heldWrites[writes:], m.heldSpans[spans:]
	m.g.x.clock.AfterFunc(300*time.Millisecond, func() {
		for _, r := range later {
			m.write(r)
		}
		m.pump()
		m.g.x.after()
	})
	m.g.x.clock.AfterFunc(600*time.Millisecond, func() { deliver(rest) })
	deliver(m.heldSpans[:spans])
}

// assign gives partition p of both topics to an instance.
func (m *memory) assign(p int, i *instance) {
	m.assignTraces(p, i)
	m.assignDemands(p, i)
}

func (m *memory) assignTraces(p int, i *instance) {
	old := m.tracesOf[p]
	if old == i {
		return
	}
	if old != nil && !old.dead {
		old.predictors.Revoke(int32(p))
	}
	m.tracesOf[p] = i
	since := m.g.x.clock.Now().Add(-m.rebuild)
	from := m.tracesAt[p]
	m.tracesAt[p] = min(from, slices.IndexFunc(append(slices.Clone(m.traces[p]), span{at: m.g.x.clock.Now()}), func(s span) bool { return !s.at.Before(since) }))
	require.NoError(m.g.x.t, i.predictors.Assign(int32(p), int64(m.tracesAt[p]), int64(from)))
}

func (m *memory) assignDemands(p int, i *instance) {
	old := m.demandsOf[p]
	if old == i {
		return
	}
	if old != nil && !old.dead {
		old.deciders.Revoke(int32(p))
	}
	m.demandsOf[p] = i
	since := m.g.x.clock.Now().Add(-m.rebuild)
	m.demandsAt[p] = slices.IndexFunc(append(slices.Clone(m.demands[p]), Record{At: m.g.x.clock.Now()}), func(r Record) bool { return !r.At.Before(since) })
	require.NoError(m.g.x.t, i.deciders.Assign(int32(p)))
}

// share deals the partitions out to the instances that live.
func (m *memory) share() {
	alive := m.g.alive()
	for p := range m.tracesOf {
		m.assign(p, alive[p%len(alive)])
	}
	m.pump()
}
