// Package learn is the policy of package newsvendor for a platform of which nothing was recorded beforehand: it records the requests that it is
// told of, finds out which functions belong together, trains models on them again and again, and takes a model over only where that foretells the
// newest requests better than the one in use.
//
//	policy, err := learn.New(ctx, learn.Options{Price: 2560, Platform: platform, Functions: functions, Background: true})
//	if err != nil {
//		return err
//	}
//	defer policy.Close()
//	policy.Handle(&event, fleet, &decisions)
//
// # What is recorded
//
// A request is recorded once it is over: every invocation that has come has ended, and two seconds long nothing more was heard. Requests of which something
// is not known, such as the caller of an invocation, are left out. Of each application the newest 200 requests are kept, and 300 of those
// before, of which recent ones are more likely to be there; Options.MaxBytes bounds all of them. Recording takes no memory of its own for an event.
//
// # Which functions belong together
//
// Functions that a request connects are of one application. One that two applications share therefore makes them one, with a model of both; so
// does a request that calls from one into the other. Of the requests that an application's begin with, the next ones are foreseen of that function only
// which most of them begin with; what follows from a request in flight is expected of all.
//
// # When models are trained and taken over
//
// After 5, 10, 20, 30, 50, 100 and 200 requests of an application, and then after each 200 more, but at most every ten minutes, candidates are trained on all
// but the newest fifth of what is kept: a table of counts, and from 40 requests on a model of Options.Model. They, and the one that was in use before the
// present one, are compared with that on the newest fifth, which none of them was trained on, by the likelihood of the invocations: the best one is used. The
// model of when requests come is chosen in the same way. After every 20 requests the newest 20 are looked at: where they are less likely than those that the model was
// chosen by, beyond chance, candidates are trained at once, also on the newest requests alone. If one of these is best, all requests before are forgotten.
//
// Requests in flight are followed to their end by the model that followed them when they came.
package learn
