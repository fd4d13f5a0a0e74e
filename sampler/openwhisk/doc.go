// Package openwhisk samples applications on any OpenWhisk, in real time, over its REST API.
//
//	target, err := openwhisk.New(openwhisk.Options{Settings: settings, App: app, Config: config})
//	…
//	defer target.Close()
//	err = target.Begin(ctx, "data/tree.json.journal", false)
//	…
//	result, err := target.Sample(ctx, nil)
//	…
//	_, err = target.WriteDataset("data/tree.json")
//	…
//	err = target.Remove(ctx)
//
// A [Target] deploys the application into a package of its own, so that runs do not disturb each other, sends the requests of the
// plan at their times, and fetches the traces from Zipkin, where the functions' spans arrive by way of the collector. What it
// sends and what it collects stands in a [Journal], with which another process can go on, and from which the dataset is written:
// memory does not grow with the traces.
package openwhisk
