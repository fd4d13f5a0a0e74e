// Action is the function that compositions deploy; OpenWhisk starts it.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/tppfaas/tppfaas/apps/action"
	"github.com/tppfaas/tppfaas/internal/cli"
)

func main() {
	if len(os.Args) == 2 && os.Args[1] == "--version" {
		fmt.Println(cli.VersionLine("action"))
		return
	}
	if err := action.Main(context.Background(), os.Args[1:]); err != nil {
		fmt.Fprintf(os.Stderr, "action: %v\n", err)
		os.Exit(1)
	}
}
