// Package openfaastest is a gateway of OpenFaaS for tests, which speaks as the real one does.
//
//	g := openfaastest.New(t, 1)
//	client := sdk.NewClient(g.Server.URL, &sdk.BasicAuth{Username: openfaastest.User, Password: openfaastest.Password}, http.DefaultClient)
package openfaastest
