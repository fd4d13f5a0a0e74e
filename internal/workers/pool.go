package workers

import (
	"math/bits"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tppfaas/tppfaas/internal/meter"
)

// Pool is a pool of workers: helper goroutines and the goroutine that calls Run. Run and Close must not be called
// concurrently. New returns one; the zero value is not usable.
type Pool struct {
	helpers int
	yield   int // the number of polls after which a worker that waits yields the processor
	// state is the current loop: its number (32 bits) and which of its parts are not taken (32). It is one word, so that
	// a worker takes a part and checks its loop in one atomic step, and a late worker takes none.
	state atomic.Uint64
	work  func(worker, item int) // of the current loop
	items int                    // of the current loop
	parts int                    // into which they are divided
	done  atomic.Int32           // finished parts of the current loop

	busy atomic.Int64 // ns that items of the current loop took, while package meter counts

	mu     sync.Mutex
	wake   *sync.Cond
	parked atomic.Int32
	closed atomic.Bool
	wg     sync.WaitGroup
}

const (
	maxParts = 32
	// spins is the number of times that a worker polls for the next loop before it parks: about a tenth of a millisecond.
	spins = 4000
	// A worker that yields may go on on another processor, whose cache is cold: workers yield often only where there are not processors enough for
	// all of them.
	yieldOften, yieldSeldom = 64, 1024
)

// New returns a pool of max(workers, 1) workers, one of which is the caller of Run.
func New(workers int) *Pool {
	p := &Pool{helpers: max(workers, 1) - 1, yield: yieldSeldom}
	if p.Size() > runtime.GOMAXPROCS(0) {
		p.yield = yieldOften
	}
	p.wake = sync.NewCond(&p.mu)
	for i := range p.helpers {
		p.wg.Go(func() { p.help(i + 1) })
	}
	return p
}

// Size returns the number of workers; the numbers that Run passes to work are below it.
func (p *Pool) Size() int { return p.helpers + 1 }

// Close stops the pool's goroutines and waits for them.
func (p *Pool) Close() {
	p.mu.Lock()
	p.closed.Store(true)
	p.wake.Broadcast()
	p.mu.Unlock()
	p.wg.Wait()
}

// Run calls work for each item from 0 to n−1, each on one worker, and returns when all calls have returned. A worker
// works on one item at a time. In loops of the same length up to 32 a worker gets the same items, whose memory is in its cache, unless
// another one has nothing else to do. Run does not allocate.
func (p *Pool) Run(n int, work func(worker, item int)) {
	if meter.On() {
		work = p.metered(work)
		begin := time.Now()
		defer func() { meter.AddLoop(time.Since(begin), p.Size(), time.Duration(p.busy.Load())) }()
	}
	if p.helpers == 0 || n <= 1 {
		for i := range n {
			work(0, i)
		}
		return
	}
	p.loop(n, work)
}

// metered returns work that adds its time to p.busy.
func (p *Pool) metered(work func(worker, item int)) func(worker, item int) {
	p.busy.Store(0)
	return func(worker, item int) {
		begin := time.Now()
		work(worker, item)
		p.busy.Add(int64(time.Since(begin)))
	}
}

func (p *Pool) loop(n int, work func(worker, item int)) {
	p.work, p.items, p.parts = work, n, min(n, maxParts)
	parts := int32(p.parts)
	p.done.Store(0)
	number := uint32(p.state.Load()>>32) + 1
	p.state.Store(uint64(number)<<32 | (1<<parts - 1))
	if p.parked.Load() > 0 {
		p.mu.Lock()
		p.wake.Broadcast()
		p.mu.Unlock()
	}
	p.take(0, number)
	for spin := 1; p.done.Load() < parts; spin++ {
		if spin%p.yield == 0 {
			runtime.Gosched()
		}
	}
}

// take works on parts of loop number until none is left: on every Size-th one first, on those of others from the last one on.
func (p *Pool) take(worker int, number uint32) {
	own := uint32(0)
	for part := worker; part < maxParts; part += p.Size() {
		own |= 1 << part
	}
	for {
		s := p.state.Load()
		left := uint32(s)
		if uint32(s>>32) != number || left == 0 {
			return
		}
		part := bits.Len32(left) - 1
		if mine := left & own; mine != 0 {
			part = bits.TrailingZeros32(mine)
		}
		if p.state.CompareAndSwap(s, s&^(1<<part)) {
			// The loop cannot end before this part is done, so what it consists of still holds.
			for item := part * p.items / p.parts; item < (part+1)*p.items/p.parts; item++ {
				p.work(worker, item)
			}
			p.done.Add(1)
		}
	}
}

func (p *Pool) help(worker int) {
	seen := uint32(0)
	for {
		number, ok := p.next(seen)
		if !ok {
			return
		}
		seen = number
		p.take(worker, number)
	}
}

// next waits for a loop other than seen, by polling and then parked, and returns its number, or false when the pool is
// closed.
func (p *Pool) next(seen uint32) (uint32, bool) {
	for spin := 1; spin <= spins; spin++ {
		if number := uint32(p.state.Load() >> 32); number != seen {
			return number, true
		}
		if p.closed.Load() {
			return 0, false
		}
		if spin%p.yield == 0 {
			runtime.Gosched()
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.parked.Add(1)
	defer p.parked.Add(-1)
	for {
		if number := uint32(p.state.Load() >> 32); number != seen {
			return number, true
		}
		if p.closed.Load() {
			return 0, false
		}
		p.wake.Wait()
	}
}
