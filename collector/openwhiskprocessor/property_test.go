package openwhiskprocessor

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tppfaas/tppfaas/internal/whisk"
)

// TestNoneLostNoneTwice checks that every accepted span is delivered exactly once, whatever OpenWhisk and the next component do, while
// senders repeat what was refused.
func TestNoneLostNoneTwice(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		seed := rapid.Uint64().Draw(rt, "seed")
		messages := rapid.IntRange(1, 30).Draw(rt, "messages")
		faults := rapid.IntRange(0, 95).Draw(rt, "percentage of lookups that fail")
		refusals := rapid.IntRange(0, 80).Draw(rt, "percentage of hand-overs that fail")
		room := rapid.IntRange(1, 50).Draw(rt, "room")
		synctest.Test(t, func(t *testing.T) {
			var mu sync.Mutex
			rng := rand.New(rand.NewPCG(seed, 0))
			chance := func(percent int) bool {
				mu.Lock()
				defer mu.Unlock()
				return rng.IntN(100) < percent
			}
			pick := func(n int) int {
				mu.Lock()
				defer mu.Unlock()
				return rng.IntN(n)
			}
			config := testConfig()
			config.Pending.Spans = room
			config.Concurrency = 1 + pick(8)
			config.Retry.BackOff.MaxElapsedTime = 1000 * time.Hour
			config.Retry.Outage = 1000 * time.Hour
			b := start(t, config, &fakeClient{answer: func(ctx context.Context, _ string, _ int) (whisk.Record, error) {
				time.Sleep(time.Duration(pick(200)) * time.Millisecond)
				if !chance(faults) {
					return record, nil
				}
				return whisk.Record{}, []error{
					whisk.ErrNotYet, whisk.ErrNotYet, whisk.ErrNotYet,
					&whisk.Error{Kind: whisk.Overloaded},
					&whisk.Error{Kind: whisk.Throttled, RetryAfter: time.Second},
					&whisk.Error{Kind: whisk.Unauthorized},
				}[pick(6)]
			}}, nil)
			b.sink.refuse = func() error {
				if chance(refusals) {
					return errors.New("full")
				}
				return nil
			}
			sent := 0
			for range messages {
				ids := make([]string, 1+pick(10))
				for i := range ids {
					if id := pick(12); id > 0 {
						ids[i] = activationIDs(12)[id]
					}
				}
				for b.ConsumeTraces(background, message(sent, ids...)) != nil {
					time.Sleep(time.Second)
				}
				sent += len(ids)
				time.Sleep(time.Duration(pick(1000)) * time.Millisecond)
			}
			for deadline := time.Now().Add(24 * time.Hour); b.waiting() > 0 && time.Now().Before(deadline); {
				time.Sleep(time.Second)
			}
			spans := b.sink.all()
			require.Len(t, spans, sent)
			require.Len(t, counts(spans), sent)
			for _, s := range spans {
				_, wants := s.Attributes().Get(attrActivationID)
				_, has := s.Attributes().Get(attrWaitTime)
				require.Equal(t, wants, has)
			}
			require.NoError(t, b.Shutdown(background))
		})
	})
}
