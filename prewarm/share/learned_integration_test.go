//go:build integration

package share

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/tppfaas/tppfaas/internal/kafkatest"
	"github.com/tppfaas/tppfaas/internal/loopback"
)

// TestIntegrationLearned has a controller that knows nothing learn an application from the spans, and then two others share the work with what it has learned.
func TestIntegrationLearned(t *testing.T) {
	const parts = 4
	broker := kafkatest.Start(t)
	client, err := kgo.NewClient(kgo.SeedBrokers(broker.Address), kgo.UnknownTopicRetries(-1), kgo.ProducerLinger(0))
	require.NoError(t, err)
	defer client.Close()
	topics(t, client, parts)
	r, args := newReal(t, client, nil)
	state := t.TempDir()
	addresses, err := loopback.FreeAddresses(3)
	require.NoError(t, err)
	learner := serve(t, addresses[0], broker.Address, "-learn", "-state", state, "-policy", "newsvendor:300", "-kafka-group", "learner")
	stop := make(chan struct{})
	ended := r.request([]string{"tree_small"}, func(int) time.Duration { return 0 }, stop)
	require.Eventually(t, func() bool {
		models := learner.state(t).Models
		return len(models) > 0 && models[0].Traces >= 5
	}, 4*time.Minute, 50*time.Millisecond, "it has learned")
	close(stop)
	ended()
	learner.end() // what it has learned is written in the end
	var all []*process
	for _, address := range addresses[1:] {
		all = append(all, begin(t, address, broker.Address, append(slices.Clone(args), "-learned", state)...))
	}
	balanced(t, parts, all...)
	stop = make(chan struct{})
	ended = r.request([]string{"tree_small"}, untilCold, stop)
	require.Eventually(t, func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		return len(r.warmed) >= 3
	}, 2*time.Minute, 10*time.Millisecond, "functions are warmed that it has learned of")
	close(stop)
	ended()
	r.parts.Wait()
}
