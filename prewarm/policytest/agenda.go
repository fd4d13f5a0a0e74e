package policytest

import (
	"cmp"
	"container/heap"
	"fmt"
	"strconv"

	"github.com/tppfaas/tppfaas/prewarm"
)

// run lets everything happen until the last step of the test.
func (p *platform) run() error {
	var last prewarm.Time
	for _, s := range p.test.steps {
		last = max(last, s.at)
	}
	for p.err == nil && len(p.agenda) > 0 && p.agenda[0].at <= last {
		e := heap.Pop(&p.agenda).(entry)
		if e.at > p.now {
			p.now, p.atOnce = e.at, 0
		}
		if p.atOnce++; p.atOnce > mostAtOnce {
			return fmt.Errorf("at %s: more than %d things happen at the same time", format(p.now), mostAtOnce)
		}
		e.do()
		p.drain()
	}
	return p.err
}

// mostAtOnce is how much may happen at the same time: more of it would never end.
const mostAtOnce = 100000

// entry is something that will happen.
type entry struct {
	at    prewarm.Time
	order int
	made  uint64
	do    func()
}

// agenda is a heap of what will happen.
type agenda []entry

func (a agenda) Len() int { return len(a) }

func (a agenda) Less(i, j int) bool {
	return cmp.Or(cmp.Compare(a[i].at, a[j].at), cmp.Compare(a[i].order, a[j].order), cmp.Compare(a[i].made, a[j].made)) < 0
}

func (a agenda) Swap(i, j int) { a[i], a[j] = a[j], a[i] }

func (a *agenda) Push(x any) { *a = append(*a, x.(entry)) }

func (a *agenda) Pop() any {
	last := len(*a) - 1
	e := (*a)[last]
	(*a)[last] = entry{}
	*a = (*a)[:last]
	return e
}

// at plans something.
func (p *platform) at(t prewarm.Time, order int, do func()) {
	p.made++
	heap.Push(&p.agenda, entry{t, order, p.made, do})
}

// format returns a time in seconds.
func format(t prewarm.Time) string { return strconv.FormatFloat(t.Seconds(), 'f', -1, 64) }

// later returns the time that is d after t, Never if d is.
func later(t, d prewarm.Time) prewarm.Time {
	if d == prewarm.Never {
		return d
	}
	return t + d
}
