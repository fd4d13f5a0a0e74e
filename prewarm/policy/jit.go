package policy

import (
	"github.com/tppfaas/tppfaas/prewarm"
)

func init() {
	Register(Kind{
		Name: "jit", Form: "jit[:q[:θ]][:keep=SECONDS][:hold=SECONDS][:delay=quantile|orion]",
		Help: "JIT-MLP: starts what is likely (θ, 0.5) just in time by the q-quantile (0.5) of when it came",
		New: func(a *Args, o Options) (prewarm.Policy, error) {
			q := a.Number("q", 0.5, 0, 1)
			theta := a.Number("θ", 0.5, 0, 1)
			c := newChain(o, true, a.Seconds("keep", 0), a.Seconds("hold", unusedHold), theta)
			c.q, c.startRule = q, "due in its start time"
			if a.Choice("delay", "quantile", "orion") == "orion" {
				c.search, c.delays = true, map[delay]found{}
			}
			return c, nil
		},
	})
}

// startAt is the rule of JIT-MLP, the delays of ORION (Mahgoub et al., OSDI 2022) on the path of Xanadu (Daw et al., Middleware 2020): the start of a
// container for an invocation v is due at
//
//	t + Q_q(O_v) − c_v
//
// where t is the last that is known of the request on the way to v, the start or the end of an invocation (of one whose container is still
// starting, when its run is expected to start); O_v the times from such an event to the arrival of v that were seen, a window of the last 128; and c_v
// the median start time. It is planned for invocations v that come with a probability of at least θ, given what has come; which is the product of
// those along the path from what has come, (k+1)/(n+2) each for k of n requests. It is planned again whenever something happens to the request; what
// does not come any more is cancelled. A caller that ended 0.1 s ago sends nothing more. Parameters:
//
//   - q, a low one starts earlier: less waiting, more idle;
//   - θ, 0.5 is the most likely path where a caller calls one of two; 0 with q = 0 is nearly the whole chain at the start;
//   - keep, the keep-alive after a use, in seconds (0), and hold that of a container which was started and not used (120);
//   - delay=orion takes the delay that ORION's search finds instead of the quantile, see bestDelay.
//
// Roots are not foreseen.
//
// startAt returns when the start of a container for a node is due, and when the node's invocation is expected. Without start times or offsets that
// is now.
func (c *chain) startAt(f *flight, node int, fleet *prewarm.Fleet) (at, demand prewarm.Time) {
	if c.atOnce {
		return fleet.Now, 0
	}
	v, last := f.composition.nodes[node], c.reference(f, node, fleet)
	o := &v.after[last.depth].start
	if last.ended {
		o = &v.after[last.depth].end
	}
	start, ok := c.startTime(v.function, fleet)
	if !ok || len(o.sorted) == 0 {
		return fleet.Now, 0
	}
	if c.search {
		return last.at + c.searched(v, o, start), last.at + o.quantile(0.5)
	}
	demand = last.at + o.quantile(c.q)
	return demand - start, demand
}
