package openwhisk

import (
	"fmt"
	"sync"
	"time"

	"github.com/tppfaas/tppfaas/internal/whisk"
)

// breaker lets requests to a server through while they go well. After one that failed it lets only one through at a time, to try,
// after a pause that grows.
type breaker struct {
	say   func(string)
	probe chan struct{} // holds one who may try

	mu       sync.Mutex
	failures int // in a row
	since    time.Time
	until    time.Time // of the pause
}

func (b *breaker) init(say func(string)) {
	b.say, b.probe = say, make(chan struct{}, 1)
}

// enter returns when a request may be made, or false when stop is closed before. leave must follow it if it returned true.
func (b *breaker) enter(stop <-chan struct{}) (leave func(), ok bool) {
	if b.open() {
		return func() {}, true
	}
	select {
	case b.probe <- struct{}{}:
	case <-stop:
		return nil, false
	}
	leave = func() { <-b.probe }
	b.mu.Lock()
	left := time.Until(b.until)
	if b.failures == 0 {
		left = 0
	}
	b.mu.Unlock()
	timer := time.NewTimer(left)
	defer timer.Stop()
	select {
	case <-timer.C:
		return leave, true
	case <-stop:
		leave()
		return nil, false
	}
}

// open tells whether all goes well.
func (b *breaker) open() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.failures == 0
}

// failed begins a pause.
func (b *breaker) failed(e *whisk.Error) {
	b.mu.Lock()
	if b.failures == 0 {
		b.since = time.Now()
	}
	d := whisk.Retry{}.Pause(b.failures, e)
	b.failures++
	b.until = time.Now().Add(d)
	b.mu.Unlock()
	b.say(fmt.Sprintf("%v; trying again in %v", e, d.Round(100*time.Millisecond)))
}

// worked ends it.
func (b *breaker) worked(server string) {
	b.mu.Lock()
	failures, since := b.failures, b.since
	b.failures = 0
	b.mu.Unlock()
	if failures > 0 {
		b.say(fmt.Sprintf("%s answers again, after %v", server, time.Since(since).Round(100*time.Millisecond)))
	}
}

// down returns for how long nothing has gone well, and when the next try is due; 0 if all goes well.
func (b *breaker) down() (d time.Duration, next time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.failures == 0 {
		return 0, time.Time{}
	}
	return time.Since(b.since), b.until
}
