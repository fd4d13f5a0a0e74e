package localwhisk

import (
	"maps"
	"slices"
)

// Usage is what a function has used since the platform began.
type Usage struct {
	// Function is the name of the function, "" for stem cells as long as they belong to none.
	Function string
	// Starting, Idle and Busy are the memory of its containers times the time that they have spent so, in MB·s: from the beginning of the
	// creation (or from being taken, of a stem cell) until the container can run the function; waiting for an invocation; and from the
	// placement of an invocation, or from when the container can run it, until it is idle again.
	Starting, Idle, Busy float64
	// Created is the number of containers that were created, or taken from the stem cells.
	Created int
	// Cold and Late are the numbers of invocations that were placed so.
	Cold, Late int
	// Wasted is the number of containers that were started for nobody and are unused: those that were removed, and those that are there now.
	Wasted int
}

// usageState is which of the sums of Usage a container adds to.
type usageState uint8

const (
	usageStarting usageState = iota
	usageIdle
	usageBusy
	usageStates
)

// usage has the sums of a function.
type usage struct {
	megabyteSeconds             [usageStates]float64
	created, cold, late, wasted int
}

// Usage returns what each function has used until now, in the order in which they were deployed first; functions of the same name are one. Where
// there were stem cells, their use comes last.
func (p *Platform) Usage() []Usage {
	p.mu.Lock()
	defer p.mu.Unlock()
	// In the order of their numbers, so that the sums are the same in every run.
	for _, id := range slices.Sorted(maps.Keys(p.live)) {
		c := p.live[id]
		p.enter(c, c.usageState)
	}
	unused := map[*usage]int{}
	for _, c := range p.live {
		if c.forNobody && !c.used {
			unused[c.usage]++
		}
	}
	var all []Usage
	add := func(name string, u *usage) {
		all = append(all, Usage{
			Function: name, Starting: u.megabyteSeconds[usageStarting], Idle: u.megabyteSeconds[usageIdle], Busy: u.megabyteSeconds[usageBusy],
			Created: u.created, Cold: u.cold, Late: u.late, Wasted: u.wasted + unused[u],
		})
	}
	for _, name := range p.deployed {
		add(name, p.usages[name])
	}
	if p.stemCellUsage.created > 0 {
		add("", &p.stemCellUsage)
	}
	return all
}

// enter counts the time of c in its state, and puts it into another one.
func (p *Platform) enter(c *PoolContainer, s usageState) {
	now := p.clock.Now()
	c.usage.megabyteSeconds[c.usageState] += float64(c.memoryMB) * now.Sub(c.usageSince).Seconds()
	c.usageState, c.usageSince = s, now
}

// belongTo gives c, which is being started or a stem cell, to a function.
func (p *Platform) belongTo(c *PoolContainer, f *Function) {
	p.enter(c, usageStarting)
	c.function, c.usage = f, f.usage
	f.usage.created++
}
