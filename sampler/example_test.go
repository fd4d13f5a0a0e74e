package sampler_test

import (
	"context"
	"fmt"
	"log"
	"time"

	"github.com/tppfaas/tppfaas/apps"
	"github.com/tppfaas/tppfaas/sampler"
	"github.com/tppfaas/tppfaas/tpp"
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

// ExampleMix makes the dataset of a high load from a low load and bursts of the same application.
func ExampleMix() {
	app, err := apps.Load("tree_small")
	if err != nil {
		log.Fatal(err)
	}
	sample := func(c sampler.Config) *tpp.Dataset {
		target, err := sampler.NewLocal(1)
		if err != nil {
			log.Fatal(err)
		}
		result, err := sampler.Sample(context.Background(), target, app, c, nil)
		if err != nil {
			log.Fatal(err)
		}
		return result.Dataset
	}
	low := sample(sampler.Config{Requests: 100, MinInterval: 400 * time.Millisecond, MaxInterval: 700 * time.Millisecond, Seed: 1})
	bursts := sample(sampler.Config{Requests: 200, MinInterval: 100 * time.Millisecond, MaxInterval: 120 * time.Millisecond, BatchSize: 50, BatchPause: 2 * time.Minute, Seed: 1})
	high, mixture, err := sampler.Mix(low, bursts, 0.3, 1)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%d traces, %.0f %% cold starts\n", len(high.Sequences), 100*mixture.ColdShare())
	// Output: 100 traces, 30 % cold starts
}
