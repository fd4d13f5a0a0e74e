package policy

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// TestAdditional checks the decision of OpenWhisk's newer scheduler where the duration of runs is known (SchedulingDecisionMaker.scala).
func TestAdditional(t *testing.T) {
	for _, tt := range []struct {
		fresh, stale, existing, starting int
		throughput                       float64
		want                             int
	}{
		{10, 0, 2, 0, 2, 3},   // runs of 50 ms
		{10, 0, 2, 1, 2, 2},   // without stale ones those that are starting count once
		{3, 0, 2, 0, 2, 0},    // two do four
		{10, 0, 2, 0, 0.1, 8}, // as many as there are fresh ones
		{0, 7, 2, 0, 2, 4},
		{0, 7, 2, 1, 2, 3},
		{0, 7, 2, 0, 0.1, 7}, // as many as there are stale ones
		{0, 1, 2, 3, 2, 0},
		{10, 7, 2, 0, 2, 3 + 4},
		{10, 1, 1, 2, 2, 2 - 1}, // one stale one needs less than what is starting, which the fresh ones are then not given
		{4, 1, 0, 3, 1, 0},
	} {
		require.Equal(t, tt.want, additional(tt.fresh, tt.stale, tt.existing, tt.starting, tt.throughput), "%+v", tt)
	}
}
