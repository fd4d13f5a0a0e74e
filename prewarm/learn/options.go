package learn

import (
	"time"

	"github.com/tppfaas/tppfaas/prewarm"
	"github.com/tppfaas/tppfaas/tpp"
)

// Options are what a policy is made with.
type Options struct {
	// Price is λ: the MB·s that a second of a request's waiting is worth.
	Price float64
	// EveryWait is that of newsvendor.Options.
	EveryWait bool
	// Patience is that of newsvendor.Options.
	Patience time.Duration
	// StartCost is that of newsvendor.Options.
	StartCost float64
	// Model is the kind of the models that are trained, one of newsvendor.Models (default race). As long as a table of counts foretells better, that
	// is used.
	Model string
	// Platform and Functions are those of the fleet that the policy will be handed. The fleet may have more functions later.
	Platform  prewarm.Platform
	Functions []prewarm.Function
	// Knowledge is what was recorded beforehand; usually nothing.
	Knowledge prewarm.Knowledge
	// Models are models that were trained elsewhere, see Bind. No function may be of two.
	Models []Model
	// Fixed says that no model is trained. What the policy learns besides, such as start times, when requests come and how long functions
	// run, it learns all the same.
	Fixed bool
	// Background says that models are trained by a goroutine of the policy while events are handled; it ends with Close. Otherwise the event is
	// handled only after the training, and the same events lead to the same decisions.
	Background bool
	// MaxBytes bounds the memory of what was recorded (default 64 MiB).
	MaxBytes int
	// Seed is that of everything random.
	Seed uint64
}

// Model is a model that was trained elsewhere.
type Model struct {
	// Name is that of its file.
	Name string
	// Model predicts; its times are in milliseconds unless it says otherwise.
	Model tpp.Model
	// Functions are those of its marks, as indices into Fleet.Functions.
	Functions []int
}
