package tpp

import (
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/tppfaas/tppfaas/internal/nn"
)

// A follower continues a sequence along several paths at once. Its rows are the paths that still run.
type follower interface {
	// start makes rows copies of the state. Their first event is drawn given that none came until now.
	start(state State, now float64, rows int) error
	// draw takes two uniform numbers to the next event of a row, as drawer.draw does; tau counts from the row's last event,
	// at first from now.
	draw(row int, u, v float64) (tau float64, mark int, over bool)
	// observe takes the drawn event into the row with index dst, which may be the same or one that was drawn before.
	observe(dst, row int, tau float64, mark int, covariates []float64) error
	// advance makes the rows, each of which has observed an event, ready to draw again.
	advance(rows int)
	// typicalCovariates appends what a future event's covariates are taken to be.
	typicalCovariates(dst []float64) []float64
}

// typical is a State that says what to take the covariates of a future event for.
type typical interface {
	typicalCovariates(dst []float64) []float64
}

// typicalCovariates are 0 for a categorical covariate, which for the cold-start feature is a warm start, and the mean for
// a real one.
func (s *recurrentState) typicalCovariates(dst []float64) []float64 {
	for _, c := range s.m.cfg.Covariates {
		if c.Levels > 0 {
			dst = append(dst, 0)
		} else {
			dst = append(dst, c.Mean)
		}
	}
	return dst
}

// stateFollower follows any state, path by path.
type stateFollower struct {
	root   State
	next   drawer // of the root, until the first advance
	later  bool
	own    drawer // of one row
	states []State
	at     []float64 // time of each row's last event
}

func (f *stateFollower) start(state State, now float64, rows int) error {
	// A copy, so that several followers of one state do not disturb each other.
	if c, ok := f.root.(StateCopier); !ok || !c.CopyFrom(state) {
		f.root, f.states = state.Clone(), nil
	}
	f.next.from(f.root.Next(now))
	f.later = false
	for i := range f.states[:min(rows, len(f.states))] {
		if c, ok := f.states[i].(StateCopier); !ok || !c.CopyFrom(f.root) {
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

func (f *stateFollower) draw(row int, u, v float64) (float64, int, bool) {
	if !f.later {
		return f.next.draw(u, v)
	}
	f.own.from(f.states[row].Next(f.at[row]))
	return f.own.draw(u, v)
}

func (f *stateFollower) observe(dst, row int, tau float64, mark int, covariates []float64) error {
	f.states[dst], f.states[row] = f.states[row], f.states[dst]
	f.at[dst] = f.at[row] + tau
	return f.states[dst].Observe(Event{Time: f.at[dst], Mark: mark, Covariates: covariates})
}

func (f *stateFollower) advance(int) { f.later = true }

func (f *stateFollower) typicalCovariates(dst []float64) []float64 {
	if t, ok := f.root.(typical); ok {
		return t.typicalCovariates(dst)
	}
	return dst
}

// mixtureFollower follows the state of a recurrent model with a log-normal mixture, all paths in one matrix product a
// step. Of the mixture it computes the weights, and location and scale only of the component that is drawn.
type mixtureFollower struct {
	m     *Recurrent
	root  *recurrentState
	next  drawer // of the root, until the first advance
	later bool
	first float64 // time from the last event until now, which belongs to the first gap

	h, c           []float32 // rows × D: hidden and cell states
	gates          []float32 // rows × G·D
	weights, marks []float32 // rows × K, rows × classes: probabilities
	weightTotal    []float64 // rows: sum of the weights
	values         []float32
	stepper        nn.Stepper[float32]
}

func (f *mixtureFollower) start(state State, now float64, rows int) error {
	if !f.root.CopyFrom(state) {
		return fmt.Errorf("a state of another model")
	}
	f.next.from(f.root.Next(now))
	f.later = false
	f.first = max(now-f.root.last, 0)
	net, s := f.m.net, f.root.hidden
	d := net.cfg.ContextSize
	f.h, f.gates = nn.Resize(f.h, rows*d), nn.Resize(f.gates, rows*net.rnn.Gates())
	f.weights, f.marks = nn.Resize(f.weights, rows*net.cfg.NumComponents), nn.Resize(f.marks, rows*net.mark.Out)
	f.weightTotal = nn.Resize(f.weightTotal, rows)
	if len(s) > d {
		f.c = nn.Resize(f.c, rows*d)
	}
	for row := range rows {
		copy(f.h[row*d:(row+1)*d], s[:d])
		if len(s) > d {
			copy(f.c[row*d:(row+1)*d], s[d:])
		}
	}
	return nil
}

func (f *mixtureFollower) draw(row int, u, v float64) (tau float64, mark int, over bool) {
	if !f.later {
		return f.next.draw(u, v)
	}
	net := f.m.net
	marks := f.marks[row*net.mark.Out : (row+1)*net.mark.Out]
	if n := f.m.numMarks; len(marks) > n {
		end := float64(marks[n])
		if u < end {
			return 0, 0, true
		}
		marks, u = marks[:n], (u-end)/(1-end)
	}
	mark, _ = drawIndex(marks, nn.Sum(marks), u)
	k, d := net.cfg.NumComponents, net.cfg.ContextSize
	i, rest := drawIndex(f.weights[row*k:(row+1)*k], f.weightTotal[row], v)
	h := f.h[row*d : (row+1)*d]
	mu := float64(net.time.ForwardAt(f.m.params, h, i))
	scale := math.Exp(float64(net.time.ForwardAt(f.m.params, h, k+i)))
	norm := f.m.norm
	return drawLogNormal(norm.Mean+norm.Std*mu, norm.Std*nn.ClampScale(scale), rest), mark, false
}

func (f *mixtureFollower) observe(dst, row int, tau float64, mark int, covariates []float64) error {
	net := f.m.net
	d, g := net.cfg.ContextSize, net.rnn.Gates()
	if dst != row {
		copy(f.h[dst*d:(dst+1)*d], f.h[row*d:(row+1)*d])
		if f.c != nil {
			copy(f.c[dst*d:(dst+1)*d], f.c[row*d:(row+1)*d])
		}
	}
	gap := tau
	if !f.later {
		gap += f.first
		if f.root.events == 0 {
			gap = 0
		}
	}
	if len(covariates) != len(net.cfg.Covariates) {
		return fmt.Errorf("%d covariates, the model takes %d", len(covariates), len(net.cfg.Covariates))
	}
	var err error
	if f.values, err = net.appendFeatures(f.values[:0], gap, mark, covariates); err != nil {
		return err
	}
	net.input.Forward(f.gates[dst*g:(dst+1)*g], f.values)
	return nil
}

func (f *mixtureFollower) advance(rows int) {
	f.later = true
	net, params := f.m.net, f.m.params
	k, classes := net.cfg.NumComponents, net.mark.Out
	net.rnn.StepRows(params, f.h, f.c, f.gates, rows, &f.stepper)
	net.time.ForwardColumns(f.weights, params, f.h, rows, 2*k, k)
	net.mark.Forward(f.marks, params, f.h, rows)
	nn.SoftmaxRows(f.weights[:rows*k], k, f.weightTotal)
	nn.SoftmaxRows(f.marks[:rows*classes], classes, nil)
}

func (f *mixtureFollower) typicalCovariates(dst []float64) []float64 {
	return f.root.typicalCovariates(dst)
}

// newFollower is the fastest follower of a state.
func newFollower(state State) follower {
	if s, ok := state.(*recurrentState); ok && s.m.cfg.Kind == LogNormMix {
		return &mixtureFollower{m: s.m, root: s.m.newState(s.last)}
	}
	return &stateFollower{}
}

// rollout continues a sequence along paths that are drawn stratified: at each step the numbers that decide about the
// paths that still run are spread evenly, in a random order (a Latin hypercube; Owen 2013, Monte Carlo theory, methods
// and examples, section 10.3). Each path alone is an exact draw; together they vary less than independent ones.
type rollout struct {
	f          follower
	maxEvents  int
	covariates func(dst []float64, time float64, mark int) []float64

	path  []int     // of each row
	t     []float64 // of each row, from now
	u, v  []float64
	known []float64 // covariates of one event
}

// run draws paths that begin with a state at now and visits their events until the horizon: the path, the time from now,
// the mark. It returns on how many paths the sequence was over by then.
func (r *rollout) run(state State, now, horizon float64, paths int, src rand.Source, visit func(path int, t float64, mark int)) (over int, err error) {
	if err := r.f.start(state, now, paths); err != nil {
		return 0, err
	}
	r.known = r.f.typicalCovariates(r.known[:0])
	r.path, r.t = nn.Resize(r.path, paths), nn.Resize(r.t, paths)
	for i := range paths {
		r.path[i], r.t[i] = i, 0
	}
	rows := paths
	for events := 0; rows > 0; events++ {
		r.u, r.v = r.stratify(r.u, rows, src), r.stratify(r.v, rows, src)
		kept := 0
		for row := range rows {
			tau, mark, isOver := r.f.draw(row, r.u[row], r.v[row])
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
			if err := r.f.observe(kept, row, tau, mark, r.known); err != nil {
				return 0, fmt.Errorf("simulated event: %w", err)
			}
			r.path[kept], r.t[kept] = path, t
			kept++
		}
		rows = kept
		if rows > 0 {
			r.f.advance(rows)
		}
	}
	return over, nil
}

// stratify fills dst with n uniform numbers, one in each of n equal parts of the interval, in a random order.
func (r *rollout) stratify(dst []float64, n int, src rand.Source) []float64 {
	dst = nn.Resize(dst, n)
	for i := range dst {
		dst[i] = min((float64(i)+uniform(src))/float64(n), 1-minUniform)
	}
	for i := n - 1; i > 0; i-- {
		j := int(uint64(i+1) * (src.Uint64() >> 33) >> 31) // without the bias that would matter: n is small beside 2³¹
		dst[i], dst[j] = dst[j], dst[i]
	}
	return dst
}
