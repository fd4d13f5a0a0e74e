// Package mirror keeps a model of a platform's containers from what is observed of invocations, and turns observations, which come late, twice or
// not at all, into events in the order of time that a [prewarm.Fleet] and a policy understand.
//
//	m, err := mirror.New(mirror.Options{Epoch: begun, Platform: platform, Functions: functions})
//	if err != nil {
//		return err
//	}
//	for o := range observations {
//		events, err = m.Observe(now(), &o, events[:0])
//		if err != nil {
//			log(err) // the observation was of no use
//		}
//		tell(events)
//	}
//
// tell adds what is new in [Mirror.Functions] to the fleet before it applies the events, lets the fleet forget the start times of the functions in
// [Mirror.Redeployed], and adds those in [Mirror.Measured]. When [Mirror.Next] has come, [Mirror.Pass] says what the passing of time means.
//
// A mirror is deterministic: it has no clock, starts no goroutine, and draws nothing. It is used by one goroutine at a time.
package mirror
