package lab

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// TestBoundsByHand checks oracles on the workload of TestByHand: a start takes 2.1 s and a first call 0.25 s, and over a gap of 500 s starting anew
// costs less than keeping.
func TestBoundsByHand(t *testing.T) {
	const c = 2.1
	for _, test := range []struct {
		spec    string
		setting Setting
		mean    float64
		memory  float64
		cold    float64
	}{
		{"O1", Setting{}, 0.25, 2 * 256 * c, 0},
		{"O1", Setting{FirstCall: true}, 0, 2 * 256 * (c + 0.25), 0},
		{"O1:1000000", Setting{}, 0, 256 * (500*7 + 9*c) / 8, 0}, // main is started once, and kept for its first call's sake
		{"O2:1", Setting{}, 2*(c-1) + 0.25, 2 * 256 * c, 0},
		{"O3", Setting{}, c + 0.25, 2 * 256 * c, 1},
		{"O4", Setting{}, 2*c + 0.25, 2 * 256 * c, 2},
		{"O6:1", Setting{}, 2*c + 0.25, 2 * 256 * c, 2},
	} {
		bound, err := ParseBound(test.spec)
		require.NoError(t, err)
		m, err := clockwork(t).bound(t.Context(), test.setting, 1, bound)
		require.NoError(t, err)
		require.InDelta(t, test.mean, m.P50, 1e-6, test.spec)
		require.InEpsilon(t, test.memory, m.Memory(), 1e-6, "%s: %+v", test.spec, m)
		require.InDelta(t, test.cold, m.Cold, 1e-6, test.spec)
		require.Equal(t, 3, m.Requests)
	}
}

// TestWrongBounds checks the messages for what is no oracle.
func TestWrongBounds(t *testing.T) {
	for spec, message := range map[string]string{
		"O5": "there is no oracle O5; there are O1[:λ]", "O9": "O5 is the policy ski", "O2:1:2:3": `"3" is left over`, "O3:hindsight:x": `"x" is not a number`,
		"O1:-1": `"-1" is not a number from 0`, "O3:1": `"1" is left over`,
	} {
		require.True(t, IsBound(spec))
		_, err := ParseBound(spec)
		require.ErrorContains(t, err, message)
	}
	for _, policy := range []string{"openwhisk", "O", "Ox", ""} {
		require.False(t, IsBound(policy))
	}
}
