package policy

import (
	"time"

	"github.com/tppfaas/tppfaas/prewarm"
)

func init() {
	Register(Kind{
		Name: "faascache", Form: "faascache[:ttl=SECONDS]", Help: "keeps containers until memory is needed; evicts by clock + frequency × cost ÷ size",
		New: func(a *Args, o Options) (prewarm.Policy, error) {
			return &faasCache{ttl: a.Seconds("ttl", prewarm.Never), uses: make([]int, len(o.Functions)), cached: map[prewarm.ID]cached{}}, nil
		},
	})
}

// faasCache is FaasCache (Fuerst and Sharma, ASPLOS 2021), keep-alive as greedy-dual caching. A container is kept until its memory is needed. At every
// use it gets the rank
//
//	clock + frequency·cost/size
//
// where frequency is the number of uses of the containers of its function that are there, cost what a cold start adds, in milliseconds, and size the
// memory in MB. The container with the lowest rank is evicted first, and the clock becomes the rank of the last that was. Containers of
// functions that are not used thus age. The cost is the mean measured start time; of a function that was not measured the wait of the start.
//
// Where memory is ample it keeps everything for ever. ttl, in seconds, removes what was idle for longer, which gives it a place among
// policies that are compared by idle memory; the original has none.
type faasCache struct {
	ttl    time.Duration
	clock  float64
	uses   []int // by function, of its containers that are there
	cached map[prewarm.ID]cached
}

// cached is a container that was used.
type cached struct {
	rank float64
	uses int
}

// Grown implements prewarm.Grower.
func (p *faasCache) Grown(fleet *prewarm.Fleet, _ *prewarm.Decisions) {
	p.uses = grown(p.uses, len(fleet.Functions))
}

// Handle implements prewarm.Policy.
func (p *faasCache) Handle(e *prewarm.Event, fleet *prewarm.Fleet, d *prewarm.Decisions) {
	switch e.Kind {
	case prewarm.Started:
		c := fleet.Container(e.Container)
		p.uses[e.Function]++
		cost := fleet.Starts.Mean(e.Function, c.Load, e.Wait)
		size := fleet.Functions[e.Function].MemoryMB
		rank := p.clock + float64(p.uses[e.Function])*1000*cost.Seconds()/float64(size)
		p.cached[c.ID] = cached{rank, p.cached[c.ID].uses + 1}
		d.Rank(c, rank)
	case prewarm.Idle:
		until := prewarm.Never
		if p.ttl != prewarm.Never {
			until = e.At + p.ttl + 1
		}
		d.Hold(fleet.Container(e.Container), until, prewarm.Why{Rule: "kept until memory is needed"})
	case prewarm.Removed:
		c := p.cached[e.Container]
		delete(p.cached, e.Container)
		p.uses[e.Function] -= c.uses
		if e.By == prewarm.ByEviction {
			p.clock = max(p.clock, c.rank)
		}
	}
}
