package localwhisk_test

import (
	"context"
	"fmt"
	"time"

	"github.com/tppfaas/tppfaas/internal/localwhisk"
)

// An application of two functions is invoked twice: the second time its containers are warm.
func Example() {
	clock := localwhisk.NewVirtualClock(time.Date(2021, 6, 1, 12, 0, 0, 0, time.UTC))
	platform, err := localwhisk.New(clock, localwhisk.DefaultConfig(), 1)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, f := range []localwhisk.Function{
		{Name: "main", Handler: func(run *localwhisk.Run) {
			if _, err := run.Invoke("resize", run.Params()); err != nil {
				run.Fail(err)
				return
			}
			run.Finish()
		}},
		{Name: "resize", Handler: func(run *localwhisk.Run) {
			run.Sleep(300*time.Millisecond, run.Finish)
		}},
	} {
		if err := platform.Deploy(f); err != nil {
			fmt.Println(err)
			return
		}
	}
	platform.OnEnd(func(a localwhisk.Activation) {
		fmt.Printf("%-6s arrived %s, cold %t, ran %v\n", a.Name, a.Arrival().Format("15:04:05"), a.Cold(), (a.Duration - a.InitTime).Round(100*time.Millisecond))
	})
	for _, at := range []time.Duration{0, time.Minute} {
		clock.AfterFunc(at, func() {
			if _, err := platform.Invoke("main", "picture.png", nil); err != nil {
				fmt.Println(err)
			}
		})
	}
	if err := clock.Run(context.Background()); err != nil {
		fmt.Println(err)
	}
	// Output:
	// main   arrived 12:00:00, cold true, ran 200ms
	// resize arrived 12:00:00, cold true, ran 300ms
	// main   arrived 12:01:00, cold false, ran 0s
	// resize arrived 12:01:00, cold false, ran 300ms
}
