package page

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tppfaas/tppfaas/prewarm/controller"
)

// pipe is the writer of an answer whose reader may be slow: a write waits until what was written is read.
type pipe struct {
	*io.PipeWriter
	header http.Header
	status int
}

func (p *pipe) Header() http.Header { return p.header }
func (p *pipe) WriteHeader(s int)   { p.status = s }
func (p *pipe) Flush()              {}

// follower reads the events of a page.
type follower struct {
	*testing.T
	lines *bufio.Reader
	leave context.CancelFunc
	done  chan struct{}
}

func follow(t *testing.T, p *Page) *follower {
	t.Helper()
	r, w := io.Pipe()
	ctx, cancel := context.WithCancel(t.Context())
	f := &follower{T: t, lines: bufio.NewReader(r), done: make(chan struct{})}
	f.leave = func() { cancel(); _ = r.Close() }
	go func() {
		defer close(f.done)
		p.ServeHTTP(&pipe{PipeWriter: w, header: http.Header{}}, httptest.NewRequestWithContext(ctx, http.MethodGet, "/v1/events", nil))
		_ = w.Close()
	}()
	line, err := f.lines.ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "retry: 2000\n", line)
	return f
}

// next returns the next event; the name is empty at the end.
func (f *follower) next(into any) (name string) {
	f.Helper()
	for {
		line, err := f.lines.ReadString('\n')
		if errors.Is(err, io.EOF) {
			return ""
		}
		require.NoError(f, err)
		if after, ok := strings.CutPrefix(line, "event: "); ok {
			name = strings.TrimSpace(after)
		} else if after, ok := strings.CutPrefix(line, "data: "); ok {
			if into != nil {
				require.NoError(f, json.Unmarshal([]byte(after), into))
			}
			return name
		}
	}
}

// running runs a page's events until the test ends.
func running(t *testing.T, f *fake, o Options) *Page {
	t.Helper()
	p := New(f, o)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- p.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		require.ErrorIs(t, <-done, context.Canceled)
		require.Empty(t, f.subscribers)
	})
	synctest.Wait()
	return p
}

// TestEvents checks what a client is sent: the whole state and what was before, then changes, not more often than is set, samples, and signs of life.
func TestEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(scenario(time.Minute))
		p := running(t, f, Options{Interval: time.Second, Sample: time.Minute})
		c := follow(t, p)
		defer c.leave()
		begun := time.Now()
		var whole controller.State
		require.Equal(t, "state", c.next(&whole))
		require.Equal(t, f.Snapshot(), &whole)
		var history []sample
		require.Equal(t, "history", c.next(&history))
		require.Equal(t, []sample{newSample(&whole)}, history)

		// Changes in a row become one event.
		for range 10 {
			f.edit(func(s *controller.State) { s.InFlight++ })
			synctest.Wait()
		}
		var got change
		require.Equal(t, "change", c.next(&got))
		require.Equal(t, whole.InFlight+10, got.InFlight)
		require.Nil(t, got.Functions)
		require.Equal(t, time.Second, time.Since(begun))

		f.set(scenario(61 * time.Second))
		require.Equal(t, "change", c.next(&got))
		require.Equal(t, 2*time.Second, time.Since(begun))
		require.NotNil(t, got.Functions)

		// Nothing changes: there are signs of life, and in the end a sample.
		for range 11 {
			require.Equal(t, "beat", c.next(nil))
		}
		require.Equal(t, 57*time.Second, time.Since(begun))
		var s sample
		require.Equal(t, "sample", c.next(&s))
		require.Equal(t, time.Minute, time.Since(begun))
		require.Equal(t, f.Snapshot().Totals, s.Totals)
	})
}

// TestSlowClients checks that a client that does not read is no burden: nobody waits for it, what it misses becomes one whole state, and when it
// leaves its place is free.
func TestSlowClients(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(scenario(time.Minute))
		p := running(t, f, Options{Interval: 100 * time.Millisecond, Clients: 2})
		slow, quick := follow(t, p), follow(t, p)
		defer quick.leave()
		require.Equal(t, "state", quick.next(nil))
		require.Equal(t, "history", quick.next(nil))
		for range 5 {
			f.edit(func(s *controller.State) { s.InFlight++ })
			require.Equal(t, "change", quick.next(nil))
		}
		w := get(t, p, "/v1/events")
		require.Equal(t, http.StatusServiceUnavailable, w.Code, "there is room for two")
		require.NotEmpty(t, w.Header().Get("Retry-After"))

		// What the slow one gets is the state as it was at first, whose writing had begun, and then that of now.
		var was, is controller.State
		require.Equal(t, "state", slow.next(&was))
		require.Equal(t, "history", slow.next(nil))
		require.Equal(t, "state", slow.next(&is))
		require.Equal(t, was.InFlight+5, is.InFlight)
		require.Equal(t, "history", slow.next(nil))
		slow.leave()
		<-slow.done
		third := follow(t, p)
		require.Equal(t, "state", third.next(nil))
		third.leave()
	})
}

// TestNobodyFollowsNothingIsMade checks that states are made for samples alone while nobody looks.
func TestNobodyFollowsNothingIsMade(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(scenario(time.Minute))
		running(t, f, Options{Interval: time.Millisecond, Sample: 10 * time.Second})
		for range 100 {
			f.edit(func(s *controller.State) { s.InFlight++ })
			time.Sleep(50 * time.Millisecond) // of the bubble's clock
		}
		time.Sleep(6 * time.Second)
		synctest.Wait()
		f.mutex.Lock()
		defer f.mutex.Unlock()
		require.Equal(t, 2, f.snapshots) // at the begin, and after ten seconds
	})
}

// TestHistoryIsBounded checks that old samples make room for new ones.
func TestHistoryIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(scenario(0))
		p := running(t, f, Options{Sample: time.Second})
		time.Sleep(time.Second / 2) // of the bubble's clock: samples are taken between the changes
		for i := range samples + 50 {
			f.edit(func(s *controller.State) { s.Totals.Requests = uint64(i) })
			time.Sleep(time.Second) // of the bubble's clock
		}
		c := follow(t, p)
		require.Equal(t, "state", c.next(nil))
		var history []sample
		require.Equal(t, "history", c.next(&history))
		require.Len(t, history, samples)
		require.GreaterOrEqual(t, history[0].Totals.Requests, uint64(48))
		for i := range history[1:] {
			require.Equal(t, history[i].Totals.Requests+1, history[i+1].Totals.Requests)
		}
		c.leave()
		<-c.done
	})
}

// TestEndOfRun checks that clients are let go when Run ends, that none is admitted then, and that a second Run beside the first is refused.
func TestEndOfRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(scenario(time.Minute))
		p := New(f, Options{})
		require.Equal(t, http.StatusServiceUnavailable, get(t, p, "/v1/events").Code)
		ctx, cancel := context.WithCancel(t.Context())
		var group sync.WaitGroup
		group.Go(func() { _ = p.Run(ctx) })
		synctest.Wait()
		require.ErrorContains(t, p.Run(ctx), "already")
		c := follow(t, p)
		require.Equal(t, "state", c.next(nil))
		require.Equal(t, "history", c.next(nil))
		cancel()
		require.Equal(t, "", c.next(nil))
		<-c.done
		group.Wait()
		require.Equal(t, http.StatusServiceUnavailable, get(t, p, "/v1/events").Code)
	})
}

// TestNumbersThatJSONHasNot checks that a state which cannot be encoded is said to be so, and does not end the events.
func TestNumbersThatJSONHasNot(t *testing.T) {
	zero := 0.0
	require.Equal(t, "event: fault\ndata: \"json: unsupported value: +Inf\"\n\n", string(event("state", 1/zero)))
}

// TestDeafClientIsDropped checks, over a real connection, that a client that does not read is let go after some time.
func TestDeafClientIsDropped(t *testing.T) {
	s := scenario(time.Minute)
	for range 20000 { // more than the system's buffers of a connection hold
		s.Decisions = append(s.Decisions, controller.DecisionState{ID: uint64(len(s.Decisions)), Rule: strings.Repeat("why ", 200)})
	}
	p := New(newFake(s), Options{})
	p.patience = 50 * time.Millisecond
	ctx, cancel := context.WithCancel(t.Context())
	var group sync.WaitGroup
	group.Go(func() { _ = p.Run(ctx) })
	gone := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.ServeHTTP(w, r)
		close(gone)
	}))
	require.Eventually(t, func() bool {
		p.hub.mutex.Lock()
		defer p.hub.mutex.Unlock()
		return p.hub.running
	}, time.Minute, time.Millisecond)
	c, err := new(net.Dialer).DialContext(ctx, "tcp", server.Listener.Addr().String())
	require.NoError(t, err)
	_, err = io.WriteString(c, "GET /v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
	require.NoError(t, err)
	select {
	case <-gone:
	case <-time.After(time.Minute):
		t.Error("it is still waited for")
	}
	require.True(t, p.hub.idle())
	require.NoError(t, c.Close())
	cancel()
	group.Wait()
	server.Close()
}

// TestEventsOutliveTheTimeOfRequests checks that a server's bound on the time of reading a request does not end the events.
func TestEventsOutliveTheTimeOfRequests(t *testing.T) {
	f := newFake(scenario(time.Minute))
	p := New(f, Options{Interval: time.Millisecond})
	ctx, cancel := context.WithCancel(t.Context())
	var group sync.WaitGroup
	group.Go(func() { _ = p.Run(ctx) })
	require.Eventually(t, func() bool {
		p.hub.mutex.Lock()
		defer p.hub.mutex.Unlock()
		return p.hub.running
	}, time.Minute, time.Millisecond)
	server := httptest.NewUnstartedServer(p)
	server.Config.ReadTimeout, server.Config.WriteTimeout = time.Second, time.Second // in which the events begin, on a slow machine too
	server.Start()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL+"/v1/events", nil)
	require.NoError(t, err)
	answer, err := server.Client().Do(r)
	require.NoError(t, err)
	c := &follower{T: t, lines: bufio.NewReader(answer.Body)}
	require.Equal(t, "state", c.next(nil))
	require.Equal(t, "history", c.next(nil))
	select { // nothing happens for longer than the bounds
	case <-time.After(1500 * time.Millisecond):
	case <-r.Context().Done():
	}
	for range 3 {
		f.edit(func(s *controller.State) { s.InFlight++ })
		require.Contains(t, []string{"change", "state", "history"}, c.next(nil))
	}
	cancel()
	group.Wait()
	require.NoError(t, answer.Body.Close())
	server.Close()
}
