//go:build integration

package traces

import (
	"bytes"
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tppfaas/tppfaas/internal/zipkintest"
	"github.com/tppfaas/tppfaas/tpp/dataset"
)

// TestIntegrationCollect collects from a real Zipkin what was sent to it, in small pages, and makes a dataset of it.
func TestIntegrationCollect(t *testing.T) {
	address := serve(t, http.NotFoundHandler())
	base := zipkintest.Start(t)
	u, err := address.Parse(base)
	require.NoError(t, err)
	now := time.Now()
	const n = 150
	var all []map[string]any
	for i := range n {
		// Some begin in the same millisecond.
		all = append(all, aTrace(i, "shop", now.Add(-time.Hour+time.Duration(i/3)*10*time.Second+time.Duration(i)*time.Microsecond), 3)...)
	}
	text, err := json.Marshal(all)
	require.NoError(t, err)
	response, err := http.Post(base+"/api/v2/spans", "application/json", bytes.NewReader(text))
	require.NoError(t, err)
	response.Body.Close()
	http.DefaultClient.CloseIdleConnections()
	require.Equal(t, http.StatusAccepted, response.StatusCode)

	o := Options{Server: u, Service: "shop", Query: "activationId", Since: now.Add(-2 * time.Hour), Settle: time.Minute, PageSize: 7}
	var out bytes.Buffer
	// A Zipkin stores what it has accepted a little later.
	require.Eventually(t, func() bool {
		out.Reset()
		result, err := Collect(t.Context(), o, &out)
		return err == nil && result.Traces == n
	}, time.Minute, 100*time.Millisecond)
	require.Len(t, ids(t, out.Bytes()), n)
	d, err := dataset.Read(&out)
	require.NoError(t, err)
	require.Len(t, d.Sequences, n)
	for _, s := range d.Sequences {
		require.Equal(t, []int{-1, 0, 1}, s.Parents)
	}

	o.Service = "unknown"
	_, err = Collect(t.Context(), o, &out)
	require.ErrorContains(t, err, `knows no service "unknown": it has shop`)
}
