package controller

import (
	"container/heap"

	"github.com/tppfaas/tppfaas/prewarm"
)

// purpose is what a time in the agenda is for.
type purpose uint8

const (
	wakePolicy  purpose = iota // the policy wants to be asked; key is its key
	readyDry                   // a container that is only imagined would be ready; key is its number
	endHold                    // the hold of a container ends; key is its number
	renewScale                 // a number of replicas wants to be set again; key is the function
	closeTraces                // the oldest request that has nothing running may be over
	checkModels                // models may be stale
	renewIdle                  // the idle time of a function's containers may want to be renewed; key is the function
)

// agenda is a queue of times. Each purpose and key has one time at most.
type agenda struct {
	items []*appointment
	index map[entry]*appointment
	next  uint64
}

type entry struct {
	purpose purpose
	key     uint64
}

type appointment struct {
	entry
	at       prewarm.Time
	sequence uint64 // of those at the same time the first that was set comes first
	place    int
}

// set sets the time of an entry, or removes it if that is Never.
func (a *agenda) set(e entry, at prewarm.Time) {
	if old := a.index[e]; old != nil {
		if old.at == at {
			return
		}
		heap.Remove(a, old.place)
		delete(a.index, e)
	}
	if at == prewarm.Never {
		return
	}
	if a.index == nil {
		a.index = map[entry]*appointment{}
	}
	a.next++
	item := &appointment{entry: e, at: at, sequence: a.next}
	a.index[e] = item
	heap.Push(a, item)
}

// first returns the earliest time, Never if there is none.
func (a *agenda) first() prewarm.Time {
	if len(a.items) == 0 {
		return prewarm.Never
	}
	return a.items[0].at
}

// take removes the earliest entry and returns it.
func (a *agenda) take() entry {
	item := heap.Pop(a).(*appointment)
	delete(a.index, item.entry)
	return item.entry
}

// Len implements heap.Interface.
func (a *agenda) Len() int { return len(a.items) }

// Less implements heap.Interface.
func (a *agenda) Less(i, j int) bool {
	if a.items[i].at != a.items[j].at {
		return a.items[i].at < a.items[j].at
	}
	return a.items[i].sequence < a.items[j].sequence
}

// Swap implements heap.Interface.
func (a *agenda) Swap(i, j int) {
	a.items[i], a.items[j] = a.items[j], a.items[i]
	a.items[i].place, a.items[j].place = i, j
}

// Push implements heap.Interface.
func (a *agenda) Push(x any) {
	item := x.(*appointment)
	item.place = len(a.items)
	a.items = append(a.items, item)
}

// Pop implements heap.Interface.
func (a *agenda) Pop() any {
	n := len(a.items) - 1
	item := a.items[n]
	a.items[n] = nil
	a.items = a.items[:n]
	return item
}
