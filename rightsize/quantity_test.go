package rightsize

import (
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestParseQuantity(t *testing.T) {
	for s, want := range map[string]float64{
		"40Mi": 40 << 20, "1.5Gi": 1.5 * (1 << 30), "128974848": 128974848, "129e6": 129e6, "129M": 129e6, "100m": 0.1, "0.5": 0.5, "2": 2,
		"5023Ki": 5023 << 10, "1598830n": 0.00159883, "250u": 0.00025, "0": 0, "1E": 1e18,
	} {
		got, err := ParseQuantity(s)
		require.NoError(t, err, s)
		require.InEpsilon(t, want+1, got+1, 1e-12, s)
	}
	for _, s := range []string{"", "Mi", "40 Mi", "40mi", "-1", "1e400", "NaN", "inf", "0x10", "40MiB", "1_000", "4iM"} {
		_, err := ParseQuantity(s)
		require.ErrorContains(t, err, "quantity \""+s+"\"", s)
	}
}

func TestFormat(t *testing.T) {
	require.Equal(t, "40Mi", FormatMemory(40<<20))
	require.Equal(t, "41Mi", FormatMemory(40<<20+1))
	require.Equal(t, "2Gi", FormatMemory(2<<30))
	require.Equal(t, "100m", FormatCPU(0.1))
	require.Equal(t, "101m", FormatCPU(0.1001))
	require.Equal(t, "2", FormatCPU(2))
	require.Equal(t, "0Mi", FormatMemory(0))
	require.Equal(t, "0m", FormatCPU(0))
	rapid.Check(t, func(t *rapid.T) {
		v := rapid.Float64Range(0, 1e12).Draw(t, "bytes")
		back, err := ParseQuantity(FormatMemory(v))
		require.NoError(t, err)
		require.True(t, back >= v-1 && back < v+1<<20+1, "%g becomes %g", v, back)
	})
}
