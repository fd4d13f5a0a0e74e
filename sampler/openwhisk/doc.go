// Package openwhisk samples applications on any OpenWhisk, in real time, over its REST API.
//
//	settings, err := openwhisk.Find(openwhisk.Sources{Getenv: os.Getenv})
//	…
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
// sends and what it collects stands in a [Journal], with which another process can continue the sampling, and from which the dataset is
// written: memory does not grow with the traces.
//
// The files in the order in which a sampling passes through them:
//
//	settings.go                     where OpenWhisk, the collector and Zipkin are: options, environment, files
//	target.go                       Target: New, Begin, Sample, Close
//	preflight.go                    is everything there before anything is deployed?
//	deploy.go leftovers.go          the package and its actions: create, remove, find those of earlier runs
//	clock.go                        when to send
//	send.go senttimes.go            the queue and its senders
//	announce.go                     the announcements of requests
//	fetch.go zipkin.go trace.go     the traces: wait for them, find their spans, assemble them
//	breaker.go                      a circuit breaker, for the sending and for the fetching
//	dataset.go                      the complete traces, and the dataset
//	journal.go journal_format.go    the journal, and how it is written (lock_*.go: by one process at a time)
package openwhisk
