// Package prewarm decides which containers of serverless functions are warm, and when. A [Policy] is told what happens on a platform, event
// by event, and answers with decisions: start a container that no invocation has asked for, keep an idle one until some time, give one back.
// It runs unchanged in a laboratory in virtual time and on a live platform: whoever runs it turns what the platform does into
// events, keeps a [Fleet] with them, and carries the decisions out.
//
//	fleet, err := prewarm.NewFleet(platform, functions)
//	if err != nil {
//		return err
//	}
//	var decisions prewarm.Decisions
//	for event := range events {
//		if err := fleet.Apply(&event); err != nil {
//			return err
//		}
//		decisions.Reset()
//		policy.Handle(&event, fleet, &decisions)
//		for _, d := range decisions.List {
//			carryOut(d)
//		}
//	}
//
// A policy does not read a clock, and starts no goroutine: each event has its time, and a policy that wants to be asked again at some time
// says so, see [Decisions.Wake]. Everything random about it comes from a seed. The same events therefore lead to the same decisions.
//
// # Quantities and units
//
// Moments are of type [Time], since an epoch that whoever runs the policy chooses. Memory is in MiB, written MB as in the formulas of the field.
//
//   - start time c: from asking for a container until it can run its function (creation and initialisation), in seconds in formulas;
//   - MB·s: memory of a container times the time for which it is starting, idle or busy;
//   - price λ: the MB·s that one second of a request's waiting is worth;
//   - cold: the invocation had a container created for itself; late: it waited for one that was being created already; warm: neither;
//   - notice: how long before its arrival an invocation is foreseen;
//   - wasted: a container that a policy has started and that no invocation has used before it was removed.
package prewarm
