package page

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/tppfaas/tppfaas/prewarm/controller"
)

const (
	// samples is how many totals are kept.
	samples = 360
	// beat is after how long a client is sent a sign of life if nothing else is sent, by which it sees that the connection is there.
	beat = 5 * time.Second
	// patience is how long a client may take to take an event.
	patience = 10 * time.Second
)

// sample is the totals at a time.
type sample struct {
	Time   time.Time         `json:"time"`
	Totals controller.Totals `json:"totals"`
}

// hub passes events on from Run to the clients.
type hub struct {
	most int
	join chan struct{} // has a value when a client waits for its first event

	mutex   sync.Mutex
	running bool
	clients map[*client]bool
}

// client is who follows the events.
type client struct {
	wake chan struct{} // has a value when there is something in box, closed at the end
	// box is what it was not sent yet, fresh that it needs the whole state. The hub's mutex guards them.
	box   []byte
	fresh bool
}

func (h *hub) init(most int) {
	h.most = most
	h.join = make(chan struct{}, 1)
	h.clients = map[*client]bool{}
}

// add returns a new client, nil if there are too many or Run does not run.
func (h *hub) add() *client {
	h.mutex.Lock()
	defer h.mutex.Unlock()
	if !h.running || len(h.clients) >= h.most {
		return nil
	}
	c := &client{wake: make(chan struct{}, 1), fresh: true}
	h.clients[c] = true
	select {
	case h.join <- struct{}{}:
	default:
	}
	return c
}

func (h *hub) remove(c *client) {
	h.mutex.Lock()
	defer h.mutex.Unlock()
	delete(h.clients, c)
}

// take returns what the client is to be sent.
func (h *hub) take(c *client) []byte {
	h.mutex.Lock()
	defer h.mutex.Unlock()
	box := c.box
	c.box = nil
	return box
}

// send puts an event into the boxes of all clients. A client that has not taken what came before gets the whole state instead of both.
func (h *hub) send(event []byte, whole func() []byte) {
	h.mutex.Lock()
	defer h.mutex.Unlock()
	var all []byte
	for c := range h.clients {
		if c.fresh || c.box != nil {
			if all == nil {
				all = whole()
			}
			c.box, c.fresh = all, false
		} else if event != nil {
			c.box = event
		} else {
			continue
		}
		select {
		case c.wake <- struct{}{}:
		default:
		}
	}
}

// begin reports false if another Run runs.
func (h *hub) begin() bool {
	h.mutex.Lock()
	defer h.mutex.Unlock()
	was := h.running
	h.running = true
	return !was
}

// end ends all clients.
func (h *hub) end() {
	h.mutex.Lock()
	defer h.mutex.Unlock()
	h.running = false
	for c := range h.clients {
		close(c.wake)
	}
	clear(h.clients)
}

func (h *hub) idle() bool {
	h.mutex.Lock()
	defer h.mutex.Unlock()
	return len(h.clients) == 0
}

// event encodes an event.
func event(name string, data any) []byte {
	text, err := json.Marshal(data)
	if err != nil { // a number that JSON has not, such as an infinite gain
		name = "fault"
		text, _ = json.Marshal(err.Error())
	}
	return fmt.Appendf(nil, "event: %s\ndata: %s\n\n", name, text)
}

// Run sends events and keeps totals over time, until ctx is done, and returns its error. Clients are let go then, so that a server which is shut
// down need not wait for them.
func (p *Page) Run(ctx context.Context) error {
	if !p.hub.begin() {
		return fmt.Errorf("the page's events are being sent already")
	}
	defer p.hub.end()
	changed, cancel := p.source.Subscribe()
	defer cancel()
	sampling := time.NewTicker(p.o.Sample)
	defer sampling.Stop()
	pause := time.NewTimer(0) // since the last event
	defer pause.Stop()
	var last *controller.State // that clients know
	history := append(p.history, newSample(p.source.Snapshot()))
	pending, rested := false, false
	for {
		var latest []byte
		select {
		case <-ctx.Done():
			return ctx.Err()
		case _, open := <-changed:
			if !open {
				changed = nil
			}
			pending = true
		case <-p.hub.join:
			pending = true
		case <-pause.C:
			rested = true
		case <-sampling.C:
			s := newSample(p.source.Snapshot())
			if len(history) == samples {
				history = append(history[:0:0], history[1:]...)
			}
			history = append(history, s)
			latest = event("sample", s)
		}
		if p.hub.idle() {
			last = nil
			continue
		}
		whole := func() []byte { return append(event("state", last), event("history", history)...) }
		if latest != nil && last != nil {
			p.hub.send(latest, whole)
		}
		if !pending || !rested {
			continue
		}
		pending, rested = false, false
		pause.Reset(p.o.Interval)
		state := p.source.Snapshot()
		var difference []byte
		if last != nil {
			difference = event("change", changeOf(last, state))
		}
		last = state
		p.hub.send(difference, whole)
	}
}

func newSample(s *controller.State) sample { return sample{s.Time, s.Totals} }

func (p *Page) serveEvents(w http.ResponseWriter, r *http.Request) {
	c := p.hub.add()
	if c == nil {
		w.Header().Set("Retry-After", "5")
		http.Error(w, "too many follow the events already, or the server is ending", http.StatusServiceUnavailable)
		return
	}
	defer p.hub.remove(c)
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Accel-Buffering", "no") // proxies such as nginx are not to hold events back
	out := http.NewResponseController(w)
	beats := time.NewTicker(beat)
	defer beats.Stop()
	for message := []byte("retry: 2000\n\n"); ; {
		if message != nil {
			_ = out.SetWriteDeadline(time.Now().Add(p.patience)) // which test recorders have not
			if _, err := w.Write(message); err != nil {
				return
			}
			if err := out.Flush(); err != nil {
				return
			}
			beats.Reset(beat)
		}
		select {
		case <-r.Context().Done():
			return
		case _, open := <-c.wake:
			if !open {
				return
			}
			message = p.hub.take(c)
		case <-beats.C:
			message = event("beat", nil)
		}
	}
}
