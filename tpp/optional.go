package tpp

import (
	"encoding"
	"iter"
	"math"
	"slices"
)

// The interfaces in this file are optional. Packages eval and live work with any Model and State; where a model implements
// one of these interfaces too, they run faster or support more.

// Clocked is a Model that has a time unit and a clock resolution. UnitOf and package eval use them.
type Clocked interface {
	Model
	// TimeUnit returns the name of the unit of all times, such as ms.
	TimeUnit() string
	// Resolution returns the tick of the clock that measured the times, in the time unit.
	Resolution() float64
}

// UnitOf returns the name of the unit of a model's times: its TimeUnit if it is Clocked, otherwise ms.
func UnitOf(m Model) string {
	if c, ok := m.(Clocked); ok {
		return c.TimeUnit()
	}
	return "ms"
}

// EndModel is a Model that reports whether it predicts the end of sequences. Sequences drawn from a model that does
// not, or that does not implement EndModel, have no end.
type EndModel interface {
	Model
	// KnowsEnd reports whether the model predicts Next.End.
	KnowsEnd() bool
}

// StartModel is a Model that reports whether it predicts the time and mark of the first event. That can be learned
// only from sequences with a TStart.
type StartModel interface {
	Model
	// KnowsStart reports whether the model was trained to predict the first event.
	KnowsStart() bool
}

// Fingerprinter is a Model with a hash of everything that its predictions depend on. It tells models apart, for
// example when a state is unmarshalled. Models without it are told apart by their kind and their names alone.
type Fingerprinter interface {
	Model
	Fingerprint() uint64
}

// WorkspaceModel is a Model whose states can share their scratch memory, so that following many sequences at once
// stores only the history of each.
type WorkspaceModel interface {
	Model
	// NewWorkspace returns scratch memory for states to share.
	NewWorkspace() Workspace
}

// Workspace is scratch memory shared by states. Only one of its states may be in use at a time, and the result of Next
// is valid until any of them is used.
type Workspace interface {
	// NewState returns a state as Model.NewState does, which computes in this workspace.
	NewState(start float64) State
	// Release drops the reference to the state that was used last, so that the workspace does not keep it alive.
	Release()
}

// StateCopier is a State that can copy the history of another one without allocating. Forecasts use it for their
// paths. CopyFrom reports whether it copied; it returns false for a state of another model.
type StateCopier interface {
	State
	CopyFrom(src State) bool
}

// OwnedState is a State whose method Model returns the model that made it.
type OwnedState interface {
	State
	Model() Model
}

// SizedState is a State whose method Size returns its size in bytes, without memory shared with other states.
type SizedState interface {
	State
	Size() int
}

// BinaryState is a State that can be serialised: see live.MarshalState and live.UnmarshalState.
type BinaryState interface {
	State
	encoding.BinaryMarshaler
	// UnmarshalBinary sets the state to one that MarshalBinary of a state of the same model wrote. An error leaves the
	// state unchanged.
	encoding.BinaryUnmarshaler
}

// StartedModel is a Model that reports whether it learns from the starts of events. An invocation, for example, arrives, waits for a
// container, and then starts; from its start on the delays of what it causes are known better.
type StartedModel interface {
	Model
	// ObservesStarts reports whether the predictions of the model's states depend on ObserveStart. If not, there is no need to call it.
	ObservesStarts() bool
}

// StartTimesModel is a Model that reports whether its events come when they start. Whoever follows a sequence with such a model hears of an
// invocation only when it starts, and its predictions are about starts. Packages eval and live follow sequences with it as
// Sequence.AtStarts returns them; the times of a sequence without WaitTimes are taken for those of starts.
type StartTimesModel interface {
	Model
	// TimesAreStarts reports whether the times of the model's events are their starts, rather than their arrivals.
	TimesAreStarts() bool
}

// StartedState is a State that can be told when events started. Packages eval and live tell it the starts of sequences, which must have
// WaitTimes: an event starts at its arrival time plus its wait time.
type StartedState interface {
	State
	// ObserveStart updates the state with the start of an event at a time, in the model's unit. It must be called in the order of
	// time with Observe, of whose calls event is the number, from 0 on: the first event that the state observed is event 0. A start
	// at the same time as the arrival of a later event comes before that. An event starts at most once, and need not start at all.
	//
	// Wait is the time from the event's arrival to its start, initialisation the part of it that was spent on initialising, 0 if
	// there was none; both in the model's unit. From then on Next expects a time at or after the start.
	//
	// A state of a model that does not observe starts returns nil and does not change. Otherwise the error reports a time before that of the
	// last call, an event that has not been observed, or durations that are not finite and ≥ 0; the state is then unchanged.
	ObserveStart(time float64, event int, wait, initialisation float64) error
}

// TypicalState is a State that returns typical covariates, which forecasts use for future events.
type TypicalState interface {
	State
	// TypicalCovariates appends the values, in the model's order, to dst and returns it.
	TypicalCovariates(dst []float64) []float64
}

// LatenessState is a State that knows which events are due, each with a waiting time of its own. Package eval uses it to tell what is
// late or missing; of other states it knows only how long nothing at all has come.
type LatenessState interface {
	State
	// Lateness returns, by mark, the probability that an event with the mark that is due would have come by time now: 0 where none is
	// due, from 0 on as soon as one is, growing with now; where several are due, that of the latest. Of alternatives, of which one at most
	// comes, the likeliest stands for all: it, or another in its place. Times run from the last event to
	// +Inf, where what is left to 1 is the probability that the event never comes. It fills dst, which grows if needed and may
	// be nil.
	Lateness(now float64, dst []float64) []float64
}

// FollowerState is a State with a faster way to draw many futures than path by path.
type FollowerState interface {
	State
	// NewFollower returns a Follower for states of the same model, or nil if there is no faster way.
	NewFollower() Follower
}

// Follower continues a sequence along several paths at once. Each row is a path that has not ended. A forecast calls
// Start, then for each step Draw and Observe for every row, and Advance for the rows that are left.
type Follower interface {
	// Start copies the state to the given number of rows. The first event of each is drawn given that none came until
	// now.
	Start(state State, now float64, rows int) error
	// Draw returns the next event of a row for two uniform numbers, as Drawer.Draw does; tau counts from the row's
	// last event, at first from now.
	Draw(row int, u, v float64) (tau float64, mark int, over bool)
	// Observe adds the event drawn for row to its history and stores the result at index dst, which is the row itself
	// or another one that has been drawn already.
	Observe(dst, row int, tau float64, mark int, covariates []float64) error
	// Advance prepares the first rows, each of which has observed an event, for the next Draw.
	Advance(rows int)
	// TypicalCovariates appends typical covariates of a future event to dst and returns it.
	TypicalCovariates(dst []float64) []float64
}

// PredictedEvent is an event that a model expects.
type PredictedEvent struct {
	// Time is when it is expected.
	Time float64
	// Mark is its likeliest mark.
	Mark int
	// Probability is the probability that the event comes at all.
	Probability float64
	// Marks are the probabilities of the marks given that it comes. Nil means that it has Mark for certain.
	Marks []float64
	// Times are equally likely times at which it comes, given that it does, in ascending order: the quantiles at the middles of equal
	// shares of its distribution. Nil if the model says no more than Time.
	Times []float64
}

// ProbabilityOf returns the probability that the event comes and has the mark.
func (e *PredictedEvent) ProbabilityOf(mark int) float64 {
	switch {
	case e.Marks == nil && mark == e.Mark:
		return e.Probability
	case mark < 0 || mark >= len(e.Marks):
		return 0
	}
	return e.Probability * e.Marks[mark]
}

// Near returns the probability that the event comes at most tolerance before or after Time, given that it comes: the distribution function is
// linear between Times, and nothing lies outside of them. It is 1 without Times.
func (e *PredictedEvent) Near(tolerance float64) float64 {
	n := len(e.Times)
	if n == 0 {
		return 1
	}
	below := func(t float64) float64 {
		i, _ := slices.BinarySearch(e.Times, t)
		switch {
		case i == 0:
			return 0
		case i == n:
			return 1
		}
		return (float64(i) - 0.5 + (t-e.Times[i-1])/(e.Times[i]-e.Times[i-1])) / float64(n)
	}
	return below(math.Nextafter(e.Time+tolerance, math.Inf(1))) - below(e.Time-tolerance)
}

// ContinuingState is a State that predicts all events to come itself. For other states, package eval takes the prediction of
// the next event as if it had come, predicts the one after it, and so on.
type ContinuingState interface {
	State
	// Continue returns the events that are expected, given that none has come between the last one and now, in the order of
	// their times. There may be infinitely many: who asks stops when it has enough. An event's Marks and Times are valid until
	// the next one is yielded. The state does not change, and must not be changed before the last event is yielded.
	Continue(now float64) iter.Seq[PredictedEvent]
}
