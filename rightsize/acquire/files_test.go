package acquire

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const recorded = "../../../shared/data/resources"

// TestFiles checks that files are put together and cut, and that their step and gaps are found.
func TestFiles(t *testing.T) {
	path := filepath.Join(t.TempDir(), "u.csv")
	require.NoError(t, os.WriteFile(path, []byte("Time,mem,cpu\n1790000010000,1,1\n1790000040000,2,2\n1790000070000,3,3\n1790000190000,4,4\n1790000220000,5,5\n"), 0o600))
	result, err := Files{Paths: []string{path}}.Acquire(t.Context(), Request{Function: "f", From: time.Unix(begin+1, 0), To: time.Unix(begin+200, 0)})
	require.NoError(t, err)
	require.Equal(t, []float64{2, 3, 4}, result.Usage.Memory)
	require.Equal(t, "f", result.Usage.Function)
	require.Equal(t, 2*time.Minute, result.Step, "the median of two")
	result, err = Files{Paths: []string{path}}.Acquire(t.Context(), Request{Function: "f"})
	require.NoError(t, err)
	require.Equal(t, 30*time.Second, result.Step)
	require.Len(t, result.Gaps, 1)
	_, err = Files{Paths: []string{path}}.Acquire(t.Context(), Request{From: time.Unix(begin+1000, 0)})
	require.EqualError(t, err, path+": none of its 5 samples, from 2026-09-21T14:13:30Z until 2026-09-21T14:17:00Z, is of the time that is wanted")
}

// TestRecorded puts together what was recorded on a cluster.
func TestRecorded(t *testing.T) {
	if _, err := os.Stat(recorded); err != nil {
		t.Skipf("the recordings are not here: %v", err)
	}
	result, err := Files{Paths: []string{recorded + "/cpu_usage.csv", recorded + "/memory_usage.csv"}}.Acquire(t.Context(), Request{Function: "qrcode"})
	require.NoError(t, err)
	require.Equal(t, 1111, result.Usage.Len())
	require.Equal(t, 15*time.Second, result.Step)
	require.Empty(t, result.Gaps)
}
