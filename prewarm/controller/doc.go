// Package controller runs a policy of package prewarm on a live platform: it takes observations from sources, keeps a mirror of the platform's
// containers with them, asks the policy, and has an actuator do what that decides.
//
// A [Core] is a state machine without goroutines and without a clock, which a test can run in virtual time:
//
//	core, err := controller.NewCore(controller.Options{Epoch: epoch, Platform: platform, NewPolicy: newPolicy, ServesAll: true, Act: true}, mirror)
//	if err != nil {
//		return err
//	}
//	core.Begin(0, nil)
//	err = core.Observe(now, &observation)
//	for _, command := range core.Commands() {
//		carryOut(command) // and tell core.Acted what has become of it
//	}
//	wakeAt(core.Next()) // and call core.Pass then
//
// A [Controller] gives it a clock, a queue, a guard for the actuator, and a [Journal] from which another process goes on. Package serve puts all of it
// together.
//
// # What happens to a decision
//
// Nothing is carried out unless Options.Act is set. Of the containers that would have been started the core then imagines that they are: they are ready
// after a start time like those that were measured, and an invocation that the platform's rule would have given one takes it. In a pause, and for functions
// whose model is absent, stale or disagrees with what comes (see [ModelState]), decisions are held, and say why. What fails is tried again after a
// time that doubles.
//
// Where numbers of replicas are set, the command has the larger of what the policy wants and what the platform would have by itself.
package controller
