package newsvendor

import (
	"fmt"

	"github.com/tppfaas/tppfaas/prewarm"
	"github.com/tppfaas/tppfaas/prewarm/requests"
)

// Foresee has the requests of an application that begin with another function than its Root foreseen, by a model of when these come. Recent are the arrivals of
// the last of them. It holds until Replace is called for the application. An error says that the function is of none.
func (p *Policy) Foresee(function int, m requests.Model, recent []prewarm.Time) error {
	if function < 0 || function >= len(p.predictor.appOf) || p.predictor.appOf[function] < 0 {
		return fmt.Errorf("newsvendor: function %d is of no application", function)
	}
	a := p.predictor.appOf[function]
	app := p.predictor.apps[a]
	mark := app.history.mark(function)
	r := p.stream(function)
	if r == nil {
		if p.deciders[function].isRoot(p.roots[a]) {
			return nil // it is foreseen
		}
		if len(p.streams) >= mostStreams {
			return nil
		}
		p.streams = append(p.streams, nil)
		p.lastStream++
		r = &roots{stream: p.lastStream}
	}
	renewed, err := newRoots(app, mark, m)
	if err != nil {
		return fmt.Errorf("newsvendor: function %d: %w", function, err)
	}
	renewed.stream, renewed.place = r.stream, a
	renewed.begin(p.at, recent)
	for i, old := range p.streams {
		if old == nil || old.stream == r.stream {
			p.streams[i] = renewed
		}
	}
	return nil
}

// mostStreams is how many functions that are no application's root have their requests foreseen.
const mostStreams = 1000

// stream returns what foresees the requests that begin with a function which is not its application's root, nil if nothing does.
func (p *Policy) stream(function int) *roots {
	for _, r := range p.streams {
		if r.app.history.app.Functions[r.root] == function {
			return r
		}
	}
	return nil
}

// endStreams has what foresees requests of an application forgotten, but for its root.
func (p *Policy) endStreams(a int32) {
	kept := p.streams[:0]
	for _, r := range p.streams {
		if r.place != a {
			kept = append(kept, r)
		}
	}
	clear(p.streams[len(kept):])
	p.streams = kept
}

// begin begins with the arrivals of the last requests.
func (r *roots) begin(now prewarm.Time, recent []prewarm.Time) {
	if r.model == nil {
		return
	}
	start := now
	if len(recent) > 0 {
		start = recent[0]
	}
	r.process = r.model.New(start)
	r.last = seconds(start)
	for _, at := range recent {
		r.process.Observe(at)
		r.last = seconds(at)
	}
	r.changed = true
}

// beganRequest is told that a request has begun.
func (p *Policy) beganRequest(r *roots, now float64, at prewarm.Time) {
	r.observe(now, at)
	// The first of those that were foreseen has come.
	for _, f := range r.app.history.app.Functions {
		p.deciders[f].came(r.key(r.came))
	}
	r.came++
}

// renew has an application's functions told what requests are foreseen, where that has changed.
func (p *Policy) renew(r *roots, now float64, at prewarm.Time) {
	if !r.stale(now) {
		return
	}
	functions := r.app.history.app.Functions
	any := false
	for _, f := range functions {
		any = any || p.deciders[f].dirty
	}
	if !any {
		return
	}
	for _, f := range functions {
		p.deciders[f].forget(r.stream)
		// Where nothing has come, who waits for something goes on waiting.
		p.deciders[f].dirty = p.deciders[f].dirty || r.changed
	}
	demands := r.foresee(now, at)
	for i := range demands {
		f := p.deciders[demands[i].Function]
		if p.apart && !f.known {
			continue // it is decided on elsewhere
		}
		if v := &demands[i]; v.Key&(1<<keyBits-1) < leastRoots || v.Notice < f.mean { // of the others it will be decided later
			f.foresee(v)
		}
	}
}

// keyBits is how many bits of the key of what is foreseen say of which request it is; those above are the stream.
const keyBits = 8

func (r *roots) key(k uint32) uint32 { return r.stream<<keyBits | min(k, 1<<keyBits-1) }
