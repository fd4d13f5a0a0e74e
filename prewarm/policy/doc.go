// Package policy has the policies of others that decide about containers one by one, and the table of all policies.
//
//	p, err := policy.New("keepalive:600", policy.Options{Platform: platform, Functions: functions})
//
// [Kinds] has what there is. Each policy is written down in a file of its own with its rule, its source and the units of its parameters, and
// its behaviour in testdata, in the format of package policytest.
package policy
