package main

import (
	"bytes"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tppfaas/tppfaas/rightsize/usagecsv"
)

// TestExamples checks that the files in data/ are those that are made now.
func TestExamples(t *testing.T) {
	dir := t.TempDir()
	var out bytes.Buffer
	require.NoError(t, write([]string{"-o", dir}, &out))
	require.Contains(t, out.String(), "usage_daily.csv.gz: 1728 samples\n")
	for _, kind := range examples {
		want, err := usagecsv.ReadFiles(t.Context(), []string{filepath.Join(dir, fileName(kind))}, usagecsv.Options{Function: kind})
		require.NoError(t, err)
		got, err := usagecsv.ReadFiles(t.Context(), []string{filepath.Join("../../data", fileName(kind))}, usagecsv.Options{Function: kind})
		require.NoError(t, err)
		require.Equal(t, want, got, "make data writes %s anew", fileName(kind))
	}
	require.ErrorContains(t, write([]string{"x"}, &out), "left over")
}
