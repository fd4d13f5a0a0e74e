package learn

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tppfaas/tppfaas/prewarm"
	"github.com/tppfaas/tppfaas/prewarm/newsvendor"
)

// TestLearned checks that others get the applications that were learned, and are told what is wrong where there are none.
func TestLearned(t *testing.T) {
	state := t.TempDir()
	_, err := ReadLearned(state)
	require.ErrorContains(t, err, "nothing was learned there")

	folder := filepath.Join(state, "learned")
	w := newWorld(t, 4, Options{Model: newsvendor.Table})
	require.NoError(t, w.policy.Save(folder))
	_, err = ReadLearned(state)
	require.ErrorContains(t, err, "no model was learned yet")

	for i := range 22 {
		w.request(prewarm.Time(i+1)*gap, w.chain(1, 2, 0, 1))
	}
	require.NoError(t, w.policy.Save(folder))
	for _, in := range []string{state, folder} {
		l, err := ReadLearned(in)
		require.NoError(t, err)
		require.Len(t, l.Functions(), 3)
		all, err := l.Applications(t.Context(), prewarm.Platform{Warm: true, Arrivals: true}, functionsOf(4), 1)
		require.NoError(t, err)
		require.Len(t, all, 1)
		require.Equal(t, newsvendor.Table, all[0].Kind())
		require.ElementsMatch(t, []int{0, 1, 2}, all[0].Functions())
		require.Equal(t, 2, all[0].Root())
		_, err = l.Applications(t.Context(), prewarm.Platform{}, functionsOf(2), 1)
		require.ErrorContains(t, err, "no application of functions that are here")
	}

	require.NoError(t, os.WriteFile(filepath.Join(folder, fileName), []byte("x"), 0o666))
	_, err = ReadLearned(state)
	require.ErrorContains(t, err, "not what was learned")
}
