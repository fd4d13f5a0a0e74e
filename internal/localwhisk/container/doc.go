// Package container runs the actions of an OpenWhisk platform in containers that are process groups of this system. It speaks the protocols of
// OpenWhisk's runtimes with them, and kills them and all their descendants when the platform ends, however that happens.
//
//	runtime, err := container.NewProcessRuntime(container.Options{})
//	if err != nil {
//		return err
//	}
//	defer runtime.Close()
//	c, err := runtime.Start(ctx, 256)
//	if err != nil {
//		return err
//	}
//	defer c.Remove()
//	failed, err := c.Init(ctx, container.Spec{Name: "/guest/hello", Kind: "go:1.24", Binary: true, Code: zip, LogMB: 10}, time.Minute)
//	if failed != nil || err != nil {
//		return ...
//	}
//	outcome := c.Run(ctx, container.Invocation{Value: json.RawMessage(`{"name": "you"}`)}, time.Minute)
//	fmt.Println(outcome.Kind, string(outcome.Result), c.Logs(""))
//
// # Processes
//
// A program that imports this package starts itself again under other names, and then runs the code of this package instead of its main:
//
//	platform ──socket──▶ supervisor ──parent of──▶ launcher ──exec──▶ action ──▶ descendants
//	    │                                                               ▲
//	    └─────────── pipes: stdin, stdout, stderr, results ─────────────┘
//
// The supervisor, one process per ProcessRuntime, is the parent of all containers. A container is at first a launcher, which waits for the
// platform's request to execute an action. The supervisor kills all containers when its connection to the platform ends; if the supervisor is
// killed, the platform kills them. Each container has its own working directory, and shares the unpacked code with others.
//
// The types and files: [ProcessRuntime] starts containers (runtime_linux.go), each a processContainer (container_linux.go, init_linux.go,
// run_linux.go), whose process (process_linux.go) a supervisorClient asks the supervisor for. Lines of logs are in logs.go, unpacked code in
// codecache.go.
//
// # Protocols
//
// Actions of the kinds go:*, and blackboxes with an image openwhisk/action-golang-v*, speak the action loop: one process reads a line per
// invocation and writes a line in answer. Their zip needs the right exec.env. Any other blackbox runs as in OpenWhisk's docker skeleton: each
// invocation starts a process, with the parameters as argument and the last line of its output as the answer; its descendants are killed then.
package container
