// Package sampler deploys an application, sends it requests on a schedule, and turns the traces into a dataset.
//
// On the local platform, in virtual time, an hour of load takes seconds:
//
//	app, err := apps.Load("sequence")
//	…
//	target, err := sampler.NewLocal(1)
//	…
//	result, err := sampler.Sample(ctx, target, app, sampler.Config{
//		Requests:    1000,
//		MinInterval: 2 * time.Second,
//		MaxInterval: 6 * time.Second,
//		Seed:        1,
//	}, nil)
//	…
//	err = dataset.WriteFile("data/sequence.json", result.Dataset)
//
// Three parts work together:
//
//   - A [Planner] draws everything that is random about the requests: when each is sent, how long each of its functions sleeps, which
//     functions are missing.
//   - [Sample] sends the requests at their times, however slow the platform is, and collects the traces into a dataset. [Collect] does
//     the same without keeping the traces in memory.
//   - A [Target] is the platform: its clock, its functions, and the traces that it returns. [Local] simulates one in this process; package
//     openwhisk has another for any OpenWhisk.
package sampler
