package openwhisk

import (
	"fmt"
	"sync"
	"time"

	"github.com/tppfaas/tppfaas/internal/whisk"
)

// breaker is a circuit breaker: it lets requests to a server through while they succeed. After a failure it lets only one through at a
// time, as a trial, after a pause that grows with each failure; the first success closes it again.
type breaker struct {
	message func(string)
	trial   chan struct{} // holds a token while a trial is waiting or under way

	mu       sync.Mutex
	failures int // in a row
	since    time.Time
	until    time.Time // end of the pause
}

func (b *breaker) init(message func(string)) {
	b.message, b.trial = message, make(chan struct{}, 1)
}

// acquire returns when a request may be made; the caller must call release after it. It returns false if stop is closed before.
func (b *breaker) acquire(stop <-chan struct{}) (release func(), ok bool) {
	if down, _ := b.down(); down == 0 {
		return func() {}, true
	}
	select {
	case b.trial <- struct{}{}:
	case <-stop:
		return nil, false
	}
	release = func() { <-b.trial }
	_, until := b.down() // the trial before may have succeeded
	timer := time.NewTimer(time.Until(until))
	defer timer.Stop()
	select {
	case <-timer.C:
		return release, true
	case <-stop:
		release()
		return nil, false
	}
}

// failed begins a pause.
func (b *breaker) failed(e *whisk.Error) {
	b.mu.Lock()
	if b.failures == 0 {
		b.since = time.Now()
	}
	pause := whisk.Retry{}.Pause(b.failures, e)
	b.failures++
	b.until = time.Now().Add(pause)
	b.mu.Unlock()
	b.message(fmt.Sprintf("%v; trying again in %v", e, pause.Round(100*time.Millisecond)))
}

// succeeded closes the breaker.
func (b *breaker) succeeded(server string) {
	b.mu.Lock()
	failures, since := b.failures, b.since
	b.failures = 0
	b.mu.Unlock()
	if failures > 0 {
		b.message(fmt.Sprintf("%s answers again, after %v", server, time.Since(since).Round(100*time.Millisecond)))
	}
}

// down returns for how long every request has failed, and when the next trial is due; 0 and the zero time if the last one succeeded.
func (b *breaker) down() (d time.Duration, next time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.failures == 0 {
		return 0, time.Time{}
	}
	return max(time.Since(b.since), 1), b.until
}
