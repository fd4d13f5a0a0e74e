// Package httpclient makes HTTP transports that say who asks, check who answers, bound what is read, and ask again where that may help.
//
//	base, err := whisk.ParseAddress("https://prometheus.example.org")
//	…
//	transport, err := httpclient.New("Prometheus at "+whisk.DisplayAddress(base), base, httpclient.Options{TokenFile: "token", Attempts: 5})
//	…
//	client := &http.Client{Transport: transport}
package httpclient
