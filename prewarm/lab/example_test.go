package lab_test

import (
	"context"
	"fmt"

	"github.com/tppfaas/tppfaas/prewarm"
	"github.com/tppfaas/tppfaas/prewarm/lab"
	"github.com/tppfaas/tppfaas/prewarm/policy"
)

// A policy is run on a workload, with requests that depend on the seed alone.
func ExampleWorkload_Run() {
	workload, err := lab.NewWorkload("tree_small", "periodic:900", lab.Options{Requests: 20})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, spec := range []string{"keepalive:600", "keepalive:900"} {
		newPolicy := func(p prewarm.Platform, functions []prewarm.Function, k prewarm.Knowledge, seed uint64) (prewarm.Policy, error) {
			return policy.New(spec, policy.Options{Platform: p, Functions: functions, Knowledge: k, Seed: seed})
		}
		run, err := workload.Run(context.Background(), lab.Setting{}, 1, newPolicy, lab.Observer{})
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Printf("%s: %.0f cold starts a request, median of the added latency %.1f s\n", spec, run.Measures.Cold, run.Measures.P50)
	}
	// Output:
	// keepalive:600: 10 cold starts a request, median of the added latency 7.1 s
	// keepalive:900: 0 cold starts a request, median of the added latency 0.0 s
}

// A matrix runs several policies on the same requests.
func ExampleMatrix_Run() {
	workload, err := lab.NewWorkload("sequence", "poisson:60", lab.Options{Requests: 20})
	if err != nil {
		fmt.Println(err)
		return
	}
	named := func(spec string) lab.NamedPolicy {
		return lab.NamedPolicy{Name: spec, New: func(p prewarm.Platform, functions []prewarm.Function, k prewarm.Knowledge, seed uint64) (prewarm.Policy, error) {
			return policy.New(spec, policy.Options{Platform: p, Functions: functions, Knowledge: k, Seed: seed})
		}}
	}
	var results []*lab.StoredResult
	matrix := lab.Matrix{
		Workloads: []*lab.Workload{workload}, Seeds: []uint64{1, 2, 3},
		Policies: func(*lab.Workload) []lab.NamedPolicy {
			return []lab.NamedPolicy{named("none"), named("keepalive:3600")}
		},
		Each: func(c *lab.Cell) error {
			results = append(results, &c.StoredResult)
			return nil
		},
	}
	if err := matrix.Run(context.Background()); err != nil {
		fmt.Println(err)
		return
	}
	group := lab.Groups(results)[0]
	p95 := func(m *lab.Measures) float64 { return m.P95 }
	difference := group.Policies[1].Paired(group.Policies[0], p95, func(a, b float64) float64 { return a - b })
	fmt.Printf("p95 of %s less that of %s: %.0f s\n", group.Policies[1].Policy, group.Policies[0].Policy, difference.Mean)
	// Output:
	// p95 of keepalive:3600 less that of none: -26 s
}
