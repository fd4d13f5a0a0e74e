// Package acquire finds out what functions used of CPU and memory: from Prometheus, from the Metrics API of Kubernetes, from the processes of this
// machine, and from CSV files.
//
//	source, err := acquire.NewPrometheus(acquire.PrometheusOptions{Address: "http://127.0.0.1:9090", Namespace: "openfaas-fn"})
//	if err != nil {
//		return err
//	}
//	now := time.Now()
//	result, err := source.Acquire(ctx, acquire.Request{Function: "qrcode", From: now.Add(-6 * time.Hour), To: now, Step: 15 * time.Second})
//	if err != nil {
//		return err
//	}
//	err = usagecsv.WriteFile("usage.csv", result.Usage)
package acquire
