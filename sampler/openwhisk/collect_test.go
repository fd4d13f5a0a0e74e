package openwhisk

import (
	"bytes"
	"cmp"
	"net/url"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tppfaas/tppfaas/internal/localwhisk/rest"
	"github.com/tppfaas/tppfaas/sampler/internal/testenv"
	"github.com/tppfaas/tppfaas/sampler/traces"
	"github.com/tppfaas/tppfaas/tpp"
	"github.com/tppfaas/tppfaas/tpp/dataset"
)

// TestCollectedTraces checks that who only reads what Zipkin has of a sampling gets the sampler's own dataset: the same arrivals, marks, waits,
// init times and parents.
func TestCollectedTraces(t *testing.T) {
	env := testenv.New(t, rest.Limits{})
	config := every(time.Millisecond, 30) // a burst: cold starts
	config.RandomDurations = true
	begun := time.Now()
	r, err := begin(t, env, config, filepath.Join(t.TempDir(), "x.journal"), false, func(o *Options) { o.Announce = true })
	require.NoError(t, err)
	_, err = r.Sample(t.Context(), nil)
	require.NoError(t, err)
	want, err := r.Dataset()
	require.NoError(t, err)
	require.Len(t, want.Sequences, 30)

	address, err := url.Parse(env.Zipkin.URL)
	require.NoError(t, err)
	var spans bytes.Buffer
	result, err := traces.Collect(t.Context(), traces.Options{Server: address, Service: "quick-dev-main", Since: begun.Add(-time.Minute), PageSize: 7}, &spans)
	require.NoError(t, err)
	require.Equal(t, 30, result.Traces)
	got, err := dataset.Read(&spans)
	require.NoError(t, err)
	got, err = got.WithMarks(want.MarkNames)
	require.NoError(t, err)
	// The plan's order, by the time of the first arrival; requests that arrived in the same millisecond are told apart by the rest.
	for _, d := range []*tpp.Dataset{want, got} {
		slices.SortFunc(d.Sequences, func(a, b tpp.Sequence) int {
			return cmp.Or(slices.Compare(a.ArrivalTimes, b.ArrivalTimes), slices.Compare(a.Marks, b.Marks), slices.Compare(a.WaitTimes, b.WaitTimes), slices.Compare(a.InitTimes, b.InitTimes))
		})
	}
	require.Equal(t, want.Sequences, got.Sequences)
	r.clean()
}
