package tpp

import "encoding"

// The interfaces of this file are optional: what a Model or a State implements of them makes evaluation, forecasts and
// simulation faster, or lets them do more. Model and State are all that they need.

// Clocked is a Model that knows the clock of its data. UnitOf and evaluation ask it.
type Clocked interface {
	Model
	// TimeUnit names the unit of all times, such as ms.
	TimeUnit() string
	// Resolution is the tick of the clock that took the times, in the time unit.
	Resolution() float64
}

// UnitOf names the unit of a model's times: what it says itself if it is Clocked, else ms.
func UnitOf(m Model) string {
	if c, ok := m.(Clocked); ok {
		return c.TimeUnit()
	}
	return "ms"
}

// EndModel is a Model that says whether it knows that sequences are over. One that does not, or does not say so, draws
// sequences without end.
type EndModel interface {
	Model
	// KnowsEnd reports whether Next.End means anything.
	KnowsEnd() bool
}

// StartModel is a Model that says whether it knows when a first event comes and which one. That can be learned only from
// sequences with a TStart.
type StartModel interface {
	Model
	// KnowsStart reports whether the state before the first event predicts anything.
	KnowsStart() bool
}

// Fingerprinter is a Model that can be told from others by a number, which depends on everything that its predictions do.
// A model without it is known by its kind and its names alone.
type Fingerprinter interface {
	Model
	Fingerprint() uint64
}

// WorkspaceModel is a Model whose states need memory only to compute, which many of them can share: what follows many
// sequences at once then keeps no more than each one's history.
type WorkspaceModel interface {
	Model
	// NewWorkspace returns memory for states to share.
	NewWorkspace() Workspace
}

// Workspace is memory that states compute in. Of its states one at a time may be used, and what Next returned holds until
// any of them is.
type Workspace interface {
	// NewState is the model's NewState with a state that computes in this memory.
	NewState(start float64) State
	// Release lets go of the state that was used last, so that the memory does not keep it alive.
	Release()
}

// StateCopier is a State that can take over the history of another one of the same model, and says whether it did. A
// forecast makes its many copies that way where it can, without new memory.
type StateCopier interface {
	State
	CopyFrom(src State) bool
}

// OwnedState is a State that knows its model.
type OwnedState interface {
	State
	Model() Model
}

// SizedState is a State that knows how many bytes of memory it takes, without what it shares with others.
type SizedState interface {
	State
	Size() int
}

// BinaryState is a State that can be carried across processes: see live.MarshalState and live.UnmarshalState.
type BinaryState interface {
	State
	encoding.BinaryMarshaler
	// UnmarshalBinary takes over what MarshalBinary wrote of a state of the same model. An error leaves the state as it
	// was.
	encoding.BinaryUnmarshaler
}

// TypicalState is a State that says what to take the covariates of a future event for.
type TypicalState interface {
	State
	// TypicalCovariates appends them to dst, in the model's order, and returns it.
	TypicalCovariates(dst []float64) []float64
}

// FollowerState is a State that knows a faster way to draw many futures than path by path.
type FollowerState interface {
	State
	// NewFollower returns a Follower for states of this one's model, or nil where it knows no faster way.
	NewFollower() Follower
}

// Follower continues a sequence along several paths at once. Its rows are the paths that still run. A forecast calls Start,
// then for each step Draw and Observe for every row, and Advance for the rows that are left.
type Follower interface {
	// Start makes rows copies of the state. Their first event is drawn given that none came until now.
	Start(state State, now float64, rows int) error
	// Draw takes two uniform numbers to the next event of a row, as Drawer.Draw does; tau counts from the row's last event,
	// at first from now.
	Draw(row int, u, v float64) (tau float64, mark int, over bool)
	// Observe takes the drawn event into the row with index dst, which may be the same or one that was drawn before.
	Observe(dst, row int, tau float64, mark int, covariates []float64) error
	// Advance makes the first rows, each of which has observed an event, ready to draw again.
	Advance(rows int)
	// TypicalCovariates appends what a future event's covariates are taken to be.
	TypicalCovariates(dst []float64) []float64
}
