// Package localwhisk is an OpenWhisk-compatible platform in one process: it places invocations on containers the way
// OpenWhisk does, and keeps a record of each.
//
// The engine knows no time of its own: it runs on a [Clock]. On a [VirtualClock] an hour of load passes in
// milliseconds, and the same seed gives the same records:
//
//	clock := localwhisk.NewVirtualClock(time.Date(2021, 6, 1, 0, 0, 0, 0, time.UTC))
//	platform, err := localwhisk.New(clock, localwhisk.DefaultConfig(), 1)
//	if err != nil {
//		return err
//	}
//	err = platform.Deploy(localwhisk.Function{Name: "hello", Handler: func(run *localwhisk.Run) {
//		run.Sleep(300*time.Millisecond, run.Finish)
//	}})
//	if err != nil {
//		return err
//	}
//	_, err = platform.Invoke("hello", nil, func(a localwhisk.Activation) { fmt.Println(a.WaitTime, a.InitTime) })
//	if err != nil {
//		return err
//	}
//	err = clock.Run(ctx)
//
// # Scheduling
//
// The controller hands an invocation on to the container pool after [Config.Dispatch]. There it takes, in this order: the container
// of its function that became idle last; a stem cell of its memory size; a new container, if memory is left; a new container in
// the place of the idle ones whose last runs began longest ago. If none of these is to be had it waits, and with it all that come
// after it: the queue is first in, first out. An invocation that has been given a container to come stays with it, even where
// a warm one becomes free earlier. After the run the container is busy until its logs are in; then it is idle, is paused after
// [Config.PauseGrace], and removed after [Config.IdleTimeout]. These are the rules of OpenWhisk's ContainerPool and
// ContainerProxy, for one invoker.
package localwhisk
