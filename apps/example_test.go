package apps_test

import (
	"fmt"
	"log"

	"github.com/tppfaas/tppfaas/apps"
)

func ExampleLoad() {
	app, err := apps.Load("tree_small")
	if err != nil {
		log.Fatal(err)
	}
	for _, f := range app.Functions[:3] {
		fmt.Println(app.DeployedName(f.Name), f.Duration, f.Invokes)
	}
	fmt.Println(app.Invocations(), "invocations a request")
	// Output:
	// tree_small-dev-main 0s [f11 f12 f13]
	// tree_small-dev-f11 300ms [f21 f22]
	// tree_small-dev-f12 400ms [f23 f24]
	// 10 invocations a request
}
