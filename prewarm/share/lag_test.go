package share

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tppfaas/tppfaas/prewarm/source/kafka"
)

// TestLag checks for messages that are taken one after the other when more is to be read behind them, and when it is old what they say.
func TestLag(t *testing.T) {
	type taken struct {
		now, at time.Duration // when it is taken, and when it was written
		left    int64         // messages behind it
		behind  bool
		old     bool
	}
	const s = time.Second
	for name, messages := range map[string][]taken{
		"as they are written":         {{s, s, 0, false, false}, {2 * s, 2 * s, 0, false, false}},
		"what there is, from the end": {{100 * s, 10 * s, 2, true, true}, {100 * s, 20 * s, 1, true, true}, {100 * s, 30 * s, 0, false, false}},
		"a single one that is old":    {{100 * s, 10 * s, 0, false, false}},
		// The brokers were away for a while: what follows was written then, and is delivered one by one.
		"delivered late": {
			{10 * s, 10 * s, 0, false, false}, {30 * s, 15 * s, 0, true, true}, {30 * s, 16 * s, 0, true, true}, {30*s + s/2, 30 * s, 0, false, false}, {31 * s, 31 * s, 0, false, false},
		},
		"late for good": {
			{10 * s, 10 * s, 0, false, false}, {30 * s, 15 * s, 0, true, true}, {30*s + s/2, 15 * s, 0, true, true}, {31 * s, 16 * s, 0, false, false}, {40 * s, 25 * s, 0, false, false},
		},
	} {
		t.Run(name, func(t *testing.T) {
			var l lag
			for i, m := range messages {
				l.take(m.now, &kafka.Message{Behind: m.left}, m.at)
				require.Equal(t, m.behind, l.behind(m.now), "more is to be read behind message %d", i)
				require.Equal(t, m.old, l.old, "message %d is old", i)
			}
		})
	}
}
