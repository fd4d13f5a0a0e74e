package newsvendor

import "github.com/tppfaas/tppfaas/prewarm"

// Resume tells the policy of requests that were in flight before it began, as another process has seen them: events Arrived, Placed, Started and Ended
// in the order of time. The fleet has what is still there of them. It is called before the first event is handled, and decides nothing: what these
// requests lead to is decided on at that event.
func (p *Policy) Resume(events []prewarm.Event, fleet *prewarm.Fleet) {
	if !p.platform.Arrivals {
		return
	}
	p.fleet = fleet
	p.Grow(fleet.Functions)
	for _, f := range p.deciders {
		p.predictor.supplies[f.function] = f.supply(fleet)
	}
	for i := range events {
		e := &events[i]
		if e.Function < 0 || e.Function >= len(p.deciders) || !p.deciders[e.Function].known {
			continue
		}
		now := seconds(e.At)
		if e.Kind != prewarm.Arrived {
			p.happened(e, now)
		} else if t := p.predictor.arrived(e, now); t != nil { // that the request came is nothing new to who foresees requests
			p.deciders[e.Function].dirty = true
			p.tell(t, now)
		}
	}
}

// Grown implements prewarm.Grower.
func (p *Policy) Grown(fleet *prewarm.Fleet, _ *prewarm.Decisions) { p.Grow(fleet.Functions) }
