package controller

import (
	"slices"
	"time"

	"github.com/tppfaas/tppfaas/prewarm"
)

// quiet is for how long nothing of a request must run before it counts as over.
const quiet = 30 * time.Second

// forgotten is for how long nothing must be heard of a request before it counts as over although something of it runs.
const forgotten = 15 * time.Minute

// mostOver is how many requests that are over are shown.
const mostOver = 32

// request is a trace that is followed.
type request struct {
	id          prewarm.ID
	name        string
	begun, last prewarm.Time
	ended       prewarm.Time // when its last run has ended; 0 if it has not
	running     int
	whole       bool // it was seen from its root on
	doubtful    bool // not all that came of it is known, or whose it is
	orphans     int  // invocations whose caller is not known
	foretold    bool // forecast is known
	invocations []*invocation
	forecast    []forecast // when its root had arrived
	place       int        // in requests.list
}

// forecast is what was expected of a function.
type forecast struct {
	function           int
	expected, variance float64
	lower, upper       prewarm.Time // between which nine of ten should come
}

// invocation is one of a request.
type invocation struct {
	id, container               prewarm.ID
	caller                      *invocation // nil of the root, and where it is not known
	free                        time.Duration
	function                    int
	arrived, started, ended     prewarm.Time
	placed                      bool
	start                       prewarm.Start
	hasStarted, hasEnded, alone bool // alone: it was counted as cold on the platform alone
}

// closing is a request of which nothing has run since a time.
type closing struct {
	request *request
	at      prewarm.Time
}

// requests are those in flight, and some that are over.
type requests struct {
	most        int
	newest      prewarm.ID // the largest number that one had: one with a smaller number was seen before
	byID        map[prewarm.ID]*request
	list        []*request // in the order in which they have begun
	holes       int
	invocations map[prewarm.ID]*invocation
	owner       map[prewarm.ID]*request // by invocation
	closing     []closing               // requests of which nothing runs, in the order since when
	closed      int                     // how many of these are done with
	over        []*request              // the last ones, the latest last
}

func newRequests(most int) *requests {
	return &requests{most: most, byID: map[prewarm.ID]*request{}, invocations: map[prewarm.ID]*invocation{}, owner: map[prewarm.ID]*request{}}
}

// arrived adds an invocation and returns it with its request, which is new if it is the first of it. The request is nil if there are too many.
func (r *requests) arrived(e *prewarm.Event, name func() string) (v *invocation, q *request, begun bool) {
	v = &invocation{id: e.Invocation, function: e.Function, arrived: e.At}
	r.invocations[v.id] = v
	q = r.byID[e.Trace]
	if q == nil {
		if len(r.byID) >= r.most {
			r.makeRoom()
		}
		if len(r.byID) >= r.most || e.Trace == 0 {
			return v, nil, false
		}
		q = &request{id: e.Trace, name: name(), begun: e.At, whole: e.Parent == 0 && e.Trace > r.newest, place: len(r.list)}
		r.byID[q.id] = q
		r.newest = max(r.newest, q.id)
		r.list = append(r.list, q)
		begun = true
	}
	q.last, q.ended = e.At, 0
	q.running++
	if !begun {
		v.caller = q.find(e.Parent)
		if v.caller == nil {
			q.orphans++
		}
	}
	q.invocations = append(q.invocations, v)
	r.owner[v.id] = q
	return v, q, begun
}

// called notes who has called an invocation of which that was not known when it came.
func (r *requests) called(e *prewarm.Event) {
	q := r.byID[e.Trace]
	if q == nil {
		return
	}
	v, caller := q.find(e.Invocation), q.find(e.Parent)
	if v == nil || caller == nil || v == q.invocations[0] || v.caller != nil {
		return
	}
	v.caller = caller
	q.orphans--
}

// makeRoom closes the request that was over first, if there is one: nothing is concluded from it, as more of it may be told yet.
func (r *requests) makeRoom() {
	for r.closed < len(r.closing) {
		q, at := r.closing[r.closed].request, r.closing[r.closed].at
		r.closing[r.closed].request = nil
		r.closed++
		if q.running == 0 && q.ended == at && r.byID[q.id] == q {
			r.close(q)
			return
		}
	}
}

// mostSearched is how many invocations of a request are searched for a caller.
const mostSearched = 512

// find returns the invocation with a number, nil if it is not among the first ones.
func (q *request) find(id prewarm.ID) *invocation {
	for _, v := range q.invocations[:min(len(q.invocations), mostSearched)] {
		if v.id == id {
			return v
		}
	}
	return nil
}

// ended is told that an invocation has come to its end, and reports whether nothing of its request runs any more.
func (r *requests) ended(v *invocation, at prewarm.Time) (quiet bool) {
	delete(r.invocations, v.id)
	v.hasEnded, v.ended = true, at
	q := r.owner[v.id]
	if q == nil {
		return false
	}
	delete(r.owner, v.id)
	q.last = at
	if q.running--; q.running > 0 {
		return false
	}
	q.ended = at
	r.closing = append(r.closing, closing{q, at})
	return true
}

// close forgets a request that is over.
func (r *requests) close(q *request) {
	delete(r.byID, q.id)
	if q.ended == 0 {
		q.ended = q.last
	}
	for _, v := range q.invocations {
		delete(r.owner, v.id)
		delete(r.invocations, v.id)
	}
	r.list[q.place] = nil
	if r.holes++; 2*r.holes > len(r.list) {
		kept := r.list[:0]
		for _, other := range r.list {
			if other != nil {
				other.place = len(kept)
				kept = append(kept, other)
			}
		}
		clear(r.list[len(kept):])
		r.list, r.holes = kept, 0
	}
	r.over = append(r.over, q)
	if len(r.over) > 2*mostOver {
		r.over = slices.Delete(r.over, 0, len(r.over)-mostOver)
	}
}
