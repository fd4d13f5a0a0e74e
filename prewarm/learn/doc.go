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
package learn
