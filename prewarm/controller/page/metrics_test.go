package page

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"github.com/prometheus/common/expfmt"
	"github.com/stretchr/testify/require"

	"github.com/tppfaas/tppfaas/prewarm/controller"
)

// TestMetrics compares the metrics of the scenario with a golden file, and checks that their names and types are as Prometheus advises.
func TestMetrics(t *testing.T) {
	m := newMetrics(newFake(scenario(90 * time.Second)))
	problems, err := testutil.CollectAndLint(m)
	require.NoError(t, err)
	require.Equal(t, []promlint.Problem(nil), problems)
	r := prometheus.NewPedanticRegistry() // which refuses what Describe does not name
	require.NoError(t, r.Register(m))
	families, err := r.Gather()
	require.NoError(t, err)
	var text strings.Builder
	for _, f := range families {
		_, err := expfmt.MetricFamilyToText(&text, f)
		require.NoError(t, err)
	}
	golden(t, "metrics.txt", text.String())
	// Every metric that is described is there.
	descriptions := make(chan *prometheus.Desc, 100)
	m.Describe(descriptions)
	close(descriptions)
	require.Len(t, families, len(descriptions))
}

// TestMetricsAreServed checks that the metrics of the process are there too.
func TestMetricsAreServed(t *testing.T) {
	text := get(t, New(newFake(scenario(time.Minute)), Options{}), "/metrics").Body.String()
	for _, name := range []string{`tppfaas_prewarm_mode{mode="acting"} 1`, "go_goroutines", "process_start_time_seconds"} {
		require.Contains(t, text, name)
	}
}

// TestLabelsAreBounded checks that thousands of functions have a bounded number of metrics, that no function is lost in the sums, and that no counter
// falls when functions come and go.
func TestLabelsAreBounded(t *testing.T) {
	f := newFake(&controller.State{})
	m := newMetrics(f)
	starts := func() map[string]float64 {
		r := prometheus.NewRegistry()
		require.NoError(t, r.Register(m))
		families, err := r.Gather()
		require.NoError(t, err)
		values := map[string]float64{}
		for _, family := range families {
			if family.GetName() == "tppfaas_prewarm_function_hits_total" {
				for _, metric := range family.Metric {
					values[metric.Label[0].GetValue()] = metric.GetCounter().GetValue()
				}
			}
		}
		return values
	}
	before := map[string]float64{}
	for round := 1; round <= 3; round++ {
		s := &controller.State{}
		total := 0.0
		for i := range 1000 * round {
			hits := uint64(round*10 + i%7)
			s.Functions = append(s.Functions, controller.FunctionState{Name: fmt.Sprintf("f%04d", (i*7919)%(1000*round)), Hits: hits})
			total += float64(hits)
		}
		f.set(s)
		got := starts()
		require.Len(t, got, mostLabels+1)
		sum := 0.0
		for name, value := range got {
			sum += value
			if name != other && before[name] > 0 {
				require.Contains(t, before, name)
			}
		}
		require.Equal(t, total, sum)
		require.GreaterOrEqual(t, got[other], before[other])
		for name := range before {
			require.Contains(t, got, name)
		}
		before = got
	}
}

// TestMetricsOfOddStates checks states that have nothing yet, names twice, and names that are no text.
func TestMetricsOfOddStates(t *testing.T) {
	for name, s := range map[string]*controller.State{
		"empty": {},
		"twice": {
			Functions: []controller.FunctionState{{Name: "f", Hits: 1}, {Name: "f", Hits: 2}},
			Models:    []controller.ModelState{{Name: "m", Agrees: true}, {Name: "m"}},
			Sources:   []controller.SourceState{{Name: "s", Last: new(time.Unix(10, 0))}, {Name: "s", Last: new(time.Unix(20, 0))}},
		},
		"no text": {Version: "\xff", Functions: []controller.FunctionState{{Name: "a\xffb"}, {Name: ""}}},
	} {
		t.Run(name, func(t *testing.T) {
			r := prometheus.NewPedanticRegistry()
			require.NoError(t, r.Register(newMetrics(newFake(s))))
			_, err := r.Gather()
			require.NoError(t, err)
		})
	}
	r := prometheus.NewPedanticRegistry()
	require.NoError(t, r.Register(newMetrics(newFake(&controller.State{Lateness: controller.Histogram{Bounds: []float64{1}, Counts: []uint64{1}}}))))
	_, err := r.Gather()
	require.ErrorContains(t, err, "1 counts for 1 bounds")
}
