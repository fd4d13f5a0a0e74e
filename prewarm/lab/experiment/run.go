package experiment

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/tppfaas/tppfaas/internal/localwhisk"
	"github.com/tppfaas/tppfaas/prewarm"
	"github.com/tppfaas/tppfaas/prewarm/policy"
)

// epoch is when the virtual time of every run begins.
var epoch = time.Date(2021, time.June, 1, 0, 0, 0, 0, time.UTC)

// Run runs all policies of the experiment, each on a platform of its own. The seed determines all random numbers; requests arrive at the same
// times for all policies where what becomes of them has no part in it.
func (e *Experiment) Run(ctx context.Context, seed uint64) ([]*Run, error) {
	if err := e.Validate(); err != nil {
		return nil, fmt.Errorf("experiment %s: %w", e.Name, err)
	}
	runs := make([]*Run, 0, len(e.Policies))
	for _, spec := range e.Policies {
		r, err := e.run(ctx, spec, seed)
		if err != nil {
			return nil, fmt.Errorf("experiment %s, %s: %w", e.Name, spec, err)
		}
		runs = append(runs, r)
	}
	return runs, nil
}

// runner is a run under way.
type runner struct {
	experiment *Experiment
	run        *Run
	clock      *localwhisk.VirtualClock
	replicas   *localwhisk.Replicas
	queue      *localwhisk.MessageQueue // nil without messages
	policy     prewarm.Policy
	fleet      *prewarm.Fleet
	rng        *rand.Rand
	users      int // that are there

	pending   []prewarm.Event // that the policy has not been told of
	handling  bool
	decisions prewarm.Decisions
	wakes     map[uint64]func() bool // stop the timers of the policy
	err       error
	stop      context.CancelFunc
}

func (e *Experiment) run(ctx context.Context, spec string, seed uint64) (*Run, error) {
	functions := e.functions()
	p, err := policy.New(spec, policy.Options{Platform: platform, Functions: functions, Seed: seed})
	if err != nil {
		return nil, err
	}
	fleet, err := prewarm.NewFleet(platform, functions)
	if err != nil {
		return nil, err
	}
	r := &runner{
		experiment: e, run: &Run{Experiment: e, Policy: spec, Seed: seed}, clock: localwhisk.NewVirtualClock(epoch), policy: p, fleet: fleet,
		rng: rand.New(rand.NewPCG(seed, 1)), wakes: map[uint64]func() bool{},
	}
	f := &e.Function
	r.replicas, err = localwhisk.NewReplicas(r.clock, localwhisk.ReplicasConfig{
		Name: e.Name, MaxInFlight: f.MaxInFlight, Cores: f.Cores, Creation: localwhisk.Delay{Min: f.Start}, Probe: f.Probe,
		Handler: func(run *localwhisk.ReplicaRun) {
			run.Sleep(f.Sleep, func() { run.Compute(f.CPU, run.Finish) })
		},
	}, seed)
	if err != nil {
		return nil, err
	}
	r.replicas.Watch(r.event)
	if e.Load.Kind == Messages {
		if r.queue, err = localwhisk.NewMessageQueue(r.replicas, e.Queue, seed); err != nil {
			return nil, err
		}
	}
	within, stop := context.WithCancel(ctx)
	defer stop()
	r.stop = stop
	r.clock.AfterFunc(0, func() { r.tell(prewarm.Event{Kind: prewarm.Woken}) })
	r.clock.AfterFunc(e.Lead, r.load)
	r.clock.AfterFunc(e.Lead+e.Load.length()+e.Tail, stop)
	err = r.clock.Run(within)
	switch {
	case r.err != nil:
		return nil, r.err
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case within.Err() == nil && err != nil:
		return nil, err
	}
	if len(r.run.Changes) == 0 {
		return nil, errNotScaling
	}
	r.run.End = r.now()
	counts := r.replicas.Counts()
	r.run.open = counts.Waiting + counts.InFlight
	if r.queue != nil {
		r.run.open += r.queue.Counts().Pending
	}
	return r.run, nil
}

var errNotScaling = errors.New("the policy decides about single containers, and here it is the number of replicas that counts")

// now is the time since the beginning of the load.
func (r *runner) now() time.Duration { return r.clock.Now().Sub(epoch) - r.experiment.Lead }

// fail ends the run with an error.
func (r *runner) fail(err error) {
	if r.err == nil {
		r.err = err
	}
	r.stop()
}

// load begins to send requests.
func (r *runner) load() {
	l := &r.experiment.Load
	switch l.Kind {
	case Messages:
		for range int(l.Most) {
			sent := r.now()
			r.queue.Send(nil, func(resp localwhisk.Response) { r.answered(sent, resp) })
		}
		r.noteQueue()
	case Rate:
		r.nextArrival()
	default:
		for k := 1.0; k <= l.Most; k++ {
			// The k-th user is there while the load is at least k.
			leaves := l.Ramp + l.Hold + time.Duration((1-k/l.Most)*float64(l.Down))
			u := &user{runner: r}
			r.clock.AfterFunc(time.Duration(k/l.Most*float64(l.Ramp)), func() {
				r.users++
				r.run.load.set(r.now(), float64(r.users))
				u.next()
			})
			r.clock.AfterFunc(leaves, func() {
				r.users--
				r.run.load.set(r.now(), float64(r.users))
				u.gone = true
			})
		}
	}
}

// nextArrival plans the next arrival of an open loop, by thinning of a Poisson process at the highest rate.
func (r *runner) nextArrival() {
	l := &r.experiment.Load
	at := r.now()
	for {
		at += time.Duration(r.rng.ExpFloat64() / l.Most * float64(time.Second))
		if at > l.length() {
			return
		}
		if r.rng.Float64()*l.Most < l.at(at) {
			break
		}
	}
	r.clock.AfterFunc(at-r.now(), func() {
		r.run.offered = append(r.run.offered, r.now())
		r.replicas.Invoke(nil, func(resp localwhisk.Response) { r.answered(at, resp) })
		r.nextArrival()
	})
}

// user is a user of a closed loop.
type user struct {
	runner *runner
	gone   bool
	begun  time.Duration // when the request was tried first
}

// next begins a request, unless the user has gone.
func (u *user) next() {
	if u.gone {
		return
	}
	u.begun = u.runner.now()
	u.try()
}

func (u *user) try() {
	r := u.runner
	l := &r.experiment.Load
	if u.gone {
		return
	}
	r.replicas.Invoke(nil, func(resp localwhisk.Response) {
		if resp.Status != 200 && l.Retry > 0 {
			r.clock.AfterFunc(l.Retry, u.try)
			return
		}
		r.answered(u.begun, resp)
		r.clock.AfterFunc(time.Duration(r.rng.ExpFloat64()*float64(l.Think)), u.next)
	})
}

// answered notes the last answer to a request.
func (r *runner) answered(begun time.Duration, resp localwhisk.Response) {
	if resp.Status != 200 {
		r.run.Failed++
		return
	}
	r.noteQueue()
	r.run.answers = append(r.run.answers, answer{at: r.now(), took: r.now() - begun})
}

// noteQueue notes how many messages wait.
func (r *runner) noteQueue() {
	if r.queue != nil {
		r.run.load.set(r.now(), float64(r.queue.Counts().Pending))
	}
}

// kinds are the kinds of events as policies know them.
var kinds = map[localwhisk.EventKind]prewarm.Kind{
	localwhisk.Arrived: prewarm.Arrived, localwhisk.Placed: prewarm.Placed, localwhisk.Started: prewarm.Started, localwhisk.Ended: prewarm.Ended,
	localwhisk.Refused: prewarm.Refused, localwhisk.Starting: prewarm.Starting, localwhisk.Idle: prewarm.Idle, localwhisk.Removed: prewarm.Removed,
	localwhisk.Leaving: prewarm.Leaving,
}

// event notes what has happened, and tells the policy.
func (r *runner) event(e localwhisk.Event) {
	kind, ok := kinds[e.Kind]
	if !ok {
		r.fail(fmt.Errorf("replicas have no event %v", e.Kind))
		return
	}
	id, _ := strconv.ParseUint(e.ID, 10, 64) // replicas have none, and all requests a number
	now := r.now()
	switch kind {
	case prewarm.Refused:
		r.run.refused = append(r.run.refused, now)
	case prewarm.Starting, prewarm.Idle, prewarm.Leaving, prewarm.Removed:
		ready := 0
		states := r.replicas.States()
		for _, s := range states {
			if s.Ready {
				ready++
			}
		}
		r.run.ready.set(now, float64(ready))
		r.run.present.set(now, float64(len(states)))
	}
	counts := r.replicas.Counts()
	r.run.inFlight.set(now, float64(counts.InFlight+counts.Waiting))
	r.noteQueue()
	r.tell(prewarm.Event{
		Kind: kind, Container: prewarm.ID(e.Container), Invocation: prewarm.ID(id), Trace: prewarm.ID(id), Wait: e.Wait, Failed: e.Err != nil && kind == prewarm.Ended,
	})
}

// tell tells the policy of an event, once the one that it is being told of is done with, and carries out what it decides.
func (r *runner) tell(e prewarm.Event) {
	e.At = r.clock.Now().Sub(epoch)
	r.pending = append(r.pending, e)
	if r.handling {
		return
	}
	r.handling = true
	for i := 0; i < len(r.pending) && r.err == nil; i++ {
		e := &r.pending[i]
		if err := r.fleet.Apply(e); err != nil {
			r.fail(err)
			return
		}
		if e.Kind == prewarm.Woken {
			r.measure()
		}
		r.decisions.Reset()
		r.policy.Handle(e, r.fleet, &r.decisions)
		for _, d := range r.decisions.List {
			r.carryOut(&d)
		}
	}
	r.pending = r.pending[:0]
	r.handling = false
}

// measure sets what the fleet does not learn from events.
func (r *runner) measure() {
	load := &r.fleet.Loads[0]
	load.CPU = r.replicas.CPU()
	for _, s := range r.replicas.States() {
		if c := r.fleet.Container(prewarm.ID(s.ID)); c != nil {
			c.CPU = s.CPU
		}
	}
	if r.queue != nil {
		load.Queued = r.queue.Counts().Pending
		r.noteQueue() // messages that were refused are back only after the event
	}
}

func (r *runner) carryOut(d *prewarm.Decision) {
	switch d.Action {
	case prewarm.ScaleFunction:
		r.run.Changes = append(r.run.Changes, Change{At: r.now(), From: r.replicas.Desired(), To: d.N, Rule: d.Why.Rule})
		r.run.wanted.set(r.now(), float64(d.N))
		if err := r.replicas.Scale(d.N); err != nil {
			r.fail(err)
		}
	case prewarm.WakePolicy:
		if stop := r.wakes[d.Key]; stop != nil {
			stop()
			delete(r.wakes, d.Key)
		}
		if d.Until == prewarm.Never {
			return
		}
		key := d.Key
		r.wakes[key] = r.clock.AfterFunc(max(d.Until-r.clock.Now().Sub(epoch), 0), func() {
			delete(r.wakes, key)
			r.tell(prewarm.Event{Kind: prewarm.Woken, Key: key})
		})
	default:
		r.fail(errNotScaling)
	}
}
