package lab

import (
	"fmt"
	"math"
	"strings"
)

// leastRatio is the p95 in seconds below which latencies are not compared by their ratio, which says nothing there, but by that of both plus one
// second: a tenth of a second more is then 1.1.
const leastRatio = 0.5

// FrontTable returns, for each policy, the point of the front (a newsvendor at one of its prices) that is nearest to being better on both axes: the
// one whose larger ratio, of memory and of p95, is least. Its last column has the least memory of those points whose p95 is at most 5 % or 0.1 s
// above that of the policy, in relation to the policy's. It returns nil if there is no front, or nothing beside it.
func (g *Group) FrontTable() *Table {
	var front, others []*PolicyResults
	for _, p := range g.Policies {
		switch kind, _, _ := strings.Cut(p.Policy, ":"); {
		case kind == frontKind:
			front = append(front, p)
		case !IsBound(kind):
			others = append(others, p)
		}
	}
	if len(front) == 0 || len(others) == 0 {
		return nil
	}
	t := &Table{Caption: fmt.Sprintf("%s, %s: the point of the front beside each policy, the one whose larger ratio is least; and the memory ratio of the front at a p95 at most 5 %% or 0.1 s above", g.App, g.Load)}
	t.Head = []string{"policy", "p95", "memory", "front", "p95", "memory", "p95 ratio", "Δ p95", "memory ratio", "larger ratio", "memory at its p95"}
	for _, p := range others {
		latency, memory := p.Mean(p95).Mean, p.Mean((*Measures).Memory).Mean
		var best *PolicyResults
		least, same := math.Inf(1), math.Inf(1)
		for _, f := range front {
			l, m := f.Mean(p95).Mean, f.Mean((*Measures).Memory).Mean
			ratio := l / latency
			if latency < leastRatio {
				ratio = (l + 1) / (latency + 1)
			}
			if l <= max(1.05*latency, latency+0.1) {
				same = min(same, m/memory)
			}
			if worse := max(ratio, m/memory); worse < least {
				best, least = f, worse
			}
		}
		if best == nil {
			continue
		}
		l, m := best.Mean(p95).Mean, best.Mean((*Measures).Memory).Mean
		ratio := "–"
		if latency >= leastRatio {
			ratio = number(l/latency, 2, false)
		}
		t.Rows = append(t.Rows, []string{
			p.Policy, number(latency, 2, false), number(memory, 0, false), best.Policy, number(l, 2, false), number(m, 0, false),
			ratio, number(l-latency, 2, true), number(m/memory, 2, false), number(least, 3, false), number(same, 2, false),
		})
	}
	return t
}
