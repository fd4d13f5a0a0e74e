package acquire

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// TestOnlyLast checks that who looks without end does not remember all that it has seen, where somebody else takes it.
func TestOnlyLast(t *testing.T) {
	for _, only := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			var taken []Sample
			r := Request{Step: time.Second, To: time.Now().Add(100 * time.Second), OnlyLast: only, OnSample: func(s Sample) error {
				taken = append(taken, s)
				return nil
			}}
			samples, err := live(t.Context(), &r, func(now time.Time) (Sample, bool, error) { return Sample{Time: now.UnixMilli()}, true, nil })
			require.NoError(t, err)
			require.Len(t, taken, 101)
			if only {
				require.Equal(t, taken[100:], samples)
			} else {
				require.Equal(t, taken, samples)
			}
		})
	}
}
