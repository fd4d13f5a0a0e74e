// Package chain runs the whole chain on this machine: the platform, a Zipkin server, and the collector between them, each the program that users
// run, in a process of its own.
//
//	c, err := chain.Start(ctx, chain.Options{Sampler: "bin/sampler", Collector: "bin/collector", Dir: dir})
//	if err != nil {
//		return err
//	}
//	defer c.Stop()
//	sampler := exec.CommandContext(ctx, "bin/sampler", "-platform", "openwhisk", …)
//	sampler.Env = append(os.Environ(), c.Env()...)
//
// On Linux the processes of the chain are killed when this process ends, however that happens.
package chain
