package openwhisk

import (
	"fmt"
	"sync"
	"time"

	"github.com/tppfaas/tppfaas/internal/whisk"
)

// gate lets requests to a server through while they go well. After one that failed it lets only one through at a time, to try,
// after a pause that grows.
type gate struct {
	say   func(string)
	probe chan struct{} // holds one who may try

	mu       sync.Mutex
	failures int // in a row
	since    time.Time
	until    time.Time // of the pause
}

func (g *gate) init(say func(string)) {
	g.say, g.probe = say, make(chan struct{}, 1)
}

// enter returns when a request may be made, or false when stop is closed before. leave must follow it if it returned true.
func (g *gate) enter(stop <-chan struct{}) (leave func(), ok bool) {
	if g.open() {
		return func() {}, true
	}
	select {
	case g.probe <- struct{}{}:
	case <-stop:
		return nil, false
	}
	leave = func() { <-g.probe }
	g.mu.Lock()
	left := time.Until(g.until)
	if g.failures == 0 {
		left = 0
	}
	g.mu.Unlock()
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
func (g *gate) open() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.failures == 0
}

// failed begins a pause.
func (g *gate) failed(e *whisk.Error) {
	g.mu.Lock()
	if g.failures == 0 {
		g.since = time.Now()
	}
	d := whisk.Retry{}.Pause(g.failures, e)
	g.failures++
	g.until = time.Now().Add(d)
	g.mu.Unlock()
	g.say(fmt.Sprintf("%v; trying again in %v", e, d.Round(100*time.Millisecond)))
}

// worked ends it.
func (g *gate) worked(server string) {
	g.mu.Lock()
	failures, since := g.failures, g.since
	g.failures = 0
	g.mu.Unlock()
	if failures > 0 {
		g.say(fmt.Sprintf("%s answers again, after %v", server, time.Since(since).Round(100*time.Millisecond)))
	}
}

// down returns for how long nothing has gone well, and when the next try is due; 0 if all goes well.
func (g *gate) down() (d time.Duration, next time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.failures == 0 {
		return 0, time.Time{}
	}
	return time.Since(g.since), g.until
}
