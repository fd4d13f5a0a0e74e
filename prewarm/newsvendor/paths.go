package newsvendor

import (
	"math"
	"math/rand/v2"
	"slices"

	"github.com/tppfaas/tppfaas/internal/num"
	"github.com/tppfaas/tppfaas/internal/seed"
	"github.com/tppfaas/tppfaas/tpp"
)

// numPaths is how many futures of a trace are drawn from a model that knows only what comes next.
const numPaths = 64

// paths predicts with any model, by drawing how a trace may go on.
type paths struct {
	model  tpp.Model
	table  *table
	seed   uint64
	most   int     // events of a path
	longer float64 // in milliseconds: what comes later after the event before it is taken not to come
	work   tpp.Workspace
}

func newPaths(a *Application) *paths {
	p := &paths{model: a.model, table: a.table, seed: a.seed, most: a.most, longer: a.longer}
	if w, ok := a.model.(tpp.WorkspaceModel); ok {
		p.work = w.NewWorkspace()
	}
	return p
}

func (p *paths) newState() tpp.State {
	if p.work != nil {
		return p.work.NewState(0)
	}
	return p.model.NewState(0)
}

func (p *paths) newFollower() follower {
	state := p.newState()
	f := &pathFollower{p: p, state: state}
	if s, ok := state.(tpp.FollowerState); ok {
		f.follow = s.NewFollower()
	}
	if f.follow == nil {
		f.follow = &clones{}
	}
	return f
}

// pathFollower is a trace followed by such a model.
type pathFollower struct {
	p      *paths
	state  tpp.State
	follow tpp.Follower

	events  []pathEvent // of the trace, and behind them those of the path under way
	counted int         // events of the trace
	nodes   []node
	drawn   [][]tpp.Event // by path
	rows    []int
	u, v    []float64
}

// pathEvent is an invocation, observed or drawn.
type pathEvent struct {
	mark int
	time float64 // in milliseconds
	node int     // −1 if it was observed
	made []int   // the marks of those that it has called
}

// node is an invocation that some paths have.
type node struct {
	mark, occurrence int
	event, parent    int // the caller: an observed one, or a node; −1 for none
	gaps             []float64
}

func (f *pathFollower) reset() {
	f.state = f.p.newState()
	f.events = f.events[:0]
	f.counted = 0
}

func (f *pathFollower) observe(mark, caller int, time float64) error {
	if err := f.state.Observe(tpp.Event{Time: time * milliseconds, Mark: mark}); err != nil {
		return err
	}
	f.events = append(f.events[:f.counted], pathEvent{mark: mark, time: time * milliseconds, node: -1})
	if caller >= 0 && caller < f.counted {
		f.events[caller].made = append(f.events[caller].made, mark)
	}
	f.counted++
	return nil
}

func (f *pathFollower) expect(list []expected) []expected {
	if f.counted == 0 || !f.draw() {
		return list
	}
	f.nodes = f.nodes[:0]
	for _, path := range f.drawn {
		f.walk(path)
	}
	first := len(list)
	for i := range f.nodes {
		n := &f.nodes[i]
		if len(list)-first >= maxExpected {
			break
		}
		e := expected{mark: int32(n.mark), cause: int32(n.event), parent: -1, slot: int32(1000 + i), order: int32(i)}
		all, caller := numPaths, -1
		switch {
		case n.event >= 0:
			caller = f.events[n.event].mark
		case n.parent >= 0:
			e.parent = int32(first + n.parent)
			caller, all = f.nodes[n.parent].mark, len(f.nodes[n.parent].gaps)
		}
		e.probability = min(float64(len(n.gaps))/float64(all), 1)
		if caller >= 0 {
			for k := range f.p.table.edges[caller] {
				if o := &f.p.table.edges[caller][k]; o.mark == n.mark && o.occurrence == n.occurrence {
					e.slot, e.order = int32(o.slot), int32(k)
				}
			}
		}
		e.gap = timesOf(n.gaps)
		list = append(list, e)
	}
	return list
}

// draw draws paths, and reports whether the model can.
func (f *pathFollower) draw() bool {
	now := f.events[f.counted-1].time
	if f.follow.Start(f.state, now, numPaths) != nil {
		return false
	}
	source := seed.Stream(f.p.seed, "paths")
	known := f.follow.TypicalCovariates(nil)
	for len(f.drawn) < numPaths {
		f.drawn = append(f.drawn, nil)
	}
	f.rows = f.rows[:0]
	for i := range numPaths {
		f.drawn[i] = f.drawn[i][:0]
		f.rows = append(f.rows, i)
	}
	rows := numPaths
	for n := 0; rows > 0 && n < f.p.most; n++ {
		f.u, f.v = spreadOut(f.u, rows, source), spreadOut(f.v, rows, source)
		kept := 0
		for row := range rows {
			tau, mark, over := f.follow.Draw(row, f.u[row], f.v[row])
			if over || !(tau <= f.p.longer) {
				continue
			}
			path := f.rows[row]
			last := now
			if own := f.drawn[path]; len(own) > 0 {
				last = own[len(own)-1].Time
			}
			f.drawn[path] = append(f.drawn[path], tpp.Event{Time: last + tau, Mark: mark})
			if f.follow.Observe(kept, row, tau, mark, known) != nil {
				continue
			}
			f.rows[kept] = path
			kept++
		}
		if rows = kept; rows > 0 {
			f.follow.Advance(rows)
		}
	}
	return true
}

// spreadOut fills dst with n uniform numbers, one in each of n equal parts of (0, 1), in random order.
func spreadOut(dst []float64, n int, source rand.Source) []float64 {
	dst = slices.Grow(dst[:0], n)[:n]
	for i := range dst {
		dst[i] = min((float64(i)+num.Uniform(source))/float64(n), 1-num.MinUniform)
	}
	for i := n - 1; i > 0; i-- {
		j := int(source.Uint64() % uint64(i+1))
		dst[i], dst[j] = dst[j], dst[i]
	}
	return dst
}

// walk adds the events of a path to the nodes. The caller of an event is the one that came last of those that make such a call, and have not made
// it yet.
func (f *pathFollower) walk(path []tpp.Event) {
	f.events = f.events[:f.counted]
	made := make([]int, f.counted) // how many calls were observed
	for i := range made {
		made[i] = len(f.events[i].made)
	}
	for _, e := range path {
		caller, occurrence := f.callerOf(e.Mark)
		n := node{mark: e.Mark, occurrence: occurrence, event: -1, parent: -1}
		from := f.events[f.counted-1].time
		if caller >= 0 {
			c := &f.events[caller]
			from = c.time
			if n.event = caller; c.node >= 0 {
				n.event, n.parent = -1, c.node
			}
			c.made = append(c.made, e.Mark)
		}
		at := slices.IndexFunc(f.nodes, func(o node) bool {
			return o.mark == n.mark && o.occurrence == n.occurrence && o.event == n.event && o.parent == n.parent
		})
		if at < 0 {
			at = len(f.nodes)
			f.nodes = append(f.nodes, n)
		}
		f.nodes[at].gaps = append(f.nodes[at].gaps, math.Max(e.Time-from, 0)/milliseconds)
		f.events = append(f.events, pathEvent{mark: e.Mark, time: e.Time, node: at})
	}
	f.events = f.events[:f.counted]
	for i := range made {
		f.events[i].made = f.events[i].made[:made[i]]
	}
}

// callerOf returns the event that calls one with a mark, −1 if it cannot be told, and how often it has called such a one already.
func (f *pathFollower) callerOf(mark int) (caller, occurrence int) {
	for i := len(f.events) - 1; i >= 0; i-- {
		e := &f.events[i]
		for k := range f.p.table.edges[e.mark] {
			edge := &f.p.table.edges[e.mark][k]
			if edge.mark != mark {
				continue
			}
			n := 0
			for _, m := range e.made {
				if m == mark {
					n++
				}
			}
			if n == edge.occurrence {
				return i, n
			}
		}
	}
	return -1, 0
}

// clones follows several paths with a copy of the state for each. It is a tpp.Follower.
type clones struct {
	root   tpp.State
	first  tpp.Drawer
	later  bool
	row    tpp.Drawer
	states []tpp.State
	at     []float64
}

func (c *clones) Start(state tpp.State, now float64, rows int) error {
	c.root = state.Clone()
	c.first.Reset(c.root.Next(now))
	c.later = false
	c.states, c.at = c.states[:0], c.at[:0]
	for range rows {
		c.states, c.at = append(c.states, c.root.Clone()), append(c.at, now)
	}
	return nil
}

func (c *clones) Draw(row int, u, v float64) (float64, int, bool) {
	if !c.later {
		return c.first.Draw(u, v)
	}
	c.row.Reset(c.states[row].Next(c.at[row]))
	return c.row.Draw(u, v)
}

func (c *clones) Observe(dst, row int, tau float64, mark int, covariates []float64) error {
	c.states[dst], c.states[row] = c.states[row], c.states[dst]
	c.at[dst] = c.at[row] + tau
	return c.states[dst].Observe(tpp.Event{Time: c.at[dst], Mark: mark, Covariates: covariates})
}

func (c *clones) Advance(int) { c.later = true }

func (c *clones) TypicalCovariates(dst []float64) []float64 {
	if t, ok := c.root.(tpp.TypicalState); ok {
		return t.TypicalCovariates(dst)
	}
	return dst
}
