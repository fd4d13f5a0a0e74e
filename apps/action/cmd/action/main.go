// Action is the function that compositions deploy; OpenWhisk starts it.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/tppfaas/tppfaas/apps/action"
)

func main() {
	if err := action.Main(context.Background(), os.Args[1:]); err != nil {
		fmt.Fprintf(os.Stderr, "action: %v\n", err)
		os.Exit(1)
	}
}
