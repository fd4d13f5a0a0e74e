// Fetch downloads the jars of the Kafka broker that tests run against, unless they are there, and prints their folder.
package main

import (
	"context"
	"fmt"
	"io"

	"github.com/tppfaas/tppfaas/internal/cli"
	"github.com/tppfaas/tppfaas/internal/kafkatest"
)

const usage = `Usage: fetch

Downloads the jars of the Kafka broker that tests run against (45 MB, from Maven Central), unless they are there, and prints their folder.
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
	folder, err := kafkatest.Fetch(ctx)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(stdout, folder)
	return err
}
