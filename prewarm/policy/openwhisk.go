package policy

import (
	"cmp"
	"slices"
	"time"

	"github.com/tppfaas/tppfaas/prewarm"
)

func init() {
	Register(Kind{
		Name: "openwhisk", Form: "openwhisk[:idle=SECONDS][:grace=SECONDS][:OPTION=VALUE]...",
		Help: "OpenWhisk's classic pool: 10 s of grace and 600 s paused; options of its stem cells (with -stock): initial (2), min (1), max (4), ttl, reactive (yes or no), threshold, increment, interval, variance, limit",
		New: func(a *Args, o Options) (prewarm.Policy, error) {
			p := &openWhisk{
				idle: a.Seconds("idle", 10*time.Minute) + a.Seconds("grace", 10*time.Second),
				stem: newStemCells(a, o),
			}
			return p, nil
		},
	})
}

// openWhisk is the classic container pool of Apache OpenWhisk (ContainerPool.scala and ContainerProxy.scala of apache/openwhisk@1fae641): the sharding
// load balancer's, not the newer scheduler, for which there is fpc.
//
// A container that has ended its last run is paused after grace (10 s) and removed after another idle (600 s): 610 s in all. Both begin anew with each
// run. Paused containers are warm.
//
// Where an invocation arrives for which there is neither a warm container nor a stem cell nor room, room is made: of the containers that run nothing those are
// removed whose last run was assigned first, until the whole memory that the new one needs is freed, whether or not some was free before.
// (What is needed is no more than the memory of all containers that could take a further invocation; if those that run nothing have less, none is
// removed, and the invocation waits.) Where only starts are seen, or containers cannot be given back, the platform evicts by its own rule.
//
// Stem cells are in stemcells.go.
type openWhisk struct {
	idle time.Duration // with the grace before
	stem stemCells
}

// Grown implements prewarm.Grower. Functions that are added have no stem cells.
func (p *openWhisk) Grown(*prewarm.Fleet, *prewarm.Decisions) {}

// Handle implements prewarm.Policy.
func (p *openWhisk) Handle(e *prewarm.Event, fleet *prewarm.Fleet, d *prewarm.Decisions) {
	p.stem.handle(e, fleet, d)
	switch e.Kind {
	case prewarm.Arrived:
		p.makeRoom(e.Function, fleet, d)
	case prewarm.Idle:
		if !fleet.Functions[e.Function].StemCell {
			keep(fleet.Container(e.Container), e.At, p.idle, "paused after its grace, and kept", d)
		}
	}
}

// makeRoom removes containers for an invocation that has arrived, if it needs that.
func (p *openWhisk) makeRoom(function int, fleet *prewarm.Fleet, d *prewarm.Decisions) {
	f := &fleet.Functions[function]
	if fleet.Queue > 0 || free(function, fleet) >= fleet.Loads[function].Waiting || p.hasStemCell(f, fleet) || fits(f.MemoryMB, fleet) {
		return
	}
	// The free pool has the containers that could take an invocation of their function.
	pool := 0
	for i := range fleet.Functions {
		if g := &fleet.Functions[i]; !g.StemCell {
			pool += g.MemoryMB * len(fleet.Containers(i, prewarm.StateIdle))
			for _, c := range fleet.Containers(i, prewarm.StateBusy) {
				if c.Ready && c.Assigned < g.Concurrency {
					pool += g.MemoryMB
				}
			}
		}
	}
	for _, c := range leastRecentlyUsed(min(f.MemoryMB, pool), fleet, func(*prewarm.Container) bool { return true }) {
		d.GiveBack(c, prewarm.Why{Rule: "least recently used, and memory is needed"})
	}
}

// hasStemCell reports whether there is a stem cell for a function.
func (p *openWhisk) hasStemCell(f *prewarm.Function, fleet *prewarm.Fleet) bool {
	k := p.stem.of(f, fleet)
	return k != nil && len(fleet.Containers(k.function, prewarm.StateIdle)) > 0
}

// free returns how many more invocations of a function its containers that are initialised can take.
func free(function int, fleet *prewarm.Fleet) int {
	slots := max(fleet.Functions[function].Concurrency, 1)
	n := slots * len(fleet.Containers(function, prewarm.StateIdle))
	for _, c := range fleet.Containers(function, prewarm.StateBusy) {
		if c.Ready {
			n += max(slots-c.Assigned, 0)
		}
	}
	return n
}

// fits reports whether there is room for a container.
func fits(memoryMB int, fleet *prewarm.Fleet) bool {
	return fleet.Platform.MemoryMB == 0 || fleet.UsedMB+memoryMB <= fleet.Platform.MemoryMB
}

// leastRecentlyUsed returns idle containers that may go, those first whose last run was assigned first, until they have memoryMB; none if all of
// them have less. Stem cells never go.
func leastRecentlyUsed(memoryMB int, fleet *prewarm.Fleet, may func(*prewarm.Container) bool) []*prewarm.Container {
	var idle []*prewarm.Container
	have := 0
	for i := range fleet.Functions {
		if fleet.Functions[i].StemCell {
			continue
		}
		for _, c := range fleet.Containers(i, prewarm.StateIdle) {
			if may(c) {
				idle = append(idle, c)
				have += fleet.Functions[i].MemoryMB
			}
		}
	}
	if have < memoryMB || memoryMB <= 0 {
		return nil
	}
	slices.SortFunc(idle, func(a, b *prewarm.Container) int {
		return cmp.Or(cmp.Compare(a.LastRun, b.LastRun), cmp.Compare(a.ID, b.ID))
	})
	n := 0
	for memoryMB > 0 {
		memoryMB -= fleet.Functions[idle[n].Function].MemoryMB
		n++
	}
	return idle[:n]
}
