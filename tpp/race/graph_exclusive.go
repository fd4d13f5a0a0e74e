package race

import (
	"math"
	"slices"
)

// minTogether is how often two marks must be expected together, were they independent, before their never being so counts as proof that
// they exclude each other: by chance that happens with probability exp(−5).
const minTogether = 5

// partition divides the children of one mark, the commonest first, into slots of alternatives, and returns with them the pairs of marks that
// exclude each other. instances is the number of the mark's events.
//
// A child joins the group of which it was expected together with most often, of those with which it never was. It stays if that is more
// than chance: the expected number of times together grows with the size of the group, so the many rare outcomes of one choice are proof
// for each other, though no two of them are.
//
// Children exclude each other too if they are together at most in the share mistaken of the times that were to be expected, which is above
// 0 where the parents are only estimated.
func partition(children []*child, instances int, mistaken float64) (slots [][]*child, exclusive [][2]int) {
	n := float64(instances)
	var groups [][]*child
	meet := func(a, b *child) bool {
		return meets(a, b, int(mistaken*float64(len(a.instances))*float64(len(b.instances))/n))
	}
	for _, e := range children {
		best, most := -1, 0
		for k, group := range groups {
			if total := groupSize(group); total > most &&
				!slices.ContainsFunc(group, func(o *child) bool { return meet(e, o) }) {
				best, most = k, total
			}
		}
		if best < 0 {
			groups = append(groups, []*child{e})
		} else {
			groups[best] = append(groups[best], e)
		}
	}
	// Each child was tried in each group, so that many tests could have gone wrong.
	tests := float64(len(children) * len(groups))
	needed := max(minTogether, math.Log(50*tests))
	var alone [][]*child
	for _, group := range groups {
		for len(group) > 1 {
			total := groupSize(group)
			weakest := len(group) - 1 // the rarest
			size := len(group[weakest].instances)
			if float64(size)*float64(total-size)/n >= needed {
				break
			}
			alone = append(alone, group[weakest:])
			group = group[:weakest]
		}
		slots = slices.AppendSeq(slots, slices.Chunk(group, MaxAlternatives))
		for i, a := range group {
			for _, b := range group[:i] {
				exclusive = appendPair(exclusive, a, b)
			}
		}
	}
	pairs := float64(len(children)*(len(children)-1)) / 2
	needed = max(minTogether, math.Log(50*pairs))
	for i, a := range children {
		if a.nth > 0 {
			continue
		}
		for _, b := range children[:i] {
			if float64(len(a.instances))*float64(len(b.instances))/n < needed {
				break // those that follow are rarer still
			}
			if b.nth == 0 && !meet(a, b) {
				exclusive = appendPair(exclusive, a, b)
			}
		}
	}
	return append(slots, alone...), exclusive
}

// appendPair appends the pair of the marks if it is about their first children: of two that exclude each other only where one comes a
// second time, both may come.
func appendPair(pairs [][2]int, a, b *child) [][2]int {
	if a.nth > 0 || b.nth > 0 {
		return pairs
	}
	return append(pairs, [2]int{a.mark, b.mark})
}

// groupSize returns the number of parents that have a child of the group, which excludes their having two.
func groupSize(group []*child) int {
	n := 0
	for _, e := range group {
		n += len(e.instances)
	}
	return n
}

// meets reports whether more parents than the given number have both children.
func meets(a, b *child, allowed int) bool {
	if a.mark == b.mark {
		return true // the second is there only beside the first
	}
	x, y := a.instances, b.instances
	for len(x) > 0 && len(y) > 0 {
		switch {
		case x[0] == y[0]:
			if allowed--; allowed < 0 {
				return true
			}
			x, y = x[1:], y[1:]
		case x[0] < y[0]:
			x = x[1:]
		default:
			y = y[1:]
		}
	}
	return false
}
