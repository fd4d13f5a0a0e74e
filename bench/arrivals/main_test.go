package main

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tppfaas/tppfaas/internal/figure"
)

// TestParse reads what the benchmark prints, in whatever order, and refuses what it would not print.
func TestParse(t *testing.T) {
	points, err := parse([]byte(`goos: linux
BenchmarkArrival/model=table/traces=1000-2         	   20000	     90000 ns/op	      1013 in-flight	         0.012 mallocs/op	     70000 policy-ns/op
BenchmarkArrival/model=race/traces=10-2            	   20000	    190000 ns/op	        11.5 in-flight	         0.25 mallocs/op	    1.2e+05 policy-ns/op
PASS
`))
	require.NoError(t, err)
	require.Equal(t, []point{{"race", 11.5, 1.2e5, 0.25}, {"table", 1013, 70000, 0.012}}, points)
	require.NoError(t, figure.Write(filepath.Join(t.TempDir(), "x.png"), picture(points)))

	_, err = parse([]byte("PASS\n"))
	require.ErrorContains(t, err, "no measurement")
	_, err = parse([]byte("BenchmarkArrival/model=race/traces=10-2  20000  190000 ns/op\n"))
	require.ErrorContains(t, err, "without its measurements")
}
