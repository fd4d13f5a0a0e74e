package container_test

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/tppfaas/tppfaas/internal/localwhisk/container"
)

// A blackbox is any program: it gets the parameters as argument, and the last line that it writes is the answer.
func Example() {
	ctx := context.Background()
	runtime, err := container.NewProcessRuntime(container.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer runtime.Close()
	c, err := runtime.Start(ctx, 256)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Remove()
	code := []byte("#!/bin/sh\necho working\necho \"{\\\"got\\\": $1}\"\n")
	failed, err := c.Init(ctx, container.Spec{Name: "/guest/echo", Kind: "blackbox", Binary: true, Code: code, LogMB: 10}, time.Minute)
	if failed != nil || err != nil {
		fmt.Println(failed, err)
		return
	}
	outcome := c.Run(ctx, container.Invocation{Value: json.RawMessage(`{"name": "you"}`)}, time.Minute)
	fmt.Println(outcome.Kind, string(outcome.Result))
	for _, line := range c.Logs("") {
		fmt.Println(line.Stream, line.Text)
	}
	// Output:
	// success {"got": {"name": "you"}}
	// stdout working
}
