package page

import (
	"context"
	"net/http"
	"time"

	"github.com/tppfaas/tppfaas/prewarm/controller"
)

// Source is where the page has the state from. It is safe for concurrent use.
type Source interface {
	// State returns the state as it is now, which the caller does not change, and which does not change any more.
	State() *controller.State
	// Subscribe returns a channel that has a value after the state has changed, one for any number of changes; it need not be closed. What belongs to
	// it is freed when ctx is done.
	Subscribe(ctx context.Context) <-chan struct{}
}

// Options are what can be set.
type Options struct {
	// Interval is the least time between two events; 0 is 250 ms.
	Interval time.Duration
	// Clients is how many may follow the events at once; 0 is 16.
	Clients int
}

// Page serves the page. Its events need Run.
type Page struct {
	source Source
	o      Options
}

// New returns a page of what source has.
func New(source Source, o Options) *Page { return &Page{source: source, o: o} }

// Run sends events and keeps totals over time, until ctx is done.
func (p *Page) Run(ctx context.Context) error {
	<-ctx.Done()
	return nil
}

// ServeHTTP serves the page and what belongs to it.
func (p *Page) ServeHTTP(w http.ResponseWriter, r *http.Request) { http.NotFound(w, r) }

// Protect keeps from next what a page of somebody else could make a browser send: requests to a name that is neither loopback nor one of hosts
// (DNS rebinding), and requests that change something from another origin (cross-site request forgery). Programs, which send no such headers,
// pass.
func Protect(next http.Handler, hosts []string) http.Handler { return next }
