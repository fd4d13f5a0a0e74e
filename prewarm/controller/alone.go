package controller

import (
	"slices"

	"github.com/tppfaas/tppfaas/prewarm"
)

// alone estimates what the platform would have done without the controller: it meets the same invocations at the same times, creates a container
// where none is idle, hands out the one that became idle last, and removes those that are idle for the idle timeout. That invocations would also
// have come later, because those before them had waited, is left out.
type alone struct {
	timeout   prewarm.Time
	functions []aloneFunction
	spent     float64 // MB·s of containers that were starting or idle
}

type aloneFunction struct {
	memory float64
	idle   []prewarm.Time // since when, ascending
	busy   int
}

func (a *alone) addFunction(memoryMB int) {
	a.functions = append(a.functions, aloneFunction{memory: float64(memoryMB)})
}

// expire removes what is idle for too long.
func (f *aloneFunction) expire(a *alone, now prewarm.Time) {
	n := 0
	for n < len(f.idle) && now-f.idle[n] >= a.timeout {
		n++
	}
	if n > 0 {
		a.spent += float64(n) * f.memory * a.timeout.Seconds()
		f.idle = slices.Delete(f.idle, 0, n)
	}
}

// arrived gives an invocation a container, and reports whether it is a new one.
func (a *alone) arrived(function int, now prewarm.Time) (cold bool) {
	f := &a.functions[function]
	f.expire(a, now)
	f.busy++
	n := len(f.idle)
	if n == 0 {
		return true
	}
	a.spent += f.memory * (now - f.idle[n-1]).Seconds()
	f.idle = f.idle[:n-1]
	return false
}

// started counts the memory of a container that was created for an invocation.
func (a *alone) started(function int, start prewarm.Time) {
	a.spent += a.functions[function].memory * start.Seconds()
}

// ended takes the container of an invocation back.
func (a *alone) ended(function int, now prewarm.Time) {
	f := &a.functions[function]
	f.expire(a, now)
	if f.busy == 0 {
		return
	}
	f.busy--
	f.idle = append(f.idle, now)
}

// lost is told that an invocation has not been run.
func (a *alone) lost(function int) {
	f := &a.functions[function]
	f.busy = max(f.busy-1, 0)
}

// containers returns how many containers a function would have.
func (a *alone) containers(function int, now prewarm.Time) int {
	f := &a.functions[function]
	f.expire(a, now)
	return f.busy + len(f.idle)
}

// mostSavedIdle is how many idle containers of a function are written down.
const mostSavedIdle = 1000

// idleSince returns since when containers would be idle, by function.
func (a *alone) idleSince(now prewarm.Time) [][]prewarm.Time {
	list := make([][]prewarm.Time, len(a.functions))
	for i := range a.functions {
		f := &a.functions[i]
		f.expire(a, now)
		list[i] = slices.Clone(f.idle[max(len(f.idle)-mostSavedIdle, 0):])
	}
	return list
}

// restore takes up since when containers of a function would be idle. Their memory is counted until a time.
func (a *alone) restore(function int, idle []prewarm.Time, counted prewarm.Time) {
	f := &a.functions[function]
	f.idle = f.idle[:0]
	for _, since := range idle {
		if since <= counted {
			f.idle = append(f.idle, since)
			a.spent -= f.memory * min(counted-since, a.timeout).Seconds()
		}
	}
	slices.Sort(f.idle)
}

// total returns the MB·s until now.
func (a *alone) total(now prewarm.Time) float64 {
	sum := a.spent
	for i := range a.functions {
		f := &a.functions[i]
		for _, since := range f.idle {
			sum += f.memory * min(now-since, a.timeout).Seconds()
		}
	}
	return sum
}
