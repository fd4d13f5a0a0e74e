package openfaastest

import (
	"net/http"
	"net/url"
	"testing"

	"github.com/openfaas/faas-provider/types"
	sdk "github.com/openfaas/go-sdk"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestGateway checks that the gateway of these tests speaks as OpenFaaS's own client expects it.
func TestGateway(t *testing.T) {
	g := New(t, 2)
	address, err := url.Parse(g.Server.URL)
	require.NoError(t, err)
	web := &http.Client{}
	defer web.CloseIdleConnections()
	client := sdk.NewClient(address, &sdk.BasicAuth{Username: User, Password: Password}, web)
	require.NoError(t, client.ScaleFunction(t.Context(), "f1", "", 4))
	functions, err := client.GetFunctions(t.Context(), "")
	require.NoError(t, err)
	require.Len(t, functions, 1)
	require.Equal(t, uint64(4), functions[0].Replicas)
	f, err := client.GetFunction(t.Context(), "f1", "openfaas-fn")
	require.NoError(t, err)
	require.Equal(t, uint64(4), f.AvailableReplicas)
	require.Equal(t, "128Mi", f.Limits.Memory)
	require.ErrorContains(t, client.ScaleFunction(t.Context(), "f1", "", 0), "status code 400")
	require.ErrorContains(t, client.ScaleFunction(t.Context(), "f2", "", 1), "Unable to lookup function deployment f2")
	client = sdk.NewClient(address, &sdk.BasicAuth{Username: User}, web)
	require.ErrorContains(t, client.ScaleFunction(t.Context(), "f1", "", 4), "unauthorized")
}

// TestUpdate checks that OpenFaaS's own client can change what is deployed, and reads what it has written.
func TestUpdate(t *testing.T) {
	g := New(t, 2)
	address, err := url.Parse(g.Server.URL)
	require.NoError(t, err)
	web := &http.Client{}
	defer web.CloseIdleConnections()
	client := sdk.NewClient(address, &sdk.BasicAuth{Username: User, Password: Password}, web)
	d := types.FunctionDeployment{Service: "f1", Image: "x", Limits: &types.FunctionResources{Memory: "64Mi", CPU: "100m"}}
	status, err := client.Update(t.Context(), d)
	require.NoError(t, err)
	require.Equal(t, http.StatusAccepted, status)
	f, err := client.GetFunction(t.Context(), "f1", "openfaas-fn")
	require.NoError(t, err)
	require.Equal(t, d.Limits, f.Limits)
	d.Limits = &types.FunctionResources{Memory: "64MB"}
	_, err = client.Update(t.Context(), d)
	require.ErrorContains(t, err, "400")
	d.Service = "f2"
	_, err = client.Update(t.Context(), d)
	require.ErrorContains(t, err, "404")
	require.Len(t, g.Deployments(), 1)
}
