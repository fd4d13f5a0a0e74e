package localwhisk

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"time"
)

// ReplicasConfig is how a function that is deployed as replicas runs, and what its gateway does.
type ReplicasConfig struct {
	// Name is the name of the function.
	Name string
	// Handler is its code. It is called when a request starts in a replica, and must not block.
	Handler func(*ReplicaRun)
	// MaxInFlight is the number of requests that a replica takes at once; 0 means no limit. It is the max_inflight of OpenFaaS.
	MaxInFlight int
	// Cores is the number of processor cores of a replica, which its requests share; a request uses one at most. 0 means no limit.
	Cores float64
	// Creation is the time of creating a replica, Init that of initialising it, until a probe would find it ready.
	Creation, Init Delay
	// Probe is the time between two probes of a replica's readiness, the first when it is created. 0 means that it is ready at once when
	// it is initialised.
	Probe time.Duration
	// Poll is the time between two looks of the gateway for a ready replica while a request waits because there is none. 0 means 100 ms.
	Poll time.Duration
	// Polls is the number of looks after which it gives up. 0 means 1000.
	Polls int
}

// Replicas is a function that runs as a number of replicas with a gateway in front, as on OpenFaaS, Kubernetes and Knative: not the
// invocations decide how many there are, but whoever calls Scale. It runs on a virtual clock, and must be used by one goroutine only.
//
//	clock := localwhisk.NewVirtualClock(time.Date(2021, 6, 1, 0, 0, 0, 0, time.UTC))
//	replicas, err := localwhisk.NewReplicas(clock, localwhisk.ReplicasConfig{
//		Name: "hash", Cores: 1, MaxInFlight: 4, Creation: localwhisk.Delay{Min: 2 * time.Second},
//		Handler: func(run *localwhisk.ReplicaRun) { run.Compute(80*time.Millisecond, run.Finish) },
//	}, 1)
//	if err != nil {
//		return err
//	}
//	replicas.Scale(3)
//	replicas.Invoke(nil, func(r localwhisk.Response) { fmt.Println(r.Status, r.End.Sub(r.Arrival)) })
//	err = clock.Run(ctx)
//
// A request goes to the ready replica that has the fewest in flight, and of these to the one whose last request began longest ago. It is answered at
// once with 429 if every ready replica has MaxInFlight, so a request is refused only where none has capacity: a replica that is full fails its
// readiness probe (of-watchdog answers it with 429 too), and the cluster sends it no more. While no replica is ready a request waits, and
// looks for one every Poll from its arrival on.
type Replicas struct {
	clock          *VirtualClock
	config         ReplicasConfig
	creation, init *rand.Rand

	numbered int        // replicas ever created
	all      []*replica // by number
	ready    int        // of them, those that take requests
	removed  time.Duration
	desired  int
	waiting  []*replicaRequest // while no replica is ready, in the order of arrival
	counts   ReplicasCounts
	routed   uint64

	watchers []func(Event)
	told     []telling // what has happened and was not told yet
	telling  bool
}

// ReplicasCounts counts requests since the beginning: those that have arrived are the sum of the others.
type ReplicasCounts struct {
	Arrived uint64
	// Done have ended in a replica, Failed of them with an error. Refused found no capacity (429) or no replica (503).
	Done, Failed, Refused uint64
	// Waiting wait for a replica to be ready, InFlight are in one.
	Waiting, InFlight int
}

// Response is the answer to a request.
type Response struct {
	// Status is 200; 429 if no replica had capacity; 503 if none became ready in time; 500 if the function failed.
	Status int
	// Err says why the function failed.
	Err error
	// Replica is the number of the replica, 0 if it came to none.
	Replica int
	// Arrival is when the gateway received it, Start when a replica did, End when it was answered.
	Arrival, Start, End time.Time
}

// replica is a container that takes several requests at once.
type replica struct {
	id       int
	state    replicaState
	inFlight int
	last     uint64 // of the requests that came to a replica, which was its last one
	cores    processorSharing
	cancel   func() bool // of a start
}

type replicaState uint8

const (
	replicaStarting replicaState = iota
	replicaReady
	replicaLeaving
)

// ReplicaState is what a replica is doing.
type ReplicaState struct {
	// ID is its number, from 1.
	ID int
	// Ready says that it takes requests, Leaving that it is removed when those that it has have ended; one that is neither is starting.
	Ready, Leaving bool
	// InFlight is the number of requests in it.
	InFlight int
	// CPU is the processor time that it has used.
	CPU time.Duration
}

// replicaRequest is a request that was not answered yet.
type replicaRequest struct {
	replicas *Replicas
	id       string
	params   any
	done     func(Response)
	response Response
	replica  *replica
	run      ReplicaRun
}

// telling is an event to tell, or a response to give.
type telling struct {
	event    Event
	done     func(Response)
	response Response
}

// NewReplicas returns a function without replicas. The seed determines all random numbers. An error names the first field that is out of range.
func NewReplicas(clock *VirtualClock, config ReplicasConfig, seed uint64) (*Replicas, error) {
	bad := func(format string, args ...any) error {
		return fmt.Errorf("localwhisk: replicas of %q: "+format, append([]any{config.Name}, args...)...)
	}
	switch {
	case config.Name == "":
		return nil, errors.New("localwhisk: replicas need the name of a function")
	case config.Handler == nil:
		return nil, bad("there is no handler")
	case config.MaxInFlight < 0:
		return nil, bad("MaxInFlight is %d, must not be negative", config.MaxInFlight)
	case !(config.Cores >= 0) || math.IsInf(config.Cores, 0):
		return nil, bad("Cores is %v, must be a number that is not negative", config.Cores)
	case config.Probe < 0 || config.Poll < 0 || config.Polls < 0:
		return nil, bad("Probe (%v), Poll (%v) and Polls (%d) must not be negative", config.Probe, config.Poll, config.Polls)
	}
	for _, d := range []namedDelay{{"Creation", config.Creation}, {"Init", config.Init}} {
		if err := d.Validate(); err != nil {
			return nil, bad("%s: %w", d.name, err)
		}
	}
	if config.Poll == 0 {
		config.Poll = 100 * time.Millisecond
	}
	if config.Polls == 0 {
		config.Polls = 1000
	}
	if config.Cores == 0 {
		config.Cores = math.Inf(1)
	}
	return &Replicas{
		clock: clock, config: config,
		creation: randomStream(seed, "creation of "+config.Name), init: randomStream(seed, "init of "+config.Name),
	}, nil
}

// Watch registers a callback that is called with every event from now on, in the order in which they happen. It may call the methods of r. The
// events are those of a Platform, but that requests which wait because no replica is ready are Placed Warm, later; a replica that has no
// request left is Idle, and one that is scaled away while it has some is Leaving before it is Removed. Refused has an Err that says why.
func (r *Replicas) Watch(f func(Event)) { r.watchers = append(r.watchers, f) }

// Counts returns the counts of requests.
func (r *Replicas) Counts() ReplicasCounts { return r.counts }

// Desired returns the number of replicas of the last Scale.
func (r *Replicas) Desired() int { return r.desired }

// States returns the replicas in the order of their creation.
func (r *Replicas) States() []ReplicaState {
	states := make([]ReplicaState, 0, len(r.all))
	for _, c := range r.all {
		states = append(states, ReplicaState{
			ID: c.id, Ready: c.state == replicaReady, Leaving: c.state == replicaLeaving, InFlight: c.inFlight, CPU: c.cores.work(),
		})
	}
	return states
}

// CPU returns the processor time that all replicas have used, those that were removed too.
func (r *Replicas) CPU() time.Duration {
	sum := r.removed
	for _, c := range r.all {
		sum += c.cores.work()
	}
	return sum
}

// Invoke sends a request from outside. When it is answered, done is called, unless it is nil: for one that is refused before Invoke returns.
func (r *Replicas) Invoke(params any, done func(Response)) {
	q := &replicaRequest{replicas: r, params: params, done: done}
	q.run = ReplicaRun{request: q}
	q.response.Arrival = r.clock.Now()
	r.counts.Arrived++
	q.id = strconv.FormatUint(r.counts.Arrived, 10)
	r.emit(Event{Kind: Arrived}, q, nil)
	if r.ready == 0 {
		r.counts.Waiting++
		r.waiting = append(r.waiting, q)
		r.clock.callAfter(r.config.Poll*time.Duration(r.config.Polls), giveUp, q)
	} else {
		r.route(q)
	}
	r.tell()
}

// giveUp answers a request that has waited for too long.
func giveUp(arg any) {
	q := arg.(*replicaRequest)
	r := q.replicas
	if i := slices.Index(r.waiting, q); i >= 0 {
		r.waiting = slices.Delete(r.waiting, i, i+1)
		r.counts.Waiting--
		r.refuse(q, http.StatusServiceUnavailable, errNoReplica)
		r.tell()
	}
}

// What a request is refused for.
var (
	errNoReplica  = errors.New("localwhisk: no replica has become ready")
	errNoCapacity = errors.New("localwhisk: no replica has capacity")
)

// route sends a request to a replica, while one is ready.
func (r *Replicas) route(q *replicaRequest) {
	var least *replica
	for _, c := range r.all {
		if c.state == replicaReady && (least == nil || c.inFlight < least.inFlight || c.inFlight == least.inFlight && c.last < least.last) {
			least = c
		}
	}
	if r.config.MaxInFlight > 0 && least.inFlight >= r.config.MaxInFlight {
		r.refuse(q, http.StatusTooManyRequests, errNoCapacity)
		return
	}
	least.inFlight++
	r.counts.InFlight++
	r.routed++
	least.last = r.routed
	q.replica = least
	q.response.Start, q.response.Replica = r.clock.Now(), least.id
	r.emit(Event{Kind: Placed, Start: Warm}, q, least)
	r.emit(Event{Kind: Started, Wait: q.response.Start.Sub(q.response.Arrival)}, q, least)
	r.clock.callAfter(0, callReplicaHandler, q)
}

// callReplicaHandler calls the handler of a request, as a timer's callback.
func callReplicaHandler(arg any) {
	q := arg.(*replicaRequest)
	q.replicas.config.Handler(&q.run)
}

// refuse answers a request that came to no replica.
func (r *Replicas) refuse(q *replicaRequest, status int, err error) {
	r.counts.Refused++
	q.response.Status, q.response.End = status, r.clock.Now()
	r.emit(Event{Kind: Refused, Err: err}, q, nil)
	r.answer(q)
}

// end answers a request whose run has ended.
func (r *Replicas) end(q *replicaRequest, err error) {
	c := q.replica
	c.inFlight--
	r.counts.InFlight--
	r.counts.Done++
	q.response.Status, q.response.Err, q.response.End = http.StatusOK, err, r.clock.Now()
	if err != nil {
		r.counts.Failed++
		q.response.Status = http.StatusInternalServerError
	}
	r.emit(Event{Kind: Ended, Err: err}, q, c)
	if c.inFlight == 0 {
		if c.state == replicaLeaving {
			r.remove(c)
		} else {
			r.emit(Event{Kind: Idle}, nil, c)
		}
	}
	r.answer(q)
	r.tell()
}

// answer notes that the caller is to be told of the response, after the events until now.
func (r *Replicas) answer(q *replicaRequest) {
	if q.done != nil {
		r.told = append(r.told, telling{done: q.done, response: q.response})
	}
}

// emit notes an event, of a request and a replica that may be nil.
func (r *Replicas) emit(e Event, q *replicaRequest, c *replica) {
	if len(r.watchers) == 0 {
		return
	}
	e.At, e.Function = r.clock.Now(), r.config.Name
	if q != nil {
		e.ID, e.Params = q.id, q.params
	}
	if c != nil {
		e.Container = c.id
	}
	r.told = append(r.told, telling{event: e})
}

// tell tells the watchers and the callers what has happened, in order. What these do in turn is told afterwards.
func (r *Replicas) tell() {
	if r.telling {
		return
	}
	r.telling = true
	for i := 0; i < len(r.told); i++ {
		one := r.told[i]
		if one.done != nil {
			one.done(one.response)
			continue
		}
		for _, watch := range r.watchers {
			watch(one.event)
		}
	}
	clear(r.told)
	r.told = r.told[:0]
	r.telling = false
}

// ReplicaRun is the run of a function for a request in a replica. Its handler returns at once; the run goes on in the callbacks of Sleep and
// Compute, until Finish or Fail.
type ReplicaRun struct {
	request *replicaRequest
	ended   bool
}

// Params returns the parameters of the request.
func (run *ReplicaRun) Params() any { return run.request.params }

// Sleep calls then when d has passed.
func (run *ReplicaRun) Sleep(d time.Duration, then func()) {
	run.request.replicas.clock.callAfter(d, callFunc, then)
}

// Compute calls then when the request has had the processor for d: later than in d if more requests than there are cores want it.
func (run *ReplicaRun) Compute(d time.Duration, then func()) {
	run.request.replica.cores.add(d, func(time.Duration) { then() })
}

// Finish ends the run. A second end of a run has no effect.
func (run *ReplicaRun) Finish() { run.end(nil) }

// Fail ends the run with an error: the answer has status 500.
func (run *ReplicaRun) Fail(err error) {
	if err == nil {
		err = errors.New("localwhisk: the function failed without a reason")
	}
	run.end(err)
}

func (run *ReplicaRun) end(err error) {
	if run.ended {
		return
	}
	run.ended = true
	run.request.replicas.end(run.request, err)
}
