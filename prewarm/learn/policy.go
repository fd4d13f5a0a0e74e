package learn

import (
	"context"

	"github.com/tppfaas/tppfaas/prewarm"
	"github.com/tppfaas/tppfaas/tpp"
)

// Policy is a newsvendor that learns from what it is told. Its methods are used by one goroutine at a time.
type Policy struct {
	options Options
}

// New returns a policy. An error names a function that two models predict, and what is wrong with a model or a recording.
func New(ctx context.Context, o Options) (*Policy, error) {
	return &Policy{options: o}, nil
}

// Handle implements prewarm.Policy.
func (p *Policy) Handle(e *prewarm.Event, fleet *prewarm.Fleet, d *prewarm.Decisions) {}

// Close ends the training in the background, and waits until nothing of it runs any more.
func (p *Policy) Close() error { return nil }

// Models returns the models in use, in the order of their first functions.
func (p *Policy) Models() []ModelState { return nil }

// Expected appends what is still to come of a request in flight to list.
func (p *Policy) Expected(trace prewarm.ID, list []Expected) []Expected { return list }

// Forget forgets the start times of a function, because its code has changed. What it calls, and when, is still taken to be as before.
func (p *Policy) Forget(function int) {}

// Save writes what was learned into a folder, which is created if there is none.
func (p *Policy) Save(folder string) error { return nil }

// Load takes what Save has written into a folder; it is called before the first event. Nothing is there: that is no error. An error says which file
// cannot be read; the policy then begins anew, as if there were none.
func (p *Policy) Load(folder string) error { return nil }

// Bind returns a model for the functions of a platform, which are found by the names of its marks. An error names those marks that are no
// function.
func Bind(name string, m tpp.Model, functions []prewarm.Function) (Model, error) {
	return Model{Name: name, Model: m}, nil
}
