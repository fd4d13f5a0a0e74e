// Package crew runs short parallel loops, over and over, from goroutines that wait for the next one awake.
//
// A training step is a loop of a few items that takes a millisecond. Waking a parked goroutine for each costs as much as
// it gains; a crew's members look out for the next loop for a tenth of a millisecond before they park.
//
//	c := crew.New(2)
//	defer c.Close()
//	for range steps {
//		c.Run(4, func(member, item int) { … })
//	}
package crew

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// Crew is a caller and its helpers. Run and Close belong to one goroutine.
type Crew struct {
	helpers int
	// state is the loop under way: its number (32 bits), its items (16) and the next of them (16). It is one word, so
	// that whoever takes an item knows by the same step which loop it is of: a member that comes late takes none.
	state atomic.Uint64
	work  func(member, item int) // of the loop under way
	done  atomic.Int32           // items of it that are finished

	mu     sync.Mutex
	wake   *sync.Cond
	parked atomic.Int32
	closed atomic.Bool
	wg     sync.WaitGroup
}

const (
	maxItems = 1<<16 - 1
	// lookouts is how often a member looks for the next loop before it parks: a tenth of a millisecond or so.
	lookouts = 4000
	// yieldEvery is after how many looks a member lets others run.
	yieldEvery = 64
)

// New makes a crew of as many members, at least one: the caller of Run is one of them.
func New(members int) *Crew {
	c := &Crew{helpers: max(members, 1) - 1}
	c.wake = sync.NewCond(&c.mu)
	for i := range c.helpers {
		c.wg.Go(func() { c.help(i + 1) })
	}
	return c
}

// Members is the number of members; the numbers that Run hands out are below it.
func (c *Crew) Members() int { return c.helpers + 1 }

// Close ends the crew's goroutines and waits for them.
func (c *Crew) Close() {
	c.mu.Lock()
	c.closed.Store(true)
	c.wake.Broadcast()
	c.mu.Unlock()
	c.wg.Wait()
}

// Run calls work for each item from 0 to n−1, each on one member, and returns when all calls have. A member works on one
// item at a time. It does not allocate.
func (c *Crew) Run(n int, work func(member, item int)) {
	for first := 0; first < n; first += maxItems {
		part := min(n-first, maxItems)
		if c.helpers == 0 || part == 1 {
			for i := range part {
				work(0, first+i)
			}
			continue
		}
		if first > 0 {
			offset, all := first, work
			c.loop(part, func(member, item int) { all(member, offset+item) })
			continue
		}
		c.loop(part, work)
	}
}

func (c *Crew) loop(n int, work func(member, item int)) {
	c.work = work
	c.done.Store(0)
	number := uint32(c.state.Load()>>32) + 1
	c.state.Store(uint64(number)<<32 | uint64(n)<<16)
	if c.parked.Load() > 0 {
		c.mu.Lock()
		c.wake.Broadcast()
		c.mu.Unlock()
	}
	c.take(0, number)
	for looks := 1; c.done.Load() < int32(n); looks++ {
		if looks%yieldEvery == 0 {
			runtime.Gosched()
		}
	}
}

// take works on items of a loop until none is left.
func (c *Crew) take(member int, number uint32) {
	for {
		s := c.state.Load()
		item, n := s&maxItems, s>>16&maxItems
		if uint32(s>>32) != number || item >= n {
			return
		}
		if c.state.CompareAndSwap(s, s+1) {
			// The loop cannot be over before this item is, so work is still its own.
			c.work(member, int(item))
			c.done.Add(1)
		}
	}
}

func (c *Crew) help(member int) {
	seen := uint32(0)
	for {
		number, ok := c.next(seen)
		if !ok {
			return
		}
		seen = number
		c.take(member, number)
	}
}

// next waits for a loop that has not been seen, awake at first, then parked. It returns false when the crew is closed.
func (c *Crew) next(seen uint32) (uint32, bool) {
	for looks := 1; looks <= lookouts; looks++ {
		if number := uint32(c.state.Load() >> 32); number != seen {
			return number, true
		}
		if c.closed.Load() {
			return 0, false
		}
		if looks%yieldEvery == 0 {
			runtime.Gosched()
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.parked.Add(1)
	defer c.parked.Add(-1)
	for {
		if number := uint32(c.state.Load() >> 32); number != seen {
			return number, true
		}
		if c.closed.Load() {
			return 0, false
		}
		c.wake.Wait()
	}
}
