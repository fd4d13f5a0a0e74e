// Package chain runs the whole chain on this machine, each part the program that users run, in a process of its own: the platform, a
// Zipkin server, and the collector between them.
//
//	c, err := chain.Start(ctx, chain.Options{Sampler: "bin/sampler", Collector: "bin/collector", Dir: dir})
//	if err != nil {
//		return err
//	}
//	defer c.Stop()
//	sampler := exec.CommandContext(ctx, "bin/sampler", "-platform", "openwhisk", …)
//	sampler.Env = append(os.Environ(), c.Env()...)
//
// However this process ends, the processes of the chain end with it.
package chain
