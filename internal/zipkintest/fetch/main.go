// Fetch downloads the Zipkin server that tests run against, unless it is there, and prints where it is.
package main

import (
	"context"
	"fmt"
	"io"

	"github.com/tppfaas/tppfaas/internal/cli"
	"github.com/tppfaas/tppfaas/internal/zipkintest"
)

const usage = `Usage: fetch

Downloads the Zipkin server that tests run against (131 MB, from Maven Central), unless it is there, and prints where it is.
`

func main() {
	cli.Main(func(ctx context.Context, args []string, stdout, stderr io.Writer) int {
		return cli.Exit(stderr, "fetch", fetch(ctx, args, stdout))
	})
}

func fetch(ctx context.Context, args []string, stdout io.Writer) error {
	if rest, err := cli.Parse(cli.NewFlagSet("fetch", stdout, usage), args); err != nil {
		return err
	} else if len(rest) > 0 {
		return cli.Usagef("unexpected argument %q", rest[0])
	}
	jar, err := zipkintest.Fetch(ctx)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(stdout, jar)
	return err
}
