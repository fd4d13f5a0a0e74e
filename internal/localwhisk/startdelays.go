package localwhisk

import "sync"

// StartDelays are how long the starts of containers take on the platform of a Config, for a platform whose own are of another speed. They are safe for
// concurrent use.
type StartDelays struct {
	mu         sync.Mutex // of the random sources
	simulation *simulation
}

// NewStartDelays returns the delays of a config. The same calls with the same seed have the same delays.
func NewStartDelays(clock Clock, config Config, seed uint64) *StartDelays {
	return &StartDelays{simulation: newSimulation(clock, config, seed)}
}

// Create calls ready when a container would be created whose creation begins now, under a load as for [Backend].
func (s *StartDelays) Create(load int, ready func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.simulation.Create(nil, load, func(error) { ready() })
}

// Init calls done when a container would be initialised whose initialisation begins now.
func (s *StartDelays) Init(load int, done func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.simulation.Init(nil, load, func(error) { done() })
}

// Remove takes from the speed of creations what the removal of a container does.
func (s *StartDelays) Remove() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.simulation.Remove(nil)
}
