package prewarm

// Action is what a policy wants done.
type Action uint8

const (
	// StartContainers starts N containers of Function for nobody; where Container is set, one that is made of that idle stem cell.
	StartContainers Action = iota
	// HoldContainer keeps the idle Container until Until, and no longer; a use in between ends the hold. Where idle times are renewed, see Platform.Renew, it is kept
	// for at least that long if that is longer than it would be by itself.
	HoldContainer
	// GiveBackContainer removes the idle Container.
	GiveBackContainer
	// WakePolicy sends the policy a Woken with Key at Until.
	WakePolicy
	// ScaleFunction sets the number of replicas of Function to N: containers are started, or idle ones and then busy ones, once they are
	// done, removed.
	ScaleFunction
	// RankContainer sets the Rank of Container: where memory is needed, the idle containers with the lowest rank are evicted first.
	// Containers without a rank have rank 0; those of equal rank are evicted in the platform's order.
	RankContainer
)

// String returns start, hold, give back, wake, scale or rank.
func (a Action) String() string {
	return [...]string{"start", "hold", "give back", "wake", "scale", "rank"}[a]
}

// Decision is what a policy wants done, and why.
type Decision struct {
	Action    Action
	Function  int
	Container ID
	N         int
	Until     Time
	Key       uint64
	Rank      float64
	Why       Why
}

// Why is the reason for a decision, in a form that costs nothing to make.
type Why struct {
	// Rule names the rule in a few words, such as "kept for 600 s after its use".
	Rule string
	// Trace is the request that the decision is for, 0 if it is for none in particular.
	Trace ID
	// Probability is that of the demand which the rule weighs, and Demand when it is expected; both 0 if there is none.
	Probability float64
	Demand      Time
	// Gain is the expected gain in MB·s, 0 if the rule does not know it.
	Gain float64
}

// Decisions are what a policy decides at an event. Decisions on containers that are not idle any more, and to do what the platform cannot, have
// no effect.
type Decisions struct {
	List []Decision
}

// Reset forgets all decisions.
func (d *Decisions) Reset() { d.List = d.List[:0] }

// Start starts n containers of a function for nobody.
func (d *Decisions) Start(function, n int, why Why) {
	d.List = append(d.List, Decision{Action: StartContainers, Function: function, N: n, Why: why})
}

// StartFrom starts a container of a function for nobody that is made of an idle stem cell, see Function.StemCell.
func (d *Decisions) StartFrom(stemCell *Container, function int, why Why) {
	d.List = append(d.List, Decision{Action: StartContainers, Function: function, N: 1, Container: stemCell.ID, Why: why})
}

// Hold keeps an idle container until a time; it is then removed. A use of the container ends the hold.
func (d *Decisions) Hold(c *Container, until Time, why Why) {
	d.List = append(d.List, Decision{Action: HoldContainer, Function: c.Function, Container: c.ID, Until: until, Why: why})
}

// GiveBack removes an idle container.
func (d *Decisions) GiveBack(c *Container, why Why) {
	d.List = append(d.List, Decision{Action: GiveBackContainer, Function: c.Function, Container: c.ID, Why: why})
}

// Wake asks for a Woken with the key at a time; now, if that has passed. A later Wake with the same key replaces an earlier one, and one at
// Never cancels it.
func (d *Decisions) Wake(at Time, key uint64) {
	d.List = append(d.List, Decision{Action: WakePolicy, Until: at, Key: key})
}

// Scale sets the number of replicas of a function.
func (d *Decisions) Scale(function, replicas int, why Why) {
	d.List = append(d.List, Decision{Action: ScaleFunction, Function: function, N: replicas, Why: why})
}

// Rank sets the rank of a container among those that may be evicted: the lowest goes first.
func (d *Decisions) Rank(c *Container, rank float64) {
	d.List = append(d.List, Decision{Action: RankContainer, Function: c.Function, Container: c.ID, Rank: rank})
}
