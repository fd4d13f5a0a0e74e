package openwhisk

import (
	"sync"
	"time"
)

// Now returns the time.
func (t *Target) Now() time.Time { return time.Now() }

// AfterFunc calls f when d has passed, unless the sending is stopped before.
func (t *Target) AfterFunc(d time.Duration, f func()) (stop func() bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.stopped {
		return func() bool { return false }
	}
	var timer *time.Timer
	forget := func() bool {
		t.mu.Lock()
		defer t.mu.Unlock()
		_, planned := t.timers[timer]
		delete(t.timers, timer)
		return planned
	}
	t.workers.Add(1) // until f has returned, or never will be called
	var once sync.Once
	done := func() { once.Do(t.workers.Done) }
	timer = time.AfterFunc(d, func() {
		defer done()
		t.mu.Lock()
		_, planned := t.timers[timer]
		t.mu.Unlock()
		if planned {
			f() // which plans the next call: only then may this one be forgotten, or Wait would see no plans
			forget()
		}
		t.signal()
	})
	t.timers[timer] = struct{}{}
	return func() bool {
		if timer.Stop() {
			done()
		}
		return forget()
	}
}

// stopSending cancels what is planned or queued and not sent.
func (t *Target) stopSending() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.stopped {
		return
	}
	t.stopped = true
	close(t.stop)
	for timer := range t.timers {
		if timer.Stop() {
			t.workers.Done()
		}
		delete(t.timers, timer)
	}
	t.unfinished -= len(t.queue)
	t.queue = nil
	t.signal()
}
