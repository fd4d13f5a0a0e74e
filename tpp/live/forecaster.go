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
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/tppfaas/tppfaas/internal/seed"
	"github.com/tppfaas/tppfaas/internal/starts"
	"github.com/tppfaas/tppfaas/tpp"
	"github.com/tppfaas/tppfaas/tpp/dist"
)

// ErrNoTrace is returned when a Forecaster has no trace in flight under the given key.
var ErrNoTrace = errors.New("no trace in flight under this key")

var (
	errNoModel    = errors.New("no model")
	errNoState    = errors.New("no state")
	errForecaster = errors.New("a Forecaster has to be made by NewForecaster")
)

// ForecasterOptions configures when a Forecaster drops a trace. The zero value is ready to use: a zero field takes the
// default stated at the field.
type ForecasterOptions struct {
	// MaxTraces is the maximum number of traces (default 2²⁰). A new trace beyond it evicts those that are over or idle
	// or, if there are none, the one whose last event is oldest. Traces are spread over shards by their keys, and the limit
	// is divided evenly among the shards.
	MaxTraces int
	// EndProbability is the threshold at which a trace counts as over: it does when the probability that it is over, given
	// the time since its last event, reaches EndProbability (default 0.999).
	EndProbability float64
	// IdleSurvival is the threshold at which a trace counts as idle, over or not: it does when the model's probability
	// that the next event takes longer than the time since the last one falls to IdleSurvival (default 1e-6). It does not
	// apply to models that predict one value instead of a distribution.
	IdleSurvival float64
	// MaxIdle is the time since the last event after which a trace counts as idle in any case, in the model's unit of time
	// (default: no limit).
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

// Forecaster tracks many sequences at once, the traces in flight, each under a key, and forecasts each of them or all of
// them together. It is safe for concurrent use and starts no goroutine that outlives a call. Callers should call Expire
// periodically; otherwise traces stay until the limit on their number evicts them. The zero value is not usable; call
// NewForecaster.
type Forecaster[K comparable] struct {
	model  tpp.Model
	opts   ForecasterOptions
	limit  int // traces per shard
	seed   maphash.Seed
	lastID atomic.Uint64
	shards []shard[K]
}

// shard holds the traces of some of the keys, under a lock of its own.
type shard[K comparable] struct {
	mu             sync.Mutex
	traces         map[K]*trace[K]
	oldest, newest *trace[K]     // ends of a linked list, ordered by when the last event was observed
	work           tpp.Workspace // buffers that the shard's states share; nil if the model has no workspaces
	stats          ForecasterStats
	_              [64]byte // keeps the locks of two shards on different cache lines
}

// trace is a sequence in flight. Its last event may be one that started, where the model observes starts.
type trace[K comparable] struct {
	key          K
	id           uint64 // 1, 2, … in the order of the first events; selects the random numbers of the trace
	state        tpp.State
	last         float64 // time of the last event
	deadline     float64 // time from which the trace counts as over or idle; NaN if not computed yet
	older, newer *trace[K]
}

// ForecasterStats holds counters of a Forecaster since its creation.
type ForecasterStats struct {
	// Traces is the number of traces in flight now.
	Traces int
	// Events is the number of events observed, Rejected the number of those, and of starts, that were refused with an error.
	Events, Rejected uint64
	// Ended, Expired and Evicted count the traces dropped by End, as over or idle, and because of MaxTraces.
	Ended, Expired, Evicted uint64
	// BytesPerTrace is the approximate memory of one trace in bytes, without the text of a string key.
	BytesPerTrace int
}

// NewForecaster returns a Forecaster that predicts with the model.
func NewForecaster[K comparable](m tpp.Model, opts ForecasterOptions) (*Forecaster[K], error) {
	if m == nil {
		return nil, fmt.Errorf("forecaster: %w", errNoModel)
	}
	opts = opts.withDefaults()
	if err := opts.validate(); err != nil {
		return nil, fmt.Errorf("forecaster: %w", err)
	}
	// A small limit gets a single shard: split over many, some shards would be full long before the others.
	f := &Forecaster[K]{model: m, opts: opts, seed: maphash.MakeSeed(), shards: make([]shard[K], min(max(opts.MaxTraces/1024, 1), 64))}
	f.limit = opts.MaxTraces / len(f.shards)
	for i := range f.shards {
		f.shards[i].traces = map[K]*trace[K]{}
		f.shards[i].work = newWorkspace(m)
	}
	return f, nil
}

// shard returns the shard of a key. The zero value of a Forecaster has an empty one.
func (f *Forecaster[K]) shard(key K) *shard[K] {
	if len(f.shards) == 0 {
		return &shard[K]{}
	}
	return &f.shards[maphash.Comparable(f.seed, key)%uint64(len(f.shards))]
}

// Observe adds an event to the trace with the key; the first event under a key begins a trace. An event before the trace's
// last one, or with an unknown mark, is an error and leaves the trace unchanged. Observe takes constant time, unless a new
// trace exceeds the limit: then it scans a shard.
func (f *Forecaster[K]) Observe(key K, e tpp.Event) error {
	if f.model == nil {
		return errForecaster
	}
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
		if len(s.traces) >= f.limit {
			f.makeRoom(s, e.Time)
		}
		t.id = f.lastID.Add(1)
		s.traces[key] = t
	} else {
		s.unlink(t)
	}
	s.link(t)
	t.last, t.deadline = e.Time, math.NaN()
	return nil
}

// ObserveStart tells the trace with the key when one of its events started, how long that had waited, and how much of that it had initialised, see
// tpp.StartedState: event counts the calls of Observe under the key that returned no error, from 0 on. It returns ErrNoTrace if there is no such trace. An
// error leaves the trace unchanged. A model that does not observe starts ignores them.
func (f *Forecaster[K]) ObserveStart(key K, time float64, event int, wait, initialisation float64) error {
	if f.model == nil {
		return errForecaster
	}
	s := f.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.traces[key]
	if t == nil {
		return fmt.Errorf("trace %v: %w", key, ErrNoTrace)
	}
	if !starts.Observes(f.model) {
		return nil
	}
	state, ok := t.state.(tpp.StartedState)
	if !ok {
		return fmt.Errorf("trace %v: the states of a model of kind %s cannot be told when events start", key, f.model.Kind())
	}
	if err := state.ObserveStart(time, event, wait, initialisation); err != nil {
		s.stats.Rejected++
		return fmt.Errorf("trace %v: %w", key, err)
	}
	s.unlink(t)
	s.link(t)
	t.last, t.deadline = time, math.NaN()
	return nil
}

// newState returns a new state, which computes in the shard's workspace if there is one.
func (f *Forecaster[K]) newState(s *shard[K], start float64) tpp.State {
	if s.work != nil {
		return s.work.NewState(start)
	}
	return f.model.NewState(start)
}

// newWorkspace returns a workspace of the model, or nil if the model has none.
func newWorkspace(m tpp.Model) tpp.Workspace {
	if w, ok := m.(tpp.WorkspaceModel); ok {
		return w.NewWorkspace()
	}
	return nil
}

// makeRoom drops the traces of the shard that are over or idle or, if there are none, the one whose last event is oldest.
func (f *Forecaster[K]) makeRoom(s *shard[K], now float64) {
	if f.expire(s, now) == 0 && s.oldest != nil {
		s.drop(s.oldest)
		s.stats.Evicted++
	}
}

// link appends a trace at the newest end of the list.
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
		s.work.Release() // the workspace would otherwise keep the dropped state reachable
	}
}

// End drops the trace with the key, because it is over, and reports whether there was one. A later event under the key
// begins a new trace.
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

// Expire drops the traces that count as over or idle at now and returns their number. It visits every trace, but
// evaluates the model only for those with an event since the last call.
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
			t.deadline = t.last + f.maxSilence(t.state.Next(t.last))
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

// maxSilence returns how long after an event a trace stays without another one before it counts as over or idle. With e
// the probability at the event that the trace is over, and S the survival of the gap, the trace is over with probability
// e/(e + (1 − e)S).
func (f *Forecaster[K]) maxSilence(next *tpp.Next) float64 {
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

// Next calls use with the distribution of the next event of the trace with the key, given that none has come until now, and
// reports whether there is such a trace. The argument of use is valid only until use returns. Other traces of the same
// shard are blocked meanwhile.
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

// State returns an independent copy of the state of the trace with the key, and reports whether there is such a trace.
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

// Forecast returns the forecast of the trace with the key, or ErrNoTrace if there is none. If now is before the trace's
// last event, the forecast starts at that event.
func (f *Forecaster[K]) Forecast(ctx context.Context, key K, now, horizon float64, opts ForecastOptions) (*Forecast, error) {
	state, last, err := f.lookUp(key)
	if err != nil {
		return nil, err
	}
	forecast, err := NewForecast(ctx, state, max(now, last), horizon, opts)
	if err != nil {
		return nil, fmt.Errorf("trace %v: %w", key, err)
	}
	return forecast, nil
}

// ForecastAll returns the forecast of all traces in flight together: for each mark the expected number of events, the
// probability of at least one, and when the first one comes. It costs as much as one forecast for each trace, and works on
// a copy, made shard by shard, so that it does not block other calls meanwhile. Traces that begin later are not included.
// With no trace in flight it forecasts no event. Where nothing is simulated, see NewForecast, quantiles are exact to about 1 %.
func (f *Forecaster[K]) ForecastAll(ctx context.Context, now, horizon float64, opts ForecastOptions) (*Forecast, error) {
	opts = opts.withDefaults()
	if err := opts.validate(now, horizon); err != nil {
		return nil, fmt.Errorf("forecast: %w", err)
	}
	if f.model == nil {
		return nil, errForecaster
	}
	marks := max(len(f.model.MarkNames()), 1)
	if opts.ownForecast(f.model.NewState(now)) != nil {
		return f.mergeArrivals(ctx, marks, now, horizon, &opts)
	}
	// Path i of one trace and path i of every other are one joint path.
	if err := checkUntold(f.model); err != nil {
		return nil, fmt.Errorf("forecast: %w", err)
	}
	opts.Paths = cmp.Or(opts.Paths, defaultPaths)
	workers := min(opts.Workers, len(f.shards))
	tallies := make([][]*tally, workers)
	var sequences atomic.Int64
	err := inParallel(ctx, workers, len(f.shards), func(worker int) func(i int) error {
		for first := 0; first < opts.Paths; first += pathBlock {
			tallies[worker] = append(tallies[worker], newTally(marks, min(pathBlock, opts.Paths-first)))
		}
		var p *pathSimulator
		return func(i int) error {
			for _, t := range f.copyOf(&f.shards[i]) {
				if p == nil {
					p = newPathSimulator(t.state, &opts)
				}
				sequences.Add(1)
				seed := traceSeed(opts.Seed, t.id)
				for block, sum := range tallies[worker] {
					if err := ctx.Err(); err != nil {
						return err
					}
					if err := p.playFrom(t.state, t.last, now, horizon, sum, rand.NewPCG(seed, uint64(block))); err != nil {
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

// mergeArrivals does what ForecastAll does for states that know what is to come.
func (f *Forecaster[K]) mergeArrivals(ctx context.Context, marks int, now, horizon float64, opts *ForecastOptions) (*Forecast, error) {
	workers := min(opts.Workers, len(f.shards))
	outlooks := make([]*outlook, workers)
	var sequences atomic.Int64
	err := inParallel(ctx, workers, len(f.shards), func(worker int) func(i int) error {
		own := newOutlook(marks, horizon)
		outlooks[worker] = own
		return func(i int) error {
			for _, t := range f.copyOf(&f.shards[i]) {
				if err := ctx.Err(); err != nil {
					return err
				}
				sequences.Add(1)
				own.add(t.state.(tpp.ForecastingState), t.last, now)
			}
			return nil
		}
	})
	if err != nil {
		return nil, fmt.Errorf("forecast: %w", err)
	}
	for _, more := range outlooks[1:] {
		outlooks[0].merge(more)
	}
	return outlooks[0].forecast(int(sequences.Load()), opts.Quantiles), nil
}

// traceSeed returns the seed of the random numbers of a trace.
func traceSeed(forecast, id uint64) uint64 {
	return seed.Stream(forecast, "trace "+strconv.FormatUint(id, 10)).Uint64()
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

// copyInto returns a copy of a trace's state, which computes in the workspace if the model supports that.
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

// Stats returns the counters. It locks one shard at a time, so they need not be of one instant.
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
	const mapLoad = 0.7 // mean fraction of a map's slots in use
	key, pointer := reflect.TypeFor[K]().Size(), reflect.TypeFor[*trace[K]]().Size()
	size := int(reflect.TypeFor[trace[K]]().Size()) + int(float64(key+pointer+1)/mapLoad)
	if f.model == nil {
		return size
	}
	state := f.model.NewState(0)
	if s, ok := state.(tpp.SizedState); ok {
		return size + s.Size()
	}
	if t := reflect.TypeOf(state); t.Kind() == reflect.Pointer {
		size += int(t.Elem().Size())
	}
	return size
}
