package recommend

import (
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tppfaas/tppfaas/rightsize"
)

const limitRange = `apiVersion: v1
kind: ConfigMap
metadata: {name: other}
data: {a: b}
---
apiVersion: v1
kind: LimitRange
metadata:
  name: limits
  namespace: openfaas-fn
spec:
  limits:
    - type: Container
      min: {memory: 32Mi, cpu: 20m}
      max: {memory: 1Gi}
      default: {cpu: 500m}
      defaultRequest: {cpu: 100m}
      maxLimitRequestRatio: {memory: "2", cpu: "10"}
    - type: Pod
      max: {memory: 512Mi}
    - type: PersistentVolumeClaim
      min: {storage: 1Gi}
`

func TestReadLimitRange(t *testing.T) {
	l, err := ReadLimitRange(strings.NewReader(limitRange))
	require.NoError(t, err)
	require.Equal(t, LimitRange{
		rightsize.Memory: {Min: 32 * mib, Max: 512 * mib, Default: 1024 * mib, Ratio: 2},
		rightsize.CPU:    {Min: 0.02, Default: 0.5, Ratio: 10},
	}, l)
	list, err := ReadLimitRange(strings.NewReader(`{"kind": "List", "items": [{"kind": "LimitRange", "spec": {"limits": [{"type": "Container", "max": {"cpu": 2}}]}}]}`))
	require.NoError(t, err)
	require.Equal(t, Range{Max: 2, Default: 2}, list[rightsize.CPU])
}

func TestReadLimitRangeErrors(t *testing.T) {
	for text, want := range map[string]string{
		"":                           "no LimitRange",
		"kind: Pod":                  "no LimitRange",
		"a: [":                       "not a LimitRange",
		"kind: LimitRange\nspek: {}": `unknown field "spek"`,
		"kind: LimitRange\nspec: {limits: [{type: Container, max: {memory: 1Mi}, min: {memory: 2Mi}}]}": "memory: min",
		"kind: LimitRange\nspec: {limits: [{type: Container, maxLimitRequestRatio: {cpu: 500m}}]}":      "below 1",
	} {
		_, err := ReadLimitRange(strings.NewReader(text))
		require.ErrorContains(t, err, want, text)
	}
}

func TestApplyLimitRange(t *testing.T) {
	l, err := ReadLimitRange(strings.NewReader(limitRange))
	require.NoError(t, err)
	for _, c := range []struct{ given, want Limits }{
		{Limits{100 * mib, 100 * mib, 0.1, 0.2}, Limits{100 * mib, 100 * mib, 0.1, 0.2}},
		{Limits{10 * mib, 20 * mib, 0.01, 0.2}, Limits{32 * mib, 32 * mib, 0.02, 0.2}},
		{Limits{600 * mib, 700 * mib, 0.1, 0}, Limits{512 * mib, 512 * mib, 0.1, 0.5}},
		{Limits{100 * mib, 400 * mib, 0.03, 1}, Limits{200 * mib, 400 * mib, 0.1, 1}},
		{Limits{100 * mib, 0, 0.03, 0}, Limits{100 * mib, 200 * mib, 0.03, 0.3}},
	} {
		got, notes := l.Apply(c.given)
		require.Equal(t, c.want, got)
		require.Equal(t, c.given == c.want, len(notes) == 0, notes)
	}
	var none LimitRange
	got, notes := none.Apply(Limits{1, 2, 3, 0})
	require.Equal(t, Limits{1, 2, 3, 0}, got)
	require.Empty(t, notes)
}

// TestLimitRangeHolds checks that what comes out is allowed, whatever is recommended, and stays so when it is written.
func TestLimitRangeHolds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var l LimitRange
		for _, r := range rightsize.Resources {
			scale := unit(r)
			if rapid.Bool().Draw(t, "min") {
				l[r].Min = scale * rapid.Float64Range(0, 100).Draw(t, "least")
			}
			if rapid.Bool().Draw(t, "max") {
				l[r].Max = max(l[r].Min, scale) + scale*rapid.Float64Range(1, 200).Draw(t, "most")
				l[r].Default = l[r].Max
			}
			if rapid.Bool().Draw(t, "ratio") {
				l[r].Ratio = rapid.Float64Range(1, 10).Draw(t, "ratio")
			}
		}
		require.NoError(t, l.check())
		amount := func(step float64) float64 {
			return step * rapid.OneOf(rapid.Just(0.0), rapid.Float64Range(0.1, 400)).Draw(t, "amount")
		}
		given := Limits{amount(mib), amount(mib), amount(0.001), amount(0.001)}
		got, _ := l.Apply(Round(given))
		for _, r := range rightsize.Resources {
			request, limit := got.MemoryRequest, got.MemoryLimit
			format := rightsize.FormatMemory
			if r == rightsize.CPU {
				request, limit, format = got.CPURequest, got.CPULimit, rightsize.FormatCPU
			}
			if request > 0 {
				request, _ = rightsize.ParseQuantity(format(request))
			}
			if limit > 0 {
				limit, _ = rightsize.ParseQuantity(format(limit))
			}
			b, near := l[r], 1+1e-9
			for _, v := range []float64{request, limit} {
				if v > 0 {
					require.True(t, v*near >= b.Min && (b.Max == 0 || v <= b.Max*near), "%s %g in %+v", r, v, b)
				}
			}
			require.True(t, limit > 0 || b.Max == 0)
			if limit > 0 {
				require.LessOrEqual(t, request, limit*near)
			}
			if b.Ratio > 0 && request > 0 {
				require.Positive(t, limit)
				require.LessOrEqual(t, limit, request*b.Ratio*near)
			}
		}
	})
}

func FuzzReadLimitRange(f *testing.F) {
	f.Add(limitRange)
	f.Add("kind: LimitRange\nspec: {limits: [{type: Container, max: {memory: 1e30}, min: {cpu: -1}}]}")
	f.Fuzz(func(t *testing.T, text string) {
		l, err := ReadLimitRange(strings.NewReader(text))
		if err != nil {
			return
		}
		got, _ := l.Apply(Limits{100 * mib, 100 * mib, 0.1, 0})
		for _, v := range []float64{got.MemoryRequest, got.MemoryLimit, got.CPURequest, got.CPULimit} {
			if v < 0 || math.IsNaN(v) || math.IsInf(v, 0) {
				t.Errorf("%q gives %+v", text, got)
			}
		}
	})
}

func TestRound(t *testing.T) {
	require.Equal(t, Limits{40 * mib, 104 * mib, 0.1, 0.3}, Round(Limits{39.5 * mib, 100.5 * mib, 0.0995, 0.2951}))
	require.Equal(t, Limits{}, Round(Limits{}))
	rapid.Check(t, func(t *rapid.T) {
		l := Limits{MemoryLimit: rapid.Float64Range(1, 1e12).Draw(t, "bytes"), CPURequest: rapid.Float64Range(1e-4, 100).Draw(t, "cores")}
		r := Round(l)
		require.True(t, r.MemoryLimit >= l.MemoryLimit-1 && r.MemoryLimit <= l.MemoryLimit*1.04+2*mib, "%v %v", l, r)
		require.True(t, r.CPURequest >= l.CPURequest*(1-1e-9) && r.CPURequest <= l.CPURequest*1.04+0.002, "%v %v", l, r)
		require.Equal(t, r, Round(r))
	})
}

func TestHeapHint(t *testing.T) {
	for runtime, want := range map[string]string{"go": "GOMEMLIMIT=115MiB", "node": "NODE_OPTIONS=--max-old-space-size=96", "java": "JAVA_TOOL_OPTIONS=-XX:MaxRAMPercentage=75"} {
		got, err := HeapHint(runtime, 128*mib)
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	_, err := HeapHint("cobol", 1)
	require.ErrorContains(t, err, "cobol")
}
