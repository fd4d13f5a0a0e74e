// Package container runs the actions of an OpenWhisk platform in containers that are process groups of this system, speaks the protocols
// of OpenWhisk's runtimes with them, and kills them with all that descends from them when the platform ends, in whatever way.
//
//	runtime, err := container.NewProcesses(container.Options{})
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
// A program that imports this package starts itself again, under other names, before its own main: once as the warden, the parent
// of all containers, and once for each container, which then becomes the action. The warden kills everything when its connection to
// the platform ends; if the warden is killed, the platform does. Each container has a directory of its own for its work, and shares
// the unpacked code with others.
//
// # Protocols
//
// Actions of the kinds go:*, and blackboxes with an image openwhisk/action-golang-v*, speak the action loop; their zip needs the
// right exec.env. Any other blackbox runs as in OpenWhisk's docker skeleton: once for each invocation, with the parameters as
// argument and the last line of its output as the answer; what it leaves running is killed then.
package container
