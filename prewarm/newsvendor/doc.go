// Package newsvendor is a policy that starts and keeps containers at one stated price: the memory-time, in MB·s, that a second of a
// request's waiting is worth. It is made of a predictor, which follows each request and says in [Demand] values what is still to come of it, and of
// a decider for each function, which weighs them by the rule of the newsvendor: a container of m MB costs λ·(r − A)⁺ where it is ready at r
// for an invocation that comes at A before that, and m·(A − r)⁺ after it, so the best r is the quantile of A at α = m/(λ + m).
//
//	policy, err := newsvendor.New(ctx, newsvendor.Options{
//		Price: 2560, Platform: platform, Functions: functions, Knowledge: knowledge,
//	})
//	if err != nil {
//		return err
//	}
//	policy.Handle(&event, fleet, &decisions)
//
// The same number says how long an idle container is kept: as long as the expected saving of its next use exceeds the memory-time until then.
// Where an invocation may come later by some time without delaying the end of its request, only what exceeds that slack costs λ; where a late
// container is not waited for, being late costs a whole start, and the time of the least expected cost is looked for.
// Nothing is drawn at random.
package newsvendor
