// Package gateway reads and sets the limits and requests of functions through the gateway of OpenFaaS.
//
//	g, err := gateway.New(gateway.Options{Address: "http://127.0.0.1:8080", User: "admin", Password: password})
//	if err != nil {
//		return err
//	}
//	defer g.Close()
//	changed, err := g.Set(ctx, "qrcode", manifest.Resources{MemoryLimit: "64Mi", CPULimit: "100m"})
//
// The gateway has no request for limits alone: Set reads what is deployed and deploys the same again with the new limits, which starts new containers in
// place of the old ones.
package gateway
