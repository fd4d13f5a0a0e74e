package controller

import "github.com/tppfaas/tppfaas/prewarm"

// Standing is what was asked for, or renewed, and has not been used since, nor is gone: what limits are about.
type Standing struct {
	// Containers are there or being started, with MemoryMB MiB of memory; of Starting of them, or of their renewals, it is not known yet what has become of them.
	Containers, MemoryMB, Starting int
}

// Standing returns what stands of all functions.
func (c *Core) Standing() Standing {
	s := c.stands
	for _, f := range c.flight {
		s.Starting += len(f.containers)
	}
	return s
}

// StandingOf returns how many containers of a function stand.
func (c *Core) StandingOf(function int) int {
	if function < 0 || function >= len(c.functions) {
		return 0
	}
	return c.functions[function].standing
}

// StandingIdle returns how many of the idle containers of a function stand.
func (c *Core) StandingIdle(function int) (n int) {
	if function < 0 || function >= len(c.functions) {
		return 0
	}
	for _, is := range c.fleet.Containers(function, prewarm.StateIdle) {
		if b := c.boxes[is.ID]; b != nil && b.stands {
			n++
		}
	}
	return n
}

// stand counts a container among those that stand, or does not any more, once something has changed of it. One that was removed stands no more.
func (c *Core) stand(b *box) {
	stands := c.boxes[b.id] == b && (b.warmed && !b.used || b.kept)
	if stands == b.stands {
		return
	}
	b.stands = stands
	by := 1
	if !stands {
		by = -1
	}
	f := c.functions[b.function]
	f.standing += by
	c.stands.Containers += by
	c.stands.MemoryMB += by * int(b.memory)
}

// keep notes whether the idle time of a container is renewed, or was.
func (c *Core) keep(b *box, kept bool) {
	b.kept = kept
	c.stand(b)
}

// Hold notes that somebody else does not let be done what the policy wanted, see Options.Intend, and why.
func (c *Core) Hold(d *prewarm.Decision, why string) {
	if d.Function >= 0 && d.Function < len(c.functions) {
		c.noteHeld(c.functions[d.Function], d, why)
	}
}
