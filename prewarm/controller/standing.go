package controller

import "github.com/tppfaas/tppfaas/prewarm"

// Standing is what was asked for and has not been used yet, nor is gone: what limits are about.
type Standing struct {
	// Containers are there or being started, with MemoryMB MiB of memory; of Starting of them it is not known yet what has become of them.
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

// stand adds a container to those that stand, by 1, or takes it away, by −1, if it is one of those.
func (c *Core) stand(b *box, by int) {
	if !b.warmed || b.used {
		return
	}
	f := c.functions[b.function]
	f.standing += by
	c.stands.Containers += by
	c.stands.MemoryMB += by * int(b.memory)
}

// Hold notes that somebody else does not let n containers be started that the policy wanted, see Options.Intend, and why.
func (c *Core) Hold(d *prewarm.Decision, why string) {
	if d.Function >= 0 && d.Function < len(c.functions) {
		c.noteHeld(c.functions[d.Function], d, why)
	}
}
