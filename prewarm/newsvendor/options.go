package newsvendor

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/tppfaas/tppfaas/prewarm"
)

// Options are what a policy is made with.
type Options struct {
	// Price is λ: the MB·s that a second of a request's waiting is worth.
	Price float64
	// Model is the kind of the model that predicts what is still to come of requests in flight, one of Models (default race).
	Model string
	// EveryWait has each second count that an invocation waits. Without, only those count that delay the end of its request: what has slack, because
	// something else in the request takes longer, is started later, and where the gain is small not at all.
	EveryWait bool
	// StartCost is what the start of a container costs beside its memory, in MB·s: the processor that it takes, and what others wait for it. Where an invocation comes for
	// which one has to be started in any case it changes nothing: it is for starts that come to nothing, and for those that a container spares which is kept.
	StartCost float64
	// Platform and Functions are those of the fleet that the policy will be handed.
	Platform  prewarm.Platform
	Functions []prewarm.Function
	// Knowledge is what was recorded of the applications. Nothing is decided on functions of which nothing was.
	Knowledge prewarm.Knowledge
	// Patience is by how much something may be late, beyond what is possible by what is known of it, before it is taken to have come without being heard of: what
	// tells of it was lost, or is held up on its way. Until something else is heard of its trace nothing is expected of it then. 0 if nothing can be lost.
	Patience time.Duration
	// Seed is that of the training of models.
	Seed uint64
}

// PriceOf returns the price λ, in MB·s a second, at which a second of waiting costs one amount and a GB·s of memory another.
func PriceOf(second, gigabyteSecond float64) float64 { return second / gigabyteSecond * 1024 }

func (o *Options) validate() error {
	switch {
	case !(o.Price >= 0) || math.IsInf(o.Price, 0):
		return fmt.Errorf("the price is %v, must not be negative", o.Price)
	case o.Patience < 0:
		return fmt.Errorf("the patience is %v, must not be negative", o.Patience)
	case !(o.StartCost >= 0) || math.IsInf(o.StartCost, 0):
		return fmt.Errorf("a start costs %v MB·s, must not be negative", o.StartCost)
	case !slices.Contains(Models(), o.Model):
		return fmt.Errorf("there is no model %q; there are %s", o.Model, strings.Join(Models(), ", "))
	}
	for _, f := range o.Functions {
		if f.MemoryMB <= 0 {
			return fmt.Errorf("function %s: memory is %d MiB, must be positive", f.Name, f.MemoryMB)
		}
	}
	return nil
}

// New returns a policy. It trains the models that it needs, unless the process has trained the same ones on the same recordings before.
func New(ctx context.Context, o Options) (*Policy, error) {
	if o.Model == "" {
		o.Model = DefaultModel
	}
	if err := o.validate(); err != nil {
		return nil, fmt.Errorf("newsvendor: %w", err)
	}
	p := newPolicy(&o)
	p.Grow(o.Functions)
	of := map[int]string{}
	for i := range o.Knowledge.Applications {
		recording := &o.Knowledge.Applications[i]
		for _, f := range recording.Functions {
			if other, shared := of[f]; shared && f >= 0 && f < len(o.Functions) {
				return nil, fmt.Errorf("newsvendor: function %s is of two applications, %s and %s", o.Functions[f].Name, other, recording.Name)
			}
			of[f] = recording.Name
		}
		app, err := Train(ctx, recording, TrainOptions{Model: o.Model, Functions: len(o.Functions), Seed: o.Seed, Remember: true})
		if err != nil {
			return nil, fmt.Errorf("newsvendor: %w", err)
		}
		if err := p.install(app, nil, nil); err != nil {
			return nil, fmt.Errorf("newsvendor: application %s: %w", recording.Name, err)
		}
	}
	return p, nil
}

// newPolicy returns a policy that knows nothing.
func newPolicy(o *Options) *Policy {
	p := &Policy{
		platform: o.Platform, price: o.Price, everyWait: o.EveryWait, startCost: o.StartCost, starts: prewarm.NewStartTimes(len(o.Functions)), work: &work{},
		predictor: newPredictor(o.Platform, o.Patience),
	}
	p.boxOf = p.box
	p.roomFor = p.room
	return p
}
