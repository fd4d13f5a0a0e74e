package live

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"math"
	"math/rand/v2"
	"reflect"
	"sync"
	"sync/atomic"

	"github.com/tppfaas/tppfaas/tpp"
	"github.com/tppfaas/tppfaas/tpp/dist"
)

// ErrNoTrace says that a Forecaster has no trace in flight under the key.
var ErrNoTrace = errors.New("no trace in flight under this key")

// ForecasterOptions says when a Forecaster lets go of a trace. Every field left zero takes the default that its comment
// gives.
type ForecasterOptions struct {
	// MaxTraces is how many traces are kept at most (default 2²⁰). Where there is no room for a new one, the one that has
	// been silent for longest makes it. Traces are spread over shards by their keys, each with its share of the room.
	MaxTraces int
	// EndProbability is from when on a trace counts as over: when the probability of that, given how long it has been
	// silent, reaches it (default 0.999).
	EndProbability float64
	// IdleSurvival is from when on a trace counts as idle, over or not: when the model's probability that its next event
	// takes longer than the silence so far falls to it (default 1e-6). It does not apply to models that predict one value
	// instead of a distribution.
	IdleSurvival float64
	// MaxIdle is after how long a silence a trace counts as idle in any case, in the model's unit (default: no limit).
	MaxIdle float64
}

func (o ForecasterOptions) withDefaults() ForecasterOptions {
	o.MaxTraces = cmp.Or(o.MaxTraces, 1<<20)
	o.EndProbability = cmp.Or(o.EndProbability, 0.999)
	o.IdleSurvival = cmp.Or(o.IdleSurvival, 1e-6)
	o.MaxIdle = cmp.Or(o.MaxIdle, math.Inf(1))
	return o
}

func (o *ForecasterOptions) validate() error {
	switch {
	case o.MaxTraces < 1:
		return fmt.Errorf("room for %d traces", o.MaxTraces)
	case !(o.EndProbability > 0 && o.EndProbability <= 1):
		return fmt.Errorf("the end probability is %v, it must be above 0 and at most 1", o.EndProbability)
	case !(o.IdleSurvival > 0 && o.IdleSurvival < 1):
		return fmt.Errorf("the idle survival is %v, it must be between 0 and 1", o.IdleSurvival)
	case !(o.MaxIdle > 0):
		return fmt.Errorf("the longest silence is %v, it must be above 0", o.MaxIdle)
	}
	return nil
}

// Forecaster follows many sequences at once, the traces in flight, each under a key, and predicts each of them and all
// together. It is safe for concurrent use and starts no goroutine. Callers should call Expire periodically;
// otherwise the limit on traces evicts the oldest.
type Forecaster[K comparable] struct {
	model  tpp.Model
	opts   ForecasterOptions
	room   int // of a shard
	seed   maphash.Seed
	begun  atomic.Uint64
	shards []shard[K]
}

// shard is the traces of some of the keys.
type shard[K comparable] struct {
	mu             sync.Mutex
	traces         map[K]*trace[K]
	oldest, newest *trace[K]     // ends of the list in the order of the last events
	work           tpp.Workspace // that the states of the shard compute in; nil where the model has none to share
	stats          ForecasterStats
	_              [64]byte // keeps the locks of two shards off one cache line
}

// trace is a sequence in flight.
type trace[K comparable] struct {
	key          K
	id           uint64 // number in the order of the first events
	state        tpp.State
	last         float64 // time of the last event
	deadline     float64 // from when on it counts as over or idle; NaN if that is not computed yet
	older, newer *trace[K]
}

// ForecasterStats counts what a Forecaster has seen.
type ForecasterStats struct {
	// Traces are in flight now.
	Traces int
	// Events were observed, Rejected ones were errors.
	Events, Rejected uint64
	// Traces that left: Ended by End, Expired as over or idle, Evicted for want of room.
	Ended, Expired, Evicted uint64
	// BytesPerTrace is about what a trace takes, without the text of a string key.
	BytesPerTrace int
}

// NewForecaster makes a Forecaster that predicts with the model.
func NewForecaster[K comparable](m tpp.Model, opts ForecasterOptions) (*Forecaster[K], error) {
	opts = opts.withDefaults()
	if err := opts.validate(); err != nil {
		return nil, fmt.Errorf("forecaster: %w", err)
	}
	// Few traces need no shards, whose shares of the room would be uneven.
	f := &Forecaster[K]{model: m, opts: opts, seed: maphash.MakeSeed(), shards: make([]shard[K], min(max(opts.MaxTraces/1024, 1), 64))}
	f.room = opts.MaxTraces / len(f.shards)
	for i := range f.shards {
		f.shards[i].traces = map[K]*trace[K]{}
		f.shards[i].work = newWorkspace(m)
	}
	return f, nil
}

// shard returns the shard of a key.
func (f *Forecaster[K]) shard(key K) *shard[K] {
	return &f.shards[maphash.Comparable(f.seed, key)%uint64(len(f.shards))]
}

// Observe moves the trace with the key over its next event; the first event under a key begins a trace. An event before
// the trace's last one, or with an unknown mark, is an error and leaves the trace as it was. It takes constant time,
// unless there is no room: then it looks through a shard.
func (f *Forecaster[K]) Observe(key K, e tpp.Event) error {
	s := f.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.traces[key]
	isNew := t == nil
	if isNew {
		t = &trace[K]{key: key, state: f.newState(s, e.Time)}
	}
	if err := t.state.Observe(e); err != nil {
		s.stats.Rejected++
		return fmt.Errorf("trace %v: %w", key, err)
	}
	s.stats.Events++
	if isNew {
		if len(s.traces) >= f.room {
			f.makeRoom(s, e.Time)
		}
		t.id = f.begun.Add(1)
		s.traces[key] = t
	} else {
		s.unlink(t)
	}
	s.link(t)
	t.last, t.deadline = e.Time, math.NaN()
	return nil
}

// newState returns a state in the shard's memory.
func (f *Forecaster[K]) newState(s *shard[K], start float64) tpp.State {
	if s.work != nil {
		return s.work.NewState(start)
	}
	return f.model.NewState(start)
}

// newWorkspace returns memory for states to share, nil where the model has none.
func newWorkspace(m tpp.Model) tpp.Workspace {
	if w, ok := m.(tpp.WorkspaceModel); ok {
		return w.NewWorkspace()
	}
	return nil
}

// makeRoom drops what is over or idle, and failing that the trace that has been silent for longest.
func (f *Forecaster[K]) makeRoom(s *shard[K], now float64) {
	if f.expire(s, now) == 0 && s.oldest != nil {
		s.drop(s.oldest)
		s.stats.Evicted++
	}
}

// link puts a trace at the newest end of the list.
func (s *shard[K]) link(t *trace[K]) {
	t.older, t.newer = s.newest, nil
	if s.newest != nil {
		s.newest.newer = t
	} else {
		s.oldest = t
	}
	s.newest = t
}

func (s *shard[K]) unlink(t *trace[K]) {
	if t.older != nil {
		t.older.newer = t.newer
	} else {
		s.oldest = t.newer
	}
	if t.newer != nil {
		t.newer.older = t.older
	} else {
		s.newest = t.older
	}
}

func (s *shard[K]) drop(t *trace[K]) {
	s.unlink(t)
	delete(s.traces, t.key)
	if s.work != nil {
		s.work.Release() // or the memory would hold on to the state
	}
}

// End forgets the trace with the key, because it is over, and says whether there was one. A later event under the key
// begins another.
func (f *Forecaster[K]) End(key K) bool {
	s := f.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.traces[key]
	if t == nil {
		return false
	}
	s.drop(t)
	s.stats.Ended++
	return true
}

// Expire drops the traces that count as over or idle at now and returns how many those were. It looks at every trace, and
// computes something only for those that have had an event since it looked last.
func (f *Forecaster[K]) Expire(now float64) int {
	n := 0
	for i := range f.shards {
		s := &f.shards[i]
		s.mu.Lock()
		n += f.expire(s, now)
		s.mu.Unlock()
	}
	return n
}

func (f *Forecaster[K]) expire(s *shard[K], now float64) int {
	n := 0
	for t := s.oldest; t != nil; {
		newer := t.newer
		if math.IsNaN(t.deadline) {
			t.deadline = t.last + f.patience(t.state.Next(t.last))
		}
		if now >= t.deadline {
			s.drop(t)
			n++
		}
		t = newer
	}
	s.stats.Expired += uint64(n)
	return n
}

// patience returns how long after an event a trace may be silent. With the probability e of the end at the event and the
// survival S of the gap, the trace is over with probability e/(e + (1 − e)S).
func (f *Forecaster[K]) patience(next *tpp.Next) float64 {
	o := &f.opts
	if next.End >= o.EndProbability {
		return 0
	}
	if !dist.HasDensity(next.Time) {
		return o.MaxIdle
	}
	logS := math.Log(o.IdleSurvival)
	if next.End > 0 {
		logS = max(logS, math.Log(next.End)+math.Log1p(-o.EndProbability)-math.Log(o.EndProbability)-math.Log1p(-next.End))
	}
	return min(dist.Conditional{Dist: next.Time}.QuantileLogSurvival(logS), o.MaxIdle)
}

// Next calls use with the distribution of the next event of the trace with the key, given that none came until now, and
// says whether there is such a trace. What use is given holds until it returns; meanwhile other traces wait.
func (f *Forecaster[K]) Next(key K, now float64, use func(*tpp.Next)) bool {
	s := f.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.traces[key]
	if t == nil {
		return false
	}
	use(t.state.Next(now))
	return true
}

// State returns an independent copy of the state of the trace with the key, and whether there is such a trace.
func (f *Forecaster[K]) State(key K) (tpp.State, bool) {
	state, _, err := f.lookUp(key)
	return state, err == nil
}

func (f *Forecaster[K]) lookUp(key K) (state tpp.State, last float64, err error) {
	s := f.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.traces[key]
	if t == nil {
		return nil, 0, fmt.Errorf("trace %v: %w", key, ErrNoTrace)
	}
	return t.state.Clone(), t.last, nil
}

// Forecast makes a forecast for the trace with the key; ErrNoTrace if there is none. A now before the trace's last event
// counts as that.
func (f *Forecaster[K]) Forecast(ctx context.Context, key K, now, horizon float64, opts ForecastOptions) (*Forecast, error) {
	state, last, err := f.lookUp(key)
	if err != nil {
		return nil, err
	}
	outlook, err := NewForecast(ctx, state, max(now, last), horizon, opts)
	if err != nil {
		return nil, fmt.Errorf("trace %v: %w", key, err)
	}
	return outlook, nil
}

// ForecastAll returns the forecast for all traces in flight together: of how many events come of each mark, how probable it is
// that at least one does, and when the first one comes. It costs as much as a forecast for each of them, and holds nobody
// up meanwhile: it works on a copy, made shard by shard. Traces that begin later are not foreseen. Where there is no trace
// in flight nothing is to come.
func (f *Forecaster[K]) ForecastAll(ctx context.Context, now, horizon float64, opts ForecastOptions) (*Forecast, error) {
	opts = opts.withDefaults()
	if err := opts.validate(now, horizon); err != nil {
		return nil, fmt.Errorf("forecast: %w", err)
	}
	// Paths with the same number in different traces are one path of all of them.
	marks := max(len(f.model.MarkNames()), 1)
	workers := min(opts.Workers, len(f.shards))
	tallies := make([][]*tally, workers)
	var sequences atomic.Int64
	err := inParallel(ctx, workers, len(f.shards), func(worker int) func(i int) error {
		for first := 0; first < opts.Paths; first += pathBlock {
			tallies[worker] = append(tallies[worker], newTally(marks, min(pathBlock, opts.Paths-first)))
		}
		var p *player
		return func(i int) error {
			for _, t := range f.copyOf(&f.shards[i]) {
				if p == nil {
					p = newPlayer(t.state, &opts)
				}
				sequences.Add(1)
				for block, sum := range tallies[worker] {
					if err := ctx.Err(); err != nil {
						return err
					}
					if err := p.playFrom(t.state, t.last, now, horizon, sum, rand.NewPCG(opts.Seed+t.id, uint64(block))); err != nil {
						return fmt.Errorf("trace %v: %w", t.key, err)
					}
				}
			}
			return nil
		}
	})
	if err != nil {
		return nil, fmt.Errorf("forecast: %w", err)
	}
	for _, more := range tallies[1:] {
		for block, t := range more {
			tallies[0][block].merge(t)
		}
	}
	return summarise(tallies[0], int(sequences.Load()), horizon, opts.Quantiles), nil
}

// copyOf returns a copy of the traces of a shard, whose states compute in memory that they share.
func (f *Forecaster[K]) copyOf(s *shard[K]) []trace[K] {
	work := newWorkspace(f.model)
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]trace[K], 0, len(s.traces))
	for t := s.oldest; t != nil; t = t.newer {
		state := copyInto(work, t)
		out = append(out, trace[K]{key: t.key, id: t.id, state: state, last: t.last})
	}
	return out
}

// copyInto returns a copy of a trace's state, which computes in the workspace if it can.
func copyInto[K comparable](work tpp.Workspace, t *trace[K]) tpp.State {
	if work != nil {
		if c, ok := work.NewState(t.last).(tpp.StateCopier); ok && c.CopyFrom(t.state) {
			return c
		}
	}
	return t.state.Clone()
}

// Len returns the number of traces in flight.
func (f *Forecaster[K]) Len() int { return f.Stats().Traces }

// Stats counts.
func (f *Forecaster[K]) Stats() ForecasterStats {
	var sum ForecasterStats
	for i := range f.shards {
		s := &f.shards[i]
		s.mu.Lock()
		sum.Traces += len(s.traces)
		sum.Events += s.stats.Events
		sum.Rejected += s.stats.Rejected
		sum.Ended += s.stats.Ended
		sum.Expired += s.stats.Expired
		sum.Evicted += s.stats.Evicted
		s.mu.Unlock()
	}
	sum.BytesPerTrace = f.bytesPerTrace()
	return sum
}

func (f *Forecaster[K]) bytesPerTrace() int {
	const mapLoad = 0.7 // mean share of a map's slots that is filled
	key, pointer := reflect.TypeFor[K]().Size(), reflect.TypeFor[*trace[K]]().Size()
	size := int(reflect.TypeFor[trace[K]]().Size()) + int(float64(key+pointer+1)/mapLoad)
	state := f.model.NewState(0)
	if s, ok := state.(tpp.SizedState); ok {
		return size + s.Size()
	}
	if t := reflect.TypeOf(state); t.Kind() == reflect.Pointer {
		size += int(t.Elem().Size())
	}
	return size
}
