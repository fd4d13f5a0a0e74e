package live

import (
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/tppfaas/tppfaas/internal/nn"
	"github.com/tppfaas/tppfaas/internal/num"
	"github.com/tppfaas/tppfaas/tpp"
)

// stateFollower implements tpp.Follower for any state, with one copy of the state for each path.
type stateFollower struct {
	root   tpp.State
	first  tpp.Drawer // draws the first event of every row, from the root
	later  bool       // set by the first Advance: draw from the states of the rows
	row    tpp.Drawer // draws a later event of one row
	states []tpp.State
	at     []float64 // time of each row's last event
}

func (f *stateFollower) Start(state tpp.State, now float64, rows int) error {
	// A copy, so that several followers of one state do not interfere.
	if c, ok := f.root.(tpp.StateCopier); !ok || !c.CopyFrom(state) {
		f.root, f.states = state.Clone(), nil
	}
	f.first.Reset(f.root.Next(now))
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
		return f.first.Draw(u, v)
	}
	f.row.Reset(f.states[row].Next(f.at[row]))
	return f.row.Draw(u, v)
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

// newFollower returns the state's own follower if it has one, otherwise a stateFollower.
func newFollower(state tpp.State) tpp.Follower {
	if s, ok := state.(tpp.FollowerState); ok {
		if f := s.NewFollower(); f != nil {
			return f
		}
	}
	return &stateFollower{}
}

// rollout simulates many continuations (paths) of a sequence by stratified sampling: at each step the uniform numbers of
// the paths still running are spread evenly over [0, 1), in random order (a Latin hypercube; Owen 2013, Monte Carlo
// theory, methods and examples, section 10.3). Each path alone is an exact draw; averages over paths vary less than with
// independent paths. Running paths occupy the rows 0, 1, … of the follower; rows of finished paths are removed.
type rollout struct {
	f          tpp.Follower
	maxEvents  int
	covariates func(dst []float64, time float64, mark int) []float64

	path  []int     // path of each row
	t     []float64 // time of each row's last event, counted from now
	u, v  []float64 // uniform numbers of each row
	known []float64 // covariates of one event
}

// run draws paths that begin with a state at now, and calls visit for each event within the horizon, with its path, its
// time t counted from now, and its mark. It returns the number of paths on which the sequence ended within the horizon.
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
				over++ // an infinite gap is an end too
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

// stratify fills dst with n uniform numbers, one in each of n equal parts of [0, 1), in random order, and returns it.
func (r *rollout) stratify(dst []float64, n int, src rand.Source) []float64 {
	dst = nn.Resize(dst, n)
	for i := range dst {
		dst[i] = min((float64(i)+num.Uniform(src))/float64(n), 1-num.MinUniform)
	}
	for i := n - 1; i > 0; i-- {
		j := int(uint64(i+1) * (src.Uint64() >> 33) >> 31) // the bias is negligible: n is far below 2³¹
		dst[i], dst[j] = dst[j], dst[i]
	}
	return dst
}
