package dataset

import (
	"cmp"
	"slices"
)

// joinInvocations makes one event of the spans of one invocation: the outermost that has ended, or an announcement where there is none.
func (b *traceBuilder) joinInvocations() {
	chosen := map[string]int{}
	for i := range b.nodes {
		if one := &b.nodes[i]; b.state[i].event && one.invocation != "" {
			if k, ok := chosen[one.invocation]; !ok || b.preferred(i, k) {
				chosen[one.invocation] = i
			}
		}
	}
	for i := range b.nodes {
		one := &b.nodes[i]
		k, ok := chosen[one.invocation]
		switch {
		case !b.state[i].event || one.invocation == "" || !ok:
		case k == i && one.announcesStart():
			b.report.unfinished.add(one)
			if _, there := b.byID[one.parent]; !there && one.parent != 0 {
				b.byID[one.parent] = i // the missing span of the invocation, whose children name it
				one.parent = b.callerOf(one.call)
			}
		case k != i && (b.rule == SpansInvocations || one.announcesStart()):
			b.state[i].event, b.state[i].standsIn = false, k
		}
	}
}

// callerOf returns the id of the span that has announced a call, 0 if it is not known.
func (b *traceBuilder) callerOf(call string) uint64 {
	if b.calls == nil {
		b.calls = map[string]int{}
		for i := range slices.Backward(b.nodes) { // the first one counts
			if one := &b.nodes[i]; one.call != "" && one.announcesCall() {
				b.calls[one.call] = i
			}
		}
	}
	if i, ok := b.calls[call]; ok && call != "" {
		return b.nodes[i].parent
	}
	return 0
}

// preferred reports whether a span of an invocation is its event rather than another one.
func (b *traceBuilder) preferred(i, than int) bool {
	one, other := &b.nodes[i], &b.nodes[than]
	if (one.start == 0) != (other.start == 0) {
		return other.start == 0
	}
	if one.announcesStart() != other.announcesStart() {
		return other.announcesStart()
	}
	return cmp.Or(cmp.Compare(b.depth(i), b.depth(than)), cmp.Compare(one.start, other.start), cmp.Compare(one.id, other.id)) < 0
}

// depth returns the number of ancestors of a span. A ring of spans that are each other's ancestors is cut at one of them.
func (b *traceBuilder) depth(i int) int {
	const unknown, onPath = -1, -2
	for len(b.depths) < len(b.nodes) {
		b.depths = append(b.depths, unknown)
	}
	var path []int
	j := i
	for j >= 0 && b.depths[j] == unknown {
		b.depths[j] = onPath
		path = append(path, j)
		j, _ = b.parentOf(j)
	}
	d := 0
	if j >= 0 && b.depths[j] != onPath {
		d = b.depths[j] + 1
	}
	for _, k := range slices.Backward(path) {
		b.depths[k] = d
		d++
	}
	return b.depths[i]
}

// countCalls counts the announced calls whose invocation is not there.
func (b *traceBuilder) countCalls() {
	var answered map[string]bool
	for i := range b.nodes {
		if call := b.nodes[i].call; call != "" && !b.nodes[i].announcesCall() {
			if answered == nil {
				answered = map[string]bool{}
			}
			answered[call] = true
		}
	}
	for i := range b.nodes {
		if one := &b.nodes[i]; one.announcesCall() && one.call != "" && !answered[one.call] {
			b.report.unanswered.add(one)
		}
	}
}
