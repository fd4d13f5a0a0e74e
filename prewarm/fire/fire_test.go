//go:build unix

package fire

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tppfaas/tppfaas/prewarm/controller"
)

// TestLoad sends a load with thousands of traces in flight. Nothing is refused, decisions are on time, and memory does not grow any more once as many
// traces are in flight as there will be. The generator, in this process, and the controller have a processor each.
func TestLoad(t *testing.T) {
	l := load{functions: 10, traces: 100, busy: 100 * time.Millisecond, seed: 1} // 100 in flight
	length := 3 * time.Second
	if *soak {
		l.traces, l.busy = 5000/30., 6*time.Second
		length = *soakFor
	}
	p := serve(t, "-learn")
	// Memory is looked at while the load runs: the most of the second quarter of the time and of the last.
	stop := make(chan struct{})
	var watching sync.WaitGroup
	var second, last float64
	begun := time.Now()
	watching.Go(func() {
		tick := time.NewTicker(length / 100)
		defer tick.Stop()
		for {
			select {
			case <-stop:
				return
			case <-tick.C:
			}
			switch m := p.resident(); 4 * time.Since(begun) / length {
			case 1:
				second = max(second, m)
			case 3:
				last = max(last, m)
			}
		}
	})
	s, err := l.run(t.Context(), p.grpc, length)
	close(stop)
	watching.Wait()
	require.NoError(t, err)
	require.NoError(t, s.failed)
	require.Zero(t, s.refused, "spans were refused")
	state := p.state()
	p99 := quantile(state.Lateness, 0.99)
	t.Logf("%.0f events a second, %.0f traces in flight, %d spans; slowest answer %v, the generator %v behind at most", l.events(), l.inFlight(), s.spans, s.slowest, s.behind)
	t.Logf("decisions: 99 %% at most %v s late; memory %.0f MiB in the second quarter, %.0f in the last; in flight %d, invocations %d", p99, second, last, state.InFlight, state.Totals.Invocations)
	require.Positive(t, state.Totals.Invocations)
	if *soak {
		require.LessOrEqual(t, p99, 0.1)
		require.Less(t, last, 1.1*second+10)
	}
}

// quantile returns the least bound of the histogram below which a share of the values is; the largest one if there is none.
func quantile(h controller.Histogram, q float64) float64 {
	total, sum := uint64(0), uint64(0)
	for _, n := range h.Counts {
		total += n
	}
	for i, n := range h.Counts {
		if sum += n; float64(sum) >= q*float64(total) && i < len(h.Bounds) {
			return h.Bounds[i]
		}
	}
	return h.Bounds[len(h.Bounds)-1]
}

// TestGarbage sends what no sender should send: the controller answers each with an error of the client's, and goes on.
func TestGarbage(t *testing.T) {
	p := serve(t, "-learn")
	for _, g := range []struct{ path, kind, body string }{
		{"/v1/arrivals", "application/json", "{"},
		{"/v1/arrivals", "application/json", "null"},
		{"/v1/arrivals", "application/json", `[{"trace": "", "function": "f", "time": 1}]`},
		{"/v1/arrivals", "application/json", `{"trace": "a", "function": "f", "time": -1}`},
		{"/v1/arrivals", "application/json", `{"trace": "a", "function": "f", "time": 1e300}`},
		{"/v1/arrivals", "text/plain", `{"trace": "a", "function": "f", "time": 1}`},
		{"/v1/traces", "application/json", "["},
		{"/v1/traces", "application/x-protobuf", "\xff\xff\xff\xff"},
		{"/v1/traces", "text/html", "x"},
	} {
		answer, err := http.Post(p.url+g.path, g.kind, strings.NewReader(g.body))
		require.NoError(t, err)
		_, _ = io.Copy(io.Discard, answer.Body)
		answer.Body.Close()
		require.Equal(t, 4, answer.StatusCode/100, "%s %q: %s", g.path, g.body, answer.Status)
	}
	// Half a request, and bytes that are none.
	for _, raw := range []string{"POST /v1/traces HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n{", "\x00\x01\x02\r\n\r\n"} {
		for _, address := range []string{strings.TrimPrefix(p.url, "http://"), p.grpc} {
			c, err := net.Dial("tcp", address)
			require.NoError(t, err)
			_, err = c.Write([]byte(raw))
			require.NoError(t, err)
			require.NoError(t, c.Close())
		}
	}
	p.arrive("good", "f", time.Now())
	p.await("the good arrival", func() bool { return p.state().Totals.Invocations == 1 })
}

// arrive announces an invocation over HTTP.
func (p *process) arrive(trace, function string, at time.Time) {
	p.t.Helper()
	body := fmt.Sprintf(`{"trace": %q, "call": "%s-1", "function": %q, "time": %d}`, trace, trace, function, at.UnixMilli())
	answer, err := http.Post(p.url+"/v1/arrivals", "application/json", strings.NewReader(body))
	require.NoError(p.t, err)
	answer.Body.Close()
	require.Equal(p.t, http.StatusNoContent, answer.StatusCode)
}

// TestClocks announces invocations by a clock that steps by an hour, a day and years, ahead and behind: after each step the clock is followed again, and
// what comes until then counts as of no use.
func TestClocks(t *testing.T) {
	p := serve(t, "-learn")
	sent := uint64(0)
	for i, off := range []time.Duration{0, time.Hour, -time.Hour, 0, -24 * time.Hour, 30 * time.Second, -5 * 365 * 24 * time.Hour, 0} {
		before := p.state().Totals.Invocations
		for k := range 8 {
			p.arrive(fmt.Sprintf("clock%d-%d", i, k), "f", time.Now().Add(off))
			sent++
		}
		p.await("all of a step", func() bool { return p.state().Totals.Invocations+sumInvalid(p.state()) == sent })
		require.GreaterOrEqual(t, p.state().Totals.Invocations-before, uint64(4), "of a clock that is off by %v", off)
	}
}

// sumInvalid returns how many observations were left out as invalid.
func sumInvalid(s *controller.State) (n uint64) {
	for i := range s.Sources {
		n += s.Sources[i].Invalid
	}
	return n
}

// TestKill ends the controller while a load runs, and starts it again with the same state: after a kill it goes on from what it had saved, after a
// signal from all that it had seen.
func TestKill(t *testing.T) {
	p := serve(t, "-learn")
	l := load{functions: 4, traces: 50, busy: 20 * time.Millisecond, seed: 2}
	most := uint64(0)
	for i := range full(10, 3) {
		before := p.state().Totals.Invocations
		s, err := l.run(t.Context(), p.grpc, full(3*time.Second, 700*time.Millisecond))
		require.NoError(t, err)
		require.NoError(t, s.failed)
		require.Zero(t, s.refused, "spans were refused")
		require.Positive(t, s.calls)
		now := before + uint64(s.calls)
		p.await("all invocations", func() bool { return p.state().Totals.Invocations >= now }) // what was taken is looked at a moment later
		require.Equal(t, now, p.state().Totals.Invocations)
		if i%2 == 0 {
			p.end(syscall.SIGTERM)
			most = now
		} else {
			p.end(syscall.SIGKILL)
		}
		p.start()
		after := p.state().Totals.Invocations
		require.GreaterOrEqual(t, after, most)
		if i%2 == 0 {
			require.Equal(t, now, after, "after a signal")
		}
		l.seed++
	}
}

func full[T any](long, short T) T {
	if *soak {
		return long
	}
	return short
}
