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
//	err = tpp.WriteFile("data/sequence.json", result.Dataset)
//
// Three parts know nothing of each other's workings. A [Planner] draws everything that is random about the requests: when
// each is sent, how long each of its functions sleeps, which are missing. [Sample] sends them at their times, however slow
// the platform is; [Collect] does so too, and keeps nothing in memory. A [Target] is the platform: its clock, its functions, and the traces it hands back.
package sampler
