package openwhiskprocessor

import (
	"container/heap"
	"time"
)

// schedule is a heap of activations, ordered by the time of their next lookup.
type schedule []*activation

func (s schedule) Len() int           { return len(s) }
func (s schedule) Less(i, j int) bool { return s[i].due.Before(s[j].due) }
func (s schedule) Swap(i, j int)      { s[i], s[j] = s[j], s[i] }
func (s *schedule) Push(x any)        { *s = append(*s, x.(*activation)) }
func (s *schedule) Pop() any {
	last := len(*s) - 1
	a := (*s)[last]
	(*s)[last] = nil
	*s = (*s)[:last]
	return a
}

func (s *schedule) add(a *activation) { heap.Push(s, a) }

// take removes and returns the activation with the earliest lookup, or nil if none is due yet.
func (s *schedule) take(now time.Time) *activation {
	if len(*s) == 0 || (*s)[0].due.After(now) {
		return nil
	}
	return heap.Pop(s).(*activation)
}
