package arrivals

import (
	"errors"
	"mime"
	"net"
	"net/http"

	"github.com/tppfaas/tppfaas/prewarm/source"
	"github.com/tppfaas/tppfaas/prewarm/source/internal/body"
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
type Receiver struct {
	counter  *source.Counter
	maxBytes int64
	room     *body.Room
}

// New returns a Receiver that tells the sink. It has no goroutine, and nothing to close.
func New(sink source.Sink, o Options) *Receiver {
	if o.Name == "" {
		o.Name = "arrivals"
	}
	if o.MaxBytes == 0 {
		o.MaxBytes = 1 << 20
	}
	if o.MaxBytesAtOnce == 0 {
		o.MaxBytesAtOnce = 16 << 20
	}
	return &Receiver{counter: source.NewCounter(o.Name, sink), maxBytes: o.MaxBytes, room: body.NewRoom(o.MaxBytesAtOnce)}
}

// Counts returns what has come so far.
func (r *Receiver) Counts() source.Counts { return r.counter.Counts() }

// ServeHTTP takes one announcement or a list of them, and answers 204 if all were taken. Otherwise none was (or, of more than a thousand, the first ones,
// which may come again): 400 says which one is wrong, 429 that there is no room.
func (r *Receiver) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	err := r.receive(w, request)
	var refused *body.Error
	switch {
	case err == nil:
		w.WriteHeader(http.StatusNoContent)
		return
	case errors.As(err, &refused) && refused.RetryAfter > 0:
		r.counter.Refuse(1)
	case errors.As(err, &refused):
		r.counter.Reject(1, err)
	case errors.Is(err, source.ErrBusy):
		refused = &body.Error{Status: http.StatusTooManyRequests, Text: err.Error(), RetryAfter: source.RetryAfter}
	default:
		refused = &body.Error{Status: http.StatusServiceUnavailable, Text: err.Error(), RetryAfter: source.RetryAfter}
	}
	if refused.Status == http.StatusMethodNotAllowed {
		w.Header().Set("Allow", http.MethodPost)
	}
	body.Refuse(w, refused)
}

func (r *Receiver) receive(w http.ResponseWriter, request *http.Request) error {
	if request.Method != http.MethodPost {
		return &body.Error{Status: http.StatusMethodNotAllowed, Text: "arrivals are sent by POST"}
	}
	if form, _, _ := mime.ParseMediaType(request.Header.Get("Content-Type")); form != "application/json" {
		return &body.Error{Status: http.StatusUnsupportedMediaType, Text: "arrivals are sent as application/json"}
	}
	text, release, err := body.Read(w, request, r.room, r.maxBytes)
	defer release()
	if err != nil {
		return err
	}
	observations, err := parse(text, clock(request.RemoteAddr))
	if err != nil {
		return &body.Error{Status: http.StatusBadRequest, Text: err.Error()}
	}
	return r.counter.ObserveAll(request.Context(), observations)
}

// clock names the clock of the machine that a request comes from: "" is this one.
func clock(remote string) string {
	host, _, err := net.SplitHostPort(remote)
	if ip := net.ParseIP(host); err != nil || ip == nil || ip.IsLoopback() {
		return ""
	}
	return host
}
