package forecast

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tppfaas/tppfaas/rightsize"
	"github.com/tppfaas/tppfaas/rightsize/synthetic"
)

// meanRelative returns the loss of the chosen forecasters on the last third, as a multiple of persistence's, on average over the horizons scored, and
// how many those are.
func meanRelative(t *testing.T, values []float64, step time.Duration, candidates []Candidate) (mean float64, scored int, c *Choice) {
	t.Helper()
	c, err := Choose(t.Context(), values, step, ChooseOptions{Candidates: candidates, Test: true})
	require.NoError(t, err)
	for j := range c.Horizons {
		if test := c.Test[j]; test != nil {
			mean += Relative(test[c.Best[j]], test[0])
			scored++
		}
	}
	return mean / float64(scored), scored, c
}

// TestChoiceOnTheRecording checks that on both resources of the recording the chosen forecasters lose at least 5 % less than persistence, and what the horizons
// that are scored there are.
func TestChoiceOnTheRecording(t *testing.T) {
	u := recording(t)
	for _, r := range rightsize.Resources {
		mean, scored, c := meanRelative(t, u.Of(r), 15*time.Second, nil)
		require.Equal(t, 2, scored, "the next sample and 5 minutes")
		require.LessOrEqual(t, mean, 0.95, r.String())
		for j := range scored {
			require.GreaterOrEqual(t, c.Test[j][c.Best[j]].Coverage[3], 0.97, "%s, %s", r, c.Horizons[j])
		}
	}
}

// TestChoiceOnSynthetic checks on two days of each kind that the chosen forecasters, of those that need no training, are not worse than persistence by more
// than 2 %.
func TestChoiceOnSynthetic(t *testing.T) {
	for _, kind := range synthetic.Kinds() {
		u, err := synthetic.New(kind[0], 1, synthetic.Options{Length: 48 * time.Hour})
		require.NoError(t, err)
		mean, scored, _ := meanRelative(t, u.Memory, time.Minute, withoutTraining(time.Minute))
		require.GreaterOrEqual(t, scored, 4)
		require.LessOrEqual(t, mean, 1.02, kind[0])
	}
}

// withoutTraining returns the candidates that follow samples one by one, and a blend of such.
func withoutTraining(step time.Duration) []Candidate {
	window, day := Window(step)
	return append(Candidates(step, 0)[:3:3], Candidate{Name: "blend", New: func() Forecaster {
		b := NewBlend(window, day)
		b.experts = slices.DeleteFunc(b.experts, func(f Forecaster) bool { _, trained := f.(*Boosted); return trained })
		return NewConservative(b, window)
	}})
}
