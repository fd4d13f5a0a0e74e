package arrivals

import (
	"net/http"

	"github.com/tppfaas/tppfaas/prewarm/source"
)

// Options bounds what a Receiver takes. The zero value is right for a controller.
type Options struct {
	// Name is that of its counts; "" stands for arrivals.
	Name string
	// MaxBytes is the size of the largest message, unpacked; 0 stands for 1 MiB.
	MaxBytes int64
	// MaxBytesAtOnce bounds all messages that are being received; 0 stands for 16 MiB.
	MaxBytesAtOnce int64
}

// Receiver takes announcements over HTTP, and tells a sink. It is safe for concurrent use.
type Receiver struct{ counter *source.Counter }

// New returns a Receiver that tells the sink. It has no goroutine, and nothing to close.
func New(sink source.Sink, o Options) *Receiver {
	if o.Name == "" {
		o.Name = "arrivals"
	}
	return &Receiver{counter: source.NewCounter(o.Name, sink)}
}

// Counts returns what has come so far.
func (r *Receiver) Counts() source.Counts { return r.counter.Counts() }

// ServeHTTP takes one announcement or a list of them.
func (r *Receiver) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	http.Error(w, "not yet", http.StatusServiceUnavailable)
}
