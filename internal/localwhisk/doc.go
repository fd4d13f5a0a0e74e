// Package localwhisk is an OpenWhisk-compatible platform in one process: it places invocations on containers as OpenWhisk does, and keeps an
// activation record of each.
//
// The engine runs on a [Clock]. On a [VirtualClock] an hour of load takes milliseconds, and the same seed gives the same records:
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
// # The way of an invocation
//
//	Platform.Invoke (from outside), Run.Invoke (from a function, after Config.Call)        platform.go, run.go
//	   │
//	Platform.arrive     the controller has received it; Config.Dispatch passes             scheduler.go
//	   │
//	Platform.enqueue    it waits in the queue
//	   │
//	Platform.place      a container is chosen; makeRoom evicts others for a new one        scheduler.go, pool.go
//	   │
//	startWarm, initContainer, startRun: a Backend unpauses, initialises, runs              scheduler.go, backend.go
//	   │
//	Run.Finish ─▶ finishRun ─▶ releaseContainer: the record is complete, the logs are collected, the container is idle
//
// Between these steps the clock calls the engine back. Time advances in VirtualClock.Run (clock.go), or passes by itself with a [RealClock]. The
// idle containers and the orders in which they are used and evicted are in pool.go.
//
// There are two backends. The simulation (backend.go) lets the time pass that it draws from the delays of a [Config] (delay.go, sharing.go); the
// one of package rest runs processes, with package container, in real time.
//
// # Scheduling
//
// The controller dispatches an invocation to the container pool after [Config.Dispatch]. There it takes, in this order of preference:
//
//  1. of the idle containers of its function the one that became idle last (with [Config.WarmedLast], of those that have made their first call);
//  2. with [Config.TakesStarting], a container of its function that is being started for nobody;
//  3. a stem cell, a container without a function yet, of its memory size;
//  4. a new container, if memory is free;
//  5. a new container after the eviction of idle ones, those of the lowest rank first, and of these those whose last runs began longest ago.
//
// If there is none of these, the invocation waits, and so do all that come after it: the queue is first in, first out. An invocation that
// has been given a container that is still to be created keeps it, even if a warm one becomes free earlier. After the run the container is busy
// until its logs are collected. Then it is idle; it is paused after [Config.PauseGrace], and removed after [Config.IdleTimeout]. These are
// the rules of OpenWhisk's ContainerPool and ContainerProxy, for one invoker.
//
// # Control
//
// Whoever wants to decide which containers are warm is told what happens, and acts on containers that have no invocation:
//
//	platform.Watch(func(e localwhisk.Event) {
//		switch e.Kind {
//		case localwhisk.Arrived:
//			if _, err := platform.StartContainer(successor[e.Function]); err != nil {
//				log.Print(err)
//			}
//		case localwhisk.Idle:
//			if err := platform.Hold(e.Container, e.At.Add(time.Minute)); err != nil {
//				log.Print(err)
//			}
//		}
//	})
//
// [Platform.GiveBack] removes an idle container, [Platform.Rank] says which are evicted first, and [Platform.Usage] what the containers of each
// function have used: MB·s starting, idle and busy. (control.go, event.go, usage.go.)
//
// # Replicas
//
// On other platforms not the invocations decide how many containers there are, but an autoscaler by the load of a function. [Replicas] is such a
// function on the same virtual clock: replicas that take several requests at once and share their processors (replicas.go), scaled from
// outside (replicasscale.go), with an asynchronous queue in front (replicasqueue.go).
package localwhisk
