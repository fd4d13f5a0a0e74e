package sampler_test

import (
	"context"
	"fmt"
	"log"
	"time"

	"github.com/tppfaas/tppfaas/apps"
	"github.com/tppfaas/tppfaas/sampler"
)

func ExampleSample() {
	app, err := apps.Load("sequence")
	if err != nil {
		log.Fatal(err)
	}
	target, err := sampler.NewLocal(1)
	if err != nil {
		log.Fatal(err)
	}
	result, err := sampler.Sample(context.Background(), target, app, sampler.Config{
		Requests:    100,
		MinInterval: 2 * time.Second,
		MaxInterval: 6 * time.Second,
		Seed:        1,
	}, nil)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(len(result.Dataset.Sequences), "traces,", result.Events, "invocations")
	fmt.Println(result.Dataset.MarkNames[:3])
	// Output:
	// 100 traces, 1100 invocations
	// [sequence-dev-main sequence-dev-f1 sequence-dev-f2]
}

func ExamplePlanner() {
	app, err := apps.Load("parallel_small")
	if err != nil {
		log.Fatal(err)
	}
	planner, err := sampler.NewPlanner(app, sampler.Config{Requests: 3, MinInterval: time.Second, MaxInterval: time.Second, Missing: 10})
	if err != nil {
		log.Fatal(err)
	}
	for r, ok := planner.Next(); ok; r, ok = planner.Next() {
		fmt.Println(r.Time, len(r.Missing), "missing,", len(r.Calls), "invocation")
	}
	// Output:
	// 0s 10 missing, 1 invocation
	// 1s 10 missing, 1 invocation
	// 2s 10 missing, 1 invocation
}
