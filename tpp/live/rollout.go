package live

import (
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/tppfaas/tppfaas/internal/nn"
	"github.com/tppfaas/tppfaas/internal/num"
	"github.com/tppfaas/tppfaas/tpp"
)

// stateFollower follows any state, path by path.
type stateFollower struct {
	root   tpp.State
	next   tpp.Drawer // of the root, until the first advance
	later  bool
	own    tpp.Drawer // of one row
	states []tpp.State
	at     []float64 // time of each row's last event
}

func (f *stateFollower) Start(state tpp.State, now float64, rows int) error {
	// A copy, so that several followers of one state do not disturb each other.
	if c, ok := f.root.(tpp.StateCopier); !ok || !c.CopyFrom(state) {
		f.root, f.states = state.Clone(), nil
	}
	f.next.Reset(f.root.Next(now))
	f.later = false
	for i := range f.states[:min(rows, len(f.states))] {
		if c, ok := f.states[i].(tpp.StateCopier); !ok || !c.CopyFrom(f.root) {
			f.states[i] = f.root.Clone()
		}
	}
	for len(f.states) < rows {
		f.states = append(f.states, f.root.Clone())
	}
	f.at = nn.Resize(f.at, rows)
	for i := range f.at {
		f.at[i] = now
	}
	return nil
}

func (f *stateFollower) Draw(row int, u, v float64) (float64, int, bool) {
	if !f.later {
		return f.next.Draw(u, v)
	}
	f.own.Reset(f.states[row].Next(f.at[row]))
	return f.own.Draw(u, v)
}

func (f *stateFollower) Observe(dst, row int, tau float64, mark int, covariates []float64) error {
	f.states[dst], f.states[row] = f.states[row], f.states[dst]
	f.at[dst] = f.at[row] + tau
	return f.states[dst].Observe(tpp.Event{Time: f.at[dst], Mark: mark, Covariates: covariates})
}

func (f *stateFollower) Advance(int) { f.later = true }

func (f *stateFollower) TypicalCovariates(dst []float64) []float64 {
	if t, ok := f.root.(tpp.TypicalState); ok {
		return t.TypicalCovariates(dst)
	}
	return dst
}

// newFollower returns the fastest follower for a state.
func newFollower(state tpp.State) tpp.Follower {
	if s, ok := state.(tpp.FollowerState); ok {
		if f := s.NewFollower(); f != nil {
			return f
		}
	}
	return &stateFollower{}
}

// rollout continues a sequence along paths that are drawn stratified: at each step the numbers that decide about the
// paths that still run are spread evenly, in a random order (a Latin hypercube; Owen 2013, Monte Carlo theory, methods
// and examples, section 10.3). Each path alone is an exact draw; together they vary less than independent ones.
type rollout struct {
	f          tpp.Follower
	maxEvents  int
	covariates func(dst []float64, time float64, mark int) []float64

	path  []int     // of each row
	t     []float64 // of each row, from now
	u, v  []float64
	known []float64 // covariates of one event
}

// run draws paths that begin with a state at now and visits their events until the horizon: the path, the time from now,
// the mark. It returns on how many paths the sequence was over by then.
func (r *rollout) run(state tpp.State, now, horizon float64, paths int, src rand.Source, visit func(path int, t float64, mark int)) (over int, err error) {
	if err := r.f.Start(state, now, paths); err != nil {
		return 0, err
	}
	r.known = r.f.TypicalCovariates(r.known[:0])
	r.path, r.t = nn.Resize(r.path, paths), nn.Resize(r.t, paths)
	for i := range paths {
		r.path[i], r.t[i] = i, 0
	}
	rows := paths
	for events := 0; rows > 0; events++ {
		r.u, r.v = r.stratify(r.u, rows, src), r.stratify(r.v, rows, src)
		kept := 0
		for row := range rows {
			tau, mark, isOver := r.f.Draw(row, r.u[row], r.v[row])
			if isOver || math.IsInf(tau, 1) {
				over++ // or silent for ever, which is the same
				continue
			}
			t, path := r.t[row]+tau, r.path[row]
			if !(t <= horizon) || math.IsInf(t, 1) {
				continue
			}
			if events == r.maxEvents {
				return 0, fmt.Errorf("a path has more than %d events within the horizon: shorten the horizon or allow for more", r.maxEvents)
			}
			visit(path, t, mark)
			if r.covariates != nil {
				r.known = r.covariates(r.known[:0], now+t, mark)
			}
			if err := r.f.Observe(kept, row, tau, mark, r.known); err != nil {
				return 0, fmt.Errorf("simulated event: %w", err)
			}
			r.path[kept], r.t[kept] = path, t
			kept++
		}
		rows = kept
		if rows > 0 {
			r.f.Advance(rows)
		}
	}
	return over, nil
}

// stratify fills dst with n uniform numbers, one in each of n equal parts of the interval, in a random order.
func (r *rollout) stratify(dst []float64, n int, src rand.Source) []float64 {
	dst = nn.Resize(dst, n)
	for i := range dst {
		dst[i] = min((float64(i)+num.Uniform(src))/float64(n), 1-num.MinUniform)
	}
	for i := n - 1; i > 0; i-- {
		j := int(uint64(i+1) * (src.Uint64() >> 33) >> 31) // without the bias that would matter: n is small beside 2³¹
		dst[i], dst[j] = dst[j], dst[i]
	}
	return dst
}
