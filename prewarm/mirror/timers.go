package mirror

import (
	"cmp"
	"slices"

	"github.com/tppfaas/tppfaas/prewarm"
)

// due is when something is to be looked at again. It may be set later at no cost: the entry in the heap of timers stays where it is, and is
// moved when its time has come.
type due struct {
	at    prewarm.Time // Never if it need not be looked at
	entry prewarm.Time // the time of the first entry that is in the heap for it, Never if there is none
}

func never() due { return due{prewarm.Never, prewarm.Never} }

// timer is an entry of the heap: of a container, or of an invocation.
type timer struct {
	at         prewarm.Time
	id         prewarm.ID
	invocation bool
}

// timers is a binary heap with the first timer on top.
type timers []timer

func (h *timers) push(t timer) {
	s := append(*h, t)
	i := len(s) - 1
	for i > 0 {
		above := (i - 1) / 2
		if s[above].at <= t.at {
			break
		}
		s[i] = s[above]
		i = above
	}
	s[i] = t
	*h = s
}

func (h *timers) pop() timer {
	s := *h
	top := s[0]
	last := len(s) - 1
	t := s[last]
	s = s[:last]
	i := 0
	for {
		k := 2*i + 1
		if k >= last {
			break
		}
		if k+1 < last && s[k+1].at < s[k].at {
			k++
		}
		if t.at <= s[k].at {
			break
		}
		s[i] = s[k]
		i = k
	}
	if last > 0 {
		s[i] = t
	}
	*h = s
	return top
}

// lookAt sets when c is to be looked at.
func (m *Mirror) lookAt(c *container, at prewarm.Time) {
	c.due.at = at
	if at < c.due.entry {
		c.due.entry = at
		m.plan(timer{at: at, id: c.id})
	}
}

// lookAtInvocation sets when v is to be looked at.
func (m *Mirror) lookAtInvocation(v *invocation, at prewarm.Time) {
	v.due.at = at
	if at < v.due.entry {
		v.due.entry = at
		m.plan(timer{at: at, id: v.id, invocation: true})
	}
}

// plan adds a timer. When most of them are for nothing any more, these are left out, so that there are not many more than what they are for.
func (m *Mirror) plan(t timer) {
	m.timers.push(t)
	if len(m.timers) < 2*(len(m.invocations)+len(m.containers))+4096 {
		return
	}
	kept := m.timers[:0]
	for _, t := range m.timers {
		if m.of(t) != nil {
			kept = append(kept, t)
		}
	}
	slices.SortFunc(kept, func(a, b timer) int { return cmp.Compare(a.at, b.at) }) // which is a heap
	m.timers = kept
}

// of returns the due that a timer is for, nil if the timer is for nothing any more.
func (m *Mirror) of(t timer) *due {
	var d *due
	if t.invocation {
		if v := m.invocations[t.id]; v != nil {
			d = &v.due
		}
	} else if c := m.containers[t.id]; c != nil {
		d = &c.due
	}
	if d == nil || d.entry != t.at {
		return nil
	}
	return d
}

// settle brings a timer to the top whose time is that at which something is to be looked at, and returns that time, Never if there is none.
func (m *Mirror) settle() prewarm.Time {
	for len(m.timers) > 0 {
		t := m.timers[0]
		d := m.of(t)
		if d != nil && d.at <= t.at {
			return t.at
		}
		m.timers.pop()
		if d == nil {
			continue
		}
		if d.entry = d.at; d.at != prewarm.Never {
			t.at = d.at
			m.timers.push(t)
		}
	}
	return prewarm.Never
}

// advance does what is due by now.
func (m *Mirror) advance() {
	for len(m.timers) > 0 && m.timers[0].at <= m.now {
		if m.settle() > m.now {
			break
		}
		t := m.timers.pop()
		d := m.of(t)
		*d = never()
		if t.invocation {
			m.waitedEnough(m.invocations[t.id])
		} else {
			m.timeOut(m.containers[t.id], t.at)
		}
	}
	for t := m.done.front; t != nil && t.last+m.limits.Memory < m.now; t = m.done.front {
		m.forget(t)
	}
}
