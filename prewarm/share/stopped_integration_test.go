//go:build integration

package share

import (
	"os"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/tppfaas/tppfaas/internal/kafkatest"
	"github.com/tppfaas/tppfaas/internal/loopback"
	"github.com/tppfaas/tppfaas/prewarm/controller"
)

// TestIntegrationStopped stops an instance for longer than its session, so that the others have its part, and has it go on where it was: what it had decided is
// started by nobody, and what it had asked for not twice. All instances together keep the limits, which are less than what they want.
func TestIntegrationStopped(t *testing.T) {
	const parts, mostWarm, inFlight = 8, 10, 6
	broker := kafkatest.Start(t)
	client, err := kgo.NewClient(kgo.SeedBrokers(broker.Address), kgo.UnknownTopicRetries(-1), kgo.ProducerLinger(0))
	require.NoError(t, err)
	defer client.Close()
	topics(t, client, parts)
	names := []string{"tree_small", "sequence", "parallel_small", "fanout_small"}
	r, args := newReal(t, client, names)
	args = append(args, "-most-warm", "10", "-in-flight", "6")
	addresses, err := loopback.FreeAddresses(2)
	require.NoError(t, err)
	var instances []*process
	for _, address := range addresses {
		instances = append(instances, begin(t, address, broker.Address, args...))
	}
	balanced(t, parts, instances...)
	stop := make(chan struct{})
	windows := r.request(names, untilCold, stop)
	signal := func(p *process, s os.Signal) {
		found, err := os.FindProcess(p.pid)
		require.NoError(t, err)
		require.NoError(t, found.Signal(s))
		t.Logf("%v: %v", time.Since(r.begun).Round(time.Second), s)
	}
	// A moment at which it has something under way.
	warmed := func() (n int) {
		r.mu.Lock()
		defer r.mu.Unlock()
		for _, list := range r.warmed {
			n += len(list)
		}
		return n
	}
	for round := range 3 {
		before := warmed()
		require.Eventually(t, func() bool { return warmed() > before+10 }, time.Minute, time.Millisecond)
		stopped, other := instances[round%2], instances[1-round%2]
		signal(stopped, syscall.SIGSTOP)
		balanced(t, parts, other)
		before = warmed()
		require.Eventually(t, func() bool { return warmed() > before+5 }, time.Minute, time.Millisecond, "the other warms")
		signal(stopped, syscall.SIGCONT)
		balanced(t, parts, instances...)
	}
	close(stop)
	all, twice := r.twice(windows())
	r.parts.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	decided := observationsOf(t, client, len(r.sent))
	missing := 0
	for o := range r.sent {
		if !decided[o] {
			missing++
			t.Logf("not decided on: %s", o)
		}
	}
	for _, p := range instances {
		for _, source := range p.state(t).Sources {
			t.Logf("%s: %s has taken %d, %d were of no use: %s", p.url, source.Name, source.Observations, source.Invalid, source.Error)
		}
	}
	t.Logf("%d spans sent, %d not decided on; %d invocations, %d cold; %d containers warmed, %d more than the requests have calls; at most %d unused, %d asked for at once",
		len(r.sent), missing, r.runs, r.cold, all, twice, r.most.unused, r.most.asking)
	require.Zero(t, missing)
	require.Zero(t, twice)
	require.LessOrEqual(t, r.most.unused, mostWarm)
	require.LessOrEqual(t, r.most.asking, inFlight)
	require.Greater(t, r.most.unused, mostWarm/2, "the limit is one")
	for _, p := range instances {
		require.False(t, slices.ContainsFunc(p.state(t).Shares, func(s controller.ShareState) bool { return len(s.Rebuilding) > 0 }))
	}
}
