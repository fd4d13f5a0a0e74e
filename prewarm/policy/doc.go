// Package policy has the policies of others that decide about containers one by one, and the table of all policies.
//
//	p, err := policy.New("keepalive:600", policy.Options{Platform: platform, Functions: functions})
//
// [Kinds] has what there is. Each policy is written down in a file of its own with its rule, its source and the units of its parameters, and
// what it does in testdata, in the format of package policytest.
//
// A new one is a [prewarm.Policy] and an entry in the table, which a function init makes:
//
//	policy.Register(policy.Kind{
//		Name: "warmest", Form: "warmest[:N]", Help: "keeps the N containers (1) that were used last",
//		New: func(a *policy.Args, o policy.Options) (prewarm.Policy, error) {
//			return &warmest{n: int(a.Number("N", 1, 0, 1e6))}, nil
//		},
//	})
//
// The command prewarm has it from then on, and a file in testdata says what is expected of it.
package policy
