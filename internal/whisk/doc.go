// Package whisk is a client of OpenWhisk's REST API, for the sampler, the collector, and the functions that invoke each other.
//
//	base, err := whisk.ParseAddress("https://openwhisk.example.com")
//	…
//	httpClient := whisk.NewHTTPClient(false, 16)
//	defer httpClient.CloseIdleConnections()
//	client, err := whisk.New(whisk.Options{Base: base, Key: "user:password", HTTP: httpClient, Timeout: 30 * time.Second})
//	…
//	id, err := client.Invoke(ctx, "package/action", map[string]any{"n": 1})
//	…
//	record, err := client.Activation(ctx, id)
//	if errors.Is(err, whisk.ErrNotYet) {
//		// The record becomes readable only after the logs have been collected: ask again later.
//	}
//
// The package has three layers:
//
//   - A [Server] makes one HTTP request and decodes the JSON answer ([Server.Do]). Answers are bounded in size, every request has a
//     context and a timeout, and whatever goes wrong is an [*Error]: what kind of failure it was, in one line of text without the key,
//     whether the same request may succeed later, how long the server asks to wait, and whether the server may have carried the
//     request out although no answer came. Servers other than OpenWhisk (Zipkin, the collector) can be asked in the same way.
//   - A [Client] is a Server with a key. Its methods are the calls of the API that this module needs, with small structs for what goes
//     over the wire.
//   - A [Retry] is a policy that repeats a request until it succeeds, fails for good, or takes too long.
//
// Methods make one attempt each; callers that want more wrap the call:
//
//	retry := whisk.Retry{Patience: 5 * time.Minute}
//	err = retry.Do(ctx, func() error { return client.PutPackage(ctx, pack) })
//
// The files in the order in which a call passes through them: client.go, entity.go and activation.go, call.go, server.go, redirect.go, error.go.
//
// Everything is safe for concurrent use. The package depends on nothing but the standard library, because it is linked into the
// function that every composition deploys, whose size is a part of each cold start.
package whisk
