package learn

import "github.com/tppfaas/tppfaas/prewarm"

// Resume tells the policy of requests that were in flight before it began, see newsvendor.Policy.Resume. Nothing is learned from them, as not all of them was
// seen.
func (p *Policy) Resume(events []prewarm.Event, fleet *prewarm.Fleet) {
	p.Grown(fleet, nil)
	p.newsvendor.Resume(events, fleet)
	for i := range events {
		if id := events[i].Trace; id != 0 && !p.recorder.done[id] {
			p.recorder.giveUp(id)
		}
	}
}

// Grown implements prewarm.Grower.
func (p *Policy) Grown(fleet *prewarm.Fleet, _ *prewarm.Decisions) {
	if len(fleet.Functions) != len(p.functions) {
		p.arrivedFunctions(fleet.Functions)
	}
}
