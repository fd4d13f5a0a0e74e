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
// Events have the times of what they tell of, as far as their order allows; [prewarm.Event.Late] says by how much they are late otherwise. Clocks of
// other machines are corrected, see clock.go. Where an invocation is run is guessed until it is known, and mended then, see place.go: an
// event Displaced takes a guess back. With ids of containers ([source.Observation.Instance]) and nothing lost the model has, but for the delay of the observations,
// the containers that the platform has; without them it is nearly as good. TestAccuracy has the figures.
//
// Warm-ups are told by [Mirror.Warm], and [Mirror.Warmed] takes what became of them: of those that were not made, as all in a dry run, nothing is left.
// [Mirror.Snapshot] has what is known, from which [Restore] makes a mirror again.
//
// A mirror is deterministic: it has no clock, starts no goroutine, and draws nothing. It is used by one goroutine at a time.
package mirror
