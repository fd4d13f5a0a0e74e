package localwhisk

import (
	"fmt"
	"slices"
)

// Scale sets the number of replicas, without those that are leaving. Replicas that are missing are started. Of those that are too many go, in
// this order, the ones that are starting, the ones that have no request, and the ones that have: these take no more, and are removed when
// those that they have have ended. Of each the youngest go first. A negative number is an error.
func (r *Replicas) Scale(n int) error {
	if n < 0 {
		return fmt.Errorf("localwhisk: replicas of %q: cannot scale to %d", r.config.Name, n)
	}
	r.desired = n
	present := 0
	for _, c := range r.all {
		if c.state != replicaLeaving {
			present++
		}
	}
	for ; present < n; present++ {
		r.start()
	}
	for _, goes := range []func(*replica) bool{
		func(c *replica) bool { return c.state == replicaStarting },
		func(c *replica) bool { return c.state == replicaReady && c.inFlight == 0 },
		func(c *replica) bool { return c.state == replicaReady },
	} {
		for i := len(r.all) - 1; i >= 0 && present > n; i-- {
			if c := r.all[i]; goes(c) {
				r.leave(c)
				present--
			}
		}
	}
	r.tell()
	return nil
}

// start begins to create a replica.
func (r *Replicas) start() {
	r.numbered++
	c := &replica{id: r.numbered, cores: processorSharing{clock: r.clock, capacity: r.config.Cores}}
	r.all = append(r.all, c)
	r.emit(Event{Kind: Starting}, nil, c)
	init := r.config.Init.draw(r.init, 0)
	if p := r.config.Probe; p > 0 {
		init = (init + p - 1) / p * p
	}
	c.cancel = r.clock.AfterFunc(r.config.Creation.draw(r.creation, 0)+init, func() {
		c.state = replicaReady
		r.ready++
		r.emit(Event{Kind: Idle}, nil, c)
		for _, q := range r.waiting {
			// Its next look; those in between would have found nothing.
			looks := (r.clock.Now().Sub(q.response.Arrival) + r.config.Poll - 1) / r.config.Poll
			r.clock.callAfter(q.response.Arrival.Add(max(looks, 1)*r.config.Poll).Sub(r.clock.Now()), look, q)
		}
		r.tell()
	})
}

// look routes a request that waits, if there is a replica to go to.
func look(arg any) {
	q := arg.(*replicaRequest)
	r := q.replicas
	if i := slices.Index(r.waiting, q); i >= 0 && r.ready > 0 {
		r.waiting = slices.Delete(r.waiting, i, i+1)
		r.counts.Waiting--
		r.route(q)
		r.tell()
	}
}

// leave takes a replica away.
func (r *Replicas) leave(c *replica) {
	switch {
	case c.state == replicaStarting:
		c.cancel()
		r.remove(c)
	case c.inFlight == 0:
		r.ready--
		r.remove(c)
	default:
		r.ready--
		c.state = replicaLeaving
		r.emit(Event{Kind: Leaving}, nil, c)
	}
}

// remove removes a replica without requests.
func (r *Replicas) remove(c *replica) {
	r.removed += c.cores.work()
	i := slices.Index(r.all, c)
	r.all = slices.Delete(r.all, i, i+1)
	r.emit(Event{Kind: Removed}, nil, c)
}
